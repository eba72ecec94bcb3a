/*
 * check -- what to do about our own bugs.
 *
 * CHECK ends the process when going on could harm metadata; a restart begins at
 * the last commit.  SOFT_BUG is for a bug inside one block, call or task: it is
 * logged and counted, yields its truth value, and aborts in tests, that is, when
 * the environment has MILLRACE_ABORT_ON_BUG.
 */
#ifndef CORE_BASE_CHECK_H
#define CORE_BASE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/attr.h"

#define CHECK(x) ((x) ? (void)0 : check_failed(__FILE__, __LINE__, #x))

/* if (SOFT_BUG(x)) goto error path;  true when x holds, that is, when there is a bug. */
#define SOFT_BUG(x) (__builtin_expect(!!(x), 0) && soft_bug(__FILE__, __LINE__, #x))

void check_failed(const char *file, int line, const char *text) NORETURN;
bool soft_bug(const char *file, int line, const char *text);
uint64_t soft_bug_count(void);  /* since the process began */

#endif
