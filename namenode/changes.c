#include "namenode/changes.h"

#include <inttypes.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "namenode/periodic.h"
#include "namenode/report.h"

/* A replica of a block that no file has. */
static enum rc unknown_block(struct nn_core *core, struct nn_storage *s, const struct nn_held *h, struct why *why)
{
    struct nn_order o = { .kind = NN_SET_ASIDE, .block = h->block, .stamp = { h->stamp }, .bytes = h->bytes, .storage = s,
                          .keep_ms = core->nn->conf.orphan_keep_ms };
    struct nn_replica r = { .storage = s->no, .state = NN_FINALIZED, .stamp = h->stamp, .bytes = h->bytes };
    bool freed;
    enum rc rc;

    if ((rc = nn_block_is_freed(&core->db, h->block, &freed, why)) != RC_OK)
        return rc;
    if (freed) {                    /* its deletion is still to be ordered */
        nn_periodic_hurry(core, NN_PERIODIC_FREED);
        return nn_replica_set(core, h->block, &r, why);
    }
    if (core->blocks->safe.behind)  /* it may be our namespace that lacks it */
        return RC_OK;
    log_info("unknown_block_set_aside", "node=%s block=%" PRIu64 " stamp=%" PRIu64 " keep_ms=%" PRIu64, s->node->address,
             h->block.v, h->stamp, o.keep_ms);
    rc = nn_order_add(s->node, &o, why);
    return rc == RC_BUSY ? RC_OK : rc;      /* too many at once: the next report brings it up again */
}

static enum rc replica_reported(struct nn_core *core, struct nn_storage *s, const struct nn_held *h, bool by_report,
                                struct why *why)
{
    struct nn_blocks *b = core->blocks;
    struct nn_replica r = { .storage = s->no, .state = h->corrupt ? NN_CORRUPT : h->writing ? NN_WRITING : NN_FINALIZED,
                            .stamp = h->stamp, .bytes = h->bytes };
    struct nn_replicas list;
    const struct nn_replica *old;
    struct nn_block block;
    bool found;
    enum rc rc;

