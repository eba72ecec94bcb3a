/*
 * local -- a whole job in this process: `mr run --local`, for a debugger and for small data.
 *
 * Input paths are local files or directories, or files of a cluster as
 * hdfs://host:port/path; output is a local directory that does not exist yet.  The
 * same attempts run as on a cluster, one after the other, so output is the same,
 * bit for bit, given the same splits.
 */
#ifndef LIBMR_LOCAL_H
#define LIBMR_LOCAL_H

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "libmr/task.h"

struct mr_local {
    const struct world *w;
    const struct conf *conf;            /* block size, reduces, sort memory ...; its other keys are the job's options */
    const char *job_path;               /* the .so */
    const char *stage;                  /* NULL: MR_JOB's */
    const char *const *inputs;
    size_t input_count;
    const char *output;                 /* NULL: the pairs go to results */
    bool overwrite;                     /* an output that a job made goes first */
    struct buf *results;                /* initialised */
    const char *second;                 /* a local directory, or NULL */
    uint32_t reduces;                   /* 0: as configured */
    const struct mr_side *sides;
    size_t side_count;
    const struct mr_pairopt *options;   /* before those of conf */
    size_t option_count;
    /* Told after each attempt; may be NULL. */
    void (*on_attempt)(void *arg, bool is_map, uint32_t index, uint32_t count);
    void *arg;
};

/* Counters of all attempts are added up in ret (names in arena).  Nothing is left behind on failure. */
enum rc mr_local_run(const struct mr_local *l, struct arena *arena, struct mr_progress *ret, struct why *why) MUST_CHECK;

/* Load a checked shared object and find its job, or its stage of that name (NULL: MR_JOB's).  It stays loaded: there is no
 * unload. */
enum rc mr_job_load(const char *path, const char *stage, const struct mr_job **ret, struct why *why) MUST_CHECK;
/* Its driver; RC_NOT_FOUND when it has none. */
enum rc mr_driver_load(const char *path, const struct mr_driver_entry **ret, struct why *why) MUST_CHECK;

/* Write NAME.c, a job to start from; RC_SYS_EXISTS if it is there.  `mr new`. */
enum rc mr_new(const struct world *w, const char *name, struct why *why) MUST_CHECK;

#endif
