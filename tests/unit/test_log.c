#include "core/base/log.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "tests/unit/suites.h"

suite_fn suite_log;

struct seen {
    int lines;
    enum log_level level;
    char line[256];
};

static void
note(void *arg, enum log_level level, const char *event, const char *text)
{
    struct seen *seen = arg;

    seen->lines++;
    seen->level = level;
    snprintf(seen->line, sizeof seen->line, "%s|%s", event, text);
}

START_TEST(line_above_the_level_is_dropped)
{
    struct seen seen = { 0 };

    log_set_sink(note, &seen);
    log_debug("replica_chosen", "node=%d", 1);
    ck_assert_int_eq(seen.lines, 0);
    log_set_level(LOG_DEBUG);
    log_debug("replica_chosen", "node=%d", 1);
    ck_assert_int_eq(seen.lines, 1);
    ck_assert_str_eq(seen.line, "replica_chosen|node=1");
    log_set_level(LOG_ERROR);
    log_warn("x", "y=%d", 1);
    ck_assert_int_eq(seen.lines, 1);
}
END_TEST

START_TEST(line_breaks_in_a_value_become_blanks)
{
    struct seen seen = { 0 };

    log_set_sink(note, &seen);
    log_info("said", "text=%s", "a\nb\x1b[0m");
    ck_assert_str_eq(seen.line, "said|text=a b [0m");
}
END_TEST

START_TEST(quoted_text_is_escaped_and_cut_whole)
{
    char out[64], small[12];

    ck_assert_str_eq(log_quote("/a b", 4, out, sizeof out), "\"/a b\"");
    ck_assert_str_eq(log_quote("\"\\\n\0", 4, out, sizeof out), "\"\\x22\\x5c\\x0a\\x00\"");
    ck_assert_str_eq(log_quote("abcdef\n\n", 8, small, sizeof small), "\"abcdef\"");
    ck_assert_str_eq(log_quote("abc", 3, small, 3), "\"\"");
    ck_assert_str_eq(log_quote("abc", 3, small, 1), "");
}
END_TEST

START_TEST(rate_lets_one_line_a_second_through_and_counts_the_rest)
{
    struct log_rate r = { 0 };

    ck_assert(log_rate_ok(&r, 5));
    ck_assert_uint_eq(r.left_out, 0);
    ck_assert(!log_rate_ok(&r, 6));
    ck_assert(!log_rate_ok(&r, 1004));
    ck_assert(log_rate_ok(&r, 1005));
    ck_assert_uint_eq(r.left_out, 2);
}
END_TEST

START_TEST(level_names_parse_and_others_do_not)
{
    enum log_level level = LOG_ERROR;

    ck_assert(log_level_parse("debug", &level));
    ck_assert_int_eq(level, LOG_DEBUG);
    ck_assert(!log_level_parse("loud", &level));
    ck_assert_int_eq(level, LOG_DEBUG);
}
END_TEST

START_TEST(soft_bug_is_logged_and_counted)
{
    struct seen seen = { 0 };

    unsetenv("MILLRACE_ABORT_ON_BUG");
    log_set_sink(note, &seen);
    ck_assert(!SOFT_BUG(1 > 2));
    ck_assert_int_eq(seen.lines, 0);
    ck_assert(SOFT_BUG(2 > 1));
    ck_assert_int_eq(seen.lines, 1);
    ck_assert_int_eq(seen.level, LOG_ERROR);
    ck_assert_uint_eq(soft_bug_count(), 1);
}
END_TEST

START_TEST(soft_bug_aborts_in_tests)
{
    struct seen seen = { 0 };

    setenv("MILLRACE_ABORT_ON_BUG", "1", 1);
    log_set_sink(note, &seen);
    (void)SOFT_BUG(true);
}
END_TEST

START_TEST(failed_check_aborts)
{
    struct seen seen = { 0 };

    log_set_sink(note, &seen);
    CHECK(seen.lines == 1);
}
END_TEST

Suite *
suite_log(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");

    tcase_add_test(t, line_above_the_level_is_dropped);
    tcase_add_test(t, line_breaks_in_a_value_become_blanks);
    tcase_add_test(t, quoted_text_is_escaped_and_cut_whole);
    tcase_add_test(t, rate_lets_one_line_a_second_through_and_counts_the_rest);
    tcase_add_test(t, level_names_parse_and_others_do_not);
    tcase_add_test(t, soft_bug_is_logged_and_counted);
    tcase_add_test_raise_signal(t, soft_bug_aborts_in_tests, 6);
    tcase_add_test_raise_signal(t, failed_check_aborts, 6);
    suite_add_tcase(s, t);
    return s;
}
