/*
 * mr_text.h -- for jobs, included by mr.h: pure functions on bytes and numbers.
 */
#ifndef MILLRACE_MR_H
#include "mr.h"                 /* which includes this one where it belongs */
#elif !defined(MILLRACE_MR_TEXT_H)
#define MILLRACE_MR_TEXT_H

/* 16 bytes may be read from anywhere in a page but its end: what is loaded in one go may go beyond what is meant. */
#if defined(__SSE2__) && !defined(__SANITIZE_ADDRESS__) && !defined(MR_NO_WIDE)
#define MR_WIDE 1
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pieces of a line ---- */

#ifdef MR_WIDE
static inline int mr_wide_at(const void *p) { return ((uintptr_t)p & 4095) <= 4096 - 16; }

/* What mr_word finds when it lies within the next 16 bytes; 0 when it does not, or there is none. */
static inline int mr_word_wide(const char **p, const char *end, struct mr_bytes *ret)
{
    const char *s = *p;
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)s), control = _mm_sub_epi8(x, _mm_set1_epi8('\t'));
    unsigned blank = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(' ')),
                         _mm_cmpeq_epi8(_mm_min_epu8(control, _mm_set1_epi8('\r' - '\t')), control)));
    unsigned skip, rest;

    if (end - s < 16)
        blank |= ~0U << (end - s);      /* what is behind the end ends a word */
    if ((~blank & 0xffff) == 0)
        return 0;
    skip = (unsigned)__builtin_ctz(~blank);
    if ((rest = blank >> skip) == 0)
        return 0;
    ret->p = s + skip;
    ret->n = (size_t)__builtin_ctz(rest);
    *p = ret->p + ret->n;
    return 1;
}
#endif

/* The next run of bytes between *p and end that are not white space (isspace in the C locale); 0 at the end.
 * *p moves behind it. */
static inline int mr_word(const char **p, const char *end, struct mr_bytes *ret)
{
    const char *s = *p;

#ifdef MR_WIDE
    if (s < end && mr_wide_at(s) && mr_word_wide(p, end, ret))
        return 1;
#endif
    while (s < end && (*s == ' ' || (*s >= '\t' && *s <= '\r')))
        s++;
    ret->p = s;
    while (s < end && !(*s == ' ' || (*s >= '\t' && *s <= '\r')))
        s++;
    ret->n = (size_t)(s - ret->p);
    *p = s;
    return ret->n != 0;
}

/* Field number i (from 0) of a line, fields ended by sep; n is 0 if there is no such field. */
static inline struct mr_bytes mr_field(const char *line, size_t len, char sep, unsigned i)
{
    const char *end = line + len, *stop;
    struct mr_bytes f = { end, 0 };

    for (;; i--) {
        stop = (const char *)memchr(line, sep, (size_t)(end - line));
        if (i == 0) {
            f.p = line;
            f.n = (size_t)((stop ? stop : end) - line);
            return f;
        }
        if (!stop)
            return f;
        line = stop + 1;
    }
}

/*
 * The fields of a CSV line one after the other, quotes as in RFC 4180 (inside one line):
 *
 *     for (p = line; mr_csv_field(&p, end, ',', &f);)
 *
 * A quoted field comes without its quotes; quotes inside it are still doubled, see mr_csv_unquote.
 */
static inline int mr_csv_field(const char **p, const char *end, char sep, struct mr_bytes *ret)
{
    const char *s = *p, *stop;

    if (!s)
        return 0;
    if (s < end && *s == '"') {
        for (stop = s + 1; stop < end && !(*stop == '"' && (stop + 1 == end || stop[1] != '"')); stop++)
            stop += *stop == '"';
        if (stop > end)
            stop = end;
        ret->p = s + 1;
        ret->n = (size_t)(stop - ret->p);
        stop = (const char *)memchr(stop, sep, (size_t)(end - stop));
    } else {
        stop = (const char *)memchr(s, sep, (size_t)(end - s));
        ret->p = s;
        ret->n = (size_t)((stop ? stop : end) - s);
    }
    *p = stop ? stop + 1 : NULL;
    return 1;
}

/* The field as it was meant, doubled quotes single: to out, which has room for f.n bytes; returns how many. */
static inline size_t mr_csv_unquote(struct mr_bytes f, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < f.n; i++) {
        out[n++] = f.p[i];
        if (f.p[i] == '"' && i + 1 < f.n && f.p[i + 1] == '"')
            i++;
    }
    return n;
}

/* ---- hash and random numbers, the same on every machine ---- */

static inline uint64_t mr_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* 64 good bits of n bytes; what MR_PART_HASH uses. */
static inline uint64_t mr_hash(const void *p, size_t n)
{
    const char *s = (const char *)p;
    uint64_t h = n * UINT64_C(0x9e3779b97f4a7c15), w;

    for (; n > 8; n -= 8, s += 8) {
        memcpy(&w, s, 8);
        h = mr_mix(h ^ w, UINT64_C(0xa0761d6478bd642f));
    }
    w = 0;
    if (n > 0)
        memcpy(&w, s, n);
    h = mr_mix(h ^ w, UINT64_C(0xe7037ed1a0b428db));
    return mr_mix(h, UINT64_C(0x8ebc6af09c88c6e3));
}

/* Number i of the sequence that seed names, without the ones before it: what a record draws may so depend on the
 * record alone, e.g. mr_random(seed, rec->at). */
static inline uint64_t mr_random(uint64_t seed, uint64_t i)
{
    uint64_t z = mr_mix(seed ^ UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd1b54a32d192ed03)) + i * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The same as a double in [0, 1). */
static inline double mr_random_f64(uint64_t seed, uint64_t i)
{
    return (double)(mr_random(seed, i) >> 11) * 0x1p-53;
}

/* ---- statistics ---- */

/* What is known of a set of numbers; all zero: of none.  m2 is the sum of squared distances from the mean: the
 * variance is m2 / n, that of a sample m2 / (n - 1). */
struct mr_stats {
    double n, sum, min, max, mean, m2;
};

/* into becomes what is known of both sets (Chan, Golub and LeVeque 1979). */
static inline void mr_stats_merge(struct mr_stats *into, const struct mr_stats *from)
{
    double n = into->n + from->n, d = from->mean - into->mean;

    if (from->n == 0)
        return;
    if (into->n == 0) {
        *into = *from;
        return;
    }
    into->m2 += from->m2 + d * d * (into->n * from->n / n);
    into->mean += d * (from->n / n);
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->n = n;
}

/* Add n numbers: their mean first, then the distances from it. */
static inline void mr_stats_add(struct mr_stats *into, const double *x, size_t n)
{
    struct mr_stats s = { (double)n, 0, 0, 0, 0, 0 };

    if (n == 0)
        return;
    s.min = s.max = x[0];
    for (size_t i = 0; i < n; i++) {
        s.sum += x[i];
        s.min = x[i] < s.min ? x[i] : s.min;
        s.max = x[i] > s.max ? x[i] : s.max;
    }
    s.mean = s.sum / s.n;
    for (size_t i = 0; i < n; i++)
        s.m2 += (x[i] - s.mean) * (x[i] - s.mean);
    mr_stats_merge(into, &s);
}

#ifdef __cplusplus
}
#endif

#endif
