#include "tests/unit/suites.h"

suite_fn suite_arena, suite_buf, suite_faults, suite_log, suite_mem, suite_rc, suite_rng, suite_sm;

UNIT_MAIN(suite_arena, suite_buf, suite_faults, suite_log, suite_mem, suite_rc, suite_rng, suite_sm)
