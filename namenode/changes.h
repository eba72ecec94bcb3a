/*
 * changes -- what DataNodes report of their replicas, applied to the roster.
 *
 * A change is applied unless a later one of the same block on the same storage
 * already was; a report leaves alone the blocks that changed after it was made.
 * Memory only.  A replica whose block the namespace does not know is set aside,
 * or deleted when its block is known to have been deleted.
 */
#ifndef NAMENODE_CHANGES_H
#define NAMENODE_CHANGES_H

#include "core/base/arena.h"
#include "core/proto/datanode.pb-c.h"
#include "namenode/core.h"
#include "namenode/node.h"
#include "namenode/replica.h"
#include "namenode/report.h"

enum rc nn_change_apply(struct nn_core *core, struct nn_storage *s, const DnChange *change, struct why *why) MUST_CHECK;

enum rc nn_report_range(struct nn_core *core, struct nn_storage *s, const DnReportRangeRequest *req, struct arena *arena,
                        struct why *why) MUST_CHECK;

/* Have the storage compare its replica with the checksums: it says RECEIVED when it is good. */
enum rc nn_replica_verify(struct nn_storage *s, struct block_id block, uint64_t stamp, struct why *why) MUST_CHECK;

/* A client found it corrupt: it counts as that until its storage has verified it. */
enum rc nn_replica_is_corrupt(struct nn_core *core, struct nn_storage *s, struct block_id block, uint64_t stamp,
                              const char *said_by, struct why *why) MUST_CHECK;

/* ---- full reports: hashing.c ---- */

/* Takes the call: it is answered when all of the roster has passed by, once for all storages that ask meanwhile. */
enum rc nn_report_hashes(struct nn_core *core, struct nn_storage *s, struct rpc_call *call, const DnReportHashesRequest *req,
                         struct why *why) MUST_CHECK;
/* Its node registered again, or died. */
void nn_hashing_drop(struct nn_core *core, struct nn_storage *s);
/* The call that waits, which is the caller's now; NULL if there is none. */
struct rpc_call *nn_hashing_take(struct nn_storage *s);

/* RC_BUSY when too much has changed since. */
enum rc nn_report_check(const struct nn_storage *s, uint64_t seq, struct why *why) MUST_CHECK;
void nn_storage_confirm(struct nn_core *core, struct nn_storage *s);
struct nn_held nn_held_of(struct block_id block, const struct nn_replica *r);

#endif
