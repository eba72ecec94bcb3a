#include "tests/unit/suites.h"

suite_fn suite_jt_state, suite_jt_sched, suite_jt_core, suite_jt_keep, suite_jt_restart;

UNIT_MAIN(suite_jt_state, suite_jt_sched, suite_jt_core, suite_jt_keep, suite_jt_restart)
