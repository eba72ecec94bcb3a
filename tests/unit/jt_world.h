/*
 * jt_world -- a JobTracker's core over a database in memory, and trackers that are only messages.
 */
#ifndef TESTS_UNIT_JT_WORLD_H
#define TESTS_UNIT_JT_WORLD_H

#include "jobtracker/core.h"

#define DEAD_MS 10000

struct jt_world {
    sqlite3 *keeper;                /* keeps the database alive while the core is restarted */
    char uri[64];
    struct jt_core core;
    struct rng_seeded rng;
    struct jt_now now;
    bool is_unprepared;             /* submitted jobs have no work directory yet */
    const char *session;            /* of submitted jobs, 16 bytes: they give results back; NULL none */
    const char *code;               /* of submitted jobs; NULL "so" */
    const char *result;             /* of attempts that end */
    size_t result_bytes;
    struct jt_tracker *t[8];
    char uuid[8][37];
};

void world_init(struct jt_world *w);
void world_fini(struct jt_world *w);
void world_restart(struct jt_world *w);         /* commits what is open, as a group's end does */

/* Register tracker i, on machine "nodeI", with 2 map slots and 1 reduce slot, listing what it runs and holds. */
void world_register(struct jt_world *w, int i, const struct jt_attempt **running, size_t n_running,
                    const struct jt_attempt **outputs, size_t n_outputs);

/* Map i of the job is on machine homes[i % strlen(homes)] - '0'; "" no homes. */
struct jt_job *world_submit(struct jt_world *w, uint32_t maps, uint32_t reduces, const char *homes);
/* Its work directory was made and marked. */
void world_prepared(struct jt_world *w, uint64_t job);

/* Assign, commit. */
void world_step(struct jt_world *w);
bool world_end(struct jt_world *w, struct jt_attempt *a, int how);  /* TT_ENDED_REQUEST__HOW__... */
/* The newest attempt of a task. */
struct jt_attempt *world_attempt(struct jt_job *j, bool is_map, uint32_t index);
/* Orders of one kind that wait at tracker i. */
size_t world_orders(struct jt_world *w, int i, enum jt_order_kind kind);

#endif
