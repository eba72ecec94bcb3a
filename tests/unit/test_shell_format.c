/* Sizes, permissions, modes and times as people see and write them. */
#include "core/base/attr.h"
#include "dfsclient/shell/format.h"
#include "tests/unit/client_suites.h"

START_TEST(sizes_are_bare_exact_or_with_one_decimal)
{
    char room[FORMAT_ROOM];

    ck_assert_str_eq(format_bytes(0, true, room), "0");
    ck_assert_str_eq(format_bytes(1023, true, room), "1023");
    ck_assert_str_eq(format_bytes(1024, true, room), "1 K");
    ck_assert_str_eq(format_bytes(64 * MB, true, room), "64 M");
    ck_assert_str_eq(format_bytes(1536 * MB, true, room), "1.5 G");
    ck_assert_str_eq(format_bytes(1058032, true, room), "1.0 M");
    ck_assert_str_eq(format_bytes(1048575, true, room), "1.0 M");
    ck_assert_str_eq(format_bytes(1058032, false, room), "1058032");
    ck_assert_str_eq(format_bytes(UINT64_C(1) << 60, true, room), "1 E");
}
END_TEST

START_TEST(report_sizes_drop_zeros_at_the_end)
{
    char room[FORMAT_ROOM];

    ck_assert_str_eq(format_report_bytes(0, room), "0 B");
    ck_assert_str_eq(format_report_bytes(1048576, room), "1 MB");
    ck_assert_str_eq(format_report_bytes(1572864, room), "1.5 MB");
    ck_assert_str_eq(format_report_bytes(100 * 1024, room), "100 KB");
}
END_TEST

START_TEST(permissions_show_the_sticky_bit)
{
    char room[10];

    ck_assert_str_eq(format_mode(0755, room), "rwxr-xr-x");
    ck_assert_str_eq(format_mode(01777, room), "rwxrwxrwt");
    ck_assert_str_eq(format_mode(01644, room), "rw-r--r-T");
}
END_TEST

START_TEST(modes_are_read_in_octal_and_in_letters)
{
    static const struct {
        const char *text;
        uint32_t now, want;
        bool is_dir;
    } rows[] = {
        { "644", 0, 0644, false },           { "0755", 0, 0755, false },        { "1777", 0, 01777, true },
        { "u+x,g+r,o=r", 0600, 0744, false }, { "a-x", 0755, 0644, false },      { "+t", 0755, 01755, true },
        { "go-rwx", 0755, 0700, true },      { "g+rX", 0600, 0640, false },     { "g+rX", 0700, 0750, false },
        { "o+X", 0600, 0601, true },         { "=rw", 0777, 0666, false },      { "-t", 01755, 0755, true },
    };
    uint32_t mode;
    struct why why;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_int_eq(format_parse_mode(rows[i].text, rows[i].is_dir, rows[i].now, &mode, &why), RC_OK);
        ck_assert_uint_eq(mode, rows[i].want);
    }
}
END_TEST

START_TEST(what_is_no_mode_is_refused)
{
    static const char *const bad[] = { "999", "zz", "", "u+", "u", "77", "77777", "u+x,", "2755", "u+s" };
    uint32_t mode;
    struct why why;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(format_parse_mode(bad[i], false, 0644, &mode, &why), RC_BAD_USAGE);
}
END_TEST

START_TEST(times_are_shown_in_utc_when_asked)
{
    char room[FORMAT_ROOM];

    ck_assert_str_eq(format_time(UINT64_C(1577836799000), true, "%Y-%m-%d %H:%M:%S", room), "2019-12-31 23:59:59");
}
END_TEST

Suite *
suite_shell_format(void)
{
    Suite *s = suite_create("shell_format");
    TCase *t = tcase_create("shell_format");

    tcase_add_test(t, sizes_are_bare_exact_or_with_one_decimal);
    tcase_add_test(t, report_sizes_drop_zeros_at_the_end);
    tcase_add_test(t, permissions_show_the_sticky_bit);
    tcase_add_test(t, modes_are_read_in_octal_and_in_letters);
    tcase_add_test(t, what_is_no_mode_is_refused);
    tcase_add_test(t, times_are_shown_in_utc_when_asked);
    suite_add_tcase(s, t);
    return s;
}
