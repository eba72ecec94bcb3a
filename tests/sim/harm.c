#include "tests/sim/harm.h"

#include <stddef.h>

#include "core/base/attr.h"

#define HOUR_MS INT64_C(3600000)

static struct machine *
somebody(struct harm *h, struct rng *rng, unsigned count)
{
    return cluster_machine(h->c, (unsigned)rng_below(rng, count));
}

#define ALL (CLUSTER_DATANODES + 2)
#define WITH_DISKS (CLUSTER_DATANODES + 1)

/* Call fn(a, b) after so many ms, or when everything heals; at once when there is no room. */
static void
end_later(struct harm *h, void (*fn)(struct sim *s, struct machine *a, struct machine *b), struct machine *a,
          struct machine *b, uint64_t ms)
{
    for (size_t i = 0; i < HARM_ENDS_MAX; i++)
        if (h->ends[i].fn == NULL) {
            h->ends[i] = (struct harm_end){ fn, a, b, sim_now_us(h->c->s) + ms * 1000 };
            return;
        }
    fn(h->c->s, a, b);
}

void
harm_tick(struct harm *h)
{
    for (size_t i = 0; i < HARM_ENDS_MAX; i++) {
        struct harm_end e = h->ends[i];

        if (e.fn == NULL || sim_now_us(h->c->s) < e.at_us)
            continue;
        h->ends[i].fn = NULL;
        e.fn(h->c->s, e.a, e.b);
    }
}

static void
crash(struct harm *h, struct rng *rng)
{
    struct machine *m = somebody(h, rng, rng_below(rng, 2) == 0 ? ALL : WITH_DISKS);      /* the client seldom */
    enum sim_crash how = rng_below(rng, 2) == 0 ? SIM_KILL : SIM_POWER;
    enum sim_point p = (enum sim_point)rng_below(rng, SIM_POINT_KINDS + 1);
    uint64_t nth = 1 + rng_below(rng, p == SIM_POINT_SYNC ? 20 : 400);
    bool at_once = rng_below(rng, 4) == 0, again = rng_below(rng, 6) == 0, all = rng_below(rng, 12) == 0;

    m->crash_again_in = again ? 1 + rng_below(rng, 600) : 0;    /* also while it recovers from this */
    if (at_once)
        sim_node_crash(m->node, how);
    else if (sim_node_is_up(m->node))
        sim_node_crash_at(m->node, p, nth, how);
    for (unsigned i = 0; all && (m = cluster_machine(h->c, i)) != NULL; i++)     /* the whole room */
        sim_node_crash(m->node, SIM_POWER);
}

static void
join_both(struct sim *s UNUSED, struct machine *a, struct machine *b)
{
    sim_partition(a->node, b->node, false);
}

static void
cut(struct harm *h, struct rng *rng)
{
    struct machine *a = somebody(h, rng, ALL), *b = somebody(h, rng, ALL);
    uint64_t ms = rng_below(rng, 12000), way = rng_below(rng, 3);

    if (a == b)
        return;
    if (way != 1)
        sim_cut_way(a->node, b->node, true);
    if (way != 0)
        sim_cut_way(b->node, a->node, true);
    end_later(h, join_both, a, b, ms);
}

/* One machine from some of the others. */
static void
isolate(struct harm *h, struct rng *rng)
{
    struct machine *a = somebody(h, rng, ALL), *b;
    uint64_t ms = rng_below(rng, 12000);

    for (unsigned i = 0; (b = cluster_machine(h->c, i)) != NULL; i++)
        if (rng_below(rng, 3) != 0 && a != b) {
            sim_partition(a->node, b->node, true);
            end_later(h, join_both, a, b, ms);
        }
}

static void
calm_network(struct sim *s, struct machine *a UNUSED, struct machine *b UNUSED)
{
    sim_set_reset_ppm(s, 0);
    sim_set_stall_ppm(s, 0);
}

