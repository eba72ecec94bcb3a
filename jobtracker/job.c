#include "jobtracker/job.h"

#include <math.h>
#include <string.h>

#include "core/base/mem.h"

#define MAPS_MAX 1000000
#define SIDES_MAX 100
#define SIDE_DATA_MAX (1 * MB)
#define REDUCES_MAX 100000
#define COUNTERS_MAX 1000

static void *
heap_alloc(void *arg UNUSED, size_t n)
{
    return mem_alloc(n);
}

static void
heap_free(void *arg UNUSED, void *p)
{
    mem_free(p);
}

enum rc
jt_spec_unpack(const void *p, size_t n, JtJobSpec **ret, struct why *why)
{
    ProtobufCAllocator heap = { heap_alloc, heap_free, NULL };
    JtJobSpec *spec = jt_job_spec__unpack(&heap, n, p);

    if (spec == NULL)
        return why_set(why, RC_BAD_MESSAGE, "the job's description cannot be decoded");
    *ret = spec;
    return RC_OK;
}

void
jt_spec_free(JtJobSpec *spec)
{
    ProtobufCAllocator heap = { heap_alloc, heap_free, NULL };

    if (spec != NULL)
        jt_job_spec__free_unpacked(spec, &heap);
}

static enum rc
check_sides(const JtJobSpec *spec, struct why *why)
{
    size_t bytes = 0;

    for (size_t i = 0; i < spec->n_sides; i++) {
        const JtSide *s = spec->sides[i];

        if (s->path != NULL && s->path[0] != '/')
            return why_set(why, RC_BAD_JOB, "side file \"%s\" is no absolute path", s->path);
        bytes += s->has_data ? s->data.len : 0;
    }
    if (spec->n_sides > SIDES_MAX || bytes > SIDE_DATA_MAX)
        return why_set(why, RC_BAD_JOB, "%zu side files with %zu bytes of data: at most %d with 1 MB; write large ones to the "
                       "filesystem", spec->n_sides, bytes, SIDES_MAX);
    return RC_OK;
}

enum rc
jt_spec_check(const JtJobSpec *spec, struct why *why)
{
    size_t n = strlen(spec->output);
    enum rc rc;

    if (spec->n_maps > MAPS_MAX || spec->reduces > REDUCES_MAX)
        return why_set(why, RC_BAD_JOB, "%zu maps and %u reduces: at most %d and %d", spec->n_maps, spec->reduces,
                       MAPS_MAX, REDUCES_MAX);
    if (spec->map_attempts == 0 || spec->reduce_attempts == 0)
        return why_set(why, RC_BAD_JOB, "a task needs at least one attempt");
    if (spec->results ? n != 0 : n < 2 || spec->output[0] != '/' || spec->output[n - 1] == '/' || strstr(spec->output, "//") != NULL)
        return why_set(why, RC_BAD_JOB, "the output must be an absolute path below the root, not \"%s\"", spec->output);
    if ((spec->has_code_digest && spec->code_digest.len != JT_DIGEST_BYTES) ||
        (spec->has_session && spec->session.len != JT_SESSION_BYTES))
        return why_set(why, RC_BAD_JOB, "a digest or a session of the wrong length");
    if ((rc = check_sides(spec, why)) != RC_OK)
        return rc;
    if (spec->umask > 0777)
        return why_set(why, RC_BAD_JOB, "%o is no umask", spec->umask);
    if (!(spec->slowstart >= 0 && spec->slowstart <= 1))
        return why_set(why, RC_BAD_JOB, "the share of maps before reduces start must be 0 to 1");
    for (size_t i = 0; i < spec->n_maps; i++)
        if (spec->maps[i]->n_splits == 0 || spec->maps[i]->n_hosts != spec->maps[i]->n_racks)
            return why_set(why, RC_BAD_JOB, "map %zu has no split, or hosts without racks", i);
    return RC_OK;
}

/* "/a/b" and job_1: "/a/.b.job_1", beside the output, so that one rename moves it. */
static char *
work_path(const char *output, const char *id)
{
    const char *base = strrchr(output, '/');

    if (base++ == NULL)
        return mem_strdup("");          /* a job with results */
    return mem_printf("%.*s.%s.%s", (int)(base - output), output, base, id);
}

