/* What is kept of what an attempt prints. */
#include "tasktracker/attempt_log.h"

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"
#include "tests/unit/suites.h"

Suite *suite_tt_log(void);

/* Print n bytes that count up, in pieces; return what is kept. */
static char *
kept(size_t n, size_t piece)
{
    struct attempt_log *l = mem_zalloc(sizeof *l);
    struct buf b;
    char *text;

    attempt_log_init(l, io_posix(), "/dev/null");
    for (size_t at = 0; at < n; at += piece) {
        uint8_t bytes[4096];
        size_t k = n - at < piece ? n - at : piece;

        for (size_t i = 0; i < k; i++)
            bytes[i] = (uint8_t)('a' + (at + i) % 26);
        attempt_log_add(l, bytes, k);
    }
    buf_init(&b, 1 * MB);
    attempt_log_put(l, &b);
    buf_u8(&b, 0);
    attempt_log_fini(l);
    mem_free(l);
    text = mem_strdup((char *)b.p);
    buf_fini(&b);
    return text;
}

START_TEST(short_output_is_kept_whole)
{
    char *text = kept(30, 7);

    ck_assert_str_eq(text, "abcdefghijklmnopqrstuvwxyzabcd");
    mem_free(text);
}
END_TEST

START_TEST(output_of_exactly_what_fits_is_kept_whole)
{
    char *text = kept(ATTEMPT_LOG_HEAD + ATTEMPT_LOG_TAIL, 4096);

    ck_assert_uint_eq(strlen(text), ATTEMPT_LOG_HEAD + ATTEMPT_LOG_TAIL);
    for (size_t i = 0; i < strlen(text); i++)
        ck_assert_int_eq(text[i], 'a' + (int)(i % 26));
    mem_free(text);
}
END_TEST

START_TEST(long_output_keeps_its_beginning_and_its_end_in_order)
{
    const size_t n = ATTEMPT_LOG_HEAD + ATTEMPT_LOG_TAIL + 1234;
    char *text = kept(n, 999), *end;

    ck_assert_ptr_nonnull(strstr(text, "\n... 1234 bytes left out ...\n"));
    end = text + strlen(text) - ATTEMPT_LOG_TAIL;
    for (size_t i = 0; i < ATTEMPT_LOG_TAIL; i++)
        ck_assert_int_eq(end[i], 'a' + (int)((n - ATTEMPT_LOG_TAIL + i) % 26));
    mem_free(text);
}
END_TEST

Suite *
suite_tt_log(void)
{
    Suite *s = suite_create("tt_log");
    TCase *t = tcase_create("log");

    tcase_add_test(t, short_output_is_kept_whole);
    tcase_add_test(t, output_of_exactly_what_fits_is_kept_whole);
    tcase_add_test(t, long_output_keeps_its_beginning_and_its_end_in_order);
    suite_add_tcase(s, t);
    return s;
}
