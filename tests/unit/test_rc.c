#include "core/base/rc.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/suites.h"

suite_fn suite_rc;

START_TEST(no_two_rows_share_a_number)
{
    static const int numbers[] = {
#define RC(symbol, number, retry, wire, text) number,
#include "core/base/rc.def"
#undef RC
    };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        for (size_t k = i + 1; k < ARRAY_LEN(numbers); k++)
            ck_assert_int_ne(numbers[i], numbers[k]);
}
END_TEST

START_TEST(row_gives_name_text_class_and_advice)
{
    ck_assert_str_eq(rc_name(RC_LEASE_EXPIRED), "LEASE_EXPIRED");
    ck_assert_str_eq(rc_java(RC_NOT_FOUND), "java.io.FileNotFoundException");
    ck_assert_int_eq(rc_retry(RC_MAYBE_DONE), RETRY_ASK);
    ck_assert_str_eq(rc_text(RC_OK), "ok");
    ck_assert_str_eq(rc_name((enum rc)9999), "BUG");
}
END_TEST

START_TEST(class_from_a_peer_finds_its_code)
{
    const char *safe = "org.apache.hadoop.hdfs.server.namenode.SafeModeException";

    ck_assert_int_eq(rc_from_java(safe, strlen(safe)), RC_SAFE_MODE);
    ck_assert_int_eq(rc_from_java(safe, strlen(safe) - 1), RC_REMOTE);
    ck_assert_int_eq(rc_from_java("", 0), RC_REMOTE);
    ck_assert_int_eq(rc_from_java("java.io.IOException", 19), RC_IO);
}
END_TEST

START_TEST(errno_finds_its_code_and_text)
{
    struct why why;

    ck_assert_int_eq(why_errno(&why, ENOSPC, "write %s", "x"), RC_NO_SPACE);
    ck_assert_str_eq(why.text, "write x: No space left on device");
    ck_assert_int_eq(why_errno(NULL, ELOOP, "x"), RC_IO);
}
END_TEST

START_TEST(long_text_is_cut_and_prefix_goes_before)
{
    struct why why;

    ck_assert_int_eq(why_set(&why, RC_IO, "%5000d", 1), RC_IO);
    ck_assert_uint_eq(strlen(why.text), WHY_TEXT_MAX - 1);
    ck_assert_int_eq(why_prefix(&why, "volume %d", 3), RC_IO);
    ck_assert_mem_eq(why.text, "volume 3:  ", 11);
    ck_assert_int_eq(why_rc(&why, RC_BUSY), RC_BUSY);
    ck_assert_int_eq(why_prefix(&why, "a"), RC_BUSY);
    ck_assert_str_eq(why.text, "a: too busy, a limit is reached");
    ck_assert_str_eq(why.java, "org.apache.hadoop.ipc.RetriableException");
    ck_assert_int_eq(why_class(&why, "java.lang.X"), RC_BUSY);
    ck_assert_str_eq(why.java, "java.lang.X");
}
END_TEST

Suite *
suite_rc(void)
{
    Suite *s = suite_create("rc");
    TCase *t = tcase_create("rc");

    tcase_add_test(t, no_two_rows_share_a_number);
    tcase_add_test(t, row_gives_name_text_class_and_advice);
    tcase_add_test(t, class_from_a_peer_finds_its_code);
    tcase_add_test(t, errno_finds_its_code_and_text);
    tcase_add_test(t, long_text_is_cut_and_prefix_goes_before);
    suite_add_tcase(s, t);
    return s;
}
