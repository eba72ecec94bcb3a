/* The worker as a process of its own. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/net/net.h"
#include "libmr/local.h"
#include "tasktracker/worker.h"

static enum rc
set_memory_limit(const TkSpec *s, struct why *why)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)s;                            /* a sanitizer's shadow alone is terabytes of addresses */
    (void)why;
    return RC_OK;
#else
    struct rlimit r;

    if (getrlimit(RLIMIT_AS, &r) != 0)
        return why_errno(why, errno, "getrlimit");
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > s->memory_bytes)
        r.rlim_cur = r.rlim_max = s->memory_bytes;
    return setrlimit(RLIMIT_AS, &r) == 0 ? RC_OK : why_errno(why, errno, "setrlimit");
#endif
}

/* A file beyond the limit is SIGXFSZ, which says what it is. */
static enum rc
set_file_limit(const TkSpec *s, struct why *why)
{
    struct rlimit r;

    if (!s->has_file_bytes)
        return RC_OK;
    if (getrlimit(RLIMIT_FSIZE, &r) != 0)
        return why_errno(why, errno, "getrlimit");
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > s->file_bytes)
        r.rlim_cur = r.rlim_max = s->file_bytes;
    return setrlimit(RLIMIT_FSIZE, &r) == 0 ? RC_OK : why_errno(why, errno, "setrlimit");
}

static enum rc
px_prepare(struct worker_self *self UNUSED, const TkSpec *spec, int so_fd, int log_fd, const struct mr_job **job,
           struct why *why)
{
    char path[64];
    enum rc rc;

    if (dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0)
        return why_errno(why, errno, "the log");
    if (*job != NULL)
        return RC_OK;
    if ((rc = set_memory_limit(spec, why)) != RC_OK || (rc = set_file_limit(spec, why)) != RC_OK)
        return rc;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", so_fd);
    return mr_job_load(path, spec->stage, job, why);
}

static enum rc
px_map(struct worker_self *self UNUSED, int fd, size_t n, const void **ret, struct why *why)
{
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

    if (p == MAP_FAILED)
        return why_errno(why, errno, "mmap of a file from the tracker");
    *ret = p;
    return RC_OK;
}

static void px_unmap(struct worker_self *self UNUSED, const void *p, size_t n) { (void)munmap((void *)(uintptr_t)p, n); /* it was mapped */ }

static void px_flush(struct worker_self *self UNUSED) { (void)fflush(NULL); /* the job's own streams; it cannot be told */ }
static NORETURN void px_leave(struct worker_self *self UNUSED, int status) { _exit(status); }

static const struct worker_ops px_ops = { px_prepare, px_flush, px_leave, px_map, px_unmap };

#define KEPT_BYTES (32 * 1024 * 1024)  /* what attempts free stays for the next, backed by memory that was touched */

void
worker_run(int sock)
{
    struct worker_self self = { .ops = &px_ops, .pipes = pipes_posix() };
    struct world w;

    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);    /* 0: then it is slower */
    (void)mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES);
    world_posix(&w);
    self.io = w.io;
    self.clock = w.clock;
    worker_main(&self, sock);
}
