#include "jobtracker/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "jobtracker/keep.h"
#include "jobtracker/sched.h"

#define ENDED_JOBS_MAX 1000         /* kept, in memory and in the database */
#define TRACKERS_MAX 100000
#define LOST_REPORTS_MAX 3          /* reduces that could not fetch an output before it counts as lost */

struct jt_job *
jt_core_find_job(struct jt_core *c, uint64_t number)
{
    struct jt_job *j;

    HASH_FIND(hh, c->by_number, &number, sizeof number, j);
    return j;
}

enum rc
jt_core_get_job(struct jt_core *c, const char *id, struct jt_job **ret, struct why *why)
{
    struct jt_job *j = jt_core_find_job(c, job_id_parse(c->created_ms, id));

    if (j == NULL)
        return why_set(why, RC_JOB_NOT_FOUND, "no job %s here; `mr ps --all` lists those that are", id);
    *ret = j;
    return RC_OK;
}

struct jt_job *
jt_core_find_submitted(struct jt_core *c, const uint8_t *submit_id)
{
    struct jt_job *j;

    DL_FOREACH(c->jobs, j)
        if (memcmp(j->submit_id, submit_id, sizeof j->submit_id) == 0)
            return j;
    return NULL;
}

int
jt_job_order(const struct jt_job *a, const struct jt_job *b)
{
    if (a->spec->priority != b->spec->priority)
        return a->spec->priority > b->spec->priority ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void
add_job(struct jt_core *c, struct jt_job *j)
{
    HASH_ADD(hh, c->by_number, number, sizeof j->number, j);
    DL_INSERT_INORDER(c->jobs, j, jt_job_order);
}

static void
drop_job(struct jt_core *c, struct jt_job *j)
{
    HASH_DEL(c->by_number, j);
    DL_DELETE(c->jobs, j);
    jt_job_free(j);
}

static void
drop_oldest(struct jt_core *c)
{
    struct jt_job *j, *oldest = NULL;

    if (HASH_COUNT(c->by_number) <= ENDED_JOBS_MAX)
        return;
    DL_FOREACH(c->jobs, j)
        if (j->cleaned && (oldest == NULL || j->number < oldest->number))
            oldest = j;
    if (oldest == NULL)
        return;
    jt_store_job_drop(c->store, oldest->number);
    drop_job(c, oldest);
}

/* Tell every tracker that may have something of the job. */
static void
forget_job(struct jt_core *c, const struct jt_job *j)
{
    struct jt_tracker *t, *after;

    HASH_ITER(hh, c->trackers, t, after)
        jt_order_add(t, ORDER_FORGET_JOB, j->number, false, 0, 0);
}

static void
kill_attempt(struct jt_attempt *a, const struct jt_now *now)
{
    if (a->state != ATTEMPT_RUNNING)
        return;
    jt_attempt_set_state(a, ATTEMPT_KILLING, now);
    jt_order_add(a->tracker, ORDER_KILL, a->task->job->number, a->task->is_map, a->task->index, a->number);
}

void
jt_core_kill_attempts(struct jt_task *t, const struct jt_now *now)
{
    struct jt_attempt *a;

    DL_FOREACH(t->attempts, a)
        kill_attempt(a, now);
}

void
jt_core_end_job(struct jt_core *c, struct jt_job *j, unsigned state, const char *reason, const struct jt_now *now)
{
    for (uint32_t i = 0; i < j->map_count; i++)
        jt_core_kill_attempts(&j->maps[i], now);
    for (uint32_t i = 0; i < j->reduce_count; i++)
        jt_core_kill_attempts(&j->reduces[i], now);
    jt_text_set(&j->reason, reason);
    jt_job_set_state(j, state, now);
    jt_store_job_put(c->store, j);
    log_info("job_ended", "job=%s state=%s", j->id, jt_job_states[state].name);
    forget_job(c, j);
    jt_core_push_work(c, j, now);
    c->slots_changed = true;
}

bool
jt_core_kill(struct jt_core *c, const struct jt_now *now, struct jt_job *j, const char *reason)
{
    if (j->state != JOB_RUNNING)
        return false;
    jt_core_end_job(c, j, JOB_KILLED, reason, now);
    return true;
}

static void
commit_if_done(struct jt_core *c, struct jt_job *j, const struct jt_now *now)
{
    if (j->state != JOB_RUNNING || !jt_job_is_done(j))
        return;
    /* Maps whose output nobody needs any more. */
    for (uint32_t i = 0; j->reduce_count != 0 && i < j->map_count; i++)
        jt_core_kill_attempts(&j->maps[i], now);
    jt_job_set_state(j, JOB_COMMITTING, now);
    if (j->spec->results) {
        jt_core_end_job(c, j, JOB_SUCCEEDED, "", now);
        return;
    }
    jt_store_job_put(c->store, j);
    jt_core_push_work(c, j, now);
}

void
jt_core_resume(struct jt_core *c, struct jt_job *j, const struct jt_now *now)
{
    j->was_loaded = j->is_tried_again = true;
    commit_if_done(c, j, now);
    jt_core_push_work(c, j, now);
}

enum rc
jt_core_submit(struct jt_core *c, const struct jt_now *now, const char *user, const uint8_t *submit_id, JtJobSpec *spec,
               const void *code, size_t code_bytes, struct jt_job **ret, struct why *why)
{
    struct jt_job *j;
    enum rc rc;

    if ((rc = jt_spec_check(spec, why)) != RC_OK || (code != NULL && (rc = jt_keep_digest(spec, code, code_bytes, why)) != RC_OK)) {
        jt_spec_free(spec);
        return rc;
    }
    if ((rc = jt_job_new(jt_store_next_job(c->store), c->created_ms, user, spec, &c->places, now, &j, why)) != RC_OK)
        return rc;
    memcpy(j->submit_id, submit_id, sizeof j->submit_id);
    rng_bytes(c->rng, j->token, sizeof j->token);
    if (code != NULL)
        jt_keep_code(c, spec->code_digest.data, code, code_bytes);
    jt_keep_results_after(c, j, now);
    jt_keep_places(c, j);
    jt_store_job_add(c->store, j);
    add_job(c, j);
    drop_oldest(c);
    log_info("job_submitted", "job=%s user=%s maps=%u reduces=%u", j->id, user, j->map_count, j->reduce_count);
    c->slots_changed = true;
    jt_core_push_work(c, j, now);
    commit_if_done(c, j, now);          /* no map and no reduce: an empty output */
    *ret = j;
    return RC_OK;
}

/* ---- attempts ---- */

static void
tell_reduces(struct jt_job *j, enum jt_order_kind kind, uint32_t map, uint32_t attempt)
{
    for (uint32_t i = 0; i < j->reduce_count; i++) {
        struct jt_attempt *a;

        DL_FOREACH(j->reduces[i].attempts, a) {
            const struct jt_order *last;

            if (a->state != ATTEMPT_RUNNING || !jt_tracker_is_alive(a->tracker))
                continue;
            /* One order a tracker is enough, however many reduces run there. */
            last = a->tracker->orders ? a->tracker->orders->prev : NULL;
            if (last != NULL && last->kind == kind && last->job == j->number && last->index == map &&
                last->attempt == attempt)
                continue;
            jt_order_add(a->tracker, kind, j->number, true, map, attempt);
        }
    }
}

/* The task has to run again unless something of it still runs. */
static void
task_again(struct jt_core *c, struct jt_task *t, const struct jt_now *now)
{
    struct jt_attempt *a;

    if (t->winner != NULL || t->state == TASK_OVER)
        return;
    DL_SEARCH_SCALAR(t->attempts, a, state, ATTEMPT_RUNNING);
    if (a == NULL)
        jt_task_set_state(t, TASK_PENDING, now);
    c->slots_changed = true;
}

/* A winner's output is gone: its map runs again if some reduce may need it. */
static void
lose_output(struct jt_core *c, struct jt_attempt *a, const char *reason, const struct jt_now *now)
{
    struct jt_task *t = a->task;
    struct jt_job *j = t->job;

    if (!t->is_map || j->state != JOB_RUNNING || j->reduce_count == 0 || a->state != ATTEMPT_SUCCEEDED ||
        old_bug(OLD_BUG_LOST_OUTPUT_KEPT))
        return;
    log_info("map_output_lost", "job=%s map=%u attempt=%u reason=%s", j->id, t->index, a->number, reason);
    jt_text_set(&a->text, reason);
    jt_attempt_set_state(a, ATTEMPT_LOST, now);
    jt_store_attempt_put(c->store, a);
    t->lost_reports = 0;
    tell_reduces(j, ORDER_MAP_LOST, t->index, a->number);
    task_again(c, t, now);
}

static void
lose_attempt(struct jt_core *c, struct jt_attempt *a, const char *reason, const struct jt_now *now)
{
    jt_text_set(&a->text, reason);
    jt_attempt_set_state(a, a->state == ATTEMPT_KILLING ? ATTEMPT_KILLED : ATTEMPT_LOST, now);
    jt_store_attempt_put(c->store, a);
    task_again(c, a->task, now);
    jt_core_push_work(c, a->task->job, now);
}

/* Every map output that t held; keep says which it still has. */
static void
lose_outputs_of(struct jt_core *c, struct jt_tracker *t, const TtRegisterRequest *keep, const char *reason,
                const struct jt_now *now)
{
    struct jt_job *j;

    DL_FOREACH(c->jobs, j) {
        if (j->state != JOB_RUNNING || j->reduce_count == 0)
            continue;
        for (uint32_t i = 0; i < j->map_count; i++) {
            struct jt_attempt *a = j->maps[i].winner;
            bool kept = false;

            if (a == NULL || a->tracker != t)
                continue;
            for (size_t k = 0; keep != NULL && k < keep->n_outputs && !kept; k++) {
                const JtAttemptId *id = keep->outputs[k];

                kept = id->job == j->number && id->is_map && id->index == i && id->attempt == a->number;
            }
            if (!kept)
                lose_output(c, a, reason, now);
        }
    }
}

static void
fail_task(struct jt_core *c, struct jt_attempt *a, const struct jt_now *now)
{
    struct jt_task *t = a->task;
    struct jt_job *j = t->job;
    uint32_t max = t->is_map ? j->spec->map_attempts : j->spec->reduce_attempts;
    char text[ATTEMPT_ID_TEXT], *reason;

    log_info("attempt_failed", "attempt=%s tracker=%s failures=%u of=%u", jt_attempt_text(a, text), a->tracker->uuid,
             t->failures, max);
    if (j->state != JOB_RUNNING)
        return;
    if (t->failures < max) {
        task_again(c, t, now);
        return;
    }
    reason = mem_printf("%s %u failed %u times, the last time in %s: %s", t->is_map ? "map" : "reduce", t->index,
                        t->failures, text, a->text ? a->text : "");
    jt_core_end_job(c, j, JOB_FAILED, reason ? reason : "a task failed too often", now);
    mem_free(reason);
}

static struct jt_attempt *
find_attempt(struct jt_core *c, const JtAttemptId *id)
{
    struct jt_job *j = jt_core_find_job(c, id->job);
    struct jt_task *t = j ? jt_task_find(j, id->is_map, id->index) : NULL;

    return t ? jt_attempt_find(t, id->attempt) : NULL;
}

static void
attempt_won(struct jt_attempt *a, const struct jt_now *now)
{
    struct jt_task *t = a->task;
    struct jt_job *j = t->job;

    jt_attempt_set_state(a, ATTEMPT_SUCCEEDED, now);
    jt_task_set_state(t, TASK_DONE, now);
    jt_core_kill_attempts(t, now);
    if (t->is_map && j->reduce_count != 0)
        tell_reduces(j, ORDER_MAP_DONE, t->index, a->number);
}

/* What the task gave back stays with the job, unless that becomes too much. */
static void
keep_result(struct jt_core *c, struct jt_attempt *a, const TtEndedRequest *req, const struct jt_now *now)
{
    char reason[200];

    if (jt_keep_result(c, a, req->result.data, req->has_result ? req->result.len : 0))
        return;
    (void)snprintf(reason, sizeof reason, "the job gives back more than %zu MB: give it an output", (size_t)(JT_RESULTS_MAX / MB));
    jt_core_end_job(c, a->task->job, JOB_FAILED, reason, now);
}

void
jt_core_ended(struct jt_core *c, const struct jt_now *now, struct jt_tracker *t, const TtEndedRequest *req,
              bool *ret_accepted)
{
    struct jt_attempt *a = find_attempt(c, req->id);
    struct jt_job *j;

    *ret_accepted = false;
    if (a == NULL || a->tracker != t)
        return;
    if (!jt_attempt_state_is_live(a->state)) {          /* a repeat */
        *ret_accepted = a->state == ATTEMPT_SUCCEEDED;
        return;
    }
    j = a->task->job;
    c->slots_changed = true;
    jt_counters_set(&a->counters, req->counters, req->n_counters);
    jt_text_set(&a->text, req->reason);
    jt_text_set(&a->log_path, req->log_path);
    a->fraction = 1;
    if (a->state == ATTEMPT_KILLING)
        jt_attempt_set_state(a, ATTEMPT_KILLED, now);
    else if (req->how == TT_ENDED_REQUEST__HOW__SUCCEEDED && j->state == JOB_RUNNING && a->task->winner == NULL) {
        attempt_won(a, now);
        *ret_accepted = true;
        if (j->spec->results && (j->reduce_count == 0 || !a->task->is_map))
            keep_result(c, a, req, now);
    } else
        jt_attempt_set_state(a, req->how == TT_ENDED_REQUEST__HOW__FAILED ? ATTEMPT_FAILED : ATTEMPT_KILLED, now);
    if (a->state != ATTEMPT_SUCCEEDED || !old_bug(OLD_BUG_WINNER_DECIDED_TWICE))
        jt_store_attempt_put(c->store, a);
    if (req->log.len != 0)
        jt_store_log_put(c->store, a, req->log.data, req->log.len);
    if (a->state == ATTEMPT_FAILED)
        fail_task(c, a, now);
    else if (a->state == ATTEMPT_KILLED)
        task_again(c, a->task, now);
    commit_if_done(c, j, now);
    jt_core_push_work(c, j, now);
}

void
jt_core_output_lost(struct jt_core *c, const struct jt_now *now, const TtOutputLostRequest *req)
{
    JtAttemptId id = *req->reduce;
    struct jt_attempt *a;

    id.is_map = true;
    id.index = req->map;
    id.attempt = req->attempt;
    if ((a = find_attempt(c, &id)) == NULL || a->state != ATTEMPT_SUCCEEDED)
        return;
    if (req->gone || ++a->task->lost_reports >= LOST_REPORTS_MAX)
        lose_output(c, a, req->reason, now);
}

void
jt_core_progress(struct jt_core *c, struct jt_tracker *t, TtProgress *const *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct jt_attempt *a = find_attempt(c, rows[i]->id);

        if (a == NULL || a->tracker != t || a->state != ATTEMPT_RUNNING)
            continue;
        a->phase = rows[i]->phase;
        a->fraction = rows[i]->fraction >= 0 && rows[i]->fraction <= 1 ? rows[i]->fraction : 0;
        if (rows[i]->status != NULL)
            jt_text_set(&a->text, rows[i]->status);
        jt_counters_set(&a->counters, rows[i]->counters, rows[i]->n_counters);
        a->task->job->version++;
    }
}

