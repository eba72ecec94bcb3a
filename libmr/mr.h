/*
 * mr.h -- what a MapReduce job is written against.
 *
 * A job is a shared object with one exported descriptor, made by MR_JOB:
 *
 *     static void map(struct mr_task *t, const struct mr_rec *rec, size_t n) { ... mr_emit(...) ... }
 *     MR_JOB(.map = map, .fold = MR_FOLD_SUM_I64)
 *
 * Compile it with `mrcc job.c` (gcc -shared -fPIC and the include path), run it with
 * `mr run job.so -input P -output P`, or in one process with `mr run --local`.
 *
 * A job has no undefined symbols of ours: everything it calls is inline here or
 * reached through the table that the task carries (struct mr_api), which says its
 * version and size, so a job that was compiled once runs on later engines.
 *
 * Callbacks take records in batches.  What they are given is good until they
 * return.  A job that finds its input wrong calls mr_fail; printf goes to the
 * attempt's log.
 */
#ifndef MILLRACE_MR_H
#define MILLRACE_MR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_ABI 1

struct mr_task;

/* One input record.  Text lines: key is empty, value the line without its end. */
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

/* The values of one key, in the order of the maps that emitted them; see mr_next. */
struct mr_values;

typedef void mr_map_fn(struct mr_task *t, const struct mr_rec *rec, size_t n);
typedef void mr_reduce_fn(struct mr_task *t, struct mr_bytes key, struct mr_values *values);
typedef void mr_hook_fn(struct mr_task *t);
/* The partition, 0 .. parts - 1, of a key. */
typedef uint32_t mr_partition_fn(struct mr_task *t, struct mr_bytes key, uint32_t parts);
/* Order of keys: <0, 0, >0.  Must be total. */
typedef int mr_compare_fn(struct mr_bytes a, struct mr_bytes b);

/*
 * How values of one key become one.  A declared fold runs inside the engine, on
 * the map's side as values are emitted and again where map outputs meet, always
 * in the same order, so that sums of doubles are the same bit for bit in every
 * run.  Values must be emitted with the matching call: mr_emit_i64, mr_emit_f64,
 * mr_emit_vec (vectors of one job all have one length).
 */
enum mr_fold {
    MR_FOLD_NONE = 0,           /* keep every value; reduce sees them all */
    MR_FOLD_SUM_I64,
    MR_FOLD_MIN_I64,
    MR_FOLD_MAX_I64,
    MR_FOLD_SUM_F64,
    MR_FOLD_MIN_F64,
    MR_FOLD_MAX_F64,
    MR_FOLD_SUM_VEC_F64,        /* element by element */
};

enum mr_reader {
    MR_READ_LINES = 0,          /* text, one record a line; "\n" or "\r\n" ends it */
    MR_READ_KEY_VALUE,          /* text lines, key before the first tab, value after it */
    MR_READ_FIXED,              /* binary, option mr.record.bytes each */
};

/* What the values are that the text writer gets from reduce or a map-only map. */
enum mr_value {
    MR_VALUE_BYTES = 0,         /* written as they are */
    MR_VALUE_I64,               /* in decimal */
    MR_VALUE_F64,               /* the shortest decimal that reads back as the same double */
    MR_VALUE_VEC_F64,           /* the same, with blanks between */
};

enum mr_writer {
    MR_WRITE_TEXT = 0,          /* key, tab, value, newline; an empty key leaves out key and tab */
    MR_WRITE_RAW,               /* key bytes, then value bytes, nothing between */
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
    mr_reduce_fn *combine;      /* like reduce, on part of the values: emits what replaces them */
    enum mr_fold fold;
    enum mr_reader reader;
    enum mr_writer writer;
    enum mr_value value;        /* for the text writer; a fold without reduce knows its own */
    int map_only;               /* no shuffle, no reduce: one output file a map */
    mr_hook_fn *setup;          /* before the first record of an attempt */
    mr_hook_fn *cleanup;        /* after the last; may still emit */
    mr_partition_fn *partition; /* default: by hash */
    mr_compare_fn *compare;     /* default: by bytes, shorter first */
};

/* The engine's side, reached through the inline functions below. */
struct mr_api {
    uint32_t abi;
    uint32_t size;
    void (*flush)(struct mr_task *t, size_t need);
    int (*next)(struct mr_values *v, struct mr_bytes *ret);
    const char *(*option)(struct mr_task *t, const char *key);
    void (*count)(struct mr_task *t, const char *counter, int64_t n);
    void (*status)(struct mr_task *t, const char *text);
    void (*fail)(struct mr_task *t, const char *text);
    uint32_t (*number)(struct mr_task *t, int what);
};

/* The head of a task, as a job sees it.  `state` is the job's own, per attempt. */
struct mr_task {
    const struct mr_api *api;
    void *state;
    char *at, *end;             /* room in the emit buffer */
};

/* A pair in the emit buffer: this head, then the key's bytes, then the value's. */
struct mr_pair {
    uint32_t key_len;
    uint32_t value_len;
};

