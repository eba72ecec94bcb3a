/*
 * linear.h -- linear models: what batch and stochastic gradient descent and prediction share.
 *
 * A model is d + 1 numbers, the intercept and a weight a feature; a row's score is z = w[0] + sum w[j] x[j].
 */
#ifndef JOBS_LINEAR_H
#define JOBS_LINEAR_H

#include <mr.h>
#include <mr_vector.h>
#include <stdlib.h>

enum linear_loss { LINEAR_SQUARED, LINEAR_LOGISTIC, LINEAR_HINGE, LINEAR_UNKNOWN };

static inline enum linear_loss linear_loss(const char *name)
{
    static const char *const names[] = { "squared", "logistic", "hinge" };
    int i = 0;

    while (i < LINEAR_UNKNOWN && strcmp(name, names[i]) != 0)
        i++;
    return (enum linear_loss)i;
}

/* z[i] = the score of row i, its columns but the label's times w. */
static inline void linear_scores(const struct mr_columns *c, uint32_t label, const double *w, double *z)
{
    const double *weight = w + 1, *x[4];
    size_t n = 0;

    for (size_t i = 0; i < c->rows; i++)
        z[i] = w[0];
    for (uint32_t j = 0; j < c->cols; j++) {
        if (j == label)
            continue;
        x[n++] = c->col[j];
        if (n == 4) {
            mr_axpy4(z, weight, x, c->rows);
            weight += 4;
            n = 0;
        }
    }
    for (size_t k = 0; k < n; k++)
        mr_axpy(z, *weight++, x[k], c->rows);
}

/* z[i] becomes the loss' derivative by the score, loss[i] the loss; y are the labels as given. */
MR_KERNEL static void linear_squared(double *restrict z, double *restrict loss, const double *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        z[i] -= y[i];
        loss[i] = z[i] * z[i] / 2;
    }
}

/* Labels above 0 are of one class, the others of the other: 0/1 and -1/1 mean the same. */
MR_KERNEL static void linear_logistic(double *restrict z, double *restrict loss, const double *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double one = y[i] > 0 ? 1.0 : 0.0, e = mr_exp(-fabs(z[i])), p = (z[i] >= 0 ? 1 : e) / (1 + e);

        loss[i] = mr_log1p(e) + (z[i] > 0 ? z[i] : 0) - one * z[i];
        z[i] = p - one;
    }
}

MR_KERNEL static void linear_hinge(double *restrict z, double *restrict loss, const double *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double side = y[i] > 0 ? 1.0 : -1.0, short_of = 1 - side * z[i];

        loss[i] = short_of > 0 ? short_of : 0;
        z[i] = short_of > 0 ? -side : 0;
    }
}

static inline void linear_derive(enum linear_loss kind, double *z, double *loss, const double *y, size_t n)
{
    if (kind == LINEAR_SQUARED)
        linear_squared(z, loss, y, n);
    else if (kind == LINEAR_LOGISTIC)
        linear_logistic(z, loss, y, n);
    else
        linear_hinge(z, loss, y, n);
}

/* The side data `name`, n doubles; ends the attempt if it is missing or of another length. */
static inline const double *linear_side(struct mr_task *t, const char *name, size_t n)
{
    struct mr_bytes b;

    if (!mr_side(t, name, &b) || b.n != n * sizeof(double))
        mr_fail(t, "the model and the rows have different numbers of features");
    return (const double *)(const void *)b.p;
}

#endif
