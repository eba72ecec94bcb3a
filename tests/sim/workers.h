/*
 * workers -- struct crew in the simulated world.
 *
 * A worker is a process of the tracker's machine that runs worker_main and the
 * attempt code; its job is one of those that are linked in (jobcode.h).  It dies
 * when its tracker kills it, when its tracker dies, and whenever the history wants
 * it to.
 */
#ifndef TESTS_SIM_WORKERS_H
#define TESTS_SIM_WORKERS_H

#include "tasktracker/crew.h"
#include "tests/sim/simworld.h"

#define WORKERS_MAX 16

struct worker_slot {
    struct workers *all;
    struct sim_node *node;          /* NULL: never used */
    bool is_held;                   /* the tracker has not let go of it */
    int sock;                       /* its end */
    int status;                     /* wait status, once it is down */
};

/* Outside the simulated world: lives as long as the history. */
struct workers {
    struct crew crew;
    struct sim *s;
    struct sim_node *tracker;
    struct worker_slot slots[WORKERS_MAX];
    unsigned taken;
};

/* At each start of the tracker: those of its last run died with it. */
struct crew *workers_start(struct workers *w, struct sim *s, struct sim_node *tracker);
unsigned workers_up(const struct workers *w);
struct sim_node *workers_find(struct workers *w, unsigned i);      /* one that is up, by a number below workers_up */

#endif
