/*
 * planner -- orders to DataNodes: copies, deletions; nodes that fall silent.
 */
#include <inttypes.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "namenode/blockmap.h"
#include "namenode/changes.h"
#include "namenode/edit.h"
#include "namenode/periodic.h"
#include "namenode/place.h"
#include "namenode/recovery.h"

#define TURNS_MAX 200               /* blocks of one round */
#define FREED_ROWS 1000             /* of one round */
#define TEXTS_EVERY_MS 5000
#define TEXT_BYTES_MAX (16 * MB)

/* ---- copies and surplus ---- */

/* The least busy node that can send b; NULL when none may take one more copy now. */
static struct nn_node *choose_source(struct nn_core *core, const struct nn_block *b, const struct nn_repl_copy *copies, size_t n)
{
    const struct nn_repl_block what = { .stamp = b->stamp, .bytes = b->bytes };
    struct nn_node *best = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct nn_repl_copy *c = &copies[i];
        struct nn_node *node;

        if (c->s == NULL || c->going || !c->s->confirmed || c->s->failed || !nn_replica_is_good(&what, c->r))
            continue;
        node = c->s->node;
        if (!nn_node_is_live(node) || node->copying >= core->nn->conf.repl_streams)
            continue;
        if (best == NULL || node->copying < best->copying)
            best = node;
    }
    return best;
}

/*
 * Nodes that cannot take a copy of b: those with a replica in any state, and those that one goes to.  What was on a
 * failed volume is gone: another volume of that node may take the copy.
 */
static size_t holders(struct nn_core *core, const struct nn_block *b, const struct nn_repl_copy *copies, size_t n,
                      struct nn_node **ret, size_t max)
{
    size_t count = nn_copy_targets(core->blocks->work, b->id, ret, max);

    for (size_t i = 0; i < n && count < max; i++)
        if (copies[i].s != NULL && !copies[i].s->failed)
            ret[count++] = copies[i].s->node;
    return count;
}

static enum rc order_copy(struct nn_core *core, const struct nn_block *b, struct nn_node *from, struct nn_storage *to,
                          struct why *why)
{
    struct nn_order o = { .kind = NN_COPY, .block = b->id, .stamp = { b->stamp }, .bytes = b->bytes, .target_count = 1,
                          .targets = { to } };
    enum rc rc;

    if ((rc = nn_order_add(from, &o, why)) != RC_OK)
        return rc;
    to->node->planned++;
    metric_add(&core->nn->metrics.copies_ordered, 1);
    log_debug("copy_ordered", "block=%" PRIu64 " from=%s to=%s", b->id.v, from->address, to->node->address);
    return nn_copy_add(core->blocks->work, b->id, from, to, nn_core_mono_ms(core) + core->nn->conf.repl_pending_ms, why);
}

/* keep_ms: the bytes stay out of the way for that long; 0: they go at once. */
static enum rc order_drop(struct nn_core *core, struct block_id block, uint64_t stamp, struct nn_storage *s, uint64_t keep_ms,
                          const char *reason, struct why *why)
{
    struct nn_order o = { .kind = keep_ms > 0 ? NN_SET_ASIDE : NN_DELETE, .block = block, .stamp = { stamp }, .storage = s,
                          .keep_ms = keep_ms };
    enum rc rc;

    if ((rc = nn_order_add(s->node, &o, why)) != RC_OK)
        return rc;
    metric_add(&core->nn->metrics.deletes_ordered, 1);
    log_debug("deletion_ordered", "block=%" PRIu64 " node=%s reason=%s", block.v, s->node->address, reason);
    return nn_drop_add(core->blocks->work, &(struct nn_drop){ block, stamp, keep_ms, s->no, s->node->order_seq },
                       nn_core_mono_ms(core) + core->nn->conf.repl_pending_ms, why);
}

static enum rc carry_out(struct nn_core *core, const struct nn_block *b, const struct nn_repl_plan *plan, struct why *why)
{
    const struct nn_repl_block what = { .stamp = b->stamp, .bytes = b->bytes };
    enum rc rc;

