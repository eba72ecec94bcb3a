#include "tests/unit/suites.h"

suite_fn suite_crc, suite_queue, suite_threads, suite_path;

UNIT_MAIN(suite_crc, suite_queue, suite_threads, suite_path)
