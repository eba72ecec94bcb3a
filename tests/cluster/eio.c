/*
 * eio -- LD_PRELOAD for NameNode and DataNodes: calls on chosen files fail with EIO.
 *
 * MILLRACE_EIO names a file that a test writes while the daemons run; each line is
 *     OP PATTERN FROM COUNT
 * OP: read, write or sync.  PATTERN: of the file's path (fnmatch; '*' also matches '/').  Of the calls that match, in one
 * process and since the file was last written, COUNT fail from the FROMth (1) on; COUNT 0: all of them.  No file, no
 * failure.  As in the kernel a sync that failed is followed by one that succeeds, where COUNT says so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define RULES_MAX 8

struct rule {
    char op[8], pattern[512];
    unsigned long from, count, seen;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULES_MAX];
static size_t rule_count;
static struct timespec read_at;

static ssize_t (*real_pread)(int fd, void *p, size_t n, off_t at);
static ssize_t (*real_pwrite)(int fd, const void *p, size_t n, off_t at);
static int (*real_fdatasync)(int fd);
static int (*real_fsync)(int fd);

ssize_t pread(int fd, void *p, size_t n, off_t at);
ssize_t pread64(int fd, void *p, size_t n, off_t at);
ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);
int fdatasync(int fd);
int fsync(int fd);

__attribute__((constructor)) static void
find_real(void)
{
    *(void **)&real_pread = dlsym(RTLD_NEXT, "pread");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
}

/* Locked. */
static void
read_rules(const char *path)
{
    struct stat st;
    FILE *in;

    if (stat(path, &st) != 0) {
        rule_count = 0;
        return;
    }
    if (st.st_mtim.tv_sec == read_at.tv_sec && st.st_mtim.tv_nsec == read_at.tv_nsec)
        return;
    read_at = st.st_mtim;
    rule_count = 0;
    if ((in = fopen(path, "re")) == NULL)
        return;
    while (rule_count < RULES_MAX &&
           fscanf(in, "%7s %511s %lu %lu", rules[rule_count].op, rules[rule_count].pattern, &rules[rule_count].from,
                  &rules[rule_count].count) == 4)
        rules[rule_count++].seen = 0;
    (void)fclose(in);
}

static bool
fails(const char *op, int fd)
{
    const char *path = getenv("MILLRACE_EIO");
    char link[64], name[PATH_MAX];
    bool bad = false;
    ssize_t n;
    int e = errno;

    if (path == NULL || (strcmp(program_invocation_short_name, "datanode") != 0 &&
                         strcmp(program_invocation_short_name, "namenode") != 0))
        return false;
    pthread_mutex_lock(&lock);
    read_rules(path);
    if (rule_count > 0) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, name, sizeof name - 1);
        name[n < 0 ? 0 : n] = '\0';
        for (size_t i = 0; i < rule_count; i++) {
            struct rule *r = &rules[i];

            if (strcmp(r->op, op) != 0 || fnmatch(r->pattern, name, 0) != 0)
                continue;
            r->seen++;
            bad = bad || (r->seen >= r->from && (r->count == 0 || r->seen < r->from + r->count));
        }
    }
    pthread_mutex_unlock(&lock);
    errno = bad ? EIO : e;
    return bad;
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
    return fails("read", fd) ? -1 : real_pread(fd, p, n, at);
}

ssize_t
pread64(int fd, void *p, size_t n, off_t at)
{
    return pread(fd, p, n, at);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
    return fails("write", fd) ? -1 : real_pwrite(fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return pwrite(fd, p, n, at);
}

int
fdatasync(int fd)
{
    return fails("sync", fd) ? -1 : real_fdatasync(fd);
}

int
fsync(int fd)
{
    return fails("sync", fd) ? -1 : real_fsync(fd);
}
