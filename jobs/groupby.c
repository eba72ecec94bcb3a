/*
 * groupby -- SELECT key fields, aggregates of a field FROM lines GROUP BY key fields.
 *
 *     -D groupby.key=LIST     fields of the key, from 1, as in 1,3 (default 1)
 *     -D groupby.value=N      field of the number (default 2)
 *     -D groupby.show=LIST    of count, sum, avg, min, max, var, stddev (default sum)
 *     -D groupby.sep=C        what ends a field: a byte, tab or space (default ,)
 *     -D mr.csv.header=1      the first line of each file holds names
 */
#include "table.h"

struct grouping {
    unsigned key[TABLE_FIELDS_MAX], keys, value;
    enum table_word show[2 * TABLE_WORDS];
    unsigned shows;
    char sep;
    struct table_row row;
};

static void
setup(struct mr_task *t)
{
    struct grouping *g = t->state = mr_alloc(t, sizeof *g);

    g->keys = table_list(t, mr_option(t, "groupby.key", "1"), g->key);
    g->value = (unsigned)strtoul(mr_option(t, "groupby.value", "2"), NULL, 10) - 1;
    g->shows = table_words(t, mr_option(t, "groupby.show", "sum"), g->show);
    g->sep = table_separator(mr_option(t, "groupby.sep", ","));
    if (g->keys == 0 || g->shows == 0 || g->value >= TABLE_FIELDS_MAX)
        mr_fail(t, "groupby.key and groupby.value are field numbers and count from 1; groupby.show names what to show");
}

static void
map_line(struct mr_task *t, const struct mr_rec *rec)
{
    struct grouping *g = t->state;
    char key[4096];
    size_t n = 0;
    double v;

    if (table_is_header(t, rec))
        return;
    table_split(rec, g->sep, &g->row);
    if (g->value >= g->row.n || !mr_parse_f64(t, g->row.field[g->value].p, g->row.field[g->value].n, &v)) {
        mr_count(t, "LINES_WITHOUT_NUMBER", 1);
        return;
    }
    if (g->keys == 1 && g->key[0] < g->row.n) {
        mr_emit_stats(t, g->row.field[g->key[0]].p, g->row.field[g->key[0]].n, &v, 1);
        return;
    }
    for (unsigned i = 0; i < g->keys; i++) {
        struct mr_bytes f = g->key[i] < g->row.n ? g->row.field[g->key[i]] : (struct mr_bytes){ "", 0 };

        if (n + f.n + 1 > sizeof key)
            mr_fail(t, "the fields of a key have more than 4096 bytes");
        if (i > 0)
            key[n++] = g->sep;
        memcpy(key + n, f.p, f.n);
        n += f.n;
    }
    mr_emit_stats(t, key, n, &v, 1);
}

MR_MAP_EACH(map, map_line)

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    const struct grouping *g = t->state;
    char text[2 * TABLE_WORDS * 33];
    struct mr_stats s;
    size_t n = 0;

    if (!mr_next_copy(t, values, &s, sizeof s))     /* folded: there is one */
        return;
    for (unsigned i = 0; i < g->shows; i++) {
        if (i > 0)
            text[n++] = '\t';
        n += table_show(t, &s, g->show[i], text + n);
    }
    mr_emit(t, key.p, key.n, text, n);
}

MR_JOB(.map = map, .reduce = reduce, .setup = setup, .fold = MR_FOLD_STATS)
