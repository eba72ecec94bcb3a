/*
 * run -- histories of a cluster: a client writes, moves, deletes and reads while
 * machines die at any step and the network fails; then everything heals, and
 * every acknowledged name and byte must be there, with its replicas.
 *
 * One seed in eight is calm: nothing fails, and nothing may be logged as a
 * warning.
 */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "dfsclient/fs.h"
#include "tests/sim/cluster.h"
#include "tests/sim/engine.h"
#include "tests/sim/harm.h"
#include "tests/sim/histories.h"
#include "tests/sim/jobs.h"
#include "tests/sim/plan.h"
#include "tests/sim/replicas.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/workload.h"

#define HEAL_MS 300000
#define REPAIR_MS 40000
#define OPERATIONS 60
#define CALLS 60
#define LAST_OPERATIONS 10     /* of each kind, after everything healed */

struct scene {
    struct sim *s;
    struct cluster cluster;
    struct workload work;
    struct replicas replicas;
    struct harm harm;
    bool calm;
    bool has_engine;        /* and the client submits jobs */
    struct engine engine;
    struct jobs jobs;
    unsigned asks_in;       /* in which life of the client somebody asks for jobs; 0 nobody */
};

static void
jobs_main(void *arg)
{
    struct machine *m = arg;
    struct scene *scene = CONTAINER_OF(m->cluster, struct scene, cluster);

    if (scene->asks_in == sim_node_boots(m->node))
        return;             /* it was booted in the moment in which one more job was asked for: one asker is enough */
    scene->asks_in = sim_node_boots(m->node);
    jobs_run(&scene->jobs, m);
    scene->asks_in = 0;
}

static void
client_main(void *arg)
{
    struct machine *m = arg;
    struct scene *scene = CONTAINER_OF(m->cluster, struct scene, cluster);

    if (scene->has_engine && !scene->jobs.is_done)
        sim_node_spawn(m->node, "jobs", jobs_main, m);
    if (!scene->work.is_done)
        workload_run(&scene->work, m);
}

static void
pause_ms(struct sim *s, uint64_t ms)
{
    const struct world *w = sim_driver_world(s);

    thread_sleep_until(w->threads, clock_deadline(w->clock, ms));
}

/* One more job, when nothing is in its way any more. */
static void
ask_last_job(struct scene *scene)
{
    struct machine *client = &scene->cluster.client;
    bool wakes = scene->jobs.is_done && sim_node_is_up(client->node);

    engine_heal(&scene->engine);
    scene->jobs.is_healed = true;
    scene->jobs.target = scene->jobs.count + 1;
    scene->jobs.is_done = false;
    if (wakes)
        sim_node_spawn(client->node, "jobs", jobs_main, client);
}

static void
heal(struct scene *scene)
{
    struct workload *wl = &scene->work;

    harm_heal(&scene->harm);
    if (scene->has_engine)
        ask_last_job(scene);
    cluster_supervise(&scene->cluster, true);
    if (wl->target > wl->operations + LAST_OPERATIONS)
        wl->target = wl->operations + LAST_OPERATIONS;
    if (wl->to_call > wl->called + LAST_OPERATIONS)
        wl->to_call = wl->called + LAST_OPERATIONS;
    sim_note(scene->s, "healed", "operations=%u calls=%u", wl->operations, wl->called);
}

/* Every block of every name has its replicas. */
static bool
has_converged(struct fs *fs, struct why *why)
{
    struct fs_usage usage;

    if (fs_usage(fs, &usage, why) != RC_OK)
        return false;
    if (usage.under_replicated == 0 && usage.missing == 0 && usage.corrupt == 0)
        return true;
    (void)why_set(why, RC_BUSY, "%llu blocks under-replicated, %llu corrupt, %llu missing",
                  (unsigned long long)usage.under_replicated, (unsigned long long)usage.corrupt,
                  (unsigned long long)usage.missing);
    return false;
}

/* A volume that failed may have the only replica of a block: somebody has its DataNode look again. */
static void
repair_volumes(struct scene *scene)
{
    sim_note(scene->s, "volumes_repaired", "%s", "every DataNode starts again");
    for (unsigned i = 0; i < CLUSTER_DATANODES; i++)
        sim_node_crash(scene->cluster.datanodes[i].node, SIM_KILL);
}

