/* What the write pipeline decides. */
#include "dfsclient/recovery.h"
#include "tests/unit/client_suites.h"

static struct dtp_ack
ack_of(int64_t seqno, size_t count, Status first, Status second, Status third)
{
    struct dtp_ack a = { .seqno = seqno, .count = count, .reply = { first, second, third } };
    return a;
}

static struct ack_verdict
judge(struct dtp_ack a, int64_t head)
{
    return recovery_judge_ack(&a, true, head, 3);
}

START_TEST(ack_of_the_oldest_packet_by_all_nodes_counts)
{
    struct ack_verdict v = judge(ack_of(7, 3, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__SUCCESS), 7);

    ck_assert_int_eq(v.meaning, ACK_PACKET);
}
END_TEST

START_TEST(ack_of_another_packet_blames_the_first_node)
{
    struct ack_verdict v = judge(ack_of(8, 3, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__SUCCESS), 7);

    ck_assert_int_eq(v.meaning, ACK_BAD);
    ck_assert_uint_eq(v.bad, 0);
}
END_TEST

START_TEST(ack_when_nothing_is_under_way_blames_the_first_node)
{
    struct dtp_ack a = ack_of(0, 3, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__SUCCESS);

    ck_assert_int_eq(recovery_judge_ack(&a, false, 0, 3).meaning, ACK_BAD);
}
END_TEST

START_TEST(failure_behind_the_first_node_blames_the_second_whatever_its_number)
{
    struct ack_verdict v = judge(ack_of(DTP_SEQNO_OOB, 2, STATUS__SUCCESS, STATUS__ERROR, STATUS__SUCCESS), 7);

    ck_assert_int_eq(v.meaning, ACK_BAD);
    ck_assert_uint_eq(v.bad, 1);
}
END_TEST

START_TEST(checksum_error_at_the_last_node_blames_it)
{
    struct ack_verdict v = judge(ack_of(7, 3, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__ERROR_CHECKSUM), 7);

    ck_assert_int_eq(v.meaning, ACK_BAD);
    ck_assert_uint_eq(v.bad, 2);
}
END_TEST

START_TEST(more_replies_than_nodes_blame_no_node_that_is_not_there)
{
    struct dtp_ack a = ack_of(7, 3, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__ERROR);

    ck_assert_uint_eq(recovery_judge_ack(&a, true, 7, 2).bad, 1);
}
END_TEST

START_TEST(node_that_said_nothing_is_blamed)
{
    struct ack_verdict v = judge(ack_of(7, 2, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__SUCCESS), 7);

    ck_assert_int_eq(v.meaning, ACK_BAD);
    ck_assert_uint_eq(v.bad, 2);
}
END_TEST

START_TEST(heartbeat_acks_nothing)
{
    struct ack_verdict v = judge(ack_of(DTP_SEQNO_HEARTBEAT, 3, STATUS__SUCCESS, STATUS__SUCCESS, STATUS__SUCCESS), 7);

    ck_assert_int_eq(v.meaning, ACK_HEARTBEAT);
}
END_TEST

START_TEST(set_up_blames_the_link_that_is_named_else_the_first)
{
    struct fs_location l[3] = { { .host = (char *)"10.0.0.1", .data_port = 9866 }, { .host = (char *)"10.0.0.2", .data_port = 9866 },
                                { .host = (char *)"10.0.0.2", .data_port = 9867 } };

    ck_assert_uint_eq(recovery_blame_setup("10.0.0.2:9866", l, 3), 1);
    ck_assert_uint_eq(recovery_blame_setup("10.0.0.2:9867", l, 3), 2);
    ck_assert_uint_eq(recovery_blame_setup("", l, 3), 0);
    ck_assert_uint_eq(recovery_blame_setup("10.9.9.9:1", l, 3), 0);
}
END_TEST

START_TEST(silence_blames_the_first_node_that_does_not_answer)
{
    static const bool all[] = { true, true, true }, not_second[] = { true, false, true };

    ck_assert_uint_eq(recovery_blame(0, false, false, not_second, 3), 1);
    ck_assert_uint_eq(recovery_blame(0, false, false, all, 3), 0);
}
END_TEST

