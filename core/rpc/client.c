#include "core/rpc/client.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "core/rpc/client_priv.h"

#define CALL_ID_MAX INT32_MAX
#define IDLE_MAX 64             /* connections kept for the next call */
#define IDLE_KEEP_MS 60000
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 5000

enum rc
rpc_client_new(const struct world *w, const struct rpc_client_options *o, struct rpc_client **ret, struct why *why)
{
    struct rpc_client *c = mem_zalloc(sizeof *c);
    enum rc rc;

    if (c == NULL)
        return why_rc(why, RC_NOMEM);
    c->w = *w;
    c->o = *o;
    rng_bytes(w->rng, c->id, sizeof c->id);
    if ((c->mutex = mutex_new(w->threads)) == NULL || (c->stop_cond = cond_new(w->threads)) == NULL ||
        (rc = rpc_hello_new(c->id, o, &c->hello, &c->hello_n)) != RC_OK) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    c->o.user = c->o.real_user = NULL;      /* in the hello; the caller's strings may go */
    *ret = c;
    c = NULL;
    rc = RC_OK;
out:
    rpc_client_free(c);
    return rc;
}

void
rpc_client_id(const struct rpc_client *c, uint8_t ret[16])
{
    memcpy(ret, c->id, sizeof c->id);
}

static void
peer_free(struct rpc_client *c, struct rpc_peer *p)
{
    net_close(c->w.net, p->sock);
    buf_fini(&p->in);
    mem_free(p);
}

void
rpc_client_free(struct rpc_client *c)
{
    if (c == NULL)
        return;
    CHECK(c->busy == NULL);     /* a call is under way */
    while (c->idle != NULL) {
        struct rpc_peer *p = c->idle;
        c->idle = p->next;
        peer_free(c, p);
    }
    if (c->stop_cond != NULL)
        cond_free(c->w.threads, c->stop_cond);
    if (c->mutex != NULL)
        mutex_free(c->w.threads, c->mutex);
    mem_free(c->hello);
    mem_free(c);
}

void
rpc_client_stop(struct rpc_client *c)
{
    mutex_lock(c->w.threads, c->mutex);
    c->stopped = true;
    for (struct rpc_peer *p = c->busy; p != NULL; p = p->next)
        net_shutdown(c->w.net, p->sock);
    cond_broadcast(c->w.threads, c->stop_cond);
    mutex_unlock(c->w.threads, c->mutex);
}

static bool
is_stopped(struct rpc_client *c)
{
    bool stopped;

    mutex_lock(c->w.threads, c->mutex);
    stopped = c->stopped;
    mutex_unlock(c->w.threads, c->mutex);
    return stopped;
}

/* Nothing to read and not at its end: the peer still listens, as far as one can know. */
static bool
peer_is_fresh(struct rpc_client *c, struct rpc_peer *p)
{
    uint8_t byte;
    size_t n;

    return c->w.net->ops->try_read(c->w.net, p->sock, &byte, 1, &n, NULL) == RC_OK && n == 0;
}

/* The idle connection used last, or NULL; those that were idle for too long are closed. */
static struct rpc_peer *
idle_take(struct rpc_client *c)
{
    uint64_t now = clock_mono_ms(c->w.clock);
    struct rpc_peer *p, **at, *old;

    mutex_lock(c->w.threads, c->mutex);
    if ((p = c->idle) != NULL) {
        c->idle = p->next;
        c->idle_n--;
    }
    for (at = &c->idle; *at != NULL && now - (*at)->idle_since_ms < IDLE_KEEP_MS; at = &(*at)->next)
        ;       /* last used first */
    old = *at;
    *at = NULL;
    for (struct rpc_peer *o = old; o != NULL; o = o->next)
        c->idle_n--;
    mutex_unlock(c->w.threads, c->mutex);
    while (old != NULL) {
        struct rpc_peer *next = old->next;
        peer_free(c, old);
        old = next;
    }
    return p;
}

static enum rc
peer_connect(struct rpc_client *c, struct rpc_peer **ret, struct why *why)
{
    struct rpc_peer *p = mem_zalloc(sizeof *p);
    enum rc rc;

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    rc = net_connect(c->w.net, &c->o.to, clock_deadline(c->w.clock, c->o.connect_ms), &p->sock, why);
    if (rc != RC_OK) {
        mem_free(p);
        return rc;
    }
    buf_init(&p->in, RPC_REPLY_MAX + 4);
    *ret = p;
    return RC_OK;
}

/* A connection for one call, on the list of those that rpc_client_stop ends. */
static enum rc
peer_acquire(struct rpc_client *c, struct rpc_peer **ret, struct why *why)
{
    struct rpc_peer *p;
    bool stopped;
    enum rc rc;

    while ((p = idle_take(c)) != NULL && !peer_is_fresh(c, p))
        peer_free(c, p);
    if (p == NULL && (rc = peer_connect(c, &p, why)) != RC_OK)
        return rc;
    mutex_lock(c->w.threads, c->mutex);
    stopped = c->stopped;
    if (!stopped) {
        p->prev = NULL;
        if ((p->next = c->busy) != NULL)
            p->next->prev = p;
        c->busy = p;
    }
    mutex_unlock(c->w.threads, c->mutex);
    if (stopped) {
        peer_free(c, p);
        return why_rc(why, RC_STOPPED);
    }
    *ret = p;
    return RC_OK;
}

/* The call on p is over: keep it for the next, or not. */
static void
peer_release(struct rpc_client *c, struct rpc_peer *p, bool keep)
{
    mutex_lock(c->w.threads, c->mutex);
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        c->busy = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    keep = keep && !c->stopped && c->idle_n < IDLE_MAX;
    if (keep) {
        p->used = true;
        p->idle_since_ms = clock_mono_ms(c->w.clock);
        p->next = c->idle;
        c->idle = p;
        c->idle_n++;
    }
    mutex_unlock(c->w.threads, c->mutex);
    if (!keep)
        peer_free(c, p);
}

