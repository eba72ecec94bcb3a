/*
 * pieces -- stages that write several outputs, read a second input, and sort by range.
 *
 *     label       map-only: each row's label (its first column's last digit) as 4 bytes
 *     count       the label of each row, from the second input, against the row itself
 *     parity      map-only: lines with an even number to output "even", others to "odd"
 *     sorted      lines "key TAB value" in the order of their keys, over all reduces
 */
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t
label_of(double x)
{
    return (uint32_t)((int64_t)x % 10);
}

static void
label(struct mr_task *t, const struct mr_columns *c)
{
    for (size_t i = 0; i < c->rows; i++) {
        uint32_t v = label_of(c->col[0][i]);

        mr_emit(t, NULL, 0, &v, sizeof v);
    }
}

MR_STAGE(label, .columns = label, .reader = MR_READ_COLUMNS, .map_only = 1, .writer = MR_WRITE_RAW)

static void
count(struct mr_task *t, const struct mr_columns *c)
{
    struct mr_bytes b;

    t->state = t;               /* there is a second input here: this is a map */
    if (!mr_second(t, c->rows * sizeof(uint32_t), &b))
        mr_fail(t, "the second input is too short");
    for (size_t i = 0; i < c->rows; i++) {
        uint32_t v;

        memcpy(&v, b.p + i * sizeof v, sizeof v);
        mr_emit_i64(t, v == label_of(c->col[0][i]) ? "same" : "other", v == label_of(c->col[0][i]) ? 4 : 5, 1);
    }
}

static void
count_end(struct mr_task *t)
{
    struct mr_bytes b;

    if (t->state && mr_second(t, 1, &b))
        mr_fail(t, "the second input is too long");
}

MR_STAGE(count, .columns = count, .reader = MR_READ_COLUMNS, .cleanup = count_end, .fold = MR_FOLD_SUM_I64)

static void
parity(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mr_write(t, rec[i].value[rec[i].value_len - 1] % 2 ? "odd" : "even", NULL, 0, rec[i].value, rec[i].value_len);
}

MR_STAGE(parity, .map = parity, .map_only = 1)

static void
pass(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mr_emit(t, rec[i].key, rec[i].key_len, rec[i].value, rec[i].value_len);
}

static void
all(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes v;

    while (mr_next(t, values, &v))
        mr_emit(t, key.p, key.n, v.p, v.n);
}

MR_STAGE(sorted, .map = pass, .reduce = all, .reader = MR_READ_KEY_VALUE, .partition_by = MR_PART_RANGE)

static int
run(struct mr_driver *d)
{
    struct mr_bytes key, value;
    struct mr_run make = { .stage = "label" }, check = { .stage = "count", .reduces = 2 };
    char labels[1000];
    int64_t n;

    snprintf(labels, sizeof labels, "%s.labels", mr_driver_output(d));
    make.output = check.second = labels;
    if (mr_remove(d, labels) != 0 || mr_run(d, &make) != 0 || mr_run(d, &check) != 0)
        return 1;
    while (mr_result(d, &key, &value)) {
        memcpy(&n, value.p, sizeof n);
        printf("%.*s %lld\n", (int)key.n, key.p, (long long)n);
    }
    return mr_remove(d, labels) != 0 || mr_exists(d, labels) != 0;
}

MR_DRIVER(run)
