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

#include <sys/types.h>

#include "core/base/rc.h"
#include "tasktracker/crew.h"
#include "tasktracker/sandbox.h"

struct launcher {
    struct crew crew;               /* what the tracker is given */
    pid_t pid;
    int sock;
    char text[SANDBOX_TEXT];        /* the tier */
};

/* Fork the launcher; warm: workers kept ready.  No thread may exist.  *ret must stay where it is. */
enum rc launcher_start(unsigned warm, struct launcher *ret, struct why *why) MUST_CHECK;

#endif
