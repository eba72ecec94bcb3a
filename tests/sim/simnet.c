/*
 * simnet -- stream sockets between simulated nodes.
 *
 * A connection has two ends; what one end sends arrives at the other after a
 * latency drawn from the seed, in order.  A message may instead end the
 * connection for both sides.  Between nodes that are cut off messages wait.  A
 * killed process's connections end as the kernel would end them; a machine
 * without power says nothing, and answers with a reset when it is up again.
 */
#include <string.h>

#include "core/base/check.h"
#include "core/io/io.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/simsock.h"

#define RETRY_US 200000                 /* what TCP would send again */
#define SYN_LOST_US 3000000
#define STALL_US 8000000                /* and a stalled connection may be reset */

static struct sim_node *node_of(struct net *net) { return CONTAINER_OF(net, struct sim_node, net); }
static struct end *end_other(struct end *e) { return e == &e->conn->ends[0] ? &e->conn->ends[1] : &e->conn->ends[0]; }

/* Descriptors. */

static int
sock_new(struct sim_node *n, struct sim_sock **ret)
{
    struct sim_sock *k = sim_alloc(sizeof *k);
    size_t i;

    for (i = 0; i < n->sock_count && n->socks[i] != NULL; i++)
        ;
    if (i == n->sock_count) {
        struct mem_heap *was = sim_heap_enter();

        n->sock_count = n->sock_count == 0 ? 32 : 2 * n->sock_count;
        n->socks = mem_realloc(n->socks, n->sock_count * sizeof(struct sim_sock *));
        CHECK(n->socks != NULL);
        memset(n->socks + i, 0, (n->sock_count - i) * sizeof(struct sim_sock *));
        sim_heap_leave(was);
    }
    k->node = n;
    n->socks[i] = k;
    *ret = k;
    return (int)i + SOCK_FIRST;
}

struct sim_sock *
sim_sock_of(struct sim_node *n, int sock)
{
    size_t i = (size_t)(sock - SOCK_FIRST);

    CHECK(sock >= SOCK_FIRST && i < n->sock_count && n->socks[i] != NULL);
    return n->socks[i];
}

static struct end *
stream_of(struct sim_node *n, int sock)
{
    struct sim_sock *k = sim_sock_of(n, sock);

    CHECK(!k->is_listener);
    return k->end;
}

static void
poller_notify(struct sim *s, struct sim_sock *k)
{
    if (k != NULL && k->poller != NULL)
        sim_wake_all(s, &k->poller->waiters);
}

static void
end_notify(struct sim *s, struct end *e)
{
    sim_wake_all(s, &e->waiters);
    poller_notify(s, e->sock);
}

/* Connections. */

static void
end_init(struct conn *c, int i, struct sim_node *n, const struct net_addr *local, const struct net_addr *peer)
{
    c->ends[i] = (struct end){ .conn = c, .node = n, .incarnation = n->incarnation, .local = *local, .peer = *peer };
    c->ends[i].queue_end = &c->ends[i].queue;
}

static void
conn_unref(struct conn *c)
{
    struct message *m;

    if (--c->refs > 0)
        return;
    for (int i = 0; i < 2; i++) {
        while ((m = c->ends[i].queue) != NULL) {
            c->ends[i].queue = m->next;
            mem_free(m);
        }
        mem_free(c->ends[i].rx);
    }
    mem_free(c);
}

static bool
end_is_gone(const struct end *e)
{
    return !e->node->is_up || e->node->incarnation != e->incarnation;
}

static void end_send(struct end *from, enum message_kind kind, const void *p, size_t n, const int *fds, size_t fd_count);

static void
end_reset(struct sim *s, struct end *e)
{
    e->is_reset = true;
    e->rx_n = 0;
    end_notify(s, e);
}

