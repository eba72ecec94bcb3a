#include "core/rpc/server_priv.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/table.h"
#include "core/io/thread.h"

static void on_ready(void *arg, unsigned events);

static uint64_t
now_ms(const struct rpc_conn *c)
{
    return clock_mono_ms(c->server->w.clock);
}

static void
conn_free(struct rpc_conn *c)
{
    DL_DELETE(c->server->conns, c);
    c->server->conn_count--;
    frame_fini(&c->frame);
    mem_free(c);
}

/* Written, or never to be. */
static void
out_done(struct rpc_conn *c, struct rpc_out *out)
{
    if (out->held != NULL) {
        c->inflight--;
        c->server->large -= out->held->large;
        rpc_held_free(out->held);
        return;
    }
    mem_free(out->bytes);
    mem_free(out);
}

void
rpc_conn_close(struct rpc_conn *c)
{
    struct rpc_server *s = c->server;
    struct rpc_out *out, *next;
    struct why why;

    if (c->sock >= 0) {
        CHECK(loop_watch(s->loop, c->sock, 0, on_ready, c, &why) == RC_OK);
        net_close(s->w.net, c->sock);
        c->sock = -1;
        s->kept -= c->kept;
        c->kept = 0;
    }
    for (out = c->out_first; out != NULL; out = next) {
        next = out->next;
        out_done(c, out);
    }
    c->out_first = NULL;
    c->out_last = &c->out_first;
    s->out_bytes -= c->out_bytes;
    c->out_bytes = 0;
    if (c->inflight == 0 && !c->touched)    /* else the last reply frees it */
        conn_free(c);
}

static void
out_append(struct rpc_conn *c, struct rpc_out *out)
{
    if (c->out_first == NULL)
        c->written_ms = now_ms(c);
    out->next = NULL;
    *c->out_last = out;
    c->out_last = &out->next;
    c->out_bytes += out->n;
    c->server->out_bytes += out->n;
}

/* What the frame layer answered, as output; takes b's bytes. */
static bool
answers_append(struct rpc_conn *c, struct buf *b)
{
    struct rpc_out *out;
    bool ok = buf_ok(b);

    if (ok && b->n > 0) {
        if ((out = mem_zalloc(sizeof *out)) != NULL) {
            out->bytes = buf_take(b, &out->n);
            out_append(c, out);
        }
        ok = out != NULL;
    }
    buf_fini(b);
    return ok;
}

/* n bytes of the output were written. */
static void
out_advance(struct rpc_conn *c, size_t n)
{
    c->out_bytes -= n;
    c->server->out_bytes -= n;
    c->written_ms = c->active_ms = now_ms(c);
    while (n > 0) {
        struct rpc_out *out = c->out_first;
        size_t step = n < out->n - out->at ? n : out->n - out->at;
        out->at += step;
        n -= step;
        if (out->at < out->n)
            return;
        if ((c->out_first = out->next) == NULL)
            c->out_last = &c->out_first;
        out_done(c, out);
    }
}

/* The next bytes to write: one large output, or several small ones joined. */
static struct span
out_gather(struct rpc_conn *c)
{
    struct rpc_out *out = c->out_first;
    uint8_t *to = c->server->gather;
    size_t n = 0;

    if (out->next == NULL || out->n - out->at >= RPC_GATHER_BYTES)
        return (struct span){ out->bytes + out->at, out->n - out->at };
    for (; out != NULL && out->n - out->at <= RPC_GATHER_BYTES - n; out = out->next) {
        memcpy(to + n, out->bytes + out->at, out->n - out->at);
        n += out->n - out->at;
    }
    return (struct span){ to, n };
}

/* Write what the socket takes; false when the connection is broken. */
static bool
conn_write(struct rpc_conn *c)
{
    struct net *net = c->server->w.net;
    struct why why;
    struct span s;
    size_t n;

    while (c->out_first != NULL) {
        s = out_gather(c);
        if (net->ops->try_write(net, c->sock, s.p, s.n, &n, &why) != RC_OK)
            return false;
        if (n == 0)
            return true;
        out_advance(c, n);
    }
    return true;
}

static bool
conn_is_loaded(const struct rpc_conn *c)
{
    return c->inflight >= c->server->o.inflight_max || c->out_bytes >= RPC_OUT_HIGH;
}

