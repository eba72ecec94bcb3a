#include "tests/sim/simpipes.h"

#include <string.h>

#include "core/base/check.h"
#include "tests/sim/sim_priv.h"

#define FD_FIRST 100000
#define ROOM ((size_t)64 * KB)          /* bytes sent to an end and not read */
#define BELL_ROOM ((size_t)16)
#define SEND_US UINT64_C(10000000)      /* what a sender waits for a peer that does not read */

struct packet {
    struct packet *next;
    int fds[PIPES_FDS];                 /* of no process while they are here */
    size_t fd_count, n;
    uint8_t bytes[];
};

/* One end.  On the ordinary heap, like everything here. */
struct pipe_end {
    struct sim *sim;
    enum pipes_kind kind;
    unsigned refs;                      /* descriptors, also those on their way */
    struct pipe_end *peer;              /* NULL: closed */
    bool is_shut;
    uint8_t *rx;                        /* of a stream: rx[0 .. rx_n) */
    size_t rx_n, rx_cap;                /* rx_n: bytes, of packets too */
    struct packet *queue;
    struct sim_waitq waiters;
    struct pipe_end *watched_with;      /* whose waiters are to know too; NULL: nobody */
};

struct sim_pipe_fd {
    struct pipe_end *end;               /* NULL: free */
    struct sim_node *owner;             /* NULL: on its way */
};

static struct sim_node *node_of(struct pipes *p) { return CONTAINER_OF(p, struct sim_node, pipes); }
struct pipes *sim_node_pipes(struct sim_node *n) { return &n->pipes; }

static void
end_notify(struct pipe_end *e)
{
    sim_wake_all(e->sim, &e->waiters);
    if (e->watched_with != NULL)
        sim_wake_all(e->sim, &e->watched_with->waiters);
}

static int
fd_new(struct sim_node *n, struct pipe_end *e, struct sim_node *owner)
{
    struct sim_node *m = n->machine;
    size_t i;

    for (i = 0; i < m->pipe_fd_count && m->pipe_fds[i].end != NULL; i++)
        ;
    if (i == m->pipe_fd_count) {
        struct mem_heap *was = sim_heap_enter();

        m->pipe_fd_count = m->pipe_fd_count == 0 ? 32 : 2 * m->pipe_fd_count;
        m->pipe_fds = mem_realloc(m->pipe_fds, m->pipe_fd_count * sizeof *m->pipe_fds);
        CHECK(m->pipe_fds != NULL);
        memset(m->pipe_fds + i, 0, (m->pipe_fd_count - i) * sizeof *m->pipe_fds);
        sim_heap_leave(was);
    }
    m->pipe_fds[i] = (struct sim_pipe_fd){ e, owner };
    e->refs++;
    return (int)i + FD_FIRST;
}

static struct sim_pipe_fd *
entry_of(struct sim_node *n, int fd)
{
    size_t i = (size_t)(fd - FD_FIRST);

    CHECK(fd >= FD_FIRST && i < n->machine->pipe_fd_count && n->machine->pipe_fds[i].end != NULL);
    return &n->machine->pipe_fds[i];
}

void sim_pipes_take(struct sim_node *n, int fd) { entry_of(n, fd)->owner = n; }

static void fd_drop(struct sim_node *n, int fd);

static void
end_drop(struct sim_node *n, struct pipe_end *e)
{
    struct mem_heap *was;
    struct packet *k;

    if (--e->refs > 0)
        return;
    if (e->peer != NULL) {
        e->peer->peer = NULL;
        end_notify(e->peer);
    }
    sim_wake_all(e->sim, &e->waiters);
    was = sim_heap_enter();
    while ((k = e->queue) != NULL) {
        e->queue = k->next;
        for (size_t i = 0; i < k->fd_count; i++)
            fd_drop(n, k->fds[i]);
        mem_free(k);
    }
    mem_free(e->rx);
    mem_free(e);
    sim_heap_leave(was);
}

/* Of a pipe or of a file. */
static void
fd_drop(struct sim_node *n, int fd)
{
    struct sim_pipe_fd *f;
    struct pipe_end *e;

    if (fd < FD_FIRST) {
        sim_disk_close(n, fd);
        return;
    }
    f = entry_of(n, fd);
    e = f->end;
    f->end = NULL;
    end_drop(n, e);
}

static struct pipe_end *
end_new(struct sim_node *n, enum pipes_kind kind)
{
    struct pipe_end *e = sim_alloc(sizeof *e);

    e->sim = n->sim;
    e->kind = kind;
    return e;
}

static enum rc
p_pair(struct pipes *p, enum pipes_kind kind, int ret[2], struct why *why UNUSED)
{
    struct sim_node *n = node_of(p);
    struct pipe_end *a, *b;

    sim_point(n->sim, SIM_POINT_LOCK);
    a = end_new(n, kind);
    b = end_new(n, kind);
    a->peer = b;
    b->peer = a;
    ret[0] = fd_new(n, a, n);
    ret[1] = fd_new(n, b, n);
    return RC_OK;
}

