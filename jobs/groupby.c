/*
 * groupby -- SELECT key, SUM(value) FROM lines GROUP BY key.
 *
 *     -D groupby.key=N      field of the key, from 1 (default 1)
 *     -D groupby.value=N    field of the number (default 2)
 *     -D groupby.sep=C      what ends a field (default ,)
 */
#include <mr.h>
#include <stdlib.h>

struct columns {
    unsigned key, value;
    char sep;
};

static void
setup(struct mr_task *t)
{
    static struct columns c;        /* one attempt at a time in a process */

    c.key = (unsigned)strtoul(mr_option(t, "groupby.key", "1"), NULL, 10);
    c.value = (unsigned)strtoul(mr_option(t, "groupby.value", "2"), NULL, 10);
    c.sep = mr_option(t, "groupby.sep", ",")[0];
    if (c.key == 0 || c.value == 0)
        mr_fail(t, "groupby.key and groupby.value are field numbers and count from 1");
    t->state = &c;
}

static void
map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    const struct columns *c = t->state;
    char text[64], *end;

    for (size_t i = 0; i < n; i++) {
        struct mr_bytes key = mr_field(rec[i].value, rec[i].value_len, c->sep, c->key - 1);
        struct mr_bytes value = mr_field(rec[i].value, rec[i].value_len, c->sep, c->value - 1);
        double v;

        if (value.n == 0 || value.n >= sizeof text) {
            mr_count(t, "LINES_WITHOUT_NUMBER", 1);
            continue;
        }
        memcpy(text, value.p, value.n);
        text[value.n] = 0;
        v = strtod(text, &end);
        if (end == text)
            mr_count(t, "LINES_WITHOUT_NUMBER", 1);
        else
            mr_emit_f64(t, key.p, key.n, v);
    }
}

MR_JOB(.map = map, .setup = setup, .fold = MR_FOLD_SUM_F64)
