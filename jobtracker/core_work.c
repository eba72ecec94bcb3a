/* What a job needs done in the filesystem: made ready, put in place, cleaned up. */
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "jobtracker/core.h"

#define AGAIN_MS 1000
#define CLEAN_AGAIN_MS 30000
#define LATE_MS 60000       /* a call of a JobTracker that died may come so late, and make the work directory anew */
#define TRIES_MAX 100               /* of what failed for a reason that may pass, or may not */

void
jt_work_free(struct jt_work *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; w->parts != NULL && i < w->part_count; i++)
        mem_free(w->parts[i]);
    mem_free(w->parts);
    mem_free(w->more);
    mem_free(w->user);
    mem_free(w->work);
    mem_free(w->output);
    mem_free(w);
}

static struct jt_work *
work_new(enum jt_work_kind kind, const struct jt_job *j)
{
    struct jt_work *w = mem_zalloc(sizeof *w);
    struct jt_task *tasks = j->reduce_count != 0 ? j->reduces : j->maps;
    uint32_t n = j->reduce_count != 0 ? j->reduce_count : j->map_count;

    if (w == NULL)
        return NULL;
    w->kind = kind;
    w->job = j->number;
    memcpy(w->id, j->id, sizeof w->id);
    w->user = mem_strdup(j->user);
    w->work = mem_strdup(j->work);
    w->output = mem_strdup(j->spec->output);
    w->umask = j->spec->umask;
    w->kind_letter = j->reduce_count != 0 ? 'r' : 'm';
    w->is_first = !j->is_tried_again && (kind != WORK_COMMIT || j->marked);
    if (w->user == NULL || w->work == NULL || w->output == NULL)
        goto out;
    if (kind != WORK_COMMIT)
        return w;
    if ((w->parts = mem_calloc((size_t)n + 1, sizeof *w->parts)) == NULL ||
        (w->more = mem_calloc((size_t)n + 1, sizeof *w->more)) == NULL)
        goto out;
    for (uint32_t i = 0; i < n; i++) {
        char text[ATTEMPT_ID_TEXT];

        if ((w->parts[i] = mem_strdup(jt_attempt_text(tasks[i].winner, text))) == NULL)
            goto out;
        w->more[i] = jt_counters_get(&tasks[i].winner->counters, "NAMED_OUTPUTS") > 0;
        w->part_count++;
    }
    return w;
out:
    jt_work_free(w);
    return NULL;
}

static void
again_at(struct jt_core *c, struct jt_job *j, uint64_t ms)
{
    j->work_again_ms = ms;
    if (ms < c->again_ms)
        c->again_ms = ms;
}

static bool
push(struct jt_core *c, struct jt_job *j, enum jt_work_kind kind, const struct jt_now *now)
{
    struct jt_work *w = work_new(kind, j);

    j->work_again_ms = 0;
    if (w != NULL)
        LL_APPEND(c->works, w);
    else
        again_at(c, j, now->mono_ms + AGAIN_MS);
    return w != NULL;
}

void
jt_core_push_work(struct jt_core *c, struct jt_job *j, const struct jt_now *now)
{
    bool over = jt_job_state_is_over(j->state);

    if (over && !j->cleaned && j->live_count == 0 && j->spec->results) {
        j->cleaned = true;              /* it has nothing in the filesystem */
        jt_store_job_put(c->store, j);
    }
    if (j->preparing || j->marking || j->committing || j->cleaning || j->spec->results)
        return;
    if (j->state == JOB_RUNNING && !j->prepared)
        j->preparing = push(c, j, WORK_PREPARE, now);
    else if (j->state == JOB_RUNNING && !j->marked)
        j->marking = push(c, j, WORK_MARK, now);
    else if (j->state == JOB_COMMITTING)
        j->committing = push(c, j, WORK_COMMIT, now);
    else if (over && !j->cleaned && j->live_count == 0 && now->mono_ms >= j->work_again_ms)
        j->cleaning = push(c, j, WORK_CLEAN, now);
}

