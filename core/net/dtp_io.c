#include "core/net/dtp_io.h"

#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#define IN_BYTES (16 * KB)
#define ACK_MAX (8 * KB)

enum rc
dtp_conn_init(struct dtp_conn *c, const struct world *w, int sock, uint64_t read_ms, uint64_t write_ms,
              struct why *why)
{
    *c = (struct dtp_conn){ .w = w, .sock = sock, .read_ms = read_ms, .write_ms = write_ms };
    if ((c->in = mem_alloc(IN_BYTES)) == NULL) {
        dtp_conn_fini(c);
        return why_rc(why, RC_NOMEM);
    }
    return RC_OK;
}

enum rc
dtp_connect(struct dtp_conn *c, const struct world *w, const struct net_addr *to, uint64_t connect_ms, uint64_t read_ms,
            uint64_t write_ms, struct why *why)
{
    int sock = -1;
    enum rc rc;

    *c = (struct dtp_conn){ .w = w, .sock = -1 };
    if ((rc = net_connect(w->net, to, clock_deadline(w->clock, connect_ms), &sock, why)) != RC_OK)
        return rc;
    return dtp_conn_init(c, w, sock, read_ms, write_ms, why);
}

void
dtp_conn_fini(struct dtp_conn *c)
{
    if (c->sock >= 0)
        net_close(c->w->net, c->sock);
    c->sock = -1;
    mem_free(c->in);
    c->in = NULL;
    c->in_at = c->in_n = 0;
}

void
dtp_conn_shutdown(struct dtp_conn *c)
{
    if (c->sock >= 0)
        net_shutdown(c->w->net, c->sock);
}

/* At least one byte into the read buffer, which is empty. */
static enum rc
fill(struct dtp_conn *c, uint64_t deadline_ms, struct why *why)
{
    enum rc rc;
    size_t n = 0;

    if ((rc = net_read(c->w->net, c->sock, c->in, IN_BYTES, deadline_ms, &n, why)) != RC_OK)
        return rc;
    c->in_at = 0;
    c->in_n = n;
    return RC_OK;
}

enum rc
dtp_recv_bytes(struct dtp_conn *c, void *p, size_t n, uint64_t deadline_ms, struct why *why)
{
    uint8_t *to = p;
    size_t part;
    enum rc rc;

    while (n > 0) {
        if (c->in_at == c->in_n && n >= IN_BYTES)   /* large: straight to where it belongs */
            return net_read_all(c->w->net, c->sock, to, n, deadline_ms, why);
        if (c->in_at == c->in_n && (rc = fill(c, deadline_ms, why)) != RC_OK)
            return rc;
        part = n < c->in_n - c->in_at ? n : c->in_n - c->in_at;
        memcpy(to, c->in + c->in_at, part);
        c->in_at += part;
        to += part;
        n -= part;
    }
    return RC_OK;
}

enum rc
dtp_send_bytes(struct dtp_conn *c, const void *p, size_t n, struct why *why)
{
    return net_write(c->w->net, c->sock, p, n, clock_deadline(c->w->clock, c->write_ms), why);
}

static enum rc
send_buf(struct dtp_conn *c, const struct buf *b, struct why *why)
{
    if (!buf_ok(b))
        return why_set(why, RC_NOMEM, "data transfer: no memory for a message, or it is too long");
    return dtp_send_bytes(c, b->p, b->n, why);
}

enum rc
dtp_send_message(struct dtp_conn *c, const ProtobufCMessage *message, struct why *why)
{
    struct buf b;
    enum rc rc;

    buf_init(&b, DTP_MESSAGE_MAX);
    dtp_put_message(&b, message);
    rc = send_buf(c, &b, why);
    buf_fini(&b);
    return rc;
}

enum rc
dtp_send_op(struct dtp_conn *c, enum dtp_op op, const ProtobufCMessage *message, struct why *why)
{
    struct buf b;
    enum rc rc;

    buf_init(&b, DTP_MESSAGE_MAX);
    dtp_put_op(&b, op, message);
    rc = send_buf(c, &b, why);
    buf_fini(&b);
    return rc;
}

/* A varint length of at most max. */
static enum rc
recv_length(struct dtp_conn *c, size_t max, uint64_t deadline_ms, size_t *ret, struct why *why)
{
    uint64_t n = 0;
    uint8_t byte = 0x80;
    enum rc rc;

    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        if (shift > 28)
            return why_set(why, RC_BAD_MESSAGE, "data transfer: length of a message is malformed");
        if ((rc = dtp_recv_bytes(c, &byte, 1, deadline_ms, why)) != RC_OK)
            return rc;
        n |= (uint64_t)(byte & 0x7f) << shift;
    }
    if (n > max)
        return why_set(why, RC_BAD_MESSAGE, "data transfer: message of %llu bytes, limit %zu", (unsigned long long)n, max);
    *ret = (size_t)n;
    return RC_OK;
}

