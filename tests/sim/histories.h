/*
 * histories -- the command line of a program that runs simulated histories.
 *
 *     PROGRAM SEED             one history in this process, its trace on stdout
 *     PROGRAM --without L SEED the same without the faults and operations of the list L (plan.h)
 *     PROGRAM --shrink SEED    leaves out what it can of a failing history: its trace, and a line for the list
 *     PROGRAM --seeds A-B      in child processes; counts, seeds that failed
 *     PROGRAM --twice A-B      as --seeds, each history twice: the fingerprints must agree
 *     PROGRAM --list           its list of seeds
 *     PROGRAM                  its list of seeds, its own range, the first ten of it twice
 *
 * --debug adds the daemons' debug lines.  --jobs N runs N children at once.  Exit status 0: all
 * held, 1: one failed, 2: used wrongly.
 */
#ifndef TESTS_SIM_HISTORIES_H
#define TESTS_SIM_HISTORIES_H

#include <stdint.h>

#include "tests/sim/plan.h"
#include "tests/sim/simworld.h"

struct history {
    struct sim_options options;     /* seed, trace and level are filled in */
    void (*fn)(struct sim *s, void *arg);
    void *arg;
    uint64_t first_seed, last_seed; /* when no argument is given */
    const char *list;               /* file of seeds that run before those */
    unsigned child_s;               /* seconds of CPU after which a history goes round for ever */
};

int histories_main(int argc, char **argv, const struct history *h);

#endif
