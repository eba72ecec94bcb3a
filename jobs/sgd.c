/*
 * sgd -- linear models by stochastic gradient descent: one global shuffle, then mini-batches in one scan an epoch.
 *
 *     mr run sgd -input POINTS -output DIR -D gradient.loss=logistic
 *
 * POINTS are as for gradient.  The rows are first sorted by a random number each (an external sort), into
 * DIR/shuffled; then each map goes through its rows with weights of its own, a step every sgd.batch rows, and the
 * driver averages the maps' weights by their rows.  DIR gets model.txt (weights as gradient's), loss.tsv, loss.svg.
 * docs/jobs/sgd.md has the mathematics, and a comparison with gradient.
 *
 *     -D gradient.loss, gradient.label, gradient.l2, gradient.intercept   as for gradient
 *     -D sgd.batch=N      rows of a step (default 32)
 *     -D sgd.rate=R       length of a step in the first epoch (default 0.1); R / sqrt(epoch) later
 *     -D sgd.epochs=N     (default 10)
 *     -D sgd.seed=N       of the shuffle (default 1)
 */
#include <stdio.h>

#include "files.h"
#include "linear.h"
#include "rounds.h"

/* ---- the shuffle ---- */

static void
draw(struct mr_task *t, const struct mr_rec *rec)
{
    uint64_t seed = strtoull(mr_option(t, "sgd.seed", "1"), NULL, 10);
    uint64_t random = mr_random(seed, mr_mix(mr_number(t, MR_FILE) + 1, rec->at)), key = __builtin_bswap64(random);

    if (rec->value_len > 0)
        mr_emit(t, &key, sizeof key, rec->value, rec->value_len);
}

MR_MAP_EACH(draw_all, draw)

/* Random numbers are spread evenly: equal ranges of them. */
static uint32_t
by_range(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    uint64_t random;

    (void)t;
    memcpy(&random, key.p, sizeof random);
    return (uint32_t)((unsigned __int128)__builtin_bswap64(random) * parts >> 64);
}

static void
lines(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes line;

    (void)key;
    while (mr_next(t, values, &line))
        mr_emit(t, NULL, 0, line.p, line.n);
}

MR_STAGE(shuffle, .map = draw_all, .partition = by_range, .reduce = lines)

/* ---- an epoch ---- */

/* A shard's descent.  w is what it changes; sum: rows, loss, then w times the rows (1 + d). */
struct shard {
    enum linear_loss kind;
    uint32_t label, d;
    size_t batch;
    double rate, l2, intercept;
    double *w, *sum, *z, *loss;
};

static void
setup(struct mr_task *t)
{
    struct shard *s = t->state = mr_alloc(t, sizeof *s);

    s->kind = linear_loss(mr_option(t, "gradient.loss", "logistic"));
    s->label = (uint32_t)strtoul(mr_option(t, "gradient.label", "1"), NULL, 10) - 1;
    s->batch = strtoul(mr_option(t, "sgd.batch", "32"), NULL, 10);
    s->l2 = strtod(mr_option(t, "gradient.l2", "0"), NULL);
    s->intercept = strtod(mr_option(t, "gradient.intercept", "1"), NULL);
    s->rate = strtod(mr_option(t, "sgd.step", "0"), NULL);
}

static void
prepare(struct mr_task *t, const struct mr_columns *c)
{
    struct shard *s = t->state;

    if (s->label >= c->cols)
        mr_fail(t, "gradient.label is not the number of a column");
    if (s->batch == 0)
        mr_fail(t, "sgd.batch is a number of rows");
    s->d = c->cols - 1;
    s->w = mr_alloc(t, (1 + s->d) * sizeof *s->w);
    memcpy(s->w, linear_side(t, "w", 1 + s->d), (1 + s->d) * sizeof *s->w);
    s->sum = mr_alloc(t, (3 + s->d) * sizeof *s->sum);
    s->z = mr_alloc(t, c->rows * sizeof *s->z);
    s->loss = mr_alloc(t, c->rows * sizeof *s->loss);
}

/* One step for rows [from, from + n) of the run. */
static void
step(struct shard *s, const struct mr_columns *c, const double **col, size_t from, size_t n)
{
    struct mr_columns rows = { n, c->cols, c->file, col, c->at + from };
    double by = s->rate / (double)n, *w = s->w + 1;

    for (uint32_t j = 0; j < c->cols; j++)
        col[j] = c->col[j] + from;
    linear_scores(&rows, s->label, s->w, s->z);
    linear_derive(s->kind, s->z, s->loss, col[s->label], n);
    s->sum[1] += mr_sum(s->loss, n);
    if (s->intercept != 0)
        s->w[0] -= by * mr_sum(s->z, n);
    for (uint32_t j = 0; j < c->cols; j++)
        if (j != s->label) {
            *w -= by * mr_dot(s->z, col[j], n) + s->rate * s->l2 * *w;
            w++;
        }
}

static void
epoch(struct mr_task *t, const struct mr_columns *c)
{
    struct shard *s = t->state;
    const double **col = mr_alloc(t, c->cols * sizeof *col);

    if (s->w == NULL)
        prepare(t, c);
    for (size_t at = 0; at < c->rows; at += s->batch)
        step(s, c, col, at, c->rows - at < s->batch ? c->rows - at : s->batch);
    s->sum[0] += (double)c->rows;
}

