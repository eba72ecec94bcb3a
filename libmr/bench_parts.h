/*
 * bench_parts -- where a run's time went: plain functions of when its attempts ran.
 *
 * A run is one job, or those of a driver.  A job has two phases: of the maps, from its submission to the end of the
 * last map, on the map slots of its nodes; of the reduces, from there to the end of the last reduce, on their reduce
 * slots.  Each moment of each slot is in exactly one part, and a part is given as time: slot-seconds divided by the
 * phase's slots.  So the parts of a run sum to its completion time.
 *
 *   client      before the first job, between two, and after the last: input is cut into splits, the driver computes
 *   start-up    all slots from submission to the first attempt; later a slot between two of its attempts; an attempt from
 *               its being given to a node until it ran in a process there
 *   map         a map ran that counted
 *   shuffle     a reduce that counted ran and had not all its input yet; what of it fell into the maps' phase cost no time
 *   reduce      a reduce that counted ran after that
 *   barrier     a slot had no task any more, the phase went on, and half of the slots that had one were still busy
 *   straggler   the same after that half: the wait for the last attempts
 *   redone      attempts that failed, were killed, or whose output was lost
 *   commit      from the last attempt's end to the job's
 *
 * A slot that never had a task, as there were fewer of them than slots, waits at the barrier throughout.
 */
#ifndef LIBMR_BENCH_PARTS_H
#define LIBMR_BENCH_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

enum bench_part {
    BENCH_CLIENT, BENCH_START, BENCH_MAP, BENCH_SHUFFLE, BENCH_REDUCE, BENCH_BARRIER, BENCH_STRAGGLER, BENCH_REDONE,
    BENCH_COMMIT, BENCH_PARTS
};
extern const char *const bench_part_names[BENCH_PARTS];

struct bench_attempt {
    bool is_map;
    bool counted;                   /* its task's result is what it made */
    const char *id, *node;          /* borrowed */
    uint64_t started_ms, ended_ms;
    uint64_t run_ms;                /* the last part of its time, in its process; before that it was started */
    uint64_t shuffle_ms;            /* the first part of run_ms: a reduce that had not all its input yet */
};

struct bench_job {
    uint64_t submitted_ms, finished_ms;
    const struct bench_attempt *attempts;
    size_t count;
    uint32_t slots[2];              /* [is_map]; more if more attempts ran at one time */
};

/* The attempt that the others waited for most: the last of its phase. */
struct bench_straggler {
    char id[96], node[96];          /* id "": none */
    bool is_map;
    double ms, median_ms;           /* it took; the median of its kind took */
    double cost_ms;                 /* the straggler part of its phase */
};

struct bench_run {
    double total_ms;
    double part_ms[BENCH_PARTS];
    uint32_t jobs, attempts;
    struct bench_straggler straggler;
};

/* Add a job that has succeeded to the run, which begins as zeroes.  RC_NOMEM. */
enum rc bench_add_job(struct bench_run *r, const struct bench_job *j) MUST_CHECK;

/* The run took total_ms: the client's part is what the jobs leave of it. */
void bench_end(struct bench_run *r, double total_ms);

/* The run of n (at least one) with the median time, the lower of two: sorts them. */
const struct bench_run *bench_median(struct bench_run *runs, size_t n);

#endif