static enum rc
tasks_init(struct jt_job *j, struct jt_place **places, const struct jt_now *now)
{
    size_t homes = 0, at = 0;

    for (size_t i = 0; i < j->map_count; i++)
        homes += j->spec->maps[i]->n_hosts;
    if ((j->maps = mem_calloc(j->map_count + 1, sizeof *j->maps)) == NULL ||
        (j->reduces = mem_calloc(j->reduce_count + 1, sizeof *j->reduces)) == NULL ||
        (j->homes = mem_calloc(homes + 1, sizeof *j->homes)) == NULL)
        return RC_NOMEM;
    for (uint32_t i = 0; i < j->map_count; i++) {
        const JtMap *m = j->spec->maps[i];
        struct jt_task *t = &j->maps[i];

        t->job = j;
        t->is_map = true;
        t->index = i;
        t->pending_ms = now->mono_ms;
        t->homes = &j->homes[at];
        for (size_t k = 0; k < m->n_hosts; k++) {
            if ((j->homes[at] = jt_place_get(places, m->hosts[k], m->racks[k])) == NULL)
                return RC_NOMEM;
            at++;
        }
        t->home_count = m->n_hosts;
        DL_APPEND(j->pending_maps, t);
    }
    for (uint32_t i = 0; i < j->reduce_count; i++) {
        struct jt_task *t = &j->reduces[i];

        t->job = j;
        t->index = i;
        t->pending_ms = now->mono_ms;
        DL_APPEND(j->pending_reduces, t);
    }
    return RC_OK;
}

enum rc
jt_job_new(uint64_t number, uint64_t created_ms, const char *user, JtJobSpec *spec, struct jt_place **places,
           const struct jt_now *now, struct jt_job **ret, struct why *why)
{
    struct jt_job *j = mem_zalloc(sizeof *j);
    enum rc rc = RC_NOMEM;

    if (j == NULL) {
        jt_spec_free(spec);
        return why_rc(why, RC_NOMEM);
    }
    j->spec = spec;
    j->number = number;
    j->submitted_ms = now->wall_ms;
    j->version = 1;
    (void)job_id_text(created_ms, number, j->id);
    j->map_count = (uint32_t)spec->n_maps;
    j->reduce_count = spec->reduces;
    if ((j->user = mem_strdup(user)) == NULL || (j->reason = mem_strdup("")) == NULL ||
        (j->work = work_path(spec->output, j->id)) == NULL || (rc = tasks_init(j, places, now)) != RC_OK) {
        jt_job_free(j);
        return why_rc(why, rc);
    }
    *ret = j;
    return RC_OK;
}

static void
attempt_free(struct jt_attempt *a)
{
    if (jt_attempt_state_is_live(a->state) && a->tracker != NULL) {
        DL_DELETE2(a->tracker->attempts, a, tracker_prev, tracker_next);
        if (a->task->is_map)
            a->tracker->maps_live--;
        else
            a->tracker->reduces_live--;
    }
    mem_free(a->text);
    mem_free(a->log_path);
    jt_counters_fini(&a->counters);
    mem_free(a);
}

static void
tasks_fini(struct jt_task *tasks, uint32_t n)
{
    for (uint32_t i = 0; tasks != NULL && i < n; i++) {
        struct jt_attempt *a, *after;

        DL_FOREACH_SAFE(tasks[i].attempts, a, after)
            attempt_free(a);
    }
    mem_free(tasks);
}

void
jt_job_free(struct jt_job *j)
{
    if (j == NULL)
        return;
    tasks_fini(j->maps, j->map_count);
    tasks_fini(j->reduces, j->reduce_count);
    mem_free(j->homes);
    mem_free(j->blames);
    mem_free(j->user);
    mem_free(j->work);
    mem_free(j->reason);
    jt_spec_free(j->spec);
    mem_free(j);
}

struct jt_task *
jt_task_find(struct jt_job *j, bool is_map, uint32_t index)
{
    if (index >= (is_map ? j->map_count : j->reduce_count))
        return NULL;
    return is_map ? &j->maps[index] : &j->reduces[index];
}

struct jt_attempt *
jt_attempt_find(struct jt_task *t, uint32_t number)
{
    struct jt_attempt *a;

    DL_SEARCH_SCALAR(t->attempts, a, number, number);
    return a;
}

struct jt_attempt *
jt_attempt_add(struct jt_task *t, uint32_t number, unsigned state, struct jt_tracker *tracker,
               enum jt_locality locality, uint64_t started_ms)
{
    struct jt_attempt *a = mem_zalloc(sizeof *a);
    struct jt_job *j = t->job;

    if (a == NULL)
        return NULL;
    a->task = t;
    a->number = number;
    a->state = state;
    a->tracker = tracker;
    a->locality = locality;
    a->started_ms = started_ms;
    DL_APPEND(t->attempts, a);
    if (number >= t->next_number)
        t->next_number = number + 1;
    j->launched[t->is_map]++;
    if (locality != LOCALITY_NONE)
        j->local[locality]++;
    if (jt_attempt_state_is_live(state)) {
        DL_APPEND2(tracker->attempts, a, tracker_prev, tracker_next);
        j->live_count++;
        if (t->is_map)
            tracker->maps_live++;
        else
            tracker->reduces_live++;
    }
    return a;
}

