#include "tasktracker/tt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/rpc/decode.h"
#include "tasktracker/tt_priv.h"

#define ORDERS_WAIT_MS 30000
#define ORDERS_ARENA (64 * MB)
#define AGAIN_MS 300
#define CALL_MS 30000
#define BUSY_BEAT_MS 500            /* between heartbeats while attempts run: people watch their progress */
#define VERSION "1"
#define LOG_KEEP_MS (7 * UINT64_C(86400000))     /* logs older than this go at the next start */

void
tt_thread_ended(struct tt *tt)
{
    tt_lock(tt);
    tt->thread_count--;
    tt_changed(tt);
    tt_unlock(tt);
}

void
tt_fail(struct tt *tt)
{
    tt_lock(tt);
    if (!tt->stopping && !tt->failed)
        log_error("launcher_gone", "now=ending");
    tt->failed = true;
    tt_unlock(tt);
}

bool
tt_has_failed(struct tt *tt)
{
    bool failed;

    tt_lock(tt);
    failed = tt->failed;
    tt_unlock(tt);
    return failed;
}

/* Sleep unless the tracker stops; false when it does. */
static bool
pause_ms(struct tt *tt, uint64_t ms)
{
    uint64_t until = tt_now(tt) + ms;
    bool stopping;

    tt_lock(tt);
    while (!tt->stopping && tt_now(tt) < until)
        (void)tt_wait(tt, until);
    stopping = tt->stopping;
    tt_unlock(tt);
    return !stopping;
}

/* This registration's epoch; 0 when the tracker stops. */
static uint64_t
epoch_after(struct tt *tt, uint64_t old)
{
    uint64_t epoch;

    tt_lock(tt);
    while (!tt->stopping && (tt->epoch == 0 || tt->epoch == old))
        (void)tt_wait(tt, FOREVER);
    epoch = tt->stopping ? 0 : tt->epoch;
    tt_unlock(tt);
    return epoch;
}

enum rc
tt_call(struct tt *tt, enum tracker_row method, const ProtobufCMessage *req, uint64_t *epoch_field, struct arena *arena,
        const ProtobufCMessage **ret, struct why *why)
{
    uint64_t bad = 0;

    for (;;) {
        enum rc rc;

        if ((*epoch_field = epoch_after(tt, bad)) == 0)
            return why_rc(why, RC_STOPPED);
        rc = rpc_client_call(tt->jt, method, req, arena, CALL_MS, ret, why);
        if (rc == RC_UNREGISTERED)
            bad = *epoch_field;         /* the thread that waits for orders registers again */
        else if (rc == RC_OK || rc == RC_STOPPED || (rc_retry(rc) == RETRY_NEVER && rc != RC_MAYBE_DONE))
            return rc;
        else if (!pause_ms(tt, AGAIN_MS))
            return why_rc(why, RC_STOPPED);
    }
}

/* ---- registration ---- */

static JtAttemptId *
new_id(struct arena *arena, uint64_t job, bool is_map, uint32_t index, uint32_t attempt)
{
    JtAttemptId *id = arena_alloc(arena, sizeof *id);

    if (id == NULL)
        return NULL;
    jt_attempt_id__init(id);
    id->job = job;
    id->is_map = is_map;
    id->index = index;
    id->attempt = attempt;
    return id;
}

/* Jobs that left nothing here: their end may have been told while we were not registered.  [m] */
static void
drop_idle_jobs(struct tt *tt)
{
    struct tt_job *j, *after;

    HASH_ITER(hh, tt->jobs, j, after)
        if (j->refs == 0 && j->outputs == NULL)
            tt_job_drop(tt, j);
}

/* What runs and what lies here.  [m] */
static enum rc
list_all(struct tt *tt, struct arena *arena, TtRegisterRequest *req)
{
    struct tt_attempt *a;
    struct tt_job *j, *after_j;
    struct tt_output *o, *after_o;
    size_t running = 0, outputs = 0;

    DL_COUNT(tt->attempts, a, running);
    HASH_ITER(hh, tt->jobs, j, after_j)
        outputs += HASH_COUNT(j->outputs);
    if ((req->running = arena_calloc(arena, running + 1, sizeof *req->running)) == NULL ||
        (req->outputs = arena_calloc(arena, outputs + 1, sizeof *req->outputs)) == NULL)
        return RC_NOMEM;
    DL_FOREACH(tt->attempts, a)
        if ((req->running[req->n_running++] = new_id(arena, a->job->number, a->is_map, a->index, a->number)) == NULL)
            return RC_NOMEM;
    HASH_ITER(hh, tt->jobs, j, after_j)
        HASH_ITER(hh, j->outputs, o, after_o)
            if ((req->outputs[req->n_outputs++] = new_id(arena, j->number, true, (uint32_t)(o->key >> 32),
                                                         (uint32_t)o->key)) == NULL)
                return RC_NOMEM;
    return RC_OK;
}

