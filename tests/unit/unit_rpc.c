#include "tests/unit/suites.h"

suite_fn suite_frame, suite_decode, suite_dispatch, suite_rpc_client;

UNIT_MAIN(suite_frame, suite_decode, suite_dispatch, suite_rpc_client)
