/* JobClientProtocol: what `mr` asks. */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "jobtracker/jt_priv.h"

#define CODE_MAX (64 * MB)
#define WAIT_MAX_MS 60000
#define WATCH_MS 50                 /* between two answers to one who watches a job */
#define LIST_MAX 1000
#define LOG_TAIL 2048

/* protobuf-c's texts are not const, though nobody writes to them. */
#define NONE ((char *)(uintptr_t)"")

static char *
or_none(char *text)
{
    return text ? text : NONE;
}

/* ---- submit ---- */

/* The name of its code is what the JobTracker has worked out: a client need not. */
static void
name_job(const struct jt_job *j, JtSubmitReply *ret)
{
    ret->job = (char *)j->id;
    ret->has_code_digest = j->spec->has_code_digest;
    ret->code_digest = j->spec->code_digest;
}

enum rc
jt_do_job_submit(struct jt *jt, struct rpc_call *call, const JtSubmitRequest *req, JtSubmitReply *ret, bool *ret_held,
                 struct why *why)
{
    struct jt_job *j;
    struct jt_item *item;
    enum rc rc;

    if (req->submit_id.len != JT_SUBMIT_ID_BYTES)
        return why_set(why, RC_BAD_MESSAGE, "submit_id has %zu bytes, not %d", req->submit_id.len, JT_SUBMIT_ID_BYTES);
    if (!req->has_code && (!req->spec->has_code_digest || req->spec->code_digest.len != JT_DIGEST_BYTES ||
                           !jt_store_code_has(jt->core.store, req->spec->code_digest.data))) {
        ret->job = NONE;
        ret->has_need_code = ret->need_code = true;
        return RC_OK;
    }
    if (req->has_code && (req->code.len == 0 || req->code.len > CODE_MAX))
        return why_set(why, RC_BAD_JOB, "the shared object has %zu bytes; 1 to %zu are taken", req->code.len, CODE_MAX);
    if ((j = jt_core_find_submitted(&jt->core, req->submit_id.data)) != NULL) {
        name_job(j, ret);
        return RC_OK;
    }
    if ((rc = jt_spec_check(req->spec, why)) != RC_OK)
        return rc;
    if (req->spec->results)
        return jt_submit_checked(jt, call, RC_OK, why);     /* there is no output to look at */
    if ((item = mem_zalloc(sizeof *item)) == NULL)
        return why_rc(why, RC_NOMEM);
    item->kind = ITEM_CHECKED;
    item->call = call;
    jt_give_work(jt, item);
    *ret_held = true;
    return RC_OK;
}

enum rc
jt_submit_checked(struct jt *jt, struct rpc_call *call, enum rc checked, struct why *why)
{
    const JtSubmitRequest *req = (const JtSubmitRequest *)(const void *)call->request;
    JtSubmitReply *ret = (JtSubmitReply *)(void *)call->reply;
    struct jt_job *j = jt_core_find_submitted(&jt->core, req->submit_id.data);
    size_t n = jt_job_spec__get_packed_size(req->spec);
    uint8_t *packed;
    JtJobSpec *spec;
    enum rc rc = RC_NOMEM;

    if (j != NULL) {        /* a repeat overtook this one: the output that was found may be its own */
        name_job(j, ret);
        return RC_OK;
    }
    if (checked != RC_OK)
        return checked;
    if (!req->has_code && !jt_store_code_has(jt->core.store, req->spec->code_digest.data)) {   /* dropped meanwhile */
        ret->job = NONE;
        ret->has_need_code = ret->need_code = true;
        return RC_OK;
    }
    if ((packed = mem_alloc(n + 1)) == NULL)
        return why_rc(why, rc);
    (void)jt_job_spec__pack(req->spec, packed);
    if ((rc = jt_spec_unpack(packed, n, &spec, why)) == RC_OK)
        rc = jt_core_submit(&jt->core, &jt->now, call->user, req->submit_id.data, spec, req->has_code ? req->code.data : NULL,
                            req->code.len, &j, why);
    mem_free(packed);
    if (rc == RC_OK)
        name_job(j, ret);
    return rc;
}

/* ---- status ---- */

static const char *const phases[] = { "map", "sort", "shuffle", "merge", "reduce", "output" };

