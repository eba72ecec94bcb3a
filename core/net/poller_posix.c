#include "core/net/poller_posix.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

struct watch {
    struct net_poller *poller;
    struct event event;
    unsigned events;
    void *tag;
};

struct net_poller {
    struct event_base *base;
    struct watch **by_sock;     /* NULL where nothing is watched */
    size_t sock_cap;
    int wake_fd;
    struct event wake, timeout;
    struct net_ready *out;      /* of the wait under way */
    size_t n, max;
};

static uint64_t
now_us(void)
{
    struct timespec ts;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
on_ready(evutil_socket_t sock, short what, void *arg)
{
    struct watch *w = arg;
    struct net_poller *p = w->poller;

    (void)sock;
    p->out[p->n++] = (struct net_ready){
        .tag = w->tag,
        .events = ((what & EV_READ) ? (unsigned)NET_READ : 0) | ((what & EV_WRITE) ? (unsigned)NET_WRITE : 0),
    };
    if (p->n == p->max)
        event_base_loopbreak(p->base);  /* the rest stays active for the next wait */
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;

    (void)what;
    (void)arg;
    if (read(fd, &count, sizeof count) < 0)
        CHECK(errno == EAGAIN || errno == EINTR);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;      /* that the loop turned is all there is to it */
}

enum rc
poller_posix_new(struct net *n, struct net_poller **ret, struct why *why)
{
    struct net_poller *p = mem_zalloc(sizeof *p);
    struct event_config *config = event_config_new();
    enum rc rc = RC_NOMEM;

    if (p == NULL || config == NULL)
        goto out;
    p->wake_fd = -1;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) != 0 ||
        (p->base = event_base_new_with_config(config)) == NULL)
        goto out;
    if ((p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
        rc = why_errno(why, errno, "eventfd");
        goto out_why;
    }
    if (event_assign(&p->wake, p->base, p->wake_fd, EV_READ | EV_PERSIST, on_wake, p) != 0 ||
        event_assign(&p->timeout, p->base, -1, 0, on_timeout, p) != 0 || event_add(&p->wake, NULL) != 0)
        goto out;
    *ret = p;
    p = NULL;
    rc = RC_OK;
out:
    if (rc == RC_NOMEM)
        why_rc(why, rc);
out_why:
    if (config != NULL)
        event_config_free(config);
    poller_posix_free(n, p);
    return rc;
}

void
poller_posix_free(struct net *n, struct net_poller *p)
{
    (void)n;
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->sock_cap; i++) {
        if (p->by_sock[i] == NULL)
            continue;
        event_del(&p->by_sock[i]->event);
        mem_free(p->by_sock[i]);
    }
    mem_free(p->by_sock);
    if (p->base != NULL)
        event_base_free(p->base);
    if (p->wake_fd >= 0)
        (void)close(p->wake_fd);    /* nothing is in it */
    mem_free(p);
}

static enum rc
room_for(struct net_poller *p, int sock)
{
    size_t cap = (size_t)sock + 64;
    struct watch **more;

    if ((size_t)sock < p->sock_cap)
        return RC_OK;
    if ((more = mem_realloc(p->by_sock, cap * sizeof *more)) == NULL)
        return RC_NOMEM;
    memset(more + p->sock_cap, 0, (cap - p->sock_cap) * sizeof *more);
    p->by_sock = more;
    p->sock_cap = cap;
    return RC_OK;
}

enum rc
poller_posix_set(struct net *n, struct net_poller *p, int sock, unsigned events, void *tag, struct why *why)
{
    short what = (short)(EV_PERSIST | ((events & NET_READ) ? EV_READ : 0) | ((events & NET_WRITE) ? EV_WRITE : 0));
    struct watch *w;

    (void)n;
    CHECK(sock >= 0);
    if (events == 0 && ((size_t)sock >= p->sock_cap || p->by_sock[sock] == NULL))
        return RC_OK;
    if (room_for(p, sock) != RC_OK)
        return why_rc(why, RC_NOMEM);
    w = p->by_sock[sock];
    if (w != NULL && events == w->events) {
        w->tag = tag;
        return RC_OK;
    }
    if (w != NULL)
        event_del(&w->event);
    if (events == 0) {
        p->by_sock[sock] = NULL;
        mem_free(w);
        return RC_OK;
    }
    if (w == NULL && (w = p->by_sock[sock] = mem_zalloc(sizeof *w)) == NULL)
        return why_rc(why, RC_NOMEM);
    w->poller = p;
    w->events = events;
    w->tag = tag;
    if (event_assign(&w->event, p->base, sock, what, on_ready, w) == 0 && event_add(&w->event, NULL) == 0)
        return RC_OK;
    p->by_sock[sock] = NULL;
    mem_free(w);
    return why_set(why, RC_NOMEM, "cannot watch socket %d", sock);
}

enum rc
poller_posix_wait(struct net *n, struct net_poller *p, uint64_t deadline_ms, struct net_ready *out, size_t max,
                  size_t *ret_n, struct why *why)
{
    uint64_t now = deadline_ms == FOREVER ? 0 : now_us();
    uint64_t left_us = deadline_ms == FOREVER || deadline_ms <= now / 1000 ? 0 : deadline_ms * 1000 - now;
    bool timed = deadline_ms != FOREVER && left_us > 0;
    /* ONCE also then: without it libevent goes on until nothing is ready, and what is ready is not read in between. */
    int flags = EVLOOP_ONCE | (deadline_ms != FOREVER && left_us == 0 ? EVLOOP_NONBLOCK : 0);
    struct timeval tv = { .tv_sec = (time_t)(left_us / 1000000), .tv_usec = (suseconds_t)(left_us % 1000000) };

    (void)n;
    p->out = out;
    p->max = max;
    p->n = 0;
    if (timed && event_add(&p->timeout, &tv) != 0)
        return why_rc(why, RC_NOMEM);
    if (event_base_loop(p->base, flags) < 0)
        return why_errno(why, errno, "poll");
    if (timed)
        event_del(&p->timeout);
    *ret_n = p->n;
    p->out = NULL;
    return RC_OK;
}

void
poller_posix_wake(struct net *n, struct net_poller *p)
{
    uint64_t one = 1;

    (void)n;
    /* Only a counter that is already full is refused, and then the wait wakes anyway. */
    if (write(p->wake_fd, &one, sizeof one) < 0)
        CHECK(errno == EAGAIN || errno == EINTR);
}
