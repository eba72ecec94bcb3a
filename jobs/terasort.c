/*
 * terasort -- records of 100 bytes into the order of their first 10: the output's files, one after the other, are sorted.
 *
 *     mr run terasort -input RECORDS -output SORTED -D mapreduce.job.reduces=N
 *
 * Each reduce has a range of keys, from a sample taken when the job is submitted.
 */
#include <mr.h>

#include "tera.h"

static void
map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mr_emit(t, rec[i].key, rec[i].key_len, rec[i].value, rec[i].value_len);
}

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;

    while (mr_next(t, values, &v))
        mr_emit(t, key.p, key.n, v.p, v.n);
}

MR_JOB(.reader = MR_READ_FIXED, .record_bytes = TERA_RECORD, .key_bytes = TERA_KEY, .map = map, .reduce = reduce,
       .partition_by = MR_PART_RANGE, .writer = MR_WRITE_RAW)
