/*
 * tt_priv -- the inside of struct tt.
 *
 * Everything marked [m] is read and written under tt->m; `changed` is broadcast
 * when any of it changes in a way that somebody may wait for.
 */
#ifndef TASKTRACKER_TT_PRIV_H
#define TASKTRACKER_TT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/table.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"
#include "core/io/io.h"
#include "core/io/thread.h"
#include "core/net/crowd.h"
#include "core/net/net.h"
#include "core/proto/job_id.h"
#include "core/proto/jobtracker.pb-c.h"
#include "core/proto/task.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "tasktracker/cache.h"
#include "tasktracker/crew.h"
#include "tasktracker/tt.h"

#define TOKEN_BYTES 32
#define TT_DIGEST_BYTES 32

struct fs;

/* Where a map output is, by what the JobTracker says. */
struct tt_location {
    uint32_t map, attempt;
    char *host;
    uint16_t port;
    UT_hash_handle hh;
};

/* A map output that is here. */
struct tt_output {
    uint64_t key;                   /* map << 32 | attempt */
    char *path;
    uint64_t *at;                   /* parts + 1 offsets */
    uint32_t *crc;                  /* of each part */
    uint32_t parts;
    UT_hash_handle hh;
};

/* A worker that waits for the next attempt of its job, or of its driver's next job. */
struct tt_idle {
    struct launched w;
    uint64_t job;                   /* number of the last one */
    char *session;                  /* who and which driver; NULL: of this job only */
    uint64_t memory_bytes;          /* its limit */
    uint64_t since_ms;
    struct tt_idle *prev, *next;    /* longest idle first */
};

/* A shared object, for the jobs that run it and, for a while, those to come. */
struct tt_code {
    uint8_t digest[TT_DIGEST_BYTES];
    int fd;
    unsigned refs;                  /* jobs */
    struct tt_code *prev, *next;    /* last used first */
};

/* What every attempt of a job may read by name. */
struct tt_side {
    const char *name;               /* of the spec */
    int fd;                         /* -1: not opened */
    uint64_t bytes;
};

enum tt_job_state { TT_JOB_NEW, TT_JOB_LOADING, TT_JOB_READY };

struct tt_job {
    uint64_t number;
    char id[JOB_ID_TEXT];
    enum tt_job_state state;        /* [m] */
    unsigned refs;                  /* [m] attempts */
    bool forgotten;                 /* [m] goes with its last attempt */
    struct tt_location *locations;  /* [m] by map */
    struct tt_output *outputs;      /* [m] by key */
    TtGetJobReply *told;            /* [m] came with an order, not loaded yet; NULL none */
    /* Constant once READY: */
    TtGetJobReply *reply;
    struct tt_code *code;
    struct tt_side *sides;          /* spec->n_sides of them */
    uint64_t side_bytes;
    struct fs *fs;                  /* as the job's user */
    char *dir;                      /* of its files here */
    bool is_stripped;               /* only its directory is left, and could not be deleted */
    struct tt_job *next;            /* of the doomed */
    UT_hash_handle hh;
};

/* What a running attempt tells the JobTracker now and then. */
struct tt_progress {
    uint32_t phase;
    double fraction;
    char *status;
    TkReport *last;                 /* the report with its counters */
};

struct tt_attempt {
    struct tt *tt;
    bool is_early;                  /* given out before the job's work directory was made */
    struct tt_job *job;
    bool is_map;
    uint32_t index, number;
    char id[ATTEMPT_ID_TEXT];
    JtMap *map;                     /* of a map; heap */
    bool killed;                    /* [m] by order */
    bool has_worker;                /* [m] worker may be killed */
    struct launched worker;         /* [m] to change */
    int bell[2];                    /* look at killed, segments, errors */
    struct tt_progress progress;    /* [m] */
    struct tt_attempt *prev, *next;
};

struct tt {
    const struct world *w;
    struct conf conf;
    struct crew *crew;
    bool owns_crew;
    struct mutex *launch;           /* one crew_take at a time */
    struct mutex *m;
    struct cond *changed;
    char uuid[37];
    char *dir;
    int lock_fd;
    char host[256];                 /* as the JobTracker gives it to others; [m] */
    struct net_addr at;             /* shuffle port as bound */
    uint64_t epoch;                 /* [m] 0: not registered */
    uint64_t created_ms;            /* of the JobTracker; [m] */
    bool stopping;                  /* [m] */
    bool register_again;            /* [m] an order could not be carried out */
    bool failed;                    /* [m] the process is to end */
    struct rpc_client *jt, *jt_wait;    /* short calls; the one that is held */
    struct tt_job *jobs;            /* [m] by number */
    struct tt_job *doomed;          /* [m] dropped, to be buried */
    struct tt_code *codes;          /* [m] */
    struct tt_attempt *attempts;    /* [m] */
    struct tt_metrics metrics;
    struct tt_idle *idle;           /* [m] workers kept, and how many */
    unsigned idle_count;
    struct cache *cache;            /* parsed columns */
    unsigned thread_count;          /* [m] of attempts and shuffle connections */
    struct crowd conns;             /* [m] shuffle connections */
    int listener;
    struct thread *orders, *beat, *acceptor;
};