static enum rc
fill_attempt(const struct jt_attempt *a, struct arena *arena, JtAttemptStatus *ret)
{
    char text[ATTEMPT_ID_TEXT];

    jt_attempt_status__init(ret);
    if ((ret->id = arena_strdup(arena, jt_attempt_text(a, text))) == NULL)
        return RC_NOMEM;
    ret->state = (char *)jt_attempt_states[a->state].name;
    ret->node = a->tracker->place ? a->tracker->place->name : NONE;
    ret->locality = (char *)jt_locality_name(a->locality);
    ret->started_ms = a->started_ms;
    ret->ended_ms = a->ended_ms;
    ret->fraction = a->fraction;
    ret->phase = (char *)(jt_attempt_state_is_live(a->state) && a->phase < ARRAY_LEN(phases) ? phases[a->phase] : "");
    ret->reason = or_none(a->text);
    ret->log_path = or_none(a->log_path);
    ret->has_run_ms = ret->has_shuffle_ms = a->state == ATTEMPT_SUCCEEDED;
    if (ret->has_run_ms) {
        ret->run_ms = (uint64_t)jt_counters_get(&a->counters, "RUN_MILLISECONDS");
        ret->shuffle_ms = (uint64_t)jt_counters_get(&a->counters, "SHUFFLE_MILLISECONDS");
    }
    return RC_OK;
}

static enum rc
fill_counter(JtCounter **to, size_t *n, const char *name, int64_t value, bool user, struct arena *arena)
{
    JtCounter *row = arena_zalloc(arena, sizeof *row);

    if (row == NULL)
        return RC_NOMEM;
    jt_counter__init(row);
    if ((row->name = arena_strdup(arena, name)) == NULL)
        return RC_NOMEM;
    row->value = value;
    row->has_user = true;
    row->user = user;
    to[(*n)++] = row;
    return RC_OK;
}

static enum rc
fill_counters_of(const struct jt_attempt *a, struct arena *arena, JtAttemptStatus *ret)
{
    const struct jt_counters *c = &a->counters;
    enum rc rc = RC_OK;

    if ((ret->counters = arena_calloc(arena, c->n + 1, sizeof *ret->counters)) == NULL)
        return RC_NOMEM;
    for (size_t i = 0; i < c->n && rc == RC_OK; i++)
        rc = fill_counter(ret->counters, &ret->n_counters, c->rows[i].name, c->rows[i].value, c->rows[i].user, arena);
    return rc;
}

static enum rc
fill_counters(const struct jt_job *j, struct arena *arena, JtJobStatus *ret)
{
    const struct { const char *name; int64_t value; } ours[] = {
        { "TOTAL_LAUNCHED_MAPS", j->launched[1] }, { "TOTAL_LAUNCHED_REDUCES", j->launched[0] },
        { "DATA_LOCAL_MAPS", j->local[LOCALITY_NODE] }, { "RACK_LOCAL_MAPS", j->local[LOCALITY_RACK] },
        { "OTHER_LOCAL_MAPS", j->local[LOCALITY_ANY] },
        { "NUM_FAILED_MAPS", j->failed[1] }, { "NUM_FAILED_REDUCES", j->failed[0] },
    };
    struct jt_counters c = { 0 };
    enum rc rc = RC_NOMEM;

    jt_job_counters(j, &c);
    if ((ret->counters = arena_calloc(arena, c.n + ARRAY_LEN(ours), sizeof *ret->counters)) == NULL)
        goto out;
    rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(ours) && rc == RC_OK; i++)
        rc = fill_counter(ret->counters, &ret->n_counters, ours[i].name, ours[i].value, false, arena);
    for (size_t i = 0; i < c.n && rc == RC_OK; i++)
        rc = fill_counter(ret->counters, &ret->n_counters, c.rows[i].name, c.rows[i].value, c.rows[i].user, arena);
out:
    jt_counters_fini(&c);
    return rc;
}

/* The first failure and the last lines that it printed. */
static enum rc
fill_failure(struct jt *jt, const struct jt_job *j, struct arena *arena, JtJobStatus *ret)
{
    uint8_t *log = NULL;
    size_t n = 0, from;
    enum rc rc;

    if ((ret->first_failure = arena_zalloc(arena, sizeof *ret->first_failure)) == NULL)
        return RC_NOMEM;
    if ((rc = fill_attempt(j->first_failure, arena, ret->first_failure)) != RC_OK)
        return rc;
    if (jt_store_log(jt->core.store, j->first_failure, &log, &n, NULL) != RC_OK)
        return RC_OK;                   /* it printed nothing */
    from = n > LOG_TAIL ? n - LOG_TAIL : 0;
    for (size_t i = from; i < n; i++)
        if (log[i] == '\0' || log[i] >= 0x80)
            log[i] = '?';               /* a string field holds text */
    ret->first_failure_log = arena_strndup(arena, log + from, n - from);
    mem_free(log);
    return ret->first_failure_log ? RC_OK : RC_NOMEM;
}

