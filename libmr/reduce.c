/*
 * reduce -- the reduce side: segments of all maps, merged in order of key and
 * then of map, given to reduce or folded, to final output.
 */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/mem.h"
#include "libmr/attempt.h"

/* Take the segments as they arrive; a->readers[i] is map i's. */
static void
gather(struct attempt *a)
{
    enum mr_counter was = attempt_spend(a, MRC_FETCH_MICROSECONDS);
    uint32_t maps = a->spec->map_count, got = 0;
    struct mr_segment seg;
    bool more;

    if ((a->readers = mem_calloc(maps ? maps : 1, sizeof *a->readers)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    for (uint32_t i = 0; i < maps; i++)
        a->readers[i].fd = -1;
    a->reader_count = maps;
    for (;; got++) {
        uint32_t at;

        attempt_report(a, MR_PHASE_SHUFFLE, maps ? (double)got / maps : 1, false);
        attempt_try(a, a->host->ops->next_segment(a->host, &seg, &more, a->why));
        if (!more)
            break;
        at = old_bug(OLD_BUG_FOLD_BY_ARRIVAL) ? got : seg.map;
        if (at >= maps || a->readers[at].fd >= 0) {
            io_close(a->io, seg.fd);
            attempt_fail(a, why_set(a->why, RC_BUG, "output of map %u came twice or is not of this job", seg.map));
        }
        seg_reader_init(&a->readers[at], a->io, seg.fd, seg.at, seg.bytes, at);
        a->progress.counters[MRC_SHUFFLED_MAPS]++;
        a->progress.counters[MRC_REDUCE_SHUFFLE_BYTES] += (int64_t)seg.bytes;
        a->progress.counters[MRC_FILE_BYTES_READ] += (int64_t)seg.bytes;
    }
    if (got != maps)
        attempt_fail(a, why_set(a->why, RC_BUG, "%u of %u map outputs came", got, maps));
    a->progress.counters[MRC_SHUFFLE_MILLISECONDS] = (int64_t)(clock_mono_ms(a->clock) - a->began_ms);
    (void)attempt_spend(a, was);
}

/* Merge readers [from, to) into one, which takes the place of reader `from`. */
static void
premerge(struct attempt *a, size_t from, size_t to)
{
    struct seg_reader **heap = mem_calloc(to - from, sizeof *heap), *top;
    struct seg_writer w;
    int fd;
    enum rc rc;

    if (heap == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    for (size_t i = from; i < to; i++)
        heap[i - from] = &a->readers[i];
    a->merge.heap = heap;
    attempt_try(a, a->host->ops->scratch(a->host, &fd, a->why));
    seg_writer_init(&w, a->io, fd, a->spec->compress);
    rc = seg_merge_init(&a->merge, heap, to - from, a->job->compare, a->why);
    while (rc == RC_OK && (top = seg_merge_top(&a->merge)) != NULL) {
        if ((rc = seg_put(&w, top->key, top->value, a->why)) == RC_OK)
            rc = seg_merge_next(&a->merge, a->why);
        a->progress.counters[MRC_SPILLED_RECORDS]++;
    }
    if (rc == RC_OK)
        rc = seg_end(&w, a->why);
    seg_merge_fini(&a->merge);
    for (size_t i = from; i < to; i++) {
        io_close(a->io, a->readers[i].fd);
        seg_reader_fini(&a->readers[i]);
        a->readers[i].fd = -1;
    }
    seg_reader_init(&a->readers[from], a->io, fd, 0, w.at, (uint32_t)from);
    a->progress.counters[MRC_FILE_BYTES_WRITTEN] += (int64_t)w.at;
    a->progress.counters[MRC_FILE_BYTES_READ] += (int64_t)w.at;     /* they will be */
    seg_writer_fini(&w);
    attempt_try(a, rc);
}

/* Rounds of merges of neighbours until at most sort_factor readers are left, in order. */
static void
narrow(struct attempt *a)
{
    enum mr_counter was = attempt_spend(a, MRC_MERGE_MICROSECONDS);
    size_t factor = a->spec->sort_factor < 2 ? 2 : a->spec->sort_factor;

    while (a->reader_count > factor) {
        size_t kept = 0, left = a->reader_count;

        for (size_t from = 0; from < left; from += factor, kept++) {
            size_t to = from + factor < left ? from + factor : left;

            attempt_report(a, MR_PHASE_MERGE, (double)from / (double)left, false);
            if (to - from > 1)
                premerge(a, from, to);
            if (kept != from) {
                a->readers[kept] = a->readers[from];
                memset(&a->readers[from], 0, sizeof a->readers[from]);
                a->readers[from].fd = -1;
            }
            a->readers[kept].source = (uint32_t)kept;
        }
        a->reader_count = kept;
    }
    (void)attempt_spend(a, was);
}

#define MERGE_SAMPLE 128            /* of so many steps of the merge, one is timed */
#define CLOCK_READINGS 64

/* On to the next pair. */
static void
merge_step(struct attempt *a)
{
    uint64_t from_us;

    if (++a->merge_steps % MERGE_SAMPLE != 0) {
        attempt_try(a, seg_merge_next(&a->merge, a->why));
        return;
    }
    from_us = clock_mono_us(a->clock);
    attempt_try(a, seg_merge_next(&a->merge, a->why));
    a->merge_us += clock_mono_us(a->clock) - from_us;
}

/* The steps of the merge lie between the calls of reduce: their time is estimated from a sample, without what reading the
 * clock cost, and taken off reduce's. */
static void
part_merge_from_reduce(struct attempt *a)
{
    int64_t *reduce_us = &a->progress.counters[MRC_REDUCE_MICROSECONDS];
    uint64_t from_us = clock_mono_us(a->clock);
    double reading_us, merge_us;

    if (a->merge_steps < MERGE_SAMPLE)
        return;
    for (int i = 0; i < CLOCK_READINGS; i++)
        (void)clock_mono_us(a->clock);
    reading_us = (double)(clock_mono_us(a->clock) - from_us) / CLOCK_READINGS;
    merge_us = (double)a->merge_us * MERGE_SAMPLE - reading_us * (double)a->merge_steps;
    (void)attempt_spend(a, MRC_REDUCE_MICROSECONDS);
    if (merge_us < 0)
        return;
    if (merge_us > (double)*reduce_us)
        merge_us = (double)*reduce_us;
    *reduce_us -= (int64_t)merge_us;
    a->progress.counters[MRC_MERGE_MICROSECONDS] += (int64_t)merge_us;
}

static bool
in_group(struct attempt *a, const struct seg_reader *r)
{
    struct mr_bytes key = { (char *)a->group_key.p, a->group_key.n };
    mr_compare_fn *same = a->job->group ? a->job->group : a->job->compare;

    if (same == NULL)
        return key.n == r->key.n && a->group_prefix == r->prefix &&
               (key.n <= sizeof r->prefix || memcmp(key.p, r->key.p, key.n) == 0);
    return same(key, r->key) == 0;
}

/* The next value of the group: the merge's smallest pair, if it has the group's key. */
static int
next_merged(struct mr_values *v, struct mr_bytes *ret)
{
    struct attempt *a = v->a;
    struct seg_reader *top;

    if (!v->first) {
        if (seg_merge_top(&a->merge) == NULL)
            return 0;
        merge_step(a);
    }
    v->first = false;
    if ((top = seg_merge_top(&a->merge)) == NULL || !in_group(a, top))
        return 0;
    a->progress.counters[MRC_REDUCE_INPUT_RECORDS]++;
    *ret = top->value;
    return 1;
}

static int
next_none(struct mr_values *v, struct mr_bytes *ret)
{
    (void)v;
    (void)ret;
    return 0;
}

/* Walk to the end of the group; afterwards the merge stands on the next one. */
static int
next_value(struct mr_values *v, struct mr_bytes *ret)
{
    int more = next_merged(v, ret);

    if (!more)
        v->next = next_none;
    return more;
}

/* The one value that a fold left. */
static int
next_folded(struct mr_values *v, struct mr_bytes *ret)
{
    *ret = (struct mr_bytes){ (char *)v->a->group_value.p, v->a->group_value.n };
    v->next = next_none;
    return 1;
}

/* Fold the whole group into a->group_value. */
static void
fold_group(struct attempt *a, struct mr_values *v)
{
    struct mr_bytes value;
    bool first = true;

    buf_clear(&a->group_value);
    while (v->next(v, &value)) {
        if (!first && value.n == a->group_value.n) {
            if (!fold_into(&a->fold, a->group_value.p, value.p, value.n))
                attempt_fail(a, why_rc(a->why, RC_NOMEM));
            continue;
        }
        if (!first || !fold_fits(a->job->fold, value.n))
            attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "values of one key have %zu and %zu bytes: the fold needs one "
                                    "length", a->group_value.n, value.n));
        first = false;
        buf_put(&a->group_value, value.p, value.n);
        if (!buf_ok(&a->group_value))
            attempt_fail(a, why_rc(a->why, RC_NOMEM));
    }
}

static void
reduce_group(struct attempt *a)
{
    struct mr_values v = { .a = a, .next = next_value, .first = true };
    struct seg_reader *top = seg_merge_top(&a->merge);
    struct mr_bytes key, value;

    buf_clear(&a->group_key);
    buf_put(&a->group_key, top->key.p, top->key.n);
    if (!buf_ok(&a->group_key))
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    a->group_prefix = top->prefix;
    key = (struct mr_bytes){ (char *)a->group_key.p, a->group_key.n };
    v.key = key;
    a->progress.counters[MRC_REDUCE_INPUT_GROUPS]++;
    if (a->job->fold != MR_FOLD_NONE) {
        fold_group(a, &v);
        if (a->job->reduce == NULL) {
            a->progress.counters[MRC_REDUCE_OUTPUT_RECORDS]++;
            output_pair(a, key, (struct mr_bytes){ (char *)a->group_value.p, a->group_value.n },
                        fold_value(a->job->fold));
            return;
        }
        v = (struct mr_values){ .a = a, .next = next_folded, .key = key };
        a->job->reduce(&a->task, key, &v);
        return;
    }
    a->job->reduce(&a->task, key, &v);
    while (v.next(&v, &value))
        ;       /* what reduce did not ask for */
}

void
reduce_run(struct attempt *a)
{
    struct seg_reader **heap;
    uint64_t total = 0, left;

    a->sink = sink_output;
    gather(a);
    attempt_report(a, MR_PHASE_SHUFFLE, 1, true);
    narrow(a);
    for (size_t i = 0; i < a->reader_count; i++)
        total += a->readers[i].end - a->readers[i].at;
    if ((heap = mem_calloc(a->reader_count ? a->reader_count : 1, sizeof *heap)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    for (size_t i = 0; i < a->reader_count; i++)
        heap[i] = &a->readers[i];
    a->merge.heap = heap;
    attempt_try(a, seg_merge_init(&a->merge, heap, a->reader_count, a->job->compare, a->why));
    if (a->job->setup)
        a->job->setup(&a->task);
    for (uint64_t groups = 0; seg_merge_top(&a->merge); groups++) {
        reduce_group(a);
        if (groups % 1024 == 0) {
            left = 0;
            for (size_t i = 0; i < a->merge.n; i++)
                left += a->merge.heap[i]->end - a->merge.heap[i]->at;
            attempt_report(a, MR_PHASE_REDUCE, total ? 1 - (double)left / (double)total : 1, false);
        }
    }
    part_merge_from_reduce(a);
    if (a->job->cleanup)
        a->job->cleanup(&a->task);
    attempt_flush(a);
    output_flush_all(a);
    attempt_report(a, MR_PHASE_REDUCE, 1, true);
}
