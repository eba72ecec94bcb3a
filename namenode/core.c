#include "namenode/core.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/queue.h"
#include "core/io/sqlvfs.h"
#include "core/proto/ids.h"
#include "namenode/admit.h"
#include "namenode/blockmap.h"
#include "namenode/blocks.h"
#include "namenode/copies.h"
#include "namenode/disk.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/lease.h"
#include "namenode/periodic.h"
#include "namenode/retry.h"
#include "namenode/schema.h"
#include "namenode/settle.h"
#include "namenode/snapshot.h"
#include "namenode/txlog.h"

#define ASLEEP_MS 2000      /* between two groups; the periodic table makes one five times a second */
#define CHECKPOINT_PAGES 4000       /* of the WAL, 16 MB */
#define LOST_PAUSE_US (100 * 1000)

struct nn_group {
    struct buf row;                 /* of the table log */
    struct buf edits;               /* of the call that runs */
    uint64_t edit_count;            /* of the call that runs */
    uint64_t row_count;             /* calls in row */
    uint64_t row_at_ms;             /* when row was written */
    struct nn_counters next;        /* as the tables have them */
    bool savepoint;                 /* the call that runs has one open */
    bool bare;                      /* it has made an edit without one: if it fails, the group does */
    bool lost;                      /* nothing of this group can be kept, because of cause */
    struct why cause;
    bool wrote;                     /* the COMMIT wrote something */
    int wal_pages;
    struct nn_calls calls;          /* to be answered, in order */
};

uint64_t
nn_core_now_ms(const struct nn_core *core)
{
    return clock_wall_ms(core->nn->world->clock);
}

uint64_t
nn_core_mono_ms(const struct nn_core *core)
{
    return clock_mono_ms(core->nn->world->clock);
}

static int
on_wal(void *arg, sqlite3 *sql, const char *schema, int pages)
{
    struct nn_group *g = arg;

    (void)sql, (void)schema;
    g->wal_pages = pages;
    g->wrote = true;
    return SQLITE_OK;
}

static enum rc
load_counters(struct nn_core *core, struct why *why)
{
    enum rc rc;

    if ((rc = nn_meta_get_u64(&core->db, "next_inode", &core->next.inode, why)) != RC_OK ||
        (rc = nn_meta_get_u64(&core->db, "next_block", &core->next.block, why)) != RC_OK ||
        (rc = nn_meta_get_u64(&core->db, "next_stamp", &core->next.stamp, why)) != RC_OK)
        return rc;
    core->group->next = core->next;
    return RC_OK;
}

enum rc
nn_apply_counters(struct nn_db *db, const struct nn_edit_counters *x, uint64_t at_ms, struct why *why)
{
    enum rc rc;

    (void)at_ms;
    if ((rc = nn_meta_set_u64(db, "next_inode", x->next_inode, why)) != RC_OK ||
        (rc = nn_meta_set_u64(db, "next_block", x->next_block, why)) != RC_OK)
        return rc;
    return nn_meta_set_u64(db, "next_stamp", x->next_stamp, why);
}

enum rc
nn_core_new(struct nn *nn, struct nn_core **ret, struct why *why)
{
    struct nn_core *core = mem_zalloc(sizeof *core);
    enum rc rc = RC_NOMEM;

    if (core == NULL)
        return why_rc(why, RC_NOMEM);
    core->nn = nn;
    if ((core->group = mem_zalloc(sizeof *core->group)) == NULL ||
        (core->due_us = mem_calloc(NN_PERIODIC_COUNT, sizeof *core->due_us)) == NULL) {
        (void)why_rc(why, RC_NOMEM);
        goto out;
    }
    buf_init(&core->group->row, NN_TXLOG_BYTES_MAX);
    buf_init(&core->group->edits, NN_TXLOG_BYTES_MAX);
    nn_calls_init(&core->group->calls);
    if ((rc = nn_db_open(&core->db, nn->vfs, nn->db_path, true, &nn->conf, why)) != RC_OK)
        goto out;
    core->db.dirs_on = true;
    (void)sqlite3_wal_hook(core->db.sql, on_wal, core->group);      /* returns the hook before: none */
    *ret = core;
    return RC_OK;
out:
    nn_core_free(core);
    return rc;
}