static inline void tt_lock(struct tt *tt) { mutex_lock(tt->w->threads, tt->m); }
static inline void tt_unlock(struct tt *tt) { mutex_unlock(tt->w->threads, tt->m); }
static inline void tt_changed(struct tt *tt) { cond_broadcast(tt->w->threads, tt->changed); }
/* Wait for a change, under the lock; false at the deadline (mono ms). */
static inline bool tt_wait(struct tt *tt, uint64_t deadline_ms)
{
    return cond_wait(tt->w->threads, tt->changed, tt->m, deadline_ms);
}
static inline uint64_t tt_now(struct tt *tt) { return clock_mono_ms(tt->w->clock); }

/* ---- tt.c ---- */
/* A short call to the JobTracker with this run's epoch in *epoch_field; registers again when told so and repeats.
 * RC_STOPPED when the tracker stops. */
enum rc tt_call(struct tt *tt, enum tracker_row method, const ProtobufCMessage *req, uint64_t *epoch_field,
                struct arena *arena, const ProtobufCMessage **ret, struct why *why) MUST_CHECK;
void tt_thread_ended(struct tt *tt);        /* the last thing that a counted thread does */
void tt_fail(struct tt *tt);

/* ---- job.c ---- */
struct tt_job *tt_job_get(struct tt *tt, uint64_t number);      /* [m] found or new; NULL without memory */
void tt_job_unref(struct tt *tt, struct tt_job *j);             /* [m] drops a forgotten one */
void tt_job_forget(struct tt *tt, struct tt_job *j);            /* [m] kills its attempts */
void tt_job_drop(struct tt *tt, struct tt_job *j);              /* [m] nobody finds it any more, its workers end */
/* Free dropped jobs, delete their files; what cannot be deleted is tried again with each heartbeat.  Not under the lock. */
void tt_bury(struct tt *tt);
void tt_job_tell(struct tt_job *j, const TtGetJobReply *about);  /* [m] what came with an order; copies */
/* Load it, from the JobTracker if it was not told, unless somebody did; waits.  A failure is this attempt's: the next one tries again.  Not
 * under the lock. */
enum rc tt_job_load(struct tt *tt, struct tt_job *j, struct why *why) MUST_CHECK;
void tt_location_set(struct tt_job *j, const TtMapOutput *o);   /* [m] */
void tt_location_lost(struct tt_job *j, uint32_t map, uint32_t attempt);        /* [m] */
struct tt_output *tt_output_find(struct tt_job *j, uint32_t map, uint32_t attempt);     /* [m] */
/* Takes path, copies parts + 1 offsets and a checksum a part; the file must be as long as they say. */
enum rc tt_output_add(struct tt *tt, struct tt_job *j, uint32_t map, uint32_t attempt, char *path, const uint64_t *at,
                      const uint32_t *crc, uint32_t parts, struct why *why) MUST_CHECK;
void tt_output_drop(struct tt *tt, struct tt_job *j, uint32_t map, uint32_t attempt);   /* [m] */
/* A worker that may have loaded the job already. */
enum rc tt_worker_take(struct tt *tt, struct tt_job *j, struct launched *ret, struct why *why) MUST_CHECK;
/* Keep it for the job's next attempt, or end it. */
void tt_worker_keep(struct tt *tt, struct tt_job *j, struct launched *w);
/* End the workers that have waited for longer than is good; with all: every one. */
void tt_workers_reap(struct tt *tt, bool all);
/* What a task may have of addresses. */
uint64_t tt_memory_limit(const struct tt *tt, const struct tt_job *j);

/* ---- code.c ---- */
/* The shared object of a job's description, added if that brings it; RC_NOT_FOUND: it does not, and it is not here. */
enum rc tt_code_take(struct tt *tt, const TtGetJobReply *reply, struct tt_code **ret, struct why *why) MUST_CHECK;
void tt_code_release(struct tt *tt, struct tt_code *c);
/* Digests of those that are here, in arena. */
enum rc tt_code_list(struct tt *tt, struct arena *arena, ProtobufCBinaryData **ret, size_t *ret_n) MUST_CHECK;
void tt_code_fini(struct tt *tt);

/* ---- attempt.c ---- */
/* Start an attempt in a thread of its own; copies the order.  [m] */
void tt_attempt_start(struct tt *tt, const TtOrder *order);
void tt_attempt_kill(struct tt_attempt *a);     /* [m] */
struct tt_attempt *tt_attempt_find(struct tt *tt, const JtAttemptId *id);       /* [m] */
void tt_wake(const struct tt_attempt *a);

/* ---- shuffle.c ---- */
enum rc tt_shuffle_start(struct tt *tt, struct why *why) MUST_CHECK;
void tt_shuffle_stop(struct tt *tt);            /* no new connections; those there end */

#endif
