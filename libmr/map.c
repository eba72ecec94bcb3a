/*
 * map -- the map side: input to callbacks, pairs to memory, memory to spills,
 * spills to one output file with a segment a partition.
 */

#include "core/base/check.h"
#include "core/base/mem.h"
#include "libmr/attempt.h"

#define COMBINE_BUF_BYTES (64 * KB)
#define FETCH_AHEAD 24          /* pairs, when they are written in order */

/* A file of segments: partition i is [at[i], at[i + 1]). */
struct spill {
    int fd;
    uint64_t *at;
    uint32_t *crc;                  /* of each partition */
};

struct map_state {
    struct spill *spills;
    size_t spill_count, spill_cap;
    struct seg_writer writer;       /* of the file that is being written */
    struct spill open;              /* that file, until it counts as a spill */
    char *combine_buf;              /* what combine emits; sink_collect still reads the other one */
    size_t combine_cap;
    struct mr_bytes combine_key;
};

static void
spill_fini(struct attempt *a, struct spill *s)
{
    if (s->fd >= 0)
        io_close(a->io, s->fd);
    mem_free(s->at);
    mem_free(s->crc);
    s->fd = -1;
    s->at = NULL;
    s->crc = NULL;
}

void
map_fini(struct attempt *a)
{
    if (a->map == NULL)
        return;
    for (size_t i = 0; i < a->map->spill_count; i++)
        spill_fini(a, &a->map->spills[i]);
    spill_fini(a, &a->map->open);
    mem_free(a->map->spills);
    mem_free(a->map->combine_buf);
    seg_writer_fini(&a->map->writer);
    mem_free(a->map);
    a->map = NULL;
}