enum rc
nn_core_load(struct nn_core *core, struct why *why)
{
    enum rc rc;

    if ((rc = load_counters(core, why)) != RC_OK || (rc = nn_txlog_last(&core->db, &core->txid, why)) != RC_OK ||
        (rc = nn_retry_new(core->nn->conf.retry_cache_ms, &core->retry, why)) != RC_OK ||
        (!old_bug(OLD_BUG_RETRY_CACHE_FORGOTTEN) &&
         (rc = nn_retry_load(core->retry, &core->db, nn_core_mono_ms(core), why)) != RC_OK) ||
        (rc = nn_leases_new(core, &core->leases, why)) != RC_OK ||
        (rc = nn_blocks_new(core, &core->blocks, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < NN_PERIODIC_COUNT; i++)
        core->due_us[i] = clock_mono_us(core->nn->world->clock) + nn_periodic_rows[i].period_ms(&core->nn->conf) * 1000;
    return nn_snapshot_publish(core, why);
}

void
nn_core_free(struct nn_core *core)
{
    if (core == NULL)
        return;
    nn_blocks_free(core->blocks);
    nn_leases_free(core->leases);
    nn_retry_free(core->retry);
    nn_db_fini(&core->db);
    if (core->group != NULL) {
        buf_fini(&core->group->row);
        buf_fini(&core->group->edits);
    }
    mem_free(core->group);
    mem_free(core->due_us);
    mem_free(core);
}

/* ---- one call ---- */

enum rc
nn_group_open_call(struct nn_core *core, bool last, struct why *why)
{
    enum rc rc;

    if (sqlite3_get_autocommit(core->db.sql))
        return why_set(why, RC_BUSY, "the transaction was undone");
    if (core->group->savepoint)
        return RC_OK;
    if (last && !core->group->bare) {
        core->group->bare = true;
        return RC_OK;
    }
    CHECK(!core->group->bare);      /* what was the last edit was not */
    if ((rc = nn_exec(&core->db, SQL_SAVEPOINT, why)) == RC_OK)
        core->group->savepoint = true;
    return rc;
}

void
nn_group_add(struct nn_core *core, const struct nn_edit *e)
{
    struct nn_group *g = core->group;
    struct buf one;

    buf_init(&one, NN_TXLOG_BYTES_MAX);
    nn_edit_encode(e, &one);
    buf_varint(&g->edits, one.n);
    buf_put(&g->edits, one.p, one.n);
    g->edits.bad |= one.bad;
    g->edit_count++;
    buf_fini(&one);
}

static void
end_later(struct nn_core *core, struct rpc_call *call, struct nn_outcome *o)
{
    nn_calls_add(&core->group->calls, call, o);
}

static void
fail_later(struct nn_core *core, struct rpc_call *call, const struct why *why)
{
    end_later(core, call, nn_outcome_failed(call, why));
}

static void
lose(struct nn_group *g, const struct why *cause)
{
    if (!g->lost)
        g->cause = *cause;
    g->lost = true;
}

/* The call's edits and reply into the group's row, its reply into the retry cache. */
static enum rc
keep_call(struct nn_core *core, struct rpc_call *call, struct why *why)
{
    struct nn_group *g = core->group;
    bool cached = call != NULL && (call->method->flags & RPC_AT_MOST_ONCE) != 0 && call->has_client_id;
    struct nn_txcall c = { .edit_count = g->edit_count, .edits = span_of(g->edits.p, g->edits.n) };
    uint8_t *reply;
    enum rc rc;

    c.at_ms = call != NULL ? call->arrived_wall_ms : nn_core_now_ms(core);
    if (call != NULL) {
        c.method = span_of(call->method->name, strlen(call->method->name));
        c.user = span_of(call->user, strlen(call->user));
        c.has_client_id = call->has_client_id;
        memcpy(c.client_id, call->client_id, sizeof c.client_id);
        c.call_id = call->call_id;
    }
    if (cached) {
        size_t n = protobuf_c_message_get_packed_size(call->reply);

        if ((reply = arena_alloc(&call->arena, n + 1)) == NULL)
            return why_rc(why, RC_NOMEM);
        c.has_reply = true;
        c.reply = span_of(reply, protobuf_c_message_pack(call->reply, reply));
        if ((rc = nn_retry_add(core->retry, c.client_id, c.call_id, nn_core_mono_ms(core), c.reply, why)) != RC_OK)
            return rc;
    }
    if (g->edit_count > 0) {
        nn_txlog_add(&g->row, &c);
        g->row_count++;
        CRASH_POINT(nn_call_kept);
        if (!buf_ok(&g->edits) || !buf_ok(&g->row)) {
            (void)why_rc(why, RC_NOMEM);
            lose(g, why);           /* the row cannot hold the group: undo all of it */
            return why->rc;
        }
    }
    return RC_OK;
}

/* Begin the edits of one call or row of the periodic table. */
static void
begin_call(struct nn_core *core)
{
    buf_clear(&core->group->edits);
    core->group->edit_count = 0;
    core->group->savepoint = core->group->bare = false;
}

/* End them: keep when rc is RC_OK, else undo. */
static enum rc
end_call(struct nn_core *core, struct rpc_call *call, enum rc rc, struct why *why)
{
    struct nn_group *g = core->group;
    struct why cause;

    if (sqlite3_get_autocommit(core->db.sql)) {
        if (rc == RC_OK)
            rc = why_set(why, RC_BUG, "the transaction ended under an edit");
        lose(g, why);               /* SQLite undid the whole transaction, savepoints included */
        return rc;
    }
    if (rc == RC_OK)
        rc = keep_call(core, call, why);
    if (g->bare && rc != RC_OK) {
        cause = *why;
        cause.rc = rc == RC_IO ? RC_BUSY : rc;      /* of a read: what is on the disk is known */
        lose(g, &cause);
    }
    if (!g->savepoint)
        return rc;
    g->savepoint = false;
    if (rc != RC_OK) {
        nn_db_forget(&core->db);
        if (nn_exec(&core->db, SQL_ROLLBACK_TO, &cause) != RC_OK)
            lose(g, &cause);
    }
    if (nn_exec(&core->db, SQL_RELEASE, &cause) != RC_OK)
        lose(g, &cause);
    return rc;
}

static void
run_call(struct nn_core *core, struct rpc_call *call)
{
    struct nn_outcome *o = arena_zalloc(&call->arena, sizeof *o);
    struct why why;
    struct span reply = { 0 };
    enum rc rc;

    if (o == NULL) {
        end_later(core, call, NULL);
        return;
    }
    if ((call->method->flags & RPC_AT_MOST_ONCE) != 0 && call->has_client_id &&
        nn_retry_find(core->retry, call->client_id, call->call_id, &reply)) {
        void *copy = arena_alloc(&call->arena, reply.n + 1);
        if (copy != NULL) {
            if (reply.n > 0)
                memcpy(copy, reply.p, reply.n);
            *o = (struct nn_outcome){ .kind = ANSWER_ENCODED, .encoded = span_of(copy, reply.n) };
        }
        end_later(core, call, copy == NULL ? NULL : o);
        return;
    }
    begin_call(core);
    rc = nn_admit_core(core, call, &why);
    if (rc == RC_SAFE_MODE && nn_blocks_park(core, call))
        return;
    if (rc == RC_OK)
        rc = nn_dispatch(core, call, &why);
    rc = end_call(core, call, rc, &why);
    if (rc != RC_OK)
        fail_later(core, call, &why);
    else if ((call->method->flags & RPC_WAIT) == 0)
        end_later(core, call, o);       /* ANSWER_REPLY */
}

void
nn_core_release(struct nn_core *core, struct rpc_call *call, enum rc rc, const struct why *why)
{
    if (rc != RC_OK)
        fail_later(core, call, why);
    else
        end_later(core, call, arena_zalloc(&call->arena, sizeof(struct nn_outcome)));
}

/* ---- one group ---- */

/* The call met damage in the database, or could not read it: it would again. */
static bool
is_own_failure(const struct rpc_call *call)
{
    const struct nn_outcome *o = call->app;

    return o != NULL && o->kind == ANSWER_FAIL && (o->why->rc == RC_CORRUPT || o->why->rc == RC_IO);
}

/* Numbers given out, and the row of the log, at the end of a group that changed something. */
static enum rc
write_row(struct nn_core *core, struct why *why)
{
    struct nn_group *g = core->group;
    sqlite3_stmt *st;
    enum rc rc;

    if (memcmp(&g->next, &core->next, sizeof g->next) != 0) {
        struct nn_edit e = { .kind = EDIT_COUNTERS, .at_ms = nn_core_now_ms(core) };

        e.counters = (struct nn_edit_counters){ core->next.inode, core->next.block, core->next.stamp };
        begin_call(core);
        rc = end_call(core, NULL, nn_edit_apply_last(core, &e, why), why);
        if (rc != RC_OK)
            return rc;
    }
    if (g->row_count == 0)
        return RC_OK;
    if ((st = nn_sql(&core->db, SQL_LOG_ADD, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, core->txid + 1);
    g->row_at_ms = nn_core_now_ms(core);
    nn_bind_u64(st, 2, g->row_at_ms);
    nn_bind_span(st, 3, span_of(g->row.p, g->row.n));
    return nn_run(&core->db, st, why);
}

/* What hurried in a group that was lost waits a little: a disk does not become less full by trying. */
static void
postpone_periodic(struct nn_core *core)
{
    uint64_t soon_us = clock_mono_us(core->nn->world->clock) + LOST_PAUSE_US;

    for (size_t i = 0; i < NN_PERIODIC_COUNT; i++)
        if (core->due_us[i] < soon_us)
            core->due_us[i] = soon_us;
}

/* Nothing of the group was done: undo soft state, tell everybody to try again. */
static void
lose_group(struct nn_core *core)
{
    const struct why *cause = &core->group->cause;
    struct why why, ignored;

    if (!sqlite3_get_autocommit(core->db.sql) && nn_exec(&core->db, SQL_ROLLBACK, &ignored) != RC_OK)
        log_error("rollback_failed", "reason=%s", ignored.text);
    if (cause->rc == RC_IO) {       /* what is on disk is unknown: start again from it */
        log_error("database_failed", "reason=%s", cause->text);
        nn_set_failed(core->nn);
        return;
    }
    if (cause->rc == RC_NO_SPACE)
        nn_disk_release(core);
    log_warn("group_undone", "reason=%s calls=retry", cause->text);
    if (!old_bug(OLD_BUG_UNDONE_REPLIES_KEPT))
        nn_retry_rollback(core->retry);
    nn_db_forget(&core->db);
    nn_blocks_undone(core);
    if (load_counters(core, &why) != RC_OK || nn_leases_reload(core, &why) != RC_OK) {
        log_error("state_unreadable", "reason=%s", why.text);
        nn_set_failed(core->nn);
        return;
    }
    postpone_periodic(core);
    (void)why_set(&why, RC_BUSY, "the NameNode could not store this change, try again: %s", cause->text);
    for (struct rpc_call *call = core->group->calls.first; call != NULL; call = call->next)
        if (!is_own_failure(call))
            call->app = nn_outcome_failed(call, &why);
    nn_settle_group(core->nn->settle, &core->group->calls, core->txid, false);
}

static enum rc
commit(struct nn_core *core, struct why *why)
{
    bool dirs = core->db.dirs_changed;
    enum rc rc;

    core->db.dirs_changed = false;
    nn_settle_committing(core->nn->settle, core->txid + 1);
    if (dirs)
        nn_dirs_changing(&core->nn->dirs);
    rc = nn_exec(&core->db, SQL_COMMIT, why);
    if (dirs)
        nn_dirs_changing(&core->nn->dirs);
    return rc;
}

static void
commit_group(struct nn_core *core)
{
    struct nn_metrics *m = &core->nn->metrics;
    struct nn_group *g = core->group;
    uint64_t began_us = clock_mono_us(core->nn->world->clock);
    struct why why;

    CRASH_POINT(nn_before_commit);
    if (old_bug(OLD_BUG_REPLY_BEFORE_COMMIT))
        nn_calls_answer(core->nn, &g->calls);
    if (g->row_count > 0 && nn_copies_begin(core->nn->copies, core->txid + 1, g->row_at_ms, span_of(g->row.p, g->row.n),
                                            &why) != RC_OK) {
        lose(g, &why);
        lose_group(core);
        return;
    }
    g->wrote = false;
    if (commit(core, &why) != RC_OK) {
        log_error("commit_failed", "txid=%" PRIu64 " reason=%s", core->txid + 1, why.text);
        if (why.rc == RC_NO_SPACE) {
            /* A write found no room (a failed sync is RC_IO): the mark of the commit is not in the WAL. */
            nn_disk_release(core);          /* a copy on the same disk needs room to be told */
            if (g->row_count > 0 && !nn_copies_undo(core->nn->copies)) {
                log_error("group_not_undone", "txid=%" PRIu64 " now=answer_nobody reason=\"a directory may hold it\"",
                          core->txid + 1);
                nn_set_failed(core->nn);
                return;
            }
            lose(g, &why);
            lose_group(core);
        } else {
            /* The outcome is unknown; who was not answered asks the NameNode that starts next. */
            nn_set_failed(core->nn);
        }
        return;
    }
    CRASH_POINT(nn_after_commit);
    if (g->row_count > 0)
        nn_copies_wait(core->nn->copies);
    metric_add(&m->groups, 1);
    metric_add(&m->changes, g->row_count);
    metric_add(&m->commit_us, clock_mono_us(core->nn->world->clock) - began_us);
    if (g->row_count > 0)
        core->txid++;
    g->next = core->next;
    nn_retry_commit(core->retry);
    nn_blocks_committed(core);
    if (core->snapshot_stale) {
        if (nn_snapshot_publish(core, &why) == RC_OK)
            core->snapshot_stale = false;
        else
            log_warn("snapshot_not_published", "reason=%s next_try=group", why.text);
    }
    nn_settle_group(core->nn->settle, &g->calls, core->txid, g->wrote);
}

static void
run_periodic(struct nn_core *core)
{
    uint64_t now_us = clock_mono_us(core->nn->world->clock);
    struct why why;

    for (size_t i = 0; i < NN_PERIODIC_COUNT && !core->group->lost; i++) {
        if (core->due_us[i] > now_us)
            continue;
        core->due_us[i] = now_us + nn_periodic_rows[i].period_ms(&core->nn->conf) * 1000;
        begin_call(core);
        if (end_call(core, NULL, nn_periodic_rows[i].fn(core, &why), &why) != RC_OK)
            log_warn("periodic_failed", "name=%s reason=%s next_try=period", nn_periodic_rows[i].name, why.text);
    }
}

static void
checkpoint(struct nn_core *core)
{
    struct why why;
    int log_pages, done_pages;
    int r;

    if (core->group->wal_pages < CHECKPOINT_PAGES)
        return;
    CRASH_POINT(nn_before_checkpoint);
    r = sqlite3_wal_checkpoint_v2(core->db.sql, NULL, SQLITE_CHECKPOINT_PASSIVE, &log_pages, &done_pages);
    if (r != SQLITE_OK && r != SQLITE_BUSY) {
        (void)db_why(core->db.sql, r, &why, "checkpoint");
        log_warn("checkpoint_failed", "reason=%s next_try=group", why.text);
        if (why.rc != RC_NO_SPACE)
            nn_set_failed(core->nn);    /* what the database file holds is unknown */
    } else {
        CRASH_POINT(nn_after_checkpoint);
        core->group->wal_pages = log_pages - done_pages;
    }
}

static void
run_post(struct nn_core *core, struct nn_post *p)
{
    struct why why;

    if (core->group->lost) {        /* there is no transaction: in a later group */
        if (queue_put(core->nn->core_queue, p) != RC_OK) {
            log_warn("posted_work_dropped", "reason=queue");
            mem_free(p);
        }
        return;
    }
    begin_call(core);
    if (end_call(core, NULL, p->fn(core, p->arg, &why), &why) != RC_OK)
        log_warn("posted_work_failed", "reason=%s", why.text);
    mem_free(p);
}

void
nn_core_group(struct nn_core *core, struct nn_post **posts, size_t n)
{
    struct nn_group *g = core->group;
    struct why why;

    g->lost = false;
    g->row_count = 0;
    nn_txlog_begin(&g->row);
    /* To write from the start: a reader that met half an index holds the lock for a moment, and here it is waited for. */
    if (nn_exec(&core->db, SQL_BEGIN_GROUP, &why) != RC_OK)
        lose(g, &why);
    run_periodic(core);         /* before the calls: what they hurry waits for the next group */
    CRASH_POINT(nn_group_begun);
    for (size_t i = 0; i < n; i++) {
        if (posts[i]->call == NULL)
            run_post(core, posts[i]);
        else if (g->lost)
            end_later(core, posts[i]->call, NULL);
        else
            run_call(core, posts[i]->call);
    }
    if (!g->lost && write_row(core, &why) != RC_OK)
        lose(g, &why);
    if (g->lost) {
        lose_group(core);
        return;
    }
    commit_group(core);
    if (!nn_has_failed(core->nn))
        checkpoint(core);
}

enum rc
nn_core_format(struct nn_core *core, const struct nn_edit *e, struct why *why)
{
    struct nn_group *g = core->group;
    enum rc rc;

    core->next = (struct nn_counters){ ROOT_INODE + 1, FIRST_BLOCK_ID, FIRST_STAMP };
    g->next = (struct nn_counters){ 0 };
    nn_txlog_begin(&g->row);
    begin_call(core);
    if ((rc = nn_exec(&core->db, SQL_BEGIN, why)) != RC_OK || (rc = nn_schema_create(&core->db, why)) != RC_OK ||
        (rc = end_call(core, NULL, nn_edit_apply(core, e, why), why)) != RC_OK || (rc = write_row(core, why)) != RC_OK)
        return rc;
    return nn_exec(&core->db, SQL_COMMIT, why);
}

static uint64_t
next_deadline_ms(const struct nn_core *core)
{
    uint64_t due = core->due_us[0];

    for (size_t i = 1; i < NN_PERIODIC_COUNT; i++)
        if (core->due_us[i] < due)
            due = core->due_us[i];
    return (due + 999) / 1000;
}

void
nn_core_abandon(struct nn_core *core)
{
    void *item;
    struct why why;

    (void)why_rc(&why, RC_STOPPED);
    nn_calls_fail(core->nn, &core->group->calls, &why);
    nn_settle_abandon(core->nn->settle, &why);
    while (queue_take(core->nn->core_queue, 0, &item) == RC_OK) {
        struct nn_post *p = item;

        if (p->call != NULL)
            core->nn->answer->fail(p->call, &why);
        else
            mem_free(p);
    }
}

void
nn_core_woke(struct nn_core *core, uint64_t ms)
{
    log_warn("was_not_running", "ms=%" PRIu64 " now=silence_does_not_count", ms);
    nn_nodes_forgive(&core->blocks->nodes, ms);
    nn_leases_forgive(core->leases, ms);
    core->snapshot_stale = true;
}

/* For nn_core_abandon. */
static void
leave(struct nn_core *core, struct nn_post **posts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (posts[i]->call != NULL)
            end_later(core, posts[i]->call, NULL);
        else
            mem_free(posts[i]);
}

void
nn_core_run(void *arg)
{
    struct nn_core *core = arg;
    uint64_t ran_ms = nn_core_mono_ms(core), now_ms;
    size_t max = core->nn->conf.group_max, n;
    struct nn_post **posts = mem_calloc(max, sizeof *posts);
    enum rc rc;

    if (posts == NULL) {
        log_error("core_out_of_memory", "group_max=%zu", max);
        nn_set_failed(core->nn);
        return;
    }
    for (;;) {
        n = 0;
        nn_settle_ready(core->nn->settle);
        rc = queue_take_many(core->nn->core_queue, next_deadline_ms(core), (void **)posts, max, &n);
        if (rc == RC_STOPPED)
            break;
        if (nn_has_failed(core->nn)) {
            leave(core, posts, n);
            break;
        }
        if ((now_ms = nn_core_mono_ms(core)) - ran_ms > ASLEEP_MS)
            nn_core_woke(core, now_ms - ran_ms);
        ran_ms = now_ms;
        nn_core_group(core, posts, rc == RC_OK ? n : 0);
        if (nn_has_failed(core->nn))
            break;
    }
    mem_free(posts);
}

enum rc
nn_core_post(struct nn *nn, nn_post_fn *fn, void *arg)
{
    struct nn_post *p = mem_zalloc(sizeof *p);
    enum rc rc;

    if (p == NULL)
        return RC_NOMEM;
    *p = (struct nn_post){ .fn = fn, .arg = arg };
    if ((rc = queue_put(nn->core_queue, p)) != RC_OK)
        mem_free(p);
    return rc;
}

enum rc
nn_periodic_retry_cache(struct nn_core *core, struct why *why)
{
    (void)why;
    nn_retry_expire(core->retry, nn_core_mono_ms(core));
    return RC_OK;
}