/* ---- trackers ---- */

static void
lose_tracker(struct jt_core *c, struct jt_tracker *t, const char *reason, const struct jt_now *now)
{
    log_info("tracker_lost", "tracker=%s name=%s attempts=%u", t->uuid, t->place ? t->place->name : "",
             t->maps_live + t->reduces_live);
    jt_tracker_set_lost(t);
    while (t->attempts != NULL)
        lose_attempt(c, t->attempts, reason, now);
    lose_outputs_of(c, t, NULL, reason, now);
    c->slots_changed = true;
}

enum rc
jt_core_tracker(struct jt_core *c, const struct jt_now *now, const char *uuid, uint64_t epoch, struct jt_tracker **ret,
                struct why *why)
{
    struct jt_tracker *t = jt_tracker_find(c->trackers, uuid);

    if (t == NULL || !jt_tracker_is_alive(t) || (t->epoch != epoch && !old_bug(OLD_BUG_TRACKER_EPOCH_NOT_COMPARED)))
        return why_set(why, RC_UNREGISTERED, "tracker %s is to register first", uuid);
    t->seen_ms = now->mono_ms;
    *ret = t;
    return RC_OK;
}

/* True when the job is over, or not known: then t is told to forget it. */
static bool
forget_if_over(struct jt_core *c, struct jt_tracker *t, uint64_t job)
{
    const struct jt_job *j = jt_core_find_job(c, job);

    if (j != NULL && !jt_job_state_is_over(j->state))
        return false;
    jt_order_add(t, ORDER_FORGET_JOB, job, false, 0, 0);
    return true;
}