static void
end_take_data(struct sim *s, struct end *e, const struct message *m)
{
    struct mem_heap *was;

    if (e->is_closed) {
        end_send(e, MSG_RST, NULL, 0, NULL, 0);
        return;
    }
    was = sim_heap_enter();
    if (e->rx_at > 0 && e->rx_n > 0)
        memmove(e->rx, e->rx + e->rx_at, e->rx_n);
    e->rx_at = 0;
    if (e->rx_n + m->n > e->rx_cap) {
        e->rx_cap = e->rx_n + m->n + 4 * KB;
        e->rx = mem_realloc(e->rx, e->rx_cap);
        CHECK(e->rx != NULL);
    }
    sim_heap_leave(was);
    if (m->n > 0)
        memcpy(e->rx + e->rx_n, m->bytes, m->n);
    e->rx_n += m->n;
    for (size_t i = 0; i < m->fd_count && e->fd_count < FDS_MAX; i++)
        e->fds[e->fd_count++] = m->fds[i];
    end_notify(s, e);
}

/* Messages to an end whose time has come arrive. */
static void
end_pump(struct sim *s, void *arg)
{
    struct end *e = arg;
    struct conn *c = e->conn;
    struct end *from = end_other(e);
    struct message *m = e->queue;
    struct mem_heap *was;
    bool is_silent;

    if (m == NULL || s->is_over || s->has_failed) {
        was = sim_heap_enter();
        conn_unref(c);
        sim_heap_leave(was);
        return;
    }
    is_silent = (!e->node->is_up && e->node->lost_power) || sim_is_cut(s, from->node, e->node);
    if (m->at_us > s->now_us || is_silent) {
        sim_after(s, m->at_us > s->now_us ? m->at_us - s->now_us : RETRY_US, end_pump, e);
        return;
    }
    e->queue = m->next;
    if (e->queue == NULL)
        e->queue_end = &e->queue;
    e->under_way -= m->n;
    if (m->kind == MSG_RST) {
        end_reset(s, e);
        if (!from->is_closed && !from->is_reset)
            end_reset(s, from);         /* the network's, not the peer's */
    } else if (end_is_gone(e)) {
        end_send(e, MSG_RST, NULL, 0, NULL, 0);
    } else if (m->kind == MSG_FIN) {
        e->has_eof = true;
        end_notify(s, e);
    } else if (!e->is_reset) {
        end_take_data(s, e, m);
    }
    was = sim_heap_enter();
    mem_free(m);
    conn_unref(c);
    sim_heap_leave(was);
}

static uint64_t
latency(struct sim *s, const struct conn *c)
{
    uint64_t least = s->options.latency_us, times = 1;

    if (c->is_local)
        return 5 + rng_below(&s->rng.rng, 20);
    for (int i = 0; i < 2; i++)
        if (c->ends[i].node->machine->net_times > times)
            times = c->ends[i].node->machine->net_times;
    if (rng_below(&s->rng.rng, 500) == 0)       /* a lost packet, sent again */
        return RETRY_US + rng_below(&s->rng.rng, RETRY_US);
    if (s->stall_ppm > 0 && rng_below(&s->rng.rng, 1000000) < s->stall_ppm)
        return RETRY_US + rng_below(&s->rng.rng, STALL_US);
    return (least + rng_below(&s->rng.rng, 7 * least + 1)) * times;
}

/* The connection goes with the answer that was on it. */
static bool
is_reply_lost(const struct end *from)
{
    struct sim_node *n = from->node;

    if (from != &from->conn->ends[1] || n->lose_reply_in == 0 ||
        (n->lose_reply_to != NULL && n->lose_reply_to != from->conn->ends[0].node) || --n->lose_reply_in > 0)
        return false;
    sim_note(n->sim, "reply_lost", "from=%s to=%s dies=%d", n->name, from->conn->ends[0].node->name, n->lose_reply_dies);
    if (n->lose_reply_dies)
        sim_node_crash_at(n, SIM_POINT_ANY, 1 + rng_below(&n->sim->rng.rng, 40), SIM_KILL);
    return true;
}