static JtTaskSums *
sums(struct arena *arena, uint32_t total, uint32_t done, uint32_t running, uint32_t failed, uint32_t killed)
{
    JtTaskSums *s = arena_zalloc(arena, sizeof *s);

    if (s == NULL)
        return NULL;
    jt_task_sums__init(s);
    s->total = total;
    s->done = done;
    s->running = running;
    s->failed_attempts = failed;
    s->killed_attempts = killed;
    return s;
}

static enum rc
fill_status(struct jt *jt, const struct jt_job *j, struct arena *arena, bool whole, JtJobStatus **ret_status)
{
    JtJobStatus *ret = arena_zalloc(arena, sizeof *ret);
    struct jt_fractions f;
    enum rc rc;

    if (ret == NULL)
        return RC_NOMEM;
    jt_job_status__init(ret);
    jt_job_fractions(j, &f);
    ret->id = (char *)j->id;
    ret->name = j->spec->name;
    ret->user = j->user;
    ret->state = (char *)jt_job_states[j->state].name;
    ret->version = j->version;
    ret->submitted_ms = j->submitted_ms;
    ret->finished_ms = j->finished_ms;
    ret->elapsed_ms = (j->finished_ms ? j->finished_ms : jt->now.wall_ms) - j->submitted_ms;
    ret->output = j->spec->output;
    ret->reason = or_none(j->reason);
    ret->priority = j->spec->priority;
    ret->map_fraction = f.map;
    ret->shuffle_fraction = f.shuffle;
    ret->sort_fraction = f.sort;
    ret->reduce_fraction = f.reduce;
    ret->maps = sums(arena, j->map_count, j->maps_done, f.maps_running, j->failed[1], j->killed[1]);
    ret->reduces = sums(arena, j->reduce_count, j->reduces_done, f.reduces_running, j->failed[0], j->killed[0]);
    if (ret->maps == NULL || ret->reduces == NULL)
        return RC_NOMEM;
    if (whole && (rc = fill_counters(j, arena, ret)) != RC_OK)
        return rc;
    if (whole && j->first_failure != NULL && (rc = fill_failure(jt, j, arena, ret)) != RC_OK)
        return rc;
    *ret_status = ret;
    return RC_OK;
}

struct results {
    struct arena *arena;
    JtStatusReply *reply;
};

static enum rc
add_result(void *arg, const void *p, size_t n)
{
    struct results *r = arg;
    ProtobufCBinaryData *row = &r->reply->results[r->reply->n_results];

    if ((row->data = (uint8_t *)arena_strndup(r->arena, p ? p : "", n)) == NULL)
        return RC_NOMEM;
    row->len = n;
    r->reply->n_results++;
    return RC_OK;
}

static enum rc
fill_reply(struct jt *jt, const struct jt_job *j, struct rpc_call *call, JtStatusReply *ret, struct why *why)
{
    const JtStatusRequest *req = (const JtStatusRequest *)(const void *)call->request;
    struct results r = { &call->arena, ret };
    enum rc rc = fill_status(jt, j, &call->arena, true, &ret->status);

    if (rc != RC_OK)
        return why_rc(why, rc);
    if (!req->results || !j->spec->results || j->state != JOB_SUCCEEDED)
        return RC_OK;
    call->arena.limit += 3 * JT_RESULTS_MAX;            /* as rows, and encoded */
    if ((ret->results = arena_calloc(r.arena, (size_t)j->map_count + j->reduce_count + 1, sizeof *ret->results)) == NULL)
        return why_rc(why, RC_NOMEM);
    return jt_store_results(jt->core.store, j->number, add_result, &r, why);
}

enum rc
jt_do_job_status(struct jt *jt, struct rpc_call *call, const JtStatusRequest *req, JtStatusReply *ret, bool *ret_held,
                 struct why *why)
{
    struct jt_job *j;
    struct jt_wait *wait;
    enum rc rc;

