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
#include "tests/sim/histories.h"
#include "tests/sim/jobs.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/workload.h"

#define HEAL_MS 300000
#define REPAIR_MS 40000
#define OPERATIONS 60
#define LAST_OPERATIONS 10     /* after everything healed */

struct scene {
    struct sim *s;
    struct cluster cluster;
    struct workload work;
    bool calm;
    bool has_engine;        /* and the client submits jobs */
    struct engine engine;
    struct jobs jobs;
};

static void
jobs_main(void *arg)
{
    struct machine *m = arg;

    jobs_run(&CONTAINER_OF(m->cluster, struct scene, cluster)->jobs, m);
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

static void
crash_somebody(struct scene *scene)
{
    struct rng *rng = sim_rng(scene->s);
    struct machine *m = cluster_machine(&scene->cluster, (unsigned)rng_below(rng, CLUSTER_DATANODES + 2));
    enum sim_crash how = rng_below(rng, 2) == 0 ? SIM_KILL : SIM_POWER;
    enum sim_point p = (enum sim_point)rng_below(rng, SIM_POINT_KINDS + 1);

    if (rng_below(rng, 4) == 0)
        sim_node_crash(m->node, how);
    else if (sim_node_is_up(m->node))
        sim_node_crash_at(m->node, p, 1 + rng_below(rng, p == SIM_POINT_SYNC ? 20 : 400), how);
    if (rng_below(rng, 12) == 0)        /* the whole room */
        for (unsigned i = 0; (m = cluster_machine(&scene->cluster, i)) != NULL; i++)
            sim_node_crash(m->node, SIM_POWER);
}

static void
cut_somebody(struct scene *scene)
{
    struct rng *rng = sim_rng(scene->s);
    struct machine *a = cluster_machine(&scene->cluster, (unsigned)rng_below(rng, CLUSTER_DATANODES + 2));
    struct machine *b = cluster_machine(&scene->cluster, (unsigned)rng_below(rng, CLUSTER_DATANODES + 2));

    if (a == b)
        return;
    sim_partition(a->node, b->node, true);
    pause_ms(scene->s, rng_below(rng, 12000));
    sim_partition(a->node, b->node, false);
}

static void
fail_a_disk(struct scene *scene)
{
    struct rng *rng = sim_rng(scene->s);
    struct machine *m = cluster_machine(&scene->cluster, (unsigned)rng_below(rng, CLUSTER_DATANODES + 1));
    static const enum sim_point kinds[] = { SIM_POINT_READ, SIM_POINT_WRITE, SIM_POINT_SYNC };

    sim_disk_fail(m->node, kinds[rng_below(rng, ARRAY_LEN(kinds))], 1 + rng_below(rng, 100));
}

static void
fill_a_disk(struct scene *scene)
{
    struct rng *rng = sim_rng(scene->s);
    struct machine *m = cluster_machine(&scene->cluster, (unsigned)rng_below(rng, CLUSTER_DATANODES + 1));

    sim_disk_limit(m->node, sim_disk_used(m->node) + rng_below(rng, 100000));
    sim_note(scene->s, "disk_small", "node=%s", sim_node_name(m->node));
    pause_ms(scene->s, rng_below(rng, 8000));
    sim_disk_limit(m->node, 4 * GB);
}

static void
do_harm(struct scene *scene)
{
    struct rng *rng = sim_rng(scene->s);

    switch (rng_below(rng, 12)) {
    case 0:
        cut_somebody(scene);
        break;
    case 1:
        sim_set_reset_ppm(scene->s, rng_below(rng, 2) == 0 ? 0 : 20000);
        break;
    case 2:
        fail_a_disk(scene);
        break;
    case 3:
        fill_a_disk(scene);
        break;
    case 4:
        sim_node_pause(cluster_machine(&scene->cluster, (unsigned)rng_below(rng, CLUSTER_DATANODES + 2))->node,
                       rng_below(rng, rng_below(rng, 4) == 0 ? 60000 : 3000));
        break;
    default:
        crash_somebody(scene);
        break;
    }
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
    struct machine *m;

    sim_set_reset_ppm(scene->s, 0);
    for (unsigned i = 0; (m = cluster_machine(&scene->cluster, i)) != NULL; i++) {
        sim_node_crash_at(m->node, SIM_POINT_ANY, 0, SIM_KILL);
        sim_node_pause(m->node, 0);
        sim_disk_fail(m->node, SIM_POINT_SYNC, 0);
    }
    if (scene->has_engine)
        ask_last_job(scene);
    cluster_supervise(&scene->cluster, true);
    if (scene->work.target > scene->work.operations + LAST_OPERATIONS)
        scene->work.target = scene->work.operations + LAST_OPERATIONS;
    sim_note(scene->s, "healed", "operations=%u", scene->work.operations);
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
    c->wants_stop = true;
    for (int i = 0; i < 600 && !c->has_stopped; i++)
        pause_ms(s, 100);
    SIM_CHECK(s, c->has_stopped);
}

static void
history(struct sim *s, void *arg)
{
    struct scene *scene = arg;
    static const uint64_t paces_ms[] = { 60, 300, 900 };
    uint64_t harm_us, pace_ms;

    memset(scene, 0, sizeof *scene);
    scene->s = s;
    scene->work.c = &scene->cluster;
    scene->work.target = OPERATIONS;
    scene->calm = rng_below(sim_rng(s), 8) == 0;
    pace_ms = paces_ms[rng_below(sim_rng(s), ARRAY_LEN(paces_ms))];
    scene->has_engine = s->options.seed % 3 == 0;
    scene->jobs.e = &scene->engine;
    scene->jobs.target = 1 + (unsigned)(s->options.seed / 3 % 3);
    scene->jobs.is_healed = scene->calm;
    cluster_init(&scene->cluster, s, scene->calm, client_main);
    if (scene->has_engine)
        engine_init(&scene->engine, &scene->cluster, scene->calm);
    harm_us = 1000 * (5000 + rng_below(sim_rng(s), 60000));
    while ((!scene->work.is_done || (scene->has_engine && !scene->jobs.is_done)) && sim_now_us(s) < harm_us) {
        pause_ms(s, rng_below(sim_rng(s), pace_ms));
        if (!scene->calm && scene->has_engine && rng_below(sim_rng(s), 2) == 0)
            engine_harm(&scene->engine);
        else if (!scene->calm)
            do_harm(scene);
        cluster_supervise(&scene->cluster, false);
    }
    heal(scene);
    check_end(scene);
    sim_note(s, "held", "operations=%u errors=%u names=%u restarts=%u warnings=%u", scene->work.operations,
             scene->work.errors, scene->work.count, scene->cluster.restarts, sim_warnings(s));
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
