/*
 * attempt -- the inside of one attempt: what map.c, reduce.c and the collectors share.
 *
 * Emitted pairs collect in a flat buffer (struct mr_task) and go to the current
 * sink when it is full.  A failure below a callback of the job cannot be
 * returned through it, so attempt_fail leaves by longjmp to mr_attempt_run;
 * everything that must be freed hangs off struct attempt.
 */
#ifndef LIBMR_ATTEMPT_H
#define LIBMR_ATTEMPT_H

#include <setjmp.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "libmr/collect.h"
#include "libmr/fold.h"
#include "libmr/seg.h"
#include "libmr/task.h"

/* What mr_alloc gave; the job's bytes begin at the next multiple of 64 behind it. */
struct attempt_block {
    struct attempt_block *next;
};

/* A further output, on its way to the host. */
struct further {
    char *name;
    struct buf out;
    struct further *next;
};

struct attempt {
    struct mr_task task;            /* first: what the job's callbacks are given */
    const struct mr_spec *spec;
    const struct mr_job *job;
    struct mr_host *host;
    struct io *io;
    struct clock *clock;
    struct arena *arena;
    struct why *why;
    jmp_buf failed;
    enum rc rc;
    char *emit_buf;
    size_t emit_cap;
    bool emits_in_place;            /* emit_buf is a window of the collector (map_window) */
    /* Where emitted pairs go: called with whole pairs. */
    void (*sink)(struct attempt *a, const char *p, size_t n);
    struct mr_progress progress;
    uint64_t began_ms;              /* mono */
    enum mr_counter spending;       /* what the time goes to, of the group "time" */
    uint64_t spent_us;              /* mono: until here it has been counted */
    uint64_t reported_ms;
    struct mr_user_counter *user;   /* progress.user, writable */
    size_t user_cap;
    struct attempt_block *blocks;   /* of mr_alloc */
    struct folding fold;
    const struct mr_split *split;   /* being read; NULL none */
    struct collector collect;       /* map with reduces */
    struct map_state *map;          /* its spills (map.c) */
    struct buf out;                 /* final output on its way to the host */
    struct seg_reader *readers;     /* reduce: one a map */
    size_t reader_count;
    struct seg_merge merge;
    uint64_t merge_steps, merge_us; /* reduce: of every MERGE_SAMPLE-th step, the time (reduce.c) */
    struct buf group_key, group_value;
    uint64_t group_prefix;          /* seg_prefix of group_key, in reduce */
    struct buf line;                /* map: window of input */
    struct mr_rec *batch;           /* in arena */
    struct further *further;        /* of mr_write */
    struct buf second;              /* window on the second input: bytes from second_at on, second_pos used */
    uint64_t second_at;
    size_t second_pos;
    struct columns *columns;        /* MR_READ_COLUMNS (columns.c) */
};

/* Leave the attempt with rc (why is already filled). */
void attempt_fail(struct attempt *a, enum rc rc) __attribute__((noreturn));
static inline void attempt_try(struct attempt *a, enum rc rc)
{
    if (rc != RC_OK)
        attempt_fail(a, rc);
}

/* Hand what is in the emit buffer to the sink. */
void attempt_flush(struct attempt *a);
/* Tell the host how far we are, if 100 ms have gone by or now is set. */
void attempt_report(struct attempt *a, enum mr_phase phase, double fraction, bool now);

/*
 * From here on time goes to `what`, a counter of the group "time"; returns what it went to until now, to be given back.
 * Costs two readings of the clock, so call it for blocks of records, never for one.
 */
enum mr_counter attempt_spend(struct attempt *a, enum mr_counter what);

/* Sinks. */
void sink_output(struct attempt *a, const char *p, size_t n);   /* format, to the host */
void sink_collect(struct attempt *a, const char *p, size_t n);  /* fold table or sort buffer */
/* A pair to final output; value is folded (typed) or as emitted. */
void output_pair(struct attempt *a, struct mr_bytes key, struct mr_bytes value, enum mr_value type);
void output_flush(struct attempt *a);
void output_flush_all(struct attempt *a);      /* further outputs too */

void map_run(struct attempt *a, struct mr_map_index *ret_index);
/* The emit buffer becomes room in the collector, for `need` bytes at least; nothing that was emitted is in it. */
void map_window(struct attempt *a, size_t need);
void map_fini(struct attempt *a);
void reduce_run(struct attempt *a);

#define EMIT_BYTES ((size_t)256 * KB)

/* n bytes, zero, aligned to 64, until the attempt ends. */
void *attempt_alloc(struct attempt *a, size_t n);
/* The number that option `key` has, low .. high; fails the attempt when it is something else. */
uint64_t attempt_number(struct attempt *a, const char *key, const char *dflt, uint64_t low, uint64_t high);

/* Read the split number i, batch by batch, into job->map (input.c). */
void input_run(struct attempt *a, size_t i);

/* The values of one key, as reduce and combine walk them. */
struct mr_values {
    struct attempt *a;
    int (*next)(struct mr_values *v, struct mr_bytes *ret);
    struct mr_bytes key;
    /* combine: a run of collected pairs */
    const struct collect_ref *ref, *ref_end;
    const struct collector *collect;
    bool first;                 /* reduce: the merge stands on the first value */
};

#endif
