#include "tests/unit/suites.h"

suite_fn suite_addr, suite_crowd, suite_idle, suite_loop;

UNIT_MAIN(suite_addr, suite_crowd, suite_idle, suite_loop)
