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

#include "core/base/rc.h"

/* Serve until the tracker is gone.  The process is locked down already. */
void worker_main(int sock);
/* Tell the tracker that there is no worker: it could not be locked down. */
void worker_refuse(int sock, const struct why *why);

#endif
