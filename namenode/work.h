/*
 * work -- blocks that need something, copies on their way, deletions ordered.
 *
 * Owns three tables in memory, which a sweep of all blocks fills again after a
 * restart; deletions that an earlier group ordered outlive a group that is
 * undone.  The blocks with the fewest good replicas come first; within a
 * bucket they take turns.  Core thread only.
 */
#ifndef NAMENODE_WORK_H
#define NAMENODE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/proto/ids.h"
#include "namenode/node.h"

enum nn_need {
    NEED_COPY = 1,              /* fewer good replicas than wanted, and one to copy from */
    NEED_TRIM = 2,              /* replicas that may go */
    NEED_LOW = 4,               /* counted as under-replicated */
    NEED_MISSING = 8,           /* no replica is left that is good, or may be */
    NEED_MISSING_ONE = 16,      /* the same, of a block that has one replica only */
    NEED_CORRUPT = 32,          /* some replica is corrupt */
};

struct nn_work;

struct nn_work_counts { uint64_t low, missing, missing_one, corrupt, urgent, deleting, copying; };

enum rc nn_work_new(struct nn_work **ret, struct why *why) MUST_CHECK;
void nn_work_free(struct nn_work *w);
struct nn_work_counts nn_work_counts(const struct nn_work *w);

/* What block needs (bits of nn_need; 0: nothing) when it has `good` good replicas. */
enum rc nn_work_set(struct nn_work *w, struct block_id block, unsigned need, unsigned good, struct why *why) MUST_CHECK;
unsigned nn_work_need(const struct nn_work *w, struct block_id block);

/*
 * Take up to max blocks whose turn it is (NEED_COPY, NEED_TRIM), fewest good
 * replicas first; each goes to the end of its bucket.
 */
size_t nn_work_turns(struct nn_work *w, struct block_id *ret, size_t max);
/* The blocks that need something of mask, in no order; up to max. */
size_t nn_work_list(const struct nn_work *w, unsigned mask, struct block_id *ret, size_t max);

/* A copy from a node to a storage; counts in from->copying until it is confirmed, failed or too old.  from is NULL for a
 * replica that a pipeline which has just ended still has to report. */
enum rc nn_copy_add(struct nn_work *w, struct block_id block, struct nn_node *from, struct nn_storage *to,
                    uint64_t deadline_ms, struct why *why) MUST_CHECK;
/* Forget copies of block to that node; false if there was none. */
bool nn_copy_done(struct nn_work *w, struct block_id block, const struct nn_node *to);
/* Forget the copies of block that were ordered from that node. */
bool nn_copy_failed(struct nn_work *w, struct block_id block, const struct nn_node *from);
/* The nodes that copies of block go to, up to max. */
size_t nn_copy_targets(const struct nn_work *w, struct block_id block, struct nn_node **ret, size_t max);
/* Forget a copy whose deadline has passed, or that involves a node that is gone; 0 when there is none. */
struct block_id nn_copy_expire(struct nn_work *w, uint64_t now_ms);
struct block_id nn_copy_drop_node(struct nn_work *w, const struct nn_node *n);

/* The open group is on disk: its orders go out, and deletions that it was told of are done. */
void nn_work_committed(struct nn_work *w);
/* The open group was undone: nothing is known any more of needs, copies, and deletions that were ordered in it and never
 * went out.  Deletions ordered before stay, as they may have been carried out, also those that this group was told of: who
 * told it tells it again.  All of them are late now. */
void nn_work_undone(struct nn_work *w);

/*
 * A deletion that has been ordered.  It stays so until its DataNode says that it was carried out or failed, or
 * registers again: one that is late may have been carried out, and another replica must not go in its place.
 */
struct nn_drop {
    struct block_id block;
    uint64_t stamp, keep_ms;    /* of the order */
    uint32_t storage;
    uint64_t seq;               /* the order's number at the storage's node */
};
enum rc nn_drop_add(struct nn_work *w, const struct nn_drop *drop, uint64_t deadline_ms, struct why *why) MUST_CHECK;
/* Is the replica with this stamp to go?  An order for an older stamp does not touch it. */
bool nn_drop_is_ordered(const struct nn_work *w, struct block_id block, uint32_t storage, uint64_t stamp);
bool nn_drop_done(struct nn_work *w, struct block_id block, uint32_t storage);
/* Order seq of the storage's node failed; false when that is not the order given last for this deletion. */
bool nn_drop_failed(struct nn_work *w, struct block_id block, uint32_t storage, uint64_t seq);
/* One whose deadline has passed, to be ordered once more; its deadline becomes again_ms.  False: there is none. */
bool nn_drop_late(struct nn_work *w, uint64_t now_ms, uint64_t again_ms, struct nn_drop *ret);
void nn_drop_storage(struct nn_work *w, uint32_t storage);         /* its node registered again */

#endif