/* Handle what came in, as far as the connection's limits let; false when it is to be closed at once. */
static bool
conn_take(struct rpc_conn *c, const uint8_t *p, size_t n)
{
    struct rpc_server *s = c->server;
    enum frame_event event = FRAME_MORE;
    size_t before = frame_kept(&c->frame);
    struct frame_call fc;
    struct buf answers;

    buf_init(&answers, 64 * KB);
    if (frame_give(&c->frame, p, n) != RC_OK)
        return false;
    while (!(c->held = conn_is_loaded(c)) && (event = frame_next(&c->frame, &s->scratch, &answers, &fc)) == FRAME_CALL)
        if (!rpc_call_begin(c, &fc)) {
            buf_fini(&answers);
            return false;
        }
    c->closing = event == FRAME_CLOSE;
    if (!answers_append(c, &answers) || frame_keep(&c->frame) != RC_OK)
        return false;
    if (before == 0 || frame_kept(&c->frame) < before + n)      /* a frame ended, another began */
        c->partial_ms = now_ms(c);
    s->kept += frame_kept(&c->frame) - c->kept;
    c->kept = frame_kept(&c->frame);
    /* Many peers may each be in the middle of a large frame: whoever goes past the sum is closed. */
    return s->kept <= RPC_KEPT_HIGH + s->o.frame_max || c->kept < RPC_IN_BYTES * 2;
}

/*
 * Write, read on from what was kept back if there is room again, and watch for
 * what is now of use.  c may be gone afterwards.
 */
static void
conn_settle(struct rpc_conn *c)
{
    struct rpc_server *s = c->server;
    unsigned want;
    struct why why;

    for (;;) {
        if (!conn_write(c) || (c->closing && c->out_first == NULL))
            goto close;
        if (!c->held || conn_is_loaded(c) || c->closing)
            break;
        if (!conn_take(c, NULL, 0))
            goto close;
    }
    want = (c->held || c->closing ? 0 : (unsigned)NET_READ) | (c->out_first != NULL ? (unsigned)NET_WRITE : 0);
    if (want == c->watched)
        return;
    if (loop_watch(s->loop, c->sock, want, on_ready, c, &why) != RC_OK)
        goto close;
    c->watched = want;
    return;
close:
    rpc_conn_close(c);
}

static void
on_ready(void *arg, unsigned events)
{
    struct rpc_conn *c = arg;
    struct rpc_server *s = c->server;
    struct why why;
    size_t n;

    if (events & NET_READ) {
        if (s->w.net->ops->try_read(s->w.net, c->sock, s->in, RPC_IN_BYTES, &n, &why) != RC_OK) {
            rpc_conn_close(c);
            return;
        }
        if (n > 0) {
            c->active_ms = now_ms(c);
            if (!conn_take(c, s->in, n)) {
                rpc_conn_close(c);
                return;
            }
        }
    }
    conn_settle(c);
}

void
rpc_conn_start(struct rpc_server *s, int sock, const struct net_addr *peer)
{
    struct rpc_conn *c = mem_zalloc(sizeof *c);
    struct why why;

    if (c == NULL) {
        net_close(s->w.net, sock);
        return;
    }
    c->server = s;
    c->sock = sock;
    c->peer = *peer;
    c->out_last = &c->out_first;
    c->since_ms = c->active_ms = c->written_ms = c->partial_ms = clock_mono_ms(s->w.clock);
    frame_init(&c->frame, &s->frame_options, &c->peer);
    DL_APPEND(s->conns, c);
    s->conn_count++;
    if (loop_watch(s->loop, sock, NET_READ, on_ready, c, &why) != RC_OK) {
        rpc_conn_close(c);
        return;
    }
    c->watched = NET_READ;
}

void
rpc_outbox_run(struct rpc_server *s)
{
    struct rpc_conn *touched = NULL, *c;
    struct rpc_out *out, *next;

    if (s->mutex == NULL)       /* half-built: nothing can be in it */
        return;
    mutex_lock(s->w.threads, s->mutex);
    out = s->outbox;
    s->outbox = NULL;
    s->outbox_last = &s->outbox;
    s->posted = false;
    mutex_unlock(s->w.threads, s->mutex);
    for (; out != NULL; out = next) {
        next = out->next;
        c = out->held->call.conn;
        if (!c->touched) {
            c->touched = true;
            c->touched_next = touched;
            touched = c;
        }
        if (c->sock >= 0 && out->bytes != NULL) {
            out_append(c, out);
            continue;
        }
        c->closing = true;      /* gone already, or a call that cannot be answered: the peer must not wait for it */
        out_done(c, out);
        if (c->sock >= 0)
            rpc_conn_close(c);
    }
    while ((c = touched) != NULL) {
        touched = c->touched_next;
        c->touched = false;
        if (c->sock >= 0)
            conn_settle(c);
        else if (c->inflight == 0)
            conn_free(c);
    }
}
