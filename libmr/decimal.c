#include "libmr/decimal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 19               /* decimal digits that fit 64 bits */
#define EXACT_MAX 22                /* powers of ten that are doubles */
#define POWER_MAX 27                /* powers of five that fit 64 bits */
#define SLOW_MAX 1200               /* digits that strtod is given: more than can matter but for ties */

static const double tens[EXACT_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
    1e22,
};

static uint64_t
power_of_five(int n)
{
    uint64_t p = 1;

    for (uint64_t b = 5; n; n >>= 1, b *= b)
        if (n & 1)
            p *= b;
    return p;
}

/* hi:lo, not zero, times 2^e, with `sticky` bits below, as a double; the result is far from both ends of the range. */
static double
round_to_double(unsigned __int128 m, bool sticky, int e)
{
    int bits = (uint64_t)(m >> 64) ? 128 - __builtin_clzll((uint64_t)(m >> 64)) : 64 - __builtin_clzll((uint64_t)m);
    int drop = bits - 53;
    unsigned __int128 rest, half;
    uint64_t top;

    if (drop <= 0)                  /* then nothing is below either: callers see to it */
        return ldexp((double)(uint64_t)m, e);
    top = (uint64_t)(m >> drop);
    rest = m & (((unsigned __int128)1 << drop) - 1);
    half = (unsigned __int128)1 << (drop - 1);
    if (rest > half || (rest == half && (sticky || (top & 1))))
        top++;
    return ldexp((double)top, e + drop);
}

/* w x 10^exp10, w not 0, |exp10| <= POWER_MAX, correctly rounded by whole numbers alone. */
static double
scale(uint64_t w, int exp10)
{
    uint64_t five = power_of_five(exp10 < 0 ? -exp10 : exp10);
    unsigned __int128 num, quotient;
    int up, down;

    if (exp10 >= 0)
        return round_to_double((unsigned __int128)w * five, false, exp10);
    /* Both with their top bit set: a quotient of 63 or 64 bits, and a remainder. */
    up = __builtin_clzll(w);
    down = __builtin_clzll(five);
    w <<= up;
    five <<= down;
    num = (unsigned __int128)w << 63;
    quotient = num / five;
    return round_to_double(quotient, quotient * five != num, down - up - 63 + exp10);
}

/* Digits without leading zeros, as a whole number, on their way to strtod. */
struct digits {
    char text[SLOW_MAX + 64];
    size_t n;
    bool more;                      /* some that are not zero were left out */
    long exp10;
};

static void
take_digit(struct digits *d, char c, bool behind_point)
{
    if (d->n == 0 && c == '0') {
        d->exp10 -= behind_point;
    } else if (d->n < SLOW_MAX) {
        d->text[d->n++] = c;
        d->exp10 -= behind_point;
    } else {
        d->more |= c != '0';
        d->exp10 += !behind_point;
    }
}

/* What the fast ways do not take: by strtod, which wants a NUL.  Digits behind the first SLOW_MAX can but break a
 * tie, which any one that is not zero does. */
static const char *
slow(const char *p, const char *end, double *ret)
{
    struct digits d = { .n = 0 };
    bool minus = p < end && *p == '-', point = false;

    p += p < end && (*p == '-' || *p == '+');
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++)
        if (*p == '.')
            point = true;
        else
            take_digit(&d, *p, point);
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *e = p + 1;
        bool down = e < end && *e == '-';
        long x = 0;

        e += e < end && (*e == '-' || *e == '+');
        if (e < end && *e >= '0' && *e <= '9') {
            for (; e < end && *e >= '0' && *e <= '9'; e++)
                x = x < 1000000000 ? 10 * x + (*e - '0') : x;
            d.exp10 += down ? -x : x;
            p = e;
        }
    }
    if (d.more) {
        d.text[d.n++] = '1';
        d.exp10--;
    } else if (d.n == 0) {
        d.text[d.n++] = '0';
    }
    (void)snprintf(d.text + d.n, sizeof d.text - d.n, "e%ld", d.exp10);
    *ret = strtod(d.text, NULL);
    if (minus)
        *ret = -*ret;
    return p;
}

