/* Full reports: ranges, hashes, differences; and what safe mode says. */
#include "namenode/report.h"

#include <string.h>

#include "namenode/safemode.h"
#include "tests/unit/suites.h"

Suite *suite_nn_report(void);

struct seen { uint64_t gone[8], new[8]; size_t gone_count, new_count; };

static enum rc on_gone(void *arg, const struct nn_held *h, struct why *why)
{
    struct seen *s = arg;

    (void)why;
    s->gone[s->gone_count++] = h->block.v;
    return RC_OK;
}

static enum rc on_new(void *arg, const struct nn_held *h, struct why *why)
{
    struct seen *s = arg;

    (void)why;
    s->new[s->new_count++] = h->block.v;
    return RC_OK;
}

START_TEST(difference_names_gone_new_and_changed_blocks_only)
{
    const struct nn_held roster[] = { { { 1 }, 10, 100, false, false }, { { 2 }, 10, 100, false, false },
                                      { { 5 }, 10, 100, false, false } };
    const struct nn_held report[] = { { { 2 }, 10, 100, false, false }, { { 3 }, 10, 100, false, false },
                                      { { 5 }, 11, 100, false, false } };
    struct seen s = { .gone_count = 0 };
    struct nn_report_events ev = { &s, on_gone, on_new };
    struct why why;

    ck_assert_int_eq(nn_report_diff(roster, 3, report, 3, &ev, &why), RC_OK);
    ck_assert_uint_eq(s.gone_count, 1);
    ck_assert_uint_eq(s.gone[0], 1);
    ck_assert_uint_eq(s.new_count, 2);
    ck_assert_uint_eq(s.new[0], 3);
    ck_assert_uint_eq(s.new[1], 5);
}
END_TEST

START_TEST(hash_of_one_replica_is_fnv1a_of_32_bytes)
{
    struct nn_held h = { { 0 }, 0, 0, false, false };
    uint64_t expect = NN_HASH_START;

    for (int i = 0; i < 32; i++)
        expect *= UINT64_C(0x100000001b3);
    ck_assert_uint_eq(nn_held_hash(NN_HASH_START, &h), expect);
    h.writing = true;
    ck_assert_uint_ne(nn_held_hash(NN_HASH_START, &h), expect);
}
END_TEST

START_TEST(ranges_count_what_falls_into_them)
{
    struct nn_range r[2] = { { 0, 9, 0, NN_HASH_START }, { 10, UINT64_MAX, 0, NN_HASH_START } };
    struct nn_held a = { { 3 }, 1, 1, false, false }, b = { { 10 }, 1, 1, false, false };
    struct why why;
    size_t at = 0;

    ck_assert_int_eq(nn_ranges_check(r, 2, &why), RC_OK);
    nn_ranges_add(r, 2, &at, &a);
    nn_ranges_add(r, 2, &at, &b);
    ck_assert_uint_eq(r[0].count, 1);
    ck_assert_uint_eq(r[1].count, 1);
    r[1].first = 11;
    ck_assert_int_eq(nn_ranges_check(r, 2, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(nn_ranges_check(r, 1, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(nn_ranges_check(r, 0, &why), RC_BAD_MESSAGE);
}
END_TEST

START_TEST(numbers_out_of_order_or_range_are_refused)
{
    const uint64_t good[] = { 5, 10, 201, 2, 11, 200 }, twice[] = { 5, 10, 200, 0, 10, 200 },
                   huge[] = { 5, 1, 2, UINT64_MAX, 1, 2 };
    struct nn_held out[2];
    struct why why;

    ck_assert_int_eq(nn_report_decode(good, 6, 0, 9, out, &why), RC_OK);
    ck_assert_uint_eq(out[0].block.v, 5);
    ck_assert_uint_eq(out[0].bytes, 100);
    ck_assert(out[0].writing);
    ck_assert_uint_eq(out[1].block.v, 7);
    ck_assert(!out[1].writing);
    ck_assert_int_eq(nn_report_decode(good, 6, 0, 6, out, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(nn_report_decode(good, 5, 0, 9, out, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(nn_report_decode(twice, 6, 0, 9, out, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(nn_report_decode(huge, 6, 0, UINT64_MAX, out, &why), RC_BAD_MESSAGE);
}
END_TEST

START_TEST(safe_mode_ends_when_enough_blocks_are_safe_and_says_what_is_missing)
{
    struct nn_safemode s;
    struct nn_safemode_facts f = { .blocks = 1000, .safe = 10, .threshold = 0.999, .now_ms = 5 };
    struct buf b;

    buf_init(&b, KB);
    nn_safemode_start(&s, true);
    ck_assert(!nn_safemode_step(&s, &f) && s.on);
    nn_safemode_explain(&s, &f, &b);
    buf_u8(&b, 0);
    ck_assert_str_eq((char *)b.p, "The reported blocks 10 needs additional 989 blocks to reach the threshold 0.9990 of total "
                     "blocks 1000.");
    f.safe = 999;
    ck_assert(nn_safemode_step(&s, &f));
    ck_assert(!s.on);
    buf_fini(&b);
}
END_TEST

START_TEST(safe_mode_by_hand_or_behind_does_not_end_by_itself)
{
    struct nn_safemode s;
    struct nn_safemode_facts f = { .blocks = 0, .threshold = 0.999, .now_ms = 5 };
    struct why why;

    nn_safemode_start(&s, false);
    ck_assert(!s.on);
    nn_safemode_enter(&s);
    ck_assert(!nn_safemode_step(&s, &f) && s.on);
    ck_assert_int_eq(nn_safemode_leave(&s, false, &why), RC_OK);
    ck_assert(!s.on);
    nn_safemode_set_behind(&s, "transaction 9 was seen, 7 is here");
    ck_assert(!nn_safemode_step(&s, &f) && s.on);
    ck_assert_int_eq(nn_safemode_leave(&s, false, &why), RC_SAFE_MODE);
    ck_assert_ptr_nonnull(strstr(why.text, "transaction 9 was seen, 7 is here"));
    ck_assert_int_eq(nn_safemode_leave(&s, true, &why), RC_OK);
    ck_assert(!s.on);
}
END_TEST

START_TEST(safe_mode_lasts_its_extension)
{
    struct nn_safemode s;
    struct nn_safemode_facts f = { .blocks = 1, .safe = 1, .threshold = 1, .extension_ms = 100, .now_ms = 50 };

    nn_safemode_start(&s, true);
    ck_assert(!nn_safemode_step(&s, &f));
    f.now_ms = 149;
    ck_assert(!nn_safemode_step(&s, &f));
    f.now_ms = 150;
    ck_assert(nn_safemode_step(&s, &f));
}
END_TEST

Suite *suite_nn_report(void)
{
    Suite *s = suite_create("nn_report");
    TCase *tc = tcase_create("report");

    tcase_add_test(tc, difference_names_gone_new_and_changed_blocks_only);
    tcase_add_test(tc, hash_of_one_replica_is_fnv1a_of_32_bytes);
    tcase_add_test(tc, ranges_count_what_falls_into_them);
    tcase_add_test(tc, numbers_out_of_order_or_range_are_refused);
    tcase_add_test(tc, safe_mode_ends_when_enough_blocks_are_safe_and_says_what_is_missing);
    tcase_add_test(tc, safe_mode_by_hand_or_behind_does_not_end_by_itself);
    tcase_add_test(tc, safe_mode_lasts_its_extension);
    suite_add_tcase(s, tc);
    return s;
}