    if ((rc = jt_core_get_job(&jt->core, req->job, &j, why)) != RC_OK)
        return rc;
    if (jt_job_state_is_over(j->state) || req->max_wait_ms == 0 ||
        (!req->until_over && (!req->has_version || req->version != j->version)))
        return fill_reply(jt, j, call, ret, why);
    if ((wait = arena_zalloc(&call->arena, sizeof *wait)) == NULL)
        return why_rc(why, RC_NOMEM);
    wait->call = call;
    wait->job = j->number;
    wait->version = req->version;
    wait->until_over = req->until_over;
    wait->not_before_ms = jt->now.mono_ms + WATCH_MS;
    wait->deadline_ms = jt->now.mono_ms + (req->max_wait_ms < WAIT_MAX_MS ? req->max_wait_ms : WAIT_MAX_MS);
    DL_APPEND(jt->status_waits, wait);
    *ret_held = true;
    return RC_OK;
}

void
jt_serve_status_waits(struct jt *jt)
{
    struct jt_wait *wait, *after;

    DL_FOREACH_SAFE(jt->status_waits, wait, after) {
        struct jt_job *j = jt_core_find_job(&jt->core, wait->job);
        JtStatusReply *ret = (JtStatusReply *)(void *)wait->call->reply;
        struct why why;
        enum rc rc;

        if (j != NULL && !jt_job_state_is_over(j->state) && jt->now.mono_ms < wait->deadline_ms &&
            (wait->until_over || j->version == wait->version || jt->now.mono_ms < wait->not_before_ms))
            continue;
        DL_DELETE(jt->status_waits, wait);
        rc = j == NULL ? why_rc(&why, RC_JOB_NOT_FOUND) : fill_reply(jt, j, wait->call, ret, &why);
        jt_answer(jt, wait->call, rc, &why);
    }
}

enum rc
jt_do_job_list(struct jt *jt, struct rpc_call *call, const JtListRequest *req, JtListReply *ret, bool *ret_held UNUSED,
               struct why *why)
{
    struct jt_job *j, *after;
    size_t n = 0;

    if ((ret->jobs = arena_calloc(&call->arena, HASH_COUNT(jt->core.by_number) + 1, sizeof *ret->jobs)) == NULL)
        return why_rc(why, RC_NOMEM);
    HASH_ITER(hh, jt->core.by_number, j, after) {       /* in the order of their numbers */
        if (!req->all && jt_job_state_is_over(j->state))
            continue;
        if (n == LIST_MAX || fill_status(jt, j, &call->arena, false, &ret->jobs[n]) != RC_OK)
            break;
        n++;
    }
    ret->n_jobs = n;
    return RC_OK;
}

enum rc
jt_do_job_kill(struct jt *jt, struct rpc_call *call, const JtKillRequest *req, JtKillReply *ret, bool *ret_held UNUSED,
               struct why *why)
{
    struct jt_job *j;
    char reason[300];
    enum rc rc;

    if ((rc = jt_core_get_job(&jt->core, req->job, &j, why)) != RC_OK)
        return rc;
    if (strcmp(call->user, j->user) != 0 && strcmp(call->user, jt->superuser) != 0)
        return why_set(why, RC_DENIED, "%s belongs to %s; you are %s", j->id, j->user, call->user);
    (void)snprintf(reason, sizeof reason, "killed by %s", call->user);
    ret->killed = jt_core_kill(&jt->core, &jt->now, j, reason);
    return RC_OK;
}

/* ---- attempts and logs ---- */

static struct jt_task *
task_at(struct jt_job *j, uint32_t i)
{
    return i < j->map_count ? &j->maps[i] : &j->reduces[i - j->map_count];
}

