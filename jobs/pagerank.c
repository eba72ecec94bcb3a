/*
 * pagerank -- PageRank of a directed graph (Page, Brin, Motwani, Winograd 1999).
 *
 *     mr run pagerank -input EDGES -output DIR
 *
 * EDGES are lines "from to", with blanks or a tab between; names are any words.  DIR/ranks gets "name<tab>rank", ranks
 * summing to 1; a page without links out gives its rank to all pages alike.
 *
 *     -D pagerank.damping=D      (default 0.85)
 *     -D pagerank.iterations=N   at most (default 50)
 *     -D pagerank.tolerance=T    stop when the ranks together move by less (default 1e-8)
 *
 * The graph is a directory of lines "name<tab>rank to to ...", made once from the edges; an iteration reads one and
 * writes the next.  What is summed over all pages (rank without links, movement) comes as counters in units of 1e-15,
 * whose sum does not depend on an order.
 */
#include <math.h>
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"

#define UNIT 1e15

/* A value is a byte that says what it is, then: */
enum { LINK = 'l', SHARE = 's', PAGE = 'p' };   /* a target; a double; "rank to to ..." */

/* ---- edges to pages ---- */

static void
edge(struct mr_task *t, const struct mr_rec *rec)
{
    const char *p = rec->value, *end = p + rec->value_len;
    struct mr_bytes from, to;
    char value[4096] = { LINK };

    if (!mr_word(&p, end, &from) || *from.p == '#')
        return;
    if (!mr_word(&p, end, &to) || to.n >= sizeof value)
        mr_fail(t, "an edge is two words on a line");
    memcpy(value + 1, to.p, to.n);
    mr_emit(t, from.p, from.n, value, 1 + to.n);
    mr_emit(t, to.p, to.n, "p", 1);     /* a page is one that is linked to, too */
}

MR_MAP_EACH(edges, edge)

/* Text that grows, one a task. */
struct text {
    char *p;
    size_t n, cap;
};

static void
append(struct mr_task *t, struct text *x, const char *p, size_t n)
{
    if (x->n + n > x->cap) {
        char *more = realloc(x->p, 2 * (x->n + n) + 4096);

        if (more == NULL)
            mr_fail(t, "no memory for a page's links");
        x->p = more;
        x->cap = 2 * (x->n + n) + 4096;
    }
    memcpy(x->p + x->n, p, n);
    x->n += n;
}

static void
begin(struct mr_task *t)
{
    t->state = mr_alloc(t, sizeof(struct text));
}

static void
end(struct mr_task *t)
{
    free(((struct text *)t->state)->p);
}

static void
gather(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct text *x = t->state;
    struct mr_bytes v;

    x->n = 0;
    append(t, x, "0", 1);       /* the driver knows the number of pages only after this job */
    while (mr_next(t, values, &v))
        if (v.p[0] == LINK) {
            append(t, x, " ", 1);
            append(t, x, v.p + 1, v.n - 1);
        }
    mr_count(t, "PAGES", 1);
    mr_count(t, "LOOSE_PAGES", x->n == 1);
    mr_emit(t, key.p, key.n, x->p, x->n);
}

MR_STAGE(graph, .map = edges, .reduce = gather, .setup = begin, .cleanup = end)

/* ---- an iteration ---- */

static double
option(struct mr_task *t, const char *key)
{
    return strtod(mr_option(t, key, "0"), NULL);
}

static void
page(struct mr_task *t, const struct mr_rec *rec)
{
    const char *p = rec->value, *stop = p + rec->value_len, *links;
    struct text *x = t->state;
    struct mr_bytes word;
    char share[1 + sizeof(double)] = { SHARE };
    double rank;
    size_t n = 0;

    if (!mr_word(&p, stop, &word) || !mr_parse_f64(t, word.p, word.n, &rank))
        mr_fail(t, "a page is a name, a tab, a rank and names");
    if (strcmp(mr_option(t, "pagerank.first", "0"), "1") == 0)
        rank = 1 / option(t, "pagerank.pages");
    x->n = 0;
    append(t, x, "p", 1);
    char text[32];
    append(t, x, text, mr_f64_text(t, rank, text));
    append(t, x, p, (size_t)(stop - p));
    mr_emit(t, rec->key, rec->key_len, x->p, x->n);
    for (links = p; mr_word(&links, stop, &word); n++)
        ;
    rank /= n ? (double)n : 1;
    memcpy(share + 1, &rank, sizeof rank);
    while (mr_word(&p, stop, &word))
        mr_emit(t, word.p, word.n, share, sizeof share);
}

MR_MAP_EACH(pages, page)