static enum rc
recv_delimited(struct dtp_conn *c, const ProtobufCMessageDescriptor *d, struct arena *arena, uint64_t deadline_ms,
               ProtobufCMessage **ret, struct why *why)
{
    uint8_t *p;
    size_t n;
    enum rc rc;

    if ((rc = recv_length(c, DTP_MESSAGE_MAX, deadline_ms, &n, why)) != RC_OK)
        return rc;
    if ((p = arena_alloc(arena, n + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = dtp_recv_bytes(c, p, n, deadline_ms, why)) != RC_OK)
        return rc;
    return dtp_decode(d, p, n, arena, ret, why);
}

enum rc
dtp_recv_message(struct dtp_conn *c, const ProtobufCMessageDescriptor *d, struct arena *arena, ProtobufCMessage **ret,
                 struct why *why)
{
    return recv_delimited(c, d, arena, clock_deadline(c->w->clock, c->read_ms), ret, why);
}

enum rc
dtp_recv_response(struct dtp_conn *c, struct arena *arena, BlockOpResponseProto **ret, struct why *why)
{
    ProtobufCMessage *m;
    enum rc rc;

    if ((rc = dtp_recv_message(c, &block_op_response_proto__descriptor, arena, &m, why)) != RC_OK)
        return rc;
    *ret = CONTAINER_OF(m, BlockOpResponseProto, base);
    return RC_OK;
}

enum rc
dtp_recv_op(struct dtp_conn *c, uint64_t wait_ms, struct arena *arena, unsigned *ret_op, ProtobufCMessage **ret,
            struct why *why)
{
    const ProtobufCMessageDescriptor *d;
    uint8_t head[DTP_OP_HEAD];
    uint64_t deadline_ms;
    unsigned op;
    enum rc rc;

    if (c->in_at == c->in_n && (rc = fill(c, clock_deadline(c->w->clock, wait_ms), why)) != RC_OK)
        return rc;
    deadline_ms = clock_deadline(c->w->clock, c->read_ms);
    if ((rc = dtp_recv_bytes(c, head, sizeof head, deadline_ms, why)) != RC_OK ||
        (rc = dtp_op_start(head, &op, why)) != RC_OK)
        return rc;
    if ((d = dtp_op_message(op)) == NULL)
        return why_set(why, RC_UNSUPPORTED, "data transfer: unknown operation %u", op);
    if ((rc = recv_delimited(c, d, arena, deadline_ms, ret, why)) != RC_OK)
        return rc;
    *ret_op = op;
    return RC_OK;
}

enum rc
dtp_send_packet(struct dtp_conn *c, const struct dtp_packet *p, const void *body, struct why *why)
{
    uint8_t head[DTP_PACKET_ROOM];
    size_t head_n = dtp_packet_put(p, head);
    uint64_t deadline_ms = clock_deadline(c->w->clock, c->write_ms);
    size_t body_n = (size_t)p->sums_n + p->data_n;

    if (body_n == 0)
        return net_write(c->w->net, c->sock, head, head_n, deadline_ms, why);
    return c->w->net->ops->write2(c->w->net, c->sock, head, head_n, body, body_n, deadline_ms, why);
}

enum rc
dtp_recv_packet_head(struct dtp_conn *c, struct dtp_packet *ret, uint64_t deadline_ms, struct why *why)
{
    uint8_t head[DTP_PACKET_HEAD], header[DTP_HEADER_MAX];
    size_t header_n, body_n;
    enum rc rc;

    if ((rc = dtp_recv_bytes(c, head, sizeof head, deadline_ms, why)) != RC_OK ||
        (rc = dtp_packet_head(head, &header_n, &body_n, why)) != RC_OK ||
        (rc = dtp_recv_bytes(c, header, header_n, deadline_ms, why)) != RC_OK)
        return rc;
    return dtp_packet_header(header, header_n, body_n, ret, why);
}

enum rc
dtp_recv_packet(struct dtp_conn *c, struct dtp_packet *ret, struct buf *body, struct why *why)
{
    uint64_t deadline_ms = clock_deadline(c->w->clock, c->read_ms);
    struct dtp_packet p;
    uint8_t *to;
    size_t n;
    enum rc rc;

    if ((rc = dtp_recv_packet_head(c, &p, deadline_ms, why)) != RC_OK)
        return rc;
    buf_clear(body);
    n = (size_t)p.sums_n + p.data_n;
    if (n > 0) {
        if ((to = buf_grow(body, n)) == NULL)
            return why_set(why, RC_NOMEM, "packet of %zu bytes: too long, or out of memory", n);
        if ((rc = dtp_recv_bytes(c, to, n, deadline_ms, why)) != RC_OK)
            return rc;
    }
    *ret = p;
    return RC_OK;
}

enum rc
dtp_send_ack(struct dtp_conn *c, const struct dtp_ack *a, struct why *why)
{
    struct buf b;
    enum rc rc;

    buf_init(&b, ACK_MAX);
    dtp_put_ack(&b, a);
    rc = send_buf(c, &b, why);
    buf_fini(&b);
    return rc;
}

enum rc
dtp_recv_ack(struct dtp_conn *c, struct dtp_ack *ret, struct why *why)
{
    uint64_t deadline_ms = clock_deadline(c->w->clock, c->read_ms);
    uint8_t p[ACK_MAX];
    size_t n;
    enum rc rc;

    if ((rc = recv_length(c, sizeof p, deadline_ms, &n, why)) != RC_OK ||
        (rc = dtp_recv_bytes(c, p, n, deadline_ms, why)) != RC_OK)
        return rc;
    return dtp_ack_decode(p, n, ret, why);
}
