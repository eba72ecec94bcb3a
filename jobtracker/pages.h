/*
 * pages -- the JobTracker's status pages, metrics and health, over HTTP.
 *
 * They ask the JobTracker through its own RPC port, as any client does, so they
 * need no lock and cannot hold up the core thread.
 *     /  jobs    /job?id=J  one job    /trackers    /logs?job=J&attempt=A
 *     /metrics   /healthz   /static/...
 */
#ifndef JOBTRACKER_PAGES_H
#define JOBTRACKER_PAGES_H

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"
#include "core/net/net.h"

struct jt_pages;

/* Serve at mapreduce.jobtracker.http.address; rpc is where the JobTracker answers, metrics (borrowed)
 * is what it counts.  *ret_at is the bound address. */
enum rc jt_pages_start(const struct world *w, const struct conf *conf, const struct net_addr *rpc, const char *user,
                       const struct jt_metrics *metrics, struct jt_pages **ret, struct net_addr *ret_at, struct why *why) MUST_CHECK;
void jt_pages_stop(struct jt_pages *p);     /* and free; NULL is fine */

#endif
