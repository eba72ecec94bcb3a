/*
 * floor/logistic THREADS EPOCHS RATE IN OUT: batch gradient descent for logistic regression from zero weights, with an
 * intercept; writes the weights, prints "parse S" and "epoch S" (the median epoch).
 */
#include <math.h>

#include "points.h"

struct work {
    struct points points;
    double w[COLUMNS];                          /* [0]: the intercept, beside column 0, the label */
    double gradient[THREADS_MAX][COLUMNS + 3];  /* the last ones keep threads' lines apart */
    double loss[THREADS_MAX][8];
};

static void
gradient_part(void *arg, int i)
{
    struct work *k = arg;
    const struct points *p = &k->points;
    double g[COLUMNS] = { 0 }, loss = 0, z[TILE];

    for (size_t at = p->first[i]; at < p->first[i + 1]; at += TILE) {
        size_t n = p->first[i + 1] - at < TILE ? p->first[i + 1] - at : TILE;
        const double *y = p->column[0] + at;

        for (size_t r = 0; r < n; r++)
            z[r] = k->w[0];
        for (int c = 1; c < COLUMNS; c++)
            for (size_t r = 0; r < n; r++)
                z[r] += k->w[c] * p->column[c][at + r];
        for (size_t r = 0; r < n; r++) {
            double e = exp(-fabs(z[r])), s = z[r] >= 0 ? 1 / (1 + e) : e / (1 + e);

            loss += log1p(e) + (z[r] > 0 ? z[r] : 0) - y[r] * z[r];
            z[r] = s - y[r];
            g[0] += z[r];
        }
        for (int c = 1; c < COLUMNS; c++) {
            double sum = 0;

            for (size_t r = 0; r < n; r++)
                sum += z[r] * p->column[c][at + r];
            g[c] += sum;
        }
    }
    memcpy(k->gradient[i], g, sizeof g);
    k->loss[i][0] = loss;
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
    int threads, epochs;
    double rate, began = floor_now(), took[1000];
    FILE *out;

    if (argc != 6 || (threads = (int)strtol(argv[1], NULL, 10)) < 1 || threads > THREADS_MAX ||
        (epochs = (int)strtol(argv[2], NULL, 10)) < 1 || epochs > 1000)
        return 2;
    rate = strtod(argv[3], NULL);
    points_read(&k.points, argv[4], threads);
    printf("parse %.4f\n", floor_now() - began);
    for (int e = 0; e < epochs; e++) {
        began = floor_now();
        floor_run(gradient_part, &k, threads);
        for (int i = 0; i < threads; i++)
            for (int c = 0; c < COLUMNS; c++)
                k.w[c] -= rate * k.gradient[i][c] / (double)k.points.rows;
        took[e] = floor_now() - began;
    }
    qsort(took, (size_t)epochs, sizeof *took, by_value);
    printf("epoch %.4f\n", took[epochs / 2]);
    if ((out = fopen(argv[5], "w")) == NULL)
        floor_fail(argv[5]);
    for (int c = 0; c < COLUMNS; c++)
        fprintf(out, "%.17g\n", k.w[c]);
    if (fclose(out) != 0)
        floor_fail(argv[5]);
    return 0;
}