/* The number of bounds that are not above the key. */
static uint32_t
range_part(struct attempt *a, struct mr_bytes key)
{
    size_t low = 0, high = a->spec->bound_count;
    uint64_t prefix = seg_prefix(key);

    if (high + 1 != a->spec->reduce_count)
        attempt_fail(a, why_set(a->why, RC_BAD_JOB, "%zu bounds for %u reduces", high, a->spec->reduce_count));
    while (low < high) {
        size_t mid = (low + high) / 2;
        uint64_t bound = seg_prefix(a->spec->bounds[mid]);

        if (bound != prefix ? bound < prefix : seg_compare(a->spec->bounds[mid], key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return (uint32_t)low;
}

static uint32_t
part_of(void *arg, struct mr_bytes key)
{
    struct attempt *a = arg;
    uint32_t parts = a->spec->reduce_count, part;

    if (a->job->partition == NULL && a->job->partition_by == MR_PART_RANGE && parts > 1)
        return range_part(a, key);
    if (a->job->partition == NULL)
        return collect_hash_part(mr_hash(key.p, key.n), parts);
    part = a->job->partition(&a->task, key, parts);
    if (part >= parts)
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "partition gave %u of 0 .. %u", part, parts - 1));
    return part;
}

static void
put_pair(struct attempt *a, struct mr_bytes key, struct mr_bytes value)
{
    a->progress.counters[MRC_SPILLED_RECORDS]++;
    attempt_try(a, seg_put(&a->map->writer, key, value, a->why));
}

/* Open a file of segments: a spill, or the map's output. */
static void
open_spill(struct attempt *a, bool output)
{
    struct map_state *m = a->map;

    if ((m->open.at = mem_calloc(a->spec->reduce_count + 1, sizeof *m->open.at)) == NULL ||
        (m->open.crc = mem_calloc(a->spec->reduce_count, sizeof *m->open.crc)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    attempt_try(a, output ? a->host->ops->map_output(a->host, &m->open.fd, a->why)
                          : a->host->ops->scratch(a->host, &m->open.fd, a->why));
    seg_writer_fini(&m->writer);
    seg_writer_init(&m->writer, a->io, m->open.fd, a->spec->compress);
}

/* The open file becomes the last spill. */
static void
keep_spill(struct attempt *a)
{
    struct map_state *m = a->map;

    if (!mem_room(&m->spills, m->spill_count, &m->spill_cap, sizeof *m->spills))
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    m->spills[m->spill_count++] = m->open;
    m->open = (struct spill){ .fd = -1 };
}

static int
next_collected(struct mr_values *v, struct mr_bytes *ret)
{
    struct mr_bytes key;

    if (v->ref == v->ref_end)
        return 0;
    collect_get(v->collect, v->ref++, &key, ret);
    v->a->progress.counters[MRC_COMBINE_INPUT_RECORDS]++;
    return 1;
}

/* What combine emits goes to the segment of the group's partition. */
static void
sink_combine(struct attempt *a, const char *p, size_t n)
{
    const char *end = p + n;
    struct mr_bytes key, value;

    while (p < end) {
        pair_get(&p, &key, &value);
        if (seg_compare(key, a->map->combine_key) != 0)
            attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "combine emitted another key than it was given"));
        a->progress.counters[MRC_COMBINE_OUTPUT_RECORDS]++;
        put_pair(a, key, value);
    }
}

/* Give the run [ref, end) of one key to combine. */
static void
combine_run(struct attempt *a, const struct collect_ref *ref, const struct collect_ref *end)
{
    struct mr_values v = { .a = a, .next = next_collected, .ref = ref, .ref_end = end, .collect = &a->collect };
    struct mr_bytes value;

    collect_get(&a->collect, ref, &v.key, &value);
    a->map->combine_key = v.key;
    a->job->combine(&a->task, v.key, &v);
    attempt_flush(a);
}

static const struct collect_ref *
run_end(struct attempt *a, const struct collect_ref *ref, const struct collect_ref *end)
{
    const struct collect_ref *r = ref + 1;
    struct mr_bytes first, key, value;

    collect_get(&a->collect, ref, &first, &value);
    for (; r < end && r->part == ref->part && r->prefix == ref->prefix; r++) {
        collect_get(&a->collect, r, &key, &value);
        if (a->job->compare ? a->job->compare(first, key) != 0 : seg_compare(first, key) != 0)
            break;
    }
    return r;
}

/* The open file is written. */
static void
count_written(struct attempt *a)
{
    a->progress.counters[MRC_FILE_BYTES_WRITTEN] += (int64_t)a->map->writer.at;
}

/* Write the collected, sorted pairs into the open file. */
static void
write_collected(struct attempt *a)
{
    struct map_state *m = a->map;
    const struct collect_ref *ref = a->collect.refs, *end = ref + a->collect.count, *stop;
    struct mr_bytes key, value;

    for (uint32_t part = 0; part < a->spec->reduce_count; part++) {
        m->open.at[part] = m->writer.at;
        for (; ref < end && ref->part == part; ref = stop) {
            if (a->job->combine) {
                stop = run_end(a, ref, end);
                combine_run(a, ref, stop);
                continue;
            }
            stop = ref + 1;
            if (end - ref > FETCH_AHEAD)
                collect_fetch(&a->collect, ref + FETCH_AHEAD);
            collect_get(&a->collect, ref, &key, &value);
            put_pair(a, key, value);
        }
        attempt_try(a, seg_end(&m->writer, a->why));
        m->open.crc[part] = m->writer.crc;
    }
    count_written(a);
    m->open.at[a->spec->reduce_count] = m->writer.at;
}

/* Sort what is collected and write it into the open file; the collector is empty afterwards. */
static void
spill_collected(struct attempt *a, bool output)
{
    enum mr_counter was = attempt_spend(a, MRC_SORT_MICROSECONDS);
    struct map_state *m = a->map;
    struct mr_task kept = a->task;
    char *emit_buf = a->emit_buf;
    size_t emit_cap = a->emit_cap;
    void (*sink)(struct attempt *, const char *, size_t) = a->sink;

    if (a->job->combine && m->combine_buf == NULL) {
        if ((m->combine_buf = mem_alloc(COMBINE_BUF_BYTES)) == NULL)
            attempt_fail(a, why_rc(a->why, RC_NOMEM));
        m->combine_cap = COMBINE_BUF_BYTES;
    }
    if (collect_sort(&a->collect, part_of, a, a->job->compare) != RC_OK)
        attempt_fail(a, why_set(a->why, RC_NOMEM, "no memory to sort %zu pairs", a->collect.count));
    (void)attempt_spend(a, MRC_SPILL_MICROSECONDS);
    open_spill(a, output);
    if (a->job->combine) {
        a->emit_buf = m->combine_buf;
        a->emit_cap = m->combine_cap;
        m->combine_buf = emit_buf;      /* whichever of the two is in m is freed at the end */
        a->task.at = a->emit_buf;
        a->task.end = a->emit_buf + a->emit_cap;
        a->sink = sink_combine;
    }
    write_collected(a);
    if (a->job->combine) {
        m->combine_buf = a->emit_buf;
        m->combine_cap = a->emit_cap;
        a->emit_buf = emit_buf;
        a->emit_cap = emit_cap;
        a->task.at = kept.at;
        a->task.end = kept.end;
        a->sink = sink;
    }
    collect_clear(&a->collect);
    (void)attempt_spend(a, was);
}

void
map_window(struct attempt *a, size_t need)
{
    size_t n = need > EMIT_BYTES ? need : EMIT_BYTES;
    char *p = collect_window(&a->collect, n);

    if (p == NULL)
        attempt_fail(a, why_set(a->why, RC_NOMEM, "no memory to collect map output"));
    a->emit_buf = a->task.at = p;
    a->emit_cap = n;
    a->task.end = p + n;
}

/* The collector was emptied: pairs [p, end) lie in it behind where it begins now. */
static void
move_to_front(struct attempt *a, const char **p, const char **end)
{
    size_t n = (size_t)(*end - *p);

    memmove(a->collect.pairs, *p, n);
    *p = a->collect.pairs;
    *end = *p + n;
}

void
sink_collect(struct attempt *a, const char *p, size_t n)
{
    const char *end = p + n;
    bool folds = a->job->fold != MR_FOLD_NONE;
    int64_t *counters = a->progress.counters;

    while (p < end) {
        const char *from = p;
        size_t added;
        enum collect_result r = collect_add(&a->collect, &p, end, &added);

        counters[MRC_MAP_OUTPUT_RECORDS] += (int64_t)added;
        counters[MRC_MAP_OUTPUT_BYTES] += p - from - (int64_t)(added * sizeof(struct mr_pair));
        counters[MRC_COMBINE_INPUT_RECORDS] += folds ? (int64_t)added : 0;
        if (r == COLLECT_FULL) {
            counters[MRC_SPILLS]++;
            counters[MRC_COMBINE_OUTPUT_RECORDS] += folds ? (int64_t)a->collect.count : 0;
            spill_collected(a, false);
            keep_spill(a);
            if (a->emits_in_place)
                move_to_front(a, &p, &end);
        } else if (r == COLLECT_BAD_VALUE) {
            struct mr_bytes key, value;

            pair_get(&p, &key, &value);
            attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "a value of %zu bytes does not fit the job's fold: use the "
                                    "mr_emit_ call of its type", value.n));
        } else if (r != COLLECT_OK) {
            attempt_fail(a, why_set(a->why, RC_NOMEM, "no memory to collect map output"));
        }
    }
    if (a->emits_in_place)
        map_window(a, 0);
}

