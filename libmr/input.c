/*
 * input -- from the bytes of a split to batches of records.
 *
 * A line belongs to the split in which it begins; a split that does not start
 * at 0 leaves out everything up to the first line end at or behind its start, and
 * reads on behind its end until the line that began at or before it is whole
 * (as Hadoop's TextInputFormat does, so a line that begins exactly at the end
 * belongs to the earlier split).
 */
#include "libmr/input.h"

#include <string.h>

#define READ_BYTES  (1 * MB)
#define BATCH_MAX   1024
#define RECORD_MAX  (1 * GB)

/* Drop what was used and read more behind what is there. */
static void
fill(struct window *w)
{
    struct buf *b = &w->a->line;
    enum mr_counter was;
    uint8_t *p;
    size_t got;

    if (w->pos) {
        buf_drop_front(b, w->pos);
        w->at += w->pos;
        w->seen = w->seen > w->pos ? w->seen - w->pos : 0;
        w->pos = 0;
    }
    if ((p = buf_grow(b, READ_BYTES)) == NULL)
        attempt_fail(w->a, why_set(w->a->why, RC_NOMEM, "%s: a record at %llu is larger than 2 GB or than memory",
                                   w->a->spec->splits[w->split].path, (unsigned long long)w->at));
    b->n -= READ_BYTES;
    was = attempt_spend(w->a, MRC_READ_MICROSECONDS);
    attempt_try(w->a, w->a->host->ops->read(w->a->host, w->split, p, READ_BYTES, w->at + b->n, &got, w->a->why));
    (void)attempt_spend(w->a, was);
    b->n += got;
    w->at_eof = got == 0;
}

void
window_report(const struct window *w)
{
    const struct mr_split *s = w->a->split;
    uint64_t here = w->at + w->pos;

    attempt_report(w->a, MR_PHASE_MAP, s->bytes && here > s->start ? (double)(here - s->start) / (double)s->bytes : 0, false);
}

static void
give_batch(struct window *w)
{
    struct attempt *a = w->a;
    enum mr_counter was;

    if (w->batched == 0)
        return;
    a->progress.counters[MRC_MAP_INPUT_RECORDS] += (int64_t)w->batched;
    was = attempt_spend(a, MRC_MAP_MICROSECONDS);
    a->job->map(&a->task, a->batch, w->batched);
    (void)attempt_spend(a, was);
    w->batched = 0;
    window_report(w);
}

bool
window_line(struct window *w, size_t *ret_len, size_t *ret_whole)
{
    for (;;) {
        const struct buf *b = &w->a->line;
        size_t from = w->seen > w->pos ? w->seen : w->pos;
        const uint8_t *nl = b->n > from ? memchr(b->p + from, '\n', b->n - from) : NULL;

        if (nl) {
            *ret_whole = (size_t)(nl - (b->p + w->pos)) + 1;
            *ret_len = *ret_whole - 1;
            if (*ret_len && b->p[w->pos + *ret_len - 1] == '\r')
                (*ret_len)--;
            return true;
        }
        if (w->at_eof) {
            *ret_len = *ret_whole = b->n - w->pos;
            return *ret_len != 0;
        }
        w->seen = b->n;
        give_batch(w);      /* its records lie in the window that is about to move */
        fill(w);
    }
}

/* The record at w->pos: its first key_len of len bytes are its key. */
static void
add_record(struct window *w, size_t at, size_t key_len, size_t len)
{
    struct mr_rec *r = &w->a->batch[w->batched++];
    const char *p = (const char *)w->a->line.p + at;

    *r = (struct mr_rec){ p, key_len, p + key_len, len - key_len, w->at + w->pos };
    if (w->batched == BATCH_MAX)
        give_batch(w);
}

static void
add_line(struct window *w, const char *p, size_t len)
{
    struct mr_rec *r = &w->a->batch[w->batched++];
    const char *tab;

    *r = (struct mr_rec){ p, 0, p, len, w->at + w->pos };
    if (w->a->job->reader == MR_READ_KEY_VALUE && len && (tab = memchr(p, '\t', len)) != NULL) {
        r->key_len = (size_t)(tab - p);
        r->value = tab + 1;
        r->value_len = len - r->key_len - 1;
    } else if (w->a->job->reader == MR_READ_KEY_VALUE) {
        r->key_len = len;
        r->value += len;
        r->value_len = 0;
    }
    if (w->batched == BATCH_MAX)
        give_batch(w);
}

