#include "core/base/faults.h"

#ifdef MILLRACE_FAULTS

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/attr.h"
#include "core/base/log.h"

#define NONE (-1)
#define NOT_READ (-2)

static const char *const points[] = {
#define CRASH(name, program, text) #name,
#include "core/base/crash_points.def"
#undef CRASH
};
static const char *const bugs[] = {
#define OLD_BUG(name, rule, caught_by, text) #name,
#include "core/base/old_bugs.def"
#undef OLD_BUG
};

/* Passings of each point since the start, and of the armed one since it was armed. */
static _Atomic unsigned long passed[CRASH_POINT_COUNT];
static _Atomic long long armed_since;
static _Atomic unsigned long armed_passed;
static _Atomic int bug_read = NOT_READ;

static int
find(const char *const *names, size_t n, const char *variable, const char *text, size_t text_n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == text_n && memcmp(names[i], text, text_n) == 0)
            return (int)i;
    log_error("unknown_fault", "variable=%s name=%.*s", variable, (int)text_n, text);
    abort();
}

/* "name[:k]" with blanks after it. */
static int
parse(const char *variable, const char *text, unsigned long *ret_k)
{
    size_t n = strcspn(text, ": \n");
    char *end = NULL;

    *ret_k = 1;
    if (text[n] == ':' && ((*ret_k = strtoul(text + n + 1, &end, 10)) == 0 || *ret_k == ULONG_MAX))
        *ret_k = 1;
    return find(points, ARRAY_LEN(points), variable, text, n);
}

static void
die(enum crash_point point, unsigned long k)
{
    log_warn("crash_point", "name=%s passing=%lu", points[point], k);
    (void)kill(getpid(), SIGKILL);      /* it cannot be refused */
    for (;;)
        pause();
}

/* The armed point, if the file is there; the passings count anew for each file. */
static int
read_armed(const char *path, unsigned long *ret_k)
{
    struct stat st;
    char text[128];
    long long since, before;
    ssize_t n;
    int fd;

    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return NONE;
    n = fstat(fd, &st) == 0 ? read(fd, text, sizeof text - 1) : 0;
    (void)close(fd);                    /* only read */
    if (n <= 0)
        return NONE;
    text[n] = '\0';
    since = (long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    before = atomic_exchange(&armed_since, since);
    if (before != since)
        atomic_store(&armed_passed, 0);
    return parse("MILLRACE_CRASH_FILE", text, ret_k);
}

void
faults_pass(enum crash_point point)
{
    const char *at = getenv("MILLRACE_CRASH_AT"), *path = getenv("MILLRACE_CRASH_FILE");
    unsigned long n = atomic_fetch_add(&passed[point], 1) + 1, k = 0;

    if (at != NULL && parse("MILLRACE_CRASH_AT", at, &k) == (int)point && n == k)
        die(point, n);
    if (path == NULL || read_armed(path, &k) != (int)point)
        return;
    /* Removing it decides which of several daemons it is. */
    if ((n = atomic_fetch_add(&armed_passed, 1) + 1) >= k && unlink(path) == 0)
        die(point, n);
}

bool
old_bug(enum old_bug bug)
{
    int known = atomic_load_explicit(&bug_read, memory_order_relaxed);

    if (known == NOT_READ) {
        const char *name = getenv("MILLRACE_OLD_BUG");

        known = name == NULL || name[0] == '\0' ? NONE : find(bugs, ARRAY_LEN(bugs), "MILLRACE_OLD_BUG", name, strlen(name));
        atomic_store_explicit(&bug_read, known, memory_order_relaxed);
    }
    return known == (int)bug;
}

void
faults_announce(void)
{
    const char *bug = getenv("MILLRACE_OLD_BUG");

    log_info("built_for_tests", "crash_points=%d old_bug=%s", CRASH_POINT_COUNT, bug == NULL ? "" : bug);
}

#endif
