/*
 * node -- the DataNodes, their storages, their orders.
 *
 * Owns: every DataNode and storage that the NameNode knows of.  Uuids, numbers
 * of storages and last known addresses are durable (tables nodes, storages),
 * the rest is soft state that registrations and heartbeats bring.  A pointer to
 * a node or storage is good as long as the table: they are never freed before
 * it.  Core thread only; readers get immutable views (nn_view).
 * Invariant: a storage's number never changes and is never reused.
 */
#ifndef NAMENODE_NODE_H
#define NAMENODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/base/table.h"
#include "core/proto/ids.h"

struct nn_node;
struct rpc_call;

/* One directory of blocks of a node. */
struct nn_storage {
    uint32_t no;                /* from 1; index into nn_nodes.storages is no - 1 */
    char *uuid;
    struct nn_node *node;
    uint64_t capacity, dfs_used, remaining;
    bool failed;
    bool confirmed;             /* a full report of its node's present registration has been applied */
    uint64_t block_count;       /* replicas, not those being written, as of the last sweep and changes since */
    uint64_t swept_count;       /* the same, being counted by the sweep under way */
    uint64_t reported_wall_ms;  /* the last full report; 0: none in this run */
    struct nn_seen *seen;       /* the last change of each block that changed lately */
    struct nn_hashing *hashing; /* a report whose hashes are being compared; hashing.c */
    UT_hash_handle hh;          /* by uuid */
};

enum nn_admin { NN_NORMAL, NN_DECOMMISSIONING, NN_DECOMMISSIONED };

enum nn_order_kind { NN_COPY = 1, NN_DELETE = 2, NN_RECOVER = 3, NN_FULL_REPORT = 4, NN_SET_ASIDE = 5,
                     NN_VERIFY = 6 };

#define NN_ORDER_TARGETS_MAX 8
struct nn_order {
    struct nn_order *prev, *next;
    uint64_t seq;
    enum nn_order_kind kind;
    struct block_id block;
    struct stamp stamp, new_stamp;
    uint64_t bytes;
    uint64_t keep_ms;
    bool truncates;                                     /* a recovery that cuts the block to truncate_bytes */
    uint64_t truncate_bytes;
    struct nn_storage *storage;                         /* NULL: any */
    size_t target_count;
    struct nn_storage *targets[NN_ORDER_TARGETS_MAX];   /* one of each target node */
};

struct nn_node {
    char *uuid;
    char *host;                 /* numeric address that others use */
    char *host_name;            /* the same, or the name of its machine, for people and for locality */
    char *rack;
    uint16_t data_port, ipc_port, http_port;
    char *address;              /* host:data_port */
    bool registered;            /* in this run; otherwise only known from the database */
    bool dead;                  /* silent for longer than the dead-node interval */
    enum nn_admin admin;
    bool still_needed;          /* the sweep found a block that needs this leaving node */
    uint64_t epoch;             /* of its present registration */
    uint64_t heard_ms;          /* mono; of a node not registered in this run: when this run began */
    uint64_t heard_wall_ms;
    uint32_t transfers;         /* as of the last heartbeat */
    uint32_t planned;           /* blocks placed on it since then */
    uint32_t copying;           /* copies that it has been ordered to make and that are not confirmed */
    uint32_t failed_volumes;
    size_t storage_count;
    struct nn_storage **storages;
    struct nn_order *orders;    /* not acknowledged, by seq */
    size_t order_count;
    uint64_t order_seq;         /* last given out */
    struct rpc_call *waiting;   /* the held waitOrders, NULL if none */
    uint64_t wait_until_ms;
    UT_hash_handle hh;          /* by uuid */
};

struct nn_nodes {
    struct nn_node *by_uuid;            /* uthash */
    struct nn_node **all;               /* in order of arrival */
    size_t count, cap;
    struct nn_storage *storage_by_uuid; /* uthash */
    struct nn_storage **storages;       /* by number - 1 */
    size_t storage_count, storage_cap;
    uint64_t changes;                   /* counts up whenever a view would look different */
};

#define NN_DEFAULT_RACK "/default-rack"
#define NN_STORAGES_MAX 65536           /* of one cluster */
#define NN_ORDERS_MAX 100000            /* of one node; more are found again by reports and sweeps */

