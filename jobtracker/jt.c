#include "jobtracker/jt.h"


#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "jobtracker/jt_priv.h"

#define QUEUE_MAX 100000
#define GROUP_MAX 1000
#define INFLIGHT_MAX 64
#define IDLE_MS 600000
#define ROUND_MS 1000       /* the core comes by at least as often, */
#define ASLEEP_MS 3000      /* so this long between two rounds it did not run */

/* ---- answers ---- */

void
jt_answer(struct jt *jt, struct rpc_call *call, enum rc rc, const struct why *why)
{
    struct jt_answer *a = arena_zalloc(&call->arena, sizeof *a);
    uint8_t *reply;

    if (a == NULL) {
        struct why short_of_memory;

        (void)why_rc(&short_of_memory, RC_NOMEM);
        rpc_fail(call, &short_of_memory);
        return;
    }
    a->call = call;
    if (rc == RC_OK) {
        a->n = protobuf_c_message_get_packed_size(call->reply);
        if ((reply = arena_alloc(&call->arena, a->n + 1)) != NULL)
            a->n = protobuf_c_message_pack(call->reply, reply);
        a->reply = reply;
    }
    if (a->reply == NULL) {
        struct why *copy = arena_zalloc(&call->arena, sizeof *copy);

        if (copy != NULL && rc != RC_OK)
            *copy = *why;
        else if (copy != NULL)
            (void)why_rc(copy, RC_NOMEM);
        a->why = copy;
    }
    LL_PREPEND(jt->answers, a);
}

static void
let_answers_out(struct jt *jt)
{
    struct jt_answer *a = jt->answers, *after;
    struct why short_of_memory;

    (void)why_rc(&short_of_memory, RC_NOMEM);
    for (jt->answers = NULL; a != NULL; a = after) {
        after = a->next;            /* in the arena that goes with the call */
        if (a->reply != NULL)
            rpc_reply_encoded(a->call, a->reply, a->n);
        else
            rpc_fail(a->call, a->why != NULL ? a->why : &short_of_memory);
    }
}

/* ---- work threads ---- */

void
jt_give_work(struct jt *jt, struct jt_item *item)
{
    if (queue_put(jt->jobs, item) == RC_OK)
        return;
    /* Stopping, or the queue is full: the next start, or the next tick, does it. */
    if (item->call != NULL) {
        (void)why_set(&item->why, RC_BUSY, "the JobTracker has too much to do, or stops");
        rpc_fail(item->call, &item->why);
    }
    jt_work_free(item->work);
    mem_free(item);
}

static void
work_loop(void *arg)
{
    struct jt *jt = arg;
    struct jt_hand hand = { .w = jt->w, .conf = &jt->conf };
    void *p;

    while (queue_take(jt->jobs, FOREVER, &p) == RC_OK) {
        struct jt_item *item = p;

        if (item->kind == ITEM_CHECKED) {
            const JtSubmitRequest *req = (const JtSubmitRequest *)(const void *)item->call->request;

            item->rc = jt_work_check(&hand, item->call->user, req->spec->output, &item->why);
        } else if (item->work->kind == WORK_PREPARE) {
            item->rc = jt_work_prepare(&hand, item->work, &item->why);
        } else if (item->work->kind == WORK_MARK) {
            item->rc = jt_work_mark(&hand, item->work, &item->why);
        } else if (item->work->kind == WORK_COMMIT) {
            item->rc = jt_work_commit(&hand, item->work, &item->why);
        } else {
            item->rc = jt_work_clean(&hand, item->work, &item->why);
        }
        if (queue_put_wait(jt->queue, item, FOREVER) != RC_OK) {
            if (item->call != NULL)
                rpc_fail(item->call, &item->why);
            jt_work_free(item->work);
            mem_free(item);
        }
    }
    jt_hand_fini(&hand);
}

/* ---- the core thread ---- */

static void
submit(void *arg, struct rpc_call *call)
{
    struct jt *jt = arg;
    struct jt_item *item = mem_zalloc(sizeof *item);
    struct why why;
    enum rc rc = RC_NOMEM;

    if (item != NULL) {
        item->kind = ITEM_CALL;
        item->call = call;
        if ((rc = queue_put(jt->queue, item)) == RC_OK)
            return;
    }
    mem_free(item);
    (void)why_rc(&why, rc == RC_STOPPED ? RC_STANDBY : rc);
    rpc_fail(call, &why);
}

static void
worked(struct jt *jt, struct jt_item *item)
{
    struct jt_work *w = item->work;

    log_debug("work_done", "job=%s kind=%d rc=%s", w->id, (int)w->kind, rc_name(item->rc));
    if (w->kind == WORK_PREPARE) {
        jt_core_prepared(&jt->core, &jt->now, w->job, item->rc, &item->why);
        return;
    }
    if (w->kind == WORK_MARK) {
        if (item->rc != RC_OK)
            log_info("mark_failed", "job=%s rc=%s now=commit_does_it why=%s", w->id, rc_name(item->rc), item->why.text);
        jt_core_marked(&jt->core, &jt->now, w->job, item->rc);
        return;
    }
    if (w->kind == WORK_COMMIT) {
        jt_core_committed(&jt->core, &jt->now, w->job, item->rc, &item->why);
        return;
    }
    if (item->rc != RC_OK)
        log_warn("cleanup_failed", "job=%s left=%s why=%s", w->id, w->work, item->why.text);
    jt_core_cleaned(&jt->core, &jt->now, w->job, item->rc);
}

