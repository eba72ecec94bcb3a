#include "libmr/attempt.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "libmr/decimal.h"

#define EMIT_MAX        ((size_t)2 << 30)
#define REPORT_MS       100
#define OUT_BYTES       (256 * KB)     /* written while it is in the caches */
#define FURTHER_BYTES   (256 * KB)
#define ALIGN           64

static const char *const counter_names[] = {
#define COUNTER(symbol, group, name, doc) name,
#include "libmr/counters.def"
#undef COUNTER
};

const char *
mr_counter_name(enum mr_counter c)
{
    return (unsigned)c < ARRAY_LEN(counter_names) ? counter_names[c] : "UNKNOWN";
}

void
attempt_fail(struct attempt *a, enum rc rc)
{
    a->rc = rc;
    longjmp(a->failed, 1);
}

enum mr_counter
attempt_spend(struct attempt *a, enum mr_counter what)
{
    uint64_t now_us = clock_mono_us(a->clock);
    enum mr_counter was = a->spending;

    a->progress.counters[was] += (int64_t)(now_us - a->spent_us);
    a->spent_us = now_us;
    a->spending = what;
    return was;
}

static struct attempt *
of_task(struct mr_task *t)
{
    return (struct attempt *)t;     /* task is the first member */
}

void
attempt_flush(struct attempt *a)
{
    size_t n = (size_t)(a->task.at - a->emit_buf);
    enum mr_counter was;

    if (n == 0)
        return;
    a->task.at = a->emit_buf;
    was = a->spending;
    if (a->sink == sink_collect)
        (void)attempt_spend(a, MRC_FOLD_MICROSECONDS);
    a->sink(a, a->emit_buf, n);
    (void)attempt_spend(a, was);
}

/* The job's side of emit: the buffer is full, or a pair is larger than it. */
static void
api_flush(struct mr_task *t, size_t need)
{
    struct attempt *a = of_task(t);

    attempt_flush(a);
    if (need <= a->emit_cap)
        return;
    if (need > EMIT_MAX)
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "a pair of %zu bytes was emitted; at most 1 GB", need));
    if (a->emits_in_place) {
        map_window(a, need);
        return;
    }
    mem_free(a->emit_buf);
    a->emit_cap = need;
    a->emit_buf = mem_alloc(need);
    a->task.at = a->emit_buf;
    a->task.end = a->emit_buf ? a->emit_buf + need : NULL;
    if (a->emit_buf == NULL)
        attempt_fail(a, why_set(a->why, RC_NOMEM, "no memory for a pair of %zu bytes", need));
}

static int
api_next(struct mr_values *v, struct mr_bytes *ret)
{
    return v->next(v, ret);
}

static const char *
api_option(struct mr_task *t, const char *key)
{
    const struct mr_spec *s = of_task(t)->spec;

    for (size_t i = s->option_count; i-- > 0;)      /* the last one given wins */
        if (strcmp(s->options[i].key, key) == 0)
            return s->options[i].value;
    return NULL;
}

static void
api_count(struct mr_task *t, const char *counter, int64_t n)
{
    struct attempt *a = of_task(t);
    struct mr_user_counter *more;
    size_t cap;

    for (size_t i = 0; i < a->progress.user_count; i++)
        if (strcmp(a->user[i].name, counter) == 0) {
            a->user[i].value += n;
            return;
        }
    if (a->progress.user_count == a->user_cap) {
        cap = a->user_cap ? 2 * a->user_cap : 16;
        if (cap > 1024)
            attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "the job has more than 1024 counters"));
        if ((more = arena_calloc(a->arena, cap, sizeof *more)) == NULL)
            attempt_fail(a, why_rc(a->why, RC_NOMEM));
        if (a->user_cap)
            memcpy(more, a->user, a->user_cap * sizeof *more);
        a->user = more;
        a->user_cap = cap;
        a->progress.user = more;
    }
    a->user[a->progress.user_count].value = n;
    if ((a->user[a->progress.user_count].name = arena_strdup(a->arena, counter)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    a->progress.user_count++;
}

static void
api_status(struct mr_task *t, const char *text)
{
    struct attempt *a = of_task(t);
    char *copy = mem_strndup(text, strnlen(text, 400));

    if (copy == NULL)
        return;     /* a status that is not shown harms nobody */
    mem_free((char *)(uintptr_t)a->progress.status);
    a->progress.status = copy;
}

static void
api_fail(struct mr_task *t, const char *text)
{
    struct attempt *a = of_task(t);

    attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "%s", text));
}

