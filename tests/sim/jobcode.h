/*
 * jobcode -- the jobs of simulated histories, linked in, and what they must give.
 *
 * The reference is plain C over the bytes of the input: it shares nothing with
 * libmr but the rules of mr.h.
 */
#ifndef TESTS_SIM_JOBCODE_H
#define TESTS_SIM_JOBCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "libmr/mr.h"

enum jobcode {
    JOBCODE_COUNT,      /* words, folded */
    JOBCODE_GROUP,      /* sums of doubles: their last bit depends on the order of every addition */
    JOBCODE_SORT,       /* every value of every key, spilled and merged */
    JOBCODE_PICK,       /* map-only */
    JOBCODE_BAD,        /* fails, always */
    JOBCODES
};

const char *jobcode_name(enum jobcode code);            /* what stands for the shared object */
bool jobcode_is_map_only(enum jobcode code);
const struct mr_job *jobcode_find(const void *name, size_t n);         /* NULL: none */

/* A split with its file's bytes, in the order of maps and within them. */
struct jobcode_split {
    uint32_t map;
    const char *file;
    size_t file_bytes, start, bytes;
};

/*
 * The output file number `part` of the job, of `parts` (a map-only job has one a map); as_pairs: what a job with
 * results gives back of it.  The caller frees *ret.
 */
void jobcode_reference(enum jobcode code, const struct jobcode_split *splits, size_t n, uint32_t part, uint32_t parts,
                       bool as_pairs, struct buf *ret);

#endif
