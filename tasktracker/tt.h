/*
 * tt -- the TaskTracker as a program.
 *
 * Threads: one holds waitOrders open and acts on orders, one beats, one accepts
 * shuffle connections (a thread each serves them), and each attempt has one that
 * talks with its worker, beside those that move its input, output and segments.
 * User code runs in none of them.
 */
#ifndef TASKTRACKER_TT_H
#define TASKTRACKER_TT_H

#include <stdbool.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/net/net.h"
#include "tasktracker/crew.h"

struct tt;

/* Takes crew on success: tt_stop stops it.  *ret_at: where map outputs are served. */
enum rc tt_start(const struct world *w, const struct conf *conf, struct crew *crew, struct tt **ret,
                 struct net_addr *ret_at, struct why *why) MUST_CHECK;
bool tt_has_failed(struct tt *tt);  /* the launcher is gone: the process is to end; any thread */
void tt_stop(struct tt *tt);        /* and free; attempts that run are killed */

#endif