static const char *
word(const char *p, const char *end, bool minus, double *ret)
{
    size_t n = (size_t)(end - p), took = 0;

    if (n >= 3 && strncasecmp(p, "nan", 3) == 0) {
        *ret = NAN;
        took = 3;
    } else if (n >= 3 && strncasecmp(p, "inf", 3) == 0) {
        *ret = INFINITY;
        took = n >= 8 && strncasecmp(p, "infinity", 8) == 0 ? 8 : 3;
    }
    if (took == 0)
        return NULL;
    if (minus)
        *ret = -*ret;
    return p + took;
}

/* Eight digits at once: adds them to *w and returns true, or leaves everything. */
static inline bool
eight_digits(const char *p, uint64_t *w)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    if (((v & UINT64_C(0xf0f0f0f0f0f0f0f0)) | (((v + UINT64_C(0x0606060606060606)) & UINT64_C(0xf0f0f0f0f0f0f0f0)) >> 4)) !=
        UINT64_C(0x3333333333333333))
        return false;
    v = (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) * 2561 >> 8;
    v = (v & UINT64_C(0x00ff00ff00ff00ff)) * 6553601 >> 16;
    v = (v & UINT64_C(0x0000ffff0000ffff)) * UINT64_C(42949672960001) >> 32;
    *w = *w * 100000000 + v;
    return true;
}

const char *
decimal_parse(const char *start, const char *end, double *ret)
{
    const char *p = start, *digits, *point = NULL;
    bool minus = p < end && *p == '-';
    uint64_t w = 0;
    ptrdiff_t n;
    int exp10 = 0;
    double v;

    p += p < end && (*p == '-' || *p == '+');
    digits = p;
    while (p < end && (unsigned)(*p - '0') < 10)
        w = 10 * w + (unsigned)(*p++ - '0');
    n = p - digits;
    if (p < end && *p == '.') {
        point = ++p;
        if (n < DIGITS_MAX - 8)
            while (end - p >= 8 && p - point + n <= DIGITS_MAX - 8 && eight_digits(p, &w))
                p += 8;
        while (p < end && (unsigned)(*p - '0') < 10)
            w = 10 * w + (unsigned)(*p++ - '0');
        if (p - point > 1000)
            return slow(start, end, ret);
        exp10 = -(int)(p - point);
        n -= exp10;
    }
    if (n == 0)
        return word(digits, end, minus, ret);
    if (p < end && (*p | 0x20) == 'e') {
        const char *e = p + 1;
        bool down = e < end && *e == '-';
        int x = 0;

        e += e < end && (*e == '-' || *e == '+');
        if (e < end && (unsigned)(*e - '0') < 10) {
            for (; e < end && (unsigned)(*e - '0') < 10; e++)
                x = x < 10000 ? 10 * x + (*e - '0') : x;
            exp10 += down ? -x : x;
            p = e;
        }
    }
    for (const char *z = digits; n > DIGITS_MAX && (*z == '0' || *z == '.'); z++)
        n -= *z == '0';             /* leading zeros are none of the digits */
    if (n > DIGITS_MAX || exp10 < -POWER_MAX || exp10 > POWER_MAX)
        return slow(start, end, ret);
    if (w <= UINT64_C(1) << 53 && exp10 >= -EXACT_MAX && exp10 <= EXACT_MAX)
        v = exp10 < 0 ? (double)w / tens[-exp10] : (double)w * tens[exp10];
    else
        v = w == 0 ? 0 : scale(w, exp10);
    *ret = minus ? -v : v;
    return p;
}

bool
decimal_read(const char *p, size_t n, double *ret)
{
    const char *end = p + n;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == end || (p = decimal_parse(p, end, ret)) == NULL)
        return false;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p == end;
}

/* Whole numbers as they are; else the shortest of 15, 16 and 17 digits that reads back the same (17 always does). */
size_t
decimal_write(double v, char out[DECIMAL_TEXT])
{
    int n = 0;

    if (fabs(v) < 1e15 && v == (double)(int64_t)v && !(v == 0 && signbit(v)))
        return (size_t)snprintf(out, DECIMAL_TEXT, "%lld", (long long)v);
    for (int digits = 15; digits <= 17; digits++) {
        double back;

        n = snprintf(out, DECIMAL_TEXT, "%.*g", digits, v);
        if (decimal_read(out, (size_t)n, &back) && back == v)
            break;
    }
    return (size_t)n;
}
