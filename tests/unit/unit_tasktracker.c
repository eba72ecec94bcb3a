#include "tests/unit/suites.h"

suite_fn suite_tt_shuffle, suite_tt_log, suite_tt_chan, suite_tt_job;

UNIT_MAIN(suite_tt_shuffle, suite_tt_log, suite_tt_chan, suite_tt_job)
