/*
 * workload -- what the client does, and what must be true of it afterwards.
 *
 * Owns: the list of every name that was ever asked for, with what the client
 * was told.  It is outside the simulated world, so it outlives every crash.
 * What was acknowledged must hold; what was under way when something died may
 * have happened or not, and nothing in between.
 */
#ifndef TESTS_SIM_WORKLOAD_H
#define TESTS_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "dfsclient/fs.h"
#include "tests/sim/calls.h"
#include "tests/sim/cluster.h"

#define WORKLOAD_NAMES_MAX 400
#define WORKLOAD_WORKERS 3  /* threads of the client */

enum name_state {
    NAME_CREATING,          /* may be missing; if it is closed it holds a prefix */
    NAME_THERE,
    NAME_APPENDING,         /* is there, with what was synced at least */
    NAME_MOVING,            /* at path or at next_path */
    NAME_CUTTING,           /* has bytes or next_bytes */
    NAME_DELETING,          /* may be gone */
    NAME_GONE,
};

struct name {
    enum name_state state;
    unsigned worker;        /* the only one that touches it */
    bool is_dir;
    char path[48], next_path[48];
    uint64_t seed, bytes;   /* content */
    uint64_t next_bytes;    /* after a cut */
    unsigned cuts;          /* begun: a length that was true before one need not be after it */
    uint64_t synced;        /* bytes that hsync has promised */
    uint64_t seen;          /* bytes that a reader saw last, while it was written */
    uint64_t seen_harms;    /* and how much had been harmed then */
    uint32_t least_replicas;        /* ever asked for */
    uint32_t replicas, next_replicas;       /* acknowledged last; asked for last */
    bool replicas_in_doubt;                 /* something was asked for since, with no answer or a failure: 2 or 3 */
};

struct workload {
    struct cluster *c;
    struct name names[WORKLOAD_NAMES_MAX];
    unsigned count, operations, errors;
    unsigned target;        /* operations to do */
    bool is_done;
    unsigned starts;        /* of the client */
    struct calls calls;
    unsigned called, to_call;       /* calls on few names */
    void (*on_closed)(void *arg, const struct name *name, const struct fs_block *blocks, size_t n);     /* NULL: nobody */
    void *on_closed_arg;
};

/* Operations until the target; the main of the client machine calls it, again after each restart. */
void workload_run(struct workload *wl, struct machine *m);

/* Compare every name with what fs says.  Ends the history when one is wrong; RC_* when it could not be asked. */
enum rc workload_check(struct workload *wl, struct fs *fs, struct why *why) MUST_CHECK;

#endif
