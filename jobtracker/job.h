/*
 * job -- a job, its tasks and their attempts, in memory.
 *
 * Owns: the tree job -> tasks -> attempts.  Core thread only.  Pointers are good
 * until jt_job_free; across a wait keep the job's number and the attempt's id.
 * Invariants: a PENDING task is on exactly one list, pending_maps or
 * pending_reduces of its job; a live attempt (RUNNING, KILLING) is on its
 * tracker's list and counted in live_count; a DONE task has a winner, which
 * SUCCEEDED.
 */
#ifndef JOBTRACKER_JOB_H
#define JOBTRACKER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/table.h"
#include "core/proto/job_id.h"
#include "core/proto/jobtracker.pb-c.h"
#include "jobtracker/state.h"
#include "jobtracker/tracker.h"

#define JT_SUBMIT_ID_BYTES 16
#define JT_TOKEN_BYTES 32
#define JT_DIGEST_BYTES 32          /* of a shared object: SHA-256 */
#define JT_SESSION_BYTES 16
#define JT_RESULTS_MAX (16 * MB)    /* of one job */

struct jt_now {
    uint64_t mono_ms, wall_ms;
};

struct jt_counter {
    char *name;
    int64_t value;
    bool user;
};

struct jt_counters {
    struct jt_counter *rows;
    size_t n, cap;
};

struct jt_task;

struct jt_attempt {
    struct jt_task *task;
    uint32_t number;
    unsigned state;
    enum jt_locality locality;
    struct jt_tracker *tracker;
    uint64_t started_ms, ended_ms;      /* wall */
    unsigned phase;                     /* enum mr_phase */
    double fraction;
    char *text;                         /* reason of the end; before, the status line; or NULL */
    char *log_path;
    struct jt_counters counters;
    struct jt_attempt *prev, *next;     /* of the task, oldest first */
    struct jt_attempt *tracker_prev, *tracker_next;     /* live ones of the tracker */
};

struct jt_task {
    struct jt_job *job;
    bool is_map;
    uint32_t index;
    unsigned state;
    uint32_t next_number;               /* of its next attempt */
    uint32_t failures;
    uint64_t pending_ms;                /* mono: since when it waits for a slot */
    struct jt_attempt *attempts, *winner;
    struct jt_attempt *last_won;        /* the winner, or the one before its output was lost: reduces may have taken that */
    struct jt_place **homes;            /* machines with its input, best first; the job's */
    size_t home_count;
    struct jt_place *kept;              /* machine that has its columns in memory, from the driver's last job; NULL none */
    uint64_t kept_wait_ms;              /* how long that machine is waited for */
    uint32_t lost_reports;              /* reduces that could not fetch the winner's output */
    struct jt_task *prev, *next;        /* pending list */
};

/* How often a job's attempts failed on a tracker. */
struct jt_blame {
    const struct jt_tracker *tracker;
    uint32_t failures;
};

struct jt_job {
    uint64_t number;
    char id[JOB_ID_TEXT];
    char *user;
    char *work;                         /* directory below which attempts write */
    JtJobSpec *spec;
    uint8_t submit_id[JT_SUBMIT_ID_BYTES], token[JT_TOKEN_BYTES];
    unsigned state;
    bool cleaned;                       /* over, and nothing of it is left but its output */
    bool was_loaded;                    /* an earlier run of the JobTracker had it, */
    bool was_cleaned;                   /* so its work directory is deleted twice */
    bool preparing, marking, cleaning, committing;      /* handed out; one at a time */
    bool prepared;                      /* this run's JobTracker has made its work directory, */
    bool marked;                        /* and has tried to write _SUCCESS there; if it failed, the commit does */
    bool is_tried_again;                /* some step of these failed, or another run may have done it already */
    uint32_t work_tries;                /* of this run, that failed */
    uint64_t work_again_ms;             /* mono: when what failed of them is tried again; 0 none */
    uint64_t submitted_ms, finished_ms; /* wall */
    bool results_dropped;               /* its session went on */
    uint64_t version;                   /* grows with each change that `mr` shows */
    char *reason;
    struct jt_attempt *first_failure;
    struct jt_task *maps, *reduces;     /* arrays */
    uint32_t map_count, reduce_count, maps_done, reduces_done;
    uint32_t live_count;                /* attempts that hold a slot */
    uint32_t launched[2], local[3];     /* [is_map]; [enum jt_locality] */
    uint32_t failed[2], killed[2];
    struct jt_place **homes;            /* of all maps */
    struct jt_blame *blames;            /* one a tracker on which something failed */
    size_t blame_count, blame_cap;
    struct jt_task *pending_maps, *pending_reduces;
    struct jt_job *prev, *next;         /* in order of priority, then age */
    UT_hash_handle hh;                  /* by number */
};

