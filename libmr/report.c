#include "libmr/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define SLOW_RATIO 1.5              /* of the median */
#define SLOW_S 0.1                  /* and so much more */
#define UNEQUAL_RATIO 1.3

const struct report_part_name report_part_names[REPORT_PARTS] = {
    [REPORT_READ] = { "read", "READ_MICROSECONDS", "MAP_INPUT_BYTES", "waiting for bytes of the input" },
    [REPORT_PARSE] = { "parse", "PARSE_MICROSECONDS", NULL, "cutting input into records or columns" },
    [REPORT_MAP] = { "map", "MAP_MICROSECONDS", "MAP_OUTPUT_BYTES", "the job's map function" },
    [REPORT_FOLD] = { "fold", "FOLD_MICROSECONDS", NULL, "folding what maps emit, or collecting it" },
    [REPORT_SORT] = { "sort", "SORT_MICROSECONDS", NULL, "sorting what was collected" },
    [REPORT_SPILL] = { "spill", "SPILL_MICROSECONDS", "MAP_OUTPUT_MATERIALIZED_BYTES", "writing it to local disk" },
    [REPORT_FETCH] = { "fetch", "FETCH_MICROSECONDS", "REDUCE_SHUFFLE_BYTES", "waiting for map outputs" },
    [REPORT_MERGE] = { "merge", "MERGE_MICROSECONDS", NULL, "merging spills and map outputs" },
    [REPORT_REDUCE] = { "reduce", "REDUCE_MICROSECONDS", NULL, "the job's reduce function, or its fold" },
    [REPORT_WRITE] = { "write", "WRITE_MICROSECONDS", "OUTPUT_BYTES", "giving output to the filesystem" },
    [REPORT_START] = { "start", NULL, NULL, "from its place in a slot to its process" },
    [REPORT_OTHER] = { "other", NULL, NULL, "opening and closing; attempts that were in vain" },
};

static int64_t
counter(const JtAttemptStatus *s, const char *name)
{
    for (size_t i = 0; i < s->n_counters; i++)
        if (!s->counters[i]->user && strcmp(s->counters[i]->name, name) == 0)
            return s->counters[i]->value;
    return 0;
}

static void
fill_parts(struct report *r, struct report_attempt *a)
{
    double all = (double)(a->to_ms - a->from_ms) / 1000, run = a->counted ? (double)a->s->run_ms / 1000 : all;

    if (run > all)                  /* they are read from two clocks */
        all = run;
    a->part_s[REPORT_OTHER] = run;
    for (int i = 0; i < REPORT_PARTS; i++) {
        if (report_part_names[i].time == NULL)
            continue;
        a->part_s[i] = (double)counter(a->s, report_part_names[i].time) / 1e6;
        a->part_s[REPORT_OTHER] -= a->part_s[i];
    }
    if (a->part_s[REPORT_OTHER] < 0)
        a->part_s[REPORT_OTHER] = 0;
    a->part_s[REPORT_START] = all - run;
    for (int i = 0; i < REPORT_PARTS; i++) {
        r->part_s[a->is_map][i] += a->part_s[i];
        if (report_part_names[i].bytes != NULL)
            r->part_bytes[i] += (uint64_t)counter(a->s, report_part_names[i].bytes);
    }
}

static void
fill_attempt(struct report *r, struct report_attempt *a, const JtAttemptStatus *s)
{
    uint64_t from_ms = r->job->submitted_ms;

    *a = (struct report_attempt){ .s = s, .is_map = strstr(s->id, "_m_") != NULL,
                                  .counted = strcmp(s->state, "SUCCEEDED") == 0 };
    a->from_ms = s->started_ms > from_ms ? s->started_ms - from_ms : 0;
    a->to_ms = s->ended_ms == 0 ? r->end_ms : s->ended_ms > from_ms ? s->ended_ms - from_ms : 0;
    if (a->to_ms < a->from_ms)
        a->to_ms = a->from_ms;
    a->records = (uint64_t)counter(s, a->is_map ? "MAP_INPUT_RECORDS" : "REDUCE_INPUT_RECORDS");
    a->bytes = (uint64_t)counter(s, a->is_map ? "MAP_INPUT_BYTES" : "REDUCE_SHUFFLE_BYTES");
    fill_parts(r, a);
}