static enum rc
register_now(struct tt *tt, struct why *why)
{
    TtRegisterRequest req = TT_REGISTER_REQUEST__INIT;
    const TtRegisterReply *reply;
    const ProtobufCMessage *m;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, ORDERS_ARENA);
    req.uuid = tt->uuid;
    req.host = strcmp(tt->at.host, "0.0.0.0") == 0 || strcmp(tt->at.host, "::") == 0 ? (char *)"" : tt->at.host;
    req.name = tt->conf.node_name;
    req.shuffle_port = tt->at.port;
    req.map_slots = (uint32_t)tt->conf.map_slots;
    req.reduce_slots = (uint32_t)tt->conf.reduce_slots;
    req.version = VERSION;
    req.tier = (char *)(uintptr_t)tt->crew->text;
    tt_lock(tt);
    drop_idle_jobs(tt);
    rc = list_all(tt, &arena, &req);
    tt_unlock(tt);
    tt_bury(tt);                        /* before an order may bring one of them back */
    if (rc != RC_OK) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = rpc_client_call(tt->jt_wait, ROW_tt_register, &req.base, &arena, CALL_MS, &m, why)) != RC_OK)
        goto out;
    reply = (const TtRegisterReply *)(const void *)m;
    tt_lock(tt);
    tt->created_ms = reply->created_ms;
    tt->epoch = reply->epoch;
    (void)snprintf(tt->host, sizeof tt->host, "%s", reply->host);
    tt_changed(tt);
    tt_unlock(tt);
    log_info("registered", "host=%s epoch=%" PRIu64 " running=%zu outputs=%zu", reply->host, reply->epoch, req.n_running,
             req.n_outputs);
out:
    arena_fini(&arena);
    return rc;
}

/* ---- orders ---- */

/* [m] */
static void
obey(struct tt *tt, const TtOrder *o)
{
    struct tt_attempt *a;
    struct tt_job *j;
    uint64_t number = o->has_job ? o->job : 0;

    HASH_FIND(hh, tt->jobs, &number, sizeof number, j);
    switch (o->kind) {
    case TT_ORDER__KIND__RUN:
        if (o->id != NULL && tt_attempt_find(tt, o->id) == NULL)
            tt_attempt_start(tt, o);
        break;
    case TT_ORDER__KIND__KILL:
        if (o->id != NULL && (a = tt_attempt_find(tt, o->id)) != NULL)
            tt_attempt_kill(a);
        break;
    case TT_ORDER__KIND__MAP_DONE:
        for (size_t i = 0; j != NULL && i < o->n_outputs; i++)
            tt_location_set(j, o->outputs[i]);
        tt_changed(tt);
        break;
    case TT_ORDER__KIND__MAP_LOST:
        if (j != NULL && o->id != NULL)
            tt_location_lost(j, o->id->index, o->id->attempt);
        break;
    case TT_ORDER__KIND__FORGET_JOB:
        if (j != NULL)
            tt_job_forget(tt, j);
        break;
    case TT_ORDER__KIND__FORGET_OUTPUT:
        if (j != NULL && o->id != NULL)
            tt_output_drop(tt, j, o->id->index, o->id->attempt);
        break;
    case _TT_ORDER__KIND_IS_INT_SIZE:
        break;
    }
}

