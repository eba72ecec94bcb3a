/*
 * pages -- a TaskTracker over HTTP: what runs here, /healthz and /metrics.
 */
#ifndef TASKTRACKER_PAGES_H
#define TASKTRACKER_PAGES_H

#include "core/base/rc.h"
#include "core/net/net.h"

struct tt;
struct http_server;

/* Serve at mapreduce.tasktracker.http.address; end it with http_stop before tt_stop.  *ret_at is the bound address. */
enum rc tt_pages_start(struct tt *tt, struct http_server **ret, struct net_addr *ret_at, struct why *why) MUST_CHECK;

#endif
