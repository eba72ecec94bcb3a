#include "core/net/crowd.h"

#include <string.h>

#include "tests/unit/suites.h"

#define REQUEST_MS 30000
#define STALL_MS 5000

suite_fn suite_crowd;

static struct crowd_entry *
come(struct crowd *c, struct crowd_entry *e, uint8_t peer, uint64_t now_ms)
{
    memset(e, 0, sizeof *e);
    e->peer = crowd_peer(&peer, 1);
    crowd_add(c, e, now_ms);
    return e;
}

START_TEST(nobody_goes_while_there_is_room)
{
    struct crowd c = { .max = 2, .request_ms = REQUEST_MS, .stall_ms = STALL_MS };
    struct crowd_entry e[2];

    come(&c, &e[0], 1, 0);
    come(&c, &e[1], 1, REQUEST_MS);
    ck_assert_ptr_null(crowd_victim(&c, &e[1], REQUEST_MS));
}
END_TEST

START_TEST(who_waits_longest_without_a_request_goes_first)
{
    struct crowd c = { .max = 3, .request_ms = REQUEST_MS, .stall_ms = STALL_MS };
    struct crowd_entry e[4];

    for (unsigned i = 0; i < 4; i++)
        come(&c, &e[i], 1, i);
    crowd_step(&e[0], 4);
    ck_assert_ptr_eq(crowd_victim(&c, &e[3], 5), &e[1]);
    ck_assert_ptr_null(crowd_victim(&c, &e[3], 5));
    crowd_remove(&c, &e[1]);
    ck_assert_uint_eq(c.count, 3);
}
END_TEST

START_TEST(the_peer_with_the_most_connections_gives_way)
{
    struct crowd c = { .max = 3, .request_ms = REQUEST_MS, .stall_ms = STALL_MS };
    struct crowd_entry e[4];

    come(&c, &e[0], 1, 0);
    come(&c, &e[1], 2, 1);
    come(&c, &e[2], 2, 2);
    come(&c, &e[3], 3, 3);
    ck_assert_ptr_eq(crowd_victim(&c, &e[3], 4), &e[1]);
}
END_TEST

START_TEST(a_head_that_takes_too_long_goes_also_without_a_crowd)
{
    struct crowd c = { .max = 10, .request_ms = REQUEST_MS, .stall_ms = STALL_MS };
    struct crowd_entry e[2];

    come(&c, &e[0], 1, 0);
    come(&c, &e[1], 1, 0);
    crowd_step(&e[1], 0);
    ck_assert_ptr_eq(crowd_victim(&c, NULL, REQUEST_MS + 1), &e[0]);
    ck_assert_ptr_null(crowd_victim(&c, NULL, REQUEST_MS + 1));
    crowd_rest(&e[1], REQUEST_MS + 1);
    ck_assert_ptr_null(crowd_victim(&c, NULL, REQUEST_MS + 2));
}
END_TEST

START_TEST(who_does_not_read_the_answer_goes_and_who_reads_stays)
{
    struct crowd c = { .max = 2, .request_ms = REQUEST_MS, .stall_ms = STALL_MS };
    struct crowd_entry e[3];

    for (unsigned i = 0; i < 3; i++)
        come(&c, &e[i], 1, 0);
    crowd_step(&e[0], STALL_MS);
    crowd_step(&e[1], 0);
    ck_assert_ptr_eq(crowd_victim(&c, &e[2], STALL_MS), &e[1]);
}
END_TEST

START_TEST(the_last_to_come_goes_when_all_others_are_served)
{
    struct crowd c = { .max = 2, .request_ms = REQUEST_MS, .stall_ms = STALL_MS };
    struct crowd_entry e[3];

    for (unsigned i = 0; i < 3; i++)
        come(&c, &e[i], 1, 0);
    crowd_step(&e[0], 0);
    crowd_step(&e[1], 0);
    ck_assert_ptr_eq(crowd_victim(&c, &e[2], STALL_MS - 1), &e[2]);
    ck_assert_ptr_null(crowd_victim(&c, &e[2], STALL_MS - 1));
}
END_TEST

START_TEST(room_is_made_of_those_that_wait_and_never_of_busy_ones)
{
    struct crowd c = { .max = 9, .request_ms = FOREVER, .stall_ms = FOREVER };
    struct crowd_entry e[2];

    come(&c, &e[0], 1, 0);
    come(&c, &e[1], 1, 0);
    crowd_step(&e[0], 0);
    ck_assert_ptr_null(crowd_victim(&c, NULL, UINT64_MAX / 2));
    ck_assert_ptr_eq(crowd_make_room(&c, UINT64_MAX / 2), &e[1]);
    ck_assert_ptr_null(crowd_make_room(&c, UINT64_MAX / 2));
}
END_TEST

Suite *
suite_crowd(void)
{
    Suite *s = suite_create("crowd");
    TCase *t = tcase_create("victims");

    tcase_add_test(t, nobody_goes_while_there_is_room);
    tcase_add_test(t, who_waits_longest_without_a_request_goes_first);
    tcase_add_test(t, the_peer_with_the_most_connections_gives_way);
    tcase_add_test(t, a_head_that_takes_too_long_goes_also_without_a_crowd);
    tcase_add_test(t, who_does_not_read_the_answer_goes_and_who_reads_stays);
    tcase_add_test(t, the_last_to_come_goes_when_all_others_are_served);
    tcase_add_test(t, room_is_made_of_those_that_wait_and_never_of_busy_ones);
    suite_add_tcase(s, t);
    return s;
}
