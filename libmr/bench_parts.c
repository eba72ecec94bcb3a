#include "libmr/bench_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/mem.h"

const char *const bench_part_names[BENCH_PARTS] = {
    [BENCH_CLIENT] = "client", [BENCH_START] = "start-up", [BENCH_MAP] = "map", [BENCH_SHUFFLE] = "shuffle",
    [BENCH_REDUCE] = "reduce", [BENCH_BARRIER] = "barrier", [BENCH_STRAGGLER] = "straggler", [BENCH_REDONE] = "redone",
    [BENCH_COMMIT] = "commit",
};

struct span_ms {
    uint64_t from, to;
};

/* The attempts of one kind within [from, to). */
struct phase {
    const struct bench_job *j;
    bool is_map;
    struct span_ms all;
    struct span_ms *busy;           /* of every attempt, cut to `all` */
    size_t busy_count;
    uint64_t *ends, *took;          /* of those that counted, sorted */
    size_t counted;
    const struct bench_attempt *last;
};

static double
overlap(struct span_ms a, struct span_ms b)
{
    uint64_t from = a.from > b.from ? a.from : b.from, to = a.to < b.to ? a.to : b.to;

    return to > from ? (double)(to - from) : 0;
}

static int
by_number(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

/* When the last attempt of a kind that counted ended; `otherwise` if there is none. */
static uint64_t
last_end(const struct bench_job *j, bool is_map, uint64_t otherwise)
{
    uint64_t end = otherwise;

    for (size_t i = 0; i < j->count; i++)
        if (j->attempts[i].is_map == is_map && j->attempts[i].counted && j->attempts[i].ended_ms > end)
            end = j->attempts[i].ended_ms;
    return end;
}

static enum rc
phase_init(struct phase *p, const struct bench_job *j, bool is_map, struct span_ms all)
{
    *p = (struct phase){ .j = j, .is_map = is_map, .all = all };
    if ((p->busy = mem_calloc(j->count + 1, sizeof *p->busy)) == NULL ||
        (p->ends = mem_calloc(j->count + 1, sizeof *p->ends)) == NULL ||
        (p->took = mem_calloc(j->count + 1, sizeof *p->took)) == NULL)
        return RC_NOMEM;
    for (size_t i = 0; i < j->count; i++) {
        const struct bench_attempt *a = &j->attempts[i];

        if (a->is_map != is_map)
            continue;
        p->busy[p->busy_count++] = (struct span_ms){ a->started_ms, a->ended_ms ? a->ended_ms : j->finished_ms };
        if (!a->counted)
            continue;
        p->took[p->counted] = a->ended_ms > a->started_ms ? a->ended_ms - a->started_ms : 0;
        p->ends[p->counted++] = a->ended_ms;
        if (p->last == NULL || a->ended_ms > p->last->ended_ms)
            p->last = a;
    }
    qsort(p->ends, p->counted, sizeof *p->ends, by_number);
    qsort(p->took, p->counted, sizeof *p->took, by_number);
    return RC_OK;
}

static void
phase_fini(struct phase *p)
{
    mem_free(p->busy);
    mem_free(p->ends);
    mem_free(p->took);
}

static double
busy_within(const struct phase *p, struct span_ms s)
{
    double sum = 0;

    for (size_t i = 0; i < p->busy_count; i++)
        sum += overlap(p->busy[i], s);
    return sum;
}

/* How many attempts ran at one time, at most. */
static enum rc
peak(const struct phase *p, size_t *ret)
{
    uint64_t *starts = mem_calloc(p->busy_count + 1, sizeof *starts), *ends = mem_calloc(p->busy_count + 1, sizeof *ends);
    size_t n = 0, now = 0, most = 0, e = 0;
    enum rc rc = RC_NOMEM;

    if (starts == NULL || ends == NULL)
        goto out;
    for (size_t i = 0; i < p->busy_count; i++)
        if (overlap(p->busy[i], p->all) > 0) {
            starts[n] = p->busy[i].from;
            ends[n++] = p->busy[i].to;
        }
    qsort(starts, n, sizeof *starts, by_number);
    qsort(ends, n, sizeof *ends, by_number);
    for (size_t i = 0; i < n; i++) {
        for (now++; e < n && ends[e] <= starts[i]; e++)
            now--;
        most = now > most ? now : most;
    }
    *ret = most;
    rc = RC_OK;
out:
    mem_free(starts);
    mem_free(ends);
    return rc;
}

/* What ran, in slot-milliseconds. */
static void
add_work(const struct phase *p, double part[BENCH_PARTS])
{
    for (size_t i = 0; i < p->j->count; i++) {
        const struct bench_attempt *a = &p->j->attempts[i];
        uint64_t ended = a->ended_ms ? a->ended_ms : p->j->finished_ms, ran_from, ready;
        double ran, held = overlap(p->all, (struct span_ms){ a->started_ms, ended }), shuffle;

        if (a->is_map != p->is_map)
            continue;
        if (!a->counted) {
            part[BENCH_REDONE] += held;
            continue;
        }
        ran_from = ended > a->started_ms + a->run_ms ? ended - a->run_ms : a->started_ms;
        ready = ran_from + a->shuffle_ms < ended ? ran_from + a->shuffle_ms : ended;
        ran = overlap(p->all, (struct span_ms){ ran_from, ended });
        shuffle = a->is_map ? 0 : overlap(p->all, (struct span_ms){ ran_from, ready });
        part[BENCH_START] += held - ran;
        part[BENCH_SHUFFLE] += shuffle;
        part[a->is_map ? BENCH_MAP : BENCH_REDUCE] += ran - shuffle;
    }
}

static void
note_straggler(struct bench_run *r, const struct phase *p, double cost_ms)
{
    struct bench_straggler *s = &r->straggler;

    if (p->last == NULL || cost_ms <= s->cost_ms)
        return;
    (void)snprintf(s->id, sizeof s->id, "%s", p->last->id);
    (void)snprintf(s->node, sizeof s->node, "%s", p->last->node);
    s->is_map = p->is_map;
    s->ms = overlap((struct span_ms){ p->last->started_ms, p->last->ended_ms }, (struct span_ms){ 0, UINT64_MAX });
    s->median_ms = (double)p->took[(p->counted - 1) / 2];
    s->cost_ms = cost_ms;
}

/* What did not run.  Lanes: the slots that had a task at all. */
static void
add_idle(struct bench_run *r, const struct phase *p, size_t slots, size_t most, double part[BENCH_PARTS])
{
    size_t tasks = p->counted > most ? p->counted : most, lanes = tasks < slots ? tasks : slots;
    size_t k = lanes < p->counted ? lanes : p->counted;
    double whole = (double)(p->all.to - p->all.from);
    uint64_t first, half;

    part[BENCH_BARRIER] += (double)(slots - lanes) * whole;
    if (k == 0) {
        part[BENCH_BARRIER] += (double)lanes * whole - busy_within(p, p->all);
        return;
    }
    first = p->ends[p->counted - k];
    half = p->ends[p->counted - k + (k - 1) / 2];
    first = first < p->all.from ? p->all.from : first;
    half = half < p->all.from ? p->all.from : half;
    part[BENCH_START] += (double)lanes * (double)(first - p->all.from) - busy_within(p, (struct span_ms){ p->all.from, first });
    part[BENCH_BARRIER] += (double)lanes * (double)(half - first) - busy_within(p, (struct span_ms){ first, half });
    part[BENCH_STRAGGLER] = (double)lanes * (double)(p->all.to - half) - busy_within(p, (struct span_ms){ half, p->all.to });
    note_straggler(r, p, part[BENCH_STRAGGLER] / (double)slots);
}

static enum rc
add_phase(struct bench_run *r, const struct bench_job *j, bool is_map, struct span_ms all)
{
    double part[BENCH_PARTS] = { 0 };
    size_t slots = j->slots[is_map], most;
    struct phase p;
    enum rc rc;

    if (all.to <= all.from)
        return RC_OK;
    if ((rc = phase_init(&p, j, is_map, all)) != RC_OK || (rc = peak(&p, &most)) != RC_OK)
        goto out;
    slots = most > slots ? most : slots;
    slots = slots == 0 ? 1 : slots;
    add_work(&p, part);
    add_idle(r, &p, slots, most, part);
    for (int i = 0; i < BENCH_PARTS; i++)
        r->part_ms[i] += part[i] / (double)slots;
out:
    phase_fini(&p);
    return rc;
}

enum rc
bench_add_job(struct bench_run *r, const struct bench_job *j)
{
    uint64_t first = UINT64_MAX, maps_end = last_end(j, true, j->submitted_ms), end = last_end(j, false, maps_end);
    enum rc rc;

    for (size_t i = 0; i < j->count; i++)
        if (j->attempts[i].started_ms < first)
            first = j->attempts[i].started_ms;
    first = first < j->submitted_ms ? j->submitted_ms : first > maps_end ? maps_end : first;
    r->part_ms[BENCH_START] += (double)(first - j->submitted_ms);
    if ((rc = add_phase(r, j, true, (struct span_ms){ first, maps_end })) != RC_OK ||
        (rc = add_phase(r, j, false, (struct span_ms){ maps_end, end })) != RC_OK)
        return rc;
    r->part_ms[BENCH_COMMIT] += j->finished_ms > end ? (double)(j->finished_ms - end) : 0;
    r->jobs++;
    r->attempts += (uint32_t)j->count;
    return RC_OK;
}

void
bench_end(struct bench_run *r, double total_ms)
{
    double jobs = 0;

    for (int i = 0; i < BENCH_PARTS; i++)
        jobs += i == BENCH_CLIENT ? 0 : r->part_ms[i];
    r->total_ms = total_ms > jobs ? total_ms : jobs;
    r->part_ms[BENCH_CLIENT] = r->total_ms - jobs;
}

static int
by_total(const void *x, const void *y)
{
    double a = ((const struct bench_run *)x)->total_ms, b = ((const struct bench_run *)y)->total_ms;

    return (a > b) - (a < b);
}

const struct bench_run *
bench_median(struct bench_run *runs, size_t n)
{
    qsort(runs, n, sizeof *runs, by_total);
    return &runs[(n - 1) / 2];
}
