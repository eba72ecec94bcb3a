#include "core/net/net.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/net/poller_posix.h"

/*
 * Every socket is non-blocking in the kernel; a call that blocks tries first
 * and then waits in poll(2) until its deadline.
 */

#define BACKLOG 1024
#define FDS_MAX 8

static uint64_t
now_ms(void)
{
    struct timespec ts;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool
would_block(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK;
}

/* Until sock is ready for events (POLLIN, POLLOUT) or broken: RC_TIMEOUT at the deadline. */
static enum rc
wait_for(int sock, short events, uint64_t deadline_ms, struct why *why)
{
    struct pollfd pfd = { .fd = sock, .events = events };

    for (;;) {
        int timeout = -1, r;
        if (deadline_ms != FOREVER) {
            uint64_t now = now_ms(), left = deadline_ms > now ? deadline_ms - now : 0;
            timeout = left > INT_MAX ? INT_MAX : (int)left;
        }
        if ((r = poll(&pfd, 1, timeout)) > 0)
            return RC_OK;
        if (r < 0 && errno != EINTR)
            return why_errno(why, errno, "poll");
        if (deadline_ms != FOREVER && now_ms() >= deadline_ms)
            return why_set(why, RC_TIMEOUT, "timed out");
    }
}

union sock_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage any;
};

static enum rc
unix_addr(const struct net_addr *a, union sock_addr *ret, struct why *why)
{
    size_t n = strlen(a->host);

    memset(ret, 0, sizeof *ret);
    if (n >= sizeof ret->un.sun_path)
        return why_set(why, RC_BAD_CONFIG, "%s: path of a Unix socket has more than %zu bytes", a->host,
                       sizeof ret->un.sun_path - 1);
    ret->un.sun_family = AF_UNIX;
    memcpy(ret->un.sun_path, a->host, n);
    return RC_OK;
}

/* The addresses of a host, numeric without asking anybody; caller frees them. */
static enum rc
resolve(const struct net_addr *a, int flags, struct addrinfo **ret, struct why *why)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST | flags };
    char port[8];
    int r;

    snprintf(port, sizeof port, "%u", a->port);
    if ((r = getaddrinfo(a->host, port, &hints, ret)) != 0) {
        hints.ai_flags &= ~AI_NUMERICHOST;
        r = getaddrinfo(a->host, port, &hints, ret);
    }
    if (r == 0)
        return RC_OK;
    if (r == EAI_MEMORY)
        return why_rc(why, RC_NOMEM);
    return why_set(why, RC_UNREACHABLE, "host %s: %s", a->host, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
}

/* Numeric, an IPv4 peer of an IPv6 socket as IPv4; whoever is behind a Unix socket is this machine. */
static enum rc
addr_fill(const union sock_addr *from, socklen_t len, struct net_addr *ret, struct why *why)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    const char *at = host;
    unsigned number;
    int r;

    if (from->sa.sa_family == AF_UNIX) {
        snprintf(ret->host, sizeof ret->host, "%s", from->un.sun_path[0] == '/' ? from->un.sun_path : "127.0.0.1");
        ret->port = 0;
        return RC_OK;
    }
    r = getnameinfo(&from->sa, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (r != 0)
        return why_set(why, RC_IO, "address of a socket: %s", gai_strerror(r));
    if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL)
        at = host + 7;
    snprintf(ret->host, sizeof ret->host, "%.*s", (int)sizeof ret->host - 1, at);
    ret->port = sscanf(port, "%u", &number) == 1 ? (uint16_t)number : 0;
    return RC_OK;
}

