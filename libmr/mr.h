/*
 * mr.h -- what a MapReduce job is written against.
 *
 * A job is a shared object with an exported descriptor, made by MR_JOB:
 *
 *     static void map(struct mr_task *t, const struct mr_rec *rec, size_t n) { ... mr_emit(...) ... }
 *     MR_JOB(.map = map, .fold = MR_FOLD_SUM_I64)
 *
 * Compile it with `mrcc job.c` (gcc -shared -fPIC and the include path), run it with
 * `mr run job.so -input P -output P`, or in one process with `mr run --local`.
 *
 * This file has the descriptor: what a job declares.  It includes, and a job needs
 * to include nothing else:
 *
 *     mr_calls.h      what callbacks call: emit, values, options, counters, side files ...
 *     mr_text.h       pure functions: words, fields, numbers, hash, statistics
 *     mr_driver.h     drivers: programs that run jobs, one after the other, until they are content
 *
 * A job has no undefined symbols of ours: everything it calls is inline or reached
 * through the table that the task carries (struct mr_api), which says its version
 * and size, so a job that was compiled once runs on later engines.
 *
 * What comes out is a function of input, splits and options alone, doubles included,
 * as long as callbacks are: folds happen in the order of the input and of the maps,
 * whatever order things arrive in.  The size of a batch of records is no such
 * thing; that of a run of columns is.
 */
#ifndef MILLRACE_MR_H
#define MILLRACE_MR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_ABI 2

struct mr_task;

/* One input record; what key and value are, the reader says. */
struct mr_rec {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
    uint64_t at;                /* position of the record in its file, bytes */
};

/* A key or a value: bytes, not terminated. */
struct mr_bytes {
    const char *p;
    size_t n;
};

/*
 * A run of rows, parsed: col[j][i] is column j of row i.  Arrays are aligned to 64
 * bytes.  Runs of a split all have the same length but the last, so sums by run
 * are the same in every run of the job.
 */
struct mr_columns {
    size_t rows;
    uint32_t cols;
    uint32_t file;              /* number of the file in the job's input, in the order of the splits */
    const double *const *col;
    const uint64_t *at;         /* place of each row in its file, bytes: (file, at[i]) names a row for ever */
};

/* The values of one key, in the order of the maps that emitted them; see mr_next. */
struct mr_values;

/* ---- callbacks: what they are given is good until they return ---- */

typedef void mr_map_fn(struct mr_task *t, const struct mr_rec *rec, size_t n);
typedef void mr_columns_fn(struct mr_task *t, const struct mr_columns *c);
typedef void mr_reduce_fn(struct mr_task *t, struct mr_bytes key, struct mr_values *values);
typedef void mr_hook_fn(struct mr_task *t);
/* The partition, 0 .. parts - 1, of a key. */
typedef uint32_t mr_partition_fn(struct mr_task *t, struct mr_bytes key, uint32_t parts);
/* Order of keys: <0, 0, >0.  Must be total. */
typedef int mr_compare_fn(struct mr_bytes a, struct mr_bytes b);
/* Fold value into into.  Both have n bytes and are aligned to 8. */
typedef void mr_fold_fn(void *into, const void *value, size_t n);

/*
 * How values of one key become one.  A declared fold runs inside the engine, on
 * the map's side as values are emitted and again where map outputs meet, always
 * in the same order, so that sums of doubles are the same bit for bit in every
 * run.  Values must be emitted with the matching call, and all values of one key
 * must have one length.
 */
enum mr_fold {
    MR_FOLD_NONE = 0,           /* keep every value; reduce sees them all */
    MR_FOLD_SUM_I64,            /* mr_emit_i64 */
    MR_FOLD_MIN_I64,
    MR_FOLD_MAX_I64,
    MR_FOLD_SUM_F64,            /* mr_emit_f64 */
    MR_FOLD_MIN_F64,
    MR_FOLD_MAX_F64,
    MR_FOLD_SUM_VEC_F64,        /* mr_emit_vec: element by element */
    MR_FOLD_STATS,              /* mr_emit_stats, or mr_emit of an array of struct mr_stats: element by element */
    MR_FOLD_OWN,                /* mr_emit: job->fold_own */
};

/* How input becomes records. */
enum mr_reader {
    MR_READ_LINES = 0,          /* text: value is a line without its end ("\n" or "\r\n"), key empty */
    MR_READ_KEY_VALUE,          /* text lines: key before the first tab, value after it */
    MR_READ_FIXED,              /* binary, record_bytes each, or -D mr.record.bytes=N; key: the first key_bytes, or
                                   mr.record.key.bytes (default 0), value: the rest */
    MR_READ_PREFIXED,           /* binary: 4 bytes little-endian length, then the record, which is value, key empty; a
                                   file is one split */
    MR_READ_FILE,               /* a whole file, at most 2 GB, is one record: key its path, value its bytes */
    MR_READ_COLUMNS,            /* numbers as CSV text, given to job->columns; see below */
};
/*
 * MR_READ_COLUMNS takes lines of numbers: decimals as strtod reads them, in any
 * notation, correctly rounded, with blanks around; nan and inf too.  Empty lines
 * are left out.  Every line has as many fields as the split's first; a field that
 * is not a number ends the attempt with file, place and column in the message.
 *
 *     -D mr.csv.separator=C       one byte, default a comma; "tab" for a tab, "space" for a blank
 *     -D mr.csv.columns=LIST      those to be parsed, from 1, in this order: 1-20,22 (default: all); others may hold
 *                                 anything, quoted fields included
 *     -D mr.csv.header=1          each file's first line is left out
 */