static void
end_send(struct end *from, enum message_kind kind, const void *p, size_t n, const int *fds, size_t fd_count)
{
    struct sim *s = from->node->sim;
    struct end *to = end_other(from);
    struct message *m = sim_alloc(sizeof *m + n);

    if (kind == MSG_DATA && !from->conn->is_local &&
        (is_reply_lost(from) || rng_below(&s->rng.rng, 1000000) < s->options.reset_ppm)) {
        sim_note(s, "reset", "%s:%u > %s:%u", from->local.host, from->local.port, to->local.host, to->local.port);
        kind = MSG_RST;
        n = 0;
        end_reset(s, from);
    }
    m->kind = kind;
    m->n = n;
    if (n > 0)
        memcpy(m->bytes, p, n);
    for (size_t i = 0; i < fd_count; i++)
        m->fds[m->fd_count++] = sim_disk_dup(from->node, fds[i]);
    m->at_us = s->now_us + latency(s, from->conn);
    if (m->at_us > s->now_us + 2 * RETRY_US && kind == MSG_DATA && rng_below(&s->rng.rng, 2) == 0)
        m->kind = MSG_RST;              /* it stood still, and then it broke */
    if (m->at_us < to->last_at_us)
        m->at_us = to->last_at_us;
    to->last_at_us = m->at_us;
    to->under_way += n;
    *to->queue_end = m;
    to->queue_end = &m->next;
    from->conn->refs++;
    sim_mix(s, (uint64_t)kind << 32 | n);
    sim_after(s, m->at_us - s->now_us, end_pump, to);
}

/* The owner has gone: tell the other side, as close(2) and a dying process do. */
static void
end_close(struct end *e, bool silently)
{
    struct mem_heap *was = sim_heap_enter();

    e->is_closed = true;
    e->sock = NULL;
    if (!silently && !e->is_reset) {
        if (e->rx_n > 0 || e->under_way > 0)
            end_send(e, MSG_RST, NULL, 0, NULL, 0);
        else if (!e->wrote_fin)
            end_send(e, MSG_FIN, NULL, 0, NULL, 0);
    }
    conn_unref(e->conn);
    sim_heap_leave(was);
}

static void
sock_free(struct sim_node *n, size_t i, bool silently)
{
    struct sim_sock *k = n->socks[i];
    struct mem_heap *was = sim_heap_enter();

    n->socks[i] = NULL;
    for (size_t j = 0; j < k->backlog_n; j++)
        end_close(&k->backlog[j]->ends[1], silently);
    if (k->end != NULL)
        end_close(k->end, silently);
    sim_wake_all(n->sim, &k->waiters);
    mem_free(k);
    sim_heap_leave(was);
}

/* Listening and connecting. */

static uint16_t
port_new(struct sim_node *n)
{
    if (n->machine->next_port < 40000)  /* past the last */
        n->machine->next_port = 40000;
    return n->machine->next_port++;
}

static bool
addr_is_unix(const struct net_addr *a)
{
    return a->host[0] == '/';
}

static struct sim_node *
node_find(struct sim_node *from, const char *host)
{
    struct sim_node *n;

    if (host[0] == '/' || strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 || strcmp(host, "0.0.0.0") == 0)
        return from;
    for (n = from->sim->nodes; n != NULL; n = n->next)
        if (strcmp(host, n->address) == 0 || strcmp(host, n->name) == 0)
            break;
    return n;
}

static struct sim_sock *
listener_of(struct sim_node *n, const struct net_addr *at)
{
    bool is_unix = addr_is_unix(at);

    for (size_t i = 0; i < n->sock_count; i++) {
        struct sim_sock *k = n->socks[i];

        if (k == NULL || !k->is_listener || addr_is_unix(&k->local) != is_unix)
            continue;
        if (is_unix ? strcmp(k->local.host, at->host) == 0
                    : k->local.port == at->port && (strcmp(k->local.host, "0.0.0.0") == 0 ||
                                                    (strncmp(k->local.host, "127.", 4) == 0) ==
                                                        (strncmp(at->host, "127.", 4) == 0)))
            return k;
    }
    return NULL;
}

