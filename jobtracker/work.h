/*
 * work -- what the JobTracker does in the filesystem, as the job's user.
 *
 * Blocking; runs on the work threads.  Each step may be done again: a restart
 * repeats a commit, which then looks at the destination first.
 */
#ifndef JOBTRACKER_WORK_H
#define JOBTRACKER_WORK_H

#include "core/base/world.h"
#include "core/conf/conf.h"
#include "jobtracker/core.h"

struct fs;

/* A connection to the filesystem for the user of the last work; one a thread. */
struct jt_hand {
    const struct world *w;
    const struct conf *conf;
    struct fs *fs;
    char *user;
};
void jt_hand_fini(struct jt_hand *h);

/* RC_EXISTS when the output is there already. */
enum rc jt_work_check(struct jt_hand *h, const char *user, const char *output, struct why *why) MUST_CHECK;
/* Make the directory that becomes the output. */
enum rc jt_work_prepare(struct jt_hand *h, const struct jt_work *w, struct why *why) MUST_CHECK;
/* Write _SUCCESS there, unless it is there whole from an earlier try; the directory too, if need be. */
enum rc jt_work_mark(struct jt_hand *h, const struct jt_work *w, struct why *why) MUST_CHECK;
/* Gather the winners' files there, rename the whole to the output. */
enum rc jt_work_commit(struct jt_hand *h, const struct jt_work *w, struct why *why) MUST_CHECK;
/* Delete what attempts wrote. */
enum rc jt_work_clean(struct jt_hand *h, const struct jt_work *w, struct why *why) MUST_CHECK;

#endif
