/*
 * columns -- lines of numbers, parsed into arrays of doubles.
 *
 * A run of rows has a length that depends on the number of columns alone, and a
 * split's runs are full but for its last, so what a job adds up run by run does
 * not depend on how the bytes arrived.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmr/decimal.h"
#include "libmr/input.h"

#define COLS_MAX    100000
#define RUN_BYTES   (256 * KB)      /* of a run's numbers: they stay in the cache while they are used */
#define RUN_MIN     64
#define RUN_MAX     4096

struct columns {
    char separator;
    bool header;
    uint32_t *list;                 /* fields to parse, from 0, in the order of columns; NULL all */
    uint32_t list_count;
    int32_t *column_of;             /* of each field up to the last wanted; -1 not wanted */
    uint32_t fields;                /* to walk in each line */
    bool counted;                   /* the split's first line was seen */
    uint32_t cols;
    size_t rows, rows_max;
    double **col;                   /* in run, as is at */
    uint64_t *at;
    char *run;                      /* run_bytes: head, at, columns: what is cached as it is */
    size_t run_bytes;
    int fill_fd;                    /* where runs are left for a later attempt; -1 nowhere */
    uint64_t filled;
};

/* The head of a run; its arrays have room for rows_max rows, also in the last one. */
struct run_head {
    uint64_t rows, rows_max;
    uint32_t cols;
    char pad[44];
};
_Static_assert(sizeof(struct run_head) == 64, "arrays behind it are aligned to 64");

static void
bad_list(struct attempt *a, const char *text)
{
    attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "-D mr.csv.columns takes numbers from 1, and ranges, each column once, "
                            "as in 1-20,22; not \"%s\"", text));
}

static void
read_list(struct attempt *a, struct columns *c, const char *text)
{
    uint32_t *list = attempt_alloc(a, COLS_MAX * sizeof *list);
    const char *p = text;
    char *end;

    for (;; p = end + 1) {
        unsigned long first = strtoul(p, &end, 10), last = first;

        if (end == p || *p < '0' || *p > '9')
            bad_list(a, text);
        if (*end == '-') {
            p = end + 1;
            last = strtoul(p, &end, 10);
            if (*p < '0' || *p > '9')
                bad_list(a, text);
        }
        if (first == 0 || first > last || last > COLS_MAX || last - first >= COLS_MAX - c->list_count)
            bad_list(a, text);
        for (unsigned long i = first; i <= last; i++)
            list[c->list_count++] = (uint32_t)i - 1;
        if (*end != ',')
            break;
    }
    if (*end)
        bad_list(a, text);
    c->list = list;
}

static char
read_separator(struct attempt *a)
{
    const char *text = mr_option(&a->task, "mr.csv.separator", ",");

    if (strcmp(text, "tab") == 0)
        return '\t';
    if (strcmp(text, "space") == 0)
        return ' ';
    if (strlen(text) != 1 || strchr("0123456789+-.\"\n\r", *text) != NULL)
        attempt_fail(a, why_set(a->why, RC_JOB_FAILED, "-D mr.csv.separator takes one byte, \"tab\" or \"space\", not \"%s\"",
                                text));
    return *text;
}

/* Arrays for lines of which `fields` fields are looked at. */
static void
set_fields(struct attempt *a, struct columns *c, uint32_t fields)
{
    if (fields == c->fields)
        return;
    c->fields = fields;
    c->cols = c->list ? c->list_count : fields;
    c->column_of = attempt_alloc(a, fields * sizeof *c->column_of);
    for (uint32_t i = 0; i < fields; i++)
        c->column_of[i] = c->list ? -1 : (int32_t)i;
    for (uint32_t i = 0; i < c->list_count; i++) {
        if (c->column_of[c->list[i]] >= 0)
            bad_list(a, mr_option(&a->task, "mr.csv.columns", ""));
        c->column_of[c->list[i]] = (int32_t)i;
    }
    c->rows_max = RUN_BYTES / (c->cols * sizeof(double)) / 8 * 8;
    c->rows_max = c->rows_max < RUN_MIN ? RUN_MIN : c->rows_max > RUN_MAX ? RUN_MAX : c->rows_max;
    c->run_bytes = sizeof(struct run_head) + (c->cols + 1) * c->rows_max * sizeof(double);
    c->run = attempt_alloc(a, c->run_bytes);
    c->col = attempt_alloc(a, c->cols * sizeof *c->col);
    c->at = (uint64_t *)(void *)(c->run + sizeof(struct run_head));
    for (uint32_t i = 0; i < c->cols; i++)
        c->col[i] = (double *)(void *)(c->at + (i + 1) * c->rows_max);
}

