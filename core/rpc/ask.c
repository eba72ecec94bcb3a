#include "core/rpc/client_priv.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/proto/rpc.pb-c.h"
#include "core/rpc/decode.h"

#define ID_CONTEXT (-3)
#define ID_PING (-4)

#define PING_MS 30000
#define WRITE_MS 60000          /* for a request to leave when the reply may take for ever */
#define READ_STEP (1 * MB)      /* memory is taken for what arrives, not for what is announced */
#define IN_KEEP (64 * KB)
#define SCRATCH_MAX (256 * KB)  /* a reply's header, decoded */

static void
bytes_set(ProtobufCBinaryData *field, const void *p, size_t n)
{
    field->data = (uint8_t *)p;
    field->len = n;
}

/* Length, header; the frame goes on with body_n bytes. */
static void
header_put(struct buf *b, const uint8_t id[16], int32_t call_id, int32_t retry_count, size_t body_n)
{
    RpcRequestHeaderProto h = RPC_REQUEST_HEADER_PROTO__INIT;
    uint8_t packed[64];
    size_t at = b->n, n;

    h.has_rpckind = 1;
    h.rpckind = RPC_KIND_PROTO__RPC_PROTOCOL_BUFFER;
    h.has_rpcop = 1;
    h.rpcop = RPC_REQUEST_HEADER_PROTO__OPERATION_PROTO__RPC_FINAL_PACKET;
    h.callid = call_id;
    bytes_set(&h.clientid, id, 16);
    h.has_retrycount = 1;
    h.retrycount = retry_count;
    n = rpc_request_header_proto__pack(&h, packed);     /* about 30 bytes */
    buf_be32(b, 0);
    buf_varint(b, n);
    buf_put(b, packed, n);
    if (buf_ok(b))
        put_be32(b->p + at, (uint32_t)(b->n - at - 4 + body_n));
}

enum rc
rpc_hello_new(const uint8_t id[16], const struct rpc_client_options *o, uint8_t **ret, size_t *ret_n)
{
    IpcConnectionContextProto context = IPC_CONNECTION_CONTEXT_PROTO__INIT;
    UserInformationProto user = USER_INFORMATION_PROTO__INIT;
    struct buf b, body;
    uint8_t *to;
    size_t n;
    enum rc rc = RC_NOMEM;

    user.has_effectiveuser = 1;
    bytes_set(&user.effectiveuser, o->user, strlen(o->user));
    if (o->real_user != NULL) {
        user.has_realuser = 1;
        bytes_set(&user.realuser, o->real_user, strlen(o->real_user));
    }
    context.userinfo = &user;
    context.has_protocol = 1;
    bytes_set(&context.protocol, o->protocol->name, strlen(o->protocol->name));

    buf_init(&b, 8 * KB);
    buf_init(&body, 4 * KB);
    n = ipc_connection_context_proto__get_packed_size(&context);
    buf_varint(&body, n);
    if ((to = buf_grow(&body, n)) == NULL)
        goto out;
    ipc_connection_context_proto__pack(&context, to);
    buf_put(&b, "hrpc\x09\0\0", 7);
    header_put(&b, id, ID_CONTEXT, -1, body.n);
    buf_put(&b, body.p, body.n);
    if (!buf_ok(&b))
        goto out;
    *ret = buf_take(&b, ret_n);
    rc = RC_OK;
out:
    buf_fini(&body);
    buf_fini(&b);
    return rc;
}

enum rc
rpc_ask_encode(struct rpc_ask *ask, const struct rpc_protocol *protocol, const ProtobufCMessage *request,
               struct why *why)
{
    RequestHeaderProto h = REQUEST_HEADER_PROTO__INIT;
    size_t h_n, n = protobuf_c_message_get_packed_size(request);
    struct buf b;
    uint8_t *to;

