/*
 * suites -- how a unit test program is put together.
 *
 *     // test_buf.c                      // unit_base.c
 *     Suite *suite_buf(void) { ... }     UNIT_MAIN(suite_buf, suite_arena)
 *
 * The program runs every suite in forked children and exits with 1 if a test failed.
 */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

#include <check.h>
#include <stddef.h>
#include <stdlib.h>

typedef Suite *suite_fn(void);

#define UNIT_MAIN(...)                                                  \
    int main(void)                                                      \
    {                                                                   \
        suite_fn *const suites[] = { __VA_ARGS__ };                     \
        SRunner *runner = srunner_create(NULL);                         \
        for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)   \
            srunner_add_suite(runner, suites[i]());                     \
        srunner_run_all(runner, CK_ENV);                                \
        int failed = srunner_ntests_failed(runner);                     \
        srunner_free(runner);                                           \
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;                    \
    }

#endif