/* Merge one partition of spills [from, to) into the open file. */
static void
merge_part(struct attempt *a, size_t from, size_t to, uint32_t part)
{
    struct map_state *m = a->map;
    struct seg_reader **heap, *top;
    bool folds = a->job->fold != MR_FOLD_NONE, have = false;

    a->reader_count = 0;
    if ((heap = mem_calloc(to - from, sizeof *heap)) == NULL ||
        (a->readers = mem_calloc(to - from, sizeof *a->readers)) == NULL) {
        mem_free(heap);
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    }
    for (size_t i = from; i < to; i++) {
        struct spill *s = &m->spills[i];
        struct seg_reader *r = &a->readers[a->reader_count];

        seg_reader_init(r, a->io, s->fd, s->at[part], s->at[part + 1] - s->at[part], (uint32_t)i);
        a->progress.counters[MRC_FILE_BYTES_READ] += (int64_t)(s->at[part + 1] - s->at[part]);
        heap[a->reader_count++] = r;
    }
    m->open.at[part] = m->writer.at;
    a->merge.heap = heap;
    attempt_try(a, seg_merge_init(&a->merge, heap, to - from, a->job->compare, a->why));
    for (; (top = seg_merge_top(&a->merge)) != NULL; attempt_try(a, seg_merge_next(&a->merge, a->why))) {
        struct mr_bytes key = { (char *)a->group_key.p, a->group_key.n };

        if (!folds) {
            put_pair(a, top->key, top->value);
            continue;
        }
        if (have && seg_compare(key, top->key) == 0 && top->value.n == a->group_value.n) {
            if (!fold_into(&a->fold, a->group_value.p, top->value.p, top->value.n))
                attempt_fail(a, why_rc(a->why, RC_NOMEM));
            continue;
        }
        if (have)
            put_pair(a, key, (struct mr_bytes){ (char *)a->group_value.p, a->group_value.n });
        buf_clear(&a->group_key);
        buf_clear(&a->group_value);
        buf_put(&a->group_key, top->key.p, top->key.n);
        buf_put(&a->group_value, top->value.p, top->value.n);
        if (!buf_ok(&a->group_key) || !buf_ok(&a->group_value))
            attempt_fail(a, why_rc(a->why, RC_NOMEM));
        have = true;
    }
    if (have)
        put_pair(a, (struct mr_bytes){ (char *)a->group_key.p, a->group_key.n },
                 (struct mr_bytes){ (char *)a->group_value.p, a->group_value.n });
    attempt_try(a, seg_end(&m->writer, a->why));
    m->open.crc[part] = m->writer.crc;
    for (size_t i = 0; i < a->reader_count; i++)
        seg_reader_fini(&a->readers[i]);
    a->reader_count = 0;
    mem_free(a->readers);
    a->readers = NULL;
    seg_merge_fini(&a->merge);
}

