#include "core/rpc/frame.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/proto/rpc.pb-c.h"
#include "core/rpc/decode.h"

#define IPC_VERSION 9
#define AUTH_NONE 0x00
#define AUTH_SASL 0xdf

#define ID_NONE (-1)
#define ID_CONTEXT (-3)
#define ID_PING (-4)
#define ID_SASL (-33)

#define ACCESS_CONTROL "org.apache.hadoop.security.AccessControlException"

typedef RpcResponseHeaderProto Header;
#define CODE(name) RPC_RESPONSE_HEADER_PROTO__RPC_ERROR_CODE_PROTO__##name
#define STATUS(name) RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__##name

void
frame_init(struct frame *f, const struct frame_options *o, const struct net_addr *peer)
{
    memset(f, 0, sizeof *f);
    f->o = o;
    f->peer = peer;
    f->state = FS_PREAMBLE;
    buf_init(&f->kept, o->frame_max + 1 * MB);
}

void
frame_fini(struct frame *f)
{
    buf_fini(&f->kept);
}

enum rc
frame_give(struct frame *f, const void *p, size_t n)
{
    f->in_is_kept = f->kept.n > 0 || n == 0;
    if (!f->in_is_kept) {
        rd_init(&f->in, p, n);
        return RC_OK;
    }
    if (n > 0)
        buf_put(&f->kept, p, n);
    rd_init(&f->in, f->kept.p, f->kept.n);
    return buf_ok(&f->kept) ? RC_OK : RC_NOMEM;
}

enum rc
frame_keep(struct frame *f)
{
    if (f->in_is_kept)
        buf_drop_front(&f->kept, f->kept.n - f->in.left);
    else if (f->in.left > 0)
        buf_put(&f->kept, f->in.p, f->in.left);
    if (f->kept.n == 0) {           /* an idle connection holds no buffer */
        size_t limit = f->kept.limit;
        buf_fini(&f->kept);
        buf_init(&f->kept, limit);
    }
    rd_init(&f->in, NULL, 0);
    return buf_ok(&f->kept) ? RC_OK : RC_NOMEM;
}

static void
text_set(ProtobufCBinaryData *field, const char *text)
{
    field->data = (uint8_t *)text;
    field->len = strlen(text);
}