/* One attempt over one connection. */
static enum rc
try_once(struct rpc_client *c, struct rpc_ask *ask, struct why *why)
{
    struct rpc_peer *p = NULL;
    bool keep;
    enum rc rc;

    do {
        ask->sent = ask->answered = ask->fatal = false;
        if ((rc = peer_acquire(c, &p, why)) != RC_OK)
            return rc;
        ask->reused = p->used;
        rc = rpc_peer_call(c, p, ask, why);
        keep = ask->answered && !ask->fatal;
        peer_release(c, p, keep);
        /* A connection that had died while it was idle: the server has seen nothing of this call. */
    } while (rc != RC_OK && ask->reused && !ask->sent && !is_stopped(c));
    return rc;
}

/* Sleep before the next attempt; false when there is to be none. */
static bool
wait_to_retry(struct rpc_client *c, uint32_t attempt, uint64_t give_up_ms)
{
    uint64_t delay = attempt < 7 ? (uint64_t)BACKOFF_FIRST_MS << attempt : BACKOFF_MAX_MS;
    uint64_t now = clock_mono_ms(c->w.clock), until;
    bool go_on;

    if (delay > BACKOFF_MAX_MS)
        delay = BACKOFF_MAX_MS;
    until = now + delay / 2 + rng_below(c->w.rng, delay / 2 + 1);
    if (until >= give_up_ms)
        return false;
    mutex_lock(c->w.threads, c->mutex);
    while (!c->stopped && clock_mono_ms(c->w.clock) < until)
        (void)cond_wait(c->w.threads, c->stop_cond, c->mutex, until);   /* whether woken or not: the clock decides */
    go_on = !c->stopped;
    mutex_unlock(c->w.threads, c->mutex);
    return go_on;
}

/* Is it right to ask again after rc? */
static bool
may_repeat(const struct rpc_ask *ask, enum rc rc)
{
    if (ask->answered)
        return rc == RC_BUSY;       /* refused unseen */
    if (rc != RC_TIMEOUT && rc != RC_CLOSED && rc != RC_REFUSED && rc != RC_UNREACHABLE && rc != RC_NO_DESCRIPTORS)
        return false;
    return !ask->sent || (ask->method->flags & (RPC_IDEMPOTENT | RPC_AT_MOST_ONCE)) != 0;
}

static int32_t
take_call_id(struct rpc_client *c)
{
    int32_t id;

    mutex_lock(c->w.threads, c->mutex);
    id = c->next_call_id;
    c->next_call_id = id == CALL_ID_MAX ? 0 : id + 1;
    mutex_unlock(c->w.threads, c->mutex);
    return id;
}

static enum rc
ask_until_done(struct rpc_client *c, struct rpc_ask *ask, uint64_t retry_ms, struct why *why)
{
    uint64_t give_up_ms = clock_deadline(c->w.clock, retry_ms);
    bool may_have_run = false;
    enum rc rc;

    for (;;) {
        if ((rc = try_once(c, ask, why)) == RC_OK)
            return RC_OK;
        may_have_run = may_have_run || (ask->sent && !ask->answered);
        if (is_stopped(c))
            return why_set(why, RC_STOPPED, "call %s ended because its client is stopped", ask->method->name);
        if (!may_repeat(ask, rc) || !wait_to_retry(c, (uint32_t)ask->retry_count, give_up_ms))
            break;
        ask->retry_count++;
        if (old_bug(OLD_BUG_REPEAT_IS_A_NEW_CALL))
            ask->call_id = take_call_id(c);
    }
    if (is_stopped(c))
        return why_set(why, RC_STOPPED, "call %s ended because its client is stopped", ask->method->name);
    if (may_have_run && !(ask->method->flags & RPC_IDEMPOTENT) && (!ask->answered || rc == RC_BUSY)) {
        why->rc = RC_MAYBE_DONE;
        why->java = rc_java(RC_MAYBE_DONE);
        return why_prefix(why, "reply to %s lost, the call may or may not have run", ask->method->name);
    }
    return rc;
}

enum rc
rpc_client_call(struct rpc_client *c, size_t method_index, const ProtobufCMessage *request, struct arena *arena,
                uint64_t timeout_ms, const ProtobufCMessage **ret_reply, struct why *why)
{
    return rpc_client_call_for(c, method_index, request, arena, timeout_ms, c->o.retry_ms, ret_reply, why);
}

enum rc
rpc_client_call_for(struct rpc_client *c, size_t method_index, const ProtobufCMessage *request, struct arena *arena,
                    uint64_t timeout_ms, uint64_t retry_ms, const ProtobufCMessage **ret_reply, struct why *why)
{
    struct rpc_ask ask = { .arena = arena, .timeout_ms = timeout_ms };
    struct why cause;
    enum rc rc;

    CHECK(method_index < c->o.protocol->method_count);
    ask.method = &c->o.protocol->methods[method_index];
    ask.call_id = take_call_id(c);
    if ((rc = rpc_method_messages(c->o.protocol, method_index, &ask.messages, &cause)) == RC_OK &&
        (rc = rpc_ask_encode(&ask, c->o.protocol, request, &cause)) == RC_OK)
        rc = ask_until_done(c, &ask, retry_ms, &cause);
    mem_free(ask.body);
    if (rc == RC_OK)
        *ret_reply = ask.reply;
    else if (why != NULL)
        *why = cause;
    return rc;
}
