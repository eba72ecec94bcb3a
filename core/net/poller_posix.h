/*
 * poller_posix -- libevent as the poller of net_posix.
 *
 * A poller belongs to the thread that waits on it; only poller_posix_wake may
 * be called by others.
 */
#ifndef CORE_NET_POLLER_POSIX_H
#define CORE_NET_POLLER_POSIX_H

#include "core/net/net.h"

enum rc poller_posix_new(struct net *n, struct net_poller **ret, struct why *why) MUST_CHECK;
void poller_posix_free(struct net *n, struct net_poller *p);
enum rc poller_posix_set(struct net *n, struct net_poller *p, int sock, unsigned events, void *tag,
                         struct why *why) MUST_CHECK;
enum rc poller_posix_wait(struct net *n, struct net_poller *p, uint64_t deadline_ms, struct net_ready *out, size_t max,
                          size_t *ret_n, struct why *why) MUST_CHECK;
void poller_posix_wake(struct net *n, struct net_poller *p);

#endif
