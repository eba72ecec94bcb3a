#include "tests/unit/suites.h"

suite_fn suite_addr;

UNIT_MAIN(suite_addr)