/* What the tracker runs against what it should run. */
static void
reconcile(struct jt_core *c, struct jt_tracker *t, const TtRegisterRequest *req, const struct jt_now *now)
{
    struct jt_attempt *a, *after;

    DL_FOREACH_SAFE2(t->attempts, a, after, tracker_next) {
        bool runs = false;

        for (size_t i = 0; i < req->n_running && !runs; i++)
            runs = find_attempt(c, req->running[i]) == a;
        if (!runs)
            lose_attempt(c, a, "its tracker was restarted", now);
    }
    lose_outputs_of(c, t, req, "its tracker was restarted", now);
    for (size_t i = 0; i < req->n_running; i++) {
        const JtAttemptId *id = req->running[i];

        a = find_attempt(c, id);
        if (a == NULL || a->tracker != t || a->state != ATTEMPT_RUNNING) {
            jt_order_add(t, ORDER_KILL, id->job, id->is_map, id->index, id->attempt);
            forget_if_over(c, t, id->job);      /* it may have missed the job's end */
            continue;
        }
        /* A reduce that goes on may have missed what happened since. */
        for (uint32_t m = 0; !id->is_map && m < a->task->job->map_count; m++)
            if (a->task->job->maps[m].winner != NULL)
                jt_order_add(t, ORDER_MAP_DONE, id->job, true, m, a->task->job->maps[m].winner->number);
    }
    for (size_t i = 0; i < req->n_outputs; i++) {
        const JtAttemptId *id = req->outputs[i];

        if (forget_if_over(c, t, id->job))
            continue;
        if ((a = find_attempt(c, id)) == NULL || (a->state != ATTEMPT_SUCCEEDED && a->state != ATTEMPT_RUNNING))
            jt_order_add(t, ORDER_FORGET_OUTPUT, id->job, true, id->index, id->attempt);
    }
}