static void
handle(struct jt *jt, struct jt_item *item)
{
    bool held = false;
    struct why why;
    enum rc rc = RC_OK;

    switch (item->kind) {
    case ITEM_CALL:
        rc = jt_dispatch(jt, item->call, &held, &why);
        if (!held)
            jt_answer(jt, item->call, rc, &why);
        break;
    case ITEM_CHECKED:
        why = item->why;
        jt_answer(jt, item->call, jt_submit_checked(jt, item->call, item->rc, &why), &why);
        break;
    case ITEM_WORKED:
        worked(jt, item);
        break;
    }
    jt_work_free(item->work);
    mem_free(item);
}

static void
let_work_out(struct jt *jt)
{
    struct jt_work *w = jt_core_take_work(&jt->core), *after;

    for (; w != NULL; w = after) {
        struct jt_item *item = mem_zalloc(sizeof *item);

        after = w->next;
        w->next = NULL;
        if (item == NULL) {
            log_error("work_dropped", "job=%s reason=memory", w->id);       /* a restart does it */
            jt_work_free(w);
            continue;
        }
        item->kind = ITEM_WORKED;
        item->work = w;
        jt_give_work(jt, item);
    }
}

static uint64_t
next_round_ms(struct jt *jt, uint64_t ran_ms)
{
    uint64_t next = jt_core_next_ms(&jt->core), waits = jt_waits_next_ms(jt);

    if (next > ran_ms + ROUND_MS)
        next = ran_ms + ROUND_MS;
    return waits < next ? waits : next;
}

static void
core_loop(void *arg)
{
    struct jt *jt = arg;
    void *items[GROUP_MAX];
    uint64_t ran_ms = clock_mono_ms(jt->w->clock);
    struct why why;

    for (;;) {
        size_t n = 0;
        enum rc rc = queue_take_many(jt->queue, next_round_ms(jt, ran_ms), items, GROUP_MAX, &n);

        if (rc == RC_STOPPED)
            break;
        jt->now.mono_ms = clock_mono_ms(jt->w->clock);
        if (jt->now.mono_ms - ran_ms > ASLEEP_MS)
            jt_core_woke(&jt->core, jt->now.mono_ms - ran_ms);
        ran_ms = jt->now.mono_ms;
        jt->now.wall_ms = clock_wall_ms(jt->w->clock);
        for (size_t i = 0; rc == RC_OK && i < n; i++)
            handle(jt, items[i]);
        jt_core_tick(&jt->core, &jt->now);
        jt_core_assign(&jt->core, &jt->now);
        CRASH_POINT(jt_before_commit);
        if (jt_store_commit(jt->core.store, &why) != RC_OK) {
            log_error("commit_failed", "why=%s", why.text);
            __atomic_store_n(&jt->failed, true, __ATOMIC_SEQ_CST);
            break;
        }
        CRASH_POINT(jt_after_commit);
        jt_serve_order_waits(jt);
        jt_serve_status_waits(jt);
        let_answers_out(jt);
        CRASH_POINT(jt_answered);
        let_work_out(jt);
    }
    queue_stop(jt->queue);
}

/* ---- start and stop ---- */

static enum rc
open_state(struct jt *jt, struct why *why)
{
    struct io *io = jt->w->io;
    char *path = mem_printf("%s/jobs.db", jt->conf.jt_dir), *lock = mem_printf("%s/in_use.lock", jt->conf.jt_dir);
    struct jt_store *store = NULL;
    sqlite3 *db = NULL;
    enum rc rc = RC_NOMEM;

    if (path == NULL || lock == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = io_mkdirs(io, jt->conf.jt_dir, 0700, why)) != RC_OK ||
        (rc = io_open(io, lock, IO_READ | IO_WRITE | IO_CREATE | IO_PRIVATE, &jt->lock_fd, why)) != RC_OK) {
        (void)why_prefix(why, "millrace.jobtracker.dir");
        goto out;
    }
    if ((rc = io_lock(io, jt->lock_fd, why)) != RC_OK) {
        if (rc == RC_BUSY)
            (void)why_set(why, RC_BUSY, "another JobTracker is running on %s", jt->conf.jt_dir);
        goto out;
    }
    if ((rc = sqlvfs_new(jt->w, "jobtracker", &jt->vfs, why)) != RC_OK ||
        (rc = db_open(jt->vfs, path, true, &db, why)) != RC_OK)
        goto out;
    if ((rc = jt_store_open(db, clock_wall_ms(jt->w->clock), &store, why)) != RC_OK) {
        (void)sqlite3_close(db);        /* nothing is open on it */
        goto out;
    }
    jt->now.mono_ms = clock_mono_ms(jt->w->clock);
    jt->now.wall_ms = clock_wall_ms(jt->w->clock);
    rc = jt_core_init(&jt->core, store, jt->w->rng, jt->conf.dead_tracker_ms, &jt->now, why);
