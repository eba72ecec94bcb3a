#include "tests/unit/suites.h"

suite_fn suite_frame, suite_decode, suite_dispatch;

UNIT_MAIN(suite_frame, suite_decode, suite_dispatch)