enum rc
jt_core_register(struct jt_core *c, const struct jt_now *now, const TtRegisterRequest *req, const char *peer,
                 struct jt_tracker **ret, struct why *why)
{
    const char *host = req->host[0] != '\0' ? req->host : peer;
    struct jt_tracker *t = jt_tracker_find(c->trackers, req->uuid);
    struct jt_place *place;

    if (strlen(req->uuid) != 36 || req->shuffle_port == 0 || req->shuffle_port > 65535)
        return why_set(why, RC_BAD_MESSAGE, "a tracker needs an id and a port");
    if (t == NULL && HASH_COUNT(c->trackers) >= TRACKERS_MAX)
        return why_set(why, RC_BUSY, "%d trackers are known already", TRACKERS_MAX);
    if ((place = jt_place_get(&c->places, req->name[0] != '\0' ? req->name : host, "")) == NULL ||
        (t == NULL && (t = jt_tracker_add(&c->trackers, req->uuid)) == NULL))
        return why_rc(why, RC_NOMEM);
    jt_text_set(&t->host, host);
    jt_text_set(&t->version, req->version);
    jt_text_set(&t->tier, req->tier);
    if (t->host == NULL || t->version == NULL || t->tier == NULL)
        return why_rc(why, RC_NOMEM);
    t->shuffle_port = (uint16_t)req->shuffle_port;
    t->http_port = (uint16_t)req->http_port;
    t->map_slots = req->map_slots;
    t->reduce_slots = req->reduce_slots;
    t->seen_ms = now->mono_ms;
    jt_orders_clear(t);
    t->next_seq = 1;
    jt_tracker_set_alive(t, c->next_epoch++, place);
    jt_store_tracker_put(c->store, t);
    log_info("tracker_registered", "tracker=%s name=%s host=%s port=%u maps=%u reduces=%u tier=%s running=%zu outputs=%zu",
             t->uuid, place->name, t->host, t->shuffle_port, t->map_slots, t->reduce_slots, t->tier, req->n_running,
             req->n_outputs);
    reconcile(c, t, req, now);
    c->slots_changed = true;
    *ret = t;
    return RC_OK;
}

