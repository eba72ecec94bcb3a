#include "libmr/mr_groups.h"
#include "tests/unit/suites.h"

#define ROWS 67
#define COLS 9
#define SUMS 13

struct table {
    double cell[COLS][ROWS], a[SUMS * COLS], b[SUMS];
    const double *x[COLS];
};

/* Small whole numbers: many sums are equal. */
static void
fill(struct table *t)
{
    uint64_t s = 7;

    for (size_t j = 0; j < COLS; j++) {
        t->x[j] = t->cell[j];
        for (size_t i = 0; i < ROWS; i++)
            t->cell[j][i] = (double)((s = s * 6364136223846793005u + 1442695040888963407u) >> 62);
    }
    for (size_t c = 0; c < SUMS; c++) {
        t->b[c] = (double)(c % 3) / 2;
        for (size_t j = 0; j < COLS; j++)
            t->a[c * COLS + j] = (double)((s = s * 6364136223846793005u + 1442695040888963407u) >> 62) - 1.75;
    }
}

static void
check_least(const struct table *t, size_t k, size_t d, size_t at, size_t n)
{
    double least[ROWS + 1], least4[ROWS];
    uint32_t which[ROWS + 1], which4[ROWS];
    size_t n4 = mr_least_of_fours(least4, which4, t->a, t->b, k, d, t->x, at, n);      /* also where eights are used */

    least[n] = -1;
    which[n] = 99;
    mr_least(least, which, t->a, t->b, k, d, t->x, at, n);
    ck_assert_uint_eq(n4, n / 8 * 8);
    ck_assert_mem_eq(least, least4, n4 * sizeof *least);
    ck_assert_mem_eq(which, which4, n4 * sizeof *which);
    for (size_t i = 0; i < n; i++) {
        double want = INFINITY;
        uint32_t nearest = 0;

        for (size_t c = 0; c < k; c++) {
            double v = t->b[c];

            for (size_t j = 0; j < d; j++)
                v = fma(t->a[c * d + j], t->x[j][at + i], v);
            if (v < want) {
                want = v;
                nearest = (uint32_t)c;
            }
        }
        ck_assert_uint_eq(which[i], nearest);
        ck_assert(least[i] == want);
    }
    ck_assert(least[n] == -1 && which[n] == 99);
}

START_TEST(least_of_any_number_of_sums_is_the_first_of_equals)
{
    struct table t;

    fill(&t);
    for (size_t k = 0; k <= SUMS; k++)
        for (size_t d = 0; d <= COLS; d++)
            for (size_t n = 0; n <= ROWS - 3; n++)
                check_least(&t, k, d, 3, n);
}
END_TEST

START_TEST(least_of_a_row_that_is_not_a_number_is_sum_0_at_infinity)
{
    struct table t;
    double least[ROWS];
    uint32_t which[ROWS];

    fill(&t);
    t.cell[2][5] = t.cell[0][66] = NAN;
    mr_least(least, which, t.a, t.b, SUMS, COLS, t.x, 0, ROWS);
    ck_assert(isinf(least[5]) && which[5] == 0 && isinf(least[66]) && which[66] == 0);
    ck_assert(!isinf(least[4]) && !isinf(least[65]));
}
END_TEST

START_TEST(sums_by_group_are_those_of_one_row_after_the_other)
{
    struct table t;
    double sum[5 * 6], want[5 * 6], square[ROWS];
    uint32_t group[ROWS];

    fill(&t);
    for (uint32_t i = 0; i < ROWS; i++) {
        group[i] = i % 7 == 0 ? 4 : i / 3 % 5;      /* runs of one group, too */
        for (size_t j = 0; j < 4; j++)
            t.cell[j][i] += 1.0 / (i + 3);          /* sums depend on the order */
    }
    for (size_t n = 0; n <= ROWS; n++) {
        memset(sum, 0, sizeof sum);
        memset(want, 0, sizeof want);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < 4; j++)
                want[group[i] * 6 + 1 + j] += t.cell[j][i];
        mr_add4_by(sum + 1, 6, group, t.x, n);
        ck_assert_mem_eq(sum, want, sizeof sum);
        mr_squares(square, t.x, COLS, ROWS - n, n);
        for (size_t i = 0; i < n; i++) {
            double s = 0;

            for (size_t j = 0; j < COLS; j++)
                s = fma(t.cell[j][ROWS - n + i], t.cell[j][ROWS - n + i], s);
            ck_assert(square[i] == s);
        }
    }
}
END_TEST

Suite *suite_mr_groups(void);

Suite *
suite_mr_groups(void)
{
    Suite *s = suite_create("mr_groups");
    TCase *t = tcase_create("loops");

    tcase_add_test(t, least_of_any_number_of_sums_is_the_first_of_equals);
    tcase_add_test(t, least_of_a_row_that_is_not_a_number_is_sum_0_at_infinity);
    tcase_add_test(t, sums_by_group_are_those_of_one_row_after_the_other);
    suite_add_tcase(s, t);
    return s;
}
