/*
 * hold -- complete() calls that wait until replicas are reported, and the
 * closing of files.
 */
#include "core/base/mem.h"
#include "core/proto/client_namenode.pb-c.h"
#include "namenode/blockmap.h"
#include "namenode/closing.h"
#include "namenode/edit.h"
#include "namenode/inode.h"
#include "namenode/periodic.h"

/* Has b enough replicas of its length and stamp? */
static enum rc is_stored(struct nn_core *core, const struct nn_block *b, bool *ret, struct why *why)
{
    struct nn_replicas list;
    enum rc rc;

    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    *ret = nn_block_reported(core->blocks, &list, b->stamp, b->bytes) >= core->nn->conf.replication_min;
    return RC_OK;
}

/* Only the last two blocks of an open file may be incomplete: addBlock sees to that. */
enum rc nn_file_is_stored(struct nn_core *core, uint64_t inode, bool *ret, struct why *why)
{
    struct nn_block last[2];
    size_t n;
    enum rc rc;

    if ((rc = nn_block_last(&core->db, inode, last, &n, why)) != RC_OK)
        return rc;
    *ret = true;
    for (size_t i = 0; i < n && *ret; i++) {
        if (last[i].state == NN_BLOCK_OPEN)
            *ret = false;
        else if (last[i].state == NN_BLOCK_COMMITTED && (rc = is_stored(core, &last[i], ret, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* Replicas of a finished pipeline that are not reported yet are waited for before others are made. */
static enum rc expect_replicas(struct nn_core *core, const struct nn_block *b, const struct nn_replicas *list, struct why *why)
{
    struct nn_blocks *m = core->blocks;
    uint64_t until_ms = nn_core_mono_ms(core) + NN_EXPECT_MS;
    enum rc rc;

    for (size_t i = 0; i < list->n; i++) {
        struct nn_storage *s = nn_storage_at(&m->nodes, list->r[i].storage);

        if (s == NULL || list->r[i].state != NN_WRITING || list->r[i].stamp != b->stamp)
            continue;
        if ((rc = nn_copy_add(m->work, b->id, NULL, s, until_ms, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc nn_block_complete(struct nn_core *core, struct arena *arena, struct nn_block *b, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_SET, .at_ms = nn_core_now_ms(core) };
    struct nn_replicas list;
    enum rc rc;

    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    e.block_set = (struct nn_edit_block_set){ .block = b->id.v, .bytes = b->bytes, .stamp = b->stamp,
                                              .state = NN_BLOCK_COMPLETE };
    if ((rc = nn_roster_packed(core, arena, &list, &e.block_set.roster, why)) != RC_OK ||
        (rc = nn_edit_apply(core, &e, why)) != RC_OK)
        return rc;
    b->state = NN_BLOCK_COMPLETE;
    if ((rc = expect_replicas(core, b, &list, why)) != RC_OK)
        return rc;
    return nn_block_weigh(core, b, &list, why);
}

enum rc nn_file_close(struct nn_core *core, struct arena *arena, uint64_t inode, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_CLOSE, .at_ms = nn_core_now_ms(core) };
    struct nn_block last[2];
    uint64_t count;
    size_t n;
    enum rc rc;

    if ((rc = nn_block_last(&core->db, inode, last, &n, why)) != RC_OK)
        return rc;
    while (n-- > 0)                 /* the one before the last first */
        if (last[n].state != NN_BLOCK_COMPLETE && (rc = nn_block_complete(core, arena, &last[n], why)) != RC_OK)
            return rc;
    e.close.inode = inode;
    if ((rc = nn_block_sum(&core->db, inode, &count, &e.close.length, why)) != RC_OK)
        return rc;
    return nn_edit_apply_last(core, &e, why);
}

/*
 * An edit: a committed block whose replicas are there is complete.  One that is open is not, even if every replica is
 * reported finalized: an append may have opened them since, and only the DataNodes can tell.
 */
static enum rc settle(struct nn_core *core, struct arena *arena, struct nn_block *b, bool *ret_done, struct why *why)
{
    struct nn_replicas list;
    enum rc rc;

    if ((*ret_done = b->state == NN_BLOCK_COMPLETE) || b->state == NN_BLOCK_OPEN)
        return RC_OK;
    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    *ret_done = nn_block_reported(core->blocks, &list, b->stamp, b->bytes) >= core->nn->conf.replication_min;
    return *ret_done ? nn_block_complete(core, arena, b, why) : RC_OK;
}

enum rc nn_blocks_may_close(struct nn_core *core, const struct nn_inode *file, uint64_t *ret_length, bool *ret_may,
                            struct why *why)
{
    struct nn_block last[2];
    struct arena arena;
    uint64_t count;
    size_t n;
    enum rc rc;

    if ((rc = nn_block_last(&core->db, file->id, last, &n, why)) != RC_OK)
        return rc;
    *ret_may = true;
    arena_init(&arena, MB);
    while (n-- > 0 && rc == RC_OK && *ret_may)
        rc = settle(core, &arena, &last[n], ret_may, why);
    arena_fini(&arena);
    return rc == RC_OK ? nn_block_sum(&core->db, file->id, &count, ret_length, why) : rc;
}

/* ---- calls that wait ---- */

enum rc nn_hold_add(struct nn_core *core, struct rpc_call *call, uint64_t inode, struct why *why)
{
    struct nn_hold *h = mem_alloc(sizeof *h);

    if (h == NULL)
        return why_rc(why, RC_NOMEM);
    *h = (struct nn_hold){ .call = call, .inode = inode, .until_ms = nn_core_mono_ms(core) + NN_HOLD_MS,
                           .next = core->blocks->holds };
    core->blocks->holds = h;
    return RC_OK;
}

void nn_holds_hurry(struct nn_core *core)
{
    nn_periodic_hurry(core, NN_PERIODIC_HOLDS);
}

static void answer_complete(struct nn_core *core, struct rpc_call *call, bool result)
{
    ((CompleteResponseProto *)(void *)call->reply)->result = result;
    nn_core_release(core, call, RC_OK, NULL);
}

/* Look at one held call.  *ret_over: it has been answered; *ret_edited: the file was closed. */
static enum rc look_at(struct nn_core *core, const struct nn_hold *h, bool *ret_over, bool *ret_edited, struct why *why)
{
    struct nn_inode file;
    bool found, stored;
    enum rc rc;

    *ret_over = true;
    if ((rc = nn_inode_find(&core->db, h->inode, &file, &found, why)) != RC_OK)
        return rc;
    if (!found || file.parent == 0) {
        nn_core_release(core, h->call, why_set(why, RC_NOT_FOUND, "File does not exist: it was deleted while it was being closed"),
                        why);
        return RC_OK;
    }
    if (!file.open) {
        answer_complete(core, h->call, true);
        return RC_OK;
    }
    if ((rc = nn_file_is_stored(core, h->inode, &stored, why)) != RC_OK)
        return rc;
    if (stored) {
        if ((rc = nn_file_close(core, &h->call->arena, h->inode, why)) != RC_OK)
            return rc;
        *ret_edited = true;
        answer_complete(core, h->call, true);
    } else if (nn_core_mono_ms(core) >= h->until_ms) {
        answer_complete(core, h->call, false);
    } else {
        *ret_over = false;
    }
    return RC_OK;
}

/* ---- calls that wait for safe mode to end ---- */

static bool is_old(const struct nn_core *core, const struct rpc_call *call)
{
    return nn_core_mono_ms(core) >= call->arrived_mono_us / 1000 + NN_PARK_MS;
}

bool nn_blocks_park(struct nn_core *core, struct rpc_call *call)
{
    struct nn_blocks *b = core->blocks;

    if (!b->safe.startup || b->safe.by_hand || b->safe.behind || is_old(core, call) || b->parked_count >= NN_PARKED_MAX)
        return false;
    call->next = NULL;
    *b->parked_end = call;
    b->parked_end = &call->next;
    b->parked_count++;
    return true;
}

/* Those whose time has come are handed in again: one that is too old is refused then. */
static void unpark(struct nn_core *core)
{
    struct nn_blocks *b = core->blocks;
    struct rpc_call *call;

    while ((call = b->parked) != NULL && (!b->safe.on || b->safe.by_hand || b->safe.behind || is_old(core, call))) {
        if ((b->parked = call->next) == NULL)
            b->parked_end = &b->parked;
        b->parked_count--;
        nn_submit(core->nn, call);
    }
}

/* At most one file is closed in a run, so that a failure undoes no answer. */
enum rc nn_periodic_holds(struct nn_core *core, struct why *why)
{
    struct nn_blocks *b = core->blocks;
    uint64_t now_ms = nn_core_mono_ms(core);
    bool over, edited = false;
    enum rc rc;

    unpark(core);
    for (size_t i = 0; i < b->nodes.count; i++)
        if (b->nodes.all[i]->waiting != NULL && b->nodes.all[i]->wait_until_ms <= now_ms)
            nn_orders_answer(core, b->nodes.all[i]);
    for (struct nn_hold **at = &b->holds; *at != NULL && !edited;) {
        struct nn_hold *h = *at;

        if ((rc = look_at(core, h, &over, &edited, why)) != RC_OK)
            return rc;
        if (over) {
            *at = h->next;
            mem_free(h);
        } else {
            at = &h->next;
        }
    }
    if (edited)
        nn_periodic_hurry(core, NN_PERIODIC_HOLDS);
    return RC_OK;
}
