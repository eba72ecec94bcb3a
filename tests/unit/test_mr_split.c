#include <stdint.h>

#include "libmr/task.h"
#include "tests/unit/suites.h"

static size_t
plan(uint64_t bytes, uint64_t block, uint64_t min, uint64_t max, struct mr_split *last)
{
    struct mr_file f = { "/f", bytes, block, false };
    struct mr_split *v;
    struct arena a;
    struct why why;
    uint64_t at = 0;
    size_t n;

    arena_init(&a, 1 * MB);
    ck_assert_int_eq(mr_split_plan(&f, 1, min, max, &a, &v, &n, &why), RC_OK);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(v[i].start, at);
        at += v[i].bytes;
    }
    ck_assert_uint_eq(at, bytes);
    if (n)
        *last = v[n - 1];
    arena_fini(&a);
    return n;
}

START_TEST(splits_follow_blocks_and_cover_the_file)
{
    struct mr_split last;

    ck_assert_uint_eq(plan(0, 128, 1, 1 << 20, &last), 0);
    ck_assert_uint_eq(plan(128, 128, 1, 1 << 20, &last), 1);
    ck_assert_uint_eq(plan(384, 128, 1, 1 << 20, &last), 3);
    ck_assert_uint_eq(plan(300, 128, 1, 1 << 20, &last), 3);
    ck_assert_uint_eq(last.bytes, 44);
}
END_TEST

START_TEST(a_short_tail_joins_the_split_before_it)
{
    struct mr_split last;

    ck_assert_uint_eq(plan(128 * 2 + 12, 128, 1, 1 << 20, &last), 2);
    ck_assert_uint_eq(last.bytes, 140);
    ck_assert_uint_eq(plan(128 * 2 + 13, 128, 1, 1 << 20, &last), 3);
}
END_TEST

START_TEST(limits_override_the_block_size)
{
    struct mr_split last;

    ck_assert_uint_eq(plan(1000, 100, 500, 1 << 20, &last), 2);
    ck_assert_uint_eq(plan(1000, 1000, 1, 100, &last), 10);
}
END_TEST

Suite *suite_mr_split(void);

Suite *
suite_mr_split(void)
{
    Suite *s = suite_create("mr_split");
    TCase *t = tcase_create("all");

    tcase_add_test(t, splits_follow_blocks_and_cover_the_file);
    tcase_add_test(t, a_short_tail_joins_the_split_before_it);
    tcase_add_test(t, limits_override_the_block_size);
    suite_add_tcase(s, t);
    return s;
}
