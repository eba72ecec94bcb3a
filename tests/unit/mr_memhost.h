/*
 * mr_memhost -- a whole job in the test's memory: input from a string, segments
 * handed to reduces in an order of the test's choice, output in a buffer.
 */
#ifndef TESTS_UNIT_MR_MEMHOST_H
#define TESTS_UNIT_MR_MEMHOST_H

#include "core/base/buf.h"
#include "libmr/task.h"

/* The host's clock stands still but for these, each time it is called. */
enum { HOST_READ_US = 100, HOST_SCRATCH_US = 10000, HOST_SEGMENT_US = 1000000, HOST_WRITE_US = 3 };

struct mem_job {
    const struct mr_job *job;
    const char *input;
    size_t input_bytes;
    uint64_t split_bytes;
    uint32_t reduces;
    size_t sort_bytes;
    uint32_t sort_factor;
    bool compress;
    bool reverse;               /* segments arrive last map first */
    size_t read_max;            /* bytes of one read; 0: as asked */
    const struct mr_option *options;
    size_t option_count;
    const char *side;           /* data of the side file "side", or NULL */
    const char *second;         /* of every map, or NULL */
    bool results;
    struct collect_memory *memory;  /* the host's, or NULL */
    const struct mr_bytes *bounds;
    size_t bound_count;
};

/* Run all maps and reduces; the outputs, one after the other, are in out (initialised here). */
enum rc mem_job_run(const struct mem_job *j, struct buf *out, int64_t counters[MRC_COUNT], struct why *why);

#endif
