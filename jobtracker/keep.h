/*
 * keep -- what is kept beside the jobs: shared objects, and what jobs give back.
 *
 * A shared object is kept by its digest, so that the jobs of a driver bring theirs
 * once.  The results of a job without an output live until its session's next
 * job, or until a job comes an hour later.  Core thread only; rows of the store.
 */
#ifndef JOBTRACKER_KEEP_H
#define JOBTRACKER_KEEP_H

#include "jobtracker/core.h"

/* Fill in the digest of the code, never the client's word for it: others may run what is kept under this name. */
enum rc jt_keep_digest(JtJobSpec *spec, const void *code, size_t n, struct why *why) MUST_CHECK;
/* Keep a shared object; old ones that no job runs go. */
void jt_keep_code(struct jt_core *c, const uint8_t *digest, const void *code, size_t n);

/* Keep what a task gave back; false, and nothing of the job's is kept, when that is too much. */
bool jt_keep_result(struct jt_core *c, const struct jt_attempt *a, const void *p, size_t n) MUST_CHECK;
/* A driver's next job: its maps go to the machines that read the same splits for the last one and have their columns
 * in memory. */
void jt_keep_places(const struct jt_core *c, struct jt_job *next);
/* A new job: if it is a driver's next one, that has read what the one before gave back; and nobody asks after an hour. */
void jt_keep_results_after(struct jt_core *c, const struct jt_job *next, const struct jt_now *now);

#endif