static void
add_up(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    double damping = option(t, "pagerank.d"), n = option(t, "pagerank.pages"), sum = 0, was = 0, v;
    struct text *x = t->state;
    struct mr_bytes b, word = { "", 0 };
    const char *p;
    char text[32];

    for (x->n = 0; mr_next(t, values, &b);) {
        if (b.p[0] == PAGE) {
            append(t, x, b.p + 1, b.n - 1);
            continue;
        }
        memcpy(&v, b.p + 1, sizeof v);
        sum += v;
    }
    p = x->p;
    if (!mr_word(&p, x->p + x->n, &word) || !mr_parse_f64(t, word.p, word.n, &was))
        mr_fail(t, "a page is linked to that is not there");
    sum = (1 - damping) / n + damping * (sum + option(t, "pagerank.loose") / n);
    mr_count(t, "MOVED", llround(fabs(sum - was) * UNIT));
    if (!mr_word(&p, x->p + x->n, &word))
        mr_count(t, "LOOSE", llround(sum * UNIT));
    struct text out = { NULL, 0, 0 };
    append(t, &out, text, mr_f64_text(t, sum, text));
    p = memchr(x->p, ' ', x->n);
    append(t, &out, p ? p : "", p ? (size_t)(x->p + x->n - p) : 0);
    mr_emit(t, key.p, key.n, out.p, out.n);
    free(out.p);
}

MR_STAGE(turn, .reader = MR_READ_KEY_VALUE, .map = pages, .reduce = add_up, .setup = begin, .cleanup = end)

/* ---- pages to ranks ---- */

static void
rank_of(struct mr_task *t, const struct mr_rec *rec)
{
    const char *p = rec->value;
    struct mr_bytes rank;

    if (mr_word(&p, p + rec->value_len, &rank))
        mr_emit(t, rec->key, rec->key_len, rank.p, rank.n);
}

MR_MAP_EACH(ranks, rank_of)
MR_STAGE(ranks, .reader = MR_READ_KEY_VALUE, .map = ranks, .map_only = 1)

/* ---- the driver ---- */

static int
run(struct mr_driver *d, const char *stage, const char *input, const char *output, const double *numbers)
{
    static const char *const keys[] = { "pagerank.pages", "pagerank.d", "pagerank.loose", "pagerank.first" };
    const char *const inputs[] = { input, NULL };
    struct mr_pairopt options[4];
    struct mr_run r = { .stage = stage, .inputs = input ? inputs : NULL, .output = output, .options = options,
                        .option_count = numbers ? 4 : 0 };
    char text[4][32];

    for (size_t i = 0; numbers && i < 4; i++) {
        (void)snprintf(text[i], sizeof text[i], "%.17g", numbers[i]);
        options[i] = (struct mr_pairopt){ keys[i], text[i] };
    }
    return mr_run(d, &r);
}

static int
rank_pages(struct mr_driver *d)
{
    double damping = files_number(d, "pagerank.damping", "0.85"), tolerance = files_number(d, "pagerank.tolerance", "1e-8");
    long iterations = (long)files_number(d, "pagerank.iterations", "50"), i;
    char now[4096], next[4096], ranks[4096];
    double numbers[4] = { 0, damping, 0, 1 }, moved = INFINITY;
    const char *directory = files_directory(d);

    if (directory == NULL)
        return 1;
    (void)snprintf(now, sizeof now, "%s/graph-0", directory);
    (void)snprintf(ranks, sizeof ranks, "%s/ranks", directory);
    if (run(d, "graph", NULL, now, NULL) != 0)
        return 1;
    if ((numbers[0] = (double)mr_counter(d, "PAGES")) == 0) {
        fprintf(stderr, "pagerank: the input has no edges\n");
        return 1;
    }
    for (i = 0; i < iterations && moved > tolerance; i++) {
        (void)snprintf(next, sizeof next, "%s/graph-%ld", directory, i + 1);
        if (i == 0)
            numbers[2] = (double)mr_counter(d, "LOOSE_PAGES") / numbers[0];
        if (run(d, "turn", now, next, numbers) != 0 || mr_remove(d, now) != 0)
            return 1;
        moved = (double)mr_counter(d, "MOVED") / UNIT;
        numbers[2] = (double)mr_counter(d, "LOOSE") / UNIT;
        numbers[3] = 0;
        memcpy(now, next, sizeof now);
        printf("iteration %ld moved %.4g seconds %.4f\n", i + 1, moved, mr_seconds(d));
        fflush(stdout);
    }
    return run(d, "ranks", now, ranks, NULL) != 0 || mr_remove(d, now) != 0;
}

MR_DRIVER(rank_pages)
