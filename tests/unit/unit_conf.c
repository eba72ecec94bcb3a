#include "tests/unit/suites.h"

suite_fn suite_conf, suite_conf_file, suite_metrics;

UNIT_MAIN(suite_conf, suite_conf_file, suite_metrics)
