/*
 * store -- jobs, attempts and trackers in SQLite.
 *
 * Owns: the tables (docs/formats/jobtracker.md) and the statements.  Core thread
 * only.  Writes report nothing: the first that fails is kept in `broken`, and
 * jt_store_commit returns it.  After that the state on disk is unknown to this
 * process: it answers nobody and ends; a restart begins at the last commit.
 */
#ifndef JOBTRACKER_STORE_H
#define JOBTRACKER_STORE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "core/base/rc.h"
#include "jobtracker/job.h"

struct jt_store;

/* Makes the tables if they are missing; created_ms names this JobTracker's jobs.  Takes db on success. */
enum rc jt_store_open(sqlite3 *db, uint64_t now_wall_ms, struct jt_store **ret, struct why *why) MUST_CHECK;
void jt_store_close(struct jt_store *s);
uint64_t jt_store_created_ms(const struct jt_store *s);

void jt_store_begin(struct jt_store *s);        /* nothing if a transaction is open */
enum rc jt_store_commit(struct jt_store *s, struct why *why) MUST_CHECK;       /* what began, if anything did */

uint64_t jt_store_next_job(struct jt_store *s);
void jt_store_job_add(struct jt_store *s, const struct jt_job *j);
void jt_store_job_put(struct jt_store *s, const struct jt_job *j);      /* state, times, reason, cleaned */
void jt_store_job_drop(struct jt_store *s, uint64_t job);      /* everything of it */

/* Shared objects, by their SHA-256. */
void jt_store_code_put(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES], const void *code, size_t n);
bool jt_store_code_has(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES]);
/* On the heap; RC_NOT_FOUND. */
enum rc jt_store_code(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES], uint8_t **ret, size_t *ret_n,
                      struct why *why) MUST_CHECK;
/* The digest of one that has `newer` ones after it; false: there is none. */
bool jt_store_code_old(struct jt_store *s, uint32_t newer, uint8_t ret[JT_DIGEST_BYTES]);
void jt_store_code_drop(struct jt_store *s, const uint8_t digest[JT_DIGEST_BYTES]);

/* What the last tasks of a job with results gave back. */
void jt_store_result_put(struct jt_store *s, const struct jt_attempt *a, const void *p, size_t n);
uint64_t jt_store_result_bytes(struct jt_store *s, uint64_t job);
void jt_store_results_drop(struct jt_store *s, uint64_t job);
/* Each task's, in their order, borrowed for the call. */
enum rc jt_store_results(struct jt_store *s, uint64_t job, enum rc (*on_result)(void *arg, const void *p, size_t n),
                         void *arg, struct why *why) MUST_CHECK;

void jt_store_attempt_put(struct jt_store *s, const struct jt_attempt *a);
void jt_store_log_put(struct jt_store *s, const struct jt_attempt *a, const void *text, size_t n);
/* What the attempt printed, on the heap, NUL-terminated; RC_NOT_FOUND. */
enum rc jt_store_log(struct jt_store *s, const struct jt_attempt *a, uint8_t **ret, size_t *ret_n, struct why *why) MUST_CHECK;

void jt_store_tracker_put(struct jt_store *s, const struct jt_tracker *t);

/* Everything that a new run needs: trackers, then the newest ended jobs and all others, oldest first. */
struct jt_loader {
    void *arg;
    enum rc (*tracker)(void *arg, const char *uuid, const char *name, const char *host, uint16_t shuffle_port,
                       struct why *why);
    /* spec is taken. */
    enum rc (*job)(void *arg, const struct jt_job *row, JtJobSpec *spec, struct why *why);
    enum rc (*attempt)(void *arg, const struct jt_attempt_id *id, const struct jt_attempt *row, const char *tracker,
                       struct why *why);
};
enum rc jt_store_load(struct jt_store *s, const struct jt_loader *l, uint32_t ended_max, struct why *why) MUST_CHECK;

#endif
