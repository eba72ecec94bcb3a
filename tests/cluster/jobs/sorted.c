/* Lines in order, each as often as it comes: a sort, with pauses that -D sleep.ms= and reduce.sleep.ms= give. */
#include <stdlib.h>
#include <time.h>

#include "mr.h"

static void pause_ms(struct mr_task *t, const char *option)
{
    long ms = strtol(mr_option(t, option, "0"), NULL, 10);
    struct timespec for_ms = { ms / 1000, ms % 1000 * 1000000 };

    if (!t->state)
        nanosleep(&for_ms, NULL);
    t->state = (void *)1;
}

static void map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    pause_ms(t, "sleep.ms");
    for (size_t i = 0; i < n; i++)
        mr_emit(t, rec[i].value, rec[i].value_len, "x", 1);
}

static void reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;

    pause_ms(t, "reduce.sleep.ms");
    while (mr_next(t, values, &v))
        mr_emit(t, key.p, key.n, v.p, v.n);
}

static void setup(struct mr_task *t)
{
    t->state = NULL;
}

MR_JOB(.map = map, .reduce = reduce, .setup = setup)
