/*
 * glob -- HDFS's patterns: * ? [a-z] [!x] [^x] {a,b} and \.  Pure.
 */
#ifndef DFSCLIENT_SHELL_GLOB_H
#define DFSCLIENT_SHELL_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/arena.h"

bool glob_has_meta(const char *text);       /* an unescaped * ? [ { */
/* Whether the whole name matches a pattern without braces. */
bool glob_match(const char *pattern, const char *name);
/* Drop the backslashes, in place; returns text. */
char *glob_unescape(char *text);

/* The patterns that {a,b} stands for, at most max; RC_BAD_USAGE is up to the caller: false on bad braces or too many. */
bool glob_braces(const char *pattern, struct arena *a, char **ret, size_t max, size_t *ret_n);

#endif
