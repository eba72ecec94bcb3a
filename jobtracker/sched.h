/*
 * sched -- which task a free slot takes.
 *
 * Plain functions of jobs and trackers: no clock, no I/O, nothing is changed.
 */
#ifndef JOBTRACKER_SCHED_H
#define JOBTRACKER_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "jobtracker/job.h"

struct jt_choice {
    struct jt_task *task;
    enum jt_locality locality;
};

/*
 * The map or reduce that tracker t, which has a free slot, is to run.  jobs are in order of priority and age.  A map
 * goes to a node with its input; after its job's locality wait to a node of the same rack; after twice that, or when no
 * node with its input is alive, anywhere.  A task that failed on t goes there again only if no other tracker is left.
 * A tracker on which three attempts of a job failed gets no more of it, as long as most of the trackers are not like
 * that.  Of the live trackers in order of name a job with trackers_max has the first so many, as if there were no
 * others.  false: none now; *wake_ms is lowered to the time (mono) at which one that waits may be had.
 */
bool jt_sched_pick(struct jt_job *jobs, struct jt_tracker *trackers, const struct jt_tracker *t, bool is_map,
                   uint64_t now_ms, struct jt_choice *ret, uint64_t *wake_ms);

#endif
