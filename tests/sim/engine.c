#include "tests/sim/engine.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "core/io/thread.h"
#include "jobtracker/jt_priv.h"
#include "tasktracker/tt.h"
#include "tests/sim/jobcode.h"
#include "tests/sim/sim_priv.h"

#define JOBTRACKER_ADDRESS "10.0.0.2"

/* ---- the daemons ---- */

static void
engine_conf(struct machine *m, unsigned who, struct conf *ret)
{
    static const char *const pairs[] = {
        "mapreduce.jobtracker.address=" JOBTRACKER_ADDRESS ":8021", "millrace.jobtracker.dir=/jobtracker",
        "mapreduce.cluster.local.dir=/tracker", "mapreduce.jobtracker.expire.trackers.interval=6s",
        "mapreduce.tasktracker.map.tasks.maximum=2", "mapreduce.tasktracker.reduce.tasks.maximum=2",
    };
    char pair[128];
    struct why why;

    cluster_conf(m->cluster, m, who, ret);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (conf_set_pair(ret, pairs[i], "sim", &why) != RC_OK)
            sim_fail(m->cluster->s, "%s: %s", pairs[i], why.text);
    (void)snprintf(pair, sizeof pair, "mapreduce.tasktracker.address=%s:50050", m->address);
    if (conf_set_pair(ret, pair, "sim", &why) != RC_OK)
        sim_fail(m->cluster->s, "%s: %s", pair, why.text);
}

/* What one run of the JobTracker had read from its database, every later one must find. */
static void
see(struct engine *e, const struct engine_seen *now)
{
    for (unsigned i = 0; i < e->seen_count; i++) {
        const struct engine_seen *was = &e->seen[i];

        if (was->job != now->job || was->is_job != now->is_job || was->index != now->index)
            continue;
        if (was->value != now->value)
            sim_fail(e->c->s, "job %llu: %s %u was %u and is %u after a restart", (unsigned long long)now->job,
                     now->is_job ? "state" : "the winner of task", now->index, was->value, now->value);
        return;
    }
    SIM_CHECK(e->c->s, e->seen_count < ENGINE_SEEN_MAX);
    e->seen[e->seen_count++] = *now;
}

static void
see_job(struct engine *e, const struct jt_job *j)
{
    const struct jt_task *tasks = j->reduce_count != 0 ? j->reduces : j->maps;
    uint32_t n = j->reduce_count != 0 ? j->reduce_count : j->map_count;

    if (jt_job_state_is_over(j->state))
        see(e, &(struct engine_seen){ j->number, true, 0, j->state });
    for (uint32_t i = 0; i < n; i++)
        if (tasks[i].winner != NULL)
            see(e, &(struct engine_seen){ j->number, false, i, tasks[i].winner->number });
}

static void
run_jobtracker(void *arg)
{
    struct machine *m = arg;
    struct engine *e = CONTAINER_OF(m, struct engine, jobtracker);
    const struct jt_job *j;
    struct jt_options o = { .superuser = "root" };
    struct net_addr at;
    struct conf conf;
    struct why why;
    struct jt *jt;

    e->jt = NULL;
    engine_conf(m, JT, &conf);
    o.conf = &conf;
    if (jt_start(sim_node_world(m->node), &o, &jt, &at, &why) != RC_OK) {
        if (why.rc == RC_CORRUPT || why.rc == RC_BAD_FORMAT || why.rc == RC_BUG)
            sim_fail(m->cluster->s, "the JobTracker does not start: %s", why.text);
        machine_end(m, "jobtracker does not start", &why);
    }
    e->jt = jt;
    DL_FOREACH(jt->core.jobs, j)
        see_job(e, j);
    m->is_serving = true;
    while (!e->wants_stop) {
        machine_sleep_ms(m, 200);
        if (jt_has_failed(jt))
            machine_end(m, "jobtracker has failed", NULL);
    }
    e->jt = NULL;
    jt_stop(jt);
    conf_fini(&conf);
    SIM_CHECK(m->cluster->s, sim_disk_open_count(m->node) == 0);
    e->has_stopped = true;
}

