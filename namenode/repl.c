#include "namenode/repl.h"

#include <string.h>

#include "core/base/faults.h"

/* What one replica counts as. */
enum kind { GOOD, LEAVING, PROVISIONAL, SUSPECT, CORRUPT, OUTDATED, BEING_WRITTEN, AWAY };

bool nn_replica_is_good(const struct nn_repl_block *b, const struct nn_replica *r)
{
    if (r->state == NN_CORRUPT && old_bug(OLD_BUG_CORRUPT_COUNTED))
        return true;
    return r->state == NN_FINALIZED && r->bytes == b->bytes && (r->stamp == b->stamp || old_bug(OLD_BUG_STALE_COUNTED));
}

static enum kind kind_of(const struct nn_repl_block *b, const struct nn_repl_copy *c)
{
    if (c->s == NULL || c->going || c->s->node->dead || c->s->failed)
        return AWAY;
    if (!c->s->confirmed && !old_bug(OLD_BUG_DELETED_ON_PROVISIONAL))
        return nn_replica_is_good(b, c->r) ? PROVISIONAL : AWAY;
    if (nn_replica_is_good(b, c->r))
        return c->s->node->admin == NN_NORMAL ? GOOD : LEAVING;
    if (c->r->stamp > b->stamp || (c->r->state == NN_WRITING && c->expected))
        return BEING_WRITTEN;           /* newer than we know: never ours to drop */
    if (c->r->stamp < b->stamp || c->r->state == NN_WRITING)
        return OUTDATED;
    return c->r->state == NN_SUSPECT && c->r->bytes == b->bytes ? SUSPECT : CORRUPT;
}

/* Is there a replica of the same kind before c on the same node?  Two disks of one node count once. */
static bool is_twin(const struct nn_repl_block *b, const struct nn_repl_copy *copies, const struct nn_repl_copy *c)
{
    for (const struct nn_repl_copy *k = copies; k < c; k++)
        if (k->s != NULL && k->s->node == c->s->node && kind_of(b, k) == kind_of(b, c))
            return true;
    return false;
}

void nn_repl_count(const struct nn_repl_block *b, const struct nn_repl_copy *copies, size_t n, struct nn_repl_count *ret)
{
    memset(ret, 0, sizeof *ret);
    for (const struct nn_repl_copy *c = copies; c < copies + n; c++) {
        enum kind kind = kind_of(b, c);

        if (kind == AWAY)
            continue;
        if (is_twin(b, copies, c)) {
            ret->surplus += kind == GOOD;
            continue;
        }
        switch (kind) {
        case GOOD: ret->good++; break;
        case LEAVING: ret->leaving++; break;
        case PROVISIONAL: ret->provisional++; break;
        case SUSPECT: ret->suspect++; break;
        case CORRUPT: ret->corrupt++; break;
        case OUTDATED: ret->outdated++; break;
        case BEING_WRITTEN: ret->writing++; break;
        case AWAY: break;
        }
    }
    if (ret->good > b->wanted)
        ret->surplus += ret->good - b->wanted;
}

/* How many good replicas of the plan's survivors share c's rack. */
static unsigned rack_mates(const struct nn_repl_block *b, const struct nn_repl_copy *copies, size_t n,
                           const struct nn_repl_copy *c, const bool *dropped)
{
    unsigned mates = 0;

    for (size_t i = 0; i < n; i++)
        if (!dropped[i] && &copies[i] != c && kind_of(b, &copies[i]) == GOOD &&
            strcmp(copies[i].s->node->rack, c->s->node->rack) == 0)
            mates++;
    return mates;
}

/* Is x rather dropped than y: from the rack that has more of them, then from the fuller node. */
static bool rather(unsigned x_mates, const struct nn_repl_copy *x, unsigned y_mates, const struct nn_repl_copy *y)
{
    if (x_mates != y_mates)
        return x_mates > y_mates;
    return nn_node_space(x->s->node).remaining < nn_node_space(y->s->node).remaining;
}

static void drop(struct nn_repl_plan *p, const struct nn_repl_copy *copies, bool *dropped, const struct nn_repl_copy *c)
{
    dropped[c - copies] = true;
    p->drop[p->drop_count++] = c;
}

static void drop_surplus(const struct nn_repl_block *b, const struct nn_repl_copy *copies, size_t n,
                         struct nn_repl_plan *p, bool *dropped)
{
    unsigned left = p->count.good;

    for (const struct nn_repl_copy *c = copies; c < copies + n; c++)    /* a second one on the same node */
        if (kind_of(b, c) == GOOD && is_twin(b, copies, c) && left >= 1)
            drop(p, copies, dropped, c);
    while (left > b->wanted && left > 1) {
        const struct nn_repl_copy *victim = NULL;
        unsigned victim_mates = 0;

        for (const struct nn_repl_copy *c = copies; c < copies + n; c++) {
            unsigned mates;

            if (dropped[c - copies] || kind_of(b, c) != GOOD)
                continue;
            mates = rack_mates(b, copies, n, c, dropped);
            if (victim == NULL || rather(mates, c, victim_mates, victim)) {
                victim = c;
                victim_mates = mates;
            }
        }
        if (victim == NULL)
            return;
        drop(p, copies, dropped, victim);
        left--;
    }
}

void nn_repl_plan(const struct nn_repl_block *b, const struct nn_repl_copy *copies, size_t n, unsigned pending,
                  bool no_room, struct nn_repl_plan *ret)
{
    bool dropped[NN_REPLICAS_MAX] = { false };
    unsigned enough = b->wanted < 2 ? b->wanted : 2, have;

    nn_repl_count(b, copies, n, &ret->count);
    ret->copies = 0;
    ret->drop_count = 0;
    if (!b->complete)
        return;
    have = ret->count.good + ret->count.provisional + pending;
    if (have < b->wanted && ret->count.good + ret->count.leaving > 0)
        ret->copies = b->wanted - have;
    drop_surplus(b, copies, n, ret, dropped);
    if (no_room || enough == 0)
        enough = 1;
    if (ret->count.good >= enough || old_bug(OLD_BUG_LAST_REPLICA_DROPPED))
        for (const struct nn_repl_copy *c = copies; c < copies + n; c++) {
            enum kind kind = kind_of(b, c);

            if (kind == SUSPECT || kind == CORRUPT || kind == OUTDATED)
                drop(ret, copies, dropped, c);
        }
}
