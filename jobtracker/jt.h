/*
 * jt -- the JobTracker as a program: threads, queue, RPC, around the core.
 *
 * Threads: the RPC server's loop hands calls to the queue; the core thread takes
 * what queued as one group, lets the core act on it inside one transaction,
 * commits, and only then answers, gives out orders and starts work; a few work
 * threads act on the filesystem as the jobs' users.
 */
#ifndef JOBTRACKER_JT_H
#define JOBTRACKER_JT_H

#include <stdbool.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"
#include "core/net/net.h"

struct jt;

struct jt_options {
    const struct conf *conf;        /* copied */
    const char *superuser;          /* who runs the JobTracker: may end anybody's job; copied */
};

/* Open the state and serve.  *ret_at is the bound address. */
enum rc jt_start(const struct world *w, const struct jt_options *o, struct jt **ret, struct net_addr *ret_at,
                 struct why *why) MUST_CHECK;
void jt_stop(struct jt *jt);        /* and free */
const struct jt_metrics *jt_metrics(const struct jt *jt);   /* what it counts; as long as jt; any thread */
bool jt_has_failed(struct jt *jt);  /* a commit failed: the process is to end; any thread */

#endif
