/*
 * sweep -- all blocks looked at, step by step; safe mode, which waits for it.
 */
#include <inttypes.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "namenode/blockmap.h"
#include "namenode/changes.h"
#include "namenode/nodes_view.h"
#include "namenode/periodic.h"

#define SWEEP_ROWS 2000             /* of one step */
#define SWEEP_EVERY_MS 600000       /* also when nothing asks for one */
#define LEAVING_EVERY_MS 30000      /* while a node waits to be decommissioned */

void nn_sweep_want(struct nn_core *core)
{
    core->blocks->sweep.wanted = true;
    nn_periodic_hurry(core, NN_PERIODIC_SWEEP);
}

static void sweep_begin(struct nn_blocks *b)
{
    b->sweep.wanted = false;
    b->sweep.running = true;
    b->sweep.next.v = 0;
    b->sweep.blocks = b->sweep.safe = 0;
    for (size_t i = 0; i < b->nodes.storage_count; i++)
        if (b->nodes.storages[i] != NULL)
            b->nodes.storages[i]->swept_count = 0;
    for (size_t i = 0; i < b->nodes.count; i++)
        b->nodes.all[i]->still_needed = false;
}

/* Is there a replica that was reported in this run? */
static bool is_safe(const struct nn_blocks *b, const struct nn_block *block, const struct nn_replicas *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct nn_replica *r = &list->r[i];
        const struct nn_storage *s = nn_storage_at(&b->nodes, r->storage);

        if (s != NULL && s->confirmed && !s->node->dead && (r->state == NN_FINALIZED || r->state == NN_SUSPECT) && r->stamp == block->stamp &&
            r->bytes == block->bytes)
            return true;
    }
    return false;
}

/* A node that is being decommissioned stays until its blocks are elsewhere, open ones too. */
static void need_leaving(const struct nn_core *core, const struct nn_block *block, const struct nn_replicas *list)
{
    bool short_of = block->state != NN_BLOCK_COMPLETE ||
                    (nn_work_need(core->blocks->work, block->id) & (NEED_LOW | NEED_MISSING)) != 0;

    for (size_t i = 0; short_of && i < list->n; i++) {
        const struct nn_storage *s = nn_storage_at(&core->blocks->nodes, list->r[i].storage);

        if (s != NULL && s->node->admin != NN_NORMAL)
            s->node->still_needed = true;
    }
}

/*
 * Where good replicas are short, the storages of bad ones look at them again: they may have been restarted and have
 * forgotten what they found, and a bad word may have been the network's fault.
 */
static enum rc verify_doubted(struct nn_core *core, const struct nn_block *block, const struct nn_replicas *list, struct why *why)
{
    enum rc rc = RC_OK;

    if ((nn_work_need(core->blocks->work, block->id) & (NEED_LOW | NEED_MISSING)) == 0)
        return RC_OK;
    for (size_t i = 0; i < list->n && rc == RC_OK; i++) {
        const struct nn_replica *r = &list->r[i];
        struct nn_storage *s = nn_storage_at(&core->blocks->nodes, r->storage);

        if (s != NULL && s->confirmed && (r->state == NN_CORRUPT || r->state == NN_SUSPECT) && r->stamp == block->stamp &&
            r->bytes == block->bytes)
            rc = nn_replica_verify(s, block->id, r->stamp, why);
    }
    return rc;
}

static enum rc sweep_row(struct nn_core *core, sqlite3_stmt *st, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    struct nn_replicas list;
    struct nn_block block;
    struct span packed = nn_column_span(st, 7);
    enum rc rc;

    nn_block_read(st, &block);
    if ((rc = nn_replicas_unpack(packed.p, packed.n, &list, why)) != RC_OK)
        return why_prefix(why, "block %" PRIu64, block.id.v);
    for (size_t i = 0; i < list.n; i++) {
        struct nn_storage *s = nn_storage_at(&b->nodes, list.r[i].storage);

        if (s != NULL && list.r[i].state != NN_WRITING)
            s->swept_count++;
    }
    if (block.state == NN_BLOCK_COMPLETE) {
        b->sweep.blocks++;
        b->sweep.safe += is_safe(b, &block, &list);
    }
    if ((rc = nn_block_weigh(core, &block, &list, why)) != RC_OK)
        return rc;
    need_leaving(core, &block, &list);
    if ((rc = verify_doubted(core, &block, &list, why)) != RC_OK)
        return rc;
    b->sweep.next.v = block.id.v + 1;
    return RC_OK;
}

