/*
 * launch -- the process that starts workers.
 *
 * Forked before the tracker has any thread, so that workers come from a process of
 * one thread and inherit nothing of the tracker.  It keeps a few warm workers:
 * forked, locked down, without a job's code.  Each worker has a warden for parent, the
 * first process of its namespaces: killing the warden kills whatever the worker started.
 */
#ifndef TASKTRACKER_LAUNCH_H
#define TASKTRACKER_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/rc.h"
#include "tasktracker/sandbox.h"

struct launcher {
    pid_t pid;
    int sock;
    bool plain;                     /* the tier gives little protection */
    char text[SANDBOX_TEXT];        /* the tier, for logs and pages */
};

/* A process of user code, as the tracker holds it. */
struct launched {
    int sock;                       /* chan */
    int warden;                     /* pidfd */
    int status;                     /* pipe: wait status of the worker */
};

/* Fork the launcher; warm: workers kept ready.  No thread may exist. */
enum rc launcher_start(unsigned warm, struct launcher *ret, struct why *why) MUST_CHECK;
void launcher_stop(struct launcher *l);         /* workers die with it */

/* Take a worker.  One thread at a time. */
enum rc launcher_take(struct launcher *l, struct launched *ret, struct why *why) MUST_CHECK;

/* Kill the worker and all it started, now. */
void launched_kill(const struct launched *w);
/* How it ended, as a wait status: waits at most timeout_ms for it; false when it has not ended. */
bool launched_wait(const struct launched *w, int timeout_ms, int *ret_status);
void launched_close(struct launched *w);

#endif