void *
attempt_alloc(struct attempt *a, size_t n)
{
    struct attempt_block *b = n <= EMIT_MAX ? mem_zalloc(sizeof *b + ALIGN + n) : NULL;

    if (b == NULL)
        attempt_fail(a, why_set(a->why, RC_NOMEM, "no memory for %zu bytes that the job asks for", n));
    b->next = a->blocks;
    a->blocks = b;
    return (void *)(((uintptr_t)(b + 1) + ALIGN - 1) / ALIGN * ALIGN);
}

uint64_t
attempt_number(struct attempt *a, const char *key, const char *dflt, uint64_t low, uint64_t high)
{
    const char *text = mr_option(&a->task, key, dflt);
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (*end || end == text || *text == '-' || n < low || n > high)
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "-D %s takes a number from %llu to %llu, not \"%s\"", key,
                                (unsigned long long)low, (unsigned long long)high, text));
    return n;
}

static void *
api_alloc(struct mr_task *t, size_t n)
{
    return attempt_alloc(of_task(t), n);
}

static const char *
api_path(struct mr_task *t)
{
    const struct attempt *a = of_task(t);

    return a->split ? a->split->path : "";
}

static size_t
api_f64_text(double v, char *out)
{
    return decimal_write(v, out);
}

static int
api_parse_f64(const char *p, size_t n, double *ret)
{
    return decimal_read(p, n, ret);
}

static int
api_side(struct mr_task *t, const char *name, struct mr_bytes *ret)
{
    struct attempt *a = of_task(t);
    struct mr_bytes got = { NULL, 0 };

    attempt_try(a, a->host->ops->side(a->host, name, &got, a->why));
    if (got.p != NULL)
        *ret = got;
    return got.p != NULL;
}

static uint32_t
api_number(struct mr_task *t, int what)
{
    const struct mr_spec *s = of_task(t)->spec;

    switch (what) {
    case MR_TASK_INDEX:
        return s->index;
    case MR_ATTEMPT:
        return s->attempt;
    case MR_MAP_COUNT:
        return s->map_count;
    case MR_REDUCE_COUNT:
        return s->reduce_count;
    case MR_FILE:
        return of_task(t)->split ? of_task(t)->split->file : 0;
    default:
        return 0;
    }
}

void
attempt_report(struct attempt *a, enum mr_phase phase, double fraction, bool now)
{
    uint64_t ms = clock_mono_ms(a->clock);

    if (!now && ms - a->reported_ms < REPORT_MS)
        return;
    a->reported_ms = ms;
    a->progress.phase = phase;
    a->progress.fraction = fraction;
    a->host->ops->progress(a->host, &a->progress);
}

static void
flush_buf(struct attempt *a, const char *output, struct buf *out)
{
    enum mr_counter was;

    if (!buf_ok(out))
        attempt_fail(a, why_set(a->why, RC_NOMEM, "no memory for a record of output"));
    if (out->n == 0)
        return;
    was = attempt_spend(a, MRC_WRITE_MICROSECONDS);
    attempt_try(a, a->host->ops->write(a->host, output, out->p, out->n, a->why));
    (void)attempt_spend(a, was);
    a->progress.counters[MRC_OUTPUT_BYTES] += (int64_t)out->n;
    buf_clear(out);
}

void
output_flush(struct attempt *a)
{
    flush_buf(a, NULL, &a->out);
}

/* Everything that is left, at the end. */
void
output_flush_all(struct attempt *a)
{
    output_flush(a);
    for (struct further *f = a->further; f != NULL; f = f->next)
        flush_buf(a, f->name, &f->out);
}

static void
put_pair(const struct attempt *a, struct buf *out, struct mr_bytes key, struct mr_bytes value, enum mr_value type)
{
    if (a->spec->results) {
        struct mr_pair head = { (uint32_t)key.n, (uint32_t)value.n };

        buf_put(out, &head, sizeof head);
    }
    if (value.p == key.p + key.n && (a->spec->results || a->job->writer == MR_WRITE_RAW)) {
        buf_put(out, key.p, key.n + value.n);
        return;
    }
    buf_put(out, key.p, key.n);
    if (a->spec->results || a->job->writer == MR_WRITE_RAW) {
        buf_put(out, value.p, value.n);
        return;
    }
    if (key.n && value.n)
        buf_u8(out, '\t');
    value_text(out, type, value);
    buf_u8(out, '\n');
}

