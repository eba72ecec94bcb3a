#include "namenode/blocks.h"

#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "namenode/changes.h"
#include "namenode/periodic.h"
#include "namenode/recovery.h"

/* ---- nodes and storages in their tables ---- */

static char *text_of(struct span s)
{
    return mem_strndup(s.p, s.n);
}

static enum rc load_node(struct nn_core *core, sqlite3_stmt *st, struct why *why)
{
    struct nn_nodes *t = &core->blocks->nodes;
    char *uuid = text_of(nn_column_span(st, 0)), *host = text_of(nn_column_span(st, 1)), *name = text_of(nn_column_span(st, 2));
    struct nn_node *n;
    enum rc rc = RC_NOMEM;

    if (uuid == NULL || host == NULL || name == NULL)
        (void)why_rc(why, RC_NOMEM);
    else if ((rc = nn_node_add(t, uuid, nn_core_mono_ms(core), &n, why)) == RC_OK)
        rc = nn_node_set_address(t, n, host, name, (uint16_t)nn_column_u64(st, 3), (uint16_t)nn_column_u64(st, 4),
                                 (uint16_t)nn_column_u64(st, 5), why);
    mem_free(uuid);
    mem_free(host);
    mem_free(name);
    return rc;
}

static enum rc load_storage(struct nn_core *core, sqlite3_stmt *st, struct why *why)
{
    struct nn_nodes *t = &core->blocks->nodes;
    char *uuid = text_of(nn_column_span(st, 1)), *of = text_of(nn_column_span(st, 2));
    struct nn_storage *s;
    struct nn_node *n;
    enum rc rc = RC_NOMEM;

    if (uuid == NULL || of == NULL)
        (void)why_rc(why, RC_NOMEM);
    else if ((rc = nn_node_add(t, of, nn_core_mono_ms(core), &n, why)) == RC_OK)
        rc = nn_storage_add(t, n, uuid, (uint32_t)nn_column_u64(st, 0), &s, why);
    mem_free(uuid);
    mem_free(of);
    return rc;
}

static enum rc load_rows(struct nn_core *core, enum nn_sql name,
                         enum rc (*load)(struct nn_core *core, sqlite3_stmt *st, struct why *why), struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, name, why);
    enum rc rc;
    bool row;

    if (st == NULL)
        return why->rc;
    while ((rc = nn_step(&core->db, st, &row, why)) == RC_OK && row)
        if ((rc = load(core, st, why)) != RC_OK) {
            nn_done(st);
            break;
        }
    return rc;
}

static enum rc save_node(struct nn_core *core, const struct nn_node *n, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_NODE_SET, why);

    if (st == NULL)
        return why->rc;
    nn_bind_span(st, 1, span_of(n->uuid, strlen(n->uuid)));
    nn_bind_span(st, 2, span_of(n->host, strlen(n->host)));
    nn_bind_span(st, 3, span_of(n->host_name, strlen(n->host_name)));
    nn_bind_u64(st, 4, n->data_port);
    nn_bind_u64(st, 5, n->ipc_port);
    nn_bind_u64(st, 6, n->http_port);
    return nn_run(&core->db, st, why);
}

static enum rc save_storage(struct nn_core *core, const struct nn_storage *s, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_STORAGE_SET, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, s->no);
    nn_bind_span(st, 2, span_of(s->uuid, strlen(s->uuid)));
    nn_bind_span(st, 3, span_of(s->node->uuid, strlen(s->node->uuid)));
    return nn_run(&core->db, st, why);
}

enum rc nn_nodes_save(struct nn_core *core, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    enum rc rc;

    if (!b->nodes_unsaved)
        return RC_OK;
    for (size_t i = 0; i < b->nodes.count; i++)
        if ((rc = save_node(core, b->nodes.all[i], why)) != RC_OK)
            return rc;
    for (size_t i = 0; i < b->nodes.storage_count; i++)
        if (b->nodes.storages[i] != NULL && (rc = save_storage(core, b->nodes.storages[i], why)) != RC_OK)
            return rc;
    b->nodes_unsaved = false;
    return RC_OK;
}

