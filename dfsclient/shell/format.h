/*
 * format -- sizes, times, permissions and tables as HDFS's shell prints them; modes as it reads them.  Pure.
 */
#ifndef DFSCLIENT_SHELL_FORMAT_H
#define DFSCLIENT_SHELL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/rc.h"

#define FORMAT_ROOM 64

/* Bytes, or with human set 1024-based: bare below 1024, "64 M" when exact, else one decimal. */
const char *format_bytes(uint64_t n, bool human, char out[FORMAT_ROOM]);
/* "512 B", "1.02 KB": as reports show sizes. */
const char *format_report_bytes(uint64_t n, char out[FORMAT_ROOM]);
/* "rwxr-xr-t" */
const char *format_mode(uint32_t mode, char out[10]);
/* strftime in local time, or in UTC. */
const char *format_time(uint64_t wall_ms, bool utc, const char *how, char out[FORMAT_ROOM]);

/* "755", "u+x,g-w", "a=rX"; is_dir and now decide X and the relative ones.  RC_BAD_USAGE when it is no mode. */
enum rc format_parse_mode(const char *text, bool is_dir, uint32_t now, uint32_t *ret, struct why *why) MUST_CHECK;

/* Rows of text whose columns are as wide as their widest cell, two spaces between. */
#define TABLE_COLUMNS 8
struct table {
    size_t columns, rows, cap;
    unsigned right;         /* bit per column: aligned to the right */
    char **cells;
    bool bad;               /* memory ran out */
};
void table_init(struct table *t, size_t columns, unsigned right);
void table_fini(struct table *t);
void table_add(struct table *t, const char *const *cells);      /* copies */
void table_print(const struct table *t, FILE *out);

#endif
