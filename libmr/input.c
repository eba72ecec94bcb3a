/*
 * input -- from the bytes of a split to batches of records.
 *
 * A line belongs to the split in which it begins; a split that does not start
 * at 0 leaves out everything up to the first line end at or behind its start, and
 * reads on behind its end until the line that began at or before it is whole
 * (as Hadoop's TextInputFormat does, so a line that begins exactly at the end
 * belongs to the earlier split).
 */
#include <stdlib.h>
#include <string.h>

#include "libmr/attempt.h"

#define READ_BYTES  (1 * MB)
#define BATCH_MAX   1024

/* A window on the file: a->line holds bytes [at, at + line.n). */
struct window {
    struct attempt *a;
    size_t split;
    uint64_t at;
    size_t pos;             /* next byte to use, in the window */
    size_t seen;            /* bytes of the window that hold no line end from pos on */
    bool at_eof;
    size_t batched;         /* records in a->batch */
};

/* Drop what was used and read more behind what is there. */
static void
fill(struct window *w)
{
    struct buf *b = &w->a->line;
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
    attempt_try(w->a, w->a->host->ops->read(w->a->host, w->split, p, READ_BYTES, w->at + b->n, &got, w->a->why));
    b->n += got;
    w->at_eof = got == 0;
}

static void
give_batch(struct window *w)
{
    struct attempt *a = w->a;
    const struct mr_split *s = &a->spec->splits[w->split];
    uint64_t here = w->at + w->pos;

    if (w->batched == 0)
        return;
    a->progress.counters[MRC_MAP_INPUT_RECORDS] += (int64_t)w->batched;
    a->job->map(&a->task, a->batch, w->batched);
    w->batched = 0;
    attempt_report(a, MR_PHASE_MAP, s->bytes && here > s->start ? (double)(here - s->start) / (double)s->bytes : 0, false);
}

/* Find the line at w->pos.  Returns its length without its end, and in *ret_whole its length with it; false at the
 * end of the file. */
static bool
next_line(struct window *w, size_t *ret_len, size_t *ret_whole)
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

static void
add_record(struct window *w, const uint8_t *p, size_t len)
{
    struct mr_rec *r = &w->a->batch[w->batched++];
    const char *tab;

    r->at = w->at + w->pos;
    r->key = (const char *)p;
    r->key_len = 0;
    r->value = (const char *)p;
    r->value_len = len;
    if (w->a->job->reader == MR_READ_KEY_VALUE && (tab = memchr(p, '\t', len)) != NULL) {
        r->key_len = (size_t)(tab - (const char *)p);
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

static void
run_lines(struct window *w, const struct mr_split *s)
{
    uint64_t end = s->start + s->bytes;
    size_t len, whole;

    if (s->start && next_line(w, &len, &whole))
        w->pos += whole;
    /* A line that begins exactly at the end is ours, unless the file ends there. */
    while (w->at + w->pos <= end && w->at + w->pos < s->file_bytes && next_line(w, &len, &whole)) {
        add_record(w, w->a->line.p + w->pos, len);
        w->pos += whole;
    }
}

/* Records of `size` bytes; one belongs to the split in which it begins. */
static void
run_fixed(struct window *w, const struct mr_split *s, size_t size)
{
    uint64_t end = s->start + s->bytes;

    while (w->at + w->pos < end) {
        const struct buf *b = &w->a->line;

        if (b->n - w->pos < size) {
            if (w->at_eof) {
                if (b->n == w->pos)
                    return;
                attempt_fail(w->a, why_set(w->a->why, RC_JOB_FAILED, "%s ends in the middle of a record of %zu bytes",
                                           s->path, size));
            }
            give_batch(w);
            fill(w);
            continue;
        }
        add_record(w, b->p + w->pos, size);
        w->pos += size;
    }
}

static size_t
record_bytes(struct attempt *a)
{
    const char *text = mr_option(&a->task, "mr.record.bytes", "0");
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (*end || n == 0 || n > 64 * MB)
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "fixed-length records need -D mr.record.bytes=N (1 .. 64 MB), "
                                "not \"%s\"", text));
    return (size_t)n;
}

void
input_run(struct attempt *a, size_t i)
{
    const struct mr_split *s = &a->spec->splits[i];
    struct window w = { .a = a, .split = i, .at = s->start };

    buf_clear(&a->line);
    if (a->batch == NULL && (a->batch = arena_calloc(a->arena, BATCH_MAX, sizeof *a->batch)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    if (a->job->reader == MR_READ_FIXED) {
        size_t size = record_bytes(a);

        w.at = (s->start + size - 1) / size * size;
        run_fixed(&w, s, size);
    } else {
        run_lines(&w, s);
    }
    give_batch(&w);
    a->progress.counters[MRC_MAP_INPUT_BYTES] += (int64_t)s->bytes;
}
