#include "core/rpc/server.h"


#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/io/thread.h"
#include "core/net/loop.h"
#include "core/rpc/dispatch.h"
#include "core/rpc/server_priv.h"

#define TICK_MS 1000
#define ACCEPT_BATCH 64
#define CONTEXT_MS 15000            /* to say who one is */
#define FRAME_MS 300000             /* to send one frame */
#define WRITE_STALL_MS 120000       /* a peer that takes nothing of its replies */
#define WRITE_STALL_FULL_MS 2000    /* the same, when all replies together are too many */
#define EVICT_IDLE_MS 5000          /* idle connections make room for new ones after this */

static void on_listener(void *arg, unsigned events);

static uint64_t
now_ms(struct rpc_server *s)
{
    return clock_mono_ms(s->w.clock);
}

static void
accept_watch(struct rpc_server *s, bool on)
{
    struct why why;

    if (s->accepting == on)
        return;
    /* When it cannot be watched for want of memory the next tick tries again. */
    if (loop_watch(s->loop, s->listener, on ? NET_READ : 0, on_listener, s, &why) == RC_OK)
        s->accepting = on;
}

/*
 * Make room: close the oldest connection whose peer has not said who it is, else
 * the one that has done nothing for longest, if one has not for a while.
 */
static bool
evict_one(struct rpc_server *s)
{
    uint64_t now = now_ms(s), longest = EVICT_IDLE_MS;
    struct rpc_conn *c, *victim = NULL;

    for (c = s->conns; c != NULL; c = c->next) {
        uint64_t idle = now - c->active_ms;
        if (c->sock >= 0 && c->frame.state != FS_OPEN) {
            victim = c;
            break;
        }
        if (c->inflight > 0 || c->sock < 0 || idle < longest)
            continue;
        victim = c;
        longest = idle;
    }
    if (victim == NULL)
        return false;
    rpc_conn_close(victim);
    return true;
}

static void
on_listener(void *arg, unsigned events)
{
    struct rpc_server *s = arg;
    struct net_addr peer;
    struct why why;
    int sock;

    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        enum rc rc = s->w.net->ops->try_accept(s->w.net, s->listener, &sock, &peer, &why);
        if (rc == RC_OK && sock < 0)
            return;
        if (rc != RC_OK && evict_one(s))    /* no descriptors: there is one now */
            continue;
        if (rc != RC_OK) {      /* no descriptors or memory, and nobody idle: leave the backlog alone until the next tick */
            if (log_rate_ok(&s->rate, now_ms(s)))
                log_warn("rpc_accept_failed", "at=%s rc=%s why=\"%s\" retry_ms=%d", s->address_text, rc_name(rc),
                         why.text, TICK_MS);
            accept_watch(s, false);
            return;
        }
        if (s->conn_count >= s->o.conn_max && !evict_one(s)) {
            if (log_rate_ok(&s->rate, now_ms(s)))
                log_warn("rpc_connection_refused", "at=%s connections=%zu limit=%zu", s->address_text, s->conn_count,
                         s->o.conn_max);
            net_close(s->w.net, sock);
            continue;
        }
        rpc_conn_start(s, sock, &peer);
    }
}

static void
sweep(struct rpc_server *s)
{
    uint64_t stall_ms = s->out_bytes > RPC_OUT_ALL_HIGH ? WRITE_STALL_FULL_MS : WRITE_STALL_MS;
    uint64_t now = now_ms(s);
    struct rpc_conn *c, *next;

    for (c = s->conns; c != NULL; c = next) {
        next = c->next;
        if (c->sock < 0)
            continue;
        if ((c->frame.state != FS_OPEN && now - c->since_ms > CONTEXT_MS) ||
            (c->out_first != NULL && now - c->written_ms > stall_ms) ||
            (!c->held && frame_kept(&c->frame) > 0 && now - c->partial_ms > FRAME_MS) ||
            (c->inflight == 0 && c->out_first == NULL && s->o.idle_ms != 0 && now - c->active_ms > s->o.idle_ms))
            rpc_conn_close(c);
    }
}