void
window_lines(struct window *w, bool header, void (*line)(struct window *w, const char *p, size_t len))
{
    const struct mr_split *s = w->a->split;
    uint64_t end = s->start + s->bytes;
    size_t len, whole;

    if ((s->start || header) && window_line(w, &len, &whole))
        w->pos += whole;
    /* A line that begins exactly at the end is ours, unless the file ends there. */
    while (w->at + w->pos <= end && w->at + w->pos < s->file_bytes && window_line(w, &len, &whole)) {
        line(w, (const char *)w->a->line.p + w->pos, len);
        w->pos += whole;
    }
}

/* Have n bytes at w->pos; false when the file ends there, a failure when it ends in between. */
static bool
need(struct window *w, size_t n)
{
    const struct buf *b = &w->a->line;

    while (b->n - w->pos < n) {
        if (w->at_eof && b->n == w->pos)
            return false;
        if (w->at_eof)
            attempt_fail(w->a, why_set(w->a->why, RC_JOB_FAILED, "%s ends in the middle of the record at %llu",
                                       w->a->split->path, (unsigned long long)(w->at + w->pos)));
        give_batch(w);
        fill(w);
    }
    return true;
}

/* Records of one size; one belongs to the split in which it begins. */
static void
run_fixed(struct window *w)
{
    const struct mr_split *s = w->a->split;
    const struct mr_job *job = w->a->job;
    size_t size = job->record_bytes ? job->record_bytes : (size_t)attempt_number(w->a, "mr.record.bytes", "", 1, 64 * MB);
    size_t key = job->record_bytes ? job->key_bytes : (size_t)attempt_number(w->a, "mr.record.key.bytes", "0", 0, size);

    for (w->at = (s->start + size - 1) / size * size; w->at + w->pos < s->start + s->bytes && need(w, size); w->pos += size)
        add_record(w, w->pos, key, size);
}

static void
run_prefixed(struct window *w)
{
    while (need(w, 4)) {
        const uint8_t *p = w->a->line.p + w->pos;
        size_t n = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;

        if (n > RECORD_MAX)
            attempt_fail(w->a, why_set(w->a->why, RC_JOB_FAILED, "%s: the record at %llu says that it has %zu bytes; at "
                                       "most 1 GB", w->a->split->path, (unsigned long long)(w->at + w->pos), n));
        (void)need(w, 4 + n);           /* its head is there: this fails or succeeds */
        add_record(w, w->pos + 4, 0, n);
        w->pos += 4 + n;
    }
}

static void
run_file(struct window *w)
{
    while (!w->at_eof)
        fill(w);
    w->a->batch[0] = (struct mr_rec){ w->a->split->path, strlen(w->a->split->path), (const char *)w->a->line.p, w->a->line.n, 0 };
    w->batched = 1;
}

void
input_run(struct attempt *a, size_t i)
{
    struct window w = { .a = a, .split = i, .at = a->spec->splits[i].start };
    enum mr_counter was = attempt_spend(a, MRC_PARSE_MICROSECONDS);

    a->split = &a->spec->splits[i];
    buf_clear(&a->line);
    if (a->batch == NULL && (a->batch = arena_calloc(a->arena, BATCH_MAX, sizeof *a->batch)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    switch (a->job->reader) {
    case MR_READ_LINES:
    case MR_READ_KEY_VALUE:
        window_lines(&w, false, add_line);
        break;
    case MR_READ_FIXED:
        run_fixed(&w);
        break;
    case MR_READ_PREFIXED:
        run_prefixed(&w);
        break;
    case MR_READ_FILE:
        run_file(&w);
        break;
    case MR_READ_COLUMNS:
        columns_run(&w);
        break;
    }
    give_batch(&w);
    a->progress.counters[MRC_MAP_INPUT_BYTES] += (int64_t)a->split->bytes;
    a->split = NULL;
    (void)attempt_spend(a, was);
}
