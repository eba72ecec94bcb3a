#include "core/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX (4 * KB)

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static _Atomic int level_max = LOG_INFO;
static const char *_Atomic program;
static log_sink_fn *_Atomic sink;
static void *_Atomic sink_arg;

void
log_set_name(const char *name)
{
    atomic_store(&program, name);
}

void
log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

bool
log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void
log_set_sink(log_sink_fn *fn, void *arg)
{
    atomic_store(&sink_arg, arg);
    atomic_store(&sink, fn);
}

/* One write, so that lines of several threads do not mix. */
static void
write_line(enum log_level level, const char *event, const char *text)
{
    char line[TEXT_MAX + 256];
    const char *name = atomic_load(&program);
    struct timespec now;
    struct tm tm;
    size_t done = 0;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = snprintf(line, sizeof line - 1, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s %s%s%s", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000,
                 level_names[level], name != NULL ? name : "-", event, text[0] != '\0' ? " " : "", text);
    if (n < 0)
        return;
    if ((size_t)n > sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    while (done < (size_t)n) {
        ssize_t k = write(STDERR_FILENO, line + done, (size_t)n - done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return;     /* nobody reads the log; there is no place left to say so */
        done += (size_t)k;
    }
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    log_sink_fn *fn = atomic_load(&sink);
    char text[TEXT_MAX];
    va_list ap;

    if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
        return;
    va_start(ap, fmt);
    if (vsnprintf(text, sizeof text, fmt, ap) < 0)
        text[0] = '\0';
    va_end(ap);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ')        /* one event is one line */
            *p = ' ';
    if (fn != NULL)
        fn(atomic_load(&sink_arg), level, event, text);
    else
        write_line(level, event, text);
}

bool
log_rate_ok(struct log_rate *r, uint64_t mono_ms)
{
    if (mono_ms < r->next_ms) {
        r->skipped++;
        return false;
    }
    r->next_ms = mono_ms + 1000;
    r->left_out = r->skipped;
    r->skipped = 0;
    return true;
}

const char *
log_quote(const void *s, size_t n, char *out, size_t cap)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = s;
    size_t at = 0;

    if (cap < 3) {
        if (cap > 0)
            out[0] = '\0';
        return out;
    }
    out[at++] = '"';
    for (size_t i = 0; i < n; i++) {
        bool plain = p[i] >= ' ' && p[i] != '"' && p[i] != '\\' && p[i] != 0x7f;

        if (at + (plain ? 1 : 4) + 2 > cap)     /* room for the closing quote and the NUL */
            break;
        if (plain) {
            out[at++] = (char)p[i];
        } else {
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = hex[p[i] >> 4];
            out[at++] = hex[p[i] & 15];
        }
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}