/* Of any process of n's machine. */
static struct sim_sock *
listener_find(struct sim_node *n, const struct net_addr *at)
{
    struct sim_sock *k = NULL;

    for (struct sim_node *m = n->sim->nodes; m != NULL && k == NULL; m = m->next)
        if (m->machine == n->machine)
            k = listener_of(m, at);
    return k;
}

static enum rc
n_listen(struct net *net, const struct net_addr *at, int *ret_sock, struct net_addr *ret_bound, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct net_addr bound = *at;
    struct sim_sock *k;

    sim_point(n->sim, SIM_POINT_NET);
    if (strcmp(at->host, n->address) != 0 && node_find(n, at->host) != n)
        return why_set(why, RC_UNREACHABLE, "%s is not an address of this machine", at->host);
    if (bound.port == 0 && !addr_is_unix(at))
        bound.port = port_new(n);
    if (listener_find(n, &bound) != NULL)
        return why_set(why, RC_ADDRESS_IN_USE, "%s:%u: address in use", bound.host, bound.port);
    *ret_sock = sock_new(n, &k);
    k->is_listener = true;
    k->local = bound;
    *ret_bound = bound;
    return RC_OK;
}

/* A connection request arrives. */
static void
on_syn(struct sim *s, void *arg)
{
    struct conn *c = arg;
    struct end *client = &c->ends[0], *server = &c->ends[1];
    struct sim_node *n = server->node;
    struct mem_heap *was = sim_heap_enter();
    struct sim_sock *k;

    if (s->is_over || s->has_failed || client->is_closed || end_is_gone(client)) {
        conn_unref(c);
    } else if (sim_is_cut(s, client->node, n) || sim_is_cut(s, n, client->node) || (!n->is_up && n->lost_power)) {
        sim_after(s, SYN_LOST_US, on_syn, c);
    } else if ((k = listener_find(n, &client->peer)) == NULL || k->backlog_n == BACKLOG_MAX) {
        c->is_refused = true;
        end_notify(s, client);
        conn_unref(c);
    } else {
        server->node = k->node;
        server->incarnation = k->node->incarnation;
        c->is_established = true;
        k->backlog[k->backlog_n++] = c;         /* the reference of this event goes to the backlog */
        sim_wake_one(s, &k->waiters);
        poller_notify(s, k);
        end_notify(s, client);
    }
    sim_heap_leave(was);
}

static enum rc
n_connect(struct net *net, const struct net_addr *to, uint64_t deadline_ms, int *ret_sock, struct why *why)
{
    struct sim_node *n = node_of(net), *target = node_find(n, to->host);
    struct sim *s = n->sim;
    struct net_addr local = { .port = 0 };
    struct conn *c;
    struct sim_sock *k;
    bool in_time = true;
    int sock;

    sim_point(s, SIM_POINT_NET);
    if (target == NULL)
        return why_set(why, RC_UNREACHABLE, "%s: unknown host", to->host);
    c = sim_alloc(sizeof *c);
    c->is_local = target->machine == n->machine;
    c->refs = 2;                                /* the client's end, and the request under way */
    if (!addr_is_unix(to)) {
        (void)snprintf(local.host, sizeof local.host, "%s", strncmp(to->host, "127.", 4) == 0 ? to->host : n->address);
        local.port = port_new(n);
    }
    end_init(c, 0, n, &local, to);
    end_init(c, 1, target, to, &local);
    sock = sock_new(n, &k);                     /* so that a crash ends it */
    k->end = &c->ends[0];
    c->ends[0].sock = k;
    sim_after(s, latency(s, c), on_syn, c);
    while (!c->is_established && !c->is_refused && in_time)
        in_time = sim_wait(s, &c->ends[0].waiters, sim_deadline(n, deadline_ms), "connect");
    if (c->is_established) {
        *ret_sock = sock;
        return RC_OK;
    }
    in_time = c->is_refused;
    sock_free(n, (size_t)(sock - SOCK_FIRST), true);
    return in_time ? why_set(why, RC_REFUSED, "%s:%u: connection refused", to->host, to->port)
                   : why_set(why, RC_TIMEOUT, "%s:%u: connecting timed out", to->host, to->port);
}

