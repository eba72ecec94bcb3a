/*
 * simsock -- connections and sockets of the simulated network, as simnet.c and
 * simpoller.c share them.  On the ordinary heap.
 */
#ifndef TESTS_SIM_SIMSOCK_H
#define TESTS_SIM_SIMSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/net/net.h"
#include "tests/sim/sim_priv.h"

#define WINDOW ((size_t)256 * KB)       /* bytes under way and not yet read, for each direction */
#define BACKLOG_MAX 128
#define SOCK_FIRST 1000
#define FDS_MAX 8

enum message_kind { MSG_DATA, MSG_FIN, MSG_RST };

struct message {
    struct message *next;
    enum message_kind kind;
    uint64_t at_us;
    size_t n;
    int fds[FDS_MAX];                   /* of the receiving node's disk */
    size_t fd_count;
    uint8_t bytes[];
};

struct end {
    struct conn *conn;
    struct sim_node *node;
    unsigned incarnation;               /* of the node, when the end came to be */
    struct net_addr local, peer;
    struct sim_sock *sock;              /* NULL: not accepted yet, or closed */
    uint8_t *rx;                        /* arrived, not read: rx[rx_at .. rx_at + rx_n) */
    size_t rx_at, rx_n, rx_cap;
    size_t under_way;                   /* bytes sent to this end and not arrived */
    struct message *queue, **queue_end; /* to this end */
    uint64_t last_at_us;
    int fds[FDS_MAX];                   /* arrived beside bytes, not taken */
    size_t fd_count;
    bool is_closed, has_eof, is_reset, wrote_fin, was_shut;
    struct sim_waitq waiters;
};

struct conn {
    unsigned refs;                      /* open ends, events, places in a backlog */
    bool is_local;                      /* within one node: no latency, no loss */
    bool is_established, is_refused;
    struct end ends[2];                 /* 0 connected, 1 accepted */
};

struct sim_sock {
    struct sim_node *node;
    bool is_listener;
    struct net_addr local;              /* of a listener */
    struct conn *backlog[BACKLOG_MAX];
    size_t backlog_n;
    struct sim_waitq waiters;           /* of a listener */
    struct end *end;                    /* of a stream */
    struct net_poller *poller;
    unsigned events;
    void *tag;
};

struct net_poller {
    struct net_poller *next;
    struct sim_node *node;
    bool is_woken;
    struct sim_waitq waiters;
};

struct sim_sock *sim_sock_of(struct sim_node *n, int sock);
size_t sim_end_room(struct end *e);     /* bytes that e may send now */

enum rc sim_poller_new(struct net *net, struct net_poller **ret, struct why *why);
void sim_poller_free(struct net *net, struct net_poller *p);
enum rc sim_poller_set(struct net *net, struct net_poller *p, int sock, unsigned events, void *tag,
                        struct why *why);
enum rc sim_poller_wait(struct net *net, struct net_poller *p, uint64_t deadline_ms, struct net_ready *out, size_t max,
                         size_t *ret_n, struct why *why);
void sim_poller_wake(struct net *net, struct net_poller *p);

#endif