    bytes_set(&h.methodname, ask->method->name, strlen(ask->method->name));
    bytes_set(&h.declaringclassprotocolname, protocol->name, strlen(protocol->name));
    h.clientprotocolversion = protocol->version;
    h_n = request_header_proto__get_packed_size(&h);
    if (n > RPC_REPLY_MAX)
        return why_set(why, RC_BAD_MESSAGE, "request of %s has %zu bytes, more than the maximum of %zu", ask->method->name,
                       n, RPC_REPLY_MAX);
    buf_init(&b, n + h_n + 32);
    buf_varint(&b, h_n);
    if ((to = buf_grow(&b, h_n)) != NULL)
        request_header_proto__pack(&h, to);
    buf_varint(&b, n);
    if (buf_ok(&b) && n > 0 && (to = buf_grow(&b, n)) != NULL)
        protobuf_c_message_pack(request, to);
    if (!buf_ok(&b)) {
        buf_fini(&b);
        return why_rc(why, RC_NOMEM);
    }
    ask->body = buf_take(&b, &ask->body_n);
    return RC_OK;
}

static enum rc
send_request(struct rpc_client *c, struct rpc_peer *p, const struct rpc_ask *ask, struct why *why)
{
    uint64_t limit_ms = ask->timeout_ms < WRITE_MS ? ask->timeout_ms : WRITE_MS;
    struct buf b;
    enum rc rc;

    buf_init(&b, 16 * KB);
    if (!p->used)
        buf_put(&b, c->hello, c->hello_n);
    header_put(&b, c->id, ask->call_id, ask->retry_count, ask->body_n);
    if (buf_ok(&b))
        rc = c->w.net->ops->write2(c->w.net, p->sock, b.p, b.n, ask->body, ask->body_n,
                                   clock_deadline(c->w.clock, limit_ms), why);
    else
        rc = why_rc(why, RC_NOMEM);
    buf_fini(&b);
    return rc;
}

static enum rc
send_ping(struct rpc_client *c, struct rpc_peer *p, struct why *why)
{
    struct buf b;
    enum rc rc;

    buf_init(&b, 1 * KB);
    header_put(&b, c->id, ID_PING, -1, 0);
    if (buf_ok(&b))
        rc = net_write(c->w.net, p->sock, b.p, b.n, clock_deadline(c->w.clock, WRITE_MS), why);
    else
        rc = why_rc(why, RC_NOMEM);
    buf_fini(&b);
    return rc;
}

/* Until all of one frame is at the front of p->in. */
static enum rc
wait_frame(struct rpc_client *c, struct rpc_peer *p, uint64_t timeout_ms, size_t *ret_n, struct why *why)
{
    uint64_t deadline_ms = clock_deadline(c->w.clock, timeout_ms);
    uint64_t ping_ms = clock_mono_ms(c->w.clock) + PING_MS;
    size_t want, got;
    enum rc rc;

    for (;;) {
        size_t n = p->in.n >= 4 ? get_be32(p->in.p) : 0;
        if (n > RPC_REPLY_MAX)
            return why_set(why, RC_BAD_MESSAGE, "reply of %zu bytes is larger than the maximum of %zu", n, RPC_REPLY_MAX);
        if (p->in.n >= 4 && p->in.n - 4 >= n) {
            *ret_n = n;
            return RC_OK;
        }
        want = n + 4 - p->in.n < 4 * KB ? 4 * KB : n + 4 - p->in.n < READ_STEP ? n + 4 - p->in.n : READ_STEP;
        if (want > p->in.limit - p->in.n)
            want = p->in.limit - p->in.n;
        if (!buf_reserve(&p->in, want))
            return why_rc(why, RC_NOMEM);
        rc = net_read(c->w.net, p->sock, p->in.p + p->in.n, want, deadline_ms < ping_ms ? deadline_ms : ping_ms, &got, why);
        if (rc == RC_OK) {
            p->in.n += got;
            continue;
        }
        if (rc != RC_TIMEOUT || clock_mono_ms(c->w.clock) >= deadline_ms)
            return rc;
        if ((rc = send_ping(c, p, why)) != RC_OK)
            return rc;
        ping_ms = clock_mono_ms(c->w.clock) + PING_MS;
    }
}

