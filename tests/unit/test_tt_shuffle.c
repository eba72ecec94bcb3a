/* Shuffle requests and replies as bytes. */
#include "tasktracker/shuffle.h"

#include <string.h>

#include "tests/unit/suites.h"

Suite *suite_tt_shuffle(void);

static const uint8_t token[TOKEN_BYTES] = "a token of thirty-two bytes 123";
static const uint8_t other[TOKEN_BYTES] = "another one of thirty-two bytes";
static const struct shuffle_request request = { 7, 3, 1, 2, UINT64_C(0x0102030405060708) };

START_TEST(request_comes_back_as_it_was)
{
    struct shuffle_request got;
    uint8_t wire[SHUFFLE_REQUEST_BYTES];
    struct why why;

    shuffle_request_put(&request, token, wire);
    ck_assert_int_eq(shuffle_request_get(wire, &got, &why), RC_OK);
    ck_assert_uint_eq(got.job, 7);
    ck_assert_uint_eq(got.map, 3);
    ck_assert_uint_eq(got.attempt, 1);
    ck_assert_uint_eq(got.part, 2);
    ck_assert_uint_eq(got.offset, UINT64_C(0x0102030405060708));
    ck_assert(shuffle_request_is_signed(wire, token));
}
END_TEST

START_TEST(request_signed_by_another_token_is_not_signed)
{
    uint8_t wire[SHUFFLE_REQUEST_BYTES];

    shuffle_request_put(&request, other, wire);
    ck_assert(!shuffle_request_is_signed(wire, token));
}
END_TEST

START_TEST(every_flipped_bit_of_a_request_is_noticed)
{
    struct shuffle_request got;
    uint8_t wire[SHUFFLE_REQUEST_BYTES];
    struct why why;

    shuffle_request_put(&request, token, wire);
    for (size_t bit = 0; bit < 8 * sizeof wire; bit++) {
        wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert(shuffle_request_get(wire, &got, &why) != RC_OK || !shuffle_request_is_signed(wire, token));
        wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert(shuffle_request_is_signed(wire, token));
}
END_TEST

START_TEST(reply_comes_back_as_it_was_and_garbage_is_refused)
{
    const struct shuffle_reply r = { SHUFFLE_GONE, UINT64_C(1) << 40, 0xdeadbeef };
    struct shuffle_reply got;
    uint8_t wire[SHUFFLE_REPLY_BYTES];
    struct why why;

    shuffle_reply_put(&r, wire);
    ck_assert_int_eq(shuffle_reply_get(wire, &got, &why), RC_OK);
    ck_assert_int_eq(got.status, SHUFFLE_GONE);
    ck_assert_uint_eq(got.bytes, UINT64_C(1) << 40);
    ck_assert_uint_eq(got.crc, 0xdeadbeef);
    wire[7] = 3;                        /* no such status */
    ck_assert_int_eq(shuffle_reply_get(wire, &got, &why), RC_BAD_MESSAGE);
    memset(wire, 'x', sizeof wire);
    ck_assert_int_eq(shuffle_reply_get(wire, &got, &why), RC_BAD_MESSAGE);
}
END_TEST

Suite *
suite_tt_shuffle(void)
{
    Suite *s = suite_create("tt_shuffle");
    TCase *t = tcase_create("wire");

    tcase_add_test(t, request_comes_back_as_it_was);
    tcase_add_test(t, request_signed_by_another_token_is_not_signed);
    tcase_add_test(t, every_flipped_bit_of_a_request_is_noticed);
    tcase_add_test(t, reply_comes_back_as_it_was_and_garbage_is_refused);
    suite_add_tcase(s, t);
    return s;
}