/* ---- life ---- */

static enum rc has_blocks(struct nn_core *core, bool *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_BLOCK_ANY, why);
    enum rc rc;

    if (st == NULL)
        return why->rc;
    rc = nn_step(&core->db, st, ret, why);
    nn_done(st);
    return rc;
}

enum rc nn_blocks_new(struct nn_core *core, struct nn_blocks **ret, struct why *why)
{
    struct nn_blocks *b = mem_zalloc(sizeof *b);
    bool any = false;
    enum rc rc;

    if (b == NULL)
        return why_rc(why, RC_NOMEM);
    core->blocks = b;
    b->parked_end = &b->parked;
    b->recovering = true;
    nn_nodes_init(&b->nodes);
    if ((rc = nn_roster_new(&core->db, &b->roster, why)) != RC_OK || (rc = nn_work_new(&b->work, why)) != RC_OK ||
        (rc = load_rows(core, SQL_NODE_ALL, load_node, why)) != RC_OK ||
        (rc = load_rows(core, SQL_STORAGE_ALL, load_storage, why)) != RC_OK || (rc = has_blocks(core, &any, why)) != RC_OK)
        goto out;
    for (size_t i = 0; i < b->nodes.count; i++)
        nn_node_place(core, b->nodes.all[i]);
    nn_safemode_start(&b->safe, any);
    b->facts.threshold = core->nn->conf.safemode_pct;
    core->safe_mode = b->safe.on;
    b->sweep.wanted = true;
    if (any)
        log_info("safe_mode_entered", "reason=start nodes_known=%zu", b->nodes.count);
    *ret = b;
    return RC_OK;
out:
    core->blocks = NULL;
    nn_blocks_free(b);
    return rc;
}

void nn_blocks_free(struct nn_blocks *b)
{
    struct nn_hold *h;

    if (b == NULL)
        return;
    while ((h = b->holds) != NULL) {
        b->holds = h->next;
        mem_free(h);
    }
    nn_recovery_forget(b);
    nn_work_free(b->work);              /* before the nodes that it points to */
    nn_roster_free(b->roster);
    nn_nodes_fini(&b->nodes);
    mem_free(b->racks.p);
    mem_free(b->hosts.p);
    mem_free(b->excluded.p);
    mem_free(b);
}

void nn_blocks_committed(struct nn_core *core)
{
    nn_work_committed(core->blocks->work);
}

void nn_blocks_undone(struct nn_core *core)
{
    struct nn_blocks *b = core->blocks;

    /* Orders and work may rest on what was undone: plan anew. */
    nn_work_undone(b->work);
    for (size_t i = 0; i < b->nodes.count; i++) {
        nn_orders_clear(b->nodes.all[i]);
        b->nodes.all[i]->copying = 0;
    }
    nn_recovery_forget(b);
    b->nodes_unsaved = true;
    nn_roster_rolled_back(b->roster);
    b->freed_next.v = 0;
    nn_sweep_want(core);
}

void nn_blocks_stop(struct nn_core *core)
{
    struct nn_blocks *b = core->blocks;
    struct rpc_call *call;
    struct nn_hold *h;
    struct why why;

    (void)why_rc(&why, RC_STOPPED);
    for (size_t i = 0; b != NULL && i < b->nodes.count; i++)
        if (b->nodes.all[i]->waiting != NULL) {
            core->nn->answer->fail(b->nodes.all[i]->waiting, &why);
            b->nodes.all[i]->waiting = NULL;
        }
    for (size_t i = 0; b != NULL && i < b->nodes.storage_count; i++)
        if (b->nodes.storages[i] != NULL && (call = nn_hashing_take(b->nodes.storages[i])) != NULL)
            core->nn->answer->fail(call, &why);
    while (b != NULL && (call = b->parked) != NULL) {
        b->parked = call->next;
        core->nn->answer->fail(call, &why);
    }
    while (b != NULL && (h = b->holds) != NULL) {
        b->holds = h->next;
        core->nn->answer->fail(h->call, &why);
        mem_free(h);
    }
}

