/*
 * matrix -- sum of squares of a matrix and statistics of its columns.
 *
 *     mr run matrix -input ROWS -output DIR
 *
 * ROWS are lines of numbers (options mr.csv.*).  One line a column: number, rows, sum, mean, min, max, variance of a
 * sample, sum of squares; then "all" with the sum of squares of the whole matrix (its squared Frobenius norm).
 */
#include <math.h>
#include <mr.h>
#include <stdio.h>

/* A map's columns: statistics, of them and of all numbers' squares. */
struct columns {
    uint32_t n;
    struct mr_stats of[];
};

static void
add(struct mr_task *t, const struct mr_columns *c)
{
    struct columns *s = t->state;

    if (s == NULL) {
        s = t->state = mr_alloc(t, sizeof *s + c->cols * sizeof s->of[0]);
        s->n = c->cols;
    }
    for (uint32_t j = 0; j < c->cols; j++)
        mr_stats_add(&s->of[j], c->col[j], c->rows);
}

static void
give(struct mr_task *t)
{
    const struct columns *s = t->state;

    if (s != NULL)
        mr_emit(t, "", 0, s->of, s->n * sizeof s->of[0]);
}

/* The sum of squares, from the distances from the mean and the mean. */
static double
squares(const struct mr_stats *s)
{
    return s->m2 + s->n * s->mean * s->mean;
}

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes b;
    double all = 0;
    char text[8 * 32], name[16];

    (void)key;
    if (!mr_next(t, values, &b))        /* folded: there is one */
        return;
    for (size_t j = 0; j < b.n / sizeof(struct mr_stats); j++) {
        struct mr_stats s;
        size_t n = 0;

        memcpy(&s, b.p + j * sizeof s, sizeof s);
        double v[] = { s.n, s.sum, s.mean, s.min, s.max, s.n > 1 ? s.m2 / (s.n - 1) : 0, squares(&s) };
        for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
            if (i > 0)
                text[n++] = '\t';
            n += mr_f64_text(t, v[i], text + n);
        }
        all += squares(&s);
        mr_emit(t, name, (size_t)snprintf(name, sizeof name, "%zu", j + 1), text, n);
    }
    mr_emit(t, "all", 3, text, mr_f64_text(t, all, text));
}

MR_JOB(.reader = MR_READ_COLUMNS, .columns = add, .cleanup = give, .reduce = reduce, .fold = MR_FOLD_STATS)