static void
on_tick(void *arg)
{
    struct rpc_server *s = arg;

    rpc_outbox_run(s);          /* in case its post was lost for want of memory */
    sweep(s);
    accept_watch(s, true);
    if (loop_timer_add(s->loop, TICK_MS, on_tick, s, &s->tick) != RC_OK)
        s->tick = NULL;
}

static void
run_loop(void *arg)
{
    struct rpc_server *s = arg;

    loop_run(s->loop);
}

static enum rc
server_open(struct rpc_server *s, struct why *why)
{
    enum rc rc;

    if ((rc = loop_new(&s->w, &s->loop, why)) != RC_OK)
        return rc;
    if ((rc = net_listen(s->w.net, &s->o.at, &s->listener, &s->address, why)) != RC_OK)
        return rc;
    net_addr_text(&s->address, s->address_text);
    if ((rc = loop_watch(s->loop, s->listener, NET_READ, on_listener, s, why)) != RC_OK)
        return rc;
    s->accepting = true;
    if (loop_timer_add(s->loop, TICK_MS, on_tick, s, &s->tick) != RC_OK)
        return why_rc(why, RC_NOMEM);
    return thread_spawn(s->w.threads, "rpc", run_loop, s, &s->thread, why);
}

enum rc
rpc_server_start(const struct world *w, const struct rpc_server_options *o, const struct rpc_service *services,
                 size_t service_count, struct rpc_server **ret, struct why *why)
{
    struct rpc_server *s = mem_zalloc(sizeof *s);
    enum rc rc = RC_NOMEM;

    if (s == NULL)
        return why_rc(why, RC_NOMEM);
    s->w = *w;
    s->o = *o;
    s->frame_options = (struct frame_options){ .frame_max = o->frame_max, .may_proxy = o->may_proxy,
                                               .proxy_arg = o->proxy_arg };
    s->listener = -1;
    s->outbox_last = &s->outbox;
    arena_init(&s->scratch, RPC_SCRATCH_MAX);
    if ((s->mutex = mutex_new(w->threads)) == NULL || (s->in = mem_alloc(RPC_IN_BYTES)) == NULL ||
        (s->gather = mem_alloc(RPC_GATHER_BYTES)) == NULL ||
        (rc = rpc_dispatch_new(services, service_count, &s->dispatch)) != RC_OK) {
        rc = why_rc(why, rc);
        goto out;
    }
    if ((rc = server_open(s, why)) != RC_OK)
        goto out;
    *ret = s;
    s = NULL;
out:
    rpc_server_free(s);
    return rc;
}

const struct net_addr *
rpc_server_address(const struct rpc_server *s)
{
    return &s->address;
}

void
rpc_server_stop(struct rpc_server *s)
{
    struct rpc_conn *c, *next;

    if (s->stopped)
        return;
    s->stopped = true;
    if (s->thread != NULL) {
        loop_stop(s->loop);
        thread_join(s->w.threads, s->thread);
    }
    /* The loop's thread is gone: what is left is this thread's. */
    rpc_outbox_run(s);
    for (c = s->conns; c != NULL; c = next) {
        next = c->next;
        rpc_conn_close(c);
    }
    if (s->listener >= 0) {
        accept_watch(s, false);
        net_close(s->w.net, s->listener);
    }
}

void
rpc_server_free(struct rpc_server *s)
{
    if (s == NULL)
        return;
    rpc_server_stop(s);
    rpc_outbox_run(s);
    CHECK(s->conns == NULL);    /* a call is still held by somebody */
    rpc_dispatch_free(s->dispatch);
    loop_free(s->loop);
    if (s->mutex != NULL)
        mutex_free(s->w.threads, s->mutex);
    arena_fini(&s->scratch);
    mem_free(s->gather);
    mem_free(s->in);
    mem_free(s);
}
