#include "tests/unit/suites.h"

suite_fn suite_nn_append, suite_nn_blocks, suite_nn_fsck, suite_nn_roster, suite_nn_node, suite_nn_place, suite_nn_recovery, suite_nn_repl, suite_nn_report;

UNIT_MAIN(suite_nn_append, suite_nn_blocks, suite_nn_fsck, suite_nn_roster, suite_nn_node, suite_nn_place, suite_nn_recovery,
          suite_nn_repl, suite_nn_report)