static void
p_close(struct pipes *p, int fd)
{
    fd_drop(node_of(p), fd);
    sim_point(node_of(p)->sim, SIM_POINT_LOCK);
}

static void
p_shutdown(struct pipes *p, int fd)
{
    struct pipe_end *e = entry_of(node_of(p), fd)->end;

    e->is_shut = true;
    end_notify(e);
    if (e->peer != NULL) {
        e->peer->is_shut = true;        /* what is there can still be read */
        end_notify(e->peer);
    }
}

static enum rc
p_read(struct pipes *p, int fd, void *to, size_t cap, size_t *ret_n, struct why *why)
{
    struct sim_node *n = node_of(p);
    struct pipe_end *e;

    sim_point(n->sim, SIM_POINT_NET);
    e = entry_of(n, fd)->end;
    while (e->rx_n == 0) {
        if (e->peer == NULL || e->is_shut)
            return why_rc(why, RC_CLOSED);
        if (e->kind == PIPES_LOG || e->kind == PIPES_BELL)
            return why_rc(why, RC_TIMEOUT);
        (void)sim_wait(n->sim, &e->waiters, FOREVER, "pipe to be filled");     /* looked at again above */
    }
    *ret_n = e->rx_n < cap ? e->rx_n : cap;
    memcpy(to, e->rx, *ret_n);
    e->rx_n -= *ret_n;
    memmove(e->rx, e->rx + *ret_n, e->rx_n);
    if (e->peer != NULL)
        end_notify(e->peer);            /* there is room again */
    return RC_OK;
}

static void
end_take(struct pipe_end *e, const void *p, size_t n)
{
    if (e->rx_n + n > e->rx_cap) {
        struct mem_heap *was = sim_heap_enter();

        e->rx_cap = 2 * (e->rx_n + n);
        e->rx = mem_realloc(e->rx, e->rx_cap);
        CHECK(e->rx != NULL);
        sim_heap_leave(was);
    }
    memcpy(e->rx + e->rx_n, p, n);
    e->rx_n += n;
    end_notify(e);
}

static enum rc
p_write(struct pipes *p, int fd, const void *from, size_t n_bytes, struct why *why)
{
    struct sim_node *n = node_of(p);
    struct pipe_end *e;

    sim_point(n->sim, SIM_POINT_NET);
    e = entry_of(n, fd)->end;
    for (size_t done = 0; done < n_bytes;) {
        size_t room = e->kind == PIPES_BELL ? BELL_ROOM : ROOM, part = n_bytes - done;

        if (e->peer == NULL || e->is_shut)
            return why_rc(why, RC_CLOSED);
        if (e->peer->rx_n >= room) {
            if (e->kind == PIPES_BELL)
                return RC_OK;           /* it rings already */
            (void)sim_wait(n->sim, &e->waiters, FOREVER, "pipe to be read");   /* looked at again above */
            continue;
        }
        part = part < room - e->peer->rx_n ? part : room - e->peer->rx_n;
        end_take(e->peer, (const uint8_t *)from + done, part);
        done += part;
    }
    return RC_OK;
}

/* A descriptor beside a packet: of nobody until it is received. */
static int
fd_send(struct sim_node *n, int fd)
{
    return fd < FD_FIRST ? sim_disk_dup(n, fd) : fd_new(n, entry_of(n, fd)->end, NULL);
}

static enum rc
p_send(struct pipes *p, int fd, const void *from, size_t n_bytes, const int *fds, size_t fd_count, struct why *why)
{
    struct sim_node *n = node_of(p);
    struct packet *k, **end;
    struct pipe_end *e;

    sim_point(n->sim, SIM_POINT_NET);
    e = entry_of(n, fd)->end;
    while (e->peer != NULL && !e->is_shut && e->peer->rx_n >= ROOM)
        if (!sim_wait(n->sim, &e->waiters, n->sim->now_us + SEND_US, "peer to take a packet"))
            return why_set(why, RC_TIMEOUT, "the worker does not take what is sent to it");
    if (e->peer == NULL || e->is_shut)
        return why_rc(why, RC_CLOSED);
    k = sim_alloc(sizeof *k + n_bytes);
    k->n = n_bytes;
    memcpy(k->bytes, from, n_bytes);
    for (size_t i = 0; i < fd_count; i++)
        k->fds[k->fd_count++] = fd_send(n, fds[i]);
    for (end = &e->peer->queue; *end != NULL; end = &(*end)->next)
        ;
    *end = k;
    e->peer->rx_n += n_bytes;
    end_notify(e->peer);
    return RC_OK;
}

static enum rc
p_receive(struct pipes *p, int fd, void *to, size_t cap, size_t *ret_n, int ret_fds[PIPES_FDS], size_t *ret_fd_count,
          struct why *why)
{
    struct sim_node *n = node_of(p);
    struct mem_heap *was;
    struct pipe_end *e;
    struct packet *k;

