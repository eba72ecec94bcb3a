#include "core/rpc/server_priv.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/io/thread.h"
#include "core/rpc/dispatch.h"

#define ARENA_BASE (16 * MB)
#define RUN_REPLY_MAX ((size_t)128 * MB)    /* ipc.maximum.response.length */

static void
on_outbox(void *arg)
{
    rpc_outbox_run(arg);
}

void
rpc_held_free(struct rpc_held *h)
{
    mem_free(h->out.bytes);
    mem_free(h);
}

/* The call is over: its memory goes, its encoded reply (NULL: none could be made) waits for the loop. */
static void
call_end(struct rpc_held *h, uint8_t *bytes, size_t n)
{
    struct rpc_server *s = h->call.conn->server;
    bool post, more = h->call.more;

    arena_fini(&h->call.arena);
    h->out = (struct rpc_out){ .bytes = bytes, .n = n, .held = h };
    mutex_lock(s->w.threads, s->mutex);
    *s->outbox_last = &h->out;
    s->outbox_last = &h->out.next;
    post = !s->posted && !more;
    s->posted = s->posted || post;
    mutex_unlock(s->w.threads, s->mutex);
    if (post && loop_post(s->loop, on_outbox, s) != RC_OK) {    /* no memory: the tick empties the outbox */
        mutex_lock(s->w.threads, s->mutex);
        s->posted = false;
        mutex_unlock(s->w.threads, s->mutex);
    }
}

static struct frame_reply
reply_header(const struct rpc_held *h)
{
    return (struct frame_reply){ .call_id = h->call.call_id, .retry_count = h->call.retry_count,
                                 .client_id = h->client_id };
}

void
rpc_fail(struct rpc_call *call, const struct why *why)
{
    struct rpc_held *h = CONTAINER_OF(call, struct rpc_held, call);
    struct frame_reply r = reply_header(h);
    size_t n = 0;
    uint8_t *bytes = frame_error_new(&r, why, &n);

    call_end(h, bytes, n);
}

static void
fail_too_large(struct rpc_call *call, size_t n)
{
    struct why why;

    why_set(&why, RC_IO_EXCEPTION, "Reply to %s has %zu bytes, more than the maximum of %zu", call->method->name, n,
            RUN_REPLY_MAX);
    rpc_fail(call, &why);
}

void
rpc_reply(struct rpc_call *call)
{
    struct rpc_held *h = CONTAINER_OF(call, struct rpc_held, call);
    struct frame_reply r = reply_header(h);
    size_t n = protobuf_c_message_get_packed_size(call->reply);
    uint8_t *bytes;

    if (n > RUN_REPLY_MAX) {
        fail_too_large(call, n);
        return;
    }
    bytes = frame_reply_new(&r, call->reply, &n);
    call_end(h, bytes, n);
}

void
rpc_reply_encoded(struct rpc_call *call, const void *reply, size_t n)
{
    struct rpc_held *h = CONTAINER_OF(call, struct rpc_held, call);
    struct frame_reply r = reply_header(h);
    uint8_t *bytes;

    if (n > RUN_REPLY_MAX) {
        fail_too_large(call, n);
        return;
    }
    bytes = frame_reply_encoded_new(&r, reply, n, &n);
    call_end(h, bytes, n);
}

static void
call_fill(struct rpc_call *call, struct rpc_conn *c, const struct frame_call *fc)
{
    call->call_id = fc->call_id;
    call->retry_count = fc->retry_count;
    call->has_client_id = fc->client_id.n == sizeof call->client_id;
    if (call->has_client_id)
        memcpy(call->client_id, fc->client_id.p, sizeof call->client_id);
    call->user = c->frame.user;     /* the connection outlives its calls */
    call->real_user = c->frame.real_user[0] != '\0' ? c->frame.real_user : NULL;
    call->peer = c->peer;
    call->conn = c;
    call->arrived_wall_ms = clock_wall_ms(c->server->w.clock);
    call->arrived_mono_us = clock_mono_us(c->server->w.clock);
}

/* Method, request and an empty reply. */
static enum rc
call_decode(struct rpc_call *call, const struct frame_call *fc, const struct rpc_service **ret_service, struct why *why)
{
    const ProtobufCMethodDescriptor *messages;
    enum rc rc;

    if ((rc = rpc_dispatch_find(call->conn->server->dispatch, fc->protocol, fc->version, fc->method, ret_service,
                                &call->method_index, why)) != RC_OK)
        return rc;
    call->protocol = (*ret_service)->protocol;
    call->method = &call->protocol->methods[call->method_index];
    if ((rc = rpc_method_messages(call->protocol, call->method_index, &messages, why)) != RC_OK)
        return rc;
    if (fc->param_missing)
        return why_set(why, RC_BAD_MESSAGE, "The call ends before its parameter, a %s, does", messages->input->short_name);
    if ((rc = rpc_decode(messages->input, &call->arena, fc->param.p, fc->param.n, &call->request, why)) != RC_OK)
        return rc;
    if ((call->reply = arena_alloc(&call->arena, messages->output->sizeof_message)) == NULL)
        return why_rc(why, RC_NOMEM);
    protobuf_c_message_init(messages->output, call->reply);
    return RC_OK;
}

/* Calls that take much memory are few at a time: they may be held for long. */
static enum rc
call_weigh(struct rpc_held *h, struct why *why)
{
    struct rpc_server *s = h->call.conn->server;
    size_t used = h->call.arena.used;

    if (used < RPC_LARGE)
        return RC_OK;
    if (s->large > 0 && s->large + used > RPC_LARGE_HIGH)
        return why_set(why, RC_BUSY, "Server is busy with large calls: %zu bytes, and %s would add %zu", s->large,
                       h->call.method->name, used);
    h->large = used;
    s->large += used;
    return RC_OK;
}

bool
rpc_call_begin(struct rpc_conn *c, const struct frame_call *fc)
{
    struct rpc_held *h = mem_zalloc(sizeof *h);
    const struct rpc_service *service;
    enum rc rc;
    struct why why;

    if (h == NULL)
        return false;
    arena_init(&h->call.arena, ARENA_BASE + 2 * fc->frame_bytes);
    call_fill(&h->call, c, fc);
    if (fc->client_id.n > 0) {
        h->client_id.n = fc->client_id.n;
        h->client_id.p = (uint8_t *)arena_strndup(&h->call.arena, fc->client_id.p, fc->client_id.n);
        if (h->client_id.p == NULL) {
            arena_fini(&h->call.arena);
            mem_free(h);
            return false;
        }
    }
    c->inflight++;
    if ((rc = call_decode(&h->call, fc, &service, &why)) == RC_OK)
        rc = call_weigh(h, &why);
    if (rc != RC_OK)
        rpc_fail(&h->call, &why);
    else
        service->submit(service->arg, &h->call);    /* takes it: it may be over already */
    return true;
}