out:
    mem_free(path);
    mem_free(lock);
    return rc;
}

static enum rc
start_threads(struct jt *jt, struct why *why)
{
    enum rc rc;

    if ((rc = queue_new(jt->w->threads, QUEUE_MAX, &jt->queue)) != RC_OK ||
        (rc = queue_new(jt->w->threads, QUEUE_MAX, &jt->jobs)) != RC_OK)
        return why_rc(why, rc);
    for (size_t i = 0; i < JT_WORKERS; i++)
        if ((rc = thread_spawn(jt->w->threads, "jt-work", work_loop, jt, &jt->workers[i], why)) != RC_OK)
            return rc;
    let_work_out(jt);                   /* commits and cleanings that the last run did not finish */
    return thread_spawn(jt->w->threads, "jt-core", core_loop, jt, &jt->core_thread, why);
}

enum rc
jt_start(const struct world *w, const struct jt_options *o, struct jt **ret, struct net_addr *ret_at, struct why *why)
{
    struct jt *jt = mem_zalloc(sizeof *jt);
    struct rpc_server_options so = { .inflight_max = INFLIGHT_MAX, .idle_ms = IDLE_MS };
    struct rpc_service services[JT_PROTOCOLS];
    enum rc rc;

    if (jt == NULL)
        return why_rc(why, RC_NOMEM);
    jt->w = w;
    jt->lock_fd = -1;
    if ((rc = conf_copy(&jt->conf, o->conf, why)) != RC_OK) {
        mem_free(jt);
        return rc;
    }
    if ((jt->superuser = mem_strdup(o->superuser)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = open_state(jt, why)) != RC_OK || (rc = start_threads(jt, why)) != RC_OK ||
        (rc = net_addr_parse(jt->conf.jt_address, 8021, &so.at, why)) != RC_OK)
        goto out;
    so.frame_max = jt->conf.rpc_frame_max;
    so.conn_max = jt->conf.rpc_conn_max;
    for (size_t i = 0; i < JT_PROTOCOLS; i++)
        services[i] = (struct rpc_service){ jt_protocols[i], submit, jt };
    if ((rc = rpc_server_start(w, &so, services, JT_PROTOCOLS, &jt->server, why)) != RC_OK)
        goto out;
    *ret_at = *rpc_server_address(jt->server);
    *ret = jt;
    return RC_OK;
out:
    jt_stop(jt);
    return rc;
}

/* End what nobody will handle any more. */
static void
drain(struct queue *q)
{
    struct why why;
    void *p;

    (void)why_set(&why, RC_STANDBY, "the JobTracker stops");
    while (queue_take(q, 0, &p) == RC_OK) {
        struct jt_item *item = p;

        if (item->call != NULL)
            rpc_fail(item->call, &why);
        jt_work_free(item->work);
        mem_free(item);
    }
}

void
jt_stop(struct jt *jt)
{
    struct jt_answer *a, *after;
    struct why why;

    if (jt->server != NULL)
        rpc_server_stop(jt->server);
    if (jt->jobs != NULL)
        queue_stop(jt->jobs);
    for (size_t i = 0; i < JT_WORKERS; i++)
        if (jt->workers[i] != NULL)
            thread_join(jt->w->threads, jt->workers[i]);
    if (jt->queue != NULL)
        queue_stop(jt->queue);
    if (jt->core_thread != NULL)
        thread_join(jt->w->threads, jt->core_thread);
    (void)why_set(&why, RC_STANDBY, "the JobTracker stops");
    for (a = jt->answers; a != NULL; a = after) {       /* of a group that could not be committed */
        after = a->next;
        rpc_fail(a->call, &why);
    }
    jt->answers = NULL;
    jt_end_waits(jt);
    if (jt->queue != NULL)
        drain(jt->queue);
    if (jt->jobs != NULL)
        drain(jt->jobs);
    if (jt->server != NULL)
        rpc_server_free(jt->server);
    if (jt->queue != NULL)
        queue_free(jt->queue);
    if (jt->jobs != NULL)
        queue_free(jt->jobs);
    jt_core_fini(&jt->core);
    if (jt->vfs != NULL)
        sqlvfs_free(jt->vfs);
    if (jt->lock_fd >= 0)
        io_close(jt->w->io, jt->lock_fd);
    conf_fini(&jt->conf);
    mem_free(jt->superuser);
    mem_free(jt);
}

const struct jt_metrics *
jt_metrics(const struct jt *jt)
{
    return &jt->core.metrics;
}

bool
jt_has_failed(struct jt *jt)
{
    return __atomic_load_n(&jt->failed, __ATOMIC_SEQ_CST);
}
