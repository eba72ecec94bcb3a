#include "jobtracker/keep.h"

#include <openssl/evp.h>
#include <string.h>

#include "core/base/mem.h"

#define CODES_KEPT 64               /* shared objects that no job runs */
#define RESULTS_KEPT_MS (3600 * 1000)
#define KEPT_WAIT_MS 50             /* a task waits for the machine that has its columns, and twice its last time */

enum rc
jt_keep_digest(JtJobSpec *spec, const void *code, size_t n, struct why *why)
{
    uint8_t *digest = mem_alloc(JT_DIGEST_BYTES);

    if (digest == NULL || EVP_Digest(code, n, digest, NULL, EVP_sha256(), NULL) != 1) {
        mem_free(digest);
        return why_rc(why, RC_NOMEM);
    }
    if (spec->has_code_digest)
        mem_free(spec->code_digest.data);
    spec->has_code_digest = true;
    spec->code_digest = (ProtobufCBinaryData){ JT_DIGEST_BYTES, digest };
    return RC_OK;
}

static bool
is_code_used(const struct jt_core *c, const uint8_t *digest)
{
    const struct jt_job *j;

    DL_FOREACH(c->jobs, j)
        if (!j->cleaned && j->spec->has_code_digest && memcmp(j->spec->code_digest.data, digest, JT_DIGEST_BYTES) == 0)
            return true;
    return false;
}

void
jt_keep_code(struct jt_core *c, const uint8_t *digest, const void *code, size_t n)
{
    uint8_t old[JT_DIGEST_BYTES];

    jt_store_code_put(c->store, digest, code, n);
    for (uint32_t newer = CODES_KEPT; jt_store_code_old(c->store, newer, old);)
        if (is_code_used(c, old))
            newer++;
        else
            jt_store_code_drop(c->store, old);
}

static bool
is_same_session(const struct jt_job *a, const struct jt_job *b)
{
    return a->spec->has_session && b->spec->has_session &&
           memcmp(a->spec->session.data, b->spec->session.data, JT_SESSION_BYTES) == 0;
}

static bool
is_same_input(const JtMap *a, const JtMap *b)
{
    if (a->n_splits != b->n_splits)
        return false;
    for (size_t i = 0; i < a->n_splits; i++)
        if (strcmp(a->splits[i]->path, b->splits[i]->path) != 0 || a->splits[i]->start != b->splits[i]->start ||
            a->splits[i]->bytes != b->splits[i]->bytes)
            return false;
    return true;
}

void
jt_keep_places(const struct jt_core *c, struct jt_job *next)
{
    const struct jt_job *j, *last = NULL;
    uint64_t most = next->spec->locality_wait_ms;

    DL_FOREACH(c->jobs, j)
        if (j != next && j->state == JOB_SUCCEEDED && is_same_session(j, next) && j->map_count == next->map_count &&
            (last == NULL || j->number > last->number))
            last = j;
    for (uint32_t i = 0; last != NULL && i < next->map_count; i++) {
        const struct jt_attempt *won = last->maps[i].winner;
        struct jt_task *t = &next->maps[i];

        if (won == NULL || won->tracker == NULL || !is_same_input(last->spec->maps[i], next->spec->maps[i]))
            continue;
        t->kept = won->tracker->place;
        t->kept_wait_ms = 2 * (won->ended_ms - won->started_ms) + KEPT_WAIT_MS;
        if (t->kept_wait_ms > most)
            t->kept_wait_ms = most;
    }
}

void
jt_keep_results_after(struct jt_core *c, const struct jt_job *next, const struct jt_now *now)
{
    struct jt_job *j;

    DL_FOREACH(c->jobs, j) {
        if (!j->spec->results || j->results_dropped || !jt_job_state_is_over(j->state) ||
            (!is_same_session(j, next) && now->wall_ms < j->finished_ms + RESULTS_KEPT_MS))
            continue;
        j->results_dropped = true;
        jt_store_results_drop(c->store, j->number);
    }
}

bool
jt_keep_result(struct jt_core *c, const struct jt_attempt *a, const void *p, size_t n)
{
    uint64_t job = a->task->job->number;

    jt_store_result_put(c->store, a, p, n);
    if (jt_store_result_bytes(c->store, job) <= JT_RESULTS_MAX)
        return true;
    jt_store_results_drop(c->store, job);
    return false;
}
