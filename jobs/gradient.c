/*
 * gradient -- linear models by batch gradient descent: squared loss, logistic regression, linear SVM.
 *
 *     mr run gradient -input POINTS -output DIR -D gradient.loss=logistic
 *
 * POINTS are lines of numbers, one of them the label.  An epoch is one scan: each map adds up loss and gradient of its
 * rows, a reduce adds the maps', the driver moves the weights.  DIR gets model.txt (from which an interrupted training
 * goes on), loss.tsv and loss.svg.  docs/jobs/gradient.md has the mathematics.
 *
 *     -D gradient.loss=squared|logistic|hinge   default logistic
 *     -D gradient.label=N                       which column is the label, from 1 (default 1)
 *     -D gradient.epochs=N                      at most (default 100)
 *     -D gradient.rate=R                        length of a step (default 0.1)
 *     -D gradient.steps=constant|decay|search   R; R / sqrt(epoch); or the best of R 2^2 .. R 2^-9 (default constant)
 *     -D gradient.l2=L                          adds L / 2 |w|^2, the intercept left out (default 0)
 *     -D gradient.tolerance=T                   stop when the loss falls by less than T of it (default 1e-6; 0: never)
 *     -D gradient.standardise=1                 descend as if features had mean 0 and deviation 1
 *     -D gradient.intercept=0                   no constant term
 */
#include <stdio.h>

#include "files.h"
#include "linear.h"
#include "rounds.h"

#define STEPS 12                /* that a search tries: R 2^2 and down */
#define EPOCHS_MAX 100000

/* ---- the scans ---- */

struct scan {
    enum linear_loss kind;
    uint32_t label, d;          /* d features */
    const double *w, *direction;
    double *sum;                /* epoch: rows, loss, gradient (1 + d); search: loss of each step */
    double *z, *along, *tried, *loss;   /* of a run of rows */
    size_t sums;
};

static void
setup(struct mr_task *t)
{
    struct scan *s = t->state = mr_alloc(t, sizeof *s);

    s->kind = linear_loss(mr_option(t, "gradient.loss", "logistic"));
    s->label = (uint32_t)strtoul(mr_option(t, "gradient.label", "1"), NULL, 10) - 1;
}

/* Room, once the first rows say how many features there are. */
static void
prepare(struct mr_task *t, const struct mr_columns *c, int searches)
{
    struct scan *s = t->state;

    if (s->label >= c->cols)
        mr_fail(t, "gradient.label is not the number of a column");
    s->d = c->cols - 1;
    s->sums = searches ? STEPS : 2 + 1 + s->d;
    s->sum = mr_alloc(t, s->sums * sizeof *s->sum);
    s->w = linear_side(t, "w", 1 + s->d);
    s->direction = searches ? linear_side(t, "direction", 1 + s->d) : NULL;
    s->z = mr_alloc(t, c->rows * sizeof *s->z);
    s->along = mr_alloc(t, c->rows * sizeof *s->along);
    s->tried = mr_alloc(t, c->rows * sizeof *s->tried);
    s->loss = mr_alloc(t, c->rows * sizeof *s->loss);
}

static void
epoch(struct mr_task *t, const struct mr_columns *c)
{
    struct scan *s = t->state;
    double *gradient;

    if (s->sum == NULL)
        prepare(t, c, 0);
    gradient = s->sum + 2;
    linear_scores(c, s->label, s->w, s->z);
    linear_derive(s->kind, s->z, s->loss, c->col[s->label], c->rows);
    s->sum[0] += (double)c->rows;
    s->sum[1] += mr_sum(s->loss, c->rows);
    *gradient++ += mr_sum(s->z, c->rows);
    for (uint32_t j = 0; j < c->cols; j++)
        if (j != s->label)
            *gradient++ += mr_dot(s->z, c->col[j], c->rows);
}

