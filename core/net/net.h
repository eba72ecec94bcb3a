/*
 * net -- stream sockets.
 *
 * struct net is the table through which every peer is reached: net_posix is the
 * kernel's TCP, the simulator's network is another.  Sockets are ints of that
 * table.  Calls block until done or until the deadline (mono ms, FOREVER);
 * a poller waits for many sockets at once (libevent in net_posix).
 *
 * Failures: RC_TIMEOUT, RC_CLOSED (the peer ended the connection, also at a
 * reset), RC_REFUSED, RC_UNREACHABLE, RC_ADDRESS_IN_USE, RC_NO_DESCRIPTORS.
 */
#ifndef CORE_NET_NET_H
#define CORE_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"

/*
 * A host as people write it (name or numeric, IPv6 without brackets) and a port;
 * or a Unix socket: host is its absolute path and port is 0.
 */
struct net_addr {
    char host[256];
    uint16_t port;
};

#define NET_ADDR_TEXT 272

/* "host:port", "[v6]:port", or "host" with default_port. */
enum rc net_addr_parse(const char *text, uint16_t default_port, struct net_addr *ret, struct why *why) MUST_CHECK;
/* Of a NameNode: "hdfs://host", "hdfs://host:port", either with a path behind it. */
enum rc net_addr_parse_hdfs(const char *uri, struct net_addr *ret, struct why *why) MUST_CHECK;
const char *net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT]);
bool net_addr_is_loopback(const struct net_addr *a);    /* 127.0.0.0/8, ::1, localhost */

enum net_events { NET_READ = 1, NET_WRITE = 2 };

struct net_ready {
    void *tag;
    unsigned events;    /* NET_READ also at the end of the stream or an error */
};

struct net_poller;      /* each table defines its own */

struct net;

struct net_ops {
    /* port 0: any free one; the bound address, numeric, is put in *ret_bound. */
    enum rc (*listen)(struct net *n, const struct net_addr *at, int *ret_sock, struct net_addr *ret_bound, struct why *why);
    enum rc (*accept)(struct net *n, int listener, uint64_t deadline_ms, int *ret_sock, struct net_addr *ret_peer,
                      struct why *why);
    enum rc (*connect)(struct net *n, const struct net_addr *to, uint64_t deadline_ms, int *ret_sock, struct why *why);
    void (*close)(struct net *n, int sock);
    void (*shutdown)(struct net *n, int sock);  /* both ways: whoever blocks on it wakes with RC_CLOSED */
    void (*shutdown_write)(struct net *n, int sock);
    /* At least one byte; RC_CLOSED at the end of the stream. */
    enum rc (*read)(struct net *n, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, struct why *why);
    /* All n bytes. */
    enum rc (*write)(struct net *n, int sock, const void *p, size_t n_bytes, uint64_t deadline_ms, struct why *why);
    /* Two runs as one write (a header and its data). */
    enum rc (*write2)(struct net *n, int sock, const void *p, size_t np, const void *q, size_t nq, uint64_t deadline_ms,
                      struct why *why);
    /* Bytes of an io descriptor straight to the socket, all of them. */
    enum rc (*send_file)(struct net *n, int sock, int fd, uint64_t at, uint64_t n_bytes, uint64_t deadline_ms,
                         struct why *why);
    /* Without blocking; *ret_n 0 means "not now", RC_CLOSED the end. */
    enum rc (*try_read)(struct net *n, int sock, void *p, size_t cap, size_t *ret_n, struct why *why);
    enum rc (*try_write)(struct net *n, int sock, const void *p, size_t n_bytes, size_t *ret_n, struct why *why);
    enum rc (*try_accept)(struct net *n, int listener, int *ret_sock, struct net_addr *ret_peer, struct why *why); /* *ret_sock -1: none */
    /* Over a Unix socket: one run of bytes with up to 8 io descriptors beside it (SCM_RIGHTS).  The sender keeps
     * its descriptors; the receiver owns what it gets.  *ret_fd_count is the number received. */
    enum rc (*write_fds)(struct net *n, int sock, const void *p, size_t n_bytes, const int *fds, size_t fd_count,
                         uint64_t deadline_ms, struct why *why);
    enum rc (*read_fds)(struct net *n, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, int *ret_fds,
                        size_t fd_max, size_t *ret_fd_count, struct why *why);
    enum rc (*local)(struct net *n, int sock, struct net_addr *ret, struct why *why);
    enum rc (*peer)(struct net *n, int sock, struct net_addr *ret, struct why *why);
    enum rc (*host_name)(struct net *n, char *out, size_t cap, struct why *why);    /* of this machine */

    enum rc (*poller_new)(struct net *n, struct net_poller **ret, struct why *why);
    void (*poller_free)(struct net *n, struct net_poller *p);
    /* Watch sock for events (0: no longer).  One watch a socket. */
    enum rc (*poller_set)(struct net *n, struct net_poller *p, int sock, unsigned events, void *tag, struct why *why);
    /* Up to max ready sockets; 0 at the deadline or after poller_wake. */
    enum rc (*poller_wait)(struct net *n, struct net_poller *p, uint64_t deadline_ms, struct net_ready *out, size_t max,
                           size_t *ret_n, struct why *why);
    void (*poller_wake)(struct net *n, struct net_poller *p);   /* from any thread */
};

struct net {
    const struct net_ops *ops;
};

struct net *net_posix(void);

/* The real world: kernel clock, getrandom, io_posix, threads_posix, net_posix. */
void world_posix(struct world *ret);

static inline enum rc net_listen(struct net *n, const struct net_addr *at, int *ret_sock, struct net_addr *ret_bound,
                                 struct why *why)
{
    return n->ops->listen(n, at, ret_sock, ret_bound, why);
}
static inline enum rc net_accept(struct net *n, int listener, uint64_t deadline_ms, int *ret_sock,
                                 struct net_addr *ret_peer, struct why *why)
{
    return n->ops->accept(n, listener, deadline_ms, ret_sock, ret_peer, why);
}
static inline enum rc net_connect(struct net *n, const struct net_addr *to, uint64_t deadline_ms, int *ret_sock,
                                  struct why *why)
{
    return n->ops->connect(n, to, deadline_ms, ret_sock, why);
}
static inline void net_close(struct net *n, int sock) { n->ops->close(n, sock); }
static inline void net_shutdown(struct net *n, int sock) { n->ops->shutdown(n, sock); }
static inline enum rc net_read(struct net *n, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n,
                               struct why *why)
{
    return n->ops->read(n, sock, p, cap, deadline_ms, ret_n, why);
}
static inline enum rc net_write(struct net *n, int sock, const void *p, size_t n_bytes, uint64_t deadline_ms,
                                struct why *why)
{
    return n->ops->write(n, sock, p, n_bytes, deadline_ms, why);
}

/* Exactly n_bytes; RC_CLOSED when the stream ends before. */
enum rc net_read_all(struct net *n, int sock, void *p, size_t n_bytes, uint64_t deadline_ms, struct why *why) MUST_CHECK;

#endif
