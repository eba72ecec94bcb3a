#include "tests/unit/client_suites.h"

UNIT_MAIN(suite_block_read, suite_glob, suite_recovery, suite_replica, suite_shell_format)
