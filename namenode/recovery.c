#include "namenode/recovery.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "namenode/blockmap.h"
#include "namenode/edit.h"
#include "namenode/lease.h"
#include "namenode/periodic.h"

#define ROWS_PER_ROUND 200
#define WAIT_MS 1000            /* until something may have changed: replicas reported, nodes back */
#define AGAIN_MS 500            /* after an attempt that failed by itself */
#define GRACE_MS 5000           /* for nodes that this run has not heard of yet */
#define DOUBLINGS_MAX 3         /* of the time that an attempt may take */

struct nn_recovery_try {
    uint64_t inode;             /* key */
    uint64_t since_ms, due_ms;  /* mono; due: the next attempt begins */
    unsigned tries;
    uint64_t block;             /* of the attempt under way */
    const struct nn_node *leader;       /* NULL: none is under way */
    uint64_t order_seq;         /* of the order that leader has */
    UT_hash_handle hh;
};

/* ---- rows ---- */

static void
read_row(sqlite3_stmt *st, struct nn_recovery *ret)
{
    ret->inode = nn_column_u64(st, 0);
    ret->block = nn_column_u64(st, 1);
    ret->stamp = nn_column_u64(st, 2);
    ret->is_truncate = nn_column_u64(st, 3) != 0;
    ret->bytes = nn_column_u64(st, 4);
}

enum rc
nn_recovery_find(struct nn_db *db, uint64_t inode, struct nn_recovery *ret, bool *ret_found, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_RECOVERY_FIND, why);
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, inode);
    if ((rc = nn_step(db, st, ret_found, why)) != RC_OK || !*ret_found)
        return rc;
    read_row(st, ret);
    nn_done(st);
    return RC_OK;
}

enum rc
nn_apply_recovery(struct nn_db *db, const struct nn_edit_recovery *x, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_RECOVERY_SET, why);

    (void)at_ms;
    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->inode);
    nn_bind_u64(st, 2, x->block);
    nn_bind_u64(st, 3, x->stamp);
    nn_bind_u64(st, 4, x->truncate);
    nn_bind_u64(st, 5, x->bytes);
    return nn_run(db, st, why);
}

static enum rc
set_row(struct nn_core *core, const struct nn_recovery *row, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_RECOVERY, .at_ms = nn_core_now_ms(core) };

    e.recovery = (struct nn_edit_recovery){ .inode = row->inode, .block = row->block, .stamp = row->stamp,
                                            .truncate = row->is_truncate, .bytes = row->bytes };
    return nn_edit_apply(core, &e, why);
}

/* ---- what is under way ---- */

static struct nn_recovery_try *
find_try(struct nn_core *core, uint64_t inode)
{
    struct nn_recovery_try *t;

    HASH_FIND(hh, core->blocks->recoveries, &inode, sizeof inode, t);
    return t;
}

static void
drop_try(struct nn_core *core, uint64_t inode)
{
    struct nn_recovery_try *t = find_try(core, inode);

    if (t == NULL)
        return;
    HASH_DEL(core->blocks->recoveries, t);
    mem_free(t);
}

/* Found or new; NULL: no memory. */
static struct nn_recovery_try *
need_try(struct nn_core *core, uint64_t inode)
{
    struct nn_recovery_try *t = find_try(core, inode);

    if (t != NULL || (t = mem_zalloc(sizeof *t)) == NULL)
        return t;
    t->inode = inode;
    t->since_ms = t->due_ms = nn_core_mono_ms(core);
    HASH_ADD(hh, core->blocks->recoveries, inode, sizeof t->inode, t);
    return t;
}

void
nn_recovery_forget(struct nn_blocks *b)
{
    struct nn_recovery_try *t, *next;

    HASH_ITER(hh, b->recoveries, t, next) {
        HASH_DEL(b->recoveries, t);
        mem_free(t);
    }
    b->recovering = true;       /* as far as the memory knows */
}

void
nn_recovery_due(struct nn_core *core, uint64_t inode)
{
    struct nn_recovery_try *t = find_try(core, inode);

    if (t != NULL && t->leader == NULL)
        t->due_ms = nn_core_mono_ms(core);
    core->blocks->recovering = true;
    nn_periodic_hurry(core, NN_PERIODIC_RECOVERY);
}

