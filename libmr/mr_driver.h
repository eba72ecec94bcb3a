/*
 * mr_driver.h -- for jobs, included by mr.h: a program that runs jobs, one after the other.
 *
 * MR_DRIVER(run) makes the .so one with a driver: `mr run job.so -input P ...`
 * loads it and calls
 *
 *     static int run(struct mr_driver *d)
 *
 * in its own process, as its user, with --local too; what run returns is the exit
 * status.  The driver runs the stages of the .so as jobs, reads what they give
 * back, and goes on with it:
 *
 *     double w[20] = { 0 };
 *     struct mr_side model = { "model", NULL, w, sizeof w };
 *     struct mr_run job = { .stage = "epoch", .reduces = 1, .sides = &model, .side_count = 1 };
 *
 *     for (int i = 0; i < 100; i++) {
 *         if (mr_run(d, &job) != 0)
 *             return 1;
 *         while (mr_result(d, &key, &value)) ...
 *     }
 *
 * The shared object travels once, the input is cut into splits once unless it
 * changes, and small results come straight back.  Errors are said on stderr by the
 * call that meets them.
 */
#ifndef MILLRACE_MR_H
#include "mr.h"                 /* which includes this one where it belongs */
#elif !defined(MILLRACE_MR_DRIVER_H)
#define MILLRACE_MR_DRIVER_H

#ifdef __cplusplus
extern "C" {
#endif

struct mr_driver;

/* What every attempt of a job may read by name (mr_side): a file of the filesystem, fetched once a node, or data, at
 * most 1 MB together. */
struct mr_side {
    const char *name;
    const char *path;           /* NULL: data */
    const void *data;
    size_t bytes;
};

struct mr_pairopt {
    const char *key, *value;
};

/* One job.  Give what is needed; the rest stays zero. */
struct mr_run {
    const char *stage;                  /* NULL: MR_JOB's */
    const char *const *inputs;          /* NULL: those of `mr run -input`; ends with NULL */
    const char *output;                 /* directory that must not exist yet (`mr run --overwrite` moves it away); NULL:
                                           nothing is written, the pairs come back (16 MB at most): mr_result */
    const char *second;                 /* output of a map-only job over the same input: mr_second; or NULL */
    uint32_t reduces;                   /* 0: as configured */
    const struct mr_side *sides;
    size_t side_count;
    const struct mr_pairopt *options;   /* beside, and before, those of `mr run -D` */
    size_t option_count;
};

struct mr_driver_api {
    uint32_t abi;
    uint32_t size;
    int (*run)(struct mr_driver *d, const struct mr_run *r);
    int (*result)(struct mr_driver *d, struct mr_bytes *key, struct mr_bytes *value);
    int64_t (*counter)(struct mr_driver *d, const char *name);
    double (*seconds)(struct mr_driver *d);
    int (*read)(struct mr_driver *d, const char *path, struct mr_bytes *ret);
    int (*write_file)(struct mr_driver *d, const char *path, const void *p, size_t n);
    int (*remove)(struct mr_driver *d, const char *path);
    int (*exists)(struct mr_driver *d, const char *path);
    int (*mkdirs)(struct mr_driver *d, const char *path);
    const char *(*option)(struct mr_driver *d, const char *key);
    const char *(*input)(struct mr_driver *d, size_t i);
    const char *(*output)(struct mr_driver *d);
};

/* The head of a driver, as its code sees it. */
struct mr_driver {
    const struct mr_driver_api *api;
};

typedef int mr_driver_fn(struct mr_driver *d);

struct mr_driver_entry {
    uint32_t abi, size;
    mr_driver_fn *run;
};

#define MR_DRIVER_SYMBOL "millrace_driver"
#define MR_DRIVER(fn)                                                                   \
    MR_NOTE(millrace_driver)                                                            \
    extern const struct mr_driver_entry millrace_driver;                                \
    __attribute__((visibility("default")))                                              \
    const struct mr_driver_entry millrace_driver = { MR_ABI, sizeof(struct mr_driver_entry), fn };

/* ---- jobs ---- */

/* Run a job to its end: 0, or -1 when it failed. */
static inline int mr_run(struct mr_driver *d, const struct mr_run *r) { return d->api->run(d, r); }

/* The next pair that the last run gave back, 1, or 0 after the last: as emitted or folded (binary), by partition, then by
 * key; of a map-only job by map.  The value is aligned to 8.  Good until the next mr_run. */
static inline int mr_result(struct mr_driver *d, struct mr_bytes *key, struct mr_bytes *value)
{
    return d->api->result(d, key, value);
}

/* A counter of the last run, 0 when it was not counted, and the seconds that it took. */
static inline int64_t mr_counter(struct mr_driver *d, const char *name) { return d->api->counter(d, name); }
static inline double mr_seconds(struct mr_driver *d) { return d->api->seconds(d); }

/* ---- small files: of the filesystem, or local ones with --local ---- */

/* The whole of a file of at most 64 MB: 1; 0 when it is not there; -1 when it cannot be read.  Good until the next
 * mr_read. */
static inline int mr_read(struct mr_driver *d, const char *path, struct mr_bytes *ret) { return d->api->read(d, path, ret); }

/* Make or replace a file in one step: readers see the old one or the new one.  0, or -1. */
static inline int mr_write_file(struct mr_driver *d, const char *path, const void *p, size_t n)
{
    return d->api->write_file(d, path, p, n);
}

/* Remove a file, or a directory and what is in it: 0, also when it was not there; or -1. */
static inline int mr_remove(struct mr_driver *d, const char *path) { return d->api->remove(d, path); }

/* 1, 0, or -1. */
static inline int mr_exists(struct mr_driver *d, const char *path) { return d->api->exists(d, path); }

/* Make a directory and those above it: 0, also when it is there; or -1. */
static inline int mr_mkdirs(struct mr_driver *d, const char *path) { return d->api->mkdirs(d, path); }

/* ---- what `mr run` was given ---- */

static inline const char *mr_driver_option(struct mr_driver *d, const char *key, const char *dflt)
{
    const char *v = d->api->option(d, key);

    return v ? v : dflt;
}

/* Input number i, NULL behind the last; the output, NULL when none was given. */
static inline const char *mr_driver_input(struct mr_driver *d, size_t i) { return d->api->input(d, i); }
static inline const char *mr_driver_output(struct mr_driver *d) { return d->api->output(d); }

#ifdef __cplusplus
}
#endif

#endif
