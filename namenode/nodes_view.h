/*
 * nodes_view -- DataNodes, storages, counts and safe mode as readers see them.
 *
 * An immutable copy in an arena of its own, part of a snapshot; pointers into
 * it are good as long as the snapshot is referenced.
 */
#ifndef NAMENODE_NODES_VIEW_H
#define NAMENODE_NODES_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/proto/ids.h"
#include "namenode/node.h"
#include "namenode/safemode.h"
#include "namenode/work.h"

struct nn_view_node {
    const char *uuid, *host, *host_name, *rack, *address;
    uint16_t data_port, ipc_port, http_port;
    bool registered, dead, confirmed;       /* confirmed: all its storages' reports are complete */
    enum nn_admin admin;
    uint64_t heard_ms, heard_wall_ms;       /* mono, wall */
    uint64_t reported_wall_ms;              /* oldest last full report of its storages */
    uint32_t transfers, failed_volumes;
    struct nn_space space;
};

struct nn_view_storage {
    const char *uuid;                       /* NULL: no storage has this number */
    const struct nn_view_node *node;
    uint64_t capacity, dfs_used, remaining, block_count;
    bool failed, confirmed;
};

#define NN_VIEW_MISSING_MAX 1000

struct nn_nodes_view {
    struct arena arena;
    size_t node_count;
    struct nn_view_node *nodes;
    size_t storage_count;
    struct nn_view_storage *storages;       /* by number - 1 */
    struct nn_work_counts counts;
    size_t missing_count;
    struct block_id *missing;               /* blocks without a good replica, up to NN_VIEW_MISSING_MAX */
    struct nn_safemode safe;
    struct nn_safemode_facts facts;
    const char *safe_text;                  /* what safe mode waits for; "" when it is off */
};

/* A node as readers see it, with borrowed texts. */
void nn_view_node_of(const struct nn_node *n, struct nn_view_node *ret);

static inline const struct nn_view_storage *nn_view_storage_at(const struct nn_nodes_view *v, uint32_t no)
{
    return v == NULL || no == 0 || no > v->storage_count || v->storages[no - 1].uuid == NULL ? NULL : &v->storages[no - 1];
}

static inline bool nn_view_node_is_live(const struct nn_view_node *n) { return n->registered && !n->dead; }

/* What safe mode waits for, with the nodes that are missing. */
struct nn_blocks;
void nn_safemode_text(const struct nn_blocks *b, struct buf *out);

#endif
