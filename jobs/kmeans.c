/*
 * kmeans -- K-Means as two jobs an iteration, or as one.
 *
 *     mr run kmeans -input POINTS -output DIR -D kmeans.k=10
 *
 * POINTS are lines of numbers.  DIR/A.txt holds the k centres, a line each; job 1 (assign, map-only) reads it and
 * writes B, the cluster of each point, a point being its file and place; job 2 (update) reads the points with their
 * part of B beside them and makes the new A.  DIR/inertia.tsv and inertia.svg have the sum of squared distances of
 * each iteration.  docs/jobs/kmeans.md has the mathematics.
 *
 *     -D kmeans.k=N               clusters
 *     -D kmeans.init=++|first|PATH   centres to begin with: k-means++ (default), the first k points, or a file as A.txt;
 *                                 ignored when DIR/A.txt is there: an interrupted run goes on
 *     -D kmeans.iterations=N      at most (default 20)
 *     -D kmeans.tolerance=T       stop when no centre moves farther (default 1e-4)
 *     -D kmeans.form=two|fused    two jobs an iteration (default), or one that keeps no B
 *     -D kmeans.seed=N            of k-means++ (default 1)
 */
#include <mr.h>
#include <mr_groups.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"
#include "rounds.h"

#define BLOCK 256               /* points that are assigned, then added up: their columns stay in the first cache */

/* A point's cluster in B. */
struct assignment {
    uint32_t file, cluster;
    uint64_t at;
};

/* ---- the tasks ---- */

struct centres {
    size_t k, d;
    double *minus;              /* k x d: -c */
    double *half;               /* |c|^2 / 2 */
    double *sum;                /* k x (2 + d): points, sum of |x|^2, sum of x */
    uint32_t *cluster;          /* of a run of rows, as the two below */
    double *nearness;
    struct assignment *b;
    uint64_t seed;
    double *best;               /* seeding: score and row of the best so far */
};

/* A.txt: k lines of d numbers. */
static void
read_centres(struct mr_task *t, struct centres *s)
{
    struct mr_bytes a;
    const char *p, *end, *stop;
    size_t n = 0, lines = 0;

    if (!mr_side(t, "A", &a))
        mr_fail(t, "there are no centres (side file A)");
    s->minus = mr_alloc(t, ((a.n + 1) / 2 + 1) * sizeof *s->minus);     /* a number has a byte and one that ends it */
    for (p = a.p, end = a.p + a.n; p < end; p = stop + 1, n++) {
        for (stop = p; stop < end && *stop != ',' && *stop != '\n'; stop++)
            ;
        if (!mr_parse_f64(t, p, (size_t)(stop - p), &s->minus[n]))
            mr_fail(t, "the centres are not lines of numbers with commas between");
        s->minus[n] = -s->minus[n];
        lines += stop == end || *stop == '\n';
    }
    if (lines != 0 && n % lines != 0)
        mr_fail(t, "the centres have different numbers of coordinates");
    s->k = lines;
    s->d = lines ? n / lines : 0;
    s->half = mr_alloc(t, s->k * sizeof *s->half);
    for (size_t c = 0; c < s->k; c++)
        for (size_t j = 0; j < s->d; j++)
            s->half[c] = fma(s->minus[c * s->d + j], s->minus[c * s->d + j] / 2, s->half[c]);
}

static void
setup(struct mr_task *t)
{
    struct centres *s = t->state = mr_alloc(t, sizeof *s);

    s->seed = strtoull(mr_option(t, "kmeans.seed", "1"), NULL, 10);
    read_centres(t, s);
    s->sum = mr_alloc(t, s->k * (2 + s->d) * sizeof *s->sum);
}

static void
prepare(struct mr_task *t, struct centres *s, const struct mr_columns *p)
{
    if (s->cluster != NULL)
        return;
    if (s->k == 0)
        s->d = p->cols;
    if (p->cols != s->d)
        mr_fail(t, "the points and the centres have different numbers of coordinates");
    s->cluster = mr_alloc(t, p->rows * sizeof *s->cluster);
    s->nearness = mr_alloc(t, p->rows * sizeof *s->nearness);
    s->b = mr_alloc(t, p->rows * sizeof *s->b);
    s->best = mr_alloc(t, (1 + s->d) * sizeof *s->best);
    s->best[0] = -INFINITY;
}

