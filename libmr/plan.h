/*
 * plan -- from input paths to maps: which files, cut where, held by whom.
 */
#ifndef LIBMR_PLAN_H
#define LIBMR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/rc.h"
#include "core/proto/jobtracker.pb-c.h"
#include "dfsclient/fs.h"
#include "libmr/task.h"

/* "/a/b" of "hdfs://host/a//b/", or of a path below the home directory; in a, NULL without memory. */
char *plan_absolute(struct arena *a, const char *user, const char *path);

struct plan_request {
    const char *user;
    const char *const *inputs;      /* files, directories, patterns */
    size_t input_count;
    bool whole;                     /* files are not to be cut */
    uint64_t split_min, split_max;
};

/*
 * What the maps of a job over these inputs are.  *plan is NULL or an earlier plan, which
 * stays if every file is still what it was; else a new one takes its place.  A failure
 * leaves it.
 */
struct plan;
enum rc plan_make(struct fs *fs, const struct plan_request *r, struct plan **plan, struct why *why) MUST_CHECK;
void plan_free(struct plan *p);

void plan_maps(const struct plan *p, JtJobSpec *spec);         /* borrowed from p */
void plan_splits(const struct plan *p, const struct mr_split **ret, size_t *ret_n);

#endif
