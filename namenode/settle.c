#include "namenode/settle.h"

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/queue.h"
#include "core/io/sqlvfs.h"
#include "core/io/thread.h"
#include "namenode/copies.h"
#include "namenode/core.h"

struct nn_settle {
    struct nn *nn;
    struct mutex *lock;
    struct cond *work;          /* for the thread */
    struct cond *changed;       /* for who waits for it */
    struct thread *thread;      /* NULL: groups settle at once */
    struct db_wal *wal;         /* NULL: a COMMIT syncs */

    /* Under the lock. */
    struct nn_calls calls;      /* of the groups that wait for the thread */
    uint64_t txid;              /* of the last of them */
    bool has_groups;
    bool wrote;                 /* one of them did */
    bool is_syncing;
    bool has_failed, stop;
    uint64_t committing;        /* the last transaction that can be seen */
    uint64_t settled;           /* the last that is on the disk */
};

/* ---- calls ---- */

struct nn_outcome *
nn_outcome_failed(struct rpc_call *call, const struct why *why)
{
    struct nn_outcome *o = arena_zalloc(&call->arena, sizeof *o);
    struct why *copy = arena_alloc(&call->arena, sizeof *copy);

    if (o == NULL || copy == NULL)
        return NULL;
    *copy = *why;
    *o = (struct nn_outcome){ .kind = ANSWER_FAIL, .why = copy };
    return o;
}

void
nn_calls_init(struct nn_calls *c)
{
    c->first = NULL;
    c->last = &c->first;
}

void
nn_calls_add(struct nn_calls *c, struct rpc_call *call, struct nn_outcome *o)
{
    call->app = o;
    call->next = NULL;
    *c->last = call;
    c->last = &call->next;
}

/* Put all of from behind what is there. */
static void
move_calls(struct nn_calls *to, struct nn_calls *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    nn_calls_init(from);
}

static void
answer(struct nn *nn, struct rpc_call *call)
{
    const struct nn_outcome *o = call->app;
    struct why why;

    metric_add(&nn->metrics.calls, 1);
    if (o == NULL || o->kind == ANSWER_FAIL)
        metric_add(&nn->metrics.calls_failed, 1);
    if (o == NULL) {
        (void)why_rc(&why, RC_NOMEM);
        nn->answer->fail(call, &why);
        return;
    }
    switch (o->kind) {
    case ANSWER_REPLY:
        nn->answer->reply(call);
        break;
    case ANSWER_ENCODED:
        nn->answer->encoded(call, o->encoded.p, o->encoded.n);
        break;
    case ANSWER_FAIL:
        nn->answer->fail(call, o->why);
        break;
    }
}

void
nn_calls_answer(struct nn *nn, struct nn_calls *c)
{
    struct rpc_call *call = c->first, *next;

    nn_calls_init(c);
    for (; call != NULL; call = next) {
        next = call->next;
        call->more = next != NULL;      /* the last one wakes the RPC loop for all */
        answer(nn, call);
        if (next != NULL)
            CRASH_POINT(nn_between_replies);
    }
    CRASH_POINT(nn_after_replies);
}

void
nn_calls_fail(struct nn *nn, struct nn_calls *c, const struct why *why)
{
    for (struct rpc_call *call = c->first; call != NULL; call = call->next)
        call->app = nn_outcome_failed(call, why);
    nn_calls_answer(nn, c);
}

/* ---- settling ---- */

/* What was committed before this call is on the disk. */
static bool
sync_wal(struct nn_settle *s)
{
    uint64_t began_us = clock_mono_us(s->nn->world->clock);
    struct why why;

    if (s->wal == NULL)
        return true;
    if (db_sync(s->wal, &why) != RC_OK) {
        log_error("sync_failed", "reason=\"%s\" now=answer_nobody", why.text);
        nn_set_failed(s->nn);       /* the disk decides what was done; who was not answered asks the next NameNode */
        return false;
    }
    metric_add(&s->nn->metrics.commit_us, clock_mono_us(s->nn->world->clock) - began_us);
    return true;
}

/* With the lock, which is given up meanwhile: sync if wrote, and answer calls.  They stay when the sync fails. */
static void
settle(struct nn_settle *s, struct nn_calls *calls, uint64_t txid, bool wrote)
{
    struct threads *t = s->nn->world->threads;
    bool ok;

    s->is_syncing = true;
    mutex_unlock(t, s->lock);
    if (old_bug(OLD_BUG_REPLY_BEFORE_SYNC))
        nn_calls_answer(s->nn, calls);
    ok = !wrote || sync_wal(s);
    mutex_lock(t, s->lock);
    s->is_syncing = false;
    if (ok)
        s->settled = txid;
    else
        s->has_failed = true;
    cond_broadcast(t, s->changed);
    mutex_unlock(t, s->lock);
    if (ok)
        nn_calls_answer(s->nn, calls);
    mutex_lock(t, s->lock);
}

