#include "jobtracker/sched.h"

#include <string.h>

#define FAILURES_MAX 3              /* of one job on one tracker */

static bool
failed_on(const struct jt_task *task, const struct jt_tracker *t)
{
    const struct jt_attempt *a;

    DL_FOREACH(task->attempts, a)
        if (a->state == ATTEMPT_FAILED && a->tracker == t)
            return true;
    return false;
}

/* May task run on t, as far as its own failures go? */
static bool
is_welcome(const struct jt_task *task, struct jt_tracker *trackers, const struct jt_tracker *t)
{
    const struct jt_tracker *other;

    if (task->failures == 0 || !failed_on(task, t))
        return true;
    for (other = trackers; other != NULL; other = other->hh.next)
        if (jt_tracker_is_alive(other) && !failed_on(task, other))
            return false;
    return true;
}

/* The job keeps failing on t, and there are enough trackers where it does not. */
static bool
is_set_aside(const struct jt_job *j, struct jt_tracker *trackers, const struct jt_tracker *t)
{
    const struct jt_tracker *other;
    size_t live = 0, bad = 0;

    if (jt_job_failures_on(j, t) < FAILURES_MAX)
        return false;
    for (other = trackers; other != NULL; other = other->hh.next)
        if (jt_tracker_is_alive(other)) {
            live++;
            bad += jt_job_failures_on(j, other) >= FAILURES_MAX;
        }
    return 2 * bad < live;
}

/* A live machine has what the task reads in memory. */
static bool
is_kept(const struct jt_task *task)
{
    return task->kept != NULL && task->kept->live_count > 0;
}

/* A live machine that holds the task's input and on which it has not failed. */
static bool
has_home(const struct jt_task *task, const struct jt_place *except)
{
    if (is_kept(task))
        return true;
    for (size_t i = 0; i < task->home_count; i++)
        if (task->homes[i] != except && task->homes[i]->live_count > 0)
            return true;
    return false;
}

static enum jt_locality
locality_of(const struct jt_task *task, const struct jt_place *place)
{
    enum jt_locality best = LOCALITY_ANY;

    if (is_kept(task))
        return task->kept == place ? LOCALITY_NODE : LOCALITY_RACK;
    for (size_t i = 0; i < task->home_count; i++) {
        if (task->homes[i] == place)
            return LOCALITY_NODE;
        if (place->rack[0] != '\0' && strcmp(task->homes[i]->rack, place->rack) == 0)
            best = LOCALITY_RACK;
    }
    return best;
}

static bool
pick_map(struct jt_job *j, struct jt_tracker *trackers, const struct jt_tracker *t, uint64_t now_ms,
         struct jt_choice *ret, uint64_t *wake_ms)
{
    uint64_t wait = j->spec->locality_wait_ms;
    struct jt_task *task;
    bool found = false;

    DL_FOREACH(j->pending_maps, task) {
        enum jt_locality l;
        uint64_t from;

        if (!is_welcome(task, trackers, t))
            continue;
        l = locality_of(task, t->place);
        if (l == LOCALITY_NODE) {
            *ret = (struct jt_choice){ task, l };
            return true;
        }
        if (found && l >= ret->locality)
            continue;
        /* A retry does not wait: it had its turn at home. */
        from = task->failures > 0 || !has_home(task, t->place) ? 0
               : task->pending_ms + (is_kept(task) ? task->kept_wait_ms : l == LOCALITY_RACK ? wait : 2 * wait);
        if (from > now_ms) {
            if (from < *wake_ms)
                *wake_ms = from;
            continue;
        }
        *ret = (struct jt_choice){ task, l };
        found = true;
    }
    return found;
}

static bool
pick_reduce(struct jt_job *j, struct jt_tracker *trackers, const struct jt_tracker *t, struct jt_choice *ret)
{
    struct jt_task *task;

    if (!jt_job_reduces_may_start(j))
        return false;
    DL_FOREACH(j->pending_reduces, task)
        if (is_welcome(task, trackers, t)) {
            *ret = (struct jt_choice){ task, LOCALITY_NONE };
            return true;
        }
    return false;
}

/*
 * What writes output does so below the job's work directory, and only when that is there: so an attempt that
 * everybody thinks lost cannot bring it back after it was cleaned up.
 */
static bool
has_place_for_output(const struct jt_job *j, bool is_map)
{
    return j->prepared || j->spec->results || (is_map && j->reduce_count != 0);
}

bool
jt_sched_pick(struct jt_job *jobs, struct jt_tracker *trackers, const struct jt_tracker *t, bool is_map, uint64_t now_ms,
              struct jt_choice *ret, uint64_t *wake_ms)
{
    struct jt_job *j;

    DL_FOREACH(jobs, j) {
        if (j->state != JOB_RUNNING || is_set_aside(j, trackers, t) || !has_place_for_output(j, is_map))
            continue;
        if (is_map ? pick_map(j, trackers, t, now_ms, ret, wake_ms) : pick_reduce(j, trackers, t, ret))
            return true;
    }
    return false;
}