static void
give(struct mr_task *t)
{
    const struct shard *s = t->state;

    if (s->w == NULL)
        return;
    for (uint32_t j = 0; j <= s->d; j++)
        s->sum[2 + j] = s->w[j] * s->sum[0];
    mr_emit_vec(t, "", 0, s->sum, 3 + s->d);
}

MR_STAGE(epoch, .reader = MR_READ_COLUMNS, .columns = epoch, .setup = setup, .cleanup = give, .fold = MR_FOLD_SUM_VEC_F64)

static void
width(struct mr_task *t, const struct mr_columns *c)
{
    if (t->state == NULL)
        mr_emit_i64(t, "", 0, c->cols);
    t->state = t;
}

MR_STAGE(width, .reader = MR_READ_COLUMNS, .columns = width, .fold = MR_FOLD_MAX_I64)

/* ---- the driver ---- */

struct descent {
    struct mr_driver *d;
    const char *kind, *directory;
    char shuffled[4096];
    size_t n, epochs, done;     /* n: of w, 1 + features */
    double *w, *losses, *seconds;
};

static int
run(struct descent *s, const char *stage, const char *rate, struct mr_bytes *ret)
{
    const char *const inputs[] = { s->shuffled, NULL };
    const struct mr_side side = { .name = "w", .data = s->w, .bytes = s->n * sizeof *s->w };
    const struct mr_pairopt option = { "sgd.step", rate };
    struct mr_run r = { .stage = stage, .inputs = inputs, .reduces = 1, .sides = &side, .side_count = s->w != NULL,
                        .options = &option, .option_count = rate != NULL };
    struct mr_bytes key;

    if (mr_run(s->d, &r) != 0)
        return -1;
    if (mr_result(s->d, &key, ret))
        return 0;
    fprintf(stderr, "sgd: the input has no rows\n");
    return -1;
}

/* Shuffle unless that was done, and learn how many features there are. */
static int
begin(struct descent *s)
{
    struct mr_run shuffle = { .stage = "shuffle", .output = s->shuffled };
    char done[4200];
    struct mr_bytes b;
    int64_t columns;

    (void)snprintf(done, sizeof done, "%s/_SUCCESS", s->shuffled);
    if (!mr_exists(s->d, done) && mr_run(s->d, &shuffle) != 0)
        return -1;
    printf("shuffle seconds %.4f\n", mr_seconds(s->d));
    if (run(s, "width", NULL, &b) != 0)
        return -1;
    memcpy(&columns, b.p, sizeof columns);
    s->n = (size_t)columns;
    s->w = calloc(s->n, sizeof *s->w);
    s->losses = calloc(s->epochs, sizeof *s->losses);
    s->seconds = calloc(s->epochs, sizeof *s->seconds);
    return s->w && s->losses && s->seconds ? 0 : -1;
}

static void
write_model(const void *arg, FILE *f)
{
    const struct descent *s = arg;

    fprintf(f, "loss %s\nepochs,weights %zu %zu\nweights", s->kind, s->done, s->n);
    for (size_t i = 0; i < s->n; i++)
        fprintf(f, " %.17g", s->w[i]);
    fputc('\n', f);
}

static int
descend(struct descent *s)
{
    double rate = files_number(s->d, "sgd.rate", "0.1"), *sums = calloc(s->n + 2, sizeof *sums);
    struct rounds rounds;
    struct mr_bytes b;
    char text[32];
    int rc = sums ? 0 : -1;

    for (; rc == 0 && s->done < s->epochs; s->done++) {
        (void)snprintf(text, sizeof text, "%.17g", rate / sqrt((double)s->done + 1));
        if ((rc = run(s, "epoch", text, &b)) != 0)
            break;
        memcpy(sums, b.p, (s->n + 2) * sizeof *sums);
        for (size_t j = 0; j < s->n; j++)
            s->w[j] = sums[2 + j] / sums[0];
        s->losses[s->done] = sums[1] / sums[0];
        s->seconds[s->done] = mr_seconds(s->d);
        printf("epoch %zu loss %.10g seconds %.4f\n", s->done + 1, s->losses[s->done], s->seconds[s->done]);
        fflush(stdout);
    }
    free(sums);
    if (rc != 0 || files_save(s->d, s->directory, "model.txt", write_model, s) != 0)
        return -1;
    rounds = (struct rounds){ "epoch", "loss", "mean loss on the way", s->kind, s->losses, s->seconds, s->done };
    return rounds_save(s->d, s->directory, &rounds);
}

static int
train(struct mr_driver *d)
{
    struct descent s = { .d = d, .kind = mr_driver_option(d, "gradient.loss", "logistic"), .directory = files_directory(d),
                         .epochs = (size_t)files_number(d, "sgd.epochs", "10") };
    int status = 1;

    if (s.directory == NULL)
        return 1;
    (void)snprintf(s.shuffled, sizeof s.shuffled, "%s/shuffled", s.directory);
    if (linear_loss(s.kind) == LINEAR_UNKNOWN || s.epochs < 1 || s.epochs > 100000)
        fprintf(stderr, "sgd: gradient.loss is squared, logistic or hinge; sgd.epochs 1 .. 100000\n");
    else if (begin(&s) == 0 && descend(&s) == 0)
        status = 0;
    free(s.w);
    free(s.losses);
    free(s.seconds);
    return status;
}

MR_DRIVER(train)
