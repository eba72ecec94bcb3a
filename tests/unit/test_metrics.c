#include "core/conf/metrics.h"

#include <string.h>

#include "tests/unit/suites.h"

suite_fn suite_metrics;

static const struct metric_row *const tables[] = { nn_metric_rows, dn_metric_rows, jt_metric_rows, tt_metric_rows };

START_TEST(names_are_prometheus_names_and_counters_end_in_total)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (const struct metric_row *row = tables[i]; row->name != NULL; row++) {
            size_t n = strlen(row->name);
            bool is_total = n > 6 && strcmp(row->name + n - 6, "_total") == 0;

            ck_assert_msg(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_") == n, "%s", row->name);
            ck_assert_msg(is_total == (row->kind == METRIC_COUNTER), "%s", row->name);
            ck_assert_msg(strpbrk(row->doc, "\n\\") == NULL, "%s", row->name);
            for (const struct metric_row *other = row + 1; other->name != NULL; other++)
                ck_assert_str_ne(row->name, other->name);
        }
    }
}
END_TEST

START_TEST(numbers_appear_with_help_and_type)
{
    struct nn_metrics m = { 0 };
    struct buf b;

    buf_init(&b, 64 * KB);
    metric_add(&m.groups, 5);
    metric_add(&m.groups, 2);
    metric_set(&m.nodes_live, 9);
    metric_sub(&m.nodes_live, 1);
    metrics_put(&b, nn_metric_rows, &m);
    buf_u8(&b, 0);
    ck_assert_ptr_nonnull(strstr((char *)b.p, "# HELP millrace_nn_groups_total Group commits.\n"
                                              "# TYPE millrace_nn_groups_total counter\n"
                                              "millrace_nn_groups_total 7\n"));
    ck_assert_ptr_nonnull(strstr((char *)b.p, "# TYPE millrace_nn_nodes_live gauge\nmillrace_nn_nodes_live 8\n"));
    buf_fini(&b);
}
END_TEST

Suite *
suite_metrics(void)
{
    Suite *s = suite_create("metrics");
    TCase *t = tcase_create("metrics");

    tcase_add_test(t, names_are_prometheus_names_and_counters_end_in_total);
    tcase_add_test(t, numbers_appear_with_help_and_type);
    suite_add_tcase(s, t);
    return s;
}
