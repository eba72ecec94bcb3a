#include "tests/sim/jobcode.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/check.h"
#include "core/base/mem.h"

#define OUT_MAX ((size_t)16 * MB)
#define SORT_KEY 3
#define GROUPS 7

/* ---- the jobs, as their authors would write them ---- */

static uint32_t
by_first_byte(struct mr_task *t UNUSED, struct mr_bytes key, uint32_t parts)
{
    return key.n == 0 ? 0 : (uint8_t)key.p[0] % parts;
}

static void
count_map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *p = rec[i].value, *end = p + rec[i].value_len;
        struct mr_bytes word;

        while (mr_word(&p, end, &word))
            mr_emit_i64(t, word.p, word.n, 1);
    }
}

/* The number in a line: of its bytes, not one that a double holds exactly. */
static double
line_number(const char *p, size_t n)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)p[i]) * 16777619u;
    return (double)(h % 1000003) / 7.0 * ((h & 1) != 0 ? 1e-6 : 1e6);
}

static void
group_map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key = (char)('a' + rec[i].value_len % GROUPS);

        mr_emit_f64(t, &key, 1, line_number(rec[i].value, rec[i].value_len));
    }
}

static void
sort_map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t key = rec[i].value_len < SORT_KEY ? rec[i].value_len : SORT_KEY;

        mr_emit(t, rec[i].value, key, rec[i].value + key, rec[i].value_len - key);
    }
}

static void
sort_reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;

    while (mr_next(t, values, &v))
        mr_emit(t, key.p, key.n, v.p, v.n);
}

static void
pick_map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rec[i].value_len % 2 == 0)
            mr_emit(t, "", 0, rec[i].value, rec[i].value_len);
}

static void
bad_map(struct mr_task *t, const struct mr_rec *rec UNUSED, size_t n UNUSED)
{
    mr_fail(t, "this input is never right");
}

#define HEAD .abi = MR_ABI, .size = sizeof(struct mr_job)

static const struct mr_job jobs[JOBCODES] = {
    [JOBCODE_COUNT] = { HEAD, .map = count_map, .fold = MR_FOLD_SUM_I64, .partition = by_first_byte },
    [JOBCODE_GROUP] = { HEAD, .map = group_map, .fold = MR_FOLD_SUM_F64, .writer = MR_WRITE_RAW, .partition = by_first_byte },
    [JOBCODE_SORT] = { HEAD, .map = sort_map, .reduce = sort_reduce, .writer = MR_WRITE_RAW, .partition = by_first_byte },
    [JOBCODE_PICK] = { HEAD, .map = pick_map, .map_only = 1, .writer = MR_WRITE_RAW },
    [JOBCODE_BAD] = { HEAD, .map = bad_map, .fold = MR_FOLD_SUM_I64 },
};

static const char *const names[JOBCODES] = { "count", "group", "sort", "pick", "bad" };

const char *jobcode_name(enum jobcode code) { return names[code]; }
bool jobcode_is_map_only(enum jobcode code) { return jobs[code].map_only != 0; }

const struct mr_job *
jobcode_find(const void *name, size_t n)
{
    for (size_t i = 0; i < JOBCODES; i++)
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
            return &jobs[i];
    return NULL;
}

/* ---- what they must give ---- */

struct record {
    struct mr_bytes key, value;
    uint32_t map;
    size_t at;          /* its place among all */
};

struct records {
    struct record *rows;
    size_t n, cap;
};

static void
record_add(struct records *r, struct mr_bytes key, struct mr_bytes value, uint32_t map)
{
    CHECK(mem_room(&r->rows, r->n, &r->cap, sizeof *r->rows));
    r->rows[r->n] = (struct record){ key, value, map, r->n };
    r->n++;
}

static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What the job's map makes of a line. */
static void
line_add(struct records *r, enum jobcode code, uint32_t map, const char *p, size_t n)
{
    static const char groups[GROUPS] = "abcdefg";
    struct mr_bytes line = { p, n };
    size_t from, i;

    switch (code) {
    case JOBCODE_COUNT:
        for (i = 0; i < n;) {
            for (; i < n && is_blank(p[i]); i++)
                ;
            for (from = i; i < n && !is_blank(p[i]); i++)
                ;
            if (i > from)
                record_add(r, (struct mr_bytes){ p + from, i - from }, line, map);
        }
        break;
    case JOBCODE_GROUP:
        record_add(r, (struct mr_bytes){ &groups[n % GROUPS], 1 }, line, map);
        break;
    case JOBCODE_SORT:
        i = n < SORT_KEY ? n : SORT_KEY;
        record_add(r, (struct mr_bytes){ p, i }, (struct mr_bytes){ p + i, n - i }, map);
        break;
    case JOBCODE_PICK:
        if (n % 2 == 0)
            record_add(r, (struct mr_bytes){ p, 0 }, line, map);
        break;
    case JOBCODE_BAD:
    case JOBCODES:
        break;
    }
}

