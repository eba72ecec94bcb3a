#include "core/base/buf.h"

#include <string.h>

#include "core/base/mem.h"
#include "tests/unit/suites.h"

suite_fn suite_buf;

START_TEST(every_number_written_is_read_back)
{
    struct why why;
    struct buf b;
    struct rd r;

    buf_init(&b, KB);
    buf_u8(&b, 0xfe);
    buf_be16(&b, 0x1234);
    buf_be32(&b, 0x89abcdef);
    buf_be64(&b, UINT64_C(0xfedcba9876543210));
    put_le32(buf_grow(&b, 4), 0x89abcdef);
    buf_varint(&b, 300);
    buf_varint(&b, UINT64_MAX);
    buf_varint(&b, 3);
    buf_put_str(&b, "xyz");
    ck_assert(buf_ok(&b));
    ck_assert_uint_eq(b.p[1], 0x12);
    rd_init(&r, b.p, b.n);
    ck_assert_uint_eq(rd_u8(&r), 0xfe);
    ck_assert_uint_eq(rd_be16(&r), 0x1234);
    ck_assert_uint_eq(rd_be32(&r), 0x89abcdef);
    ck_assert_uint_eq(rd_be64(&r), UINT64_C(0xfedcba9876543210));
    ck_assert_uint_eq(get_le32(rd_bytes(&r, 4)), 0x89abcdef);
    ck_assert_uint_eq(rd_varint(&r), 300);
    ck_assert_uint_eq(rd_varint(&r), UINT64_MAX);
    struct span s = rd_delimited(&r);
    ck_assert_uint_eq(s.n, 3);
    ck_assert_mem_eq(s.p, "xyz", 3);
    ck_assert_int_eq(rd_finish(&r, "numbers", &why), RC_OK);
    buf_fini(&b);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(write_past_the_limit_poisons_until_cleared)
{
    struct buf b;

    buf_init(&b, 10);
    buf_put(&b, "0123456789", 10);
    ck_assert(buf_ok(&b));
    buf_u8(&b, 1);
    ck_assert(!buf_ok(&b));
    ck_assert_ptr_null(buf_grow(&b, 1));
    buf_clear(&b);
    buf_printf(&b, "%s", "0123456789");
    ck_assert(buf_ok(&b));
    ck_assert_uint_eq(b.n, 10);
    buf_printf(&b, "%d", 1);
    ck_assert(!buf_ok(&b));
    buf_fini(&b);
}
END_TEST

START_TEST(grow_by_a_length_that_wraps_is_refused)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    buf_put(&b, "abc", 3);
    ck_assert(!buf_reserve(&b, SIZE_MAX - 1));
    ck_assert(!buf_ok(&b));
    buf_fini(&b);
}
END_TEST

START_TEST(read_past_the_end_poisons_and_yields_zero)
{
    struct why why;
    struct rd r;

    rd_init(&r, "\1\2\3", 3);
    ck_assert_uint_eq(rd_be32(&r), 0);
    ck_assert_uint_eq(rd_u8(&r), 0);        /* although a byte was there */
    ck_assert_ptr_null(rd_bytes(&r, 0));
    ck_assert_int_eq(rd_finish(&r, "frame", &why), RC_BAD_MESSAGE);
    ck_assert_str_eq(why.text, "frame: too short or malformed");
}
END_TEST

START_TEST(bytes_left_over_are_an_error)
{
    struct why why;
    struct rd r;

    rd_init(&r, "\1\2\3", 3);
    ck_assert_uint_eq(rd_u8(&r), 1);
    ck_assert_int_eq(rd_finish(&r, "frame", &why), RC_BAD_MESSAGE);
    ck_assert_str_eq(why.text, "frame: 2 bytes left over");
}
END_TEST

START_TEST(varint_of_eleven_bytes_or_65_bits_is_bad)
{
    struct rd r;

    rd_init(&r, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11);
    (void)rd_varint(&r);
    ck_assert(r.bad);
    rd_init(&r, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    (void)rd_varint(&r);
    ck_assert(r.bad);
}
END_TEST

START_TEST(delimited_longer_than_the_rest_is_bad)
{
    struct rd r;

    rd_init(&r, "\x05xyz", 4);
    ck_assert_ptr_null(rd_delimited(&r).p);
    ck_assert(r.bad);
}
END_TEST

START_TEST(dropped_front_and_taken_bytes_leave_the_rest)
{
    struct buf b;
    uint8_t *p;
    size_t n;

    buf_init(&b, KB);
    buf_put_str(&b, "abcdef");
    buf_drop_front(&b, 2);
    p = buf_take(&b, &n);
    ck_assert_uint_eq(n, 4);
    ck_assert_mem_eq(p, "cdef", 4);
    ck_assert_uint_eq(b.n, 0);
    mem_free(p);
    buf_put_str(&b, "again");
    ck_assert(buf_ok(&b));
    buf_drop_front(&b, 99);
    ck_assert_uint_eq(b.n, 0);
    buf_fini(&b);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(every_failed_allocation_poisons_and_leaks_nothing)
{
    bool ok = false;

    for (uint64_t n = 1; !ok; n++) {
        struct buf b;

        buf_init(&b, MB);
        mem_fail_nth(n);
        for (int i = 0; i < 200; i++)
            buf_printf(&b, "%0*d", i, i);
        mem_fail_nth(0);
        ok = buf_ok(&b);
        buf_fini(&b);
        ck_assert_uint_eq(mem_live(), 0);
    }
}
END_TEST

Suite *
suite_buf(void)
{
    Suite *s = suite_create("buf");
    TCase *t = tcase_create("buf");

    tcase_add_test(t, every_number_written_is_read_back);
    tcase_add_test(t, write_past_the_limit_poisons_until_cleared);
    tcase_add_test(t, grow_by_a_length_that_wraps_is_refused);
    tcase_add_test(t, read_past_the_end_poisons_and_yields_zero);
    tcase_add_test(t, bytes_left_over_are_an_error);
    tcase_add_test(t, varint_of_eleven_bytes_or_65_bits_is_bad);
    tcase_add_test(t, delimited_longer_than_the_rest_is_bad);
    tcase_add_test(t, dropped_front_and_taken_bytes_leave_the_rest);
    tcase_add_test(t, every_failed_allocation_poisons_and_leaks_nothing);
    suite_add_tcase(s, t);
    return s;
}
