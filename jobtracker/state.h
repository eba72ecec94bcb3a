/*
 * state -- the states of jobs, tasks and attempts, and the moves between them.
 */
#ifndef JOBTRACKER_STATE_H
#define JOBTRACKER_STATE_H

#include <stdbool.h>

#include "core/base/sm.h"

enum jt_job_state { JOB_RUNNING, JOB_COMMITTING, JOB_SUCCEEDED, JOB_FAILED, JOB_KILLED };
enum jt_task_state { TASK_PENDING, TASK_RUNNING, TASK_DONE, TASK_OVER };
enum jt_attempt_state { ATTEMPT_RUNNING, ATTEMPT_KILLING, ATTEMPT_SUCCEEDED, ATTEMPT_FAILED, ATTEMPT_KILLED, ATTEMPT_LOST };
enum jt_locality { LOCALITY_NODE, LOCALITY_RACK, LOCALITY_ANY, LOCALITY_NONE };

extern const struct sm_state jt_job_states[];
extern const struct sm_state jt_task_states[];
extern const struct sm_state jt_attempt_states[];

const char *jt_locality_name(enum jt_locality l);       /* "node", "rack", "any", "-" */

/* The job has ended: nothing of it may start any more. */
static inline bool jt_job_state_is_over(unsigned state) { return state >= JOB_SUCCEEDED; }

/* The attempt has a slot. */
static inline bool jt_attempt_state_is_live(unsigned state) { return state <= ATTEMPT_KILLING; }

#endif