/* Clusters of rows [at, at + n), and how near: the nearest centre is the one whose |c|^2 / 2 - x.c is least. */
static void
assign_rows(struct centres *s, const struct mr_columns *p, size_t at, size_t n)
{
    mr_least(s->nearness + at, s->cluster + at, s->minus, s->half, s->k, s->d, p->col, at, n);
}

static size_t
block_at(const struct mr_columns *p, size_t at)
{
    return p->rows - at < BLOCK ? p->rows - at : BLOCK;
}

/* Rows [at, at + n), whose clusters are known, to the sums; nearness becomes |x|^2. */
static void
add_rows(struct centres *s, const struct mr_columns *p, size_t at, size_t n)
{
    size_t width = 2 + s->d, j = 0;
    const uint32_t *cluster = s->cluster + at;
    double *square = s->nearness + at;
    const double *x[4];

    mr_squares(square, p->col, s->d, at, n);
    for (; j + 4 <= s->d; j += 4) {
        for (size_t k = 0; k < 4; k++)
            x[k] = p->col[j + k] + at;
        mr_add4_by(s->sum + 2 + j, width, cluster, x, n);
    }
    for (; j < s->d; j++)
        for (size_t i = 0; i < n; i++)
            s->sum[cluster[i] * width + 2 + j] += p->col[j][at + i];
    for (size_t i = 0; i < n; i++) {
        s->sum[cluster[i] * width]++;
        s->sum[cluster[i] * width + 1] += square[i];
    }
}

/* Job 1: points to B. */
static void
assign(struct mr_task *t, const struct mr_columns *p)
{
    struct centres *s = t->state;

    prepare(t, s, p);
    for (size_t i = 0; i < p->rows; i += BLOCK)
        assign_rows(s, p, i, block_at(p, i));
    for (size_t i = 0; i < p->rows; i++)
        s->b[i] = (struct assignment){ p->file, s->cluster[i], p->at[i] };
    mr_emit(t, NULL, 0, s->b, p->rows * sizeof *s->b);
}

/* Job 2: points and B to sums by cluster. */
static void
update(struct mr_task *t, const struct mr_columns *p)
{
    struct centres *s = t->state;
    struct assignment a;
    struct mr_bytes b;

    prepare(t, s, p);
    if (!mr_second(t, p->rows * sizeof *s->b, &b) || b.n != p->rows * sizeof *s->b)
        mr_fail(t, "B has fewer points than the input");
    for (size_t i = 0; i < p->rows; i++) {
        memcpy(&a, b.p + i * sizeof a, sizeof a);
        if (a.file != p->file || a.at != p->at[i] || a.cluster >= s->k)
            mr_fail(t, "B is not of this input and these centres");
        s->cluster[i] = a.cluster;
    }
    for (size_t i = 0; i < p->rows; i += BLOCK)
        add_rows(s, p, i, block_at(p, i));
}

static void
fused(struct mr_task *t, const struct mr_columns *p)
{
    struct centres *s = t->state;

    prepare(t, s, p);
    for (size_t i = 0; i < p->rows; i += BLOCK) {
        assign_rows(s, p, i, block_at(p, i));
        add_rows(s, p, i, block_at(p, i));
    }
}

static void
give_sums(struct mr_task *t)
{
    const struct centres *s = t->state;

    if (s->cluster != NULL)     /* not in a reduce */
        for (uint32_t c = 0; c < s->k; c++)
            mr_emit_vec(t, &c, sizeof c, s->sum + c * (2 + s->d), 2 + s->d);
}

/* Seeding: the row with the highest score.  With scores log(u) / w, u drawn evenly for each row, a row is the highest
 * with probability w / sum of w (Efraimidis and Spirakis 2006): one scan picks the next centre of k-means++. */
