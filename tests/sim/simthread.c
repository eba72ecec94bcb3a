/*
 * simthread -- struct threads and struct clock of a simulated node.
 */
#include "core/base/check.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/simworld.h"

#define WALL_START_MS UINT64_C(1767225600000)   /* 2026-01-01 */

static struct sim *sim_of_threads(struct threads *t) { return CONTAINER_OF(t, struct sim_node, threads)->sim; }

/* Time, chance. */

uint64_t
sim_deadline(const struct sim_node *n, uint64_t mono_ms)
{
    uint64_t offset = n->mono_offset_us;

    if (mono_ms >= (FOREVER >> 1) / 1000)
        return FOREVER;
    return mono_ms * 1000 < offset ? 0 : mono_ms * 1000 - offset;
}

uint64_t
sim_clock_mono(struct clock *c)
{
    struct sim_node *n = CONTAINER_OF(c, struct sim_node, clock);

    return ++n->sim->now_us + n->mono_offset_us;    /* asking takes time, so that no loop asks for ever */
}

uint64_t
sim_clock_wall(struct clock *c)
{
    const struct sim_node *n = CONTAINER_OF(c, struct sim_node, clock);

    return WALL_START_MS + n->sim->now_us / 1000 + (uint64_t)n->machine->wall_offset_ms;
}

/* struct threads. */

struct mutex {
    struct thread *owner;
    struct sim_waitq waiters;
};

struct cond {
    struct sim_waitq waiters;
};

static enum rc
t_spawn(struct threads *ts, const char *name, void (*fn)(void *arg), void *arg, struct thread **ret, struct why *why UNUSED)
{
    sim_point(sim_of_threads(ts), SIM_POINT_LOCK);
    *ret = sim_fiber_new(CONTAINER_OF(ts, struct sim_node, threads), name, fn, arg);
    return RC_OK;
}

static void
t_join(struct threads *ts, struct thread *t)
{
    struct sim *s = sim_of_threads(ts);

    sim_point(s, SIM_POINT_LOCK);
    CHECK(!t->is_detached);
    while (t->state != FIBER_DONE)
        (void)sim_wait(s, &t->joiners, FOREVER, "join");    /* nothing but the end wakes it */
    sim_fiber_free(s, t);
}

static void
t_detach(struct threads *ts, struct thread *t)
{
    sim_point(sim_of_threads(ts), SIM_POINT_LOCK);
    t->is_detached = true;
    if (t->state == FIBER_DONE)
        sim_fiber_free(sim_of_threads(ts), t);
}

static struct mutex *t_mutex_new(struct threads *ts UNUSED) { return mem_zalloc(sizeof(struct mutex)); }

static void
t_mutex_free(struct threads *ts UNUSED, struct mutex *m)
{
    if (m == NULL)
        return;
    CHECK(m->owner == NULL && m->waiters.head == NULL);
    mem_free(m);
}

static void
mutex_take(struct sim *s, struct mutex *m)
{
    CHECK(m->owner != s->running);
    while (m->owner != NULL)
        (void)sim_wait(s, &m->waiters, FOREVER, "mutex");   /* looked at again above */
    m->owner = s->running;
}

static void
mutex_give(struct sim *s, struct mutex *m)
{
    CHECK(m->owner == s->running);
    m->owner = NULL;
    sim_wake_one(s, &m->waiters);
}

static void
t_lock(struct threads *ts, struct mutex *m)
{
    sim_point(sim_of_threads(ts), SIM_POINT_LOCK);
    mutex_take(sim_of_threads(ts), m);
}

static void
t_unlock(struct threads *ts, struct mutex *m)
{
    mutex_give(sim_of_threads(ts), m);
    sim_point(sim_of_threads(ts), SIM_POINT_LOCK);
}

static struct cond *t_cond_new(struct threads *ts UNUSED) { return mem_zalloc(sizeof(struct cond)); }

static void
t_cond_free(struct threads *ts UNUSED, struct cond *c)
{
    if (c == NULL)
        return;
    CHECK(c->waiters.head == NULL);
    mem_free(c);
}

static bool
t_wait(struct threads *ts, struct cond *c, struct mutex *m, uint64_t deadline_ms)
{
    struct sim_node *n = CONTAINER_OF(ts, struct sim_node, threads);
    bool in_time;

    mutex_give(n->sim, m);
    in_time = sim_wait(n->sim, &c->waiters, sim_deadline(n, deadline_ms), "condition");
    sim_point(n->sim, SIM_POINT_LOCK);
    mutex_take(n->sim, m);
    return in_time;
}

static void
t_signal(struct threads *ts, struct cond *c)
{
    sim_wake_one(sim_of_threads(ts), &c->waiters);
}

static void
t_broadcast(struct threads *ts, struct cond *c)
{
    sim_wake_all(sim_of_threads(ts), &c->waiters);
}

static void
t_sleep_until(struct threads *ts, uint64_t deadline_ms)
{
    struct sim_node *n = CONTAINER_OF(ts, struct sim_node, threads);

    sim_point(n->sim, SIM_POINT_LOCK);
    (void)sim_wait(n->sim, NULL, sim_deadline(n, deadline_ms), "sleep");    /* only time ends it */
}

static void
t_yield(struct threads *ts)
{
    sim_point(sim_of_threads(ts), SIM_POINT_LOCK);
    sim_reschedule(sim_of_threads(ts));
}

const struct threads_ops sim_threads_ops = {
    .spawn = t_spawn,
    .join = t_join,
    .detach = t_detach,
    .mutex_new = t_mutex_new,
    .mutex_free = t_mutex_free,
    .lock = t_lock,
    .unlock = t_unlock,
    .cond_new = t_cond_new,
    .cond_free = t_cond_free,
    .wait = t_wait,
    .signal = t_signal,
    .broadcast = t_broadcast,
    .sleep_until = t_sleep_until,
    .yield = t_yield,
};
