/*
 * noop -- a job that does nothing, many times: what a job costs that has no work.
 *
 *     mr run noop.so -input FILE -D noop.jobs=N
 *     mr run noop.so -stage nothing -input FILE -output DIR
 *
 * The driver prints the milliseconds of each of N jobs, a line each.
 */
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

static void ignore(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    (void)t;
    (void)rec;
    (void)n;
}

MR_STAGE(nothing, .map = ignore, .map_only = 1)

static int
repeat(struct mr_driver *d)
{
    long jobs = strtol(mr_driver_option(d, "noop.jobs", "100"), NULL, 10);
    struct mr_run r = { .stage = "nothing" };

    for (long i = 0; i < jobs; i++) {
        if (mr_run(d, &r) != 0)
            return 1;
        printf("job %.3f\n", mr_seconds(d) * 1e3);
    }
    return 0;
}

MR_DRIVER(repeat)
