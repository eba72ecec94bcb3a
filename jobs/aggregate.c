/*
 * aggregate -- COUNT, SUM, AVG, MIN, MAX, VAR, STDDEV and approximate COUNT(DISTINCT) of columns of a table.
 *
 *     -D aggregate.columns=LIST   field numbers from 1 (default: all)
 *     -D aggregate.sep=C          what ends a field: a byte, tab or space (default ,)
 *     -D mr.csv.header=1          the first line of each file holds names
 *
 * One line a column: its number, then the eight numbers.  COUNT is of fields that are not empty; the others but
 * DISTINCT are of those that are numbers; VAR and STDDEV are those of a sample.  DISTINCT is a HyperLogLog estimate
 * (Flajolet, Fusy, Gandouet, Meunier 2007) of 4,096 registers: the standard error is 1.6 %.
 */
#include <stdio.h>

#include "table.h"

#define REGISTERS 4096

/* What is known of a column; folds into another by fold(). */
struct column {
    struct mr_stats numbers;
    double filled;
    uint8_t rank[REGISTERS];    /* largest rank seen among hashes of the register */
};

struct aggregation {
    unsigned list[TABLE_FIELDS_MAX], wanted;    /* wanted 0: all */
    char sep;
    struct table_row row;
    struct column *columns[TABLE_FIELDS_MAX];
};

static void
setup(struct mr_task *t)
{
    struct aggregation *g = t->state = mr_alloc(t, sizeof *g);

    g->wanted = table_list(t, mr_option(t, "aggregate.columns", ""), g->list);
    g->sep = table_separator(mr_option(t, "aggregate.sep", ","));
}

static void
add(struct mr_task *t, struct column *c, struct mr_bytes f)
{
    uint64_t h = mr_hash(f.p, f.n);
    uint8_t rank = (uint8_t)(__builtin_clzll(h << 12 | 0xfff) + 1);
    double v;

    if (f.n == 0)
        return;
    c->filled++;
    if (c->rank[h >> 52] < rank)
        c->rank[h >> 52] = rank;
    if (mr_parse_f64(t, f.p, f.n, &v))
        mr_stats_add(&c->numbers, &v, 1);
}

static void
map_line(struct mr_task *t, const struct mr_rec *rec)
{
    struct aggregation *g = t->state;

    if (table_is_header(t, rec))
        return;
    table_split(rec, g->sep, &g->row);
    for (unsigned k = 0; k < (g->wanted ? g->wanted : g->row.n); k++) {
        unsigned i = g->wanted ? g->list[k] : k;

        if (i >= g->row.n)
            continue;
        if (g->columns[i] == NULL)
            g->columns[i] = mr_alloc(t, sizeof *g->columns[i]);
        add(t, g->columns[i], g->row.field[i]);
    }
}

MR_MAP_EACH(map, map_line)

static void
give(struct mr_task *t)
{
    const struct aggregation *g = t->state;
    char key[16];

    for (unsigned i = 0; i < TABLE_FIELDS_MAX; i++)
        if (g->columns[i] != NULL)
            mr_emit(t, key, (size_t)snprintf(key, sizeof key, "%03u", i + 1), g->columns[i], sizeof *g->columns[i]);
}

static void
fold(void *into, const void *value, size_t n)
{
    struct column *a = into;
    const struct column *b = value;

    (void)n;
    mr_stats_merge(&a->numbers, &b->numbers);
    a->filled += b->filled;
    for (int i = 0; i < REGISTERS; i++)
        a->rank[i] = b->rank[i] > a->rank[i] ? b->rank[i] : a->rank[i];
}

static double
distinct(const struct column *c)
{
    double sum = 0, estimate;
    int empty = 0;

    for (int i = 0; i < REGISTERS; i++) {
        sum += ldexp(1, -c->rank[i]);
        empty += c->rank[i] == 0;
    }
    estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / sum;
    if (estimate <= 2.5 * REGISTERS && empty > 0)
        estimate = REGISTERS * log((double)REGISTERS / empty);      /* linear counting, for small sets */
    return floor(estimate + 0.5);
}

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    char text[(TABLE_WORDS + 1) * 33];
    struct column c;
    size_t n;

    if (!mr_next_copy(t, values, &c, sizeof c))     /* folded: there is one */
        return;
    n = mr_f64_text(t, c.filled, text);
    for (int w = TABLE_SUM; w < TABLE_WORDS; w++) {
        text[n++] = '\t';
        n += table_show(t, &c.numbers, (enum table_word)w, text + n);
    }
    text[n++] = '\t';
    n += mr_f64_text(t, distinct(&c), text + n);
    while (key.n > 1 && *key.p == '0') {
        key.p++;
        key.n--;
    }
    mr_emit(t, key.p, key.n, text, n);
}

MR_JOB(.map = map, .cleanup = give, .setup = setup, .reduce = reduce, .fold = MR_FOLD_OWN, .fold_own = fold)