/* What one message says of an attempt, as a value. */
struct jt_attempt_id {
    uint64_t job;
    bool is_map;
    uint32_t index, attempt;
};

/* A job in RUNNING with all its tasks pending since now; places are added to the table.  Takes spec (heap). */
enum rc jt_job_new(uint64_t number, uint64_t created_ms, const char *user, JtJobSpec *spec, struct jt_place **places,
                   const struct jt_now *now, struct jt_job **ret, struct why *why) MUST_CHECK;
void jt_job_free(struct jt_job *j);

/* RC_BAD_JOB when a spec is not one that can be run. */
enum rc jt_spec_check(const JtJobSpec *spec, struct why *why) MUST_CHECK;
/* A spec on the heap; RC_BAD_MESSAGE. */
enum rc jt_spec_unpack(const void *p, size_t n, JtJobSpec **ret, struct why *why) MUST_CHECK;
void jt_spec_free(JtJobSpec *spec);

struct jt_task *jt_task_find(struct jt_job *j, bool is_map, uint32_t index);
struct jt_attempt *jt_attempt_find(struct jt_task *t, uint32_t number);

/* A new attempt in `state`, first of its life; NULL without memory. */
struct jt_attempt *jt_attempt_add(struct jt_task *t, uint32_t number, unsigned state, struct jt_tracker *tracker,
                                  enum jt_locality locality, uint64_t started_ms);

/* The only code that moves states: lists, counts and winner follow. */
void jt_task_set_state(struct jt_task *t, unsigned state, const struct jt_now *now);
void jt_attempt_set_state(struct jt_attempt *a, unsigned state, const struct jt_now *now);
void jt_job_set_state(struct jt_job *j, unsigned state, const struct jt_now *now);

/* Attempts of the job that failed on t. */
uint32_t jt_job_failures_on(const struct jt_job *j, const struct jt_tracker *t);
void jt_job_blame(struct jt_job *j, const struct jt_tracker *t);

/* True when reduces may start: the share of maps that the job asks for is done. */
bool jt_job_reduces_may_start(const struct jt_job *j);
bool jt_job_is_done(const struct jt_job *j);            /* every task has a winner */

/* True when the attempts of its maps, or of its reduces, write files of the output. */
bool jt_job_writes_output(const struct jt_job *j, bool is_map);

/* Its name as people see it. */
const char *jt_attempt_text(const struct jt_attempt *a, char out[ATTEMPT_ID_TEXT]);

/* Replace a text that the heap owns; keeps the old one when memory is short. */
void jt_text_set(char **text, const char *to);

/* Counters: replace by what a message says; add (maximum for PEAK_MEMORY_BYTES). */
void jt_counters_set(struct jt_counters *c, JtCounter *const *rows, size_t n);
void jt_counters_add(struct jt_counters *to, const struct jt_counters *from);
void jt_counters_fini(struct jt_counters *c);
int64_t jt_counters_get(const struct jt_counters *c, const char *name);        /* of the engine's; 0 if it is not there */
/* Of all attempts that count: winners, and those that run. */
void jt_job_counters(const struct jt_job *j, struct jt_counters *ret);

/* Progress of the phases, 0 .. 1 each. */
struct jt_fractions {
    double map, shuffle, sort, reduce;
    uint32_t maps_running, reduces_running;
};
void jt_job_fractions(const struct jt_job *j, struct jt_fractions *ret);

#endif
