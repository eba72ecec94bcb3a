#include "tests/unit/suites.h"

suite_fn suite_dn_agree, suite_dn_layout, suite_dn_replica, suite_dn_ack, suite_dn_sink, suite_dn_store, suite_dn_doubt;

UNIT_MAIN(suite_dn_agree, suite_dn_layout, suite_dn_replica, suite_dn_ack, suite_dn_sink, suite_dn_store, suite_dn_doubt)