static bool
is_well(struct scene *scene, struct fs *fs, struct why *why)
{
    return scene->work.is_done && has_converged(fs, why) && workload_check(&scene->work, fs, why) == RC_OK &&
           (!scene->has_engine || jobs_check(&scene->jobs, fs, why) == RC_OK);
}

/* The client comes to its end, every name is as it was acknowledged, every block has its replicas. */
static void
wait_until_well(struct scene *scene, struct fs *fs)
{
    struct sim *s = scene->s;
    uint64_t limit_us = sim_now_us(s) + HEAL_MS * UINT64_C(1000), repair_us = sim_now_us(s) + REPAIR_MS * UINT64_C(1000);
    struct why why = { .rc = RC_OK };

    while (!is_well(scene, fs, &why)) {
        if (sim_now_us(s) > limit_us)
            sim_fail(s, "not well %d s after everything healed: %s", HEAL_MS / 1000,
                     scene->work.is_done ? why.text : "the client is not done");
        pause_ms(s, 500);
        if (sim_now_us(s) > repair_us && scene->cluster.has_two_volumes) {
            repair_us = FOREVER;
            repair_volumes(scene);
        }
        cluster_supervise(&scene->cluster, true);
    }
}

/* The database is made anew from the copy in the second name directory: nothing is missing. */
static void
recover(struct scene *scene, struct fs *fs)
{
    struct cluster *c = &scene->cluster;

    sim_node_crash(c->namenode.node, SIM_KILL);
    c->is_damaged = false;
    c->wants_recovery = true;
    wait_until_well(scene, fs);
}

/*
 * A bit of the NameNode's files flips while it is down.  It may have lost what
 * it acknowledged, but not without a word: it refuses to start, or it stays
 * read-only because the DataNodes have seen more than it knows, or it says so to
 * who asks for what is damaged.
 */
static void
check_damage(struct scene *scene, struct fs *fs)
{
    struct sim *s = scene->s;
    struct cluster *c = &scene->cluster;
    struct machine *nn = &c->namenode;
    struct why why = { .rc = RC_OK };
    bool read_only = false, can_recover = c->has_copy && nn->is_serving && c->copy_ready;

    sim_node_crash(nn->node, SIM_KILL);
    c->is_damaged = true;
    if (!sim_disk_flip_any(nn->node, "namespace.db"))
        sim_fail(s, "the NameNode has no database");
    cluster_supervise(c, true);
    while (!nn->is_serving && !c->has_refused)
        pause_ms(s, 100);
    pause_ms(s, 15000);             /* every DataNode has registered, and would have been told to delete */
    if (c->has_refused || !sim_node_is_up(nn->node)) {
        sim_note(s, "damage_refused", "%s", "the NameNode does not serve");
        if (can_recover)
            recover(scene, fs);
        return;
    }
    SIM_CHECK(s, fs_safe_mode(fs, FS_SAFE_MODE_GET, &read_only, &why) == RC_OK);
    if (read_only || workload_check(&scene->work, fs, &why) == RC_CORRUPT)
        sim_note(s, "damage_seen", "%s", read_only ? "the NameNode is read-only" : why.text);
    else
        wait_until_well(scene, fs);     /* then nothing may be missing */
}

/* Everything that the callers' names have become. */
static void
read_names(struct scene *scene)
{
    struct calls_client *k;
    struct conf conf;
    struct why why;

    cluster_conf(&scene->cluster, NULL, CL, &conf);
    k = calls_client_new(&scene->work.calls, sim_driver_world(scene->s), &conf, "reader");
    if (calls_read_all(k, &why) != RC_OK)
        sim_fail(scene->s, "the names cannot be read: %s", why.text);
    calls_client_free(k);
    conf_fini(&conf);
}