static int
by_start(const void *x, const void *y)
{
    const struct report_attempt *a = x, *b = y;

    if (a->from_ms != b->from_ms)
        return a->from_ms < b->from_ms ? -1 : 1;
    return strcmp(a->s->id, b->s->id);
}

/* ---- lanes ---- */

struct numbered_lane {
    struct report_lane lane;
    size_t number;
};

static int
by_node(const void *x, const void *y)
{
    const struct numbered_lane *a = x, *b = y;
    int c = strcmp(a->lane.node, b->lane.node);

    if (c != 0)
        return c;
    if (a->lane.is_map != b->lane.is_map)
        return a->lane.is_map ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

/* The first lane that is free, attempts coming in order of their start. */
static size_t
lane_for(struct numbered_lane *lanes, size_t *n, const struct report_attempt *a)
{
    size_t i;

    for (i = 0; i < *n; i++)
        if (lanes[i].lane.is_map == a->is_map && lanes[i].lane.end_ms <= a->from_ms && strcmp(lanes[i].lane.node, a->s->node) == 0)
            break;
    if (i == *n)
        lanes[(*n)++] = (struct numbered_lane){ { a->s->node, a->is_map, 0 }, i };
    lanes[i].lane.end_ms = a->to_ms;
    return i;
}

static enum rc
fill_lanes(struct report *r)
{
    struct numbered_lane *lanes = mem_calloc(r->count + 1, sizeof *lanes);
    size_t *place = mem_calloc(r->count + 1, sizeof *place);
    enum rc rc = RC_NOMEM;

    if (lanes == NULL || place == NULL)
        goto out;
    for (size_t i = 0; i < r->count; i++)
        r->attempts[i].lane = lane_for(lanes, &r->lane_count, &r->attempts[i]);
    qsort(lanes, r->lane_count, sizeof *lanes, by_node);
    if ((r->lanes = mem_calloc(r->lane_count + 1, sizeof *r->lanes)) == NULL)
        goto out;
    for (size_t i = 0; i < r->lane_count; i++) {
        r->lanes[i] = lanes[i].lane;
        place[lanes[i].number] = i;
    }
    for (size_t i = 0; i < r->count; i++)
        r->attempts[i].lane = place[r->attempts[i].lane];
    rc = RC_OK;
out:
    mem_free(lanes);
    mem_free(place);
    return rc;
}

/* ---- who had more, who was slower ---- */

static int
by_number(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;

    return (a > b) - (a < b);
}

enum figure { FIGURE_MS, FIGURE_RECORDS, FIGURE_BYTES, FIGURE_PART };

static double
figure_of(const struct report_attempt *a, enum figure f, int part)
{
    switch (f) {
    case FIGURE_MS:
        return (double)(a->to_ms - a->from_ms);
    case FIGURE_RECORDS:
        return (double)a->records;
    case FIGURE_BYTES:
        return (double)a->bytes;
    case FIGURE_PART:
        return a->part_s[part];
    }
    return 0;
}

/* The median among the attempts of a kind that counted, on one node (NULL: all) and without one of them.  scratch has
 * room for all. */
static double
median_of(const struct report *r, bool is_map, enum figure f, int part, const char *node,
          const struct report_attempt *without, double *scratch, size_t *ret_n)
{
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct report_attempt *a = &r->attempts[i];

        if (a->is_map == is_map && a->counted && a != without && (node == NULL || strcmp(a->s->node, node) == 0))
            scratch[n++] = figure_of(a, f, part);
    }
    qsort(scratch, n, sizeof *scratch, by_number);
    *ret_n = n;
    return n == 0 ? 0 : scratch[(n - 1) / 2];
}

static struct report_skew
skew_of(const struct report *r, bool is_map, enum figure f, double *scratch)
{
    struct report_skew s = { 0 };

    s.median = (uint64_t)median_of(r, is_map, f, 0, NULL, NULL, scratch, &s.n);
    for (size_t i = 0; i < r->count; i++) {
        const struct report_attempt *a = &r->attempts[i];
        uint64_t v = (uint64_t)figure_of(a, f, 0);

        if (a->is_map == is_map && a->counted && (s.with_most == NULL || v > s.most)) {
            s.most = v;
            s.with_most = a;
        }
    }
    return s;
}

