#include "namenode/safemode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void nn_safemode_start(struct nn_safemode *s, bool has_blocks)
{
    memset(s, 0, sizeof *s);
    s->on = s->startup = has_blocks;
}

/* Blocks that must be safe; rounded down, as Hadoop does. */
static uint64_t needed(const struct nn_safemode_facts *f)
{
    return (uint64_t)((double)f->blocks * f->threshold);
}

static bool is_ready(const struct nn_safemode_facts *f)
{
    return f->safe >= needed(f) && f->live_nodes >= f->nodes_wanted;
}

bool nn_safemode_step(struct nn_safemode *s, const struct nn_safemode_facts *f)
{
    if (!s->on || s->by_hand || s->behind)
        return false;
    if (!is_ready(f)) {
        s->ready_ms = 0;
        return false;
    }
    if (s->ready_ms == 0)
        s->ready_ms = f->now_ms > 0 ? f->now_ms : 1;
    if (f->extension_ms > 0 && f->now_ms - s->ready_ms < f->extension_ms)
        return false;
    s->on = s->startup = false;
    return true;
}

void nn_safemode_enter(struct nn_safemode *s)
{
    s->on = s->by_hand = true;
}

enum rc nn_safemode_leave(struct nn_safemode *s, bool force, struct why *why)
{
    if (s->behind && !force)
        return why_set(why, RC_SAFE_MODE, "Cannot leave safe mode: %s. Restore the newest copy of the namespace, or use "
                       "forceExit to lose what is missing.", s->behind_text);
    memset(s, 0, sizeof *s);
    return RC_OK;
}

void nn_safemode_set_behind(struct nn_safemode *s, const char *text)
{
    s->on = s->behind = true;
    snprintf(s->behind_text, sizeof s->behind_text, "%s", text);
}

void nn_safemode_explain(const struct nn_safemode *s, const struct nn_safemode_facts *f, struct buf *b)
{
    uint64_t need = needed(f);

    if (!s->on)
        return;
    if (s->behind) {
        buf_printf(b, "This NameNode is behind: %s. It stays read-only and deletes nothing. ", s->behind_text);
        return;
    }
    if (s->by_hand) {
        buf_put_str(b, "It was turned on manually. Use \"hdfs dfsadmin -safemode leave\" to turn safe mode off.");
        return;
    }
    if (f->safe < need)
        buf_printf(b, "The reported blocks %" PRIu64 " needs additional %" PRIu64 " blocks to reach the threshold %.4f of total "
                   "blocks %" PRIu64 ".", f->safe, need - f->safe, f->threshold, f->blocks);
    else
        buf_printf(b, "The reported blocks %" PRIu64 " has reached the threshold %.4f of total blocks %" PRIu64 ".",
                   f->safe, f->threshold, f->blocks);
    if (f->live_nodes < f->nodes_wanted)
        buf_printf(b, " The number of live datanodes %" PRIu64 " needs an additional %" PRIu64 " live datanodes to reach the "
                   "minimum number %" PRIu64 ".", f->live_nodes, f->nodes_wanted - f->live_nodes, f->nodes_wanted);
}