static struct columns *
columns_new(struct attempt *a)
{
    struct columns *c = attempt_alloc(a, sizeof *c);
    const char *list = mr_option(&a->task, "mr.csv.columns", "");
    uint32_t fields = 0;

    c->separator = read_separator(a);
    c->header = attempt_number(a, "mr.csv.header", "0", 0, 1) != 0;
    if (*list == '\0')
        return c;
    read_list(a, c, list);
    for (uint32_t i = 0; i < c->list_count; i++)
        fields = c->list[i] >= fields ? c->list[i] + 1 : fields;
    set_fields(a, c, fields);
    return c;
}

/* Leave the run for a later attempt; without room for it there is none. */
static void
keep_run(struct attempt *a, struct columns *c)
{
    struct run_head head = { .rows = c->rows, .rows_max = c->rows_max, .cols = c->cols };
    struct why full;

    memcpy(c->run, &head, sizeof head);
    if (io_pwrite(a->io, c->fill_fd, c->run, c->run_bytes, c->filled, &full) != RC_OK)
        c->fill_fd = -1;
    c->filled += c->run_bytes;
}

static void
give_columns(struct attempt *a, const struct mr_columns *run)
{
    enum mr_counter was = attempt_spend(a, MRC_MAP_MICROSECONDS);

    a->job->columns(&a->task, run);
    (void)attempt_spend(a, was);
}

static void
give_run(struct window *w)
{
    struct attempt *a = w->a;
    struct columns *c = a->columns;
    struct mr_columns run = { c->rows, c->cols, a->split->file, (const double *const *)c->col, c->at };

    if (c->rows == 0)
        return;
    if (c->fill_fd >= 0)
        keep_run(a, c);
    a->progress.counters[MRC_MAP_INPUT_RECORDS] += (int64_t)c->rows;
    c->rows = 0;
    give_columns(a, &run);
    window_report(w);
}

static const char *
skip_blanks(const char *p, const char *end, char separator)
{
    while (p < end && (*p == ' ' || *p == '\t') && *p != separator)
        p++;
    return p;
}

/* Behind the field at p: at a separator or the end. */
static const char *
skip_field(const char *p, const char *end, char separator)
{
    struct mr_bytes f;
    const char *stop = p;

    return mr_csv_field(&stop, end, separator, &f) && stop ? stop - 1 : end;
}

static uint32_t
count_fields(const char *p, const char *end, char separator)
{
    uint32_t n = 1;

    for (; n < COLS_MAX && (p = skip_field(p, end, separator)) < end; n++)
        p++;
    return n;
}

static void
bad_field(struct window *w, uint32_t field, const char *p, const char *end)
{
    const char *stop = skip_field(p, end, w->a->columns->separator);
    char text[41];
    size_t n = (size_t)(stop - p) < sizeof text ? (size_t)(stop - p) : sizeof text - 1;

    for (size_t i = 0; i < n; i++)
        text[i] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
    text[n] = '\0';
    attempt_fail(w->a, why_set(w->a->why, RC_JOB_FAILED, "%s: in the line at byte %llu, column %u, \"%s\", is not a number",
                               w->a->split->path, (unsigned long long)(w->at + w->pos), field + 1, text));
}

static void
bad_line(struct window *w, const char *p, const char *end)
{
    const struct columns *c = w->a->columns;

    attempt_fail(w->a, why_set(w->a->why, RC_JOB_FAILED, "%s: the line at byte %llu has %u columns, not %u",
                               w->a->split->path, (unsigned long long)(w->at + w->pos), count_fields(p, end, c->separator),
                               c->fields));
}

