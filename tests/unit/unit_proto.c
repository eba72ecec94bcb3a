#include "tests/unit/suites.h"

suite_fn suite_dtp;

UNIT_MAIN(suite_dtp)
