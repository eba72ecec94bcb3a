/* What replicas of a block without a writer become. */
#include <check.h>

#include "core/base/attr.h"
#include "datanode/agree.h"
#include "tests/unit/suites.h"

Suite *suite_dn_agree(void);

static const struct dn_agree_ask plain = { .stamp = { 1001 } };
static struct dn_agree got;
static struct why why;

static struct dn_found
has(enum replica_state state, uint64_t stamp, uint64_t bytes)
{
    return (struct dn_found){ .answered = true, .found = true, .state = state, .stamp = { stamp }, .bytes = bytes };
}

static const struct dn_found none = { .answered = true }, silent = { .answered = false };

/* The nodes that take part as bits. */
static unsigned
takers(size_t n)
{
    unsigned mask = 0;

    for (size_t i = 0; i < n; i++)
        mask |= (unsigned)got.takes_part[i] << i;
    return mask;
}

START_TEST(shortest_of_those_being_written_decides)
{
    const struct dn_found f[] = { has(RS_RBW, 1001, 300), has(RS_RBW, 1001, 200), has(RS_RBW, 1002, 400) };

    ck_assert_int_eq(dn_agree(&plain, f, 3, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 200);
    ck_assert_uint_eq(takers(3), 7);
}
END_TEST

START_TEST(finalized_decides_with_its_length_and_shorter_ones_stay_out)
{
    const struct dn_found f[] = { has(RS_RBW, 1001, 300), has(RS_FINALIZED, 1001, 250), has(RS_RBW, 1001, 200) };

    ck_assert_int_eq(dn_agree(&plain, f, 3, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 250);
    ck_assert_uint_eq(takers(3), 3);
}
END_TEST

START_TEST(outcome_of_an_earlier_recovery_decides_over_an_older_finalized_one)
{
    const struct dn_found f[] = { has(RS_FINALIZED, 1001, 300), has(RS_FINALIZED, 1005, 250) };

    ck_assert_int_eq(dn_agree(&plain, f, 2, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 250);
    ck_assert_uint_eq(takers(2), 3);
}
END_TEST

START_TEST(what_a_restart_left_decides_only_among_its_like)
{
    const struct dn_found mixed[] = { has(RS_RWR, 1001, 100), has(RS_RBW, 1001, 300) };
    const struct dn_found left[] = { has(RS_RWR, 1001, 150), has(RS_RWR, 1001, 100), none };

    ck_assert_int_eq(dn_agree(&plain, mixed, 2, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 300);
    ck_assert_uint_eq(takers(2), 2);
    ck_assert_int_eq(dn_agree(&plain, left, 3, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 100);
    ck_assert_uint_eq(takers(3), 3);
}
END_TEST

START_TEST(replica_with_an_older_stamp_or_without_bytes_does_not_count)
{
    const struct dn_found f[] = { has(RS_FINALIZED, 1000, 500), has(RS_RBW, 1001, 0), has(RS_RBW, 1001, 70) };

    ck_assert_int_eq(dn_agree(&plain, f, 3, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 70);
    ck_assert_uint_eq(takers(3), 4);
}
END_TEST

START_TEST(nothing_is_certain_only_when_all_have_answered)
{
    const struct dn_found all[] = { none, has(RS_RBW, 1001, 0), has(RS_FINALIZED, 999, 10) };
    const struct dn_found some[] = { none, silent };

    ck_assert_int_eq(dn_agree(&plain, all, 3, &got, &why), RC_OK);
    ck_assert(got.nothing);
    ck_assert_int_eq(dn_agree(&plain, some, 2, &got, &why), RC_BUSY);
}
END_TEST

START_TEST(promised_bytes_are_given_up_only_when_all_have_answered)
{
    const struct dn_agree_ask ask = { .stamp = { 1001 }, .bytes = 200 };
    const struct dn_found all[] = { has(RS_RWR, 1001, 100), has(RS_RWR, 1001, 120), none };
    const struct dn_found some[] = { has(RS_RWR, 1001, 100), silent };
    const struct dn_found one[] = { has(RS_RBW, 1001, 100), has(RS_RWR, 1001, 220) };

    ck_assert_int_eq(dn_agree(&ask, all, 3, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 120);
    ck_assert_int_eq(dn_agree(&ask, some, 2, &got, &why), RC_BUSY);
    ck_assert_int_eq(dn_agree(&ask, one, 2, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 220);
    ck_assert_uint_eq(takers(2), 2);
}
END_TEST

START_TEST(cut_wants_the_bytes_that_stay)
{
    const struct dn_agree_ask ask = { .stamp = { 1001 }, .truncates = true, .truncate_bytes = 200 };
    const struct dn_found f[] = { has(RS_FINALIZED, 1001, 500), has(RS_RWR, 1004, 200), has(RS_RWR, 1004, 100) };

    ck_assert_int_eq(dn_agree(&ask, f, 3, &got, &why), RC_OK);
    ck_assert_uint_eq(got.bytes, 200);
    ck_assert_uint_eq(takers(3), 3);
    ck_assert_int_eq(dn_agree(&ask, f + 2, 1, &got, &why), RC_BUSY);
    ck_assert_int_eq(dn_agree(&ask, &none, 1, &got, &why), RC_BUSY);
}
END_TEST

Suite *
suite_dn_agree(void)
{
    Suite *s = suite_create("dn_agree");
    TCase *t = tcase_create("agree");

    tcase_add_test(t, shortest_of_those_being_written_decides);
    tcase_add_test(t, finalized_decides_with_its_length_and_shorter_ones_stay_out);
    tcase_add_test(t, outcome_of_an_earlier_recovery_decides_over_an_older_finalized_one);
    tcase_add_test(t, what_a_restart_left_decides_only_among_its_like);
    tcase_add_test(t, replica_with_an_older_stamp_or_without_bytes_does_not_count);
    tcase_add_test(t, nothing_is_certain_only_when_all_have_answered);
    tcase_add_test(t, promised_bytes_are_given_up_only_when_all_have_answered);
    tcase_add_test(t, cut_wants_the_bytes_that_stay);
    suite_add_tcase(s, t);
    return s;
}