    if ((rc = nn_block_find(&core->db, h->block, &block, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return unknown_block(core, s, h, why);
    if ((rc = nn_roster_get(b->roster, h->block, &list, why)) != RC_OK)
        return rc;
    old = nn_replicas_find(&list, s->no);
    if (by_report && old != NULL && (old->state == NN_CORRUPT || old->state == NN_SUSPECT) && old->stamp == r.stamp &&
        r.state == NN_FINALIZED)
        r.state = old->state;       /* a report does not look into the bytes */
    if (r.state == NN_FINALIZED && nn_copy_done(b->work, h->block, s->node)) {
        nn_periodic_hurry(core, NN_PERIODIC_REPLICATION);       /* its source may send another one */
        if ((rc = nn_block_look(core, h->block, why)) != RC_OK)
            return rc;
    }
    if (b->holds != NULL && r.state == NN_FINALIZED)
        nn_holds_hurry(core);
    return nn_replica_set(core, h->block, &r, why);
}

enum rc nn_replica_verify(struct nn_storage *s, struct block_id block, uint64_t stamp, struct why *why)
{
    struct nn_order o = { .kind = NN_VERIFY, .block = block, .stamp = { stamp }, .storage = s };
    enum rc rc;

    if (s->failed || !nn_node_is_live(s->node))
        return RC_OK;
    rc = nn_order_add(s->node, &o, why);
    return rc == RC_BUSY ? RC_OK : rc;      /* too many at once: the next sweep brings it up again */
}

/* said_by: the client that saw it, whereupon the storage has to look, too; NULL: the storage itself. */
static enum rc replica_doubted(struct nn_core *core, struct nn_storage *s, struct block_id block, uint64_t stamp,
                               enum nn_replica_state state, const char *said_by, struct why *why)
{
    struct nn_replicas list;
    struct nn_replica r, *old;
    enum rc rc;

    if ((rc = nn_roster_get(core->blocks->roster, block, &list, why)) != RC_OK)
        return rc;
    if ((old = nn_replicas_find(&list, s->no)) == NULL || old->state == NN_CORRUPT ||
        (stamp != 0 && stamp < old->stamp))     /* it has been replaced since, or was cut while somebody read it */
        return RC_OK;
    if (state == NN_SUSPECT && old->state != NN_FINALIZED)
        return RC_OK;
    r = *old;
    r.state = state;
    log_warn(state == NN_SUSPECT ? "replica_suspect" : "replica_corrupt",
             "block=%" PRIu64 " stamp=%" PRIu64 " node=%s said_by=%s now=copy_a_good_one", block.v, stamp, s->node->address,
             said_by == NULL ? s->node->address : said_by);
    if (said_by != NULL && (rc = nn_replica_verify(s, block, stamp, why)) != RC_OK)
        return rc;
    /* No hurry: who finds one bad replica often finds the next at once, and none should go on account of the other. */
    return nn_replica_set(core, block, &r, why);
}

enum rc nn_replica_is_corrupt(struct nn_core *core, struct nn_storage *s, struct block_id block, uint64_t stamp,
                              const char *said_by, struct why *why)
{
    return replica_doubted(core, s, block, stamp, NN_CORRUPT, said_by, why);
}

enum rc nn_change_apply(struct nn_core *core, struct nn_storage *s, const DnChange *change, struct why *why)
{
    struct nn_held h = { .block = { change->block->id }, .stamp = change->block->stamp, .bytes = change->block->bytes };
    enum rc rc = RC_OK;
    bool news;

    if (change->seq > 0 && nn_seen_after(s, h.block, change->seq - 1))
        return RC_OK;               /* this one, or a later one, has been applied */
    switch (change->kind) {
    case DN_CHANGE__KIND__RECEIVING:
        h.writing = true;
        rc = replica_reported(core, s, &h, false, why);
        break;
    case DN_CHANGE__KIND__RECEIVED:
        rc = replica_reported(core, s, &h, false, why);
        break;
    case DN_CHANGE__KIND__DELETED:
        rc = nn_replica_gone(core, h.block, s->no, why);
        break;
    case DN_CHANGE__KIND__CORRUPT:
        rc = replica_doubted(core, s, h.block, h.stamp, NN_CORRUPT, NULL, why);
        break;
    case DN_CHANGE__KIND__SUSPECT:
        rc = replica_doubted(core, s, h.block, h.stamp, NN_SUSPECT, NULL, why);
        break;
    case _DN_CHANGE__KIND_IS_INT_SIZE:
    default:                        /* of a later version */
        break;
    }
    return rc == RC_OK ? nn_seen_note(s, h.block, change->seq, &news, why) : rc;
}

/* ---- full reports ---- */

/* What the roster says of one storage in one range. */
struct collecting { uint32_t storage; struct nn_held *held; size_t count, cap; };

static enum rc collect_row(void *arg, struct block_id block, const struct nn_replicas *list, struct why *why)
{
    struct collecting *c = arg;

    for (size_t i = 0; i < list->n; i++) {
        if (list->r[i].storage != c->storage)
            continue;
        if (!mem_room(&c->held, c->count, &c->cap, sizeof *c->held))
            return why_rc(why, RC_NOMEM);
        c->held[c->count++] = nn_held_of(block, &list->r[i]);
    }
    return RC_OK;
}

struct applying { struct nn_core *core; struct nn_storage *s; uint64_t seq; };

static enum rc on_gone(void *arg, const struct nn_held *was, struct why *why)
{
    struct applying *a = arg;
    struct nn_block block;
    bool found;
    enum rc rc;

    if (nn_seen_after(a->s, was->block, a->seq))
        return RC_OK;
    if (was->writing) {             /* chosen for the pipeline of an open block: it may not have begun */
        if ((rc = nn_block_find(&a->core->db, was->block, &block, &found, why)) != RC_OK)
            return rc;
        if (found && block.state != NN_BLOCK_COMPLETE)
            return RC_OK;
    }
    log_debug("replica_gone", "block=%" PRIu64 " node=%s", was->block.v, a->s->node->address);
    return nn_replica_gone(a->core, was->block, a->s->no, why);
}

static enum rc on_new(void *arg, const struct nn_held *is, struct why *why)
{
    struct applying *a = arg;

    if (nn_seen_after(a->s, is->block, a->seq))
        return RC_OK;
    return replica_reported(a->core, a->s, is, true, why);
}

enum rc nn_report_range(struct nn_core *core, struct nn_storage *s, const DnReportRangeRequest *req, struct arena *arena,
                        struct why *why)
{
    struct applying a = { core, s, req->seq };
    const struct nn_report_events events = { &a, on_gone, on_new };
    struct collecting c = { .storage = s->no };
    struct nn_held *held = arena_calloc(arena, req->n_replicas / 3 + 1, sizeof *held);
    struct block_id next;
    enum rc rc;

    if (held == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = nn_report_check(s, req->seq, why)) != RC_OK ||
        (rc = nn_report_decode(req->replicas, req->n_replicas, req->range->first_id, req->range->last_id, held, why)) != RC_OK)
        return rc;
    if ((rc = nn_roster_each(core->blocks->roster, (struct block_id){ req->range->first_id },
                             (struct block_id){ req->range->last_id }, INT64_MAX, collect_row, &c, &next, why)) == RC_OK)
        rc = nn_report_diff(c.held, c.count, held, req->n_replicas / 3, &events, why);
    mem_free(c.held);
    if (rc == RC_OK && req->last)
        nn_storage_confirm(core, s);
    return rc;
}