    sim_point(n->sim, SIM_POINT_NET);
    e = entry_of(n, fd)->end;
    while ((k = e->queue) == NULL) {
        if (e->peer == NULL || e->is_shut)
            return why_rc(why, RC_CLOSED);
        (void)sim_wait(n->sim, &e->waiters, FOREVER, "a packet");       /* looked at again above */
    }
    CHECK(k->n <= cap);
    memcpy(to, k->bytes, k->n);
    *ret_n = k->n;
    *ret_fd_count = k->fd_count;
    for (size_t i = 0; i < k->fd_count; i++) {
        ret_fds[i] = k->fds[i];
        if (k->fds[i] < FD_FIRST)
            sim_disk_take(n, k->fds[i]);
        else
            sim_pipes_take(n, k->fds[i]);
    }
    e->queue = k->next;
    e->rx_n -= k->n;
    was = sim_heap_enter();
    mem_free(k);
    sim_heap_leave(was);
    if (e->peer != NULL)
        end_notify(e->peer);
    return RC_OK;
}

static enum rc
p_memory_file(struct pipes *p, const char *name UNUSED, const void *from, size_t n, int *ret_fd, struct why *why UNUSED)
{
    sim_point(node_of(p)->sim, SIM_POINT_LOCK);
    *ret_fd = sim_disk_memory_file(node_of(p), from, n);
    return RC_OK;
}

static enum rc
p_memory_read(struct pipes *p, int fd, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why)
{
    const uint8_t *from;
    size_t n;

    sim_point(node_of(p)->sim, SIM_POINT_LOCK);
    n = sim_disk_contents(node_of(p), fd, &from);
    if (n > limit)
        return why_set(why, RC_BAD_MESSAGE, "a message of %zu bytes", n);
    if ((*ret = mem_alloc(n + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (n > 0)
        memcpy(*ret, from, n);
    *ret_n = n;
    return RC_OK;
}

/* What watches: the first of them has the waiters, the others know it while somebody waits. */
static enum rc
p_watch(struct pipes *p, struct pipes_watch *watches, size_t n_watches, uint64_t timeout_ms, struct why *why UNUSED)
{
    struct sim_node *n = node_of(p);
    uint64_t deadline = timeout_ms >= FOREVER / 1000 ? FOREVER : n->sim->now_us + timeout_ms * 1000;

    sim_point(n->sim, SIM_POINT_NET);
    for (;;) {
        struct pipe_end *first = NULL, *e;
        bool is_any_ready = false, in_time = true;

        for (size_t i = 0; i < n_watches; i++) {
            watches[i].is_ready = false;
            if (watches[i].fd < 0)
                continue;
            e = entry_of(n, watches[i].fd)->end;
            first = first != NULL ? first : e;
            e->watched_with = first;
            watches[i].is_ready = e->rx_n > 0 || e->queue != NULL || e->peer == NULL || e->is_shut;
            is_any_ready = is_any_ready || watches[i].is_ready;
        }
        CHECK(first != NULL);
        if (!is_any_ready)
            in_time = sim_wait(n->sim, &first->waiters, deadline, "one of several pipes");
        for (size_t i = 0; i < n_watches; i++)
            if (watches[i].fd >= 0)
                entry_of(n, watches[i].fd)->end->watched_with = NULL;
        if (is_any_ready || !in_time)
            return RC_OK;
    }
}

static const struct pipes_ops sim_pipes_ops = {
    .pair = p_pair,
    .close = p_close,
    .shutdown = p_shutdown,
    .read = p_read,
    .write = p_write,
    .send = p_send,
    .receive = p_receive,
    .memory_file = p_memory_file,
    .memory_read = p_memory_read,
    .watch = p_watch,
};

void sim_pipes_init(struct sim_node *n) { n->pipes.ops = &sim_pipes_ops; }

void
sim_pipes_crash(struct sim_node *n)
{
    struct sim_node *m = n->machine;

    for (size_t i = 0; i < m->pipe_fd_count; i++)       /* nobody of them waits any more */
        if (m->pipe_fds[i].end != NULL && m->pipe_fds[i].owner == n)
            m->pipe_fds[i].end->watched_with = NULL;
    for (size_t i = 0; i < m->pipe_fd_count; i++)
        if (m->pipe_fds[i].end != NULL && m->pipe_fds[i].owner == n)
            fd_drop(n, (int)i + FD_FIRST);
}

unsigned
sim_pipes_open_count(const struct sim_node *n)
{
    unsigned count = 0;

    for (size_t i = 0; i < n->machine->pipe_fd_count; i++)
        count += n->machine->pipe_fds[i].end != NULL && n->machine->pipe_fds[i].owner == n;
    return count;
}

void
sim_pipes_fini(struct sim_node *machine)
{
    mem_free(machine->pipe_fds);        /* every process has ended */
    machine->pipe_fds = NULL;
    machine->pipe_fd_count = 0;
}
