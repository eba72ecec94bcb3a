#include "core/base/rng.h"

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"

static uint64_t
rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

static uint64_t
seeded_next(struct rng *rng)
{
    uint64_t *s = CONTAINER_OF(rng, struct rng_seeded, rng)->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void
rng_seed(struct rng_seeded *r, uint64_t seed)
{
    r->rng.next = seeded_next;
    for (size_t i = 0; i < ARRAY_LEN(r->s); i++) {      /* splitmix64 */
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t
rng_below(struct rng *r, uint64_t n)
{
    uint64_t skip, x;

    if (n == 0)
        return 0;
    skip = -n % n;      /* 2^64 mod n: so many lowest numbers are left out, the rest divides evenly */
    do
        x = rng_u64(r);
    while (x < skip);
    return x % n;
}

void
rng_bytes(struct rng *r, void *p, size_t n)
{
    unsigned char *to = p;

    while (n > 0) {
        uint64_t x = rng_u64(r);
        size_t k = n < sizeof x ? n : sizeof x;

        memcpy(to, &x, k);
        to += k;
        n -= k;
    }
}

void
rng_uuid(struct rng *r, char ret_text[37])
{
    uint64_t a = rng_u64(r), b = rng_u64(r);

    a = (a & ~UINT64_C(0xf000)) | 0x4000;                           /* version 4 */
    b = (b & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;             /* variant of RFC 9562 */
    (void)snprintf(ret_text, 37, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
                   (unsigned)(a & 0xffff), (unsigned)(b >> 48), (unsigned long long)(b & UINT64_C(0xffffffffffff)));
}