static size_t
varint_size(size_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static uint8_t *
varint_put(uint8_t *at, size_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

/* Room for a frame with this header and, unless body_n is SIZE_MAX, a body; *ret_body is where the body goes. */
static uint8_t *
frame_new(const Header *h, size_t body_n, size_t *ret_n, uint8_t **ret_body)
{
    size_t h_n = rpc_response_header_proto__get_packed_size(h);
    size_t n = varint_size(h_n) + h_n + (body_n == SIZE_MAX ? 0 : varint_size(body_n) + body_n);
    uint8_t *p, *at;

    if (n > INT32_MAX || (p = mem_alloc(n + 4)) == NULL)
        return NULL;
    put_be32(p, (uint32_t)n);
    at = varint_put(p + 4, h_n);
    at += rpc_response_header_proto__pack(h, at);
    if (body_n != SIZE_MAX)
        at = varint_put(at, body_n);
    *ret_body = at;
    *ret_n = n + 4;
    return p;
}

static void
header_fill(Header *h, const struct frame_reply *r)
{
    rpc_response_header_proto__init(h);
    h->callid = (uint32_t)r->call_id;
    h->status = STATUS(SUCCESS);
    h->has_serveripcversionnum = 1;
    h->serveripcversionnum = IPC_VERSION;
    h->has_clientid = 1;
    h->clientid.data = (uint8_t *)r->client_id.p;
    h->clientid.len = r->client_id.n;
    h->has_retrycount = 1;
    h->retrycount = r->retry_count;
}

uint8_t *
frame_reply_new(const struct frame_reply *r, const ProtobufCMessage *reply, size_t *ret_n)
{
    uint8_t *p, *body;
    Header h;

    header_fill(&h, r);
    if ((p = frame_new(&h, protobuf_c_message_get_packed_size(reply), ret_n, &body)) != NULL)
        protobuf_c_message_pack(reply, body);
    return p;
}

uint8_t *
frame_reply_encoded_new(const struct frame_reply *r, const void *reply, size_t n, size_t *ret_n)
{
    uint8_t *p, *body;
    Header h;

    header_fill(&h, r);
    if ((p = frame_new(&h, n, ret_n, &body)) != NULL && n > 0)
        memcpy(body, reply, n);
    return p;
}

static void
error_fill(Header *h, RpcResponseHeaderProto__RpcStatusProto status, RpcResponseHeaderProto__RpcErrorCodeProto code,
           const char *java, const char *text)
{
    h->status = status;
    h->has_errordetail = 1;
    h->errordetail = code;
    h->has_exceptionclassname = 1;
    text_set(&h->exceptionclassname, java);
    h->has_errormsg = 1;
    text_set(&h->errormsg, *text != '\0' ? text : java);    /* a client may want both */
}

uint8_t *
frame_error_new(const struct frame_reply *r, const struct why *why, size_t *ret_n)
{
    RpcResponseHeaderProto__RpcErrorCodeProto code = CODE(ERROR_APPLICATION);
    const char *java = why->java != NULL && *why->java != '\0' ? why->java : rc_java(why->rc);
    uint8_t *body;
    Header h;

    if (why->rc == RC_NO_METHOD)
        code = CODE(ERROR_NO_SUCH_METHOD);
    else if (why->rc == RC_NO_PROTOCOL)
        code = CODE(ERROR_NO_SUCH_PROTOCOL);
    else if (why->rc == RC_RPC_SERVER)
        code = CODE(ERROR_RPC_SERVER);
    else if (why->rc == RC_RPC_VERSION)
        code = CODE(ERROR_RPC_VERSION_MISMATCH);
    header_fill(&h, r);
    error_fill(&h, STATUS(ERROR), code, *java != '\0' ? java : "java.io.IOException", why->text);
    return frame_new(&h, SIZE_MAX, ret_n, &body);
}

/* The last answer of a connection: it carries no client id. */
static void
fatal(struct frame *f, struct buf *out, int32_t call_id, int32_t retry_count,
      RpcResponseHeaderProto__RpcErrorCodeProto code, const char *java, const char *text)
{
    struct frame_reply r = { .call_id = call_id, .retry_count = retry_count };
    uint8_t *p, *body;
    size_t n;
    Header h;

    header_fill(&h, &r);
    error_fill(&h, STATUS(FATAL), code, java, text);
    if ((p = frame_new(&h, SIZE_MAX, &n, &body)) != NULL)
        buf_put(out, p, n);
    mem_free(p);        /* without memory the peer learns from the closed connection */
    f->state = FS_CLOSED;
}

static void
answer_http(struct buf *out)
{
    buf_put_str(out, "HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\n"
                "It looks like you are making an HTTP request to a Hadoop IPC port. "
                "This is not the correct port for the web interface on this daemon.\r\n");
}

static void
answer_version(struct frame *f, struct buf *out, int8_t version)
{
    char text[96];

    snprintf(text, sizeof text, "Server IPC version %d cannot communicate with client version %d", IPC_VERSION, version);
    if (version < 3 || version > 8) {
        fatal(f, out, ID_NONE, -1, CODE(FATAL_VERSION_MISMATCH), rc_java(RC_RPC_VERSION), text);
        return;
    }
    /* Clients of that time read call id, status, and two texts with 32-bit lengths. */
    buf_be32(out, (uint32_t)ID_NONE);
    buf_be32(out, UINT32_MAX);
    buf_be32(out, (uint32_t)strlen(rc_java(RC_RPC_VERSION)));
    buf_put_str(out, rc_java(RC_RPC_VERSION));
    buf_be32(out, (uint32_t)strlen(text));
    buf_put_str(out, text);
    f->state = FS_CLOSED;
}

/* True when there was a preamble to decide on. */
static bool
take_preamble(struct frame *f, struct buf *out)
{
    const uint8_t *p = f->in.p;
    char text[64];

    if (f->in.left >= 4 && memcmp(p, "GET ", 4) == 0) {
        answer_http(out);
        f->state = FS_CLOSED;
        return true;
    }
    if (f->in.left < 7)
        return false;
    rd_bytes(&f->in, 7);
    if (memcmp(p, "hrpc", 4) != 0 || p[4] != IPC_VERSION) {
        answer_version(f, out, (int8_t)p[4]);
    } else if (p[6] == AUTH_NONE) {
        f->state = FS_CONTEXT;
    } else if (p[6] == AUTH_SASL) {
        f->state = FS_SASL;
    } else {
        snprintf(text, sizeof text, "Unknown auth protocol:%d", (int8_t)p[6]);
        fatal(f, out, ID_NONE, -1, CODE(FATAL_UNAUTHORIZED), rc_java(RC_IPC), text);
    }
    return true;
}

/*
 * "user", "user@REALM" or "user/host@REALM" as its first part.  False for what
 * no account can be called: nothing, too much, or control characters.
 */
static bool
user_short(ProtobufCBinaryData name, char out[FRAME_USER_MAX])
{
    size_t n = 0;

    for (; n < name.len && name.data[n] != '/' && name.data[n] != '@'; n++) {
        if (n == FRAME_USER_MAX - 1 || name.data[n] < 0x20 || name.data[n] == 0x7f)
            return false;
        out[n] = (char)name.data[n];
    }
    out[n] = '\0';
    return n > 0;
}

static void
take_context(struct frame *f, struct rd *r, struct arena *scratch, struct buf *out, int32_t retry_count)
{
    struct span s = rd_delimited(r);
    char text[2 * FRAME_USER_MAX + 64];
    ProtobufCMessage *m;
    struct why why;

    if (f->state != FS_CONTEXT) {
        fatal(f, out, ID_CONTEXT, retry_count, CODE(FATAL_INVALID_RPC_HEADER), rc_java(RC_RPC_SERVER),
              f->state == FS_SASL ? "Connection header sent during SASL negotiation" : "Connection context already processed");
        return;
    }
    if (r->bad || rpc_decode(&ipc_connection_context_proto__descriptor, scratch, s.p, s.n, &m, &why) != RC_OK) {
        fatal(f, out, ID_CONTEXT, retry_count, CODE(FATAL_DESERIALIZING_REQUEST), rc_java(RC_RPC_SERVER),
              "connection context could not be decoded");
        return;
    }
    const UserInformationProto *who = ((IpcConnectionContextProto *)m)->userinfo;
    if (who == NULL || !who->has_effectiveuser || !user_short(who->effectiveuser, f->user)) {
        fatal(f, out, ID_CONTEXT, retry_count, CODE(FATAL_UNAUTHORIZED), ACCESS_CONTROL,
              "The connection context names no user, or none that can exist");
        return;
    }
    if (who->has_realuser && who->realuser.len > 0 && !user_short(who->realuser, f->real_user)) {
        fatal(f, out, ID_CONTEXT, retry_count, CODE(FATAL_UNAUTHORIZED), ACCESS_CONTROL,
              "The connection context names a real user that cannot exist");
        return;
    }
    if (strcmp(f->real_user, f->user) == 0)
        f->real_user[0] = '\0';
    if (f->real_user[0] != '\0' &&
        (f->o->may_proxy == NULL || !f->o->may_proxy(f->o->proxy_arg, f->real_user, f->user, f->peer))) {
        snprintf(text, sizeof text, "User: %s is not allowed to impersonate %s", f->real_user, f->user);
        fatal(f, out, ID_CONTEXT, retry_count, CODE(FATAL_UNAUTHORIZED), rc_java(RC_NOT_AUTHORIZED), text);
        return;
    }
    f->state = FS_OPEN;
}

static void
answer_sasl_success(struct frame *f, struct buf *out)
{
    struct frame_reply r = { .call_id = ID_SASL, .retry_count = -1 };
    RpcSaslProto sasl = RPC_SASL_PROTO__INIT;
    uint8_t *p;
    size_t n;

    sasl.state = RPC_SASL_PROTO__SASL_STATE__SUCCESS;
    if ((p = frame_reply_new(&r, &sasl.base, &n)) != NULL)
        buf_put(out, p, n);
    else
        f->state = FS_CLOSED;
    mem_free(p);
}

/* Identity is by name: whatever opens the exchange, it ends with "no more to prove". */
static void
take_sasl(struct frame *f, struct rd *r, struct arena *scratch, struct buf *out, int32_t retry_count)
{
    struct span s = rd_delimited(r);
    const RpcSaslProto *sasl;
    char text[160];
    ProtobufCMessage *m;
    struct why why;

    if (f->state != FS_SASL && !(f->state == FS_CONTEXT && f->negotiated)) {
        fatal(f, out, ID_SASL, retry_count, CODE(FATAL_INVALID_RPC_HEADER), rc_java(RC_RPC_SERVER),
              "SASL protocol not requested by client");
        return;
    }
    if (r->bad || rpc_decode(&rpc_sasl_proto__descriptor, scratch, s.p, s.n, &m, &why) != RC_OK) {
        fatal(f, out, ID_SASL, retry_count, CODE(FATAL_DESERIALIZING_REQUEST), rc_java(RC_RPC_SERVER),
              "SASL message could not be decoded");
        return;
    }
    sasl = (RpcSaslProto *)m;
    if (sasl->state == RPC_SASL_PROTO__SASL_STATE__NEGOTIATE) {
        if (f->negotiated) {
            fatal(f, out, ID_SASL, retry_count, CODE(FATAL_UNAUTHORIZED), ACCESS_CONTROL,
                  "Client already attempted negotiation");
            return;
        }
        f->negotiated = true;
        f->state = FS_CONTEXT;
        answer_sasl_success(f, out);
    } else if (sasl->state == RPC_SASL_PROTO__SASL_STATE__INITIATE && sasl->n_auths == 1) {
        ProtobufCBinaryData method = sasl->auths[0]->method;
        if (method.len == 6 && memcmp(method.data, "SIMPLE", 6) == 0) {
            f->negotiated = true;
            f->state = FS_CONTEXT;      /* nothing is answered */
            return;
        }
        snprintf(text, sizeof text, "%.*s authentication is not enabled.  Available:[SIMPLE]",
                 method.len > 32 ? 32 : (int)method.len, (const char *)method.data);
        fatal(f, out, ID_SASL, retry_count, CODE(FATAL_UNAUTHORIZED), ACCESS_CONTROL, text);
    } else {
        fatal(f, out, ID_SASL, retry_count, CODE(FATAL_UNAUTHORIZED), rc_java(RC_SASL),
              "SASL message out of order: expected NEGOTIATE or INITIATE");
    }
}

static enum frame_event
take_call(struct frame *f, struct rd *r, struct arena *scratch, struct buf *out, struct frame_call *ret)
{
    struct span s = rd_delimited(r);
    RequestHeaderProto *h;
    ProtobufCMessage *m;
    struct why why;

    if (f->state != FS_OPEN) {
        fatal(f, out, ret->call_id, ret->retry_count, CODE(FATAL_INVALID_RPC_HEADER), rc_java(RC_RPC_SERVER),
              "Connection context not found");
        return FRAME_CLOSE;
    }
    if (r->bad || rpc_decode(&request_header_proto__descriptor, scratch, s.p, s.n, &m, &why) != RC_OK) {
        fatal(f, out, ret->call_id, ret->retry_count, CODE(FATAL_DESERIALIZING_REQUEST), rc_java(RC_RPC_SERVER),
              "request header could not be decoded");
        return FRAME_CLOSE;
    }
    h = (RequestHeaderProto *)m;
    ret->method = (struct span){ h->methodname.data, h->methodname.len };
    ret->protocol = (struct span){ h->declaringclassprotocolname.data, h->declaringclassprotocolname.len };
    ret->version = h->clientprotocolversion;
    ret->param = rd_delimited(r);
    ret->param_missing = r->bad;
    return FRAME_CALL;
}

static enum frame_event
take_frame(struct frame *f, const uint8_t *p, size_t n, struct arena *scratch, struct buf *out, struct frame_call *ret)
{
    const RpcRequestHeaderProto *h;
    ProtobufCMessage *m;
    struct why why;
    struct span s;
    struct rd r;

    rd_init(&r, p, n);
    s = rd_delimited(&r);
    if (r.bad || rpc_decode(&rpc_request_header_proto__descriptor, scratch, s.p, s.n, &m, &why) != RC_OK) {
        fatal(f, out, ID_NONE, -1, CODE(FATAL_DESERIALIZING_REQUEST), rc_java(RC_RPC_SERVER),
              "RPC request header could not be decoded");
        return FRAME_CLOSE;
    }
    h = (RpcRequestHeaderProto *)m;
    *ret = (struct frame_call){ .call_id = h->callid, .retry_count = h->retrycount, .frame_bytes = n,
                                .client_id = { h->clientid.data, h->clientid.len } };
    if (!h->has_rpckind || h->rpckind != RPC_KIND_PROTO__RPC_PROTOCOL_BUFFER || !h->has_rpcop ||
        h->rpcop != RPC_REQUEST_HEADER_PROTO__OPERATION_PROTO__RPC_FINAL_PACKET)
        fatal(f, out, h->callid, h->retrycount, CODE(FATAL_INVALID_RPC_HEADER), rc_java(RC_RPC_SERVER),
              "RPC request header lacks, or has another, kind (protocol buffers) or operation (final packet)");
    else if (h->callid >= 0)
        return take_call(f, &r, scratch, out, ret);
    else if (h->callid == ID_CONTEXT)
        take_context(f, &r, scratch, out, h->retrycount);
    else if (h->callid == ID_SASL)
        take_sasl(f, &r, scratch, out, h->retrycount);
    else if (h->callid != ID_PING)
        fatal(f, out, h->callid, h->retrycount, CODE(FATAL_INVALID_RPC_HEADER), rc_java(RC_RPC_SERVER),
              "RPC request header has a call id that means nothing");
    return FRAME_MORE;
}

enum frame_event
frame_next(struct frame *f, struct arena *scratch, struct buf *out, struct frame_call *ret)
{
    size_t n, limit;

    while (f->state != FS_CLOSED) {
        if (f->state == FS_PREAMBLE) {
            if (!take_preamble(f, out))
                return FRAME_MORE;
            continue;
        }
        if (f->in.left < 4)
            return FRAME_MORE;
        n = get_be32(f->in.p);
        limit = f->state == FS_OPEN ? f->o->frame_max : FRAME_MAX_BEFORE_CONTEXT;
        if (n > limit) {        /* also what is negative in Java's eyes: no word is owed */
            f->state = FS_CLOSED;
            break;
        }
        if (f->in.left - 4 < n)
            return FRAME_MORE;
        rd_bytes(&f->in, 4);
        arena_reset(scratch);
        if (take_frame(f, rd_bytes(&f->in, n), n, scratch, out, ret) == FRAME_CALL)
            return FRAME_CALL;
    }
    return FRAME_CLOSE;
}