/* Emit a pair.  Copies both; together they must be under 1 GB. */
static inline void mr_emit(struct mr_task *t, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct mr_pair head = { (uint32_t)key_len, (uint32_t)value_len };
    size_t need = sizeof head + key_len + value_len;
    char *p;

    if ((size_t)(t->end - t->at) < need)
        t->api->flush(t, need);
    p = t->at;
    memcpy(p, &head, sizeof head);
    if (key_len > 0)
        memcpy(p + sizeof head, key, key_len);
    if (value_len > 0)
        memcpy(p + sizeof head + key_len, value, value_len);
    t->at = p + need;
}

static inline void mr_emit_i64(struct mr_task *t, const void *key, size_t key_len, int64_t value)
{
    mr_emit(t, key, key_len, &value, sizeof value);
}

static inline void mr_emit_f64(struct mr_task *t, const void *key, size_t key_len, double value)
{
    mr_emit(t, key, key_len, &value, sizeof value);
}

static inline void mr_emit_vec(struct mr_task *t, const void *key, size_t key_len, const double *v, size_t n)
{
    mr_emit(t, key, key_len, v, n * sizeof *v);
}

/* In reduce and combine: the next value, 1, or 0 after the last.  Good until the next call. */
static inline int mr_next(struct mr_task *t, struct mr_values *v, struct mr_bytes *ret)
{
    return t->api->next(v, ret);
}

static inline int mr_next_i64(struct mr_task *t, struct mr_values *v, int64_t *ret)
{
    struct mr_bytes b;

    if (!t->api->next(v, &b))
        return 0;
    memcpy(ret, b.p, sizeof *ret);
    return 1;
}

static inline int mr_next_f64(struct mr_task *t, struct mr_values *v, double *ret)
{
    struct mr_bytes b;

    if (!t->api->next(v, &b))
        return 0;
    memcpy(ret, b.p, sizeof *ret);
    return 1;
}

/* The value of -D key=value, or dflt.  Good for the whole attempt. */
static inline const char *mr_option(struct mr_task *t, const char *key, const char *dflt)
{
    const char *v = t->api->option(t, key);

    return v ? v : dflt;
}

/* Add n to a counter of the job; counters of failed attempts do not count. */
static inline void mr_count(struct mr_task *t, const char *counter, int64_t n) { t->api->count(t, counter, n); }

/* One line that `mr status` shows for this attempt. */
static inline void mr_status(struct mr_task *t, const char *text) { t->api->status(t, text); }

/* End this attempt as failed, with a reason for a person.  Does not return. */
static inline void mr_fail(struct mr_task *t, const char *text) { t->api->fail(t, text); }

/* Numbers of this attempt. */
enum { MR_TASK_INDEX, MR_ATTEMPT, MR_MAP_COUNT, MR_REDUCE_COUNT };
static inline uint32_t mr_number(struct mr_task *t, int what) { return t->api->number(t, what); }

/* The next run of bytes between *p and end that are not white space (isspace in the C locale); 0 at the end.
 * *p moves behind it. */
static inline int mr_word(const char **p, const char *end, struct mr_bytes *ret)
{
    const char *s = *p;

    while (s < end && (*s == ' ' || (*s >= '\t' && *s <= '\r')))
        s++;
    ret->p = s;
    while (s < end && !(*s == ' ' || (*s >= '\t' && *s <= '\r')))
        s++;
    ret->n = (size_t)(s - ret->p);
    *p = s;
    return ret->n != 0;
}

/* Field number i (from 0) of a line, fields ended by sep; n is 0 if there is no such field. */
static inline struct mr_bytes mr_field(const char *line, size_t len, char sep, unsigned i)
{
    const char *end = line + len, *stop;
    struct mr_bytes f = { end, 0 };

    for (;; i--) {
        stop = (const char *)memchr(line, sep, (size_t)(end - line));
        if (i == 0) {
            f.p = line;
            f.n = (size_t)((stop ? stop : end) - line);
            return f;
        }
        if (!stop)
            return f;
        line = stop + 1;
    }
}

/* A map that takes one record at a time: MR_MAP_EACH(map, one) defines map from
 * static void one(struct mr_task *t, const struct mr_rec *rec). */
#define MR_MAP_EACH(name, one)                                                          \
    static void name(struct mr_task *t, const struct mr_rec *rec, size_t n)             \
    {                                                                                   \
        for (size_t i = 0; i < n; i++)                                                  \
            one(t, &rec[i]);                                                            \
    }

/* The ELF note by which `mr run` knows a job without loading it. */
struct mr_note {
    uint32_t name_len, desc_len, type;
    char name[12];
    uint32_t abi, job_size;
};

#define MR_NOTE_NAME "Millrace"
#define MR_NOTE_TYPE 1
#define MR_SYMBOL "millrace_job"

#define MR_JOB(...)                                                                     \
    __attribute__((section(".note.millrace"), used, aligned(4)))                        \
    static const struct mr_note millrace_note = { 12, 8, MR_NOTE_TYPE, MR_NOTE_NAME,    \
                                                  MR_ABI, sizeof(struct mr_job) };      \
    extern const struct mr_job millrace_job;                                            \
    __attribute__((visibility("default")))                                              \
    const struct mr_job millrace_job = { .abi = MR_ABI, .size = sizeof(struct mr_job), __VA_ARGS__ };

#ifdef __cplusplus
}
#endif

#endif
