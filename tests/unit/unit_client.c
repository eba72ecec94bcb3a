#include "tests/unit/client_suites.h"

UNIT_MAIN(suite_recovery, suite_replica)