static void
run(void *arg)
{
    struct nn_settle *s = arg;
    struct threads *t = s->nn->world->threads;
    struct nn_calls calls;
    bool wrote;

    nn_calls_init(&calls);
    mutex_lock(t, s->lock);
    while (!s->has_failed) {
        while (!s->has_groups && !s->stop)
            (void)cond_wait(t, s->work, s->lock, FOREVER);
        if (!s->has_groups)
            break;
        move_calls(&calls, &s->calls);
        wrote = s->wrote;
        s->has_groups = s->wrote = false;
        cond_broadcast(t, s->changed);
        settle(s, &calls, s->txid, wrote);
    }
    move_calls(&calls, &s->calls);      /* for nn_settle_abandon */
    move_calls(&s->calls, &calls);
    mutex_unlock(t, s->lock);
}

void
nn_settle_committing(struct nn_settle *s, uint64_t txid)
{
    struct threads *t = s->nn->world->threads;

    mutex_lock(t, s->lock);
    s->committing = txid;
    mutex_unlock(t, s->lock);
}

/* Nobody waits for the core, or nobody may: the thread would only cost its waking. */
static bool
is_mine(struct nn_settle *s)
{
    if (s->thread == NULL || nn_copies_exist(s->nn->copies))
        return true;
    return !s->is_syncing && !s->has_groups && queue_length(s->nn->core_queue) == 0;
}

void
nn_settle_group(struct nn_settle *s, struct nn_calls *calls, uint64_t txid, bool wrote)
{
    struct threads *t = s->nn->world->threads;

    mutex_lock(t, s->lock);
    s->committing = txid;
    if (is_mine(s)) {
        settle(s, calls, txid, wrote);
    } else {
        move_calls(&s->calls, calls);
        s->txid = txid;
        s->wrote = s->wrote || wrote;
        s->has_groups = true;
        cond_signal(t, s->work);
    }
    mutex_unlock(t, s->lock);
}

void
nn_settle_ready(struct nn_settle *s)
{
    struct threads *t = s->nn->world->threads;

    mutex_lock(t, s->lock);
    while (s->has_groups && !s->has_failed)
        (void)cond_wait(t, s->changed, s->lock, FOREVER);
    mutex_unlock(t, s->lock);
}

bool
nn_settle_is_behind(struct nn_settle *s)
{
    struct threads *t = s->nn->world->threads;
    bool is_behind;

    mutex_lock(t, s->lock);
    is_behind = s->settled < s->committing;
    mutex_unlock(t, s->lock);
    return is_behind;
}

bool
nn_settle_until(struct nn_settle *s, uint64_t txid)
{
    struct threads *t = s->nn->world->threads;
    bool is_settled;

    mutex_lock(t, s->lock);
    if (txid > s->committing)
        txid = s->committing;
    while (s->settled < txid && !s->has_failed)
        (void)cond_wait(t, s->changed, s->lock, FOREVER);
    is_settled = s->settled >= txid;
    mutex_unlock(t, s->lock);
    return is_settled;
}

void
nn_settle_leave(struct nn_settle *s, struct rpc_call *call)
{
    struct threads *t = s->nn->world->threads;

    mutex_lock(t, s->lock);
    nn_calls_add(&s->calls, call, NULL);
    mutex_unlock(t, s->lock);
}

/* ---- its life ---- */

enum rc
nn_settle_new(struct nn *nn, struct nn_settle **ret, struct why *why)
{
    struct threads *t = nn->world->threads;
    struct nn_settle *s = mem_zalloc(sizeof *s);

    if (s == NULL)
        return why_rc(why, RC_NOMEM);
    s->nn = nn;
    nn_calls_init(&s->calls);
    if ((s->lock = mutex_new(t)) == NULL || (s->work = cond_new(t)) == NULL || (s->changed = cond_new(t)) == NULL) {
        nn_settle_free(s);
        return why_rc(why, RC_NOMEM);
    }
    *ret = s;
    return RC_OK;
}

void
nn_settle_free(struct nn_settle *s)
{
    struct threads *t;

    if (s == NULL)
        return;
    t = s->nn->world->threads;
    if (s->changed != NULL)
        cond_free(t, s->changed);
    if (s->work != NULL)
        cond_free(t, s->work);
    if (s->lock != NULL)
        mutex_free(t, s->lock);
    mem_free(s);
}

enum rc
nn_settle_start(struct nn_settle *s, uint64_t txid, struct why *why)
{
    enum rc rc;

    s->committing = s->settled = txid;
    if ((rc = db_defer_sync(s->nn->core->db.sql, &s->wal, why)) != RC_OK)
        return rc;
    return thread_spawn(s->nn->world->threads, "nn-settle", run, s, &s->thread, why);
}

void
nn_settle_stop(struct nn_settle *s)
{
    struct threads *t = s->nn->world->threads;

    if (s->thread == NULL)
        return;
    mutex_lock(t, s->lock);
    s->stop = true;
    cond_signal(t, s->work);
    mutex_unlock(t, s->lock);
    thread_join(t, s->thread);
    s->thread = NULL;
}

void
nn_settle_abandon(struct nn_settle *s, const struct why *why)
{
    nn_calls_fail(s->nn, &s->calls, why);
}