static void
add_row(struct window *w, const char *line, size_t len)
{
    struct columns *c = w->a->columns;
    const char *p = line, *end = line + len, *stop;
    char separator = c->separator;

    if (skip_blanks(p, end, separator) == end)
        return;
    if (!c->counted && c->list == NULL)
        set_fields(w->a, c, count_fields(p, end, separator));
    c->counted = true;
    for (uint32_t i = 0;; p++) {
        int32_t column = c->column_of[i];

        if (column < 0) {
            p = skip_field(p, end, separator);
        } else {
            p = skip_blanks(p, end, separator);
            if ((stop = decimal_parse(p, end, &c->col[column][c->rows])) == NULL)
                bad_field(w, i, p, end);
            stop = skip_blanks(stop, end, separator);
            if (stop < end && *stop != separator)
                bad_field(w, i, p, end);
            p = stop;
        }
        if (++i == c->fields)
            break;
        if (p == end)
            bad_line(w, line, end);
    }
    if (p < end && c->list == NULL)
        bad_line(w, line, end);
    c->at[c->rows++] = w->at + w->pos;
    if (c->rows == c->rows_max)
        give_run(w);
}

/* The runs that an earlier attempt left, in its order.  False: they are not whole. */
static bool
give_cached(struct window *w, const char *p, size_t n)
{
    struct attempt *a = w->a;
    struct mr_columns run = { .file = a->split->file };
    struct run_head head;

    for (size_t at = 0; at < n;) {
        size_t bytes;

        if (n - at < sizeof head)
            return false;
        memcpy(&head, p + at, sizeof head);
        bytes = sizeof head + (head.cols + (size_t)1) * head.rows_max * sizeof(double);
        if (head.rows_max > RUN_MAX || head.cols > COLS_MAX || head.rows > head.rows_max || n - at < bytes)
            return false;
        if (head.cols != run.cols) {
            run.cols = head.cols;
            run.col = attempt_alloc(a, head.cols * sizeof *run.col);
        }
        run.rows = head.rows;
        run.at = (const uint64_t *)(const void *)(p + at + sizeof head);
        for (uint32_t i = 0; i < head.cols; i++)
            ((const double **)(uintptr_t)run.col)[i] = (const double *)(const void *)(run.at + (i + 1) * head.rows_max);
        a->progress.counters[MRC_MAP_INPUT_RECORDS] += (int64_t)run.rows;
        give_columns(a, &run);
        at += bytes;
        attempt_report(a, MR_PHASE_MAP, (double)at / (double)n, false);
    }
    return true;
}

/* True when the split was served from memory; else c says where to leave it. */
static bool
from_cache(struct window *w, struct columns *c)
{
    struct attempt *a = w->a;
    struct mr_cached cached = { .fd = -1 };
    enum mr_counter was;
    char *how;

    c->fill_fd = -1;
    c->filled = 0;
    if (a->host->ops->cached == NULL || attempt_number(a, "mr.cache", "1", 0, 1) == 0)
        return false;
    if ((how = arena_printf(a->arena, "columns %d %d %s", c->separator, c->header, mr_option(&a->task, "mr.csv.columns", ""))) ==
        NULL)
        attempt_fail(a, why_rc(a->why, RC_NOMEM));
    was = attempt_spend(a, MRC_READ_MICROSECONDS);
    attempt_try(a, a->host->ops->cached(a->host, w->split, how, &cached, a->why));
    (void)attempt_spend(a, was);
    c->fill_fd = cached.fd;
    if (cached.n == 0)
        return false;
    if (!give_cached(w, cached.p, cached.n))
        attempt_fail(a, why_set(a->why, RC_BUG, "%s: the columns kept in memory are not whole", a->split->path));
    a->progress.counters[MRC_CACHED_SPLITS]++;
    return true;
}

void
columns_run(struct window *w)
{
    struct attempt *a = w->a;

    if (a->columns == NULL)
        a->columns = columns_new(a);
    if (from_cache(w, a->columns))
        return;
    a->columns->counted = false;
    window_lines(w, a->columns->header && a->split->start == 0, add_row);
    give_run(w);
    if (a->columns->fill_fd >= 0)
        a->host->ops->filled(a->host, w->split);
    a->columns->fill_fd = -1;
}
