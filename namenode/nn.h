/*
 * nn -- a NameNode: everything that hangs off one process's (or one simulated
 * node's) NameNode.
 *
 * Threads: the RPC server's loop hands decoded calls to nn_submit, which puts
 * them on one of two queues; the core thread (core.h) takes calls that write or
 * need soft state, reader threads (reader.h) the rest; a third one syncs what the
 * core has committed (settle.h).  What they share is in
 * struct nn: the options and identity, which never change after start, the two
 * queues, and under `lock` the latest snapshot of the core's soft state.
 */
#ifndef NAMENODE_NN_H
#define NAMENODE_NN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"
#include "core/net/net.h"
#include "core/rpc/server.h"
#include "namenode/dirs.h"

struct queue;
struct mutex;
struct thread;
struct sqlvfs;
struct nn_core;
struct nn_reader;
struct nn_snapshot;
struct nn_group_cache;
struct nn_copies;
struct nn_settle;

/* Who this namespace is; made at first start. */
struct nn_identity {
    char cluster_id[64];        /* "CID-<uuid>" */
    char pool_id[128];          /* "BP-<n>-<ip>-<ms>" */
    uint32_t namespace_id;
    uint64_t created_ms;
};

/* Where users' groups come from: getgrouplist, or a test's table.  Called on the core and on readers, through groups.h. */
struct nn_groups {
    /* Call on_group for each group of user, the primary one first. */
    void (*each)(const struct nn_groups *g, const char *user, void (*on_group)(void *arg, const char *group), void *arg);
};
const struct nn_groups *nn_groups_system(void);

/* How a call is ended; rpc_reply and friends, or a test's. */
struct nn_answer {
    void (*reply)(struct rpc_call *call);
    void (*encoded)(struct rpc_call *call, const void *reply, size_t n);
    void (*fail)(struct rpc_call *call, const struct why *why);
};

struct nn_options {
    const struct conf *conf;            /* copied */
    const struct nn_groups *groups;     /* NULL: the system's */
    const struct nn_answer *answer;     /* NULL: the RPC server's */
    const char *superuser;              /* short name of the user that runs the NameNode; copied */
};

struct nn {
    const struct world *world;
    struct conf conf;
    const struct nn_groups *groups;
    struct nn_group_cache *group_cache; /* groups.h; has a lock of its own */
    const struct nn_answer *answer;
    char *superuser;
    char *dir, *db_path, *reserve_path;
    int lock_fd;                        /* -1: none */
    struct sqlvfs *vfs;
    struct nn_copies *copies;           /* copies.h */
    struct nn_settle *settle;           /* settle.h; has a lock of its own */
    bool left_behind;                   /* a thread of it is stuck: what it uses is not freed */
    struct nn_identity id;
    nn_dirs_number dirs;                /* any thread */
    struct queue *core_queue, *read_queue;
    struct mutex *lock;
    struct nn_snapshot *snapshot;       /* under lock */
    bool failed;                        /* under lock */
    struct nn_core *core;
    struct thread *core_thread;
    struct nn_reader *readers;
    size_t reader_count;
    struct rpc_server *server;
    struct nn_metrics metrics;          /* what the threads count; any thread */
};

/* Open the state directory and the database, creating both at first start; no threads yet. */
enum rc nn_open(const struct world *w, const struct nn_options *o, struct nn **ret, struct why *why) MUST_CHECK;

/* Start the threads, and the RPC server at conf's address.  *ret_at: as bound. */
enum rc nn_serve(struct nn *nn, struct net_addr *ret_at, struct why *why) MUST_CHECK;

/* Ends what nn_serve started: calls taken are carried out and answered. */
void nn_stop(struct nn *nn);
void nn_free(struct nn *nn);

/* The outcome of a COMMIT is unknown, or the database cannot be read: the process must end and start again. */
bool nn_has_failed(struct nn *nn);
void nn_set_failed(struct nn *nn);

/* Hand over a decoded call; any thread; takes it. */
void nn_submit(struct nn *nn, struct rpc_call *call);

#endif