static void sweep_end(struct nn_core *core)
{
    struct nn_blocks *b = core->blocks;

    b->sweep.running = false;
    b->sweep.done_ms = nn_core_mono_ms(core);
    b->facts.blocks = b->sweep.blocks;
    b->facts.safe = b->sweep.safe;
    for (size_t i = 0; i < b->nodes.storage_count; i++)
        if (b->nodes.storages[i] != NULL)
            b->nodes.storages[i]->block_count = b->nodes.storages[i]->swept_count;
    for (size_t i = 0; i < b->nodes.count; i++) {
        struct nn_node *n = b->nodes.all[i];

        if (n->admin == NN_DECOMMISSIONING && !n->still_needed && !b->safe.on) {
            n->admin = NN_DECOMMISSIONED;
            b->nodes.changes++;
            log_info("datanode_decommissioned", "node=%s", n->address);
        }
    }
    nn_safemode_look(core);
    core->snapshot_stale = true;
}

enum rc nn_sweep_step(struct nn_core *core, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    sqlite3_stmt *st;
    size_t rows = 0;
    enum rc rc;
    bool row;

    if (!b->sweep.running)
        sweep_begin(b);
    if ((rc = nn_roster_flush(b->roster, why)) != RC_OK)
        return rc;
    if ((st = nn_sql(&core->db, SQL_BLOCK_SWEEP, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, b->sweep.next.v);
    nn_bind_u64(st, 2, SWEEP_ROWS);
    while ((rc = nn_step(&core->db, st, &row, why)) == RC_OK && row) {
        rows++;
        if ((rc = sweep_row(core, st, why)) != RC_OK) {
            nn_done(st);
            return rc;
        }
    }
    if (rc == RC_OK && rows < SWEEP_ROWS)
        sweep_end(core);
    return rc;
}

static uint64_t period_ms(const struct nn_blocks *b)
{
    for (size_t i = 0; i < b->nodes.count; i++)
        if (b->nodes.all[i]->admin == NN_DECOMMISSIONING && !b->nodes.all[i]->dead)
            return LEAVING_EVERY_MS;
    return SWEEP_EVERY_MS;
}

enum rc nn_periodic_sweep(struct nn_core *core, struct why *why)
{
    struct nn_sweep *s = &core->blocks->sweep;
    enum rc rc;

    if (!s->running && !s->wanted && nn_core_mono_ms(core) - s->done_ms < period_ms(core->blocks))
        return RC_OK;
    rc = nn_sweep_step(core, why);
    if (rc == RC_OK && (s->running || s->wanted))
        nn_periodic_hurry(core, NN_PERIODIC_SWEEP);
    return rc;
}

/* ---- safe mode ---- */

void nn_safemode_look(struct nn_core *core)
{
    struct nn_blocks *b = core->blocks;
    const struct conf *conf = &core->nn->conf;

    b->facts.threshold = conf->safemode_pct;
    b->facts.nodes_wanted = conf->safemode_min_nodes;
    b->facts.extension_ms = conf->safemode_extension_ms;
    b->facts.now_ms = nn_core_mono_ms(core);
    b->facts.live_nodes = 0;
    for (size_t i = 0; i < b->nodes.count; i++)
        b->facts.live_nodes += nn_node_is_live(b->nodes.all[i]);
    if (b->sweep.done_ms != 0 && nn_safemode_step(&b->safe, &b->facts)) {
        log_info("safe_mode_left", "blocks=%" PRIu64 " safe=%" PRIu64 " live_nodes=%" PRIu64, b->facts.blocks, b->facts.safe,
                 b->facts.live_nodes);
        nn_periodic_hurry(core, NN_PERIODIC_REPLICATION);
        nn_periodic_hurry(core, NN_PERIODIC_HOLDS);
    }
    if (core->safe_mode != b->safe.on)
        core->snapshot_stale = true;
    core->safe_mode = b->safe.on;
}

void nn_behind_check(struct nn_core *core, const struct nn_node *n, uint64_t txid, uint64_t block, uint64_t stamp)
{
    struct nn_blocks *b = core->blocks;
    char text[400];

    if ((txid <= core->txid && block < core->next.block && stamp < core->next.stamp) || old_bug(OLD_BUG_BEHIND_NOT_SEEN))
        return;
    snprintf(text, sizeof text, "DataNode %s has seen transaction %" PRIu64 ", block %" PRIu64 " and generation stamp %" PRIu64
             ", this NameNode's are %" PRIu64 ", %" PRIu64 " and %" PRIu64, n->address, txid, block, stamp, core->txid,
             core->next.block - 1, core->next.stamp - 1);
    if (!b->safe.behind)
        log_error("namenode_behind", "reason=\"%s\" now=read_only", text);
    nn_safemode_set_behind(&b->safe, text);
    core->safe_mode = true;
    core->snapshot_stale = true;
}
