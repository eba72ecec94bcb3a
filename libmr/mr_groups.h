/*
 * mr_groups.h -- for jobs that put rows into groups: the nearest of some points for each row, sums of columns by group.
 *
 * Rows are columns of doubles, as a columns stage gets them.  What mr_vector.h says of its loops is true of these.
 */
#ifndef MILLRACE_MR_GROUPS_H
#define MILLRACE_MR_GROUPS_H

#include "mr_vector.h"

/* Before a loop of few turns, whose number is a constant, that is to be without branches. */
#if defined(__GNUC__) && !defined(__clang__)
#define MR_UNROLL _Pragma("GCC unroll 8")
#else
#define MR_UNROLL
#endif

typedef double mr_four __attribute__((vector_size(32), aligned(8), may_alias));

/* z[i] = x[0][at + i]^2 + ... + x[d - 1][at + i]^2, in this order */
MR_KERNEL static void mr_squares(double *restrict z, const double *const *x, size_t d, size_t at, size_t n)
{
    size_t i = 0;

    for (; i + MR_LANES <= n; i += MR_LANES) {
        double lane[MR_LANES] = { 0 };

        for (size_t j = 0; j < d; j++)
            for (int k = 0; k < MR_LANES; k++)
                lane[k] = fma(x[j][at + i + k], x[j][at + i + k], lane[k]);
        memcpy(z + i, lane, sizeof lane);
    }
    for (; i < n; i++) {
        z[i] = 0;
        for (size_t j = 0; j < d; j++)
            z[i] = fma(x[j][at + i], x[j][at + i], z[i]);
    }
}

/* z[group[i] stride + k] += x[k][i], k from 0 to 3, in the order of i: the sums of four columns by group.  Four rows are
 * turned at a time; four sums that lie side by side are one addition, so rows of one group in a row do not wait four times
 * for each other. */
MR_KERNEL static void mr_add4_by(double *restrict z, size_t stride, const uint32_t *restrict group, const double *const x[4],
                                 size_t n)
{
    const double *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2], *restrict x3 = x[3];
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        mr_four a = *(const mr_four *)(x0 + i), b = *(const mr_four *)(x1 + i);
        mr_four c = *(const mr_four *)(x2 + i), d = *(const mr_four *)(x3 + i);
        mr_four ab02 = __builtin_shufflevector(a, b, 0, 4, 2, 6), ab13 = __builtin_shufflevector(a, b, 1, 5, 3, 7);
        mr_four cd02 = __builtin_shufflevector(c, d, 0, 4, 2, 6), cd13 = __builtin_shufflevector(c, d, 1, 5, 3, 7);

        *(mr_four *)(z + group[i] * stride) += __builtin_shufflevector(ab02, cd02, 0, 1, 4, 5);
        *(mr_four *)(z + group[i + 1] * stride) += __builtin_shufflevector(ab13, cd13, 0, 1, 4, 5);
        *(mr_four *)(z + group[i + 2] * stride) += __builtin_shufflevector(ab02, cd02, 2, 3, 6, 7);
        *(mr_four *)(z + group[i + 3] * stride) += __builtin_shufflevector(ab13, cd13, 2, 3, 6, 7);
    }
    for (; i < n; i++) {
        mr_four v = { x0[i], x1[i], x2[i], x3[i] };

        *(mr_four *)(z + group[i] * stride) += v;
    }
}

/* Of mr_least: rows in twos of vectors, sums in fives.  All of NAME##_step's sums stay in registers, since m is a constant
 * where it is called: each number that is loaded is used m times, each factor twice.  Gives how many rows it did. */