bool
nn_recovery_failed(struct nn_core *core, struct block_id block, const struct nn_node *n, uint64_t seq)
{
    struct nn_recovery_try *t, *next;
    bool any = false;

    HASH_ITER(hh, core->blocks->recoveries, t, next)
        if (t->leader == n && t->block == block.v && t->order_seq == seq) {
            t->due_ms = nn_core_mono_ms(core) + AGAIN_MS;
            any = true;
        }
    return any;
}

void
nn_recovery_drop_node(struct nn_core *core, const struct nn_node *n)
{
    struct nn_recovery_try *t, *next;

    HASH_ITER(hh, core->blocks->recoveries, t, next)
        if (t->leader == n)
            t->due_ms = nn_core_mono_ms(core) + AGAIN_MS;
}

/* ---- closing ---- */

static enum rc
close_file(struct nn_core *core, uint64_t inode, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_CLOSE, .at_ms = nn_core_now_ms(core) };
    uint64_t count;
    enum rc rc;

    e.close.inode = inode;
    if ((rc = nn_block_sum(&core->db, inode, &count, &e.close.length, why)) != RC_OK ||
        (rc = nn_edit_apply(core, &e, why)) != RC_OK)
        return rc;
    drop_try(core, inode);
    nn_holds_hurry(core);
    return RC_OK;
}

static enum rc
free_block(struct nn_core *core, uint64_t block, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_FREE, .at_ms = nn_core_now_ms(core) };
    enum rc rc;

    e.block_free.block = block;
    if ((rc = nn_edit_apply(core, &e, why)) == RC_OK)
        nn_blocks_freed(core);
    return rc;
}

/* May there be a replica of b on r's storage, whether its node can be asked now or not?  One that lost its meta file has no
 * stamp any more: its node has to say that it has nothing. */
static bool
is_place(const struct nn_core *core, const struct nn_block *b, const struct nn_replica *r)
{
    const struct nn_storage *s = nn_storage_at(&core->blocks->nodes, r->storage);

    return s != NULL && !s->failed && (r->stamp >= b->stamp || (r->state == NN_CORRUPT && r->stamp == 0));
}