START_TEST(accused_node_is_blamed_unless_its_accuser_accuses_again_and_it_answers)
{
    static const bool all[] = { true, true, true }, not_second[] = { true, false, true };

    ck_assert_uint_eq(recovery_blame(1, true, false, all, 3), 1);
    ck_assert_uint_eq(recovery_blame(1, true, true, all, 3), 0);
    ck_assert_uint_eq(recovery_blame(1, true, true, not_second, 3), 1);
    ck_assert_uint_eq(recovery_blame(0, true, true, all, 3), 0);
}
END_TEST

START_TEST(default_policy_replaces_at_half_or_when_somebody_relies_on_it)
{
    ck_assert(!recovery_wants_node(REPLACE_DEFAULT, 3, 2, false));
    ck_assert(recovery_wants_node(REPLACE_DEFAULT, 3, 1, false));
    ck_assert(recovery_wants_node(REPLACE_DEFAULT, 3, 2, true));
    ck_assert(!recovery_wants_node(REPLACE_DEFAULT, 2, 1, true));
    ck_assert(!recovery_wants_node(REPLACE_DEFAULT, 3, 3, true));
    ck_assert(recovery_wants_node(REPLACE_DEFAULT, 5, 2, false));
    ck_assert(!recovery_wants_node(REPLACE_DEFAULT, 5, 3, false));
}
END_TEST

START_TEST(other_policies_do_as_they_are_called)
{
    enum replace_policy p;

    ck_assert(recovery_wants_node(REPLACE_ALWAYS, 2, 1, false));
    ck_assert(!recovery_wants_node(REPLACE_NEVER, 3, 1, true));
    ck_assert(replace_policy_parse("ALWAYS", &p) && p == REPLACE_ALWAYS);
    ck_assert(!replace_policy_parse("always", &p));
}
END_TEST

START_TEST(only_the_last_packet_left_is_a_close_recovery)
{
    ck_assert_int_eq(recovery_stage(false, true), DTP_CLOSE_RECOVERY);
    ck_assert_int_eq(recovery_stage(false, false), DTP_SETUP_STREAMING_RECOVERY);
    ck_assert_int_eq(recovery_stage(true, false), DTP_SETUP_APPEND_RECOVERY);
}
END_TEST

START_TEST(tries_count_for_each_packet_anew)
{
    struct recovery_count c = { .tries = 0 };

    for (unsigned i = 0; i < RECOVERY_MAX; i++)
        ck_assert(recovery_try(&c, 4));
    ck_assert(!recovery_try(&c, 4));
    ck_assert(recovery_try(&c, 5));
}
END_TEST

Suite *
suite_recovery(void)
{
    Suite *s = suite_create("recovery");
    TCase *t = tcase_create("recovery");

    tcase_add_test(t, ack_of_the_oldest_packet_by_all_nodes_counts);
    tcase_add_test(t, ack_of_another_packet_blames_the_first_node);
    tcase_add_test(t, ack_when_nothing_is_under_way_blames_the_first_node);
    tcase_add_test(t, failure_behind_the_first_node_blames_the_second_whatever_its_number);
    tcase_add_test(t, checksum_error_at_the_last_node_blames_it);
    tcase_add_test(t, more_replies_than_nodes_blame_no_node_that_is_not_there);
    tcase_add_test(t, node_that_said_nothing_is_blamed);
    tcase_add_test(t, heartbeat_acks_nothing);
    tcase_add_test(t, set_up_blames_the_link_that_is_named_else_the_first);
    tcase_add_test(t, silence_blames_the_first_node_that_does_not_answer);
    tcase_add_test(t, accused_node_is_blamed_unless_its_accuser_accuses_again_and_it_answers);
    tcase_add_test(t, default_policy_replaces_at_half_or_when_somebody_relies_on_it);
    tcase_add_test(t, other_policies_do_as_they_are_called);
    tcase_add_test(t, only_the_last_packet_left_is_a_close_recovery);
    tcase_add_test(t, tries_count_for_each_packet_anew);
    suite_add_tcase(s, t);
    return s;
}
