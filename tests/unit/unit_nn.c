#include "tests/unit/suites.h"

suite_fn suite_nn_copies, suite_nn_dirs, suite_nn_group, suite_nn_names, suite_nn_settle;

UNIT_MAIN(suite_nn_copies, suite_nn_dirs, suite_nn_group, suite_nn_names, suite_nn_settle)