static void
pick(struct mr_task *t, const struct mr_columns *p, int drawn)
{
    struct centres *s = t->state;

    prepare(t, s, p);
    for (size_t i = 0; i < p->rows; i += BLOCK)
        assign_rows(s, p, i, block_at(p, i));
    for (size_t i = 0; i < p->rows; i++) {
        double w = 2 * s->nearness[i], u = mr_random_f64(s->seed + s->k, mr_mix(p->file + 1, p->at[i]));

        for (size_t j = 0; j < s->d; j++)
            w = fma(p->col[j][i], p->col[j][i], w);
        w = s->k == 0 ? 1 : w > 0 ? w : 0;      /* squared distance from the nearest centre */
        if (drawn)
            w = w > 0 ? log(1 - u) / w : -INFINITY;
        if (w > s->best[0]) {
            s->best[0] = w;
            for (size_t j = 0; j < s->d; j++)
                s->best[1 + j] = p->col[j][i];
        }
    }
}

static void draw(struct mr_task *t, const struct mr_columns *p) { pick(t, p, 1); }
static void farthest(struct mr_task *t, const struct mr_columns *p) { pick(t, p, 0); }

static void
higher(void *into, const void *value, size_t n)
{
    if (*(const double *)value > *(const double *)into)
        memcpy(into, value, n);
}

static void
give_best(struct mr_task *t)
{
    const struct centres *s = t->state;

    if (s->best != NULL)
        mr_emit_vec(t, "", 0, s->best, 1 + s->d);
}

/* The first k points: those at the beginning of the first map's input. */
static void
first(struct mr_task *t, const struct mr_columns *p)
{
    size_t k = strtoul(mr_option(t, "kmeans.k", "0"), NULL, 10), seen = (size_t)(uintptr_t)t->state;
    double *row = mr_alloc(t, p->cols * sizeof *row);

    for (size_t i = 0; i < p->rows && seen < k && mr_number(t, MR_TASK_INDEX) == 0; i++, seen++) {
        uint32_t key = __builtin_bswap32((uint32_t)seen);

        for (uint32_t j = 0; j < p->cols; j++)
            row[j] = p->col[j][i];
        mr_emit_vec(t, &key, sizeof key, row, p->cols);
    }
    t->state = (void *)(uintptr_t)seen;
}

#define COLUMNS(f) .reader = MR_READ_COLUMNS, .columns = f

MR_STAGE(assign, COLUMNS(assign), .setup = setup, .map_only = 1, .writer = MR_WRITE_RAW)
MR_STAGE(update, COLUMNS(update), .setup = setup, .cleanup = give_sums, .fold = MR_FOLD_SUM_VEC_F64)
MR_STAGE(fused, COLUMNS(fused), .setup = setup, .cleanup = give_sums, .fold = MR_FOLD_SUM_VEC_F64)
MR_STAGE(draw, COLUMNS(draw), .setup = setup, .cleanup = give_best, .fold = MR_FOLD_OWN, .fold_own = higher)
MR_STAGE(farthest, COLUMNS(farthest), .setup = setup, .cleanup = give_best, .fold = MR_FOLD_OWN, .fold_own = higher)
MR_STAGE(first, COLUMNS(first), .fold = MR_FOLD_SUM_VEC_F64)

/* ---- the driver ---- */

#define ITERATIONS_MAX 100000

struct clustering {
    struct mr_driver *d;
    const char *directory, *form;
    char a_path[4096], b_path[4096];
    size_t k, dims;
    double *centres;            /* k x dims */
    double inertia[ITERATIONS_MAX], seconds[ITERATIONS_MAX];
    size_t done;
};

static int
run(struct clustering *s, const char *stage, const char *output, const char *second)
{
    struct mr_side a = { .name = "A", .path = s->a_path };
    struct mr_run r = { .stage = stage, .output = output, .second = second, .reduces = 1, .sides = &a,
                        .side_count = strcmp(stage, "first") != 0 };

    return mr_run(s->d, &r);
}

static void
write_centres(const void *arg, FILE *f)
{
    const struct clustering *s = arg;

    for (size_t i = 0; i < s->k * s->dims; i++)
        fprintf(f, "%.17g%c", s->centres[i], i % s->dims == s->dims - 1 ? '\n' : ',');
}