/*
 * The lines of the split: those that begin behind its first byte and not behind
 * its end, as Hadoop's text input has it; a file's first split has its first line.
 */
static void
split_add(struct records *r, enum jobcode code, const struct jobcode_split *s)
{
    size_t at = s->start, end, next;

    if (at > 0) {
        while (at < s->file_bytes && s->file[at] != '\n')
            at++;
        at++;
    }
    for (; at <= s->start + s->bytes && at < s->file_bytes; at = next) {
        for (end = at; end < s->file_bytes && s->file[end] != '\n'; end++)
            ;
        next = end + 1;
        if (end < s->file_bytes && end > at && s->file[end - 1] == '\r')
            end--;
        line_add(r, code, s->map, s->file + at, end - at);
    }
}

static int
record_order(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int c = n == 0 ? 0 : memcmp(x->key.p, y->key.p, n);

    if (c != 0)
        return c;
    if (x->key.n != y->key.n)
        return x->key.n < y->key.n ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* A pair as the raw writer has it, or as a result. */
static void
pair_put(struct buf *out, bool as_pairs, struct mr_bytes key, const void *value, size_t n)
{
    struct mr_pair head = { (uint32_t)key.n, (uint32_t)n };

    if (as_pairs)
        buf_put(out, &head, sizeof head);
    buf_put(out, key.p, key.n);
    buf_put(out, value, n);
}

/* One key's line of output: rows[0 .. n), in the order of the input. */
static void
group_put(enum jobcode code, const struct record *rows, size_t n, bool as_pairs, struct buf *out)
{
    double sum = 0, part = 0;
    int64_t count = (int64_t)n;

    if (code == JOBCODE_COUNT && as_pairs)
        pair_put(out, true, rows[0].key, &count, sizeof count);
    if (code == JOBCODE_COUNT && !as_pairs) {
        buf_put(out, rows[0].key.p, rows[0].key.n);
        buf_printf(out, "\t%zu\n", n);
    }
    for (size_t i = 0; code == JOBCODE_SORT && i < n; i++)
        pair_put(out, as_pairs, rows[i].key, rows[i].value.p, rows[i].value.n);
    if (code != JOBCODE_GROUP)
        return;
    /* Each map adds up its own, then the maps' sums are added in their order. */
    for (size_t i = 0; i < n; i++) {
        bool is_last = i + 1 == n || rows[i + 1].map != rows[i].map;
        double x = line_number(rows[i].value.p, rows[i].value.n);

        part = i == 0 || rows[i].map != rows[i - 1].map ? x : part + x;
        if (is_last)
            sum = rows[i].map == rows[0].map ? part : sum + part;
    }
    pair_put(out, as_pairs, rows[0].key, &sum, sizeof sum);
}

static bool
is_in_part(enum jobcode code, const struct record *r, uint32_t part, uint32_t parts)
{
    if (code == JOBCODE_PICK)
        return r->map == part;
    return (r->key.n == 0 ? 0 : (uint8_t)r->key.p[0] % parts) == part;
}

void
jobcode_reference(enum jobcode code, const struct jobcode_split *splits, size_t n, uint32_t part, uint32_t parts,
                  bool as_pairs, struct buf *ret)
{
    struct records all = { NULL, 0, 0 };
    size_t from, to;

    buf_init(ret, OUT_MAX);
    for (size_t i = 0; i < n; i++)
        split_add(&all, code, &splits[i]);
    if (code != JOBCODE_PICK && all.n > 0)
        qsort(all.rows, all.n, sizeof *all.rows, record_order);
    for (from = 0; from < all.n; from = to) {
        for (to = from + 1; to < all.n && code != JOBCODE_PICK && all.rows[to].key.n == all.rows[from].key.n &&
             (all.rows[to].key.n == 0 || memcmp(all.rows[to].key.p, all.rows[from].key.p, all.rows[to].key.n) == 0); to++)
            ;
        if (!is_in_part(code, &all.rows[from], part, parts))
            continue;
        if (code == JOBCODE_PICK)
            pair_put(ret, as_pairs, all.rows[from].key, all.rows[from].value.p, all.rows[from].value.n);
        else
            group_put(code, &all.rows[from], to - from, as_pairs, ret);
    }
    mem_free(all.rows);
    CHECK(buf_ok(ret));
}
