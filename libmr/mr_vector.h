/*
 * mr_vector.h -- for jobs that calculate with columns: loops over arrays of doubles, compiled for several generations
 * of processors; the right one is picked when the job is loaded.
 *
 * Results are the same bit for bit on all of them: every multiplication with addition is one fused operation (fma),
 * and sums go through sixteen partial sums in a fixed order.  Arrays need no alignment and must not overlap.
 */
#ifndef MILLRACE_MR_VECTOR_H
#define MILLRACE_MR_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Before a function with loops of the job's own. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MR_KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3"), unused))
#else
#define MR_KERNEL __attribute__((unused))
#endif

#define MR_LANES 16

/* z[i] += a x[i] */
MR_KERNEL static void mr_axpy(double *restrict z, double a, const double *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        z[i] = fma(a, x[i], z[i]);
}

/* z[i] += a[0] x[0][i] + ... + a[3] x[3][i], in this order: z is loaded and stored once. */
MR_KERNEL static void mr_axpy4(double *restrict z, const double a[4], const double *const x[4], size_t n)
{
    const double *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2], *restrict x3 = x[3];
    double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];

    for (size_t i = 0; i < n; i++)
        z[i] = fma(a3, x3[i], fma(a2, x2[i], fma(a1, x1[i], fma(a0, x0[i], z[i]))));
}

static inline double mr_lanes_sum(const double lane[MR_LANES])
{
    double s[MR_LANES];

    memcpy(s, lane, sizeof s);
    for (int half = MR_LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            s[k] += s[k + half];
    return s[0];
}

/* The sum of x[i] y[i] */
MR_KERNEL static double mr_dot(const double *restrict x, const double *restrict y, size_t n)
{
    double lane[MR_LANES] = { 0 };
    size_t i = 0;

    for (; i + MR_LANES <= n; i += MR_LANES)
        for (int k = 0; k < MR_LANES; k++)
            lane[k] = fma(x[i + k], y[i + k], lane[k]);
    for (; i < n; i++)
        lane[i % MR_LANES] = fma(x[i], y[i], lane[i % MR_LANES]);
    return mr_lanes_sum(lane);
}

/* The sum of x[i] */
MR_KERNEL static double mr_sum(const double *restrict x, size_t n)
{
    double lane[MR_LANES] = { 0 };
    size_t i = 0;

    for (; i + MR_LANES <= n; i += MR_LANES)
        for (int k = 0; k < MR_LANES; k++)
            lane[k] += x[i + k];
    for (; i < n; i++)
        lane[i % MR_LANES] += x[i];
    return mr_lanes_sum(lane);
}

/* e^x within 2 units of the last place, for x in [-708, 709] (others as if at the nearer end): x = k ln 2 + r, e^r by
 * its series, 2^k by the exponent's bits.  Without branches, so loops with it become vectors. */
static inline double mr_exp(double x)
{
    double shifted, k, r, p;
    uint64_t bits;

    x = x < -708 ? -708 : x > 709 ? 709 : x;
    shifted = fma(x, 0x1.71547652b82fep+0, 0x1.8p52);   /* k sits in the low bits */
    k = shifted - 0x1.8p52;
    r = fma(-k, 0x1.62e42fefa39efp-1, x);
    r = fma(-k, 0x1.abc9e3b39803fp-56, r);
    p = 1.0 / 6227020800;
    p = fma(p, r, 1.0 / 479001600);
    p = fma(p, r, 1.0 / 39916800);
    p = fma(p, r, 1.0 / 3628800);
    p = fma(p, r, 1.0 / 362880);
    p = fma(p, r, 1.0 / 40320);
    p = fma(p, r, 1.0 / 5040);
    p = fma(p, r, 1.0 / 720);
    p = fma(p, r, 1.0 / 120);
    p = fma(p, r, 1.0 / 24);
    p = fma(p, r, 1.0 / 6);
    p = fma(p, r, 0.5);
    p = fma(p, r, 1.0);
    p = fma(p, r, 1.0);
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 52) + UINT64_C(0x3ff0000000000000);
    memcpy(&k, &bits, sizeof k);
    return p * k;
}

/* log(1 + x) for x in [0, 1], within 2 units of the last place: atanh's series at x / (2 + x). */
static inline double mr_log1p(double x)
{
    double s = x / (2 + x), q = s * s, p = 1.0 / 33;

    p = fma(p, q, 1.0 / 31);
    p = fma(p, q, 1.0 / 29);
    p = fma(p, q, 1.0 / 27);
    p = fma(p, q, 1.0 / 25);
    p = fma(p, q, 1.0 / 23);
    p = fma(p, q, 1.0 / 21);
    p = fma(p, q, 1.0 / 19);
    p = fma(p, q, 1.0 / 17);
    p = fma(p, q, 1.0 / 15);
    p = fma(p, q, 1.0 / 13);
    p = fma(p, q, 1.0 / 11);
    p = fma(p, q, 1.0 / 9);
    p = fma(p, q, 1.0 / 7);
    p = fma(p, q, 1.0 / 5);
    p = fma(p, q, 1.0 / 3);
    p = fma(p, q, 1.0);
    return 2 * s * p;
}

#endif