/* ---- time ---- */

void
jt_core_woke(struct jt_core *c, uint64_t ms)
{
    struct jt_tracker *t, *after;

    log_warn("was_not_running", "ms=%" PRIu64 " now=silence_does_not_count", ms);
    HASH_ITER(hh, c->trackers, t, after)
        t->seen_ms += ms;
}

void
jt_core_tick(struct jt_core *c, const struct jt_now *now)
{
    struct jt_tracker *t, *after;
    struct jt_job *j;

    HASH_ITER(hh, c->trackers, t, after)
        if (!t->lost && now->mono_ms >= t->seen_ms + c->dead_tracker_ms)
            lose_tracker(c, t, "its tracker is lost", now);
    if (now->mono_ms < c->again_ms)
        return;                         /* there may be a thousand jobs that are over */
    c->again_ms = FOREVER;
    DL_FOREACH(c->jobs, j)
        if (j->work_again_ms != 0 && now->mono_ms >= j->work_again_ms) {
            j->work_again_ms = 0;       /* whatever it waits for else pushes it */
            jt_core_push_work(c, j, now);
        } else if (j->work_again_ms != 0 && j->work_again_ms < c->again_ms) {
            c->again_ms = j->work_again_ms;
        }
}

uint64_t
jt_core_next_ms(const struct jt_core *c)
{
    const struct jt_tracker *t;
    uint64_t next = c->wake_ms;

    for (t = c->trackers; t != NULL; t = t->hh.next)
        if (!t->lost && t->seen_ms + c->dead_tracker_ms < next)
            next = t->seen_ms + c->dead_tracker_ms;
    return c->again_ms < next ? c->again_ms : next;
}

