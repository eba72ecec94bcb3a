#include "tests/unit/suites.h"

suite_fn suite_http_route;

UNIT_MAIN(suite_http_route)