static void
bad_network(struct harm *h, struct rng *rng)
{
    uint32_t ppm = rng_below(rng, 2) == 0 ? 20000 : 2000;

    if (rng_below(rng, 2) == 0)
        sim_set_reset_ppm(h->c->s, ppm);
    else
        sim_set_stall_ppm(h->c->s, ppm);
    end_later(h, calm_network, NULL, NULL, rng_below(rng, 20000));
}

static void
fail_disk(struct harm *h, struct rng *rng)
{
    static const enum sim_point kinds[] = { SIM_POINT_READ, SIM_POINT_WRITE, SIM_POINT_SYNC };
    struct machine *m = somebody(h, rng, WITH_DISKS);
    enum sim_point p = kinds[rng_below(rng, ARRAY_LEN(kinds))];

    sim_disk_fail(m->node, p, 1 + rng_below(rng, 100));
}

static void
empty_disk(struct sim *s UNUSED, struct machine *m, struct machine *b UNUSED)
{
    sim_disk_limit(m->node, 4 * GB);
}

static void
fill_disk(struct harm *h, struct rng *rng)
{
    struct machine *m = somebody(h, rng, WITH_DISKS);

    sim_disk_limit(m->node, sim_disk_used(m->node) + rng_below(rng, 50000));
    sim_note(h->c->s, "disk_small", "node=%s", sim_node_name(m->node));
    end_later(h, empty_disk, m, NULL, rng_below(rng, 8000));
}

static void
normal_speed(struct sim *s UNUSED, struct machine *m, struct machine *b UNUSED)
{
    sim_node_slow(m->node, 1, 1);
}

static void
slow_down(struct harm *h, struct rng *rng)
{
    struct machine *m = somebody(h, rng, ALL);
    bool is_disk = rng_below(rng, 2) == 0;

    sim_node_slow(m->node, is_disk ? 100 : 1, is_disk ? 1 : 100);
    end_later(h, normal_speed, m, NULL, rng_below(rng, 10000));
}

static void
jump_clock(struct harm *h, struct rng *rng)
{
    struct machine *m = somebody(h, rng, ALL);

    sim_clock_jump(m->node, rng_below(rng, 2) == 0 ? HOUR_MS : -HOUR_MS);
}

static void
stop_for_a_while(struct harm *h, struct rng *rng)
{
    struct machine *m = somebody(h, rng, ALL);

    sim_node_pause(m->node, rng_below(rng, rng_below(rng, 4) == 0 ? 60000 : 3000));
}

/* What was answered was done and will be asked again: mostly the NameNode, perhaps after a restart, by the client. */
static void
lose_reply(struct harm *h, struct rng *rng)
{
    struct machine *m = rng_below(rng, 4) != 0 ? &h->c->namenode : somebody(h, rng, ALL);
    const struct sim_node *to = rng_below(rng, 4) != 0 ? h->c->client.node : NULL;
    bool dies = rng_below(rng, 3) != 0;

    sim_lose_reply(m->node, to, 1 + rng_below(rng, 10), dies);
}

void
harm_do(struct harm *h, struct rng *rng)
{
    static void (*const faults[])(struct harm *h, struct rng *rng) = {
        crash, crash, crash, crash, crash, crash, crash, cut, isolate, bad_network, fail_disk, fill_disk,
        slow_down, jump_clock, stop_for_a_while, lose_reply, lose_reply, lose_reply,
    };

    faults[rng_below(rng, ARRAY_LEN(faults))](h, rng);
}

void
harm_heal(struct harm *h)
{
    struct machine *m;

    for (size_t i = 0; i < HARM_ENDS_MAX; i++)
        if (h->ends[i].fn != NULL)
            h->ends[i].at_us = 0;
    harm_tick(h);
    for (unsigned i = 0; (m = cluster_machine(h->c, i)) != NULL; i++) {
        m->crash_again_in = 0;
        sim_node_crash_at(m->node, SIM_POINT_ANY, 0, SIM_KILL);
        sim_node_pause(m->node, 0);
        sim_disk_fail(m->node, SIM_POINT_SYNC, 0);
        sim_lose_reply(m->node, NULL, 0, false);
    }
}
