/*
 * supervise -- the process that starts a cluster's daemons, watches them and ends them.
 *
 * One process, one thread.  It answers on DIR/run/control.sock: a line in, a line
 * of JSON out (control.c has the asking side).  A daemon that dies is reported and,
 * with restart, started again.  When this process dies, its daemons get SIGTERM.
 */
#ifndef MINI_SUPERVISE_H
#define MINI_SUPERVISE_H

#include "mini/cluster.h"

struct supervise_options {
    bool detach;        /* return when the cluster is ready; go on in the background */
    bool restart;       /* start daemons again that died */
    const char *shown_dir;  /* the folder as the user wrote it, for hints */
};

/* Start everything, print the addresses, stay until told to stop.  The exit status: 0, or 1 with the reason on stderr. */
int supervise(struct cluster *c, const struct supervise_options *o);

/* Wait until every DataNode and TaskTracker is known to its master and the namespace can be written. */
enum rc cluster_wait_ready(const struct cluster *c, unsigned timeout_ms, struct why *why) MUST_CHECK;

/* Name a socket in DIR/run so that its path is short: bind or connect to it (control.c). */
enum rc control_listen(const struct cluster *c, int *ret_fd, struct why *why) MUST_CHECK;
enum rc control_connect(const struct cluster *c, int *ret_fd, struct why *why) MUST_CHECK;

/* Ask the supervisor: the answer, one line without its end, is the caller's (mem_free).  RC_REFUSED when there is none. */
enum rc control_ask(const struct cluster *c, const char *line, char **ret, struct why *why) MUST_CHECK;

#endif