static int
backlog_take(struct sim_node *n, struct sim_sock *k, struct net_addr *ret_peer)
{
    struct end *e = &k->backlog[0]->ends[1];
    struct sim_sock *stream;
    int sock = sock_new(n, &stream);

    memmove(k->backlog, k->backlog + 1, --k->backlog_n * sizeof k->backlog[0]);
    stream->end = e;
    e->sock = stream;
    if (ret_peer != NULL)
        *ret_peer = e->peer;
    return sock;
}

static enum rc
n_accept(struct net *net, int listener, uint64_t deadline_ms, int *ret_sock, struct net_addr *ret_peer, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct sim_sock *k = sim_sock_of(n, listener);

    CHECK(k->is_listener);
    sim_point(n->sim, SIM_POINT_NET);
    for (;;) {
        size_t i = (size_t)(listener - SOCK_FIRST);

        if (n->socks[i] != k || k->events == UINT32_MAX)
            return why_set(why, RC_CLOSED, "listener was shut down");
        if (k->backlog_n > 0)
            break;
        if (!sim_wait(n->sim, &k->waiters, sim_deadline(n, deadline_ms), "accept"))
            return why_set(why, RC_TIMEOUT, "nobody connected");
    }
    *ret_sock = backlog_take(n, k, ret_peer);
    return RC_OK;
}

static enum rc
n_try_accept(struct net *net, int listener, int *ret_sock, struct net_addr *ret_peer, struct why *why UNUSED)
{
    struct sim_node *n = node_of(net);
    struct sim_sock *k;

    sim_point(n->sim, SIM_POINT_NET);
    k = sim_sock_of(n, listener);
    *ret_sock = k->backlog_n > 0 ? backlog_take(n, k, ret_peer) : -1;
    return RC_OK;
}

static void
n_close(struct net *net, int sock)
{
    struct sim_node *n = node_of(net);

    (void)sim_sock_of(n, sock);         /* checks the number */
    sock_free(n, (size_t)(sock - SOCK_FIRST), false);
    sim_point(n->sim, SIM_POINT_NET);
}

static void
n_shutdown_write(struct net *net, int sock)
{
    struct end *e = stream_of(node_of(net), sock);

    if (!e->wrote_fin && !e->is_reset)
        end_send(e, MSG_FIN, NULL, 0, NULL, 0);
    e->wrote_fin = true;
    end_notify(e->node->sim, e);
}

static void
n_shutdown(struct net *net, int sock)
{
    struct sim_node *n = node_of(net);
    struct sim_sock *k = sim_sock_of(n, sock);

    if (k->is_listener) {
        k->events = UINT32_MAX;     /* no longer accepts */
        sim_wake_all(n->sim, &k->waiters);
        poller_notify(n->sim, k);
        return;
    }
    n_shutdown_write(net, sock);
    k->end->was_shut = true;
    k->end->rx_n = 0;
    end_notify(n->sim, k->end);
}

/* Bytes. */

static enum rc
end_closed(const struct end *e, struct why *why)
{
    return why_set(why, RC_CLOSED, "%s:%u: %s", e->peer.host, e->peer.port,
                   e->is_reset ? "connection reset by the peer" : "connection closed");
}

