/*
 * rng -- random numbers, from the kernel or from a seed.
 */
#ifndef CORE_BASE_RNG_H
#define CORE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t (*next)(struct rng *r);    /* 64 uniform bits; the kernel's may be called by any thread */
};

/* xoshiro256** (Blackman and Vigna 2018), seeded through splitmix64.  One thread only. */
struct rng_seeded {
    struct rng rng;
    uint64_t s[4];
};

void rng_seed(struct rng_seeded *r, uint64_t seed);
static inline uint64_t rng_u64(struct rng *r) { return r->next(r); }
uint64_t rng_below(struct rng *r, uint64_t n);  /* uniform in [0, n); 0 when n is 0 */
void rng_bytes(struct rng *r, void *p, size_t n);
void rng_uuid(struct rng *r, char ret_text[37]);/* random UUID (RFC 9562, version 4) */

#endif