/* ---- replicas ---- */

static void count_replica(struct nn_blocks *b, struct block_id block, uint32_t storage, bool more)
{
    struct nn_storage *s = nn_storage_at(&b->nodes, storage);

    if (s == NULL)
        return;
    if (more)
        s->block_count++;
    else if (s->block_count > 0)
        s->block_count--;
    if (!b->sweep.running || block.v >= b->sweep.next.v)
        return;
    if (more)
        s->swept_count++;
    else if (s->swept_count > 0)
        s->swept_count--;
}

/* Whether a replica is one of those that its storage is said to hold: one that is only expected is not. */
static bool is_held(struct nn_replicas *list, uint32_t storage)
{
    const struct nn_replica *r = nn_replicas_find(list, storage);

    return r != NULL && r->state != NN_WRITING;
}

enum rc nn_replica_set(struct nn_core *core, struct block_id block, const struct nn_replica *r, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    struct nn_replicas list;
    bool before;
    enum rc rc;

    if ((rc = nn_roster_get(b->roster, block, &list, why)) != RC_OK)
        return rc;
    before = is_held(&list, r->storage);
    if (!nn_replicas_put(&list, r))
        return RC_OK;
    if ((rc = nn_roster_put(b->roster, block, &list, why)) != RC_OK)
        return rc;
    if (is_held(&list, r->storage) != before)
        count_replica(b, block, r->storage, !before);
    return nn_block_look(core, block, why);
}

enum rc nn_replica_gone(struct nn_core *core, struct block_id block, uint32_t storage, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    struct nn_replicas list;
    bool before;
    enum rc rc;

    (void)nn_drop_done(b->work, block, storage);        /* it may not have been ordered */
    if ((rc = nn_roster_get(b->roster, block, &list, why)) != RC_OK)
        return rc;
    before = is_held(&list, storage);
    if (!nn_replicas_remove(&list, storage))
        return RC_OK;
    if ((rc = nn_roster_put(b->roster, block, &list, why)) != RC_OK)
        return rc;
    if (before)
        count_replica(b, block, storage, false);
    return nn_block_look(core, block, why);
}

