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

/* The trackers that a job may use. */
struct pool {
    struct jt_tracker *all;
    const struct jt_tracker *last;      /* of them in order of name; NULL: all are the job's */
};

static int
by_name(const struct jt_tracker *a, const struct jt_tracker *b)
{
    int c = strcmp(a->place->name, b->place->name);

    if (c == 0 && (c = strcmp(a->host, b->host)) == 0 && a->shuffle_port != b->shuffle_port)
        c = a->shuffle_port < b->shuffle_port ? -1 : 1;
    return c != 0 ? c : strcmp(a->uuid, b->uuid);
}

static struct pool
pool_of(const struct jt_job *j, struct jt_tracker *trackers)
{
    struct pool p = { trackers, NULL };

    for (uint32_t i = 0; i < j->spec->trackers_max; i++) {
        const struct jt_tracker *t, *next = NULL;

        for (t = trackers; t != NULL; t = t->hh.next)
            if (jt_tracker_is_alive(t) && (p.last == NULL || by_name(t, p.last) > 0) &&
                (next == NULL || by_name(t, next) < 0))
                next = t;
        if (next == NULL)
            break;
        p.last = next;
    }
    return p;
}

static bool
is_usable(const struct pool *p, const struct jt_tracker *t)
{
    return jt_tracker_is_alive(t) && (p->last == NULL || by_name(t, p->last) <= 0);
}

/* May task run on t, as far as its own failures go? */
static bool
is_welcome(const struct jt_task *task, const struct pool *p, const struct jt_tracker *t)
{
    const struct jt_tracker *other;

    if (task->failures == 0 || !failed_on(task, t))
        return true;
    for (other = p->all; other != NULL; other = other->hh.next)
        if (is_usable(p, other) && !failed_on(task, other))
            return false;
    return true;
}

/* The job keeps failing on t, and there are enough trackers where it does not. */
static bool
is_set_aside(const struct jt_job *j, const struct pool *p, const struct jt_tracker *t)
{
    const struct jt_tracker *other;
    size_t live = 0, bad = 0;

    if (jt_job_failures_on(j, t) < FAILURES_MAX)
        return false;
    for (other = p->all; other != NULL; other = other->hh.next)
        if (is_usable(p, other)) {
            live++;
            bad += jt_job_failures_on(j, other) >= FAILURES_MAX;
        }
    return 2 * bad < live;
}

static bool
is_usable_place(const struct pool *p, const struct jt_place *place)
{
    const struct jt_tracker *t;

    if (p->last == NULL)
        return place->live_count > 0;
    for (t = p->all; t != NULL; t = t->hh.next)
        if (t->place == place && is_usable(p, t))
            return true;
    return false;
}

/* A machine that may run the task has what it reads in memory. */
static bool
is_kept(const struct jt_task *task, const struct pool *p)
{
    return task->kept != NULL && is_usable_place(p, task->kept);
}

/* Another machine that holds the task's input and may run it. */
static bool
has_home(const struct jt_task *task, const struct pool *p, const struct jt_place *except)
{
    if (is_kept(task, p))
        return true;
    for (size_t i = 0; i < task->home_count; i++)
        if (task->homes[i] != except && is_usable_place(p, task->homes[i]))
            return true;
    return false;
}

static enum jt_locality
locality_of(const struct jt_task *task, const struct pool *p, const struct jt_place *place)
{
    enum jt_locality best = LOCALITY_ANY;

    if (is_kept(task, p))
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
pick_map(struct jt_job *j, const struct pool *p, const struct jt_tracker *t, uint64_t now_ms,
         struct jt_choice *ret, uint64_t *wake_ms)
{
    uint64_t wait = j->spec->locality_wait_ms;
    struct jt_task *task;
    bool found = false;

    DL_FOREACH(j->pending_maps, task) {
        enum jt_locality l;
        uint64_t from;

        if (!is_welcome(task, p, t))
            continue;
        l = locality_of(task, p, t->place);
        if (l == LOCALITY_NODE) {
            *ret = (struct jt_choice){ task, l };
            return true;
        }
        if (found && l >= ret->locality)
            continue;
        /* A retry does not wait: it had its turn at home. */
        from = task->failures > 0 || !has_home(task, p, t->place) ? 0
               : task->pending_ms + (is_kept(task, p) ? task->kept_wait_ms : l == LOCALITY_RACK ? wait : 2 * wait);
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
pick_reduce(struct jt_job *j, const struct pool *p, const struct jt_tracker *t, struct jt_choice *ret)
{
    struct jt_task *task;

    if (!jt_job_reduces_may_start(j))
        return false;
    DL_FOREACH(j->pending_reduces, task)
        if (is_welcome(task, p, t)) {
            *ret = (struct jt_choice){ task, LOCALITY_NONE };
            return true;
        }
    return false;
}

/*
 * What writes output does so below the job's work directory, and only when that is there: so an attempt that
 * everybody thinks lost cannot bring it back after it was cleaned up.  While it is made for the first time tasks go
 * out: a tracker that is there sooner waits a moment.
 */
static bool
has_place_for_output(const struct jt_job *j, bool is_map)
{
    return j->prepared || !j->is_tried_again || !jt_job_writes_output(j, is_map);
}

bool
jt_sched_pick(struct jt_job *jobs, struct jt_tracker *trackers, const struct jt_tracker *t, bool is_map, uint64_t now_ms,
              struct jt_choice *ret, uint64_t *wake_ms)
{
    struct jt_job *j;

    DL_FOREACH(jobs, j) {
        struct pool p;

        if (j->state != JOB_RUNNING || !has_place_for_output(j, is_map))
            continue;
        p = pool_of(j, trackers);
        if (!is_usable(&p, t) || is_set_aside(j, &p, t))
            continue;
        if (is_map ? pick_map(j, &p, t, now_ms, ret, wake_ms) : pick_reduce(j, &p, t, ret))
            return true;
    }
    return false;
}