enum rc
jt_do_job_attempts(struct jt *jt, struct rpc_call *call, const JtAttemptsRequest *req, JtAttemptsReply *ret,
                   bool *ret_held UNUSED, struct why *why)
{
    struct jt_job *j;
    const struct jt_attempt *a;
    size_t n = 0;
    enum rc rc;

    if ((rc = jt_core_get_job(&jt->core, req->job, &j, why)) != RC_OK)
        return rc;
    if ((ret->attempts = arena_calloc(&call->arena, (size_t)j->launched[0] + j->launched[1] + 1,
                                      sizeof *ret->attempts)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (uint32_t i = 0; i < j->map_count + j->reduce_count; i++)
        DL_FOREACH(task_at(j, i)->attempts, a) {
            JtAttemptStatus *row = arena_zalloc(&call->arena, sizeof *row);

            if (row == NULL || fill_attempt(a, &call->arena, row) != RC_OK ||
                (req->counters && fill_counters_of(a, &call->arena, row) != RC_OK))
                return why_rc(why, RC_NOMEM);
            ret->attempts[n++] = row;
        }
    ret->n_attempts = n;
    return RC_OK;
}

static enum rc
add_log(struct jt *jt, const struct jt_attempt *a, struct arena *arena, JtLogsReply *ret)
{
    JtLog *row = arena_zalloc(arena, sizeof *row);
    char text[ATTEMPT_ID_TEXT];
    uint8_t *log;
    size_t n;

    if (row == NULL)
        return RC_NOMEM;
    if (jt_store_log(jt->core.store, a, &log, &n, NULL) != RC_OK)
        return RC_OK;                   /* it printed nothing, or still runs */
    jt_log__init(row);
    row->attempt = arena_strdup(arena, jt_attempt_text(a, text));
    row->text.data = (uint8_t *)arena_strndup(arena, log, n);
    row->text.len = n;
    row->node = a->tracker->place ? a->tracker->place->name : NONE;
    row->path = or_none(a->log_path);
    mem_free(log);
    if (row->attempt == NULL || row->text.data == NULL)
        return RC_NOMEM;
    ret->logs[ret->n_logs++] = row;
    return RC_OK;
}

enum rc
jt_do_job_logs(struct jt *jt, struct rpc_call *call, const JtLogsRequest *req, JtLogsReply *ret, bool *ret_held UNUSED,
               struct why *why)
{
    struct jt_job *j;
    const struct jt_attempt *a;
    bool found = req->attempt[0] == '\0';
    enum rc rc;

    if ((rc = jt_core_get_job(&jt->core, req->job, &j, why)) != RC_OK)
        return rc;
    if ((ret->logs = arena_calloc(&call->arena, (size_t)j->launched[0] + j->launched[1] + 1, sizeof *ret->logs)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (uint32_t i = 0; i < j->map_count + j->reduce_count; i++)
        DL_FOREACH(task_at(j, i)->attempts, a) {
            char text[ATTEMPT_ID_TEXT];

            if (req->attempt[0] != '\0' && strcmp(jt_attempt_text(a, text), req->attempt) != 0)
                continue;
            found = true;
            if ((rc = add_log(jt, a, &call->arena, ret)) != RC_OK)
                return why_rc(why, rc);
        }
    if (!found)
        return why_set(why, RC_JOB_NOT_FOUND, "%s has no attempt %s; `mr status %s` lists them", j->id, req->attempt, j->id);
    return RC_OK;
}

enum rc
jt_do_job_trackers(struct jt *jt, struct rpc_call *call, const JtTrackersRequest *req UNUSED, JtTrackersReply *ret,
                   bool *ret_held UNUSED, struct why *why)
{
    struct jt_tracker *t, *after;

    if ((ret->trackers = arena_calloc(&call->arena, HASH_COUNT(jt->core.trackers) + 1, sizeof *ret->trackers)) == NULL)
        return why_rc(why, RC_NOMEM);
    HASH_ITER(hh, jt->core.trackers, t, after) {
        JtTrackerStatus *row = arena_zalloc(&call->arena, sizeof *row);

        if (row == NULL)
            return why_rc(why, RC_NOMEM);
        jt_tracker_status__init(row);
        row->name = t->place ? t->place->name : NONE;
        row->host = or_none(t->host);
        row->shuffle_port = t->shuffle_port;
        row->http_port = t->http_port;
        row->state = (char *)(jt_tracker_is_alive(t) ? "ALIVE" : t->lost ? "LOST" : "AWAITED");
        row->map_slots = t->map_slots;
        row->maps_running = t->maps_live;
        row->reduce_slots = t->reduce_slots;
        row->reduces_running = t->reduces_live;
        row->seen_ms_ago = jt->now.mono_ms - t->seen_ms;
        row->tier = or_none(t->tier);
        row->failures = t->failures;
        ret->trackers[ret->n_trackers++] = row;
    }
    return RC_OK;
}
