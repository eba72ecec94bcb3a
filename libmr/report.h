/*
 * report -- what a job's attempts did when, and where their time went: plain functions of what the JobTracker says of them.
 *
 * Times are milliseconds since the job was submitted.  Everything that a report borrows (the status, the attempts)
 * must stay until report_fini.
 */
#ifndef LIBMR_REPORT_H
#define LIBMR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/proto/jobtracker.pb-c.h"
#include "libmr/bench_parts.h"

enum report_part {
    REPORT_READ, REPORT_PARSE, REPORT_MAP, REPORT_FOLD, REPORT_SORT, REPORT_SPILL, REPORT_FETCH, REPORT_MERGE,
    REPORT_REDUCE, REPORT_WRITE,
    REPORT_START,                   /* from being given to a node until it ran in a process there */
    REPORT_OTHER,                   /* what its process did besides; all of an attempt that did not succeed */
    REPORT_PARTS
};

struct report_part_name {
    const char *name;
    const char *time;               /* counter of it, microseconds; NULL: it has none */
    const char *bytes;              /* counter of the bytes that it moved; NULL: it moves none */
    const char *doc;
};
extern const struct report_part_name report_part_names[REPORT_PARTS];

struct report_attempt {
    const JtAttemptStatus *s;
    bool is_map, counted;           /* counted: its task's result is what it made */
    uint64_t from_ms, to_ms;
    size_t lane;                    /* of struct report */
    double part_s[REPORT_PARTS];
    uint64_t records, bytes;        /* of its input */
};

/* A slot, as far as one can tell: the attempts of one kind on one node, none beside another. */
struct report_lane {
    const char *node;
    bool is_map;
    uint64_t end_ms;                /* of its last attempt */
};

/* How unequal a figure is among the attempts of one kind that counted. */
struct report_skew {
    size_t n;
    uint64_t median, most;
    const struct report_attempt *with_most;
};

/* An attempt that took much longer than the others of its kind, and why, in words. */
struct report_slow {
    const struct report_attempt *a;
    double median_s;
    char why[200];
};

#define REPORT_SLOW_MAX 10

struct report {
    const JtJobStatus *job;
    struct report_attempt *attempts;    /* in order of their start */
    size_t count;
    struct report_lane *lanes;          /* by node; on each the maps' first */
    size_t lane_count;
    uint64_t end_ms;                    /* of the job, or now */
    double part_s[2][REPORT_PARTS];     /* [is_map]: sums over attempts */
    uint64_t part_bytes[REPORT_PARTS];
    struct report_skew records[2], bytes[2];    /* [is_map]: of input */
    struct report_slow slow[REPORT_SLOW_MAX];   /* slowest first */
    size_t slow_count;
    struct bench_run run;               /* of a job that has succeeded: where its time to completion went */
};

/* now_ms: wall time, for a job that still runs.  RC_NOMEM. */
enum rc report_init(struct report *r, const JtJobStatus *job, JtAttemptStatus *const *attempts, size_t n, uint64_t now_ms,
                    struct why *why) MUST_CHECK;
void report_fini(struct report *r);

/* The time to completion in sentences, a line each. */
void report_path(const struct report *r, struct buf *out);

/* One HTML file that needs nothing else (report_page.c). */
void report_page(const struct report *r, struct buf *out);

#endif
