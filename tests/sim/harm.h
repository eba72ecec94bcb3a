/*
 * harm -- the faults of a history: what breaks, when, and for how long.
 *
 * Owns: what is wrong at the moment and ends by itself.  Each fault is an item
 * of the plan and draws from its own numbers.
 */
#ifndef TESTS_SIM_HARM_H
#define TESTS_SIM_HARM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rng.h"
#include "tests/sim/cluster.h"

#define HARM_ENDS_MAX 64

struct harm_end {
    void (*fn)(struct sim *s, struct machine *a, struct machine *b);    /* NULL: free */
    struct machine *a, *b;
    uint64_t at_us;
};

struct harm {
    struct cluster *c;
    struct harm_end ends[HARM_ENDS_MAX];
};

void harm_do(struct harm *h, struct rng *rng);  /* one fault */
void harm_tick(struct harm *h);                 /* end what has lasted long enough */
void harm_heal(struct harm *h);                 /* end everything; who is down stays down */

#endif
