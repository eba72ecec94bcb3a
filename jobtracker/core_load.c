#include "jobtracker/core.h"

#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"

#define ENDED_JOBS_LOADED 1000

struct loading {
    struct jt_core *core;
    const struct jt_now *now;
    struct jt_job *job;         /* the last one */
};

static enum rc
load_tracker(void *arg, const char *uuid, const char *name, const char *host, uint16_t shuffle_port, struct why *why)
{
    struct loading *l = arg;
    struct jt_tracker *t = jt_tracker_add(&l->core->trackers, uuid);

    if (t == NULL || (t->place = jt_place_get(&l->core->places, name, "")) == NULL)
        return why_rc(why, RC_NOMEM);
    jt_text_set(&t->host, host);
    jt_text_set(&t->version, "");
    jt_text_set(&t->tier, "");
    if (t->host == NULL || t->version == NULL || t->tier == NULL)
        return why_rc(why, RC_NOMEM);
    t->shuffle_port = shuffle_port;
    t->lost = false;            /* it has as long to come back as one that fell silent */
    t->seen_ms = l->now->mono_ms;
    return RC_OK;
}

static enum rc
load_job(void *arg, const struct jt_job *row, JtJobSpec *spec, struct why *why)
{
    struct loading *l = arg;
    struct jt_core *c = l->core;
    struct jt_job *j;
    enum rc rc;

    if ((rc = jt_job_new(row->number, c->created_ms, row->user, spec, &c->places, l->now, &j, why)) != RC_OK)
        return rc;
    j->state = row->state;
    j->cleaned = row->cleaned;
    j->submitted_ms = row->submitted_ms;
    j->finished_ms = row->finished_ms;
    jt_text_set(&j->reason, row->reason);
    memcpy(j->submit_id, row->submit_id, sizeof j->submit_id);
    memcpy(j->token, row->token, sizeof j->token);
    HASH_ADD(hh, c->by_number, number, sizeof j->number, j);
    DL_INSERT_INORDER(c->jobs, j, jt_job_order);
    l->job = j;
    return RC_OK;
}

static void
count_loaded(struct jt_attempt *a, const struct jt_now *now)
{
    struct jt_task *t = a->task;

    switch ((enum jt_attempt_state)a->state) {
    case ATTEMPT_RUNNING:
    case ATTEMPT_KILLING:
        if (t->state == TASK_PENDING)
            jt_task_set_state(t, TASK_RUNNING, now);
        break;
    case ATTEMPT_SUCCEEDED:
        t->winner = t->last_won = a;
        jt_task_set_state(t, TASK_DONE, now);
        break;
    case ATTEMPT_FAILED:
        t->failures++;
        t->job->failed[t->is_map]++;
        jt_job_blame(t->job, a->tracker);
        if (t->job->first_failure == NULL)
            t->job->first_failure = a;
        break;
    case ATTEMPT_KILLED:
    case ATTEMPT_LOST:
        t->job->killed[t->is_map]++;
        break;
    }
}

static enum rc
load_attempt(void *arg, const struct jt_attempt_id *id, const struct jt_attempt *row, const char *tracker, struct why *why)
{
    struct loading *l = arg;
    struct jt_task *task = jt_task_find(l->job, id->is_map, id->index);
    struct jt_tracker *t = jt_tracker_find(l->core->trackers, tracker);
    unsigned state = row->state;
    struct jt_attempt *a;

    if (task == NULL || t == NULL)
        return why_set(why, RC_CORRUPT, "an attempt in the database has no task or no tracker");
    if (state == ATTEMPT_RUNNING && (jt_job_state_is_over(l->job->state) || task->winner != NULL))
        state = ATTEMPT_KILLING;        /* its tracker is told so when it registers */
    if ((a = jt_attempt_add(task, id->attempt, state, t, row->locality, row->started_ms)) == NULL)
        return why_rc(why, RC_NOMEM);
    a->ended_ms = row->ended_ms;
    jt_text_set(&a->text, row->text);
    jt_text_set(&a->log_path, row->log_path);
    jt_counters_add(&a->counters, &row->counters);
    count_loaded(a, l->now);
    return RC_OK;
}

enum rc
jt_core_init(struct jt_core *c, struct jt_store *store, struct rng *rng, uint64_t dead_tracker_ms,
             const struct jt_now *now, struct why *why)
{
    struct loading l = { c, now, NULL };
    struct jt_loader loader = { &l, load_tracker, load_job, load_attempt };
    struct jt_job *j;
    enum rc rc;

    memset(c, 0, sizeof *c);
    c->store = store;
    c->rng = rng;
    c->created_ms = jt_store_created_ms(store);
    c->dead_tracker_ms = dead_tracker_ms;
    c->slots_changed = true;
    c->next_epoch = now->wall_ms;       /* never one of a run before */
    if ((rc = jt_store_load(store, &loader, ENDED_JOBS_LOADED, why)) != RC_OK)
        return rc;
    DL_FOREACH(c->jobs, j) {
        for (uint32_t i = 0; jt_job_state_is_over(j->state) && i < j->map_count; i++)
            if (j->maps[i].state != TASK_DONE)
                jt_task_set_state(&j->maps[i], TASK_OVER, now);
        for (uint32_t i = 0; jt_job_state_is_over(j->state) && i < j->reduce_count; i++)
            if (j->reduces[i].state != TASK_DONE)
                jt_task_set_state(&j->reduces[i], TASK_OVER, now);
        jt_core_resume(c, j, now);
        if (!jt_job_state_is_over(j->state))
            log_info("job_resumed", "job=%s state=%s maps=%u/%u reduces=%u/%u", j->id, jt_job_states[j->state].name,
                     j->maps_done, j->map_count, j->reduces_done, j->reduce_count);
    }
    return RC_OK;
}

void
jt_core_fini(struct jt_core *c)
{
    struct jt_job *j, *after;
    struct jt_work *w;

    DL_FOREACH_SAFE(c->jobs, j, after) {
        HASH_DEL(c->by_number, j);
        DL_DELETE(c->jobs, j);
        jt_job_free(j);
    }
    while ((w = c->works) != NULL) {
        c->works = w->next;
        jt_work_free(w);
    }
    jt_trackers_free(&c->trackers);
    jt_places_free(&c->places);
    jt_store_close(c->store);
    c->store = NULL;
}