/* The score is linear in the weights: one scan has the losses of all steps along a direction. */
static void
search(struct mr_task *t, const struct mr_columns *c)
{
    double step = 4 * strtod(mr_option(t, "gradient.rate", "0.1"), NULL);
    struct scan *s = t->state;

    if (s->sum == NULL)
        prepare(t, c, 1);
    linear_scores(c, s->label, s->w, s->z);
    linear_scores(c, s->label, s->direction, s->along);
    for (int k = 0; k < STEPS; k++, step /= 2) {
        memcpy(s->tried, s->z, c->rows * sizeof *s->tried);
        mr_axpy(s->tried, step, s->along, c->rows);
        linear_derive(s->kind, s->tried, s->loss, c->col[s->label], c->rows);
        s->sum[k] += mr_sum(s->loss, c->rows);
    }
}

static void
give(struct mr_task *t)
{
    const struct scan *s = t->state;

    if (s->sum != NULL)
        mr_emit_vec(t, "", 0, s->sum, s->sums);
}

/* Means and deviations of the columns, for the driver. */
struct description {
    size_t cols;
    struct mr_stats of[];
};

static void
describe(struct mr_task *t, const struct mr_columns *c)
{
    struct description *s = t->state;

    if (s == NULL) {
        s = t->state = mr_alloc(t, sizeof *s + c->cols * sizeof s->of[0]);
        s->cols = c->cols;
    }
    for (uint32_t j = 0; j < c->cols; j++)
        mr_stats_add(&s->of[j], c->col[j], c->rows);
}

static void
give_description(struct mr_task *t)
{
    const struct description *s = t->state;

    if (s != NULL)
        mr_emit(t, "", 0, s->of, s->cols * sizeof s->of[0]);
}

/* ---- prediction: label and value of each row ---- */

struct model {
    enum linear_loss kind;
    uint32_t label, n;
    double *w, *z;
};

/* The side file `model`, as the driver wrote it. */
static void
load_model(struct mr_task *t)
{
    struct model *m = t->state = mr_alloc(t, sizeof *m);
    struct mr_bytes b, word;
    const char *p, *end;
    char kind[16] = "";

    m->label = (uint32_t)strtoul(mr_option(t, "gradient.label", "1"), NULL, 10) - 1;
    if (!mr_side(t, "model", &b))
        mr_fail(t, "give -side model=DIR/model.txt");
    p = b.p;
    end = p + b.n;
    m->kind = LINEAR_UNKNOWN;
    while (mr_word(&p, end, &word)) {
        if (word.n == 4 && memcmp(word.p, "loss", 4) == 0 && mr_word(&p, end, &word) && word.n < sizeof kind) {
            memcpy(kind, word.p, word.n);
            m->kind = linear_loss(kind);
        }
        if (word.n == 7 && memcmp(word.p, "weights", 7) == 0)
            break;
    }
    m->w = mr_alloc(t, (b.n / 2 + 1) * sizeof *m->w);
    while (mr_word(&p, end, &word) && mr_parse_f64(t, word.p, word.n, &m->w[m->n]))
        m->n++;
    if (m->kind == LINEAR_UNKNOWN || m->n == 0)
        mr_fail(t, "the side file model is not a model.txt of gradient or sgd");
}

/* A line "label<tab>value": the score; of logistic regression the probability of the class above 0. */
static void
predict(struct mr_task *t, const struct mr_columns *c)
{
    struct model *m = t->state;
    char label[32], value[32];

    if (m->label >= c->cols || m->n != c->cols)
        mr_fail(t, "the model and the rows have different numbers of features");
    if (m->z == NULL)
        m->z = mr_alloc(t, c->rows * sizeof *m->z);
    linear_scores(c, m->label, m->w, m->z);
    for (size_t i = 0; i < c->rows; i++) {
        double v = m->kind == LINEAR_LOGISTIC ? 1 / (1 + mr_exp(-m->z[i])) : m->z[i];
        size_t n = mr_f64_text(t, c->col[m->label][i], label);

        mr_emit(t, label, n, value, mr_f64_text(t, v, value));
    }
}

