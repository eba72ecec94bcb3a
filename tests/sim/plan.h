/*
 * plan -- the list of what happens in a history, of which parts may be left out.
 *
 * What a history does of itself is numbered: its faults, the client's
 * operations, its calls.  Each draws what it does from the history's seed and
 * its own number alone, so that one can be left out and the others stay what
 * they are.  A plan says which are out, as text "f0-3,c7": letter of the part,
 * number or range.
 */
#ifndef TESTS_SIM_PLAN_H
#define TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rng.h"

#define PLAN_ITEMS_MAX 512
#define PLAN_TEXT 4096

enum plan_part {
    PLAN_FAULTS,                /* f */
    PLAN_OPERATIONS,            /* o: of files */
    PLAN_CALLS,                 /* c: on few names, checked against the model */
    PLAN_JOBS,                  /* j */
    PLAN_PARTS,
};

struct plan {
    uint64_t seed;
    bool out[PLAN_PARTS][PLAN_ITEMS_MAX];
    size_t used[PLAN_PARTS];    /* items that the history has asked for */
};

/* False: text is not a list.  NULL and "" leave nothing out. */
bool plan_init(struct plan *p, uint64_t seed, const char *text);
void plan_text(const struct plan *p, char out[PLAN_TEXT]);

/* The item comes to its turn: is it in?  ret_rng is its own in any case. */
bool plan_take(struct plan *p, enum plan_part part, size_t item, struct rng_seeded *ret_rng);

#endif