void
jt_task_set_state(struct jt_task *t, unsigned state, const struct jt_now *now)
{
    struct jt_job *j = t->job;
    struct jt_task **pending = t->is_map ? &j->pending_maps : &j->pending_reduces;
    uint32_t *done = t->is_map ? &j->maps_done : &j->reduces_done;

    if (t->state == state)
        return;
    if (t->state == TASK_PENDING)
        DL_DELETE(*pending, t);
    if (t->state == TASK_DONE && state != TASK_OVER)
        (*done)--;
    sm_move(jt_task_states, &t->state, state, t->is_map ? "map" : "reduce", t->index);
    if (state == TASK_PENDING) {
        t->pending_ms = now->mono_ms;
        DL_PREPEND(*pending, t);        /* a task that was begun goes first: others may wait for it */
    }
    if (state == TASK_DONE)
        (*done)++;
    j->version++;
}

void
jt_attempt_set_state(struct jt_attempt *a, unsigned state, const struct jt_now *now)
{
    struct jt_task *t = a->task;
    struct jt_job *j = t->job;
    bool was_live = jt_attempt_state_is_live(a->state);

    sm_move(jt_attempt_states, &a->state, state, t->is_map ? "map_attempt" : "reduce_attempt", t->index);
    if (was_live && !jt_attempt_state_is_live(state)) {
        DL_DELETE2(a->tracker->attempts, a, tracker_prev, tracker_next);
        j->live_count--;
        if (t->is_map)
            a->tracker->maps_live--;
        else
            a->tracker->reduces_live--;
        a->ended_ms = now->wall_ms;
    }
    if (state == ATTEMPT_SUCCEEDED)
        t->winner = t->last_won = a;
    else if (t->winner == a)
        t->winner = NULL;
    if (state == ATTEMPT_FAILED) {
        t->failures++;
        j->failed[t->is_map]++;
        a->tracker->failures++;
        jt_job_blame(j, a->tracker);
        if (j->first_failure == NULL)
            j->first_failure = a;
    }
    if (state == ATTEMPT_KILLED || state == ATTEMPT_LOST)
        j->killed[t->is_map]++;
    j->version++;
}

void
jt_job_set_state(struct jt_job *j, unsigned state, const struct jt_now *now)
{
    sm_move(jt_job_states, &j->state, state, "job", j->number);
    if (jt_job_state_is_over(state)) {
        j->finished_ms = now->wall_ms;
        for (uint32_t i = 0; i < j->map_count; i++)
            if (j->maps[i].state != TASK_DONE)
                jt_task_set_state(&j->maps[i], TASK_OVER, now);
        for (uint32_t i = 0; i < j->reduce_count; i++)
            if (j->reduces[i].state != TASK_DONE)
                jt_task_set_state(&j->reduces[i], TASK_OVER, now);
    }
    j->version++;
}

uint32_t
jt_job_failures_on(const struct jt_job *j, const struct jt_tracker *t)
{
    for (size_t i = 0; i < j->blame_count; i++)
        if (j->blames[i].tracker == t)
            return j->blames[i].failures;
    return 0;
}

void
jt_job_blame(struct jt_job *j, const struct jt_tracker *t)
{
    size_t i = 0;

    while (i < j->blame_count && j->blames[i].tracker != t)
        i++;
    if (i == j->blame_cap) {
        size_t cap = j->blame_cap ? 2 * j->blame_cap : 8;
        struct jt_blame *blames = mem_realloc(j->blames, cap * sizeof *blames);

        if (blames == NULL)
            return;                 /* it is tried once more than it deserves */
        j->blames = blames;
        j->blame_cap = cap;
    }
    if (i == j->blame_count)
        j->blames[j->blame_count++] = (struct jt_blame){ t, 0 };
    j->blames[i].failures++;
}

bool
jt_job_reduces_may_start(const struct jt_job *j)
{
    return j->maps_done >= (uint32_t)ceil(j->spec->slowstart * (double)j->map_count);
}

bool
jt_job_is_done(const struct jt_job *j)
{
    return j->reduce_count == 0 ? j->maps_done == j->map_count : j->reduces_done == j->reduce_count;
}

bool
jt_job_writes_output(const struct jt_job *j, bool is_map)
{
    return !j->spec->results && (!is_map || j->reduce_count == 0);
}

