/*
 * rounds -- a driver with stages: fits y = w1 x1 + ... by gradient descent, a round a job.
 *
 * Columns x1 .. xk, y.  -D rounds=N, -D side=PATH (a file whose bytes are counted).  Prints the loss of each round and the weights; the
 * weights are in -output at the end.
 */
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

struct state {
    const double *w;
    uint32_t k;
    double *sum;                /* gradient, loss, rows */
};

static void
setup(struct mr_task *t)
{
    struct state *s = (struct state *)mr_alloc(t, sizeof *s);
    struct mr_bytes w, side;

    t->state = s;
    if (mr_side(t, "side", &side) && side.n > 0)
        mr_count(t, "LAST_BYTE", side.p[side.n - 1]);
    if (!mr_side(t, "model", &w))
        mr_fail(t, "no model");
    s->w = (const double *)(const void *)w.p;
    s->k = (uint32_t)(w.n / sizeof *s->w);
    s->sum = (double *)mr_alloc(t, (s->k + 2) * sizeof *s->sum);
}

static void
columns(struct mr_task *t, const struct mr_columns *c)
{
    struct state *s = (struct state *)t->state;

    if (c->cols != s->k + 1)
        mr_fail(t, "the model has another number of columns");
    for (size_t i = 0; i < c->rows; i++) {
        double e = -c->col[s->k][i];

        for (uint32_t j = 0; j < s->k; j++)
            e += s->w[j] * c->col[j][i];
        for (uint32_t j = 0; j < s->k; j++)
            s->sum[j] += e * c->col[j][i];
        s->sum[s->k] += e * e;
    }
    s->sum[s->k + 1] += (double)c->rows;
}

static void
cleanup(struct mr_task *t)
{
    struct state *s = (struct state *)t->state;

    if (mr_number(t, MR_REDUCE_COUNT) && s->sum[s->k + 1] > 0)
        mr_emit_vec(t, "g", 1, s->sum, s->k + 2);
    mr_count(t, "ROWS", (int64_t)s->sum[s->k + 1]);
}

MR_STAGE(epoch, .columns = columns, .reader = MR_READ_COLUMNS, .fold = MR_FOLD_SUM_VEC_F64, .setup = setup, .cleanup = cleanup)

static void
map_nothing(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    (void)t;
    (void)rec;
    (void)n;
}

MR_STAGE(nothing, .map = map_nothing, .fold = MR_FOLD_SUM_I64)

static int
run(struct mr_driver *d)
{
    int rounds = strtol(mr_driver_option(d, "rounds", "10"), NULL, 10);
    uint32_t k = (uint32_t)strtol(mr_driver_option(d, "k", "2"), NULL, 10);
    double *w = (double *)calloc(k, sizeof *w), seconds = 0, empty = 0;
    const char *side = mr_driver_option(d, "side", NULL);
    struct mr_side sides[] = { { "model", NULL, w, k * sizeof *w }, { "side", side, NULL, 0 } };
    struct mr_run epoch = { .stage = "epoch", .reduces = 1, .sides = sides, .side_count = side ? 2 : 1 };
    struct mr_run nothing = { .stage = "nothing", .reduces = 1 };
    struct mr_bytes key, value;
    char text[4000];
    size_t n = 0;

    for (int i = 0; i < rounds; i++) {
        const double *g;

        if (mr_run(d, &epoch) != 0)
            return 1;
        seconds += mr_seconds(d);
        if (!mr_result(d, &key, &value) || key.n != 1 || value.n != (k + 2) * sizeof *g)
            return fprintf(stderr, "rounds: no gradient came back\n"), 1;
        g = (const double *)(const void *)value.p;
        printf("round %d loss %.17g rows %lld\n", i + 1, g[k] / g[k + 1], (long long)mr_counter(d, "ROWS"));
        if (side)
            printf("last byte %lld\n", (long long)mr_counter(d, "LAST_BYTE"));
        (void)fflush(stdout);
        for (uint32_t j = 0; j < k; j++)
            w[j] -= 0.5 * g[j] / g[k + 1];
        if (mr_result(d, &key, &value))
            return fprintf(stderr, "rounds: more than one gradient came back\n"), 1;
    }
    for (int i = 0; i < 5; i++) {
        if (mr_run(d, &nothing) != 0 || mr_result(d, &key, &value))
            return 1;
        empty += mr_seconds(d);
    }
    fprintf(stderr, "%.1f ms a round, %.1f ms an empty job\n", 1000 * seconds / rounds, 1000 * empty / 5);
    for (uint32_t j = 0; j < k; j++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.17g\n", w[j]);
    if (!mr_driver_output(d))
        return fputs(text, stdout) < 0;
    if (mr_write_file(d, mr_driver_output(d), "old", 3) != 0 || mr_write_file(d, mr_driver_output(d), text, n) != 0 ||
        mr_read(d, mr_driver_output(d), &value) != 1 || value.n != n || memcmp(value.p, text, n) != 0 ||
        mr_exists(d, mr_driver_output(d)) != 1 || mr_read(d, "/no/such/file", &value) != 0)
        return 1;
    return 0;
}

MR_DRIVER(run)