static void
run_tasktracker(void *arg)
{
    struct machine *m = arg;
    struct tracker *t = CONTAINER_OF(m, struct tracker, m);
    struct sim *s = m->cluster->s;
    struct net_addr at;
    struct conf conf;
    struct why why;
    struct tt *tt;

    engine_conf(m, TT, &conf);
    if (tt_start(sim_node_world(m->node), &conf, workers_start(&t->workers, s, m->node), &tt, &at, &why) != RC_OK) {
        if (why.rc == RC_BUG)
            sim_fail(s, "a TaskTracker does not start: %s", why.text);
        machine_end(m, "tasktracker does not start", &why);
    }
    m->is_serving = true;
    while (!t->e->wants_stop) {
        machine_sleep_ms(m, 200);
        if (tt_has_failed(tt))
            machine_end(m, "tasktracker has failed", NULL);
    }
    tt_stop(tt);
    conf_fini(&conf);
    SIM_CHECK(s, workers_up(&t->workers) == 0);
    SIM_CHECK(s, sim_disk_open_count(m->node) == 0);
    SIM_CHECK(s, sim_pipes_open_count(m->node) == 0);
    t->has_stopped = true;
}

void
engine_init(struct engine *e, struct cluster *c, bool in_order)
{
    char name[16];

    memset(e, 0, sizeof *e);
    e->c = c;
    cluster_add(c, &e->jobtracker, "jt", 2, NULL, run_jobtracker);
    while (in_order && !e->jobtracker.is_serving)
        thread_sleep_until(sim_driver_world(c->s)->threads, clock_deadline(sim_driver_world(c->s)->clock, 5));
    for (unsigned i = 0; i < ENGINE_TRACKERS; i++) {
        e->trackers[i].e = e;
        (void)snprintf(name, sizeof name, "tt%u", i + 1);
        cluster_add(c, &e->trackers[i].m, name, 0, &c->datanodes[i], run_tasktracker);
    }
}

/* ---- harm ---- */

static struct machine *
machine_drawn(struct engine *e, struct rng *rng)
{
    uint64_t i = rng_below(rng, ENGINE_TRACKERS + 1);

    return i == 0 ? &e->jobtracker : &e->trackers[i - 1].m;
}

static void
pause_driver(struct engine *e, uint64_t ms)
{
    const struct world *w = sim_driver_world(e->c->s);

    thread_sleep_until(w->threads, clock_deadline(w->clock, ms));
}

/* A worker, at some step of what it does. */
static void
harm_worker(struct engine *e, struct rng *rng)
{
    struct workers *w = &e->trackers[rng_below(rng, ENGINE_TRACKERS)].workers;
    unsigned up = workers_up(w);
    struct sim_node *n;

    if (up == 0)
        return;
    n = workers_find(w, (unsigned)rng_below(rng, up));
    if (rng_below(rng, 4) == 0)
        sim_node_pause(n, rng_below(rng, 40000));
    else
        sim_node_crash_at(n, SIM_POINT_ANY, 1 + rng_below(rng, 300), SIM_KILL);
}

static void
harm_disk(struct engine *e, struct rng *rng)
{
    static const enum sim_point kinds[] = { SIM_POINT_READ, SIM_POINT_WRITE, SIM_POINT_NAME, SIM_POINT_SYNC };
    struct machine *m = machine_drawn(e, rng);

    if (rng_below(rng, 2) == 0) {
        sim_disk_fail(m->node, kinds[rng_below(rng, ARRAY_LEN(kinds))], 1 + rng_below(rng, 60));
        return;
    }
    sim_disk_limit(m->node, sim_disk_used(m->node) + rng_below(rng, 40000));
    sim_note(e->c->s, "disk_small", "node=%s", sim_node_name(m->node));
    pause_driver(e, rng_below(rng, 6000));
    sim_disk_limit(m->node, 4 * GB);
}

static void
harm_network(struct engine *e, struct rng *rng)
{
    struct machine *a = machine_drawn(e, rng), *b = rng_below(rng, 3) == 0 ? &e->c->namenode : machine_drawn(e, rng);

    if (a == b)
        return;
    sim_partition(a->node, b->node, true);
    pause_driver(e, rng_below(rng, 12000));
    sim_partition(a->node, b->node, false);
}

void
engine_harm(struct engine *e, struct rng *rng)
{
    struct machine *m = machine_drawn(e, rng);
    enum sim_crash how = rng_below(rng, 3) == 0 ? SIM_POWER : SIM_KILL;

    switch (rng_below(rng, 10)) {
    case 0:
        harm_network(e, rng);
        break;
    case 1:
        harm_disk(e, rng);
        break;
    case 2:
        sim_node_pause(m->node, rng_below(rng, rng_below(rng, 4) == 0 ? 40000 : 3000));
        break;
    case 3:
    case 4:
    case 5:
        harm_worker(e, rng);
        break;
    default:
        if (rng_below(rng, 4) == 0)
            sim_node_crash(m->node, how);
        else if (sim_node_is_up(m->node))
            sim_node_crash_at(m->node, (enum sim_point)rng_below(rng, SIM_POINT_KINDS + 1), 1 + rng_below(rng, 300), how);
        break;
    }
    engine_look(e);
}

