#include "jobtracker/state.h"

/*
 * RUNNING     in the database with its spec and code; attempts may start.
 * COMMITTING  every task has a winner, all of them in the database; the work directory is being made the output.  A
 *             restart looks at the destination's _SUCCESS and does the rest.
 * SUCCEEDED   the output is in place.
 * FAILED      a task used up its attempts, or the commit was refused; what attempts wrote is being deleted.
 * KILLED      by a person; as FAILED.
 */
#define TO(s) SM_BIT(JOB_##s)
const struct sm_state jt_job_states[] = {
    [JOB_RUNNING] = { "RUNNING", TO(COMMITTING) | TO(FAILED) | TO(KILLED) },
    [JOB_COMMITTING] = { "COMMITTING", TO(SUCCEEDED) | TO(FAILED) },
    [JOB_SUCCEEDED] = { "SUCCEEDED", 0 },
    [JOB_FAILED] = { "FAILED", 0 },
    [JOB_KILLED] = { "KILLED", 0 },
};
#undef TO

/*
 * In memory only; follows from the task's attempts.
 * PENDING   on its job's list of pending maps or reduces.
 * RUNNING   at least one attempt runs, none has won.
 * DONE      has a winner; back to PENDING when the winner's output is lost.
 * OVER      the job ended before it was done.
 */
#define TO(s) SM_BIT(TASK_##s)
const struct sm_state jt_task_states[] = {
    [TASK_PENDING] = { "PENDING", TO(RUNNING) | TO(DONE) | TO(OVER) },
    [TASK_RUNNING] = { "RUNNING", TO(PENDING) | TO(DONE) | TO(OVER) },
    [TASK_DONE] = { "DONE", TO(PENDING) | TO(OVER) },
    [TASK_OVER] = { "OVER", 0 },
};
#undef TO

/*
 * RUNNING    in the database before its tracker hears of it; holds a slot.
 * KILLING    its tracker was told to end it; holds its slot until the tracker says so.  In the database: RUNNING.
 * SUCCEEDED  the winner of its task; its output may be fetched or committed.
 * FAILED     by its own fault: counts against the limit of attempts.
 * KILLED     by order, or because another attempt had won: does not count.
 * LOST       its tracker is lost, or the tracker lost what it made: does not count.
 */
#define TO(s) SM_BIT(ATTEMPT_##s)
const struct sm_state jt_attempt_states[] = {
    [ATTEMPT_RUNNING] = { "RUNNING", TO(KILLING) | TO(SUCCEEDED) | TO(FAILED) | TO(KILLED) | TO(LOST) },
    [ATTEMPT_KILLING] = { "KILLING", TO(KILLED) | TO(LOST) },
    [ATTEMPT_SUCCEEDED] = { "SUCCEEDED", TO(LOST) },
    [ATTEMPT_FAILED] = { "FAILED", 0 },
    [ATTEMPT_KILLED] = { "KILLED", 0 },
    [ATTEMPT_LOST] = { "LOST", 0 },
};
#undef TO

const char *
jt_locality_name(enum jt_locality l)
{
    switch (l) {
    case LOCALITY_NODE: return "node";
    case LOCALITY_RACK: return "rack";
    case LOCALITY_ANY: return "any";
    case LOCALITY_NONE: break;
    }
    return "-";
}