/* What the values are that the text writer gets from reduce or a map-only map. */
enum mr_value {
    MR_VALUE_BYTES = 0,         /* written as they are */
    MR_VALUE_I64,               /* in decimal */
    MR_VALUE_F64,               /* the shortest decimal that reads back as the same double */
    MR_VALUE_VEC_F64,           /* the same, with blanks between */
    MR_VALUE_STATS,             /* struct mr_stats, one or several: n sum min max mean m2, with blanks between */
};

enum mr_writer {
    MR_WRITE_TEXT = 0,          /* key, tab, value, newline; an empty key leaves out key and tab */
    MR_WRITE_RAW,               /* key bytes, then value bytes, nothing between */
};

/* Which reduce a key goes to. */
enum mr_part {
    MR_PART_HASH = 0,           /* mr_hash of its bytes */
    MR_PART_RANGE,              /* reduce i gets smaller keys (by bytes) than reduce i + 1: the outputs, one after the
                                   other, are sorted.  The bounds come from a sample of the input's keys, taken when
                                   the job is submitted: for readers with keys that map passes on. */
};

/*
 * The descriptor.  Give what the job has; the rest stays zero.  Without reduce a
 * job with a fold writes each key with its folded value; a job with map_only
 * writes what map emits.
 */
struct mr_job {
    uint32_t abi;               /* MR_ABI; filled by MR_JOB */
    uint32_t size;              /* of this struct; filled by MR_JOB */
    mr_map_fn *map;
    mr_reduce_fn *reduce;
    mr_reduce_fn *combine;      /* like reduce, on part of the values: emits what replaces them, under the same key */
    enum mr_fold fold;
    enum mr_reader reader;
    enum mr_writer writer;
    enum mr_value value;        /* for the text writer; a fold without reduce knows its own */
    int map_only;               /* no shuffle, no reduce: one output file a map */
    mr_hook_fn *setup;          /* before the first record of an attempt, map or reduce */
    mr_hook_fn *cleanup;        /* after the last; may still emit */
    mr_partition_fn *partition; /* default: partition_by */
    mr_compare_fn *compare;     /* default: by bytes, shorter first */
    mr_columns_fn *columns;     /* with MR_READ_COLUMNS, instead of map */
    mr_fold_fn *fold_own;       /* with MR_FOLD_OWN */
    mr_compare_fn *group;       /* keys that compare 0 here are one call of reduce, with the first of them; they must be
                                   neighbours in compare's order.  Default: compare */
    enum mr_part partition_by;
    uint32_t record_bytes, key_bytes;   /* with MR_READ_FIXED: what -D mr.record.* need not say then */
};

/* The ELF note by which `mr run` knows a job without loading it. */
struct mr_note {
    uint32_t name_len, desc_len, type;
    char name[12];
    uint32_t abi, job_size;
};

#define MR_NOTE_NAME "Millrace"
#define MR_NOTE_TYPE 1
#define MR_SYMBOL "millrace_job"

#define MR_NOTE(name)                                                                   \
    __attribute__((section(".note.millrace"), used, aligned(4)))                        \
    static const struct mr_note name##_note = { 12, 8, MR_NOTE_TYPE, MR_NOTE_NAME, MR_ABI, sizeof(struct mr_job) };

#define MR_DESCRIPTOR(symbol, ...)                                                      \
    MR_NOTE(symbol)                                                                     \
    extern const struct mr_job symbol;                                                  \
    __attribute__((visibility("default")))                                              \
    const struct mr_job symbol = { .abi = MR_ABI, .size = sizeof(struct mr_job), __VA_ARGS__ };

/* The job of this .so: MR_JOB(.map = map, .fold = MR_FOLD_SUM_I64). */
#define MR_JOB(...) MR_DESCRIPTOR(millrace_job, __VA_ARGS__)

/* A further job of the same .so, for a driver and for `mr run job.so -stage name`: MR_STAGE(assign, .map = ...). */
#define MR_STAGE(name, ...) MR_DESCRIPTOR(millrace_stage_##name, __VA_ARGS__)
#define MR_STAGE_SYMBOL "millrace_stage_"

/* A map that takes one record at a time: MR_MAP_EACH(map, one) defines map from
 * static void one(struct mr_task *t, const struct mr_rec *rec). */
#define MR_MAP_EACH(name, one)                                                          \
    static void name(struct mr_task *t, const struct mr_rec *rec, size_t n)             \
    {                                                                                   \
        for (size_t i = 0; i < n; i++)                                                  \
            one(t, &rec[i]);                                                            \
    }

#ifdef __cplusplus
}
#endif

#include "mr_text.h"
#include "mr_calls.h"
#include "mr_driver.h"

#endif