void
engine_heal(struct engine *e)
{
    for (unsigned i = 0; i < ENGINE_TRACKERS; i++)
        for (unsigned k = 0; k < workers_up(&e->trackers[i].workers); k++) {
            struct sim_node *n = workers_find(&e->trackers[i].workers, k);

            sim_node_crash_at(n, SIM_POINT_ANY, 0, SIM_KILL);
            sim_node_pause(n, 0);
        }
}

/* ---- what must be true ---- */

static void
look_at_task(struct engine *e, const struct jt_task *t, uint32_t *live)
{
    const struct jt_attempt *a;
    unsigned succeeded = 0;

    DL_FOREACH(t->attempts, a) {
        succeeded += a->state == ATTEMPT_SUCCEEDED;
        *live += jt_attempt_state_is_live(a->state);
    }
    if (succeeded > 1)
        sim_fail(e->c->s, "%s: %s %u has %u winners", t->job->id, t->is_map ? "map" : "reduce", t->index, succeeded);
    if (t->winner != NULL && t->winner->state != ATTEMPT_SUCCEEDED)
        sim_fail(e->c->s, "%s: the winner of %s %u did not succeed", t->job->id, t->is_map ? "map" : "reduce", t->index);
}

void
engine_look(struct engine *e)
{
    const struct jt_job *j;

    if (e->jt == NULL || !sim_node_is_up(e->jobtracker.node) || !e->jobtracker.is_serving)
        return;
    DL_FOREACH(e->jt->core.jobs, j) {
        uint32_t live = 0;

        for (uint32_t i = 0; i < j->map_count; i++)
            look_at_task(e, &j->maps[i], &live);
        for (uint32_t i = 0; i < j->reduce_count; i++)
            look_at_task(e, &j->reduces[i], &live);
        if (live != j->live_count)
            sim_fail(e->c->s, "%s: %u attempts are live, %u are counted", j->id, live, j->live_count);
    }
}

static bool
on_name(void *arg, const char *name)
{
    (void)snprintf(arg, 64, "%s", name);
    return false;
}

static enum rc
tracker_is_idle(struct tracker *t, struct why *why)
{
    const char *name = sim_node_name(t->m.node);
    char left[64] = "";
    enum rc rc;

    if (workers_up(&t->workers) != 0)
        return why_set(why, RC_BUSY, "%u workers of %s are up", workers_up(&t->workers), name);
    if (!t->m.is_serving || !sim_node_is_up(t->m.node))
        return why_set(why, RC_BUSY, "%s is down", name);
    if (sim_pipes_open_count(t->m.node) != 0)
        return why_set(why, RC_BUSY, "%s has %u pipes open", name, sim_pipes_open_count(t->m.node));
    if (sim_disk_open_count(t->m.node) > 1 + JOBCODES)      /* its lock, and the shared objects that it keeps */
        return why_set(why, RC_BUSY, "%s has %u files open", name, sim_disk_open_count(t->m.node));
    if ((rc = io_list(sim_node_world(t->m.node)->io, "/tracker/jobs", on_name, left, why)) != RC_OK)
        return rc;
    return left[0] == '\0' ? RC_OK : why_set(why, RC_BUSY, "%s has files of %s", name, left);
}

enum rc
engine_is_idle(struct engine *e, struct why *why)
{
    const struct jt_tracker *t, *after;
    const struct jt_job *j;
    enum rc rc = RC_OK;

    engine_look(e);
    if (e->jt == NULL || !e->jobtracker.is_serving || !sim_node_is_up(e->jobtracker.node))
        return why_set(why, RC_BUSY, "the JobTracker is down");
    DL_FOREACH(e->jt->core.jobs, j)
        if (!j->cleaned)
            return why_set(why, RC_BUSY, "%s is %s and not cleaned", j->id, jt_job_states[j->state].name);
    HASH_ITER(hh, e->jt->core.trackers, t, after)
        if (t->maps_live + t->reduces_live != 0)
            return why_set(why, RC_BUSY, "slots of tracker %s are taken", t->uuid);
    for (unsigned i = 0; i < ENGINE_TRACKERS && rc == RC_OK; i++)
        rc = tracker_is_idle(&e->trackers[i], why);
    return rc;
}

bool
engine_stop(struct engine *e)
{
    bool stopped = e->has_stopped;

    e->wants_stop = true;
    for (unsigned i = 0; i < ENGINE_TRACKERS; i++)
        stopped = stopped && e->trackers[i].has_stopped;
    return stopped;
}