MR_STAGE(predict, .reader = MR_READ_COLUMNS, .setup = load_model, .columns = predict, .map_only = 1)
MR_STAGE(describe, .reader = MR_READ_COLUMNS, .columns = describe, .cleanup = give_description, .fold = MR_FOLD_STATS)
MR_STAGE(epoch, .reader = MR_READ_COLUMNS, .setup = setup, .columns = epoch, .cleanup = give, .fold = MR_FOLD_SUM_VEC_F64)
MR_STAGE(search, .reader = MR_READ_COLUMNS, .setup = setup, .columns = search, .cleanup = give, .fold = MR_FOLD_SUM_VEC_F64)

/* ---- the descent ---- */

/* The weights as the descent sees them, [0] the intercept: of features less mean[j] and over deviation[j]. */
struct descent {
    struct mr_driver *d;
    const char *kind, *steps, *directory;
    double rate, l2, tolerance, rows;
    long epochs, label;
    int intercept, standardise;
    size_t n;                   /* of w: 1 + features */
    double *w, *gradient, *mean, *deviation, *raw, *raw_direction;
    double *losses, *seconds;   /* of each epoch so far, before its step */
    size_t done;
};

/* The same line in features as they are. */
static void
to_raw(const struct descent *s, const double *w, double *raw)
{
    raw[0] = w[0];
    for (size_t j = 1; j < s->n; j++) {
        raw[j] = w[j] / s->deviation[j];
        raw[0] -= raw[j] * s->mean[j];
    }
}

static int
run(struct descent *s, const char *stage, const double *direction, struct mr_bytes *ret)
{
    struct mr_side sides[] = { { .name = "w", .data = s->raw, .bytes = s->n * sizeof(double) },
                               { .name = "direction", .data = direction, .bytes = s->n * sizeof(double) } };
    struct mr_run r = { .stage = stage, .reduces = 1, .sides = sides, .side_count = direction ? 2 : s->raw ? 1 : 0 };
    struct mr_bytes key;

    if (mr_run(s->d, &r) != 0)
        return -1;
    if (mr_result(s->d, &key, ret))
        return 0;
    fprintf(stderr, "gradient: the input has no rows\n");
    return -1;
}

/* Count and scale the features. */
static int
look(struct descent *s)
{
    struct mr_bytes b;
    struct mr_stats c;
    size_t j = 1;

    if (run(s, "describe", NULL, &b) != 0)
        return -1;
    s->n = b.n / sizeof c;
    if (s->label < 1 || (size_t)s->label > s->n) {
        fprintf(stderr, "gradient: gradient.label=%ld, but the rows have %zu columns\n", s->label, s->n);
        return -1;
    }
    s->w = calloc(s->n * 6, sizeof *s->w);
    s->losses = calloc((size_t)s->epochs * 2 + 2, sizeof *s->losses);
    if (s->w == NULL || s->losses == NULL)
        return -1;
    s->gradient = s->w + s->n;
    s->mean = s->gradient + s->n;
    s->deviation = s->mean + s->n;
    s->raw = s->deviation + s->n;
    s->raw_direction = s->raw + s->n;
    s->seconds = s->losses + s->epochs + 1;
    for (size_t i = 0; i < s->n; i++) {
        memcpy(&c, b.p + i * sizeof c, sizeof c);
        s->rows = c.n;
        if ((long)i == s->label - 1)
            continue;
        s->mean[j] = s->standardise ? c.mean : 0;
        s->deviation[j] = s->standardise && c.m2 > 0 ? sqrt(c.m2 / c.n) : 1;
        j++;
    }
    return 0;
}