enum rc nn_replicas_set(struct nn_core *core, struct block_id block, const struct nn_replicas *list, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    struct nn_replicas before;
    enum rc rc;

    if ((rc = nn_roster_get(b->roster, block, &before, why)) != RC_OK ||
        (rc = nn_roster_put(b->roster, block, list, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < before.n; i++)
        if (before.r[i].state != NN_WRITING)
            count_replica(b, block, before.r[i].storage, false);
    for (size_t i = 0; i < list->n; i++)
        if (list->r[i].state != NN_WRITING)
            count_replica(b, block, list->r[i].storage, true);
    return nn_block_look(core, block, why);
}

static bool is_among(const struct nn_node *n, struct nn_node *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == n)
            return true;
    return false;
}

void nn_block_plan(struct nn_core *core, const struct nn_block *b, const struct nn_replicas *list, bool no_room,
                   struct nn_repl_copy *scratch, struct nn_repl_plan *ret)
{
    struct nn_blocks *m = core->blocks;
    struct nn_repl_block what = { .stamp = b->stamp, .bytes = b->bytes, .wanted = b->replication,
                                  .complete = b->state == NN_BLOCK_COMPLETE };
    struct nn_node *coming[16];
    size_t coming_count = nn_copy_targets(m->work, b->id, coming, ARRAY_LEN(coming));

    for (size_t i = 0; i < list->n; i++) {
        const struct nn_storage *s = nn_storage_at(&m->nodes, list->r[i].storage);

        scratch[i] = (struct nn_repl_copy){
            .r = &list->r[i], .s = s, .going = nn_drop_is_ordered(m->work, b->id, list->r[i].storage, list->r[i].stamp),
            .expected = s != NULL && is_among(s->node, coming, coming_count),
        };
    }
    nn_repl_plan(&what, scratch, list->n, (unsigned)coming_count, no_room, ret);
}

enum rc nn_block_weigh(struct nn_core *core, const struct nn_block *b, const struct nn_replicas *list, struct why *why)
{
    struct nn_repl_copy scratch[NN_REPLICAS_MAX];
    struct nn_repl_plan plan;
    unsigned need = 0, there;

    if (b->state != NN_BLOCK_COMPLETE)
        return nn_work_set(core->blocks->work, b->id, 0, 0, why);
    nn_block_plan(core, b, list, false, scratch, &plan);
    there = plan.count.good + plan.count.leaving + plan.count.provisional + plan.count.suspect;
    if (there == 0)
        need |= b->replication == 1 ? NEED_MISSING | NEED_MISSING_ONE : NEED_MISSING;
    else if (plan.count.good + plan.count.provisional < b->replication)
        need |= NEED_LOW;
    need |= plan.count.corrupt > 0 ? NEED_CORRUPT : 0;
    need |= plan.copies > 0 ? NEED_COPY : 0;
    need |= plan.drop_count > 0 ? NEED_TRIM : 0;
    return nn_work_set(core->blocks->work, b->id, need, plan.count.good, why);
}

enum rc nn_block_look(struct nn_core *core, struct block_id block, struct why *why)
{
    struct nn_replicas list;
    struct nn_block b;
    bool found;
    enum rc rc;

    if ((rc = nn_block_find(&core->db, block, &b, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return nn_work_set(core->blocks->work, block, 0, 0, why);
    if ((rc = nn_roster_get(core->blocks->roster, block, &list, why)) != RC_OK)
        return rc;
    return nn_block_weigh(core, &b, &list, why);
}

unsigned nn_block_reported(const struct nn_blocks *b, const struct nn_replicas *list, uint64_t stamp, uint64_t bytes)
{
    unsigned n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct nn_replica *r = &list->r[i];
        const struct nn_storage *s = nn_storage_at(&b->nodes, r->storage);

        n += s != NULL && !s->node->dead && r->state == NN_FINALIZED && r->stamp == stamp && r->bytes == bytes;
    }
    return n;
}

enum rc nn_roster_packed(struct nn_core *core, struct arena *arena, const struct nn_replicas *list, struct span *ret,
                         struct why *why)
{
    struct buf b;
    uint8_t *p;
    enum rc rc;

    if ((rc = nn_nodes_save(core, why)) != RC_OK)
        return rc;
    buf_init(&b, NN_REPLICAS_PACKED_MAX);
    nn_replicas_pack(list, &b);
    if (!buf_ok(&b) || (p = arena_alloc(arena, b.n + 1)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
    } else {
        if (b.n > 0)
            memcpy(p, b.p, b.n);
        *ret = span_of(p, b.n);
    }
    buf_fini(&b);
    return rc;
}

/* ---- what the frame asks ---- */

enum rc nn_blocks_recount(struct nn_core *core, uint64_t inode, struct why *why)
{
    struct nn_block blocks[64];
    size_t n;
    enum rc rc;

    for (uint64_t at = 0;; at = blocks[n - 1].idx + 1) {
        if ((rc = nn_block_list(&core->db, inode, at, blocks, ARRAY_LEN(blocks), &n, why)) != RC_OK)
            return rc;
        for (size_t i = 0; i < n; i++)
            if ((rc = nn_block_look(core, blocks[i].id, why)) != RC_OK)
                return rc;
        if (n < ARRAY_LEN(blocks))
            break;
    }
    nn_periodic_hurry(core, NN_PERIODIC_REPLICATION);
    return RC_OK;
}

/* Soft-state writes of the roster, and nodes before it: at least every second. */
enum rc nn_periodic_roster(struct nn_core *core, struct why *why)
{
    enum rc rc;

    nn_roster_next_round(core->blocks->roster);
    if ((rc = nn_nodes_save(core, why)) != RC_OK)
        return rc;
    return nn_roster_flush(core->blocks->roster, why);
}
