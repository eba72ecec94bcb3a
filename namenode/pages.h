/*
 * pages -- the NameNode's status pages, metrics and health, over HTTP.
 *
 * They ask the NameNode through its own RPC port, as any client does, so they
 * need no lock and cannot hold up the core thread.  Overviews are asked for as
 * the superuser; browsing is done as hadoop.http.staticuser.user, so permissions
 * hold for whoever looks.
 *     /  overview    /nodes    /browse?path=P    /metrics    /healthz    /fsck?path=P    /static/...
 */
#ifndef NAMENODE_PAGES_H
#define NAMENODE_PAGES_H

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"
#include "core/net/net.h"

struct nn_pages;

/* Serve at dfs.namenode.http-address; rpc is where the NameNode answers, metrics (borrowed) is what it counts.
 * *ret_at is the bound address. */
enum rc nn_pages_start(const struct world *w, const struct conf *conf, const struct net_addr *rpc, const char *superuser,
                       const struct nn_metrics *metrics, struct nn_pages **ret, struct net_addr *ret_at, struct why *why) MUST_CHECK;
void nn_pages_stop(struct nn_pages *p);     /* and free; NULL is fine */

#endif
