/*
 * idle -- DataTransfer connections whose operation is over, for the next one to the same peer.
 *
 * Owns: the connections that were put.  A connection is kept for a while that is shorter than its server's patience, and is
 * only given out while the server has neither ended it nor said anything; it may still end right after, so who is given one
 * has to expect RC_CLOSED from the first exchange, and connect then.  Any thread.
 */
#ifndef CORE_NET_IDLE_H
#define CORE_NET_IDLE_H

#include "core/net/dtp_io.h"

struct dtp_idle;

enum rc dtp_idle_new(const struct world *w, struct dtp_idle **ret, struct why *why) MUST_CHECK;
void dtp_idle_free(struct dtp_idle *idle);      /* closes what is kept; fine for NULL */

/* The one that was put last, of those to this peer.  False: there is none. */
bool dtp_idle_take(struct dtp_idle *idle, const struct net_addr *to, uint64_t read_ms, uint64_t write_ms,
                   struct dtp_conn *ret) MUST_CHECK;
/* Takes the connection to this peer; *c is closed then.  When too many are kept the oldest goes. */
void dtp_idle_put(struct dtp_idle *idle, const struct net_addr *to, struct dtp_conn *c);

#endif
