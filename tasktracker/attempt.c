#include "tasktracker/attempt.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tasktracker/chan.h"

#define EXIT_WAIT_MS 1000
#define FILES_MS 500                    /* how often the attempt's files are looked at */
#define TASK_STATUS_MAX 200
#define SECOND_ARENA (256 * KB)

/* How an attempt ended. */
struct ending {
    TtEndedRequest__How how;
    char text[WHY_TEXT_MAX];
};

void
tt_wake(const struct tt_attempt *a)
{
    struct why why;

    (void)pipes_write(a->tt->crew->pipes, a->bell[1], "", 1, &why);     /* its other end is ours too */
}

void
tt_attempt_kill(struct tt_attempt *a)
{
    a->killed = true;
    if (a->has_worker)
        crew_kill(a->tt->crew, &a->worker);
    tt_wake(a);
}

struct tt_attempt *
tt_attempt_find(struct tt *tt, const JtAttemptId *id)
{
    struct tt_attempt *a;

    DL_FOREACH(tt->attempts, a)
        if (a->job->number == id->job && a->is_map == id->is_map && a->index == id->index && a->number == id->attempt)
            return a;
    return NULL;
}

/* ---- the conversation ---- */

static enum rc
send_start(struct talk *k, int log_fd, struct why *why)
{
    struct tt_attempt *a = k->a;
    JtJobSpec *job = a->job->reply->spec;
    TkSpec spec = TK_SPEC__INIT;
    JtAttemptId id = JT_ATTEMPT_ID__INIT;
    TkOrder o = TK_ORDER__INIT;
    int fds[3] = { a->job->code->fd, -1, log_fd };
    uint8_t *packed;
    size_t n;
    enum rc rc;

    id.job = a->job->number;
    id.is_map = a->is_map;
    id.index = a->index;
    id.attempt = a->number;
    spec.id = &id;
    spec.map_count = a->job->reply->map_count;
    spec.reduce_count = job->reduces;
    spec.splits = a->map ? a->map->splits : NULL;
    spec.n_splits = a->map ? a->map->n_splits : 0;
    spec.options = job->options;
    spec.n_options = job->n_options;
    spec.sort_bytes = job->sort_bytes;
    spec.sort_factor = job->sort_factor;
    spec.compress = job->compress;
    spec.memory_bytes = tt_memory_limit(k->tt, a->job);
    spec.has_results = true;
    spec.results = job->results && (!a->is_map || job->reduces == 0);
    spec.final_output = !job->results && (!a->is_map || job->reduces == 0);
    spec.stage = job->stage;
    spec.bounds = job->bounds;
    spec.n_bounds = job->n_bounds;
    spec.second = k->second;
    spec.has_file_bytes = true;
    spec.file_bytes = k->tt->conf.task_disk;
    n = tk_spec__get_packed_size(&spec);
    if ((packed = mem_alloc(n + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    (void)tk_spec__pack(&spec, packed);
    rc = pipes_memory_file(k->tt->crew->pipes, "attempt", packed, n, &fds[1], why);
    mem_free(packed);
    if (rc != RC_OK)
        return rc;
    o.kind = TK_ORDER__KIND__START;
    rc = chan_send(k->tt->crew->pipes, k->worker.sock, &o.base, fds, 3, why);
    io_close(k->tt->w->io, fds[1]);     /* the worker has it */
    return rc;
}

/* What the attempt prints, as far as it is there; false when no more can come. */
static bool
drain_log(struct talk *k)
{
    uint8_t chunk[8192];
    struct why why;
    size_t n;

    for (int i = 0; i < 1000; i++) {    /* an attempt that prints without end is not to hold us */
        enum rc rc = pipes_read(k->tt->crew->pipes, k->log_pipe, chunk, sizeof chunk, &n, &why);

        if (rc != RC_OK)
            return rc == RC_TIMEOUT;
        attempt_log_add(&k->log, chunk, n);
    }
    return true;
}

/* The file that the map of this number wrote in the job before. */
static enum rc
find_second(struct talk *k, struct why *why)
{
    const JtJobSpec *spec = k->a->job->reply->spec;
    struct fs_status st;
    struct arena arena;
    enum rc rc;

    if ((k->second = mem_zalloc(sizeof *k->second)) == NULL)
        return why_rc(why, RC_NOMEM);
    jt_split__init(k->second);
    if ((k->second->path = mem_printf("%s/part-m-%05u", spec->second, k->a->index)) == NULL)
        return why_rc(why, RC_NOMEM);
    arena_init(&arena, SECOND_ARENA);
    if ((rc = fs_stat(k->a->job->fs, k->second->path, &arena, &st, why)) == RC_OK)
        k->second->bytes = k->second->file_bytes = st.bytes;
    else
        (void)why_prefix(why, "second input %s", k->second->path);
    arena_fini(&arena);
    return rc;
}

static enum rc
begin(struct talk *k, struct why *why)
{
    struct tt_attempt *a = k->a;
    const JtJobSpec *spec = a->job->reply->spec;
    int log[2];
    enum rc rc;

    if (a->is_map && spec->second != NULL && (rc = find_second(k, why)) != RC_OK)
        return rc;
    k->input_count = (a->map ? a->map->n_splits : 0) + (k->second != NULL);
    if ((k->inputs = mem_calloc(k->input_count + 1, sizeof *k->inputs)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (!a->is_map && (rc = fetch_start(a, a->job->reply->map_count, spec->parallel_copies, &k->fetch, why)) != RC_OK)
        return rc;
    if ((rc = pipes_pair(k->tt->crew->pipes, PIPES_LOG, log, why)) != RC_OK)
        return rc;
    k->log_pipe = log[0];
    rc = send_start(k, log[1], why);
    pipes_close(k->tt->crew->pipes, log[1]);    /* the worker has it */
    return rc;
}

static void
describe_signal(struct ending *e, int sig, const char *limit)
{
    const char *name = sigabbrev_np(sig), *text = sigdescr_np(sig);

    (void)snprintf(e->text, sizeof e->text, "killed by SIG%s (signal %d: %s)%s%s", name ? name : "?", sig, text ? text : "",
                   limit[0] != '\0' ? ", " : "", limit);
}

/* What its limits have to do with a worker's death, as far as can be seen from here. */
static void
describe_limits(struct talk *k, int status, char out[160])
{
    uint64_t peak = crew_peak(k->tt->crew, &k->worker);

    out[0] = '\0';
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
        (void)snprintf(out, 160, "its file grew beyond %llu bytes (millrace.task.local.bytes)",
                       (unsigned long long)k->tt->conf.task_disk);
    else if (peak != 0)
        (void)snprintf(out, 160, "it had %llu MB of memory at most, mapreduce.map.memory.mb is %llu",
                       (unsigned long long)(peak / MB), (unsigned long long)(k->a->job->reply->spec->memory_bytes / MB));
}

/* The worker is gone without a word. */
static void
describe_death(struct talk *k, struct ending *e)
{
    uint64_t began_ms = tt_now(k->tt);
    char limits[160];
    int status = 0;

    e->how = TT_ENDED_REQUEST__HOW__FAILED;
    if (!crew_wait(k->tt->crew, &k->worker, EXIT_WAIT_MS, &status)) {
        crew_kill(k->tt->crew, &k->worker);
        (void)snprintf(e->text, sizeof e->text, "%s", tt_now(k->tt) - began_ms >= EXIT_WAIT_MS ?
                       "closed its descriptors, went on without them and was killed" : "the worker is gone");
        return;
    }
    describe_limits(k, status, limits);
    if (WIFSIGNALED(status))
        describe_signal(e, WTERMSIG(status), limits);
    else
        (void)snprintf(e->text, sizeof e->text, "exited with status %d before it was done", WEXITSTATUS(status));
}

static bool
is_killed(struct tt_attempt *a)
{
    bool killed;

    tt_lock(a->tt);
    killed = a->killed;
    tt_unlock(a->tt);
    return killed;
}

static uint64_t
silence_limit(const struct talk *k)
{
    uint64_t timeout_ms = k->a->job->reply->spec->timeout_ms;

    /* While it waits for us it cannot say anything. */
    return timeout_ms == 0 || k->waits_for_segment ? FOREVER : k->heard_ms + timeout_ms;
}

/* One report; false ends the conversation. */
static bool
hear(struct talk *k, struct ending *e)
{
    ProtobufCMessage *m;
    int fds[CHAN_FDS];
    size_t n = 0;
    struct why why;
    enum rc rc = chan_receive(k->tt->crew->pipes, k->worker.sock, &tk_report__descriptor, &m, fds, &n, &why);
    bool go_on;

    if (rc == RC_CLOSED) {
        describe_death(k, e);
        return false;
    }
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        pipes_close(k->tt->crew->pipes, fds[i]);        /* a worker has none to give */
    if (rc == RC_OK) {
        go_on = talk_answer(k, (TkReport *)(void *)m, &rc, &why);
        k->heard_ms = tt_now(k->tt);
        if (go_on || rc == RC_OK)
            return go_on;
    }
    e->how = TT_ENDED_REQUEST__HOW__FAILED;
    (void)snprintf(e->text, sizeof e->text, "%s", why.text);
    return false;
}

/* Is it beyond one of its limits?  Then it is killed, and e says for what. */
static bool
end_at_limit(struct talk *k, uint64_t silent_until, struct ending *e)
{
    struct why why;

    if (tt_now(k->tt) >= silent_until)
        (void)snprintf(e->text, sizeof e->text, "said nothing for %llu ms (mapreduce.task.timeout) and was killed",
                       (unsigned long long)k->a->job->reply->spec->timeout_ms);
    else if (talk_wrote_too_much(k, &why))
        (void)snprintf(e->text, sizeof e->text, "%s", why.text);
    else
        return false;
    crew_kill(k->tt->crew, &k->worker);
    e->how = TT_ENDED_REQUEST__HOW__FAILED;
    return true;
}

/* Talk until the attempt ends.  e is filled unless k->end says how. */
static void
converse(struct talk *k, struct ending *e)
{
    struct pipes *pipes = k->tt->crew->pipes;
    struct pipes_watch fds[3] = { { .fd = k->worker.sock }, { .fd = k->log_pipe }, { .fd = k->a->bell[0] } };
    struct why why;
    char rung[64];
    size_t count;
    enum rc rc = RC_OK;

    k->heard_ms = tt_now(k->tt);
    for (;;) {
        uint64_t limit = silence_limit(k), now = tt_now(k->tt), wait_ms;

        if (end_at_limit(k, limit, e))
            return;
        wait_ms = limit == FOREVER ? FOREVER : limit > now ? limit - now : 0;
        if (k->file_count > 0 && wait_ms > FILES_MS)
            wait_ms = FILES_MS;
        if (pipes->ops->watch(pipes, fds, ARRAY_LEN(fds), wait_ms, &why) != RC_OK) {
            e->how = TT_ENDED_REQUEST__HOW__KILLED;
            (void)snprintf(e->text, sizeof e->text, "%s", why.text);
            return;
        }
        if (fds[1].is_ready && !drain_log(k))
            fds[1].fd = -1;
        while (fds[2].is_ready && pipes_read(pipes, k->a->bell[0], rung, sizeof rung, &count, &why) == RC_OK)
            continue;                   /* it only rings */
        if (is_killed(k->a)) {
            crew_kill(k->tt->crew, &k->worker);
            e->how = TT_ENDED_REQUEST__HOW__KILLED;
            (void)snprintf(e->text, sizeof e->text, "killed by order");
            return;
        }
        if (fds[0].is_ready && !hear(k, e))
            return;
        if (!talk_segment(k, &rc, &why) && rc != RC_OK) {
            e->how = TT_ENDED_REQUEST__HOW__FAILED;
            (void)snprintf(e->text, sizeof e->text, "%s", why.text);
            return;
        }
    }
}

/* ---- the end ---- */

static enum rc
keep_output(struct talk *k, struct why *why)
{
    struct tt_attempt *a = k->a;
    const TkReport *end = k->end;
    char *path = k->output_path;

    if (a->job->reply->spec->reduces == 0 || !a->is_map)
        return RC_OK;
    if (path == NULL || end->n_index != (size_t)a->job->reply->spec->reduces + 1 || end->n_crc != end->n_index - 1)
        return why_set(why, RC_BAD_MESSAGE, "the map's index has %zu entries, %zu checksums", end->n_index, end->n_crc);
    k->output_path = NULL;
    CRASH_POINT(tt_before_keep);
    return tt_output_add(k->tt, a->job, a->index, a->number, path, end->index, end->crc, a->job->reply->spec->reduces,
                         why);
}

static enum rc
finish_sinks(struct talk *k, struct why *why)
{
    const TkReport *end = k->end;
    enum rc rc = RC_OK;

    if (end->n_written != k->sink_count)
        return why_set(why, RC_BAD_MESSAGE, "the worker wrote %zu outputs, and asked for %zu", end->n_written, k->sink_count);
    for (size_t i = 0; i < k->sink_count && rc == RC_OK; i++) {
        rc = sink_finish(k->sinks[i], end->written[i], why);
        k->sinks[i] = NULL;
    }
    return rc;
}

/* The worker said DONE or FAILED: is it so? */
static void
settle(struct talk *k, struct ending *e)
{
    struct why why, sink_why;
    enum rc rc = RC_OK;

    if (k->end->kind == TK_REPORT__KIND__FAILED) {
        e->how = k->no_place ? TT_ENDED_REQUEST__HOW__KILLED : TT_ENDED_REQUEST__HOW__FAILED;
        /* A worker does not know its files by name. */
        (void)snprintf(e->text, sizeof e->text, "%s%s%s%s", k->end->rc == RC_NO_SPACE ? "intermediate files in " : "",
                       k->end->rc == RC_NO_SPACE ? k->tt->dir : "",
                       k->end->rc == RC_NO_SPACE ? " (mapreduce.cluster.local.dir): " : "",
                       k->end->text ? k->end->text : "");
        for (size_t i = 0; i < k->sink_count; i++)
            if (sink_abandon(k->sinks[i], &sink_why) != RC_OK)
                (void)snprintf(e->text, sizeof e->text, "%s", sink_why.text);   /* the root of it */
        k->sink_count = 0;
        return;
    }
    if (talk_wrote_too_much(k, &why)) {
        rc = why.rc;
    } else if ((rc = keep_output(k, &why)) == RC_OK && k->sink_count != 0) {
        rc = finish_sinks(k, &why);
        CRASH_POINT(tt_sink_finished);
    } else if (rc == RC_OK) {
        CRASH_POINT(tt_output_kept);
    }
    e->how = rc == RC_OK ? TT_ENDED_REQUEST__HOW__SUCCEEDED : TT_ENDED_REQUEST__HOW__FAILED;
    (void)snprintf(e->text, sizeof e->text, "%s", rc == RC_OK ? "" : why.text);
}

/* Nothing of the attempt stays: its worker unless it may serve again, its streams, its files. */
static void
tidy(struct talk *k, const struct ending *e)
{
    struct tt_attempt *a = k->a;
    struct why why;

    tt_lock(k->tt);
    a->has_worker = false;              /* from here on an order does not kill it */
    tt_unlock(k->tt);
    if (e->how != TT_ENDED_REQUEST__HOW__SUCCEEDED)
        crew_kill(k->tt->crew, &k->worker);
    talk_end_cache(k, e->how == TT_ENDED_REQUEST__HOW__SUCCEEDED);
    talk_fini(k);
    for (size_t i = 0; i < k->sink_count; i++)
        if (k->sinks[i] != NULL && sink_abandon(k->sinks[i], &why) != RC_OK)
            log_debug("sink_ended", "why=%s", why.text);
    k->sink_count = 0;
    if (k->part != NULL) {              /* nobody asked for it */
        pipes_close(k->tt->crew->pipes, k->part_fd);
        if (sink_abandon(k->part, &why) != RC_OK)
            log_debug("sink_ended", "why=%s", why.text);
    }
    if (k->log_pipe >= 0) {
        (void)drain_log(k);             /* it ends here */
        pipes_close(k->tt->crew->pipes, k->log_pipe);
    }
    if (e->how == TT_ENDED_REQUEST__HOW__SUCCEEDED && !is_killed(a))
        tt_worker_keep(k->tt, a->job, &k->worker);
    else {
        crew_kill(k->tt->crew, &k->worker);
        crew_close(k->tt->crew, &k->worker);
    }
    if (k->output_path != NULL && io_unlink(k->tt->w->io, k->output_path, &why) != RC_OK)
        log_warn("map_output_left", "why=%s", why.text);
    mem_free(k->output_path);
    attempt_log_fini(&k->log);
}

static void
report(struct talk *k, const struct ending *e)
{
    struct tt_attempt *a = k->a;
    TtEndedRequest req = TT_ENDED_REQUEST__INIT;
    JtAttemptId id = JT_ATTEMPT_ID__INIT;
    const ProtobufCMessage *reply;
    const TkReport *counts = k->end && k->end->kind == TK_REPORT__KIND__DONE ? k->end : a->progress.last;
    struct arena arena;
    struct buf log;
    struct why why;
    enum rc rc;

    id.job = a->job->number;
    id.is_map = a->is_map;
    id.index = a->index;
    id.attempt = a->number;
    buf_init(&log, 64 * KB);
    attempt_log_put(&k->log, &log);
    req.uuid = k->tt->uuid;
    req.id = &id;
    req.how = e->how;
    req.reason = (char *)e->text;
    req.log.data = log.p;
    req.log.len = buf_ok(&log) ? log.n : 0;
    req.log_path = k->log_path && k->log.bytes > 0 ? k->log_path : (char *)"";
    if (counts != NULL && counts == k->end && counts->has_result) {
        req.has_result = true;
        req.result = counts->result;
    }
    if (counts != NULL) {
        req.counters = counts->counters;
        req.n_counters = counts->n_counters;
    }
    arena_init(&arena, 64 * KB);
    CRASH_POINT(tt_before_ended);
    rc = tt_call(k->tt, ROW_tt_ended, &req.base, &req.epoch, &arena, &reply, &why);
    CRASH_POINT(tt_after_ended);
    if (rc != RC_OK && rc != RC_STOPPED)
        log_warn("end_not_reported", "attempt=%s why=%s", a->id, why.text);
    if (rc == RC_OK && !((const TtEndedReply *)(const void *)reply)->accepted) {
        tt_lock(k->tt);
        tt_output_drop(k->tt, a->job, a->index, a->number);
        tt_unlock(k->tt);
    }
    arena_fini(&arena);
    buf_fini(&log);
}

static void
run(struct talk *k, struct ending *e)
{
    struct tt_attempt *a = k->a;
    struct why why;
    enum rc rc;

    e->how = TT_ENDED_REQUEST__HOW__FAILED;
    if ((rc = tt_job_load(k->tt, a->job, &why)) != RC_OK) {
        if (rc == RC_JOB_NOT_FOUND || rc == RC_STOPPED)
            e->how = TT_ENDED_REQUEST__HOW__KILLED;     /* nobody wants it any more */
        (void)snprintf(e->text, sizeof e->text, "%s", why.text);
        return;
    }
    if ((rc = tt_worker_take(k->tt, a->job, &k->worker, &why)) != RC_OK) {
        (void)snprintf(e->text, sizeof e->text, "%s", why.text);
        return;
    }
    tt_lock(k->tt);
    a->worker = k->worker;
    a->has_worker = true;
    tt_unlock(k->tt);
    if ((rc = begin(k, &why)) == RC_OK) {
        CRASH_POINT(tt_attempt_begun);
        talk_ahead(k);
        converse(k, e);
    } else if (rc == RC_CLOSED)
        describe_death(k, e);
    else
        (void)snprintf(e->text, sizeof e->text, "%s", why.text);
    if (k->end != NULL)
        settle(k, e);
    tidy(k, e);
}

static void
attempt_free(struct tt_attempt *a)
{
    for (size_t i = 0; i < ARRAY_LEN(a->bell); i++)
        if (a->bell[i] >= 0)
            pipes_close(a->tt->crew->pipes, a->bell[i]);        /* nobody rings any more */
    chan_free(a->map ? &a->map->base : NULL);
    chan_free(a->progress.last ? &a->progress.last->base : NULL);
    mem_free(a);
}

static void
attempt_loop(void *arg)
{
    struct tt_attempt *a = arg;
    struct tt *tt = a->tt;
    struct talk *k = mem_zalloc(sizeof *k);
    struct ending e = { .how = TT_ENDED_REQUEST__HOW__KILLED };

    if (k != NULL) {
        uint64_t began = tt_now(tt);

        k->a = a;
        k->tt = tt;
        k->is_early = a->is_early;
        k->log_pipe = -1;
        k->log_path = mem_printf("%s/logs/%s.log", tt->dir, a->id);
        attempt_log_init(&k->log, tt->w->io, k->log_path ? k->log_path : "/dev/null");
        log_info("attempt_started", "attempt=%s", a->id);
        run(k, &e);
        log_info("attempt_ended", "attempt=%s how=%s ms=%llu why=%s", a->id,
                 e.how == TT_ENDED_REQUEST__HOW__SUCCEEDED ? "SUCCEEDED" : e.how == TT_ENDED_REQUEST__HOW__FAILED ? "FAILED" : "KILLED",
                 (unsigned long long)(tt_now(tt) - began), e.text);
        metric_add(&tt->metrics.tasks_failed, e.how == TT_ENDED_REQUEST__HOW__FAILED);
        metric_add(&tt->metrics.tasks_killed, e.how == TT_ENDED_REQUEST__HOW__KILLED);
        report(k, &e);
        chan_free(k->end ? &k->end->base : NULL);
        mem_free(k->log_path);
        mem_free(k);
    }
    tt_lock(tt);
    DL_DELETE(tt->attempts, a);
    tt_job_unref(tt, a->job);
    tt_unlock(tt);
    tt_bury(tt);
    attempt_free(a);
    tt_thread_ended(tt);
}

static JtMap *
copy_map(const JtMap *m)
{
    size_t n = jt_map__get_packed_size(m);
    uint8_t *packed = mem_alloc(n + 1);
    JtMap *copy = NULL;

    if (packed != NULL) {
        (void)jt_map__pack(m, packed);
        copy = (JtMap *)(void *)chan_unpack(&jt_map__descriptor, packed, n);
    }
    mem_free(packed);
    return copy;
}

void
tt_attempt_start(struct tt *tt, const TtOrder *order)
{
    struct tt_job *j = tt_job_get(tt, order->id->job);
    struct tt_attempt *a = j ? mem_zalloc(sizeof *a) : NULL;
    struct thread *thread;
    struct why why;

    if (a == NULL) {
        log_error("attempt_not_started", "reason=memory");
        tt->register_again = true;      /* then the JobTracker finds out */
        return;
    }
    a->tt = tt;
    a->job = j;
    a->is_map = order->id->is_map;
    a->index = order->id->index;
    a->number = order->id->attempt;
    a->is_early = order->has_early && order->early;
    (void)attempt_id_text(j->id, a->is_map, a->index, a->number, a->id);
    a->bell[0] = a->bell[1] = -1;
    for (size_t i = 0; i < order->n_outputs; i++)
        tt_location_set(j, order->outputs[i]);
    if (order->about != NULL)
        tt_job_tell(j, order->about);
    if (pipes_pair(tt->crew->pipes, PIPES_BELL, a->bell, &why) != RC_OK ||
        (a->is_map && (order->map == NULL || (a->map = copy_map(order->map)) == NULL)) ||
        thread_spawn(tt->w->threads, "tt-attempt", attempt_loop, a, &thread, &why) != RC_OK) {
        log_error("attempt_not_started", "attempt=%s", a->id);
        tt->register_again = true;      /* then the JobTracker finds out */
        attempt_free(a);
        return;
    }
    j->refs++;
    tt->thread_count++;
    metric_add(&tt->metrics.tasks, 1);
    DL_APPEND(tt->attempts, a);         /* its thread looks at the list only under the lock */
    thread_detach(tt->w->threads, thread);
}