/* The loss at w into losses[done], its gradient. */
static int
scan(struct descent *s)
{
    struct mr_bytes b;
    double sum, loss, *g = s->gradient;

    to_raw(s, s->w, s->raw);
    if (run(s, "epoch", NULL, &b) != 0)
        return -1;
    memcpy(&loss, b.p + sizeof loss, sizeof loss);
    memcpy(g, b.p + 2 * sizeof *g, s->n * sizeof *g);
    sum = g[0];
    loss /= s->rows;
    g[0] = s->intercept ? sum / s->rows : 0;
    for (size_t j = 1; j < s->n; j++) {
        g[j] = (g[j] - s->mean[j] * sum) / s->deviation[j] / s->rows + s->l2 * s->w[j];
        loss += s->l2 / 2 * s->w[j] * s->w[j];
    }
    s->losses[s->done] = loss;
    s->seconds[s->done] = mr_seconds(s->d);
    return 0;
}

/* The penalty of w - step gradient. */
static double
penalty(const struct descent *s, double step)
{
    double sum = 0, w;

    for (size_t j = 1; j < s->n; j++) {
        w = s->w[j] - step * s->gradient[j];
        sum += s->l2 / 2 * w * w;
    }
    return sum;
}

/* How far to go against the gradient. */
static int
choose(struct descent *s, double *ret)
{
    double best = INFINITY, step = 4 * s->rate, loss;
    struct mr_bytes b;

    *ret = strcmp(s->steps, "decay") == 0 ? s->rate / sqrt((double)s->done + 1) : s->rate;
    if (strcmp(s->steps, "search") != 0)
        return 0;
    to_raw(s, s->gradient, s->raw_direction);
    for (size_t j = 0; j < s->n; j++)
        s->raw_direction[j] = -s->raw_direction[j];
    if (run(s, "search", s->raw_direction, &b) != 0)
        return -1;
    for (size_t k = 0; k < STEPS; k++, step /= 2) {
        memcpy(&loss, b.p + k * sizeof loss, sizeof loss);
        loss = loss / s->rows + penalty(s, step);
        if (loss < best) {
            best = loss;
            *ret = step;
        }
    }
    return 0;
}

/* ---- what is kept ---- */

static void
put_numbers(FILE *f, const char *name, const double *v, size_t n)
{
    fputs(name, f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, " %.17g", v[i]);
    fputc('\n', f);
}

/* n numbers after the line's name; NULL when it is not such a line. */
static const char *
get_numbers(const char *at, const char *name, double *v, size_t n)
{
    size_t len = strlen(name);
    char *end;

    if (at == NULL || strncmp(at, name, len) != 0)
        return NULL;
    at += len;
    for (size_t i = 0; i < n; i++, at = end) {
        v[i] = strtod(at, &end);
        if (end == at)
            return NULL;
    }
    return *at == '\n' ? at + 1 : NULL;
}

/* "weights" are for rows as they are: what prediction reads. */
static void
write_model(const void *arg, FILE *f)
{
    const struct descent *s = arg;
    double counts[] = { (double)s->done, (double)s->n };

    fprintf(f, "loss %s\n", s->kind);
    put_numbers(f, "epochs,weights", counts, 2);
    put_numbers(f, "weights", s->raw, s->n);
    put_numbers(f, "descent", s->w, s->n);
    put_numbers(f, "losses", s->losses, s->done);
    put_numbers(f, "seconds", s->seconds, s->done);
}

/* Go on from model.txt if it is there: 0, or -1 after saying why not. */
static int
resume(struct descent *s)
{
    char path[4096], kind[32] = "";
    double counts[2] = { 0, 0 };
    const char *at;
    struct mr_bytes b;
    int there;

    (void)snprintf(path, sizeof path, "%s/model.txt", s->directory);
    if ((there = mr_read(s->d, path, &b)) <= 0)
        return there;
    at = strchr(b.p, '\n');
    if (at != NULL && sscanf(b.p, "loss %31s", kind) == 1)
        at = get_numbers(at + 1, "epochs,weights", counts, 2);
    if (at == NULL || strcmp(kind, s->kind) != 0 || counts[1] != (double)s->n) {
        fprintf(stderr, "gradient: %s is a model of loss %s with %.0f weights, not of %s with %zu: give another -output\n",
                path, kind, counts[1], s->kind, s->n);
        return -1;
    }
    s->done = counts[0] < (double)s->epochs ? (size_t)counts[0] : (size_t)s->epochs;
    at = get_numbers(at, "weights", s->raw, s->n);
    at = get_numbers(at, "descent", s->w, s->n);
    at = get_numbers(at, "losses", s->losses, s->done);
    if (at == NULL || get_numbers(at, "seconds", s->seconds, s->done) == NULL) {
        fprintf(stderr, "gradient: %s is not whole: remove it to begin anew\n", path);
        return -1;
    }
    printf("going on after epoch %zu of %s\n", s->done, path);
    return 0;
}

