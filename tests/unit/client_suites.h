/*
 * client_suites -- the suites of unit_client.
 */
#ifndef TESTS_UNIT_CLIENT_SUITES_H
#define TESTS_UNIT_CLIENT_SUITES_H

#include "tests/unit/suites.h"

Suite *suite_block_read(void);
Suite *suite_glob(void);
Suite *suite_recovery(void);
Suite *suite_replica(void);
Suite *suite_shell_format(void);

#endif
