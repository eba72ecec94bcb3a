/*
 * core -- the core thread: all soft state and the only writing connection.
 *
 * It takes what is queued as one group: BEGIN, each call in order, the group's
 * log row, COMMIT, and when that is on the disk (settle.h) every reply of the
 * group, refusals too: a refusal may rest on something not yet durable (INV-1 of
 * docs/ARCHITECTURE.md).  What is queued meanwhile is the next group.  Between groups it checkpoints and runs what is due of periodic.h.
 *
 * After an error that ended the whole transaction (a full disk, also at the
 * COMMIT) no edit of the group was done: all its calls get a retriable error,
 * soft state is read again from the tables.  After any other failed COMMIT
 * nobody is answered and the NameNode stops (nn_set_failed; INV-4).
 */
#ifndef NAMENODE_CORE_H
#define NAMENODE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/rpc/server.h"
#include "namenode/db.h"
#include "namenode/nn.h"

struct nn_leases;
struct nn_retry;
struct nn_blocks;
struct nn_group;
struct nn_edit;

/* Numbers to give out next; durable through EDIT_COUNTERS at the end of each group that used some. */
struct nn_counters {
    uint64_t inode, block, stamp;
};

struct nn_core {
    struct nn *nn;
    struct nn_db db;
    struct nn_counters next;
    uint64_t txid;                  /* last committed */
    struct nn_leases *leases;       /* lease.h */
    struct nn_blocks *blocks;       /* blocks and DataNodes: blockmap.h */
    struct nn_retry *retry;         /* retry.h */
    struct nn_group *group;         /* the open one */
    uint64_t *due_us;               /* when each row of the periodic table runs next (mono) */
    bool disk_full;                 /* only deletes are admitted */
    bool safe_mode;                 /* only reads and RPC_IN_SAFE_MODE calls are admitted; set by blocks */
    bool snapshot_stale;            /* soft state that readers see has changed in this group */
};

/* What is on the core's queue: a call, or a function posted by another thread. */
typedef enum rc nn_post_fn(struct nn_core *core, void *arg, struct why *why);

struct nn_post {
    struct rpc_call *call;
    nn_post_fn *fn;
    void *arg;
};

/* The writing connection; then, once the database has its tables, soft state. */
enum rc nn_core_new(struct nn *nn, struct nn_core **ret, struct why *why) MUST_CHECK;
enum rc nn_core_format(struct nn_core *core, const struct nn_edit *e, struct why *why) MUST_CHECK;     /* the first transaction */
enum rc nn_core_load(struct nn_core *core, struct why *why) MUST_CHECK;
void nn_core_free(struct nn_core *core);

/* The process did not run for ms: a silence of that long says nothing about DataNodes and writers. */
void nn_core_woke(struct nn_core *core, uint64_t ms);

void nn_core_run(void *core);       /* the thread; until nn->core_queue is stopped and empty, or it failed */

/* One group: posts[0..n) in order, then what is due.  Calls are ended. */
void nn_core_group(struct nn_core *core, struct nn_post **posts, size_t n);

/* After the RPC server has closed its connections: let go of calls that a failed COMMIT left without an answer, and
 * of what is still queued. */
void nn_core_abandon(struct nn_core *core);

/* Run fn(core, arg) on the core thread inside a group; its edits are undone when it fails.  Any thread.
 * RC_BUSY, RC_STOPPED, RC_NOMEM: it will not run. */
enum rc nn_core_post(struct nn *nn, nn_post_fn *fn, void *arg) MUST_CHECK;

/*
 * End a held call (RPC_WAIT) with its reply, when the group that is open has
 * committed; or with why when rc is not RC_OK.  Takes the call.
 */
void nn_core_release(struct nn_core *core, struct rpc_call *call, enum rc rc, const struct why *why);

/* For nn_edit_apply: open the savepoint of the call that runs, unless its only edit is `last`; add an applied edit to the group's log row. */
enum rc nn_group_open_call(struct nn_core *core, bool last, struct why *why) MUST_CHECK;
void nn_group_add(struct nn_core *core, const struct nn_edit *e);

uint64_t nn_core_now_ms(const struct nn_core *core);        /* wall */
uint64_t nn_core_mono_ms(const struct nn_core *core);

#endif
