#include "datanode/ack.h"

#include "tests/unit/suites.h"

suite_fn suite_dn_ack;

static const struct dn_pending good = { .seqno = 5, .end = 4096, .own = STATUS__SUCCESS };

START_TEST(last_node_answers_for_itself)
{
    struct dtp_ack a;

    ck_assert(dn_ack_plan(&good, DN_NEXT_NONE, NULL, &a));
    ck_assert_int_eq(a.seqno, 5);
    ck_assert_uint_eq(a.count, 1);
    ck_assert_int_eq(a.reply[0], STATUS__SUCCESS);
}
END_TEST

START_TEST(own_status_comes_before_those_behind)
{
    struct dtp_ack from = { .seqno = 5, .count = 2, .reply = { STATUS__SUCCESS, STATUS__SUCCESS } }, a;

    ck_assert(dn_ack_plan(&good, DN_NEXT_ACK, &from, &a));
    ck_assert_int_eq(a.seqno, 5);
    ck_assert_uint_eq(a.count, 3);
    ck_assert_int_eq(dtp_ack_first_bad(&a), -1);
}
END_TEST

START_TEST(own_failure_blames_this_node_and_stops)
{
    struct dn_pending p = { .seqno = 5, .own = STATUS__ERROR_CHECKSUM };
    struct dtp_ack a;

    ck_assert(!dn_ack_plan(&p, DN_NEXT_FAILED, NULL, &a));
    ck_assert_int_eq(a.seqno, 5);
    ck_assert_uint_eq(a.count, 1);
    ck_assert_int_eq(a.reply[0], STATUS__ERROR_CHECKSUM);
}
END_TEST

START_TEST(lost_next_node_is_blamed_out_of_turn)
{
    struct dtp_ack a;

    ck_assert(!dn_ack_plan(&good, DN_NEXT_FAILED, NULL, &a));
    ck_assert_int_eq(a.seqno, DTP_SEQNO_OOB);
    ck_assert_int_eq(dtp_ack_first_bad(&a), 1);
    ck_assert_uint_eq(a.count, 2);
}
END_TEST

START_TEST(node_lost_further_down_is_blamed_by_its_place)
{
    struct dtp_ack from = { .seqno = DTP_SEQNO_OOB, .count = 2, .reply = { STATUS__SUCCESS, STATUS__ERROR } }, a;

    ck_assert(!dn_ack_plan(&good, DN_NEXT_ACK, &from, &a));
    ck_assert_int_eq(a.seqno, DTP_SEQNO_OOB);
    ck_assert_int_eq(dtp_ack_first_bad(&a), 2);
}
END_TEST

START_TEST(checksum_error_of_the_next_node_is_passed_on)
{
    struct dtp_ack from = { .seqno = 5, .count = 1, .reply = { STATUS__ERROR_CHECKSUM } }, a;

    ck_assert(!dn_ack_plan(&good, DN_NEXT_ACK, &from, &a));
    ck_assert_int_eq(a.seqno, 5);
    ck_assert_int_eq(dtp_ack_first_bad(&a), 1);
    ck_assert_int_eq(a.reply[1], STATUS__ERROR_CHECKSUM);
}
END_TEST

START_TEST(ack_out_of_order_or_empty_blames_the_next_node)
{
    struct dtp_ack late = { .seqno = 4, .count = 1, .reply = { STATUS__SUCCESS } }, none = { .seqno = 5 }, a;

    ck_assert(!dn_ack_plan(&good, DN_NEXT_ACK, &late, &a));
    ck_assert_int_eq(dtp_ack_first_bad(&a), 1);
    ck_assert(!dn_ack_plan(&good, DN_NEXT_ACK, &none, &a));
    ck_assert_int_eq(dtp_ack_first_bad(&a), 1);
}
END_TEST

START_TEST(heartbeat_is_acknowledged_like_a_packet)
{
    struct dn_pending beat = { .seqno = DTP_SEQNO_HEARTBEAT, .own = STATUS__SUCCESS };
    struct dtp_ack from = { .seqno = DTP_SEQNO_HEARTBEAT, .count = 1, .reply = { STATUS__SUCCESS } }, a;

    ck_assert(dn_ack_plan(&beat, DN_NEXT_ACK, &from, &a));
    ck_assert_int_eq(a.seqno, DTP_SEQNO_HEARTBEAT);
    ck_assert_uint_eq(a.count, 2);
}
END_TEST

Suite *
suite_dn_ack(void)
{
    Suite *s = suite_create("dn_ack");
    TCase *t = tcase_create("ack");

    tcase_add_test(t, last_node_answers_for_itself);
    tcase_add_test(t, own_status_comes_before_those_behind);
    tcase_add_test(t, own_failure_blames_this_node_and_stops);
    tcase_add_test(t, lost_next_node_is_blamed_out_of_turn);
    tcase_add_test(t, node_lost_further_down_is_blamed_by_its_place);
    tcase_add_test(t, checksum_error_of_the_next_node_is_passed_on);
    tcase_add_test(t, ack_out_of_order_or_empty_blames_the_next_node);
    tcase_add_test(t, heartbeat_is_acknowledged_like_a_packet);
    suite_add_tcase(s, t);
    return s;
}