/* A.txt as it is: 1, 0 when it is not there, -1. */
static int
load_centres(struct clustering *s, const char *path)
{
    struct mr_bytes a;
    const char *p;
    char *end;
    size_t n = 0;
    int there = mr_read(s->d, path, &a);

    if (there <= 0)
        return there;
    for (size_t i = s->dims = 0; i < a.n && a.p[i] != '\n'; i++)
        s->dims += a.p[i] == ',';
    s->dims++;
    for (p = a.p; p < a.p + a.n; p = end + 1) {
        double v = strtod(p, &end), *more;

        if (end == p || (*end != ',' && *end != '\n')) {
            fprintf(stderr, "kmeans: %s: byte %zu is not a number\n", path, (size_t)(p - a.p));
            return -1;
        }
        if ((more = realloc(s->centres, (n + 1) * sizeof *more)) == NULL)
            return -1;
        s->centres = more;
        s->centres[n++] = v;
    }
    if (n != s->k * s->dims) {
        fprintf(stderr, "kmeans: %s has %zu numbers, not %zu centres of %zu\n", path, n, s->k, s->dims);
        return -1;
    }
    return 1;
}

/* Append the row that a seeding scan gave, without its score, as centre number `at`. */
static int
take_row(struct clustering *s, size_t at, const double *row, size_t dims)
{
    double *more = realloc(s->centres, (s->k + 1) * dims * sizeof *more);

    if (more == NULL)
        return -1;
    s->centres = more;
    s->dims = dims;
    memcpy(s->centres + at * dims, row, dims * sizeof *row);
    return 0;
}

static int
pick_centre(struct clustering *s, const char *stage, size_t at)
{
    struct mr_bytes key, row;
    double v[1 + 4096];

    if (run(s, stage, NULL, NULL) != 0)
        return -1;
    if (!mr_result(s->d, &key, &row) || row.n > sizeof v) {
        fprintf(stderr, "kmeans: there are no points, or they have more than 4096 coordinates\n");
        return -1;
    }
    memcpy(v, row.p, row.n);
    return take_row(s, at, v + 1, row.n / sizeof *v - 1);
}

/* k-means++: each centre is a point drawn with the square of its distance from the centres before it. */
static int
spread(struct clustering *s)
{
    size_t k = s->k;

    for (s->k = 0; s->k < k; s->k++)
        if (files_save(s->d, s->directory, "A.txt", write_centres, s) != 0 || pick_centre(s, "draw", s->k) != 0)
            return -1;
    return files_save(s->d, s->directory, "A.txt", write_centres, s);
}

static int
first_points(struct clustering *s)
{
    struct mr_bytes key, row;
    size_t n = 0;

    if (run(s, "first", NULL, NULL) != 0)
        return -1;
    for (; mr_result(s->d, &key, &row); n++)
        if (row.n > 4096 * sizeof(double) || take_row(s, n, (const double *)(const void *)row.p, row.n / sizeof(double)) != 0)
            return -1;
    if (n < s->k) {
        fprintf(stderr, "kmeans: the first map's input has %zu points, fewer than kmeans.k=%zu\n", n, s->k);
        return -1;
    }
    return files_save(s->d, s->directory, "A.txt", write_centres, s);
}

static int
begin(struct clustering *s)
{
    const char *init = mr_driver_option(s->d, "kmeans.init", "++");
    int there = load_centres(s, s->a_path);

    if (there != 0) {
        if (there > 0)
            printf("going on from %s\n", s->a_path);
        return there > 0 ? 0 : -1;
    }
    if (strcmp(init, "++") == 0)
        return spread(s);
    if (strcmp(init, "first") == 0)
        return first_points(s);
    if ((there = load_centres(s, init)) == 0)
        fprintf(stderr, "kmeans: kmeans.init=%s: give ++, first or a file of centres\n", init);
    return there > 0 ? files_save(s->d, s->directory, "A.txt", write_centres, s) : -1;
}

/* The sums of the last scan, k x (2 + dims); NULL without memory. */
static double *
take_sums(struct clustering *s)
{
    size_t width = 2 + s->dims;
    double *sums = calloc(s->k * width, sizeof *sums);
    struct mr_bytes key, value;
    uint32_t c;

    while (sums && mr_result(s->d, &key, &value)) {
        memcpy(&c, key.p, sizeof c);
        memcpy(sums + c * width, value.p, width * sizeof *sums);
    }
    return sums;
}