/* A last block that no DataNode was chosen for, or none is left that could have a byte of it. */
static enum rc
drop_empty(struct nn_core *core, uint64_t inode, bool *ret_dropped, struct why *why)
{
    struct nn_replicas list;
    struct nn_block last[2];
    size_t n;
    enum rc rc;

    *ret_dropped = false;
    if ((rc = nn_block_last(&core->db, inode, last, &n, why)) != RC_OK || n == 0 || last[0].state != NN_BLOCK_OPEN ||
        last[0].bytes > 0 || (n > 1 && last[1].state != NN_BLOCK_COMPLETE))
        return rc;
    if ((rc = nn_roster_get(core->blocks->roster, last[0].id, &list, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < list.n; i++)
        if (is_place(core, &last[0], &list.r[i]))
            return RC_OK;
    *ret_dropped = true;
    return free_block(core, last[0].id.v, why);
}

enum rc
nn_recovery_close_now(struct nn_core *core, const struct nn_inode *file, bool *ret_closed, struct why *why)
{
    uint64_t length;
    enum rc rc;

    if ((rc = nn_blocks_may_close(core, file, &length, ret_closed, why)) != RC_OK ||
        (!*ret_closed && (rc = drop_empty(core, file->id, ret_closed, why)) != RC_OK))
        return rc;
    return *ret_closed ? close_file(core, file->id, why) : RC_OK;
}

/* Edits: the NameNode itself has the lease now, the row says so. */
static enum rc
take_lease(struct nn_core *core, uint64_t inode, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_LEASE, .at_ms = nn_core_now_ms(core) };
    const struct nn_recovery row = { .inode = inode };
    struct nn_lease lease = { .client_node = { 0 } };
    struct arena arena;
    bool found;
    enum rc rc;

    arena_init(&arena, MB);
    if ((rc = nn_lease_find(&core->db, &arena, inode, &lease, &found, why)) != RC_OK)
        goto out;
    e.lease = (struct nn_edit_lease){ .inode = inode, .client_node = lease.client_node,
                                      .holder = span_of(NN_INTERNAL_HOLDER, strlen(NN_INTERNAL_HOLDER)) };
    if ((rc = nn_edit_apply(core, &e, why)) == RC_OK)
        rc = set_row(core, &row, why);
out:
    arena_fini(&arena);
    return rc;
}

enum rc
nn_recovery_begin(struct nn_core *core, uint64_t inode, bool *ret_closed, struct why *why)
{
    struct nn_recovery there;
    struct nn_inode file;
    bool found;
    enum rc rc;

    *ret_closed = true;
    if ((rc = nn_inode_find(&core->db, inode, &file, &found, why)) != RC_OK || !found || !file.open)
        return rc;
    *ret_closed = false;
    if ((rc = nn_recovery_find(&core->db, inode, &there, &found, why)) != RC_OK)
        return rc;
    if (!found) {
        if ((rc = nn_recovery_close_now(core, &file, ret_closed, why)) != RC_OK || *ret_closed)
            return rc;
        if ((rc = take_lease(core, inode, why)) != RC_OK)
            return rc;
    }
    nn_recovery_due(core, inode);
    return RC_OK;
}

/* ---- attempts ---- */

/* Where a replica of b may be that counts: on nodes that can be asked. */
struct places {
    struct nn_storage *at[NN_ORDER_TARGETS_MAX];
    size_t n;
    bool some_unheard;          /* a node of the roster has not registered in this run, and may */
};

static enum rc
find_places(struct nn_core *core, const struct nn_block *b, struct places *ret, struct why *why)
{
    struct nn_replicas list;
    enum rc rc;

    *ret = (struct places){ .n = 0 };
    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < list.n; i++) {
        struct nn_storage *s = nn_storage_at(&core->blocks->nodes, list.r[i].storage);

        if (!is_place(core, b, &list.r[i]))
            continue;           /* one that is corrupt is asked, too: only then is it known that it has nothing */
        ret->some_unheard = ret->some_unheard || (!s->node->registered && !s->node->dead);
        if (nn_node_is_live(s->node) && ret->n < ARRAY_LEN(ret->at))
            ret->at[ret->n++] = s;
    }
    return RC_OK;
}

/* Who was heard of last, but not the same node twice running. */
static struct nn_node *
choose_leader(const struct places *p, const struct nn_node *before)
{
    struct nn_node *best = NULL;

    for (size_t i = 0; i < p->n; i++) {
        struct nn_node *n = p->at[i]->node;

        if (n != before && (best == NULL || n->heard_ms > best->heard_ms))
            best = n;
    }
    return best != NULL || p->n == 0 ? best : p->at[0]->node;
}

static enum rc
order(struct nn_core *core, struct nn_recovery *row, struct nn_recovery_try *t, const struct nn_block *b,
      const struct places *p, struct why *why)
{
    struct nn_order o = { .kind = NN_RECOVER, .block = b->id, .stamp = { b->stamp }, .bytes = b->bytes,
                          .truncates = row->is_truncate, .truncate_bytes = row->bytes, .target_count = p->n };
    struct nn_node *leader = choose_leader(p, t->leader);
    unsigned doublings = t->tries < DOUBLINGS_MAX ? t->tries : DOUBLINGS_MAX;
    enum rc rc;

    memcpy(o.targets, p->at, sizeof o.targets);
    row->block = b->id.v;
    row->stamp = core->next.stamp++;
    o.new_stamp.v = row->stamp;
    if ((rc = set_row(core, row, why)) != RC_OK)
        return rc;
    if ((rc = nn_order_add(leader, &o, why)) != RC_OK)
        return rc == RC_BUSY ? RC_OK : rc;      /* it has too many orders: later */
    t->leader = leader;
    t->order_seq = leader->order_seq;
    t->block = b->id.v;
    t->tries++;
    t->due_ms = nn_core_mono_ms(core) + (core->nn->conf.recovery_ms << doublings);
    log_info("block_recovery_ordered", "block=%" PRIu64 " stamp=%" PRIu64 " new_stamp=%" PRIu64 " leader=%s nodes=%zu try=%u",
             b->id.v, b->stamp, row->stamp, leader->address, p->n, t->tries);
    nn_orders_kick(core);
    return RC_OK;
}