/* Ask for orders once; *last_seq is the highest that was obeyed. */
static enum rc
take_orders(struct tt *tt, uint64_t *last_seq, struct why *why)
{
    TtWaitOrdersRequest req = TT_WAIT_ORDERS_REQUEST__INIT;
    const TtWaitOrdersReply *reply;
    const ProtobufCMessage *m;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, ORDERS_ARENA);
    req.uuid = tt->uuid;
    req.last_seq = *last_seq;
    req.max_wait_ms = ORDERS_WAIT_MS;
    tt_lock(tt);
    req.epoch = tt->epoch;
    tt_unlock(tt);
    rc = rpc_client_call(tt->jt_wait, ROW_tt_wait_orders, &req.base, &arena, ORDERS_WAIT_MS + CALL_MS, &m, why);
    if (rc == RC_OK) {
        reply = (const TtWaitOrdersReply *)(const void *)m;
        tt_lock(tt);
        for (size_t i = 0; i < reply->n_orders && !tt->stopping; i++) {
            if (reply->orders[i]->seq <= *last_seq)
                continue;
            obey(tt, reply->orders[i]);
            *last_seq = reply->orders[i]->seq;
        }
        tt_unlock(tt);
        tt_bury(tt);
    }
    arena_fini(&arena);
    return rc;
}

static bool
is_stopping(struct tt *tt)
{
    bool stopping;

    tt_lock(tt);
    stopping = tt->stopping;
    tt_unlock(tt);
    return stopping;
}

static bool
take_register_again(struct tt *tt)
{
    bool again;

    tt_lock(tt);
    again = tt->register_again;
    tt->register_again = false;
    tt_unlock(tt);
    return again;
}

static void
orders_loop(void *arg)
{
    struct tt *tt = arg;
    struct log_rate rate = { 0 };
    uint64_t last_seq = 0;
    bool registered = false;

    while (!is_stopping(tt)) {
        struct why why;
        enum rc rc;

        if (!registered) {
            last_seq = 0;
            if ((rc = register_now(tt, &why)) == RC_OK) {
                registered = true;
                continue;
            }
        } else {
            if ((rc = take_orders(tt, &last_seq, &why)) == RC_OK) {
                registered = !take_register_again(tt);
                continue;
            }
            if (rc == RC_UNREGISTERED) {
                registered = false;
                continue;
            }
        }
        if (rc != RC_STOPPED && log_rate_ok(&rate, tt_now(tt)))
            log_warn("jobtracker_unreachable", "next_try_ms=%d why=%s", AGAIN_MS, why.text);
        if (!pause_ms(tt, AGAIN_MS))
            return;
    }
}

/* ---- heartbeats ---- */

/* What the attempts said last; counters are shared with the report, so the lock is held until it is packed.  [m] */
static enum rc
list_progress(struct tt *tt, struct arena *arena, TtHeartbeatRequest *req)
{
    struct tt_attempt *a;
    size_t n = 0;

    DL_COUNT(tt->attempts, a, n);
    if ((req->progress = arena_calloc(arena, n + 1, sizeof *req->progress)) == NULL)
        return RC_NOMEM;
    DL_FOREACH(tt->attempts, a) {
        TtProgress *p = arena_alloc(arena, sizeof *p);

        if (p == NULL)
            return RC_NOMEM;
        tt_progress__init(p);
        if ((p->id = new_id(arena, a->job->number, a->is_map, a->index, a->number)) == NULL)
            return RC_NOMEM;
        if (a->progress.last == NULL)
            continue;
        p->phase = a->progress.phase;
        p->fraction = a->progress.fraction;
        p->status = a->progress.last->status;
        p->counters = a->progress.last->counters;
        p->n_counters = a->progress.last->n_counters;
        req->progress[req->n_progress++] = p;
    }
    return RC_OK;
}

static void
beat(struct tt *tt)
{
    TtHeartbeatRequest req = TT_HEARTBEAT_REQUEST__INIT, *copy = NULL;
    const ProtobufCMessage *m;
    struct arena arena;
    struct why why;
    uint8_t *packed;
    size_t n;
    enum rc rc;

    arena_init(&arena, ORDERS_ARENA);
    req.uuid = tt->uuid;
    tt_lock(tt);
    req.epoch = tt->epoch;
    if ((rc = list_progress(tt, &arena, &req)) == RC_OK) {
        n = tt_heartbeat_request__get_packed_size(&req);
        if ((packed = arena_alloc(&arena, n + 1)) != NULL) {
            ProtobufCAllocator in_arena = arena_pb(&arena);

            (void)tt_heartbeat_request__pack(&req, packed);
            copy = tt_heartbeat_request__unpack(&in_arena, n, packed);
        }
    }
    tt_unlock(tt);
    if (copy != NULL && copy->epoch != 0)
        rc = rpc_client_call(tt->jt, ROW_tt_heartbeat, &copy->base, &arena, CALL_MS, &m, &why);
    if (rc != RC_OK)
        log_debug("heartbeat_failed", "rc=%s", rc_name(rc));        /* the wait for orders tells */
    arena_fini(&arena);
}

