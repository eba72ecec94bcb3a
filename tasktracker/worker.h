/*
 * worker -- the process in which a job's code runs.
 *
 * One thread, one socket to the TaskTracker.  It opens nothing itself: what it
 * reads and writes comes as descriptors.  It serves one job, one attempt at a time,
 * loads the shared object once, and dies with its first failure or when the
 * tracker closes the socket.
 */
#ifndef TASKTRACKER_WORKER_H
#define TASKTRACKER_WORKER_H

#include "core/base/clock.h"
#include "core/base/rc.h"
#include "core/io/io.h"
#include "core/proto/task.pb-c.h"
#include "libmr/mr.h"
#include "tasktracker/pipes.h"

/* What the process may do with itself; worker_process.c is the real one. */
struct worker_self;

struct worker_ops {
    /* Before each attempt: what the job prints goes to log_fd; its limits; the job in the file so_fd, loaded once. */
    enum rc (*prepare)(struct worker_self *self, const TkSpec *spec, int so_fd, int log_fd, const struct mr_job **job,
                       struct why *why);
    void (*flush)(struct worker_self *self);            /* what the job printed */
    void (*leave)(struct worker_self *self, int status) NORETURN;
    /* The n > 0 bytes of a file of io's, read only, until unmap.  NULL: there is no such thing, read it. */
    enum rc (*map)(struct worker_self *self, int fd, size_t n, const void **ret, struct why *why);
    void (*unmap)(struct worker_self *self, const void *p, size_t n);
};

struct worker_self {
    const struct worker_ops *ops;
    struct io *io;
    struct clock *clock;
    struct pipes *pipes;
};

/* Serve until the tracker is gone.  The process is locked down already. */
void worker_main(struct worker_self *self, int sock) NORETURN;
/* Tell the tracker that there is no worker, or none any more. */
void worker_refuse(struct pipes *p, int sock, const struct why *why);
/* worker_main as this process. */
void worker_run(int sock) NORETURN;

#endif
