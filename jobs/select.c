/*
 * select -- the lines whose field satisfies a condition, unchanged; map-only.
 *
 *     -D select.field=N     field number, from 1 (default 1)
 *     -D select.sep=C       what ends a field: one byte (default ,)
 *     -D select.op=OP       = != contains, as text; lt le gt ge, as numbers (default =)
 *     -D select.value=V     what to compare with
 */
#include <mr.h>
#include <stdlib.h>

struct condition {
    unsigned field;
    char sep;
    const char *op, *value;
    size_t value_len;
    double number;
};

static int
is_known(const char *op)
{
    static const char *const known[] = { "=", "!=", "contains", "lt", "le", "gt", "ge" };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(op, known[i]) == 0)
            return 1;
    return 0;
}

static void
setup(struct mr_task *t)
{
    struct condition *c = t->state = mr_alloc(t, sizeof *c);

    c->field = (unsigned)strtoul(mr_option(t, "select.field", "1"), NULL, 10);
    c->sep = mr_option(t, "select.sep", ",")[0];
    c->op = mr_option(t, "select.op", "=");
    c->value = mr_option(t, "select.value", NULL);
    if (c->value == NULL || c->field == 0)
        mr_fail(t, "select needs -D select.value=V, and -D select.field=N counts from 1");
    if (!is_known(c->op))
        mr_fail(t, "select.op must be one of = != contains lt le gt ge");
    c->value_len = strlen(c->value);
    c->number = strtod(c->value, NULL);
}

static int
holds(struct mr_task *t, const struct condition *c, struct mr_bytes f)
{
    double v;

    if (strcmp(c->op, "contains") == 0)
        return memmem(f.p, f.n, c->value, c->value_len) != NULL;
    if (c->op[0] == '=' || c->op[0] == '!')
        return (f.n == c->value_len && memcmp(f.p, c->value, f.n) == 0) == (c->op[0] == '=');
    if (!mr_parse_f64(t, f.p, f.n, &v))
        return 0;
    if (strcmp(c->op, "lt") == 0)
        return v < c->number;
    if (strcmp(c->op, "le") == 0)
        return v <= c->number;
    if (strcmp(c->op, "gt") == 0)
        return v > c->number;
    return v >= c->number;
}

static void
map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    const struct condition *c = t->state;

    for (size_t i = 0; i < n; i++) {
        struct mr_bytes f = mr_field(rec[i].value, rec[i].value_len, c->sep, c->field - 1);

        if (holds(t, c, f))
            mr_emit(t, NULL, 0, rec[i].value, rec[i].value_len);
    }
}

MR_JOB(.map = map, .setup = setup, .map_only = 1)
