/*
 * sample -- bounds of the reduces of a job that is partitioned by range.
 */
#ifndef LIBMR_SAMPLE_H
#define LIBMR_SAMPLE_H

#include "core/base/arena.h"
#include "core/base/world.h"
#include "libmr/task.h"

struct mr_sample {
    const struct world *w;
    enum mr_reader reader;
    uint32_t record_bytes, key_bytes;   /* of the descriptor */
    const struct mr_split *splits;
    size_t split_count;
    const struct mr_option *options;
    size_t option_count;
    uint32_t reduces;
    /* Read a split's file, as struct mr_host_ops' read. */
    enum rc (*read)(void *arg, const struct mr_split *s, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why);
    void *arg;
};

/*
 * The least key of each reduce but the first, in arena: reduces - 1 of them, rising.  From a
 * piece out of the middle of some splits, evenly spread, so the same input gives the same
 * bounds.  RC_BAD_JOB for a reader without keys.
 */
enum rc mr_sample_bounds(const struct mr_sample *s, struct arena *arena, struct mr_bytes **ret, size_t *ret_n,
                         struct why *why) MUST_CHECK;

#endif