static struct jt_tracker *
freest(struct jt_core *c, bool is_map)
{
    struct jt_tracker *t, *after, *best = NULL;

    HASH_ITER(hh, c->trackers, t, after)
        if (!t->passed && jt_tracker_free_slots(t, is_map) >
                          (best == NULL ? 0 : jt_tracker_free_slots(best, is_map)))
            best = t;
    return best;
}

static bool
start_attempt(struct jt_core *c, struct jt_tracker *t, const struct jt_choice *choice, const struct jt_now *now)
{
    struct jt_task *task = choice->task;
    struct jt_attempt *a = jt_attempt_add(task, task->next_number, ATTEMPT_RUNNING, t, choice->locality, now->wall_ms);
    char text[ATTEMPT_ID_TEXT];

    if (a == NULL)
        return false;
    jt_task_set_state(task, TASK_RUNNING, now);
    jt_store_attempt_put(c->store, a);
    metric_add(&c->metrics.attempts, 1);
    if (task->is_map)
        metric_add(choice->locality == LOCALITY_NODE ? &c->metrics.maps_local : &c->metrics.maps_remote, 1);
    jt_order_add(t, ORDER_RUN, task->job->number, task->is_map, task->index, a->number);
    log_debug("attempt_assigned", "attempt=%s tracker=%s locality=%s", jt_attempt_text(a, text), t->uuid,
              jt_locality_name(a->locality));
    return true;
}

/* One slot at a time, each time at the tracker with most of them free, until nobody can take anything. */
static void
assign_kind(struct jt_core *c, bool is_map, const struct jt_now *now)
{
    struct jt_tracker *t, *after;
    struct jt_choice choice;

    HASH_ITER(hh, c->trackers, t, after)
        t->passed = false;
    while ((t = freest(c, is_map)) != NULL)
        if (!jt_sched_pick(c->jobs, c->trackers, t, is_map, now->mono_ms, &choice, &c->wake_ms))
            t->passed = true;
        else if (!start_attempt(c, t, &choice, now))
            return;
}

void
jt_core_assign(struct jt_core *c, const struct jt_now *now)
{
    if (!c->slots_changed && now->mono_ms < c->wake_ms)
        return;
    c->slots_changed = false;
    c->wake_ms = FOREVER;
    assign_kind(c, true, now);
    assign_kind(c, false, now);
}
