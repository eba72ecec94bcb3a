#include "tests/unit/suites.h"

Suite *suite_mr_attempt(void);
Suite *suite_mr_bench_parts(void);
Suite *suite_mr_decimal(void);
Suite *suite_mr_elf(void);
Suite *suite_mr_groups(void);
Suite *suite_mr_readers(void);
Suite *suite_mr_report(void);
Suite *suite_mr_seg(void);
Suite *suite_mr_split(void);

UNIT_MAIN(suite_mr_attempt, suite_mr_bench_parts, suite_mr_decimal, suite_mr_elf, suite_mr_groups, suite_mr_readers, suite_mr_report, suite_mr_seg, suite_mr_split)