static enum rc
attempt(struct nn_core *core, struct nn_recovery *row, struct nn_recovery_try *t, struct why *why)
{
    uint64_t now_ms = nn_core_mono_ms(core);
    struct nn_block last[2];
    struct nn_inode file;
    struct places places;
    bool found, closed;
    size_t n;
    enum rc rc;

    t->due_ms = now_ms + WAIT_MS;
    if ((rc = nn_inode_find(&core->db, row->inode, &file, &found, why)) != RC_OK || !found)
        return rc;
    if (!row->is_truncate) {
        if ((rc = nn_recovery_close_now(core, &file, &closed, why)) != RC_OK)
            return rc;
        if (closed) {
            log_info("file_closed", "inode=%" PRIu64 " reason=writer_gone", row->inode);
            return RC_OK;
        }
    }
    if ((rc = nn_block_last(&core->db, row->inode, last, &n, why)) != RC_OK)
        return rc;
    /* A block that is committed waits for its replicas to be reported; so does the one before the last. */
    if (n == 0 || last[0].state != NN_BLOCK_OPEN || (n > 1 && last[1].state != NN_BLOCK_COMPLETE))
        return RC_OK;
    if ((rc = find_places(core, &last[0], &places, why)) != RC_OK)
        return rc;
    if (places.n == 0 || (places.some_unheard && now_ms < t->since_ms + GRACE_MS))
        return RC_OK;
    return order(core, row, t, &last[0], &places, why);
}

/* Rows after inode, some of them. */
static enum rc
list_rows(struct nn_core *core, uint64_t after, struct nn_recovery rows[ROWS_PER_ROUND], size_t *ret_n, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_RECOVERY_LIST, why);
    size_t n = 0;
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, after);
    nn_bind_u64(st, 2, ROWS_PER_ROUND);
    while ((rc = nn_step(&core->db, st, &row, why)) == RC_OK && row)
        read_row(st, &rows[n++]);
    *ret_n = n;
    return rc;
}

