/*
 * task -- one map or reduce attempt, from its first input byte to its last output byte.
 *
 * The attempt reaches everything outside through struct mr_host: the worker
 * process implements it over its socket to the TaskTracker, `mr run --local` over
 * plain files.  The attempt itself opens nothing.  It runs on one thread.
 *
 * Output is a function of input, split and options alone: a map folds in record
 * order and spills by declared sizes; a reduce folds map outputs in map order,
 * whatever order they arrived in.
 */
#ifndef LIBMR_TASK_H
#define LIBMR_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/rc.h"
#include "core/io/io.h"
#include "libmr/mr.h"

/* A part of one file: [start, start + bytes).  Lines that begin in it are the split's. */
struct mr_split {
    const char *path;
    uint64_t start, bytes;
    uint64_t file_bytes;
    uint32_t file;                  /* its number in the job's input */
};

struct mr_option {
    const char *key, *value;
};

/* What to do.  Everything is borrowed for the time of the attempt. */
struct mr_spec {
    bool is_map;
    uint32_t index;                 /* of the map or of the reduce (its partition) */
    uint32_t attempt;
    uint32_t map_count, reduce_count;   /* reduce_count 0: map-only */
    const struct mr_split *splits;  /* map: one, or several small ones, read one after the other */
    size_t split_count;
    size_t sort_bytes;              /* memory for map output before it is spilled */
    uint32_t sort_factor;           /* runs merged at a time */
    bool compress;                  /* lz4 in map output */
    const struct mr_option *options;
    size_t option_count;
    bool results;                   /* output is pairs (struct mr_pair, key, value), whatever the job's writer */
    const struct mr_bytes *bounds;  /* MR_PART_RANGE: the least key of each reduce but the first */
    size_t bound_count;
    bool second;                    /* there is a second input */
};

/* Engine's counters, names as Hadoop's. */
enum mr_counter {
#define COUNTER(symbol, group, name, doc) MRC_##symbol,
#include "libmr/counters.def"
#undef COUNTER
    MRC_COUNT
};

const char *mr_counter_name(enum mr_counter c);     /* "MAP_INPUT_RECORDS" */

enum mr_phase { MR_PHASE_MAP, MR_PHASE_SORT, MR_PHASE_SHUFFLE, MR_PHASE_MERGE, MR_PHASE_REDUCE, MR_PHASE_OUTPUT };

struct mr_user_counter {
    char *name;
    int64_t value;
};

struct mr_progress {
    enum mr_phase phase;
    double fraction;                /* of the phase, 0 .. 1 */
    const char *status;             /* last mr_status, or NULL */
    int64_t counters[MRC_COUNT];
    const struct mr_user_counter *user;
    size_t user_count;
};

/* A map's output for one partition: bytes [at, at + bytes) of an open file. */
struct mr_segment {
    uint32_t map;
    int fd;
    uint64_t at, bytes;
};

/* The parsed columns of a split, in memory from an earlier attempt, or a file to leave them in for a later one. */
struct mr_cached {
    const void *p;                  /* n bytes; n 0: none */
    size_t n;
    int fd;                         /* to be filled, from 0; the host's; -1: do not */
};

struct mr_host;

struct mr_host_ops {
    /* Read the split's file at position `at`: at least one byte, 0 at the end of the file. */
    enum rc (*read)(struct mr_host *h, size_t split, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why);
    /* A new private file for spills, read and write; the attempt closes it. */
    enum rc (*scratch)(struct mr_host *h, int *ret_fd, struct why *why);
    /* The file that the map's output goes to, to be served to reduces; the attempt closes it. */
    enum rc (*map_output)(struct mr_host *h, int *ret_fd, struct why *why);
    /* Reduce: the next map output to arrive, in any order; *ret_more false once all map_count came.  The attempt
     * closes fd.  Waits. */
    enum rc (*next_segment)(struct mr_host *h, struct mr_segment *ret, bool *ret_more, struct why *why);
    /* Final output, in order; output NULL: the main one. */
    enum rc (*write)(struct mr_host *h, const char *output, const void *p, size_t n, struct why *why);
    /* Called now and then (at most every 100 ms); must not wait long. */
    void (*progress)(struct mr_host *h, const struct mr_progress *p);
    /* The side file or data of that name, until the attempt ends; p NULL: there is none. */
    enum rc (*side)(struct mr_host *h, const char *name, struct mr_bytes *ret, struct why *why);
    /* Map: read the second input's file of this map at position `at`; 0 at its end. */
    enum rc (*second)(struct mr_host *h, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why);
    /* Columns of the split as an attempt of the same user that had the same `how` (options of the reader) left them.  p
     * is good until the attempt ends.  NULL: this host keeps none. */
    enum rc (*cached)(struct mr_host *h, size_t split, const char *how, struct mr_cached *ret, struct why *why);
    /* What was to be filled is whole. */
    void (*filled)(struct mr_host *h, size_t split);
};

struct collect_memory;

struct mr_host {
    const struct mr_host_ops *ops;
    struct collect_memory *memory;  /* what a map leaves for the host's next one (libmr/collect.h); NULL: nothing */
};

/* Where each partition is in the map output file: parts + 1 offsets; part i is [at[i], at[i + 1]), of CRC32C crc[i]. */
struct mr_map_index {
    uint64_t *at;                   /* mem_free */
    uint32_t *crc;                  /* mem_free */
    uint32_t parts;
};

/*
 * Run the attempt.  *ret_progress holds its counters at the end (arena).  A map with reduces
 * leaves the index of its output in *ret_index (may be NULL otherwise).  Failures: the host's;
 * RC_JOB_FAILED with the text of mr_fail; RC_CORRUPT for a damaged segment (why names the map).
 */
enum rc mr_attempt_run(const struct mr_spec *spec, const struct mr_job *job, struct mr_host *host, struct io *io,
                       struct clock *clock, struct arena *arena, struct mr_progress *ret_progress,
                       struct mr_map_index *ret_index, struct why *why) MUST_CHECK;

/* RC_BAD_JOB when the file at path has no Millrace note, or one of another ABI or machine; reads it, never loads it. */
enum rc mr_note_check(struct io *io, const char *path, struct why *why) MUST_CHECK;

/* The descriptor of a loaded job: checks ABI, size and that the callbacks it needs are there. */
enum rc mr_job_check(const struct mr_job *job, struct why *why) MUST_CHECK;

/*
 * A block file with its meta file, read with every checksum verified: what a local
 * split is scanned through.  Borrows both descriptors.  RC_CORRUPT on a mismatch.
 */
struct mr_block_file;
enum rc mr_block_open(struct io *io, int data_fd, int meta_fd, struct mr_block_file **ret, struct why *why) MUST_CHECK;
enum rc mr_block_read(struct mr_block_file *b, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why) MUST_CHECK;
void mr_block_free(struct mr_block_file *b);

/* Cut files into splits along blocks: no split crosses a block's end unless it is the file's short tail (10 %). */
struct mr_file {
    const char *path;
    uint64_t bytes, block_bytes;
    bool whole;                     /* one split, even if it is empty: see mr_reader_takes_files */
};
bool mr_reader_takes_files(enum mr_reader r);
enum rc mr_split_plan(const struct mr_file *files, size_t file_count, uint64_t split_min, uint64_t split_max,
                      struct arena *a, struct mr_split **ret, size_t *ret_n, struct why *why) MUST_CHECK;

#endif