static size_t
rx_take(struct end *e, void *p, size_t cap)
{
    size_t n = e->rx_n < cap ? e->rx_n : cap;

    if (n == 0)
        return 0;
    memcpy(p, e->rx + e->rx_at, n);
    e->rx_at += n;
    e->rx_n -= n;
    end_notify(e->node->sim, end_other(e));     /* there is room again */
    return n;
}

static enum rc
n_read(struct net *net, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct end *e;

    sim_point(n->sim, SIM_POINT_NET);
    e = stream_of(n, sock);
    while (e->rx_n == 0) {
        if (e->is_reset || e->has_eof || e->was_shut)
            return end_closed(e, why);
        if (!sim_wait(n->sim, &e->waiters, sim_deadline(n, deadline_ms), "read"))
            return why_set(why, RC_TIMEOUT, "%s:%u: nothing was received", e->peer.host, e->peer.port);
    }
    *ret_n = rx_take(e, p, cap);
    return RC_OK;
}

static enum rc
n_try_read(struct net *net, int sock, void *p, size_t cap, size_t *ret_n, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct end *e;

    sim_point(n->sim, SIM_POINT_NET);
    e = stream_of(n, sock);
    *ret_n = rx_take(e, p, cap);
    return *ret_n > 0 || (!e->is_reset && !e->has_eof && !e->was_shut) ? RC_OK : end_closed(e, why);
}

size_t
sim_end_room(struct end *e)
{
    struct end *to = end_other(e);
    size_t used = to->rx_n + to->under_way;

    return used >= WINDOW ? 0 : WINDOW - used;
}

static enum rc
end_write(struct end *e, const void *p, size_t n_bytes, const int *fds, size_t fd_count, uint64_t deadline_us,
          struct why *why)
{
    struct sim *s = e->node->sim;
    const uint8_t *from = p;

    sim_point(s, SIM_POINT_NET);
    while (n_bytes > 0) {
        size_t n = sim_end_room(e);

        if (e->is_reset || e->wrote_fin)
            return end_closed(e, why);
        if (n == 0) {
            if (!sim_wait(s, &e->waiters, deadline_us, "write"))
                return why_set(why, RC_TIMEOUT, "%s:%u: does not take data", e->peer.host, e->peer.port);
            continue;
        }
        n = n < n_bytes ? n : n_bytes;
        end_send(e, MSG_DATA, from, n, fds, fd_count);
        fd_count = 0;
        from += n;
        n_bytes -= n;
    }
    return RC_OK;
}

static enum rc
n_write(struct net *net, int sock, const void *p, size_t n_bytes, uint64_t deadline_ms, struct why *why)
{
    struct sim_node *n = node_of(net);

    return end_write(stream_of(n, sock), p, n_bytes, NULL, 0, sim_deadline(n, deadline_ms), why);
}

static enum rc
n_write2(struct net *net, int sock, const void *p, size_t np, const void *q, size_t nq, uint64_t deadline_ms,
         struct why *why)
{
    enum rc rc = n_write(net, sock, p, np, deadline_ms, why);

    return rc != RC_OK ? rc : n_write(net, sock, q, nq, deadline_ms, why);
}

static enum rc
n_try_write(struct net *net, int sock, const void *p, size_t n_bytes, size_t *ret_n, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct end *e;
    size_t room;

    sim_point(n->sim, SIM_POINT_NET);
    e = stream_of(n, sock);
    if (e->is_reset || e->wrote_fin)
        return end_closed(e, why);
    room = sim_end_room(e);
    *ret_n = room < n_bytes ? room : n_bytes;
    if (*ret_n > 0)
        end_send(e, MSG_DATA, p, *ret_n, NULL, 0);
    return RC_OK;
}