/* Merge spills [from, to), in their order, into a new file. */
static void
merge_spills(struct attempt *a, size_t from, size_t to, bool output)
{
    enum mr_counter was = attempt_spend(a, MRC_MERGE_MICROSECONDS);

    open_spill(a, output);
    for (uint32_t part = 0; part < a->spec->reduce_count; part++)
        merge_part(a, from, to, part);
    count_written(a);
    a->map->open.at[a->spec->reduce_count] = a->map->writer.at;
    (void)attempt_spend(a, was);
}

/* One round: each run of up to sort_factor neighbours becomes one spill. */
static void
merge_round(struct attempt *a)
{
    struct map_state *m = a->map;
    size_t left = m->spill_count, done = 0;

    for (size_t from = 0; from < left; from += a->spec->sort_factor, done++) {
        size_t to = from + a->spec->sort_factor < left ? from + a->spec->sort_factor : left;

        merge_spills(a, from, to, false);
        for (size_t i = from; i < to; i++)
            spill_fini(a, &m->spills[i]);
        m->spills[done] = m->open;
        m->open = (struct spill){ .fd = -1 };
    }
    m->spill_count = done;
}

/* Everything was emitted: make the map's one output file. */
static void
finish(struct attempt *a, struct mr_map_index *ret_index)
{
    struct map_state *m = a->map;

    attempt_report(a, MR_PHASE_SORT, 0, true);
    if (a->job->fold != MR_FOLD_NONE)
        a->progress.counters[MRC_COMBINE_OUTPUT_RECORDS] += (int64_t)a->collect.count;
    if (m->spill_count == 0) {
        spill_collected(a, true);
    } else {
        if (a->collect.count) {
            a->progress.counters[MRC_SPILLS]++;
            spill_collected(a, false);
            keep_spill(a);
        }
        while (m->spill_count > a->spec->sort_factor)
            merge_round(a);
        merge_spills(a, 0, m->spill_count, true);
    }
    a->progress.counters[MRC_MAP_OUTPUT_MATERIALIZED_BYTES] = (int64_t)m->writer.at;
    ret_index->at = m->open.at;
    ret_index->crc = m->open.crc;
    ret_index->parts = a->spec->reduce_count;
    m->open.at = NULL;      /* the caller's now, both */
    m->open.crc = NULL;
}

void
map_run(struct attempt *a, struct mr_map_index *ret_index)
{
    bool map_only = a->spec->reduce_count == 0;

    if (map_only != (a->job->map_only != 0))
        attempt_fail(a, why_set(a->why, RC_BAD_JOB, "%u reduces for a job that is%s map_only", a->spec->reduce_count,
                                a->job->map_only ? "" : " not"));
    if (!map_only && (a->map = mem_zalloc(sizeof *a->map)) == NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    if (a->map)
        a->map->open.fd = -1;
    a->sink = map_only ? sink_output : sink_collect;
    if (!map_only && a->job->fold == MR_FOLD_NONE && a->job->combine == NULL) {
        mem_free(a->emit_buf);
        a->emit_buf = NULL;
        a->emits_in_place = true;
        map_window(a, 0);
    }
    if (a->job->setup)
        a->job->setup(&a->task);
    for (size_t i = 0; i < a->spec->split_count; i++)
        input_run(a, i);
    if (a->job->cleanup)
        a->job->cleanup(&a->task);
    attempt_flush(a);
    if (map_only)
        output_flush_all(a);
    else
        finish(a, ret_index);
    attempt_report(a, map_only ? MR_PHASE_MAP : MR_PHASE_SORT, 1, true);
}