void
output_pair(struct attempt *a, struct mr_bytes key, struct mr_bytes value, enum mr_value type)
{
    put_pair(a, &a->out, key, value, type);
    if (a->out.n >= OUT_BYTES || !buf_ok(&a->out))
        output_flush(a);
}

void
sink_output(struct attempt *a, const char *p, size_t n)
{
    const char *end = p + n;
    struct mr_bytes key, value;
    enum mr_counter c = a->spec->is_map ? MRC_MAP_OUTPUT_RECORDS : MRC_REDUCE_OUTPUT_RECORDS;

    while (p < end) {
        pair_get(&p, &key, &value);
        a->progress.counters[c]++;
        output_pair(a, key, value, a->job->value);
    }
}

static struct further *
find_further(struct attempt *a, const char *name)
{
    struct further *f;

    for (f = a->further; f != NULL; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f;
    if (a->spec->results || (a->spec->is_map && a->spec->reduce_count != 0))
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "mr_write to \"%s\": only tasks that write the job's output have "
                                "further ones", name));
    if ((f = mem_zalloc(sizeof *f)) == NULL || (f->name = mem_strdup(name)) == NULL) {
        mem_free(f);
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    }
    buf_init(&f->out, EMIT_MAX);
    f->next = a->further;
    a->further = f;
    a->progress.counters[MRC_NAMED_OUTPUTS]++;
    return f;
}

static void
api_write(struct mr_task *t, const char *output, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct attempt *a = of_task(t);
    struct further *f = find_further(a, output);

    put_pair(a, &f->out, (struct mr_bytes){ key, key_len }, (struct mr_bytes){ value, value_len }, a->job->value);
    if (f->out.n >= FURTHER_BYTES || !buf_ok(&f->out))
        flush_buf(a, f->name, &f->out);
}

static int
api_second(struct mr_task *t, size_t n, struct mr_bytes *ret)
{
    struct attempt *a = of_task(t);
    struct buf *b = &a->second;
    size_t got = 1, left;
    uint8_t *p;

    if (!a->spec->second)
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "mr_second: this job has no second input"));
    while (b->n - a->second_pos < n && got > 0) {
        size_t more = n - (b->n - a->second_pos) < OUT_BYTES ? OUT_BYTES : n;

        buf_drop_front(b, a->second_pos);
        a->second_pos = 0;
        if ((p = buf_grow(b, more)) == NULL)
            attempt_fail(a, why_rc(a->why, RC_NOMEM));
        b->n -= more;
        attempt_try(a, a->host->ops->second(a->host, p, more, a->second_at, &got, a->why));
        a->second_at += got;
        b->n += got;
    }
    left = b->n - a->second_pos;
    *ret = (struct mr_bytes){ (const char *)b->p + a->second_pos, left < n ? left : n };
    a->second_pos += ret->n;
    return ret->n == n;
}

static const struct mr_api api = {
    .abi = MR_ABI,
    .size = sizeof(struct mr_api),
    .flush = api_flush,
    .next = api_next,
    .option = api_option,
    .count = api_count,
    .status = api_status,
    .fail = api_fail,
    .number = api_number,
    .alloc = api_alloc,
    .path = api_path,
    .f64_text = api_f64_text,
    .parse_f64 = api_parse_f64,
    .side = api_side,
    .second = api_second,
    .write = api_write,
};

enum rc
mr_job_check(const struct mr_job *job, struct why *why)
{
    if (job->abi != MR_ABI)
        return why_set(why, RC_BAD_JOB, "the job was compiled for ABI %u, this engine has %d: compile it again with mrcc",
                       job->abi, MR_ABI);
    if (job->size < sizeof *job || job->size > 64 * KB)
        return why_set(why, RC_BAD_JOB, "the job's descriptor has a size of %u bytes", job->size);
    if (job->reader == MR_READ_COLUMNS ? job->columns == NULL : job->map == NULL)
        return why_set(why, RC_BAD_JOB, "the job has no %s function", job->reader == MR_READ_COLUMNS ? "columns" : "map");
    if (job->partition_by == MR_PART_RANGE && !job->partition && job->compare)
        return why_set(why, RC_BAD_JOB, "MR_PART_RANGE is by bytes: it does not go with a compare function");
    if (job->fold == MR_FOLD_OWN && job->fold_own == NULL)
        return why_set(why, RC_BAD_JOB, "the job has MR_FOLD_OWN but no fold_own function");
    if (job->map_only && (job->reduce || job->fold != MR_FOLD_NONE))
        return why_set(why, RC_BAD_JOB, "the job is map_only but has a reduce or a fold");
    if (!job->map_only && !job->reduce && job->fold == MR_FOLD_NONE)
        return why_set(why, RC_BAD_JOB, "the job has neither reduce nor fold and is not map_only");
    if ((unsigned)job->fold > MR_FOLD_OWN || (unsigned)job->reader > MR_READ_COLUMNS ||
        (unsigned)job->writer > MR_WRITE_RAW || (unsigned)job->value > MR_VALUE_STATS ||
        (unsigned)job->partition_by > MR_PART_RANGE)
        return why_set(why, RC_BAD_JOB, "the job asks for a fold, reader, writer, value or partition that this engine does "
                       "not have");
    return RC_OK;
}