/* Small replies leave at once; a peer that vanished is noticed within some minutes. */
static void
tune(int sock)
{
    const int on = 1, idle_s = 60, every_s = 10, count = 6;

    /* Comforts: a Unix socket has none of them. */
    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(sock, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(sock, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(sock, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static enum rc
px_local(struct net *n, int sock, struct net_addr *ret, struct why *why)
{
    union sock_addr a;
    socklen_t len = sizeof a;

    (void)n;
    memset(&a, 0, sizeof a);
    if (getsockname(sock, &a.sa, &len) != 0)
        return why_errno(why, errno, "address of socket %d", sock);
    return addr_fill(&a, len, ret, why);
}

static enum rc
px_peer(struct net *n, int sock, struct net_addr *ret, struct why *why)
{
    union sock_addr a;
    socklen_t len = sizeof a;

    (void)n;
    memset(&a, 0, sizeof a);
    if (getpeername(sock, &a.sa, &len) != 0)
        return why_errno(why, errno, "peer of socket %d", sock);
    return addr_fill(&a, len, ret, why);
}

/* A file that a dead server left: nobody answers there. */
static bool
unix_is_stale(const union sock_addr *a)
{
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale;

    if (sock < 0)
        return false;
    stale = connect(sock, &a->sa, sizeof a->un) != 0 && errno == ECONNREFUSED;
    (void)close(sock);      /* it carried nothing */
    return stale;
}

static enum rc
listen_unix(const struct net_addr *at, int *ret_sock, struct why *why)
{
    union sock_addr a;
    enum rc rc;
    int sock, r;

    if ((rc = unix_addr(at, &a, why)) != RC_OK)
        return rc;
    if ((sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
        return why_errno(why, errno, "socket");
    r = bind(sock, &a.sa, sizeof a.un);
    if (r != 0 && errno == EADDRINUSE && unix_is_stale(&a) && unlink(a.un.sun_path) == 0)
        r = bind(sock, &a.sa, sizeof a.un);
    /* Who may connect is a matter of the folder it is in. */
    if (r == 0 && chmod(a.un.sun_path, 0666) == 0 && listen(sock, BACKLOG) == 0) {
        *ret_sock = sock;
        return RC_OK;
    }
    rc = why_errno(why, errno, "listen on %s", at->host);
    (void)close(sock);      /* it carried nothing */
    return rc;
}

static enum rc
px_listen(struct net *n, const struct net_addr *at, int *ret_sock, struct net_addr *ret_bound, struct why *why)
{
    struct addrinfo *list = NULL;
    char text[NET_ADDR_TEXT];
    const int on = 1;
    enum rc rc;
    int sock = -1;

    if (at->host[0] == '/') {
        if ((rc = listen_unix(at, ret_sock, why)) == RC_OK)
            *ret_bound = *at;
        return rc;
    }
    if ((rc = resolve(at, AI_PASSIVE, &list, why)) != RC_OK)
        return rc;
    sock = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(sock, list->ai_addr, list->ai_addrlen) != 0 || listen(sock, BACKLOG) != 0) {
        rc = why_errno(why, errno, "listen on %s", net_addr_text(at, text));
        goto out;
    }
    if ((rc = px_local(n, sock, ret_bound, why)) != RC_OK)
        goto out;
    *ret_sock = sock;
    sock = -1;
out:
    if (sock >= 0)
        (void)close(sock);  /* it carried nothing */
    freeaddrinfo(list);
    return rc;
}

static enum rc
px_try_accept(struct net *n, int listener, int *ret_sock, struct net_addr *ret_peer, struct why *why)
{
    union sock_addr a;
    socklen_t len;
    enum rc rc;
    int sock;

    (void)n;
    do {
        memset(&a, 0, sizeof a);
        len = sizeof a;
        sock = accept4(listener, &a.sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (sock < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (sock < 0) {
        *ret_sock = -1;
        if (would_block(errno))
            return RC_OK;
        if (errno == EINVAL)    /* shut down by another thread */
            return why_set(why, RC_CLOSED, "listener shut down");
        return why_errno(why, errno, "accept");
    }
    tune(sock);
    if ((rc = addr_fill(&a, len, ret_peer, why)) != RC_OK) {
        (void)close(sock);      /* it carried nothing */
        return rc;
    }
    *ret_sock = sock;
    return RC_OK;
}

/* A Unix listener that was shut down is ready for ever, and yet has nobody to accept: accept says "not now". */
static bool
is_shut(int listener)
{
    struct pollfd pfd = { .fd = listener };

    return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP) != 0;
}

static enum rc
px_accept(struct net *n, int listener, uint64_t deadline_ms, int *ret_sock, struct net_addr *ret_peer, struct why *why)
{
    enum rc rc;

    for (;;) {
        if ((rc = px_try_accept(n, listener, ret_sock, ret_peer, why)) != RC_OK || *ret_sock >= 0)
            return rc;
        if (is_shut(listener))
            return why_set(why, RC_CLOSED, "listener shut down");
        if ((rc = wait_for(listener, POLLIN, deadline_ms, why)) != RC_OK)
            return rc;
    }
}

static enum rc
connect_one(int family, const struct sockaddr *sa, socklen_t sa_len, uint64_t deadline_ms, const char *to, int *ret_sock,
            struct why *why)
{
    int sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
    socklen_t len = sizeof err;
    enum rc rc = RC_OK;

    if (sock < 0)
        return why_errno(why, errno, "socket");
    if (connect(sock, sa, sa_len) != 0)
        err = errno;
    if (err == EINPROGRESS || err == EINTR) {
        if ((rc = wait_for(sock, POLLOUT, deadline_ms, why)) != RC_OK) {
            why_prefix(why, "connect to %s", to);
            goto out;
        }
        CHECK(getsockopt(sock, SOL_SOCKET, SO_ERROR, &err, &len) == 0);
    }
    if (err != 0) {
        rc = why_errno(why, would_block(err) || err == ENOENT ? ECONNREFUSED : err, "connect to %s", to);
        goto out;
    }
    tune(sock);
    *ret_sock = sock;
    sock = -1;
out:
    if (sock >= 0)
        (void)close(sock);      /* it carried nothing */
    return rc;
}

static enum rc
px_connect(struct net *n, const struct net_addr *to, uint64_t deadline_ms, int *ret_sock, struct why *why)
{
    struct addrinfo *list = NULL;
    char text[NET_ADDR_TEXT];
    union sock_addr a;
    enum rc rc;

    (void)n;
    net_addr_text(to, text);
    if (to->host[0] == '/') {
        if ((rc = unix_addr(to, &a, why)) != RC_OK)
            return rc;
        return connect_one(AF_UNIX, &a.sa, sizeof a.un, deadline_ms, text, ret_sock, why);
    }
    if ((rc = resolve(to, 0, &list, why)) != RC_OK)
        return rc;
    rc = why_set(why, RC_UNREACHABLE, "host %s has no address", to->host);
    for (struct addrinfo *ai = list; ai != NULL && rc != RC_OK && rc != RC_TIMEOUT; ai = ai->ai_next)
        rc = connect_one(ai->ai_family, ai->ai_addr, ai->ai_addrlen, deadline_ms, text, ret_sock, why);
    freeaddrinfo(list);
    return rc;
}

static void
px_close(struct net *n, int sock)
{
    (void)n;
    (void)close(sock);      /* what had to arrive was acknowledged by the peer before */
}

static void
px_shutdown(struct net *n, int sock)
{
    (void)n;
    (void)shutdown(sock, SHUT_RDWR);    /* fails when the peer was first */
}

static void
px_shutdown_write(struct net *n, int sock)
{
    (void)n;
    (void)shutdown(sock, SHUT_WR);      /* fails when the peer was first */
}

static enum rc
px_try_read(struct net *n, int sock, void *p, size_t cap, size_t *ret_n, struct why *why)
{
    ssize_t got;

    (void)n;
    do {
        got = recv(sock, p, cap, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        *ret_n = (size_t)got;
    else if (got == 0)
        return why_set(why, RC_CLOSED, "connection closed by the peer");
    else if (would_block(errno))
        *ret_n = 0;
    else
        return why_errno(why, errno, "read");
    return RC_OK;
}

static enum rc
px_read(struct net *n, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, struct why *why)
{
    enum rc rc;

    for (;;) {
        if ((rc = px_try_read(n, sock, p, cap, ret_n, why)) != RC_OK || *ret_n > 0)
            return rc;
        if ((rc = wait_for(sock, POLLIN, deadline_ms, why)) != RC_OK)
            return rc;
    }
}

static enum rc
px_try_write(struct net *n, int sock, const void *p, size_t n_bytes, size_t *ret_n, struct why *why)
{
    ssize_t put;

    (void)n;
    do {
        put = send(sock, p, n_bytes, MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    if (put >= 0)
        *ret_n = (size_t)put;
    else if (would_block(errno))
        *ret_n = 0;
    else
        return why_errno(why, errno, "write");
    return RC_OK;
}

/* All of the runs; the entries of iov are consumed. */
static enum rc
write_runs(int sock, struct msghdr *msg, uint64_t deadline_ms, struct why *why)
{
    enum rc rc;
    ssize_t put;

    while (msg->msg_iovlen > 0) {
        if (msg->msg_iov->iov_len == 0) {
            msg->msg_iov++;
            msg->msg_iovlen--;
            continue;
        }
        put = sendmsg(sock, msg, MSG_NOSIGNAL);
        if (put < 0 && would_block(errno)) {
            if ((rc = wait_for(sock, POLLOUT, deadline_ms, why)) != RC_OK)
                return rc;
            continue;
        }
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return why_errno(why, errno, "write");
        msg->msg_control = NULL;        /* descriptors went with the first bytes */
        msg->msg_controllen = 0;
        while (put > 0) {
            size_t step = (size_t)put < msg->msg_iov->iov_len ? (size_t)put : msg->msg_iov->iov_len;
            msg->msg_iov->iov_base = (uint8_t *)msg->msg_iov->iov_base + step;
            msg->msg_iov->iov_len -= step;
            put -= (ssize_t)step;
            if (msg->msg_iov->iov_len == 0) {
                msg->msg_iov++;
                msg->msg_iovlen--;
            }
        }
    }
    return RC_OK;
}

static enum rc
px_write2(struct net *n, int sock, const void *p, size_t np, const void *q, size_t nq, uint64_t deadline_ms,
          struct why *why)
{
    struct iovec iov[2] = { { (void *)p, np }, { (void *)q, nq } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

    (void)n;
    return write_runs(sock, &msg, deadline_ms, why);
}

static enum rc
px_write(struct net *n, int sock, const void *p, size_t n_bytes, uint64_t deadline_ms, struct why *why)
{
    return px_write2(n, sock, p, n_bytes, NULL, 0, deadline_ms, why);
}

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static enum rc
px_write_fds(struct net *n, int sock, const void *p, size_t n_bytes, const int *fds, size_t fd_count,
             uint64_t deadline_ms, struct why *why)
{
    struct iovec iov = { (void *)p, n_bytes };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    union control control;
    struct cmsghdr *c;

    (void)n;
    CHECK(fd_count <= FDS_MAX);
    CHECK(n_bytes > 0);
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof *fds);
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof *fds);
    }
    return write_runs(sock, &msg, deadline_ms, why);
}

/* Keeps up to fd_max descriptors of msg, closes any more. */
static size_t
fds_received(struct msghdr *msg, int *ret_fds, size_t fd_max)
{
    size_t kept = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t count;
        int fd;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof fd;
        for (size_t i = 0; i < count; i++) {
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (kept < fd_max)
                ret_fds[kept++] = fd;
            else
                (void)close(fd);    /* nobody asked for it */
        }
    }
    return kept;
}

static enum rc
px_read_fds(struct net *n, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, int *ret_fds,
            size_t fd_max, size_t *ret_fd_count, struct why *why)
{
    struct iovec iov = { p, cap };
    union control control;
    struct msghdr msg;
    enum rc rc;
    ssize_t got;

    (void)n;
    for (;;) {
        msg = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                               .msg_controllen = sizeof control.bytes };
        got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
        if (got > 0)
            break;
        if (got == 0)
            return why_set(why, RC_CLOSED, "connection closed by the peer");
        if (errno != EINTR && !would_block(errno))
            return why_errno(why, errno, "read");
        if (errno != EINTR && (rc = wait_for(sock, POLLIN, deadline_ms, why)) != RC_OK)
            return rc;
    }
    *ret_n = (size_t)got;
    *ret_fd_count = fds_received(&msg, ret_fds, fd_max);
    return RC_OK;
}

/* sendfile(2), without the SIGPIPE that it raises where send() can be told not to. */
static ssize_t
sendfile_quiet(int sock, int fd, off_t *at, size_t n)
{
    static const struct timespec now = { 0, 0 };
    sigset_t pipe_only, before, pending;
    bool was_pending;
    ssize_t put;
    int err;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    put = sendfile(sock, fd, at, n);
    err = errno;
    if (put < 0 && err == EPIPE && !was_pending)
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = err;
    return put;
}

static enum rc
px_send_file(struct net *n, int sock, int fd, uint64_t at, uint64_t n_bytes, uint64_t deadline_ms, struct why *why)
{
    off_t offset = (off_t)at;
    enum rc rc;
    ssize_t put;

    (void)n;
    while (n_bytes > 0) {
        put = sendfile_quiet(sock, fd, &offset, n_bytes > GB ? GB : (size_t)n_bytes);
        if (put > 0)
            n_bytes -= (uint64_t)put;
        else if (put == 0)
            return why_set(why, RC_EOF, "file ends at %lld, %llu bytes early", (long long)offset,
                           (unsigned long long)n_bytes);
        else if (would_block(errno)) {
            if ((rc = wait_for(sock, POLLOUT, deadline_ms, why)) != RC_OK)
                return rc;
        } else if (errno != EINTR)
            return why_errno(why, errno, "send file");
    }
    return RC_OK;
}

static enum rc
px_host_name(struct net *n, char *out, size_t cap, struct why *why)
{
    (void)n;
    if (cap == 0 || gethostname(out, cap) != 0)
        return why_errno(why, errno, "host name");
    out[cap - 1] = '\0';
    return RC_OK;
}

static const struct net_ops px_ops = {
    .listen = px_listen, .accept = px_accept, .connect = px_connect, .close = px_close, .shutdown = px_shutdown,
    .shutdown_write = px_shutdown_write, .read = px_read, .write = px_write, .write2 = px_write2,
    .send_file = px_send_file, .try_read = px_try_read, .try_write = px_try_write, .try_accept = px_try_accept,
    .write_fds = px_write_fds, .read_fds = px_read_fds, .local = px_local, .peer = px_peer, .host_name = px_host_name,
    .poller_new = poller_posix_new, .poller_free = poller_posix_free, .poller_set = poller_posix_set,
    .poller_wait = poller_posix_wait, .poller_wake = poller_posix_wake,
};

static const struct net px_net = { &px_ops };

struct net *
net_posix(void)
{
    return (struct net *)&px_net;       /* never written to */
}