static void
beat_loop(void *arg)
{
    struct tt *tt = arg;
    uint64_t every = tt->conf.heartbeat_ms;
    bool busy;

    do {
        beat(tt);
        tt_workers_reap(tt, false);
        tt_bury(tt);
        tt_lock(tt);
        busy = tt->attempts != NULL;
        tt_unlock(tt);
    } while (pause_ms(tt, busy && every > BUSY_BEAT_MS ? BUSY_BEAT_MS : every));
}

/* ---- start and stop ---- */

static enum rc
read_uuid(struct tt *tt, struct why *why)
{
    char *path = mem_printf("%s/tracker.id", tt->dir);
    uint8_t *text = NULL;
    size_t n;
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_read_file(tt->w->io, path, 64, &text, &n, why)) == RC_OK && n >= 36) {
        memcpy(tt->uuid, text, 36);
    } else if (rc == RC_OK || rc == RC_SYS_NOT_FOUND) {
        rng_uuid(tt->w->rng, tt->uuid);
        rc = io_write_file(tt->w->io, path, tt->uuid, strlen(tt->uuid), why);
    }
    mem_free(text);
    mem_free(path);
    return rc;
}

/* Logs of attempts that ended long ago. */
struct old_logs {
    struct tt *tt;
    const char *dir;
    uint64_t before_ms;
};

static bool
drop_old_log(void *arg, const char *name)
{
    struct old_logs *o = arg;
    char *path = mem_printf("%s/%s", o->dir, name);
    struct io_stat st;
    struct why why;

    if (path != NULL && io_stat(o->tt->w->io, path, &st, &why) == RC_OK && st.is_file && st.mtime_ms < o->before_ms &&
        io_unlink(o->tt->w->io, path, &why) != RC_OK)
        log_warn("old_log_left", "why=%s", why.text);
    mem_free(path);
    return true;
}

static enum rc
drop_old_logs(struct tt *tt, const char *dir, struct why *why)
{
    uint64_t now = clock_wall_ms(tt->w->clock);
    struct old_logs o = { tt, dir, now > LOG_KEEP_MS ? now - LOG_KEEP_MS : 0 };

    return io_list(tt->w->io, dir, drop_old_log, &o, why);
}

/* The directory, alone ours; what an earlier run left of its jobs goes: its attempts died with it. */
static enum rc
open_dir(struct tt *tt, struct why *why)
{
    char *lock = mem_printf("%s/in_use.lock", tt->dir), *jobs = mem_printf("%s/jobs", tt->dir);
    char *logs = mem_printf("%s/logs", tt->dir);
    enum rc rc = RC_NOMEM;

    if (lock == NULL || jobs == NULL || logs == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = io_mkdirs(tt->w->io, tt->dir, 0700, why)) != RC_OK ||
        (rc = io_open(tt->w->io, lock, IO_READ | IO_WRITE | IO_CREATE | IO_PRIVATE, &tt->lock_fd, why)) != RC_OK) {
        (void)why_prefix(why, "mapreduce.cluster.local.dir");
        goto out;
    }
    if ((rc = io_lock(tt->w->io, tt->lock_fd, why)) != RC_OK) {
        if (rc == RC_BUSY)
            (void)why_set(why, RC_BUSY, "another TaskTracker is running on %s", tt->dir);
        goto out;
    }
    if ((rc = io_remove_tree(tt->w->io, jobs, why)) == RC_OK && (rc = io_mkdirs(tt->w->io, jobs, 0700, why)) == RC_OK &&
        (rc = io_mkdirs(tt->w->io, logs, 0700, why)) == RC_OK && (rc = drop_old_logs(tt, logs, why)) == RC_OK)
        rc = read_uuid(tt, why);
out:
    mem_free(lock);
    mem_free(jobs);
    mem_free(logs);
    return rc;
}

static enum rc
open_clients(struct tt *tt, struct why *why)
{
    struct rpc_client_options o = { .protocol = &tracker_rpc, .user = "tasktracker", .connect_ms = tt->conf.rpc_connect_ms,
                                    .retry_ms = 2000 };
    enum rc rc;

    if ((rc = net_addr_parse(tt->conf.jt_address, 8021, &o.to, why)) != RC_OK ||
        (rc = rpc_client_new(tt->w, &o, &tt->jt, why)) != RC_OK)
        return rc;
    return rpc_client_new(tt->w, &o, &tt->jt_wait, why);
}

