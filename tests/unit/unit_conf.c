#include "tests/unit/suites.h"

suite_fn suite_conf, suite_conf_file;

UNIT_MAIN(suite_conf, suite_conf_file)
