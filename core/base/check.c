#include "core/base/check.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/log.h"

static _Atomic uint64_t bugs;

void
check_failed(const char *file, int line, const char *text)
{
    log_error("check_failed", "at=%s:%d condition=\"%s\"", file, line, text);
    abort();
}

bool
soft_bug(const char *file, int line, const char *text)
{
    uint64_t n = atomic_fetch_add(&bugs, 1) + 1;

    log_error("soft_bug", "at=%s:%d condition=\"%s\" count=%" PRIu64, file, line, text, n);
    if (getenv("MILLRACE_ABORT_ON_BUG") != NULL)
        abort();
    return true;
}

uint64_t
soft_bug_count(void)
{
    return atomic_load(&bugs);
}