/* The part that it spent most on beyond the median. */
static int
longest_part(const struct report *r, const struct report_attempt *a, double *scratch, double *ret_more)
{
    int best = REPORT_OTHER;
    size_t n;

    *ret_more = -1;
    for (int i = 0; i < REPORT_PARTS; i++) {
        double more = a->part_s[i] - median_of(r, a->is_map, FIGURE_PART, i, NULL, NULL, scratch, &n);

        if (more > *ret_more) {
            *ret_more = more;
            best = i;
        }
    }
    return best;
}

static void
explain(const struct report *r, struct report_slow *slow, double *scratch)
{
    const struct report_attempt *a = slow->a;
    const char *kind = a->is_map ? "map" : "reduce";
    size_t n, there;
    double bytes = median_of(r, a->is_map, FIGURE_BYTES, 0, NULL, NULL, scratch, &n);
    double node_s = median_of(r, a->is_map, FIGURE_MS, 0, a->s->node, a, scratch, &there) / 1000, more;
    int part = longest_part(r, a, scratch, &more), used = 0;

    if (bytes > 0 && (double)a->bytes > UNEQUAL_RATIO * bytes)
        used = snprintf(slow->why, sizeof slow->why, "more data: %.1f times the median's bytes; ", (double)a->bytes / bytes);
    else if (there >= 2 && node_s > UNEQUAL_RATIO * slow->median_s)
        used = snprintf(slow->why, sizeof slow->why, "a slow node: its %zu other %ss took %.2f s at the median; ", there, kind, node_s);
    else if (a->is_map && strcmp(a->s->locality, "node") != 0)
        used = snprintf(slow->why, sizeof slow->why, "its input was on another node; ");
    (void)snprintf(slow->why + used, sizeof slow->why - (size_t)used, "%s took %.2f s longer than at the median",
                   report_part_names[part].name, more);
}

static int
slowest_first(const void *x, const void *y)
{
    const struct report_slow *a = x, *b = y;
    double am = figure_of(a->a, FIGURE_MS, 0), bm = figure_of(b->a, FIGURE_MS, 0);

    return (am < bm) - (am > bm);
}

static void
find_slow(struct report *r, double *scratch)
{
    for (int kind = 0; kind < 2; kind++) {
        size_t n;
        double median = median_of(r, kind != 0, FIGURE_MS, 0, NULL, NULL, scratch, &n) / 1000;

        for (size_t i = 0; i < r->count && n >= 2; i++) {
            const struct report_attempt *a = &r->attempts[i];
            double s = figure_of(a, FIGURE_MS, 0) / 1000;

            if (a->is_map != (kind != 0) || !a->counted || s < SLOW_RATIO * median || s < median + SLOW_S)
                continue;
            if (r->slow_count < REPORT_SLOW_MAX)
                r->slow[r->slow_count++] = (struct report_slow){ a, median, "" };
            else if (figure_of(r->slow[REPORT_SLOW_MAX - 1].a, FIGURE_MS, 0) / 1000 < s)
                r->slow[REPORT_SLOW_MAX - 1] = (struct report_slow){ a, median, "" };
            qsort(r->slow, r->slow_count, sizeof *r->slow, slowest_first);
        }
    }
    for (size_t i = 0; i < r->slow_count; i++)
        explain(r, &r->slow[i], scratch);
}

/* ---- the whole ---- */

static enum rc
fill_run(struct report *r)
{
    struct bench_attempt *list = mem_calloc(r->count + 1, sizeof *list);
    struct bench_job j = { r->job->submitted_ms, r->job->finished_ms, list, r->count, { 1, 1 } };
    enum rc rc;

    if (list == NULL)
        return RC_NOMEM;
    for (size_t i = 0; i < r->count; i++) {
        const struct report_attempt *a = &r->attempts[i];

        list[i] = (struct bench_attempt){ a->is_map, a->counted, a->s->id, a->s->node, a->s->started_ms, a->s->ended_ms,
                                          a->s->run_ms, a->s->shuffle_ms };
    }
    rc = bench_add_job(&r->run, &j);
    bench_end(&r->run, (double)r->end_ms);
    mem_free(list);
    return rc;
}