const char *
jt_attempt_text(const struct jt_attempt *a, char out[ATTEMPT_ID_TEXT])
{
    return attempt_id_text(a->task->job->id, a->task->is_map, a->task->index, a->number, out);
}

void
jt_text_set(char **text, const char *to)
{
    char *fresh = mem_strdup(to);

    if (fresh != NULL) {
        mem_free(*text);
        *text = fresh;
    }
}

static struct jt_counter *
counter_get(struct jt_counters *c, const char *name, bool user)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->rows[i].user == user && strcmp(c->rows[i].name, name) == 0)
            return &c->rows[i];
    if (c->n == COUNTERS_MAX)
        return NULL;
    if (!mem_room(&c->rows, c->n, &c->cap, sizeof *c->rows))
        return NULL;
    if ((c->rows[c->n].name = mem_strdup(name)) == NULL)
        return NULL;
    c->rows[c->n].value = 0;
    c->rows[c->n].user = user;
    return &c->rows[c->n++];
}

void
jt_counters_set(struct jt_counters *c, JtCounter *const *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct jt_counter *row = counter_get(c, rows[i]->name, rows[i]->user);

        if (row != NULL)
            row->value = rows[i]->value;
    }
}

void
jt_counters_add(struct jt_counters *to, const struct jt_counters *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct jt_counter *f = &from->rows[i];
        struct jt_counter *row = counter_get(to, f->name, f->user);

        if (row == NULL)
            continue;
        if (!f->user && strcmp(f->name, "PEAK_MEMORY_BYTES") == 0)
            row->value = row->value > f->value ? row->value : f->value;
        else if (__builtin_add_overflow(row->value, f->value, &row->value))
            row->value = f->value > 0 ? INT64_MAX : INT64_MIN;
    }
}

int64_t
jt_counters_get(const struct jt_counters *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!c->rows[i].user && strcmp(c->rows[i].name, name) == 0)
            return c->rows[i].value;
    return 0;
}

void
jt_counters_fini(struct jt_counters *c)
{
    for (size_t i = 0; i < c->n; i++)
        mem_free(c->rows[i].name);
    mem_free(c->rows);
    memset(c, 0, sizeof *c);
}

void
jt_job_counters(const struct jt_job *j, struct jt_counters *ret)
{
    for (uint32_t i = 0; i < j->map_count + j->reduce_count; i++) {
        const struct jt_task *t = i < j->map_count ? &j->maps[i] : &j->reduces[i - j->map_count];
        const struct jt_attempt *a = t->winner;

        if (a == NULL)
            DL_SEARCH_SCALAR(t->attempts, a, state, ATTEMPT_RUNNING);
        if (a == NULL)
            a = t->last_won;
        if (a != NULL)
            jt_counters_add(ret, &a->counters);
    }
}

/* libmr/task.h's enum mr_phase, as numbers on the wire. */
enum { PHASE_MAP, PHASE_SORT, PHASE_SHUFFLE, PHASE_MERGE, PHASE_REDUCE, PHASE_OUTPUT };

void
jt_job_fractions(const struct jt_job *j, struct jt_fractions *ret)
{
    const struct jt_attempt *a;

    memset(ret, 0, sizeof *ret);
    for (uint32_t i = 0; i < j->map_count; i++)
        DL_FOREACH(j->maps[i].attempts, a)
            if (a->state == ATTEMPT_RUNNING) {
                ret->maps_running++;
                ret->map += a->phase == PHASE_MAP ? a->fraction : 1;
            }
    for (uint32_t i = 0; i < j->reduce_count; i++)
        DL_FOREACH(j->reduces[i].attempts, a)
            if (a->state == ATTEMPT_RUNNING) {
                ret->reduces_running++;
                ret->shuffle += a->phase > PHASE_SHUFFLE ? 1 : a->phase == PHASE_SHUFFLE ? a->fraction : 0;
                ret->sort += a->phase > PHASE_MERGE ? 1 : a->phase == PHASE_MERGE ? a->fraction : 0;
                ret->reduce += a->phase == PHASE_OUTPUT ? 1 : a->phase == PHASE_REDUCE ? a->fraction : 0;
            }
    ret->map = j->map_count ? (ret->map + j->maps_done) / j->map_count : 1;
    if (j->reduce_count != 0) {
        ret->shuffle = (ret->shuffle + j->reduces_done) / j->reduce_count;
        ret->sort = (ret->sort + j->reduces_done) / j->reduce_count;
        ret->reduce = (ret->reduce + j->reduces_done) / j->reduce_count;
    }
}
