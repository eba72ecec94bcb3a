/*
 * floor/kmeans THREADS ITERATIONS CLUSTERS IN OUT [B]: K-Means on the 20 coordinates from the first rows as centres;
 * writes the centres, prints "parse S" and "iteration S" (the median).
 *
 * With B, an iteration is the two-job form: the assignments (16 bytes a point: file, cluster, place) are written to the
 * file B and read back for the sums.
 */
#include "points.h"

#define CLUSTERS_MAX 64

struct assignment {
    uint32_t file, cluster;
    uint64_t at;
};

struct work {
    struct points points;
    int clusters, b;                            /* b: the file, -1 without */
    double centre[CLUSTERS_MAX][COLUMNS];       /* [0]: half the centre's square */
    double sum[THREADS_MAX][CLUSTERS_MAX][COLUMNS + 3];     /* [0]: how many */
};

/* Nearest centre of rows [at, at + n): |c|^2 / 2 - x.c is least. */
static void
assign(const struct work *k, size_t at, size_t n, uint32_t *ret)
{
    double best[TILE], d[TILE];

    for (int c = 0; c < k->clusters; c++) {
        for (size_t r = 0; r < n; r++)
            d[r] = k->centre[c][0];
        for (int j = 1; j < COLUMNS; j++)
            for (size_t r = 0; r < n; r++)
                d[r] -= k->centre[c][j] * k->points.column[j][at + r];
        for (size_t r = 0; r < n; r++) {
            int nearer = c == 0 || d[r] < best[r];

            best[r] = nearer ? d[r] : best[r];
            ret[r] = nearer ? (uint32_t)c : ret[r];
        }
    }
}

static void
add_up(struct work *k, int i, size_t at, size_t n, const uint32_t *cluster)
{
    for (size_t r = 0; r < n; r++)
        k->sum[i][cluster[r]][0]++;
    for (int j = 1; j < COLUMNS; j++)
        for (size_t r = 0; r < n; r++)
            k->sum[i][cluster[r]][j] += k->points.column[j][at + r];
}

static size_t
tile(const struct work *k, int i, size_t at)
{
    size_t left = k->points.first[i + 1] - at;

    return left < TILE ? left : TILE;
}

static void
assign_part(void *arg, int i)
{
    struct work *k = arg;
    uint32_t cluster[TILE];
    struct assignment b[TILE];

    memset(k->sum[i], 0, sizeof k->sum[i]);
    for (size_t at = k->points.first[i], n; at < k->points.first[i + 1]; at += n) {
        n = tile(k, i, at);
        assign(k, at, n, cluster);
        if (k->b < 0) {
            add_up(k, i, at, n, cluster);
            continue;
        }
        for (size_t r = 0; r < n; r++)
            b[r] = (struct assignment){ 0, cluster[r], at + r };
        if (pwrite(k->b, b, n * sizeof *b, (off_t)(at * sizeof *b)) != (ssize_t)(n * sizeof *b))
            floor_fail("B");
    }
}

static void
sum_part(void *arg, int i)
{
    struct work *k = arg;
    uint32_t cluster[TILE];
    struct assignment b[TILE];

    for (size_t at = k->points.first[i], n; at < k->points.first[i + 1]; at += n) {
        n = tile(k, i, at);
        if (pread(k->b, b, n * sizeof *b, (off_t)(at * sizeof *b)) != (ssize_t)(n * sizeof *b))
            floor_fail("B");
        for (size_t r = 0; r < n; r++)
            cluster[r] = b[r].cluster;
        add_up(k, i, at, n, cluster);
    }
}

static void
halve_squares(struct work *k)
{
    for (int c = 0; c < k->clusters; c++) {
        k->centre[c][0] = 0;
        for (int j = 1; j < COLUMNS; j++)
            k->centre[c][0] += k->centre[c][j] * k->centre[c][j] / 2;
    }
}

static void
iterate(struct work *k)
{
    floor_run(assign_part, k, k->points.threads);
    if (k->b >= 0)
        floor_run(sum_part, k, k->points.threads);
    for (int i = 1; i < k->points.threads; i++)
        for (int c = 0; c < k->clusters; c++)
            for (int j = 0; j < COLUMNS; j++)
                k->sum[0][c][j] += k->sum[i][c][j];
    for (int c = 0; c < k->clusters; c++)
        for (int j = 1; j < COLUMNS && k->sum[0][c][0] > 0; j++)
            k->centre[c][j] = k->sum[0][c][j] / k->sum[0][c][0];
    halve_squares(k);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    static struct work k;
    int threads, iterations;
    double began = floor_now(), took[1000];
    FILE *out;

    if ((argc != 6 && argc != 7) || (threads = (int)strtol(argv[1], NULL, 10)) < 1 || threads > THREADS_MAX ||
        (iterations = (int)strtol(argv[2], NULL, 10)) < 1 || iterations > 1000 ||
        (k.clusters = (int)strtol(argv[3], NULL, 10)) < 1 || k.clusters > CLUSTERS_MAX)
        return 2;
    k.b = argc == 7 ? open(argv[6], O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
    points_read(&k.points, argv[4], threads);
    printf("parse %.4f\n", floor_now() - began);
    for (int c = 0; c < k.clusters; c++)
        for (int j = 1; j < COLUMNS; j++)
            k.centre[c][j] = k.points.column[j][c];
    halve_squares(&k);
    for (int e = 0; e < iterations; e++) {
        began = floor_now();
        iterate(&k);
        took[e] = floor_now() - began;
    }
    qsort(took, (size_t)iterations, sizeof *took, by_value);
    printf("iteration %.4f\n", took[iterations / 2]);
    if ((out = fopen(argv[5], "w")) == NULL)
        floor_fail(argv[5]);
    for (int c = 0; c < k.clusters; c++)
        for (int j = 1; j < COLUMNS; j++)
            fprintf(out, "%.17g%c", k.centre[c][j], j < COLUMNS - 1 ? ',' : '\n');
    if (fclose(out) != 0)
        floor_fail(argv[5]);
    return 0;
}
