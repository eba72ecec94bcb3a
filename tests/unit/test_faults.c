#include "core/base/faults.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "tests/unit/suites.h"

suite_fn suite_faults;

/* Each name in the two tables is there once: the environment finds one row, never another of the same name. */
START_TEST(each_name_is_in_its_table_once)
{
    static const char *const names[] = {
#define CRASH(name, program, text) #name,
#include "core/base/crash_points.def"
#undef CRASH
#define OLD_BUG(name, rule, caught_by, text) #name,
#include "core/base/old_bugs.def"
#undef OLD_BUG
    };

    ck_assert_int_eq(sizeof names / sizeof names[0], CRASH_POINT_COUNT + OLD_BUG_COUNT);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(names[i], names[k]);
}
END_TEST

#ifdef MILLRACE_FAULTS

static char armed[64];

static void
arm(const char *text)
{
    int fd;

    if (armed[0] == '\0') {
        (void)snprintf(armed, sizeof armed, "/tmp/millrace-armed-XXXXXX");
        ck_assert_int_ge(fd = mkstemp(armed), 0);
        (void)setenv("MILLRACE_CRASH_FILE", armed, 1);
    } else {
        ck_assert_int_ge(fd = open(armed, O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
    }
    ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
    (void)close(fd);
}

static void
disarm(void)
{
    if (armed[0] != '\0')
        (void)unlink(armed);
}

START_TEST(second_passing_of_the_named_point_kills)
{
    (void)setenv("MILLRACE_CRASH_AT", "nn_before_commit:2", 1);
    CRASH_POINT(nn_before_commit);
    CRASH_POINT(nn_after_commit);
    CRASH_POINT(nn_after_commit);
    log_set_level(LOG_ERROR);
    CRASH_POINT(nn_before_commit);
}
END_TEST

START_TEST(passings_before_the_file_do_not_count)
{
    CRASH_POINT(dn_finalized);
    arm("dn_finalized:2\n");
    CRASH_POINT(dn_finalized);
    ck_assert_int_eq(access(armed, F_OK), 0);
    disarm();
}
END_TEST

START_TEST(armed_point_kills_and_removes_the_file)
{
    arm("dn_finalized:2\n");
    CRASH_POINT(dn_finalized);
    CRASH_POINT(dn_before_ack);
    log_set_level(LOG_ERROR);
    CRASH_POINT(dn_finalized);
}
END_TEST

START_TEST(unknown_point_ends_the_process)
{
    (void)setenv("MILLRACE_CRASH_AT", "nn_before_comit", 1);
    log_set_level(LOG_ERROR);
    CRASH_POINT(nn_before_commit);
}
END_TEST

START_TEST(named_bug_is_back_and_no_other)
{
    (void)setenv("MILLRACE_OLD_BUG", "ACK_BEFORE_FSYNC", 1);
    ck_assert(old_bug(OLD_BUG_ACK_BEFORE_FSYNC));
    ck_assert(!old_bug(OLD_BUG_RETRY_CACHE_FORGOTTEN));
}
END_TEST

START_TEST(unknown_bug_ends_the_process)
{
    (void)setenv("MILLRACE_OLD_BUG", "ACK_BEFORE", 1);
    log_set_level(LOG_ERROR);
    (void)old_bug(OLD_BUG_ACK_BEFORE_FSYNC);
}
END_TEST

static void
add_tests(TCase *t)
{
    tcase_add_test_raise_signal(t, second_passing_of_the_named_point_kills, SIGKILL);
    tcase_add_test(t, passings_before_the_file_do_not_count);
    tcase_add_test_raise_signal(t, armed_point_kills_and_removes_the_file, SIGKILL);
    tcase_add_test_raise_signal(t, unknown_point_ends_the_process, SIGABRT);
    tcase_add_test(t, named_bug_is_back_and_no_other);
    tcase_add_test_raise_signal(t, unknown_bug_ends_the_process, SIGABRT);
}

#else

START_TEST(ordinary_build_passes_every_point_and_has_no_bug)
{
    (void)setenv("MILLRACE_CRASH_AT", "nn_before_commit", 1);
    (void)setenv("MILLRACE_OLD_BUG", "ACK_BEFORE_FSYNC", 1);
    CRASH_POINT(nn_before_commit);
    ck_assert(!old_bug(OLD_BUG_ACK_BEFORE_FSYNC));
}
END_TEST

static void
add_tests(TCase *t)
{
    tcase_add_test(t, ordinary_build_passes_every_point_and_has_no_bug);
}

#endif

Suite *
suite_faults(void)
{
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("faults");

    tcase_add_test(t, each_name_is_in_its_table_once);
    add_tests(t);
    suite_add_tcase(s, t);
    return s;
}
