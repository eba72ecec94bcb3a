/*
 * simpoller -- waiting for many simulated sockets at once.
 */
#include "core/base/check.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/simsock.h"

static struct sim_node *node_of(struct net *net) { return CONTAINER_OF(net, struct sim_node, net); }


enum rc
sim_poller_new(struct net *net, struct net_poller **ret, struct why *why UNUSED)
{
    struct sim_node *n = node_of(net);
    struct net_poller *p = sim_alloc(sizeof *p);

    p->node = n;
    p->next = n->pollers;
    n->pollers = p;
    *ret = p;
    return RC_OK;
}

void
sim_poller_free(struct net *net, struct net_poller *p)
{
    struct sim_node *n = node_of(net);
    struct net_poller **at;
    struct mem_heap *was;

    if (p == NULL)
        return;
    CHECK(p->waiters.head == NULL);
    for (at = &n->pollers; *at != p; at = &(*at)->next)
        ;
    *at = p->next;
    for (size_t i = 0; i < n->sock_count; i++)
        if (n->socks[i] != NULL && n->socks[i]->poller == p)
            n->socks[i]->poller = NULL;
    was = sim_heap_enter();
    mem_free(p);
    sim_heap_leave(was);
}

enum rc
sim_poller_set(struct net *net, struct net_poller *p, int sock, unsigned events, void *tag, struct why *why UNUSED)
{
    struct sim_sock *k = sim_sock_of(node_of(net), sock);

    k->poller = events != 0 ? p : NULL;
    k->events = events;
    k->tag = tag;
    if (events != 0)
        sim_wake_all(p->node->sim, &p->waiters);
    return RC_OK;
}

static unsigned
sock_events(struct sim_sock *k)
{
    struct end *e = k->end;
    unsigned events = 0;

    if (k->is_listener)
        return k->backlog_n > 0 ? k->events & NET_READ : 0;
    if (e->rx_n > 0 || e->has_eof || e->is_reset || e->was_shut)
        events |= NET_READ;
    if (e->is_reset || e->wrote_fin || sim_end_room(e) > 0)
        events |= NET_WRITE;
    return events & k->events;
}

static size_t
poller_collect(struct net_poller *p, struct net_ready *out, size_t max)
{
    struct sim_node *n = p->node;
    size_t count = 0, first = n->sock_count == 0 ? 0 : rng_below(&n->sim->rng.rng, n->sock_count);

    for (size_t i = 0; i < n->sock_count && count < max; i++) {
        struct sim_sock *k = n->socks[(first + i) % n->sock_count];
        unsigned events;

        if (k != NULL && k->poller == p && (events = sock_events(k)) != 0)
            out[count++] = (struct net_ready){ k->tag, events };
    }
    return count;
}

enum rc
sim_poller_wait(struct net *net, struct net_poller *p, uint64_t deadline_ms, struct net_ready *out, size_t max,
              size_t *ret_n, struct why *why UNUSED)
{
    struct sim_node *n = node_of(net);

    sim_point(n->sim, SIM_POINT_NET);
    for (;;) {
        if ((*ret_n = poller_collect(p, out, max)) > 0 || p->is_woken)
            break;
        if (!sim_wait(n->sim, &p->waiters, sim_deadline(n, deadline_ms), "poller"))
            break;
    }
    p->is_woken = false;
    return RC_OK;
}

void
sim_poller_wake(struct net *net, struct net_poller *p)
{
    p->is_woken = true;
    sim_wake_all(node_of(net)->sim, &p->waiters);
}
