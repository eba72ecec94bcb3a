/*
 * tera.h -- the records of the sort benchmark: 100 bytes, the first 10 the key (gensort's binary form).
 *
 * Record i comes from the i-th number of a 128-bit linear congruential generator; the generator can be set to any i in
 * 128 steps, so maps make their ranges by themselves.
 */
#ifndef JOBS_TERA_H
#define JOBS_TERA_H

#include <stdint.h>
#include <string.h>

#define TERA_RECORD 100
#define TERA_KEY 10

typedef unsigned __int128 tera_u128;

#define TERA_128(high, low) ((tera_u128)(high) << 64 | (low))
#define TERA_A TERA_128(UINT64_C(0x2360ED051FC65DA4), UINT64_C(0x4385DF649FCCF645))
#define TERA_C TERA_128(UINT64_C(0x4A696D4772617952), UINT64_C(0x4950202020202001))

/* The generator after n steps from 0: x -> a x + c, its powers by squaring. */
static inline tera_u128 tera_skip(uint64_t n)
{
    tera_u128 x = 0, a = TERA_A, c = TERA_C;

    for (; n; n >>= 1, c = c * (a + 1), a = a * a)
        if (n & 1)
            x = a * x + c;
    return x;
}

static inline tera_u128 tera_next(tera_u128 x) { return TERA_A * x + TERA_C; }

/* Record number `row` from its random number. */
static inline void tera_record(tera_u128 random, uint64_t row, char out[TERA_RECORD])
{
    static const char hex[] = "0123456789ABCDEF";

    for (int i = 0; i < TERA_KEY; i++)
        out[i] = (char)(random >> (120 - 8 * i));
    out[10] = 0x00;
    out[11] = 0x11;
    for (int i = 0; i < 32; i++)
        out[12 + i] = i < 16 ? '0' : hex[row >> (4 * (31 - i)) & 15];
    memcpy(out + 44, "\x88\x99\xAA\xBB", 4);
    for (int i = 0; i < 12; i++)
        memset(out + 48 + 4 * i, hex[(unsigned)(random >> (44 - 4 * i)) & 15], 4);
    memcpy(out + 96, "\xCC\xDD\xEE\xFF", 4);
}

#endif