static int
converged(const struct descent *s)
{
    double was, now;

    if (s->done < 2 || s->tolerance <= 0)
        return 0;
    was = s->losses[s->done - 2];
    now = s->losses[s->done - 1];
    return fabs(was - now) <= s->tolerance * fmax(fabs(was), 1e-300);
}

static int
descend(struct descent *s)
{
    struct rounds rounds;
    double step;

    while (s->done < (size_t)s->epochs && !converged(s)) {
        if (scan(s) != 0 || choose(s, &step) != 0)
            return -1;
        for (size_t j = 0; j < s->n; j++)
            s->w[j] -= step * s->gradient[j];
        s->done++;
        printf("epoch %zu loss %.10g step %.4g seconds %.4f\n", s->done, s->losses[s->done - 1], step,
               s->seconds[s->done - 1]);
        fflush(stdout);
        to_raw(s, s->w, s->raw);
        if (!isfinite(s->losses[s->done - 1])) {
            fprintf(stderr, "gradient: the loss grows without bound: give a smaller gradient.rate, or "
                    "gradient.standardise=1, or gradient.steps=search\n");
            return -1;
        }
        if (files_save(s->d, s->directory, "model.txt", write_model, s) != 0)
            return -1;
    }
    printf("%s after %zu epochs\n", converged(s) ? "converged" : "stopped", s->done);
    rounds = (struct rounds){ "epoch", "loss", "loss", s->kind, s->losses, s->seconds, s->done };
    return rounds_save(s->d, s->directory, &rounds);
}

static int
train(struct mr_driver *d)
{
    struct descent s = {
        .d = d, .kind = mr_driver_option(d, "gradient.loss", "logistic"),
        .steps = mr_driver_option(d, "gradient.steps", "constant"), .directory = files_directory(d),
        .rate = files_number(d, "gradient.rate", "0.1"), .l2 = files_number(d, "gradient.l2", "0"),
        .tolerance = files_number(d, "gradient.tolerance", "1e-6"), .epochs = (long)files_number(d, "gradient.epochs", "100"),
        .label = (long)files_number(d, "gradient.label", "1"), .intercept = files_number(d, "gradient.intercept", "1") != 0,
        .standardise = files_number(d, "gradient.standardise", "0") != 0,
    };
    int status = 1;

    if (s.directory == NULL)
        return 1;
    if (linear_loss(s.kind) == LINEAR_UNKNOWN)
        fprintf(stderr, "gradient: gradient.loss=%s: give squared, logistic or hinge\n", s.kind);
    else if (strcmp(s.steps, "constant") != 0 && strcmp(s.steps, "decay") != 0 && strcmp(s.steps, "search") != 0)
        fprintf(stderr, "gradient: gradient.steps=%s: give constant, decay or search\n", s.steps);
    else if (s.epochs < 1 || s.epochs > EPOCHS_MAX || !(s.rate > 0))
        fprintf(stderr, "gradient: gradient.epochs must be 1 .. %d and gradient.rate above 0\n", EPOCHS_MAX);
    else if (look(&s) == 0 && resume(&s) == 0 && descend(&s) == 0)
        status = 0;
    free(s.w);
    free(s.losses);
    return status;
}

MR_DRIVER(train)
