/*
 * hashing -- the roster's side of full reports, storage by storage and range by range.
 *
 * The roster is in order of blocks, so the replicas of one storage are found by
 * reading all of it.  That is done in steps, and one pass serves every storage
 * that was waiting when it began.
 */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "namenode/changes.h"
#include "namenode/periodic.h"

#define ROWS_PER_STEP 5000

/* One reportHashes() that waits, or that the pass under way serves. */
struct nn_hashing {
    struct rpc_call *call;
    const DnReportHashesRequest *req;       /* in the call's arena, as are the ranges */
    struct nn_range *ranges;
    size_t at;
    bool passing;
};

struct nn_held nn_held_of(struct block_id block, const struct nn_replica *r)
{
    return (struct nn_held){ .block = block, .stamp = r->stamp, .bytes = r->bytes, .writing = r->state == NN_WRITING,
                             .corrupt = r->state == NN_CORRUPT };
}

enum rc nn_report_check(const struct nn_storage *s, uint64_t seq, struct why *why)
{
    if (nn_seen_forgot(s, seq))
        return why_set(why, RC_BUSY, "the report of %s is older than what is remembered of later changes: send it again", s->uuid);
    return RC_OK;
}

void nn_storage_confirm(struct nn_core *core, struct nn_storage *s)
{
    s->reported_wall_ms = nn_core_now_ms(core);
    core->blocks->nodes.changes++;
    core->snapshot_stale = true;
    if (!s->confirmed)
        log_info("storage_confirmed", "node=%s storage=%s", s->node->address, s->uuid);
    s->confirmed = true;
    nn_sweep_want(core);
}

struct rpc_call *nn_hashing_take(struct nn_storage *s)
{
    struct rpc_call *call = s->hashing == NULL ? NULL : s->hashing->call;

    mem_free(s->hashing);
    s->hashing = NULL;
    return call;
}

void nn_hashing_drop(struct nn_core *core, struct nn_storage *s)
{
    struct rpc_call *call = nn_hashing_take(s);
    struct why why;

    if (call != NULL)
        nn_core_release(core, call, why_set(&why, RC_UNREGISTERED, "the DataNode is not registered any more"), &why);
}

enum rc nn_report_hashes(struct nn_core *core, struct nn_storage *s, struct rpc_call *call, const DnReportHashesRequest *req,
                         struct why *why)
{
    DnReportHashesReply *reply = (DnReportHashesReply *)(void *)call->reply;
    size_t n = req->n_ranges;
    struct nn_hashing *h;
    struct nn_range *ranges;
    enum rc rc;

    if ((rc = nn_report_check(s, req->seq, why)) != RC_OK)
        return rc;
    if ((ranges = arena_calloc(&call->arena, n + 1, sizeof *ranges)) == NULL ||
        (reply->differ = arena_calloc(&call->arena, n + 1, sizeof *reply->differ)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < n; i++)
        ranges[i] = (struct nn_range){ req->ranges[i]->first_id, req->ranges[i]->last_id, 0, NN_HASH_START };
    if ((rc = nn_ranges_check(ranges, n, why)) != RC_OK)
        return rc;
    if ((h = mem_zalloc(sizeof *h)) == NULL)
        return why_rc(why, RC_NOMEM);
    nn_hashing_drop(core, s);               /* one that the node has given up */
    *h = (struct nn_hashing){ .call = call, .req = req, .ranges = ranges };
    s->hashing = h;
    nn_periodic_hurry(core, NN_PERIODIC_HASHING);
    return RC_OK;
}

/* ---- a pass ---- */

static enum rc pass_row(void *arg, struct block_id block, const struct nn_replicas *list, struct why *why)
{
    struct nn_core *core = arg;

    (void)why;
    for (size_t i = 0; i < list->n; i++) {
        const struct nn_storage *s = nn_storage_at(&core->blocks->nodes, list->r[i].storage);

        if (s != NULL && s->hashing != NULL && s->hashing->passing) {
            struct nn_held held = nn_held_of(block, &list->r[i]);

            nn_ranges_add(s->hashing->ranges, s->hashing->req->n_ranges, &s->hashing->at, &held);
        }
    }
    return RC_OK;
}

/* All of the roster has passed: say which ranges differ. */
static void answer(struct nn_core *core, struct nn_storage *s)
{
    const struct nn_hashing *h = s->hashing;
    DnReportHashesReply *reply = (DnReportHashesReply *)(void *)h->call->reply;

    for (size_t i = 0; i < h->req->n_ranges; i++)
        if (h->ranges[i].count != h->req->ranges[i]->count || h->ranges[i].hash != h->req->ranges[i]->hash)
            reply->differ[reply->n_differ++] = (uint32_t)i;
    if (reply->n_differ == 0)
        nn_storage_confirm(core, s);
    nn_core_release(core, nn_hashing_take(s), RC_OK, NULL);
}

/* Storages that wait join the pass that begins now. */
static bool begin(struct nn_blocks *b)
{
    bool any = false;

    for (size_t i = 0; i < b->nodes.storage_count; i++)
        if (b->nodes.storages[i] != NULL && b->nodes.storages[i]->hashing != NULL)
            any = b->nodes.storages[i]->hashing->passing = true;
    b->hashing_next.v = 0;
    return any;
}

enum rc nn_periodic_hashing(struct nn_core *core, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    enum rc rc;

    if (!b->hashing && !(b->hashing = begin(b)))
        return RC_OK;
    if ((rc = nn_roster_each(b->roster, b->hashing_next, (struct block_id){ INT64_MAX }, ROWS_PER_STEP, pass_row, core,
                             &b->hashing_next, why)) != RC_OK)
        return rc;
    nn_periodic_hurry(core, NN_PERIODIC_HASHING);
    if (b->hashing_next.v != 0)
        return RC_OK;
    b->hashing = false;
    for (size_t i = 0; i < b->nodes.storage_count; i++) {
        struct nn_storage *s = b->nodes.storages[i];

        if (s != NULL && s->hashing != NULL && s->hashing->passing)
            answer(core, s);
    }
    return RC_OK;
}