enum rc
tt_start(const struct world *w, const struct conf *conf, struct crew *crew, struct tt **ret,
         struct net_addr *ret_at, struct why *why)
{
    struct tt *tt = mem_zalloc(sizeof *tt);
    enum rc rc;

    if (tt == NULL)
        return why_rc(why, RC_NOMEM);
    tt->w = w;
    tt->crew = crew;
    tt->listener = tt->lock_fd = -1;
    if ((rc = conf_copy(&tt->conf, conf, why)) != RC_OK) {
        mem_free(tt);
        return rc;
    }
    tt->m = mutex_new(w->threads);
    tt->launch = mutex_new(w->threads);
    tt->changed = cond_new(w->threads);
    tt->dir = mem_strdup(conf->tt_dir);
    if (tt->m == NULL || tt->launch == NULL || tt->changed == NULL || tt->dir == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = cache_new(w->threads, crew->pipes, conf->tt_cache_bytes, &tt->cache, why)) != RC_OK)
        goto out;
    log_info("sandbox", "tier=\"%s\"", crew->text);
    if ((rc = open_dir(tt, why)) != RC_OK || (rc = open_clients(tt, why)) != RC_OK ||
        (rc = tt_shuffle_start(tt, why)) != RC_OK)
        goto out;
    if (crew->plain && !net_addr_is_loopback(&tt->at)) {
        rc = why_set(why, RC_BAD_CONFIG, "the sandbox of this machine is only \"%s\": too weak for an address off loopback "
                     "(%s); run the TaskTracker as root, or allow user namespaces", crew->text, tt->at.host);
        goto out;
    }
    if ((rc = thread_spawn(w->threads, "tt-orders", orders_loop, tt, &tt->orders, why)) != RC_OK ||
        (rc = thread_spawn(w->threads, "tt-beat", beat_loop, tt, &tt->beat, why)) != RC_OK)
        goto out;
    *ret_at = tt->at;
    tt->owns_crew = true;
    *ret = tt;
    return RC_OK;
out:
    tt_stop(tt);
    return rc;
}

static void
stop_threads(struct tt *tt)
{
    struct tt_attempt *a;

    if (tt->m == NULL || tt->changed == NULL)
        return;
    tt_lock(tt);
    tt->stopping = true;
    DL_FOREACH(tt->attempts, a)
        tt_attempt_kill(a);
    tt_changed(tt);
    tt_unlock(tt);
    if (tt->jt != NULL)
        rpc_client_stop(tt->jt);
    if (tt->jt_wait != NULL)
        rpc_client_stop(tt->jt_wait);
    if (tt->orders != NULL)
        thread_join(tt->w->threads, tt->orders);
    if (tt->beat != NULL)
        thread_join(tt->w->threads, tt->beat);
    tt_shuffle_stop(tt);
    tt_lock(tt);
    while (tt->thread_count > 0)
        (void)tt_wait(tt, FOREVER);
    tt_unlock(tt);
}

void
tt_stop(struct tt *tt)
{
    struct tt_job *j, *after;

    stop_threads(tt);
    HASH_ITER(hh, tt->jobs, j, after)
        tt_job_drop(tt, j);
    if (tt->m != NULL)
        tt_bury(tt);
    if (tt->m != NULL)
        tt_workers_reap(tt, true);
    cache_free(tt->cache);
    tt_code_fini(tt);
    if (tt->owns_crew)
        crew_stop(tt->crew);
    if (tt->jt != NULL)
        rpc_client_free(tt->jt);
    if (tt->jt_wait != NULL)
        rpc_client_free(tt->jt_wait);
    if (tt->lock_fd >= 0)
        io_close(tt->w->io, tt->lock_fd);
    if (tt->m != NULL)
        mutex_free(tt->w->threads, tt->m);
    if (tt->launch != NULL)
        mutex_free(tt->w->threads, tt->launch);
    if (tt->changed != NULL)
        cond_free(tt->w->threads, tt->changed);
    conf_fini(&tt->conf);
    mem_free(tt->dir);
    mem_free(tt);
}