/* The new centres and how far the farthest moved.  An empty cluster takes the point farthest from all centres. */
static int
move(struct clustering *s, double *ret_moved)
{
    double *sums = take_sums(s), inertia = 0, moved = 0;
    int rc = sums ? 0 : -1;

    for (size_t c = 0; rc == 0 && c < s->k; c++) {
        const double *v = sums + c * (2 + s->dims);
        double *at = s->centres + c * s->dims, square = 0;

        inertia += v[1];
        for (size_t j = 0; v[0] > 0 && j < s->dims; j++) {
            double to = v[2 + j] / v[0];

            inertia += v[0] * at[j] * at[j] - 2 * at[j] * v[2 + j];
            square += (to - at[j]) * (to - at[j]);
            at[j] = to;
        }
        moved = fmax(moved, sqrt(square));
    }
    s->inertia[s->done] = inertia;
    if (rc == 0)
        rc = files_save(s->d, s->directory, "A.txt", write_centres, s);
    for (size_t c = 0; rc == 0 && c < s->k; c++)
        if (sums[c * (2 + s->dims)] == 0) {
            moved = INFINITY;
            rc = pick_centre(s, "farthest", c) != 0 ? -1 : files_save(s->d, s->directory, "A.txt", write_centres, s);
        }
    free(sums);
    *ret_moved = moved;
    return rc;
}

static int
iterate(struct clustering *s, long iterations, double tolerance)
{
    double moved = INFINITY;

    for (; (long)s->done < iterations && moved > tolerance; s->done++) {
        double took;

        if (strcmp(s->form, "fused") == 0) {
            if (run(s, "fused", NULL, NULL) != 0)
                return -1;
            took = mr_seconds(s->d);
        } else {
            if (mr_remove(s->d, s->b_path) != 0 || run(s, "assign", s->b_path, NULL) != 0)
                return -1;
            took = mr_seconds(s->d);
            if (run(s, "update", NULL, s->b_path) != 0)
                return -1;
            took += mr_seconds(s->d);
        }
        s->seconds[s->done] = took;
        if (move(s, &moved) != 0)
            return -1;
        printf("iteration %zu inertia %.10g moved %.4g seconds %.4f\n", s->done + 1, s->inertia[s->done], moved, took);
        fflush(stdout);
    }
    printf("%s after %zu iterations\n", moved <= tolerance ? "at rest" : "stopped", s->done);
    return 0;
}

static int
cluster(struct mr_driver *d)
{
    static struct clustering s;     /* one driver in a process */
    long iterations = strtol(mr_driver_option(d, "kmeans.iterations", "20"), NULL, 10);
    struct rounds rounds;

    s.d = d;
    s.directory = files_directory(d);
    s.form = mr_driver_option(d, "kmeans.form", "two");
    s.k = strtoul(mr_driver_option(d, "kmeans.k", "0"), NULL, 10);
    if (s.directory == NULL)
        return 1;
    if (s.k == 0 || iterations < 1 || iterations > ITERATIONS_MAX ||
        (strcmp(s.form, "two") != 0 && strcmp(s.form, "fused") != 0)) {
        fprintf(stderr, "kmeans: give -D kmeans.k=N, kmeans.iterations=1 .. %d and kmeans.form=two or fused\n", ITERATIONS_MAX);
        return 1;
    }
    (void)snprintf(s.a_path, sizeof s.a_path, "%s/A.txt", s.directory);
    (void)snprintf(s.b_path, sizeof s.b_path, "%s/B", s.directory);
    if (begin(&s) != 0 || iterate(&s, iterations, strtod(mr_driver_option(d, "kmeans.tolerance", "1e-4"), NULL)) != 0)
        return 1;
    rounds = (struct rounds){ "iteration", "inertia", "sum of squared distances", s.form, s.inertia, s.seconds, s.done };
    return rounds_save(d, s.directory, &rounds) != 0;
}

MR_DRIVER(cluster)
