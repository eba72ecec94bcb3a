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

enum rc nn_change_apply(struct nn_core *core, struct nn_storage *s, const DnChange *change, struct why *why) MUST_CHECK;

/* Which ranges differ; none: the storage is confirmed. */
enum rc nn_report_hashes(struct nn_core *core, struct nn_storage *s, const DnReportHashesRequest *req, struct arena *arena,
                         DnReportHashesReply *ret, struct why *why) MUST_CHECK;
enum rc nn_report_range(struct nn_core *core, struct nn_storage *s, const DnReportRangeRequest *req, struct arena *arena,
                        struct why *why) MUST_CHECK;

/* A client or a DataNode found it corrupt. */
enum rc nn_replica_is_corrupt(struct nn_core *core, struct nn_storage *s, struct block_id block, uint64_t stamp,
                              const char *said_by, struct why *why) MUST_CHECK;

#endif