    for (size_t i = 0; i < plan->drop_count; i++) {
        const struct nn_repl_copy *c = plan->drop[i];
        bool is_bad = c->r->state != NN_WRITING && c->r->stamp == b->stamp && !nn_replica_is_good(&what, c->r);

        /* A corrupt replica may be needed after all, if the good ones turn out to be bad too. */
        if ((rc = order_drop(core, b->id, c->r->stamp, nn_storage_at(&core->blocks->nodes, c->r->storage),
                             is_bad ? core->nn->conf.orphan_keep_ms : 0, is_bad ? "corrupt" : "surplus", why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc plan_block(struct nn_core *core, const struct nn_block *b, const struct nn_replicas *list, struct why *why)
{
    struct nn_repl_copy scratch[NN_REPLICAS_MAX];
    struct nn_node *have[NN_REPLICAS_MAX + 16];
    struct nn_storage *to[NN_ORDER_TARGETS_MAX];
    struct nn_repl_plan plan;
    struct nn_place_ask ask = { .bytes = b->bytes, .now_ms = nn_core_mono_ms(core),
                                .stale_ms = core->nn->conf.stale_node_ms, .have = have };
    size_t got = 0;
    enum rc rc;

    nn_block_plan(core, b, list, false, scratch, &plan);
    if (plan.copies > 0) {
        ask.count = plan.copies < ARRAY_LEN(to) ? plan.copies : ARRAY_LEN(to);
        ask.have_count = holders(core, b, scratch, list->n, have, ARRAY_LEN(have));
        got = nn_place_plan(&core->blocks->nodes, &ask, core->nn->world->rng, to, NULL);
        if (got == 0)               /* a bad replica may have to make room */
            nn_block_plan(core, b, list, true, scratch, &plan);
    }
    for (size_t i = 0; i < got; i++) {
        struct nn_node *from = choose_source(core, b, scratch, list->n);

        if (from == NULL)
            break;
        if ((rc = order_copy(core, b, from, to[i], why)) != RC_OK)
            return rc;
    }
    if ((rc = carry_out(core, b, &plan, why)) != RC_OK)
        return rc;
    return nn_block_weigh(core, b, list, why);
}

/* A deletion that nobody confirmed; unless the replica is gone, or is newer than the order. */
static enum rc order_again(struct nn_core *core, const struct nn_drop *late, struct why *why)
{
    struct nn_storage *s = nn_storage_at(&core->blocks->nodes, late->storage);
    const struct nn_replica *r;
    struct nn_replicas list;
    enum rc rc;

    if ((rc = nn_roster_get(core->blocks->roster, late->block, &list, why)) != RC_OK)
        return rc;
    r = nn_replicas_find(&list, late->storage);
    if (s == NULL || r == NULL || r->stamp > late->stamp) {
        (void)nn_drop_done(core->blocks->work, late->block, late->storage);     /* it is there: nn_drop_late gave it */
        return nn_block_look(core, late->block, why);
    }
    return nn_node_is_live(s->node) ? order_drop(core, late->block, late->stamp, s, late->keep_ms, "late", why) : RC_OK;
}

static enum rc expire(struct nn_core *core, struct why *why)
{
    struct nn_work *w = core->blocks->work;
    uint64_t now_ms = nn_core_mono_ms(core), again_ms = now_ms + core->nn->conf.repl_pending_ms;
    struct block_id block;
    struct nn_drop late;
    enum rc rc;

    while ((block = nn_copy_expire(w, now_ms)).v != 0)
        if ((rc = nn_block_look(core, block, why)) != RC_OK)
            return rc;
    while (again_ms > now_ms && nn_drop_late(w, now_ms, again_ms, &late))
        if ((rc = order_again(core, &late, why)) != RC_OK)
            return rc == RC_BUSY ? RC_OK : rc;      /* a node has too many orders: this one's turn comes again */
    return RC_OK;
}

enum rc nn_periodic_replication(struct nn_core *core, struct why *why)
{
    struct nn_blocks *m = core->blocks;
    struct block_id turns[TURNS_MAX];
    struct nn_replicas list;
    struct nn_block b;
    size_t n;
    bool found;
    enum rc rc;

    if ((rc = expire(core, why)) != RC_OK)
        return rc;
    if (m->safe.on)                 /* read-only: nothing is copied or deleted */
        return RC_OK;
    n = nn_work_turns(m->work, turns, ARRAY_LEN(turns));
    for (size_t i = 0; i < n; i++) {
        if ((rc = nn_block_find(&core->db, turns[i], &b, &found, why)) != RC_OK)
            return rc;
        if (!found) {
            if ((rc = nn_work_set(m->work, turns[i], 0, 0, why)) != RC_OK)
                return rc;
            continue;
        }
        if ((rc = nn_roster_get(m->roster, b.id, &list, why)) != RC_OK)
            return rc;
        if ((rc = plan_block(core, &b, &list, why)) == RC_BUSY)
            break;                  /* a node has too many orders: the rest when it has carried some out */
        if (rc != RC_OK)
            return rc;
    }
    nn_orders_kick(core);
    return RC_OK;
}

/* ---- replicas of blocks that belong to no file any more ---- */

struct freed { struct block_id block; };

static enum rc read_freed(struct nn_core *core, struct freed *ret, size_t *ret_n, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_FREED_FROM, why);
    size_t n = 0;
    enum rc rc;
    bool row;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, core->blocks->freed_next.v);
    nn_bind_u64(st, 2, FREED_ROWS);
    while ((rc = nn_step(&core->db, st, &row, why)) == RC_OK && row)
        ret[n++].block.v = nn_column_u64(st, 0);
    *ret_n = n;
    return rc;
}

/* Order what is left of a freed block away; *ret_done when nothing is left, *ret_ordered when something could be ordered. */
static enum rc free_one(struct nn_core *core, struct block_id block, bool *ret_done, bool *ret_ordered, struct why *why)
{
    struct nn_blocks *m = core->blocks;
    struct nn_replicas list;
    enum rc rc;

    if ((rc = nn_roster_get(m->roster, block, &list, why)) != RC_OK ||
        (rc = nn_work_set(m->work, block, 0, 0, why)) != RC_OK)
        return rc;
    *ret_done = true;
    for (size_t i = 0; i < list.n; i++) {
        struct nn_storage *s = nn_storage_at(&m->nodes, list.r[i].storage);

        if (s == NULL || s->failed)
            continue;
        *ret_done = false;
        if (!nn_node_is_live(s->node) || nn_drop_is_ordered(m->work, block, s->no, list.r[i].stamp))
            continue;
        /* The block is gone for ever, so whatever stamp the replica has got since. */
        if ((rc = order_drop(core, block, core->next.stamp - 1, s, 0, "file_deleted", why)) != RC_OK)
            return rc;
        *ret_ordered = true;
    }
    return RC_OK;
}

enum rc nn_periodic_freed(struct nn_core *core, struct why *why)
{
    static const struct nn_replicas none = { .n = 0 };
    struct nn_edit e = { .kind = EDIT_FREED_DONE, .at_ms = nn_core_now_ms(core) };
    struct freed rows[FREED_ROWS];
    struct buf done;
    bool progress = false;          /* there are rows that wait for a dead node and that nothing can be done about */
    size_t n;
    enum rc rc;

    if (core->blocks->safe.on)
        return RC_OK;
    if ((rc = read_freed(core, rows, &n, why)) != RC_OK || n == 0) {
        core->blocks->freed_next.v = 0;
        return rc;
    }
    buf_init(&done, FREED_ROWS * 10);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        bool all_gone;

        if ((rc = free_one(core, rows[i].block, &all_gone, &progress, why)) == RC_OK && all_gone) {
            progress = true;
            buf_varint(&done, rows[i].block.v);
            rc = nn_roster_put(core->blocks->roster, rows[i].block, &none, why);
        }
    }
    core->blocks->freed_next.v = n == FREED_ROWS ? rows[n - 1].block.v + 1 : 0;
    if (rc == RC_OK && !buf_ok(&done))
        rc = why_rc(why, RC_NOMEM);
    if (rc == RC_OK && done.n > 0) {
        e.freed_done.blocks = span_of(done.p, done.n);
        rc = nn_edit_apply(core, &e, why);
    }
    buf_fini(&done);
    if (rc == RC_BUSY)              /* a node has too many orders: the rest when it has carried some out */
        rc = RC_OK;
    nn_orders_kick(core);
    if (rc == RC_OK && n == FREED_ROWS && progress)
        nn_periodic_hurry(core, NN_PERIODIC_FREED);
    return rc;
}

void nn_blocks_freed(struct nn_core *core)
{
    nn_periodic_hurry(core, NN_PERIODIC_FREED);
}

/* ---- racks, hosts ---- */

/* Read the file at path again; an empty path is an empty text.  True when it changed. */
static bool read_text(struct nn_core *core, const char *path, struct nn_text *t)
{
    struct nn_text fresh = { 0 };
    struct why why;

    if (path != NULL && path[0] != '\0' &&
        io_read_file(core->nn->world->io, path, TEXT_BYTES_MAX, (uint8_t **)(void *)&fresh.p, &fresh.n, &why) != RC_OK) {
        log_warn("file_unreadable", "path=%s reason=%s now=as_before", path, why.text);
        return false;
    }
    if (fresh.n == t->n && (fresh.n == 0 || memcmp(fresh.p, t->p, fresh.n) == 0)) {
        mem_free(fresh.p);
        return false;
    }
    mem_free(t->p);
    *t = fresh;
    return true;
}

void nn_node_place(struct nn_core *core, struct nn_node *n)
{
    struct nn_blocks *b = core->blocks;
    bool excluded = nn_hosts_has(b->excluded.p, b->excluded.n, n);
    char rack[256];
    struct why why;

    nn_rack_of(b->racks.p, b->racks.n, n->host, n->host_name, rack, sizeof rack);
    if (strcmp(rack, n->rack) != 0 && nn_node_set_rack(&b->nodes, n, rack, &why) != RC_OK)
        log_warn("rack_not_set", "node=%s reason=%s", n->address, why.text);
    if (excluded && n->admin == NN_NORMAL) {
        n->admin = NN_DECOMMISSIONING;
        b->nodes.changes++;
        log_info("datanode_decommissioning", "node=%s", n->address);
        nn_sweep_want(core);
    } else if (!excluded && n->admin != NN_NORMAL) {
        n->admin = NN_NORMAL;
        b->nodes.changes++;
        log_info("datanode_recommissioned", "node=%s", n->address);
        nn_sweep_want(core);
    }
}

bool nn_node_is_allowed(struct nn_core *core, const struct nn_node *n)
{
    struct nn_blocks *b = core->blocks;

    return core->nn->conf.hosts_file[0] == '\0' || nn_hosts_has(b->hosts.p, b->hosts.n, n);
}

static void read_texts(struct nn_core *core)
{
    struct nn_blocks *b = core->blocks;
    const struct conf *conf = &core->nn->conf;
    bool changed;

    changed = read_text(core, conf->topology_table, &b->racks);
    changed = read_text(core, conf->hosts_file, &b->hosts) || changed;
    changed = read_text(core, conf->hosts_exclude_file, &b->excluded) || changed;
    for (size_t i = 0; changed && i < b->nodes.count; i++)
        nn_node_place(core, b->nodes.all[i]);
}

/* ---- nodes that fall silent ---- */

enum rc nn_node_drop_work(struct nn_core *core, struct nn_node *n, struct why *why)
{
    struct nn_work *w = core->blocks->work;
    struct block_id block;
    enum rc rc;

    for (size_t i = 0; i < n->storage_count; i++) {
        nn_drop_storage(w, n->storages[i]->no);
        nn_hashing_drop(core, n->storages[i]);
    }
    nn_recovery_drop_node(core, n);
    while ((block = nn_copy_drop_node(w, n)).v != 0)
        if ((rc = nn_block_look(core, block, why)) != RC_OK)
            return rc;
    return RC_OK;
}

static enum rc bury(struct nn_core *core, struct nn_node *n, struct why *why)
{
    n->dead = true;
    core->blocks->nodes.changes++;
    nn_orders_clear(n);
    nn_orders_answer(core, n);
    log_warn("datanode_lost", "node=%s silent_ms=%" PRIu64 " was_registered=%d now=copy_its_blocks", n->address,
             nn_core_mono_ms(core) - n->heard_ms, n->registered);
    nn_sweep_want(core);
    return nn_node_drop_work(core, n, why);
}

enum rc nn_periodic_nodes(struct nn_core *core, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    uint64_t now_ms = nn_core_mono_ms(core), silence_ms = core->nn->conf.dead_node_ms;
    enum rc rc;

    if (now_ms - b->texts_read_ms >= TEXTS_EVERY_MS || b->texts_read_ms == 0) {
        b->texts_read_ms = now_ms;
        read_texts(core);
    }
    for (size_t i = 0; i < b->nodes.count; i++) {
        struct nn_node *n = b->nodes.all[i];

        if (!n->dead && now_ms > n->heard_ms && now_ms - n->heard_ms > silence_ms && (rc = bury(core, n, why)) != RC_OK)
            return rc;
    }
    nn_safemode_look(core);
    if (b->heard || b->viewed_changes != b->nodes.changes)
        core->snapshot_stale = true;
    return RC_OK;
}