#define MR_LEAST_SUMS 5
#define MR_LEAST_ROWS(NAME, LANES, TARGET)                                                                                     \
    typedef double NAME##_f64 __attribute__((vector_size(8 * LANES), aligned(8), may_alias));                                  \
    typedef int64_t NAME##_i64 __attribute__((vector_size(8 * LANES), aligned(8), may_alias));                                 \
                                                                                                                               \
    __attribute__((always_inline)) static inline void NAME##_add(NAME##_f64 *z, double a, const double *x)                     \
    {                                                                                                                          \
        NAME##_f64 y = *(const NAME##_f64 *)x, v = *z;                                                                         \
                                                                                                                               \
        for (int i = 0; i < LANES; i++)                                                                                        \
            v[i] = fma(a, y[i], v[i]);                                                                                         \
        *z = v;                                                                                                                \
    }                                                                                                                          \
                                                                                                                               \
    __attribute__((always_inline)) static inline void NAME##_step(NAME##_f64 least[2], NAME##_i64 which[2], size_t c, size_t m, \
        const double *a, const double *b, size_t d, const double *const *x, size_t at)                                         \
    {                                                                                                                          \
        NAME##_f64 v[MR_LEAST_SUMS][2] = { { { 0 } } };                                                                        \
                                                                                                                               \
        MR_UNROLL for (size_t k = 0; k < m; k++)                                                                               \
            v[k][0] = v[k][1] = b[c + k] - (NAME##_f64){ 0 };                                                                  \
        for (size_t j = 0; j < d; j++) {                                                                                       \
            const double *y = x[j] + at;                                                                                       \
                                                                                                                               \
            for (int i = 0; i < 2 * LANES && c == 0; i += 8)                                                                   \
                __builtin_prefetch(y + 64 + i);     /* the processor itself follows few arrays */                              \
            MR_UNROLL for (size_t k = 0; k < m; k++) {                                                                         \
                NAME##_add(&v[k][0], a[(c + k) * d + j], y);                                                                   \
                NAME##_add(&v[k][1], a[(c + k) * d + j], y + LANES);                                                           \
            }                                                                                                                  \
        }                                                                                                                      \
        MR_UNROLL for (size_t k = 0; k < m; k++)                                                                               \
            MR_UNROLL for (int half = 0; half < 2; half++) {                                                                   \
                NAME##_i64 less = v[k][half] < least[half];                                                                    \
                                                                                                                               \
                which[half] = (less & (int64_t)(c + k)) | (~less & which[half]);                                               \
                least[half] = (NAME##_f64)((less & (NAME##_i64)v[k][half]) | (~less & (NAME##_i64)least[half]));               \
            }                                                                                                                  \
    }                                                                                                                          \
                                                                                                                               \
    TARGET static size_t NAME(double *restrict least, uint32_t *restrict which, const double *a, const double *b, size_t k,    \
                              size_t d, const double *const *x, size_t at, size_t n)                                           \
    {                                                                                                                          \
        size_t i = 0, c;                                                                                                       \
                                                                                                                               \
        for (; i + 2 * LANES <= n; i += 2 * LANES) {                                                                           \
            NAME##_f64 l[2] = { INFINITY - (NAME##_f64){ 0 }, INFINITY - (NAME##_f64){ 0 } };                                  \
            NAME##_i64 w[2] = { { 0 }, { 0 } };                                                                                \
                                                                                                                               \
            for (c = 0; c + MR_LEAST_SUMS <= k; c += MR_LEAST_SUMS)                                                            \
                NAME##_step(l, w, c, MR_LEAST_SUMS, a, b, d, x, at + i);                                                       \
            for (; c + 2 <= k; c += 2)                                                                                         \
                NAME##_step(l, w, c, 2, a, b, d, x, at + i);                                                                   \
            for (; c < k; c++)                                                                                                 \
                NAME##_step(l, w, c, 1, a, b, d, x, at + i);                                                                   \
            for (int r = 0; r < 2 * LANES; r++)                                                                                \
                which[i + (size_t)r] = (uint32_t)w[r / LANES][r % LANES];                                                      \
            memcpy(least + i, l, sizeof l);                                                                                    \
        }                                                                                                                      \
        return i;                                                                                                              \
    }

MR_LEAST_ROWS(mr_least_of_fours, 4, MR_KERNEL)
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)     /* on others vectors of eight would not be registers */
MR_LEAST_ROWS(mr_least_of_eights, 8, __attribute__((target("arch=x86-64-v4"), optimize("O3"), unused)))
#define MR_HAS_EIGHTS __builtin_cpu_supports("x86-64-v4")
#else
#define mr_least_of_eights mr_least_of_fours
#define MR_HAS_EIGHTS 0
#endif

/* For each i < n the least of k sums and its number, the first of equals: which[i] = c, least[i] = b[c] + a[c d] x[0][at + i]
 * + ... + a[c d + d - 1] x[d - 1][at + i], in this order.  Where none is less than infinity: 0 and INFINITY.  For the nearest
 * of k points p, a is -p and b is |p|^2 / 2. */
MR_KERNEL static void mr_least(double *restrict least, uint32_t *restrict which, const double *a, const double *b, size_t k,
                               size_t d, const double *const *x, size_t at, size_t n)
{
    size_t i = (MR_HAS_EIGHTS ? mr_least_of_eights : mr_least_of_fours)(least, which, a, b, k, d, x, at, n);

    for (; i < n; i++) {
        which[i] = 0;
        least[i] = INFINITY;
        for (size_t c = 0; c < k; c++) {
            double v = b[c];

            for (size_t j = 0; j < d; j++)
                v = fma(a[c * d + j], x[j][at + i], v);
            which[i] = v < least[i] ? (uint32_t)c : which[i];
            least[i] = v < least[i] ? v : least[i];
        }
    }
}

#endif
