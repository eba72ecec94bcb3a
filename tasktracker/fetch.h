/*
 * fetch -- a reduce's side of the shuffle.
 *
 * Some threads take, from wherever the JobTracker says, the attempt's part of every
 * map output, in any order; those that are on this tracker are not copied.  An
 * output that cannot be had is reported and tried again until the JobTracker names
 * another place.
 */
#ifndef TASKTRACKER_FETCH_H
#define TASKTRACKER_FETCH_H

#include "tasktracker/tt_priv.h"

struct fetch;

struct fetched {
    uint32_t map;
    int fd;                         /* the taker closes it */
    uint64_t at, bytes;
    struct fetched *next;
};

enum rc fetch_start(struct tt_attempt *a, uint32_t map_count, uint32_t threads, struct fetch **ret, struct why *why) MUST_CHECK;
void fetch_stop(struct fetch *f);           /* and free; not under the lock */

/*
 * The next segment: true and *ret, which the caller frees (mem_free), or true and
 * NULL after the last; false when none is there now: a->wake is rung when one
 * comes.  *ret_rc is not RC_OK when there is no going on.
 */
bool fetch_next(struct fetch *f, struct fetched **ret, enum rc *ret_rc, struct why *why);

#endif
