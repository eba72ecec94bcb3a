/*
 * core -- what the JobTracker does next, without threads, sockets or clock.
 *
 * Owns: jobs, trackers, places, the store.  Core thread only.  Each function is
 * one event; it changes memory and writes rows into the group's open transaction,
 * queues orders at trackers and work for the filesystem's threads.  The caller
 * commits before it lets orders, answers or work out.
 */
#ifndef JOBTRACKER_CORE_H
#define JOBTRACKER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/rng.h"
#include "core/conf/metrics.h"
#include "jobtracker/job.h"
#include "jobtracker/store.h"

/* What is to be done in the filesystem, by value. */
enum jt_work_kind { WORK_PREPARE, WORK_MARK, WORK_COMMIT, WORK_CLEAN };

struct jt_work {
    enum jt_work_kind kind;
    uint64_t job;
    char id[JOB_ID_TEXT];
    char *user, *work, *output;
    uint32_t umask;
    bool is_first;                  /* whatever came before it went well in this run: no need to look what is there */
    char kind_letter;               /* COMMIT: of "part-r-00000" */
    char **parts;                   /* COMMIT: "attempt_..." of each winner: its part, below work */
    bool *more;                     /* COMMIT: the winner wrote further files, in "attempt_....more" */
    size_t part_count;
    struct jt_work *next;
};
void jt_work_free(struct jt_work *w);

struct jt_core {
    struct jt_store *store;
    struct rng *rng;
    uint64_t created_ms;
    uint64_t dead_tracker_ms;
    struct jt_job *jobs;            /* in order of priority, then age */
    struct jt_job *by_number;
    struct jt_tracker *trackers;
    struct jt_place *places;
    struct jt_work *works;          /* to be taken with jt_core_take_work after the commit */
    uint64_t next_epoch;
    bool slots_changed;             /* jt_core_assign has something to do */
    uint64_t again_ms;              /* mono: no job's work_again_ms is sooner; FOREVER none */
    uint64_t wake_ms;               /* mono: when a map that waits for a better place may go */
    struct jt_metrics metrics;      /* read by any thread */
};

/* Takes store.  Loads what the database holds: trackers have until dead_tracker_ms from now to register. */
enum rc jt_core_init(struct jt_core *c, struct jt_store *store, struct rng *rng, uint64_t dead_tracker_ms,
                     const struct jt_now *now, struct why *why) MUST_CHECK;
void jt_core_fini(struct jt_core *c);

struct jt_job *jt_core_find_job(struct jt_core *c, uint64_t number);
/* RC_JOB_NOT_FOUND. */
enum rc jt_core_get_job(struct jt_core *c, const char *id, struct jt_job **ret, struct why *why) MUST_CHECK;
struct jt_job *jt_core_find_submitted(struct jt_core *c, const uint8_t *submit_id);

/* A new job.  Takes spec. */
enum rc jt_core_submit(struct jt_core *c, const struct jt_now *now, const char *user, const uint8_t *submit_id,
                       JtJobSpec *spec, const void *code, size_t code_bytes, struct jt_job **ret, struct why *why) MUST_CHECK;
/* End a RUNNING job as KILLED; false when it is not RUNNING. */
bool jt_core_kill(struct jt_core *c, const struct jt_now *now, struct jt_job *j, const char *reason);

enum rc jt_core_register(struct jt_core *c, const struct jt_now *now, const TtRegisterRequest *req, const char *peer,
                         struct jt_tracker **ret, struct why *why) MUST_CHECK;
/* The tracker of a call; RC_UNREGISTERED when it has to register (again).  Notes that it is alive. */
enum rc jt_core_tracker(struct jt_core *c, const struct jt_now *now, const char *uuid, uint64_t epoch,
                        struct jt_tracker **ret, struct why *why) MUST_CHECK;
void jt_core_progress(struct jt_core *c, struct jt_tracker *t, TtProgress *const *rows, size_t n);

/* An attempt ended on t.  *ret_accepted false: what it made is not wanted. */
void jt_core_ended(struct jt_core *c, const struct jt_now *now, struct jt_tracker *t, const TtEndedRequest *req,
                   bool *ret_accepted);
void jt_core_output_lost(struct jt_core *c, const struct jt_now *now, const TtOutputLostRequest *req);

/* Work of the filesystem is done; why is read when rc is not RC_OK. */
void jt_core_prepared(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc, const struct why *why);
void jt_core_marked(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc);
void jt_core_committed(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc, const struct why *why);
void jt_core_cleaned(struct jt_core *c, const struct jt_now *now, uint64_t job, enum rc rc);

/* Hand out the filesystem's work that the job needs now, if any; without memory at a later tick. */
void jt_core_push_work(struct jt_core *c, struct jt_job *j, const struct jt_now *now);
/* The job is over: what runs of it is killed, every tracker is told. */
void jt_core_end_job(struct jt_core *c, struct jt_job *j, unsigned state, const char *reason, const struct jt_now *now);

/* Whatever runs of t is told to end; it does not count as a failure. */
void jt_core_kill_attempts(struct jt_task *t, const struct jt_now *now);

/* A job as loaded: what it waited for when the last run ended. */
void jt_core_resume(struct jt_core *c, struct jt_job *j, const struct jt_now *now);
int jt_job_order(const struct jt_job *a, const struct jt_job *b);       /* by priority, then age */

/* The JobTracker did not run for so many ms: nobody could be heard, so the silence of trackers does not count. */
void jt_core_woke(struct jt_core *c, uint64_t ms);
/* Trackers that fell silent, commits to try again. */
void jt_core_tick(struct jt_core *c, const struct jt_now *now);
/* Fill free slots. */
void jt_core_assign(struct jt_core *c, const struct jt_now *now);
/* When to call tick and assign again (mono ms, FOREVER). */
uint64_t jt_core_next_ms(const struct jt_core *c);
struct jt_work *jt_core_take_work(struct jt_core *c);

#endif
