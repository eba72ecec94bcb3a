/*
 * simfault -- switches of what goes wrong: between nodes, with their clocks, with their speed.
 */
#include "core/base/check.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/simworld.h"

bool
sim_is_cut(const struct sim *s, const struct sim_node *from, const struct sim_node *to)
{
    return (s->cuts[from->index] >> to->index & 1) != 0;
}

void
sim_cut_way(struct sim_node *from, struct sim_node *to, bool cut)
{
    uint32_t bit = UINT32_C(1) << to->index, *cuts = &from->sim->cuts[from->index];

    *cuts = cut ? *cuts | bit : *cuts & ~bit;
    sim_note(from->sim, cut ? "cut" : "joined", "from=%s to=%s", from->name, to->name);
}

void
sim_partition(struct sim_node *a, struct sim_node *b, bool cut)
{
    sim_cut_way(a, b, cut);
    sim_cut_way(b, a, cut);
}

void sim_set_reset_ppm(struct sim *s, uint32_t ppm) { s->options.reset_ppm = ppm; }
void sim_set_stall_ppm(struct sim *s, uint32_t ppm) { s->stall_ppm = ppm; }

void
sim_lose_reply(struct sim_node *n, const struct sim_node *to, uint64_t nth, bool dies)
{
    n->lose_reply_to = to;
    n->lose_reply_in = nth;
    n->lose_reply_dies = dies;
}

void
sim_clock_jump(struct sim_node *n, int64_t ms)
{
    n->wall_offset_ms += ms;
    sim_note(n->sim, "clock_jump", "node=%s ms=%lld", n->name, (long long)ms);
}

void
sim_node_slow(struct sim_node *n, unsigned disk_times, unsigned net_times)
{
    n->disk_times = disk_times;
    n->net_times = net_times;
    sim_note(n->sim, "slow", "node=%s disk=%u net=%u", n->name, disk_times, net_times);
}

const char *const sim_happenings[SIM_HAPPENINGS] = {
    [SIM_CRASHED] = "crash", [SIM_WAS_CUT] = "cut", [SIM_WAS_RESET] = "reset", [SIM_REPLY_LOST] = "reply_lost",
    [SIM_CLOCK_JUMPED] = "clock_jump", [SIM_DISK_FAILED] = "disk_fails", [SIM_DISK_SMALL] = "disk_small",
};

uint64_t
sim_happened(const struct sim *s, enum sim_happening kind)
{
    return s->happened[kind];
}
