/*
 * engine -- a JobTracker and TaskTrackers among the machines of a cluster.
 *
 * The JobTracker has a machine of its own; each TaskTracker is one more process
 * on a DataNode's.  Owns: what is true of them at every moment, and when nothing
 * is left of what ran.
 */
#ifndef TESTS_SIM_ENGINE_H
#define TESTS_SIM_ENGINE_H

#include <stdbool.h>

#include "tests/sim/cluster.h"
#include "tests/sim/workers.h"

#define ENGINE_TRACKERS 3

struct jt;
struct engine;

struct tracker {
    struct machine m;
    struct engine *e;
    struct workers workers;
    bool has_stopped;
};

/* The winner of a task that writes output, as a JobTracker that started found it; job state when `is_job`. */
struct engine_seen {
    uint64_t job;
    bool is_job;
    uint32_t index, value;
};

#define ENGINE_SEEN_MAX 512

struct engine {
    struct cluster *c;
    struct engine_seen seen[ENGINE_SEEN_MAX];
    unsigned seen_count;
    struct machine jobtracker;
    struct tracker trackers[ENGINE_TRACKERS];
    struct jt *jt;                  /* of the JobTracker that runs; NULL none */
    bool wants_stop;                /* all of them are to end in good order */
    bool has_stopped;               /* the JobTracker did */
};

/* More machines for the cluster, up.  in_order: the JobTracker serves before the others start. */
void engine_init(struct engine *e, struct cluster *c, bool in_order);
/* Something happens to one of them; may take a while. */
void engine_harm(struct engine *e, struct rng *rng);
void engine_heal(struct engine *e);
/* What holds at every moment; ends the history when it does not. */
void engine_look(struct engine *e);
/* RC_OK: no worker, attempt, slot, descriptor or file of a job is left.  RC_BUSY: not yet. */
enum rc engine_is_idle(struct engine *e, struct why *why) MUST_CHECK;
/* Once it is idle: each daemon ends in good order and leaves nothing open.  False: not yet. */
bool engine_stop(struct engine *e);

#endif
