#include "tests/sim/workers.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "tasktracker/worker.h"
#include "tests/sim/jobcode.h"
#include "tests/sim/simpipes.h"

/* In the worker. */
struct self {
    struct worker_self worker;
    struct worker_slot *slot;
};

/* Attempts take their time now and then, so that things happen while they run. */
static void
dawdle(struct self *self)
{
    const struct world *w = sim_node_world(self->slot->node);
    uint64_t ms = rng_below(w->rng, 4) != 0 ? rng_below(w->rng, 30) : rng_below(w->rng, rng_below(w->rng, 5) == 0 ? 8000 : 1000);

    thread_sleep_until(w->threads, clock_deadline(w->clock, ms));
}

static enum rc
w_prepare(struct worker_self *worker, const TkSpec *spec, int so_fd, int log_fd, const struct mr_job **job, struct why *why)
{
    struct self *self = CONTAINER_OF(worker, struct self, worker);
    char line[100];
    uint8_t *code;
    size_t n;
    enum rc rc;

    dawdle(self);
    (void)snprintf(line, sizeof line, "%s %u begins\n", spec->id->is_map ? "map" : "reduce", spec->id->index);
    if ((rc = pipes_write(worker->pipes, log_fd, line, strlen(line), why)) != RC_OK || *job != NULL)
        return rc;
    if ((rc = pipes_memory_read(worker->pipes, so_fd, 1000, &code, &n, why)) != RC_OK)
        return rc;
    *job = jobcode_find(code, n);
    mem_free(code);
    return *job != NULL ? RC_OK : why_set(why, RC_BAD_JOB, "no such job is linked in");
}

static void
w_flush(struct worker_self *worker)
{
    dawdle(CONTAINER_OF(worker, struct self, worker));
}

/* This process ends here. */
static NORETURN void
w_leave(struct worker_self *worker, int status)
{
    struct self *self = CONTAINER_OF(worker, struct self, worker);
    const struct world *w = sim_node_world(self->slot->node);

    self->slot->status = status << 8;
    sim_node_crash_at(self->slot->node, SIM_POINT_ANY, 1, SIM_KILL);
    for (;;)
        thread_yield(w->threads);
}

static const struct worker_ops worker_ops = { .prepare = w_prepare, .flush = w_flush, .leave = w_leave };

static void
worker_run_here(void *arg)
{
    struct worker_slot *slot = arg;
    const struct world *w = sim_node_world(slot->node);
    struct self self = { .worker = { &worker_ops, w->io, w->clock, sim_node_pipes(slot->node) }, .slot = slot };

    worker_main(&self.worker, slot->sock);
}

/* In the tracker. */

static struct workers *of_crew(struct crew *c) { return CONTAINER_OF(c, struct workers, crew); }

static struct worker_slot *
slot_free(struct workers *all)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        struct worker_slot *slot = &all->slots[i];
        char name[32];

        if (slot->node == NULL) {
            (void)snprintf(name, sizeof name, "%s-w%u", sim_node_name(all->tracker), i);
            slot->all = all;
            slot->node = sim_node_new_on(all->tracker, all->tracker, name);
        }
        if (!slot->is_held && !sim_node_is_up(slot->node))
            return slot;
    }
    return NULL;
}

static enum rc
c_take(struct crew *c, struct launched *ret, struct why *why)
{
    struct workers *all = of_crew(c);
    struct worker_slot *slot;
    int socks[2];
    enum rc rc;

    if ((rc = pipes_pair(c->pipes, PIPES_PACKETS, socks, why)) != RC_OK)
        return rc;
    if ((slot = slot_free(all)) == NULL)
        return why_set(why, RC_BUSY, "%d workers run already", WORKERS_MAX);
    sim_node_boot(slot->node);
    slot->is_held = true;
    slot->sock = socks[1];
    slot->status = SIGKILL;         /* unless it says otherwise */
    sim_pipes_take(slot->node, socks[1]);
    sim_node_spawn(slot->node, "worker", worker_run_here, slot);
    all->taken++;
    *ret = (struct launched){ socks[0], (int)(slot - all->slots), -1 };
    return RC_OK;
}

static void
c_kill(struct crew *c, const struct launched *w)
{
    struct worker_slot *slot = &of_crew(c)->slots[w->warden];

    CHECK(slot->is_held);
    sim_node_crash(slot->node, SIM_KILL);
}

static bool
c_wait(struct crew *c, const struct launched *w, int timeout_ms, int *ret_status)
{
    const struct worker_slot *slot = &of_crew(c)->slots[w->warden];
    const struct world *world = sim_node_world(of_crew(c)->tracker);
    uint64_t until = clock_mono_ms(world->clock) + (uint64_t)timeout_ms;

    while (sim_node_is_up(slot->node)) {
        if (clock_mono_ms(world->clock) >= until)
            return false;
        thread_sleep_until(world->threads, clock_deadline(world->clock, 1));
    }
    *ret_status = slot->status;
    return true;
}

static void
c_close(struct crew *c, struct launched *w)
{
    of_crew(c)->slots[w->warden].is_held = false;
    pipes_close(c->pipes, w->sock);
    *w = (struct launched){ -1, -1, -1 };
}

static void
c_stop(struct crew *c)
{
    struct workers *all = of_crew(c);

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (all->slots[i].node != NULL)
            sim_node_crash(all->slots[i].node, SIM_KILL);
}

static const struct crew_ops crew_ops = { .take = c_take, .kill = c_kill, .wait = c_wait, .close = c_close, .stop = c_stop };

struct crew *
workers_start(struct workers *w, struct sim *s, struct sim_node *tracker)
{
    w->s = s;
    w->tracker = tracker;
    w->crew = (struct crew){ &crew_ops, sim_node_pipes(tracker), "simulated", false };
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        CHECK(w->slots[i].node == NULL || !sim_node_is_up(w->slots[i].node));
        w->slots[i].is_held = false;
    }
    return &w->crew;
}

unsigned
workers_up(const struct workers *w)
{
    unsigned count = 0;

    for (unsigned i = 0; i < WORKERS_MAX; i++)
        count += w->slots[i].node != NULL && sim_node_is_up(w->slots[i].node);
    return count;
}

struct sim_node *
workers_find(struct workers *w, unsigned i)
{
    for (unsigned k = 0; k < WORKERS_MAX; k++)
        if (w->slots[k].node != NULL && sim_node_is_up(w->slots[k].node) && i-- == 0)
            return w->slots[k].node;
    return NULL;
}