static enum rc
n_send_file(struct net *net, int sock, int fd, uint64_t at, uint64_t n_bytes, uint64_t deadline_ms, struct why *why)
{
    struct sim_node *n = node_of(net);
    uint8_t part[8 * KB];
    size_t got;
    enum rc rc = RC_OK;

    for (; n_bytes > 0; at += got, n_bytes -= got) {
        if ((rc = io_pread(&n->io, fd, part, n_bytes < sizeof part ? n_bytes : sizeof part, at, &got, why)) != RC_OK)
            return rc;
        if (got == 0)
            return why_set(why, RC_IO, "file ends before the bytes to be sent");
        if ((rc = n_write(net, sock, part, got, deadline_ms, why)) != RC_OK)
            return rc;
    }
    return rc;
}

static enum rc
n_write_fds(struct net *net, int sock, const void *p, size_t n_bytes, const int *fds, size_t fd_count,
            uint64_t deadline_ms, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct end *e = stream_of(n, sock);

    CHECK(addr_is_unix(&e->peer) || addr_is_unix(&e->local));
    CHECK(fd_count <= FDS_MAX);
    return end_write(e, p, n_bytes, fds, fd_count, sim_deadline(n, deadline_ms), why);
}

static enum rc
n_read_fds(struct net *net, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, int *ret_fds,
           size_t fd_max, size_t *ret_fd_count, struct why *why)
{
    struct sim_node *n = node_of(net);
    struct end *e = stream_of(n, sock);
    enum rc rc;

    if ((rc = n_read(net, sock, p, cap, deadline_ms, ret_n, why)) != RC_OK)
        return rc;
    *ret_fd_count = 0;
    for (size_t i = 0; i < e->fd_count; i++) {
        sim_disk_take(n, e->fds[i]);
        if (i < fd_max)
            ret_fds[(*ret_fd_count)++] = e->fds[i];
        else
            io_close(&n->io, e->fds[i]);
    }
    e->fd_count = 0;
    return RC_OK;
}

static enum rc
n_local(struct net *net, int sock, struct net_addr *ret, struct why *why UNUSED)
{
    struct sim_sock *k = sim_sock_of(node_of(net), sock);

    *ret = k->is_listener ? k->local : k->end->local;
    return RC_OK;
}

static enum rc
n_peer(struct net *net, int sock, struct net_addr *ret, struct why *why UNUSED)
{
    *ret = stream_of(node_of(net), sock)->peer;
    return RC_OK;
}

static enum rc
n_host_name(struct net *net, char *out, size_t cap, struct why *why UNUSED)
{
    (void)snprintf(out, cap, "%s", node_of(net)->machine->name);
    return RC_OK;
}

static const struct net_ops sim_net_ops = {
    .listen = n_listen,
    .accept = n_accept,
    .connect = n_connect,
    .close = n_close,
    .shutdown = n_shutdown,
    .shutdown_write = n_shutdown_write,
    .read = n_read,
    .write = n_write,
    .write2 = n_write2,
    .send_file = n_send_file,
    .try_read = n_try_read,
    .try_write = n_try_write,
    .try_accept = n_try_accept,
    .write_fds = n_write_fds,
    .read_fds = n_read_fds,
    .local = n_local,
    .peer = n_peer,
    .host_name = n_host_name,
    .poller_new = sim_poller_new,
    .poller_free = sim_poller_free,
    .poller_set = sim_poller_set,
    .poller_wait = sim_poller_wait,
    .poller_wake = sim_poller_wake,
};

void
sim_net_init(struct sim_node *n)
{
    n->net.ops = &sim_net_ops;
    n->next_port = 40000;
}

void
sim_net_crash(struct sim_node *n, enum sim_crash how)
{
    struct mem_heap *was = sim_heap_enter();
    struct net_poller *p;

    for (size_t i = 0; i < n->sock_count; i++)
        if (n->socks[i] != NULL)
            sock_free(n, i, how == SIM_POWER);
    while ((p = n->pollers) != NULL) {
        n->pollers = p->next;
        mem_free(p);
    }
    sim_heap_leave(was);
}