enum rc
report_init(struct report *r, const JtJobStatus *job, JtAttemptStatus *const *attempts, size_t n, uint64_t now_ms,
            struct why *why)
{
    uint64_t end_ms = job->finished_ms != 0 ? job->finished_ms : now_ms;
    double *scratch;

    *r = (struct report){ .job = job, .count = n, .end_ms = end_ms > job->submitted_ms ? end_ms - job->submitted_ms : 0 };
    if ((scratch = mem_calloc(n + 1, sizeof *scratch)) == NULL ||
        (r->attempts = mem_calloc(n + 1, sizeof *r->attempts)) == NULL)
        goto no_memory;
    for (size_t i = 0; i < n; i++)
        fill_attempt(r, &r->attempts[i], attempts[i]);
    qsort(r->attempts, n, sizeof *r->attempts, by_start);
    if (fill_lanes(r) != RC_OK)
        goto no_memory;
    for (int kind = 0; kind < 2; kind++) {
        r->records[kind] = skew_of(r, kind != 0, FIGURE_RECORDS, scratch);
        r->bytes[kind] = skew_of(r, kind != 0, FIGURE_BYTES, scratch);
    }
    find_slow(r, scratch);
    if (strcmp(job->state, "SUCCEEDED") == 0 && fill_run(r) != RC_OK)
        goto no_memory;
    mem_free(scratch);
    return RC_OK;
no_memory:
    mem_free(scratch);
    report_fini(r);
    return why_rc(why, RC_NOMEM);
}

void
report_fini(struct report *r)
{
    mem_free(r->attempts);
    mem_free(r->lanes);
    r->attempts = NULL;
    r->lanes = NULL;
}

/* The phase of a kind: from its first attempt to the end of its last that counted, and how long that one ran alone. */
static void
phase_path(const struct report *r, bool is_map, struct buf *out)
{
    const struct report_attempt *last = NULL, *before = NULL;
    const char *kind = is_map ? "map" : "reduce";
    uint64_t from_ms = UINT64_MAX;
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct report_attempt *a = &r->attempts[i];

        if (a->is_map != is_map)
            continue;
        if (a->from_ms < from_ms)
            from_ms = a->from_ms;
        if (!a->counted)
            continue;
        n++;
        if (last == NULL || a->to_ms > last->to_ms) {
            before = last;
            last = a;
        } else if (before == NULL || a->to_ms > before->to_ms) {
            before = a;
        }
    }
    if (last == NULL)
        return;
    buf_printf(out, "%zu %s%s ran from %.3f s to %.3f s", n, kind, n == 1 ? "" : "s", (double)from_ms / 1000,
               (double)last->to_ms / 1000);
    if (before != NULL)
        buf_printf(out, "; the last, %s on %s, took %.3f s, the final %.3f s of them alone", last->s->id, last->s->node,
                   figure_of(last, FIGURE_MS, 0) / 1000, (double)(last->to_ms - before->to_ms) / 1000);
    buf_put_str(out, ".\n");
}

void
report_path(const struct report *r, struct buf *out)
{
    uint64_t last_ms = 0;

    if (r->count == 0) {
        buf_put_str(out, "No attempt has started.\n");
        return;
    }
    buf_printf(out, "The first attempt started %.3f s after the job was submitted.\n", (double)r->attempts[0].from_ms / 1000);
    phase_path(r, true, out);
    phase_path(r, false, out);
    for (size_t i = 0; i < r->count; i++)
        if (r->attempts[i].counted && r->attempts[i].to_ms > last_ms)
            last_ms = r->attempts[i].to_ms;
    if (strcmp(r->job->state, "SUCCEEDED") == 0 && r->end_ms >= last_ms)
        buf_printf(out, "The job was committed %.3f s later, %.3f s after it was submitted.\n", (double)(r->end_ms - last_ms) / 1000,
                   (double)r->end_ms / 1000);
}