/* A person has to do something before it can go well. */
static bool
is_final(enum rc rc)
{
    return rc == RC_DENIED || rc == RC_EXISTS || rc == RC_NOT_FOUND || rc == RC_PARENT_NOT_DIR || rc == RC_NOT_DIR ||
           rc == RC_BAD_PATH || rc == RC_NS_QUOTA || rc == RC_DS_QUOTA || rc == RC_NAME_TOO_LONG || rc == RC_DIR_FULL ||
           rc == RC_BUG;
}

/* Work on the job's output failed: try it again, or give the job up. */
static void
failed(struct jt_core *c, struct jt_job *j, const char *what, enum rc rc, const struct why *why, const struct jt_now *now)
{
    char *reason;

    if (!is_final(rc) && (rc_retry(rc) != RETRY_NEVER || ++j->work_tries < TRIES_MAX)) {
        log_warn("output_work_failed", "job=%s what=%s rc=%s next_try_ms=%d why=%s", j->id, what, rc_name(rc), AGAIN_MS,
                 why->text);
        again_at(c, j, now->mono_ms + AGAIN_MS);
        return;
    }
    reason = mem_printf("the output could not be %s: %s", what, why->text);
    jt_core_end_job(c, j, JOB_FAILED, reason ? reason : "the output could not be made", now);
    mem_free(reason);
}

/* What went out early comes back, and counts for nothing: it has no place to write to, and goes out again when it has. */
static void
take_back(struct jt_core *c, struct jt_job *j, const struct jt_now *now)
{
    bool is_map = j->reduce_count == 0;
    struct jt_task *tasks = is_map ? j->maps : j->reduces;
    uint32_t n = is_map ? j->map_count : j->reduce_count;

    for (uint32_t i = 0; i < n; i++)
        jt_core_kill_attempts(&tasks[i], now);
    c->slots_changed = true;
}

void
jt_core_prepared(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc, const struct why *why)
{
    struct jt_job *j = jt_core_find_job(c, job);

    if (j == NULL)
        return;
    j->preparing = false;
    j->prepared = rc == RC_OK;
    c->slots_changed = true;
    j->is_tried_again = j->is_tried_again || rc != RC_OK;
    if (rc != RC_OK && j->state == JOB_RUNNING) {
        failed(c, j, "prepared", rc, why, now);
        if (j->state == JOB_RUNNING)
            take_back(c, j, now);
    } else
        jt_core_push_work(c, j, now);
}

void
jt_core_marked(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc)
{
    struct jt_job *j = jt_core_find_job(c, job);

    if (j == NULL)
        return;
    j->marking = false;
    j->marked = true;
    j->is_tried_again = j->is_tried_again || rc != RC_OK;
    jt_core_push_work(c, j, now);
}

void
jt_core_committed(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc, const struct why *why)
{
    struct jt_job *j = jt_core_find_job(c, job);

    if (j == NULL || j->state != JOB_COMMITTING)
        return;
    j->committing = false;
    j->is_tried_again = j->is_tried_again || rc != RC_OK;
    if (rc == RC_OK)
        jt_core_end_job(c, j, JOB_SUCCEEDED, "", now);
    else
        failed(c, j, "put in place", rc, why, now);
}

void
jt_core_cleaned(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc)
{
    struct jt_job *j = jt_core_find_job(c, job);

    if (j == NULL)
        return;
    j->cleaning = false;
    if (rc != RC_OK && !is_final(rc)) {
        again_at(c, j, now->mono_ms + CLEAN_AGAIN_MS);
        return;
    }
    if (j->was_loaded && !j->was_cleaned) {
        j->was_cleaned = true;
        again_at(c, j, now->mono_ms + LATE_MS);
        return;
    }
    j->cleaned = true;
    jt_store_job_put(c->store, j);
}

struct jt_work *
jt_core_take_work(struct jt_core *c)
{
    struct jt_work *w = c->works;

    c->works = NULL;
    return w;
}