void nn_nodes_init(struct nn_nodes *t);
void nn_nodes_fini(struct nn_nodes *t);

struct nn_node *nn_node_find(const struct nn_nodes *t, const char *uuid);              /* may be NULL */
struct nn_node *nn_node_find_address(const struct nn_nodes *t, const char *host, uint16_t data_port);
struct nn_storage *nn_storage_find(const struct nn_nodes *t, const char *uuid);
struct nn_storage *nn_storage_at(const struct nn_nodes *t, uint32_t no);               /* NULL: no such number */

/* Find or add; new nodes are unregistered and were last heard at now_ms. */
enum rc nn_node_add(struct nn_nodes *t, const char *uuid, uint64_t now_ms, struct nn_node **ret, struct why *why) MUST_CHECK;
/* Copies the texts.  RC_OK also when nothing changed. */
enum rc nn_node_set_address(struct nn_nodes *t, struct nn_node *n, const char *host, const char *host_name,
                            uint16_t data_port, uint16_t ipc_port, uint16_t http_port, struct why *why) MUST_CHECK;
enum rc nn_node_set_rack(struct nn_nodes *t, struct nn_node *n, const char *rack, struct why *why) MUST_CHECK;
/* Find or add a storage of n under number no (0: the next free one).  A storage may move to another node. */
enum rc nn_storage_add(struct nn_nodes *t, struct nn_node *n, const char *uuid, uint32_t no, struct nn_storage **ret,
                       struct why *why) MUST_CHECK;

/* A new registration: epoch counts up, orders and confirmations of the one before are forgotten. */
void nn_node_begin(struct nn_nodes *t, struct nn_node *n, uint64_t epoch, uint64_t now_ms, uint64_t wall_ms);

/* As if each node that was heard had been heard ms later. */
void nn_nodes_forgive(struct nn_nodes *t, uint64_t ms);

/* Alive: registered and not dead.  Stale: silent for longer than stale_ms. */
static inline bool nn_node_is_live(const struct nn_node *n) { return n->registered && !n->dead; }
static inline bool nn_node_is_stale(const struct nn_node *n, uint64_t now_ms, uint64_t stale_ms)
{
    return now_ms > n->heard_ms && now_ms - n->heard_ms > stale_ms;
}
/* Its roster entries may be wrong or right: nothing may be deleted or copied because of them. */
static inline bool nn_storage_is_provisional(const struct nn_storage *s) { return !s->confirmed && !s->node->dead; }

/* Sums over the storages of a node. */
struct nn_space { uint64_t capacity, dfs_used, remaining, block_count; };
struct nn_space nn_node_space(const struct nn_node *n);

/* Append a copy of o to n's orders, numbered.  RC_BUSY when there are too many. */
enum rc nn_order_add(struct nn_node *n, const struct nn_order *o, struct why *why) MUST_CHECK;
void nn_orders_acked(struct nn_node *n, uint64_t up_to_seq);       /* forget those */
void nn_orders_clear(struct nn_node *n);

/*
 * The last change of each block that changed lately on a storage, so that a
 * change that comes late, twice, or after a report that already shows it does
 * no harm.  Bounded: what was pushed out is remembered by its highest number.
 */
#define NN_SEEN_MAX 8192
/* True when seq is news for block on s (and remembers it). */
enum rc nn_seen_note(struct nn_storage *s, struct block_id block, uint64_t seq, bool *ret_news, struct why *why) MUST_CHECK;
/* True when block changed after seq, so that a report as of seq says nothing about it. */
bool nn_seen_after(const struct nn_storage *s, struct block_id block, uint64_t seq);
/* True when a report as of seq is too old to be judged with what is remembered. */
bool nn_seen_forgot(const struct nn_storage *s, uint64_t seq);
void nn_seen_free(struct nn_seen *seen);

/*
 * racks: text of net.topology.table.file.name, "host rack" lines.  The rack of
 * a host or host name, NN_DEFAULT_RACK if it has none; written to out.
 */
void nn_rack_of(const char *table, size_t table_bytes, const char *host, const char *host_name, char *out, size_t cap);

/* True when a line of the text of a hosts file names host, host name or host:port. */
bool nn_hosts_has(const char *text, size_t n, const struct nn_node *node);

#endif
