/*
 * mr_calls.h -- for jobs, included by mr.h: what callbacks call.
 *
 * None of these calls returns an error: what goes wrong (no memory, input that
 * cannot be read) ends the attempt with a reason, as mr_fail does.  They are for the
 * thread that the callback runs on.
 */
#ifndef MILLRACE_MR_H
#include "mr.h"                 /* which includes this one where it belongs */
#elif !defined(MILLRACE_MR_CALLS_H)
#define MILLRACE_MR_CALLS_H

#ifdef __cplusplus
extern "C" {
#endif

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
    void *(*alloc)(struct mr_task *t, size_t n);
    const char *(*path)(struct mr_task *t);
    size_t (*f64_text)(double v, char *buf);
    int (*parse_f64)(const char *p, size_t n, double *ret);
    int (*side)(struct mr_task *t, const char *name, struct mr_bytes *ret);
    int (*second)(struct mr_task *t, size_t n, struct mr_bytes *ret);
    void (*write)(struct mr_task *t, const char *output, const void *key, size_t key_len, const void *value,
                  size_t value_len);
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

/* ---- emit ---- */

/* Room for a pair, its key copied; returns where the value goes. */
static inline char *mr_emit_head(struct mr_task *t, const void *key, size_t key_len, size_t value_len)
{
    struct mr_pair head = { (uint32_t)key_len, (uint32_t)value_len };
    size_t need = sizeof head + key_len + value_len;
    char *p;

#ifdef MR_WIDE
    if (!__builtin_constant_p(key_len) && key_len - 1 < 16 && mr_wide_at(key) &&
        (size_t)(t->end - t->at) >= sizeof head + 16 + value_len) {
        __asm__("" : "+r"(key));        /* what is read behind the key is not looked at */
        p = t->at;
        memcpy(p, &head, sizeof head);
        _mm_storeu_si128((__m128i *)(void *)(p + sizeof head), _mm_loadu_si128((const __m128i *)key));
        t->at = p + need;
        return p + sizeof head + key_len;
    }
#endif
    if ((size_t)(t->end - t->at) < need)
        t->api->flush(t, need);
    p = t->at;
    memcpy(p, &head, sizeof head);
    if (key_len > 0)
        memcpy(p + sizeof head, key, key_len);
    t->at = p + need;
    return p + sizeof head + key_len;
}

/* Emit a pair.  Copies both; together they must be under 1 GB. */
static inline void mr_emit(struct mr_task *t, const void *key, size_t key_len, const void *value, size_t value_len)
{
    char *p = mr_emit_head(t, key, key_len, value_len);

    if (value_len > 0)
        memcpy(p, value, value_len);
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

/* For MR_FOLD_STATS: each of the n numbers as one of a set of its own.  A job that has many numbers at once adds them
 * with mr_stats_add and emits the array of struct mr_stats. */
static inline void mr_emit_stats(struct mr_task *t, const void *key, size_t key_len, const double *x, size_t n)
{
    char *p = mr_emit_head(t, key, key_len, n * sizeof(struct mr_stats));

    for (size_t i = 0; i < n; i++) {
        struct mr_stats s = { 1, x[i], x[i], x[i], x[i], 0 };

        memcpy(p + i * sizeof s, &s, sizeof s);
    }
}

/* A pair to a further output: the file NAME-m-00007 (or -r-) beside the task's part-m-00007, by the job's writer.  NAME is
 * of letters, digits and '_'; at most 63.  For the tasks that write the job's output: reduce, and map when it is
 * map_only. */
static inline void mr_write(struct mr_task *t, const char *output, const void *key, size_t key_len, const void *value,
                            size_t value_len)
{
    t->api->write(t, output, key, key_len, value, value_len);
}

/* ---- values, in reduce and combine ---- */

/* The next value, 1, or 0 after the last.  Good until the next call; not aligned. */
static inline int mr_next(struct mr_task *t, struct mr_values *v, struct mr_bytes *ret)
{
    return t->api->next(v, ret);
}

/* End this attempt as failed, with a reason for a person.  Does not return. */
static inline void mr_fail(struct mr_task *t, const char *text)
{
    t->api->fail(t, text);
    __builtin_unreachable();
}

/* Copy the next value, which must have n bytes, to `to`: numbers, vectors, structs. */
static inline int mr_next_copy(struct mr_task *t, struct mr_values *v, void *to, size_t n)
{
    struct mr_bytes b;

    if (!t->api->next(v, &b))
        return 0;
    if (b.n != n)
        mr_fail(t, "a value has another length than reduce expects");
    memcpy(to, b.p, n);
    return 1;
}

static inline int mr_next_i64(struct mr_task *t, struct mr_values *v, int64_t *ret)
{
    return mr_next_copy(t, v, ret, sizeof *ret);
}

static inline int mr_next_f64(struct mr_task *t, struct mr_values *v, double *ret)
{
    return mr_next_copy(t, v, ret, sizeof *ret);
}

/* ---- what the attempt is, and what it was given ---- */

/* The value of -D key=value, or dflt.  Good for the whole attempt. */
static inline const char *mr_option(struct mr_task *t, const char *key, const char *dflt)
{
    const char *v = t->api->option(t, key);

    return v ? v : dflt;
}

/* Numbers of this attempt.  MR_FILE: of the file being read, in the job's input, in the order of the splits. */
enum { MR_TASK_INDEX, MR_ATTEMPT, MR_MAP_COUNT, MR_REDUCE_COUNT, MR_FILE };
static inline uint32_t mr_number(struct mr_task *t, int what) { return t->api->number(t, what); }

/* In map and columns: the path of the file being read; else "". */
static inline const char *mr_path(struct mr_task *t) { return t->api->path(t); }

/* What the driver gave under that name (struct mr_side), whole: 1, or 0 when there is none.  Read only, aligned to 64,
 * good for the whole attempt; a file is mapped, not read. */
static inline int mr_side(struct mr_task *t, const char *name, struct mr_bytes *ret) { return t->api->side(t, name, ret); }

/* The next n bytes of the second input's part for this map: of the file that the map of the same number wrote in a
 * map-only job over the same input (struct mr_run's second).  1; 0 when fewer are left, which *ret then has.  Good until
 * the next call; not aligned. */
static inline int mr_second(struct mr_task *t, size_t n, struct mr_bytes *ret) { return t->api->second(t, n, ret); }

/* n bytes, zero, aligned to 64, that live as long as the attempt. */
static inline void *mr_alloc(struct mr_task *t, size_t n) { return t->api->alloc(t, n); }

/* ---- telling ---- */

/* Add n to a counter of the job; counters of failed attempts do not count.  At most 1024 names. */
static inline void mr_count(struct mr_task *t, const char *counter, int64_t n) { t->api->count(t, counter, n); }

/* One line that `mr status` shows for this attempt. */
static inline void mr_status(struct mr_task *t, const char *text) { t->api->status(t, text); }

/* ---- numbers as text ---- */

/* p[0..n) as a double, correctly rounded: blanks around a decimal, inf or nan.  0 when it is none. */
static inline int mr_parse_f64(struct mr_task *t, const char *p, size_t n, double *ret) { return t->api->parse_f64(p, n, ret); }

/* The shortest decimal that reads back as the same double, with a NUL; returns its length. */
static inline size_t mr_f64_text(struct mr_task *t, double v, char buf[32]) { return t->api->f64_text(v, buf); }

#ifdef __cplusplus
}
#endif

#endif