static void
check_end(struct scene *scene)
{
    struct sim *s = scene->s;
    struct cluster *c = &scene->cluster;
    struct conf conf;
    struct why why;
    struct fs *fs;

    cluster_conf(c, NULL, CL, &conf);
    SIM_CHECK(s, fs_open(sim_driver_world(s), &conf, NULL, "root", &fs, &why) == RC_OK);
    wait_until_well(scene, fs);
    SIM_CHECK(s, !scene->calm || sim_warnings(s) == 0);
    if (!scene->calm) {     /* one disk rots; the other two have everything */
        unsigned rotten = 1 + (unsigned)rng_below(sim_rng(s), CLUSTER_DATANODES);

        pause_ms(s, 10000); /* every lease has ended; replicas that were only believed in have been missed */
        wait_until_well(scene, fs);
        for (int i = 0; i < 5; i++)
            (void)sim_disk_flip_any(cluster_machine(c, rotten)->node, "blk_");  /* false: it has none */
        wait_until_well(scene, fs);
    }
    if (!scene->calm && rng_below(sim_rng(s), 4) == 0)
        check_damage(scene, fs);
    fs_close(fs);
    conf_fini(&conf);
    if (c->is_damaged)
        return;
    for (int i = 0; scene->has_engine && !engine_stop(&scene->engine) && i < 600; i++)
        pause_ms(s, 100);
    SIM_CHECK(s, !scene->has_engine || engine_stop(&scene->engine));
    read_names(scene);
    c->wants_stop = true;
    for (int i = 0; i < 600 && !c->has_stopped; i++)
        pause_ms(s, 100);
    SIM_CHECK(s, c->has_stopped);
    calls_check(&scene->work.calls);
}

static void
on_closed(void *arg, const struct name *name, const struct fs_block *blocks, size_t n)
{
    replicas_note(arg, name, blocks, n);
}

static void
on_logged(void *arg, uint64_t txid, const struct nn_txcall *call)
{
    calls_logged(arg, txid, call);
}

static bool
is_busy(const struct scene *scene)
{
    return !scene->work.is_done || (scene->has_engine && !scene->jobs.is_done);
}

static void
history(struct sim *s, void *arg)
{
    struct scene *scene = arg;
    static const uint64_t paces_ms[] = { 150, 600, 2000 };
    uint64_t harm_us, pace_ms;
    struct rng_seeded rng;

    memset(scene, 0, sizeof *scene);
    scene->s = s;
    scene->work.c = &scene->cluster;
    scene->work.target = OPERATIONS;
    scene->work.to_call = CALLS;
    scene->work.calls.s = s;
    scene->work.on_closed = on_closed;
    scene->work.on_closed_arg = &scene->replicas;
    scene->replicas.c = scene->harm.c = &scene->cluster;
    sim_on_name_gone(s, replicas_on_name_gone, &scene->replicas);
    scene->calm = rng_below(sim_rng(s), 8) == 0;
    pace_ms = paces_ms[rng_below(sim_rng(s), ARRAY_LEN(paces_ms))];
    scene->has_engine = s->options.seed % 3 == 0;
    scene->jobs.e = &scene->engine;
    scene->jobs.target = 1 + (unsigned)(s->options.seed / 3 % 3);
    scene->jobs.is_healed = scene->calm;
    cluster_init(&scene->cluster, s, scene->calm, client_main);
    if (scene->has_engine)
        engine_init(&scene->engine, &scene->cluster, scene->calm);
    scene->cluster.on_logged = on_logged;
    scene->cluster.on_logged_arg = &scene->work.calls;
    harm_us = 1000 * (5000 + rng_below(sim_rng(s), 40000));
    for (size_t i = 0; is_busy(scene) && sim_now_us(s) < harm_us; i++) {
        bool is_in = plan_take(sim_plan(s), PLAN_FAULTS, i, &rng);

        pause_ms(s, rng_below(&rng.rng, pace_ms));
        if (!scene->calm && is_in && scene->has_engine && rng_below(&rng.rng, 2) == 0)
            engine_harm(&scene->engine, &rng.rng);
        else if (!scene->calm && is_in)
            harm_do(&scene->harm, &rng.rng);
        harm_tick(&scene->harm);
        cluster_supervise(&scene->cluster, false);
    }
    heal(scene);
    check_end(scene);
    sim_note(s, "held", "operations=%u errors=%u names=%u restarts=%u logged=%zu deletions=%u warnings=%u", scene->work.operations,
             scene->work.errors, scene->work.count, scene->cluster.restarts, scene->work.calls.logged_count,
             scene->replicas.looked_at, sim_warnings(s));
}

int
main(int argc, char **argv)
{
    static struct scene scene;      /* large; one history at a time */
    const struct history h = {
        .options = { .latency_us = 100, .limit_ms = 3600000 },
        .fn = history,
        .arg = &scene,
        .first_seed = 1,
        .last_seed = 100,
        .list = SIM_REGRESS "/run",
        .child_s = 120,
    };

    return histories_main(argc, argv, &h);
}
