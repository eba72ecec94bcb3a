/*
 * jobs -- what the client does with the engine, and what must be true of it afterwards.
 *
 * Owns: every job that was ever asked for, with what the client was told, and the
 * files that they read.  It is outside the simulated world, so it outlives every
 * crash.
 */
#ifndef TESTS_SIM_JOBS_H
#define TESTS_SIM_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/proto/job_id.h"
#include "dfsclient/fs.h"
#include "tests/sim/engine.h"
#include "tests/sim/jobcode.h"

#define JOBS_MAX 8
#define JOBS_INPUTS 4
#define JOBS_SPLITS_MAX 64

struct job_input {
    char path[32];
    uint64_t seed;
    uint32_t bytes;
    unsigned tries;
    bool is_there;                  /* acknowledged */
};

struct job_split {
    uint32_t map, input, start, bytes;
};

/* What is known of a job. */
enum asked_state {
    ASKED_DRAWN,                    /* perhaps submitted */
    ASKED_TAKEN,                    /* acknowledged: it has an id */
    ASKED_OVER,                     /* its end was told */
};

struct asked {
    enum asked_state state;
    unsigned item;                  /* of the plan */
    enum jobcode code;
    uint8_t submit_id[16];
    char id[JOB_ID_TEXT], output[32], end[16];
    uint32_t reduces, maps, attempts, sort_bytes;
    struct job_split splits[JOBS_SPLITS_MAX];
    unsigned split_count;
    bool was_killed;                /* somebody asked for it */
    bool has_results;               /* it gives its pairs back and has no output */
    bool must_succeed;
    bool lacked_input;              /* it failed, and volumes that had failed held the only replicas of something */
    uint64_t output_inode;          /* once it was seen */
};

struct jobs {
    struct engine *e;
    struct job_input inputs[JOBS_INPUTS];
    struct asked list[JOBS_MAX];
    unsigned count, target;         /* jobs to ask for */
    unsigned taken;                 /* items of the plan that came to their turn */
    bool is_healed;                 /* jobs from now on succeed */
    bool is_done;
};

/* Jobs until the target; called on the client, again after each restart. */
void jobs_run(struct jobs *jobs, struct machine *client);

/* Compare every job and its output with what there must be.  Ends the history when something is wrong; RC_* when it
 * could not be asked, or not yet. */
enum rc jobs_check(struct jobs *jobs, struct fs *fs, struct why *why) MUST_CHECK;

#endif
