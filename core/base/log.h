/*
 * log -- one event a line: an event name that can be grepped for, then key=value.
 *
 *     log_warn("lease_recovery_failed", "path=%s rc=%s", ...);
 *
 * Owns the only writable file-scope variables of a daemon: the level and the
 * sink.  Lines go to stderr as
 *     2026-01-31T12:00:00.123Z warn namenode lease_recovery_failed path=...
 * unless a sink is set (the simulator and the tests).  Any thread.  Values that
 * users chose (paths, names) go through log_quote.
 */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/attr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void log_sink_fn(void *arg, enum log_level level, const char *event, const char *text);

void log_set_name(const char *program);         /* borrows; printed in every line */
void log_set_level(enum log_level level);       /* default LOG_INFO */
bool log_level_parse(const char *text, enum log_level *ret_level);
void log_set_sink(log_sink_fn *fn, void *arg);  /* NULL: stderr again */

void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)

/*
 * For an event that may repeat: true at most once a second for each struct log_rate (zeroed at first; one thread);
 * left_out then is the number of lines that were held back since the one before.
 */
struct log_rate {
    uint64_t next_ms;
    uint64_t skipped;
    uint64_t left_out;
};
bool log_rate_ok(struct log_rate *r, uint64_t mono_ms);

/* s in double quotes, control characters and quotes as \xNN; cut to cap.  Returns out. */
const char *log_quote(const void *s, size_t n, char *out, size_t cap);

#endif