enum rc
nn_periodic_recovery(struct nn_core *core, struct why *why)
{
    struct nn_recovery rows[ROWS_PER_ROUND];
    struct nn_blocks *b = core->blocks;
    size_t n;
    enum rc rc;

    if (!b->recovering || core->safe_mode || core->disk_full)
        return RC_OK;
    if ((rc = list_rows(core, b->recovery_next, rows, &n, why)) != RC_OK)
        return rc;
    if (n == 0 && b->recovery_next == 0)
        b->recovering = false;
    b->recovery_next = n < ROWS_PER_ROUND ? 0 : rows[n - 1].inode;
    for (size_t i = 0; i < n; i++) {
        struct nn_recovery_try *t = need_try(core, rows[i].inode);

        if (t == NULL)
            return why_rc(why, RC_NOMEM);
        if (t->due_ms <= nn_core_mono_ms(core) && (rc = attempt(core, &rows[i], t, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* ---- results ---- */

static bool
is_listed(const DnCommitRecoveryRequest *req, const char *storage_uuid)
{
    for (size_t i = 0; i < req->n_storage_uuids; i++)
        if (strcmp(req->storage_uuids[i], storage_uuid) == 0)
            return true;
    return false;
}

/* Nobody who was asked has a byte: the block goes, if everybody who could have one was asked. */
static enum rc
commit_nothing(struct nn_core *core, const struct nn_block *b, const struct nn_recovery *row,
               const DnCommitRecoveryRequest *req, struct why *why)
{
    struct nn_replicas list;
    enum rc rc;

    if (row->is_truncate)
        return why_set(why, RC_IO_EXCEPTION, "block %" PRIu64 " is being cut, not removed", b->id.v);
    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < list.n; i++) {
        const struct nn_storage *s = nn_storage_at(&core->blocks->nodes, list.r[i].storage);

        if (is_place(core, b, &list.r[i]) && !is_listed(req, s->uuid))
            return why_set(why, RC_IO_EXCEPTION, "block %" PRIu64 " is not removed: %s has not been asked", b->id.v,
                           s->node->address);
    }
    log_event(b->bytes > 0 ? LOG_WARN : LOG_INFO, "block_removed", "block=%" PRIu64 " flushed=%" PRIu64
              " reason=nobody_has_a_byte", b->id.v, b->bytes);
    if ((rc = free_block(core, b->id.v, why)) != RC_OK)
        return rc;
    return close_file(core, b->inode, why);
}

/* An edit: b is what its DataNodes agreed on. */
static enum rc
commit_block(struct nn_core *core, struct arena *arena, struct nn_block *b, const DnCommitRecoveryRequest *req,
             struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_SET, .at_ms = nn_core_now_ms(core) };
    struct nn_replicas list;
    size_t n = 0;
    enum rc rc;

    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < req->n_storage_uuids; i++) {
        const struct nn_storage *s = nn_storage_find(&core->blocks->nodes, req->storage_uuids[i]);
        const struct nn_replica *old = s == NULL ? NULL : nn_replicas_find(&list, s->no);

        if (s == NULL || (old != NULL && old->stamp > req->block->stamp))
            continue;
        (void)nn_replicas_put(&list, &(struct nn_replica){ .storage = s->no, .state = NN_FINALIZED,
                                                           .stamp = req->block->stamp, .bytes = req->block->bytes });
        n++;
    }
    if (n == 0)
        return why_set(why, RC_IO_EXCEPTION, "no known storage has block %" PRIu64, b->id.v);
    b->bytes = req->block->bytes;
    b->stamp = req->block->stamp;
    b->state = NN_BLOCK_COMPLETE;
    e.block_set = (struct nn_edit_block_set){ .block = b->id.v, .bytes = b->bytes, .stamp = b->stamp, .state = b->state };
    if ((rc = nn_roster_packed(core, arena, &list, &e.block_set.roster, why)) != RC_OK ||
        (rc = nn_edit_apply(core, &e, why)) != RC_OK)
        return rc;
    return nn_replicas_set(core, b->id, &list, why);
}

enum rc
nn_recovery_commit(struct nn_core *core, struct rpc_call *call, const struct nn_node *n, const DnCommitRecoveryRequest *req,
                   struct why *why)
{
    struct nn_recovery row;
    struct nn_block b;
    bool found;
    enum rc rc;

    if ((rc = nn_block_find(&core->db, (struct block_id){ req->block->id }, &b, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return why_set(why, RC_IO_EXCEPTION, "Block (=blk_%" PRIu64 ") not found", req->block->id);
    if ((rc = nn_recovery_find(&core->db, b.inode, &row, &found, why)) != RC_OK)
        return rc;
    if (!found && b.state == NN_BLOCK_COMPLETE && b.stamp == req->block->stamp && b.bytes == req->block->bytes)
        return RC_OK;           /* said again */
    if (!found || row.block != b.id.v || (row.stamp != req->block->stamp && !old_bug(OLD_BUG_RECOVERY_ID_NOT_COMPARED)))
        return why_set(why, RC_IO_EXCEPTION, "The recovery id %" PRIu64 " does not match current recovery id %" PRIu64
                       " for block blk_%" PRIu64, req->block->stamp, found ? row.stamp : b.stamp, b.id.v);
    if (req->removes)
        return commit_nothing(core, &b, &row, req, why);
    if (row.is_truncate && req->block->bytes != row.bytes)
        return why_set(why, RC_IO_EXCEPTION, "block %" PRIu64 " was to be cut to %" PRIu64 " bytes, not %" PRIu64, b.id.v,
                       row.bytes, req->block->bytes);
    if (!row.is_truncate && req->block->bytes < b.bytes)
        log_warn("block_shorter_than_flushed", "block=%" PRIu64 " bytes=%" PRIu64 " flushed=%" PRIu64
                 " reason=nobody_has_more", b.id.v, req->block->bytes, b.bytes);
    if ((rc = commit_block(core, &call->arena, &b, req, why)) != RC_OK || (rc = close_file(core, b.inode, why)) != RC_OK)
        return rc;
    log_info("block_recovered", "block=%" PRIu64 " stamp=%" PRIu64 " bytes=%" PRIu64 " replicas=%zu leader=%s", b.id.v,
             b.stamp, b.bytes, req->n_storage_uuids, n->address);
    nn_periodic_hurry(core, NN_PERIODIC_REPLICATION);
    return RC_OK;
}