/* What may longjmp. */
static void
run(struct attempt *a, struct mr_map_index *ret_index)
{
    if (a->spec->is_map)
        map_run(a, ret_index);
    else
        reduce_run(a);
}

static void
fini(struct attempt *a)
{
    if (!a->emits_in_place)
        mem_free(a->emit_buf);
    mem_free((char *)(uintptr_t)a->progress.status);
    a->progress.status = NULL;
    map_fini(a);
    collect_fini(&a->collect, a->spec->is_map ? a->host->memory : NULL);
    buf_fini(&a->out);
    seg_merge_fini(&a->merge);
    for (size_t i = 0; i < a->reader_count; i++) {
        if (!a->spec->is_map && a->readers[i].fd >= 0)      /* a map's are its spills' */
            io_close(a->io, a->readers[i].fd);
        seg_reader_fini(&a->readers[i]);
    }
    mem_free(a->readers);
    buf_fini(&a->group_key);
    buf_fini(&a->group_value);
    buf_fini(&a->line);
    buf_fini(&a->second);
    for (struct further *f = a->further, *next; f != NULL; f = next) {
        next = f->next;
        buf_fini(&f->out);
        mem_free(f->name);
        mem_free(f);
    }
    for (struct attempt_block *b = a->blocks, *next; b != NULL; b = next) {
        next = b->next;
        mem_free(b);
    }
}

enum rc
mr_attempt_run(const struct mr_spec *spec, const struct mr_job *job, struct mr_host *host, struct io *io,
               struct clock *clock, struct arena *arena, struct mr_progress *ret_progress, struct mr_map_index *ret_index,
               struct why *why)
{
    struct attempt *a;
    enum rc rc;

    if ((rc = mr_job_check(job, why)) != RC_OK)
        return rc;
    if ((a = mem_zalloc(sizeof *a)) == NULL || (a->emit_buf = mem_alloc(EMIT_BYTES)) == NULL) {
        mem_free(a);
        return why_rc(why, RC_NOMEM);
    }
    a->task.api = &api;
    a->emit_cap = EMIT_BYTES;
    a->task.at = a->emit_buf;
    a->task.end = a->emit_buf + EMIT_BYTES;
    a->spec = spec;
    a->job = job;
    a->host = host;
    a->io = io;
    a->clock = clock;
    a->began_ms = clock_mono_ms(clock);
    a->spent_us = clock_mono_us(clock);
    a->spending = spec->is_map ? MRC_MAP_MICROSECONDS : MRC_REDUCE_MICROSECONDS;
    a->arena = arena;
    a->why = why;
    buf_init(&a->out, EMIT_MAX);
    buf_init(&a->group_key, EMIT_MAX);
    buf_init(&a->group_value, EMIT_MAX);
    buf_init(&a->line, EMIT_MAX);
    buf_init(&a->second, EMIT_MAX);
    a->fold = (struct folding){ job->fold, job->fold_own };
    if (host->memory != NULL && !spec->is_map)
        collect_memory_fini(host->memory);      /* a reduce needs its own */
    collect_init(&a->collect, &a->fold, job->compare == NULL, spec->sort_bytes, spec->is_map ? host->memory : NULL);
    if (setjmp(a->failed) == 0)
        run(a, ret_index);
    rc = a->rc;
    fini(a);
    (void)attempt_spend(a, a->spending);
    a->progress.counters[MRC_RUN_MILLISECONDS] = (int64_t)(clock_mono_ms(clock) - a->began_ms);
    *ret_progress = a->progress;    /* counters; the names are in arena */
    mem_free(a);
    return rc;
}