/* An exception of the server as a code, with the first line of its text. */
static enum rc
take_exception(const RpcResponseHeaderProto *h, struct why *why)
{
    const char *java = (const char *)h->exceptionclassname.data, *text = (const char *)h->errormsg.data;
    size_t java_n = h->has_exceptionclassname ? h->exceptionclassname.len : 0, n = h->has_errormsg ? h->errormsg.len : 0;
    const char *line_end = n > 0 ? memchr(text, '\n', n) : NULL;
    enum rc rc = java_n > 0 ? rc_from_java(java, java_n) : RC_REMOTE;

    if (line_end != NULL)
        n = (size_t)(line_end - text);
    if (n > WHY_TEXT_MAX)
        n = WHY_TEXT_MAX;
    if (rc == RC_IO)        /* that is a disk of this machine */
        rc = RC_IO_EXCEPTION;
    if (rc == RC_REMOTE)
        return why_set(why, rc, "%.*s: %.*s", java_n > 256 ? 256 : (int)java_n, java_n > 0 ? java : "", (int)n,
                       n > 0 ? text : "");
    return why_set(why, rc, "%.*s", (int)n, n > 0 ? text : "");
}

static enum rc
take_reply(struct rpc_client *c, struct rpc_ask *ask, const uint8_t *p, size_t n, struct arena *scratch,
           struct why *why)
{
    const RpcResponseHeaderProto *h;
    ProtobufCMessage *m;
    struct span s;
    struct rd r;
    enum rc rc;

    rd_init(&r, p, n);
    s = rd_delimited(&r);
    if (r.bad)
        return why_set(why, RC_BAD_MESSAGE, "reply without a header");
    if ((rc = rpc_decode(&rpc_response_header_proto__descriptor, scratch, s.p, s.n, &m, why)) != RC_OK)
        return rc;
    h = (RpcResponseHeaderProto *)m;
    ask->fatal = h->status == RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__FATAL;
    if (!ask->fatal && h->callid != (uint32_t)ask->call_id)
        return why_set(why, RC_BAD_MESSAGE, "reply to call %u instead of %d", h->callid, ask->call_id);
    if (h->has_clientid && h->clientid.len > 0 && (h->clientid.len != 16 || memcmp(h->clientid.data, c->id, 16) != 0))
        return why_set(why, RC_BAD_MESSAGE, "reply to another client");
    ask->answered = true;
    if (h->status != RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__SUCCESS)
        return take_exception(h, why);
    s = rd_delimited(&r);
    if (r.bad)
        return why_set(why, RC_BAD_MESSAGE, "reply of %s is cut short", ask->method->name);
    if ((rc = rpc_decode(ask->messages->output, ask->arena, s.p, s.n, &m, why)) != RC_OK)
        return why_prefix(why, "reply of %s", ask->method->name);
    ask->reply = m;
    return RC_OK;
}

enum rc
rpc_peer_call(struct rpc_client *c, struct rpc_peer *p, struct rpc_ask *ask, struct why *why)
{
    struct arena scratch;
    char to[NET_ADDR_TEXT];
    size_t n;
    enum rc rc;

    if ((rc = send_request(c, p, ask, why)) == RC_OK) {
        p->used = ask->sent = true;
        rc = wait_frame(c, p, ask->timeout_ms, &n, why);
    }
    if (rc != RC_OK)
        return why_prefix(why, "%s of %s", ask->method->name, net_addr_text(&c->o.to, to));
    arena_init(&scratch, SCRATCH_MAX);
    rc = take_reply(c, ask, p->in.p + 4, n, &scratch, why);
    arena_fini(&scratch);
    buf_drop_front(&p->in, n + 4);
    if (p->in.cap > IN_KEEP) {
        buf_fini(&p->in);
        buf_init(&p->in, RPC_REPLY_MAX + 4);
    }
    return rc;
}
