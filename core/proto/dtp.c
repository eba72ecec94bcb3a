#include "core/proto/dtp.h"


#include "core/base/attr.h"

const ProtobufCMessageDescriptor *
dtp_op_message(unsigned op)
{
    static const struct { unsigned op; const ProtobufCMessageDescriptor *message; } rows[] = {
        { DTP_WRITE_BLOCK, &op_write_block_proto__descriptor },
        { DTP_READ_BLOCK, &op_read_block_proto__descriptor },
        { DTP_REPLACE_BLOCK, &op_replace_block_proto__descriptor },
        { DTP_COPY_BLOCK, &op_copy_block_proto__descriptor },
        { DTP_BLOCK_CHECKSUM, &op_block_checksum_proto__descriptor },
        { DTP_TRANSFER_BLOCK, &op_transfer_block_proto__descriptor },
        { DTP_SHORT_CIRCUIT_FDS, &op_request_short_circuit_access_proto__descriptor },
        { DTP_RELEASE_SHORT_CIRCUIT_FDS, &release_short_circuit_access_request_proto__descriptor },
        { DTP_SHORT_CIRCUIT_SHM, &short_circuit_shm_request_proto__descriptor },
        { DTP_BLOCK_GROUP_CHECKSUM, &op_block_group_checksum_proto__descriptor },
        { DTP_CUSTOM, &op_custom_proto__descriptor },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].op == op)
            return rows[i].message;
    return NULL;
}

const char *
dtp_stage_name(unsigned stage)
{
    const ProtobufCEnumValue *v =
        protobuf_c_enum_descriptor_get_value(&op_write_block_proto__block_construction_stage__descriptor, (int)stage);

    return v == NULL ? "unknown" : v->name;
}

const char *
dtp_status_name(unsigned status)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&status__descriptor, (int)status);

    return v == NULL ? "unknown" : v->name;
}

void
dtp_put_message(struct buf *b, const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *p;

    buf_varint(b, n);
    if (n > 0 && (p = buf_grow(b, n)) != NULL)
        protobuf_c_message_pack(message, p);
}

void
dtp_put_op(struct buf *b, enum dtp_op op, const ProtobufCMessage *message)
{
    buf_be16(b, DTP_VERSION);
    buf_u8(b, (uint8_t)op);
    dtp_put_message(b, message);
}

enum rc
dtp_op_start(const uint8_t head[DTP_OP_HEAD], unsigned *ret_op, struct why *why)
{
    unsigned version = get_be16(head);

    if (version == 0xdead)
        return why_set(why, RC_BAD_MESSAGE, "data transfer: encryption is asked for and not offered");
    if (version != DTP_VERSION)
        return why_set(why, RC_BAD_MESSAGE, "data transfer: version %u, this is %u", version, DTP_VERSION);
    *ret_op = head[2];
    return RC_OK;
}

static void *
decode_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void
decode_free(void *arena UNUSED, void *p UNUSED)
{
}

enum rc
dtp_decode(const ProtobufCMessageDescriptor *d, const void *p, size_t n, struct arena *arena, ProtobufCMessage **ret,
           struct why *why)
{
    ProtobufCAllocator alloc = { decode_alloc, decode_free, arena };
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &alloc, n, p);

    if (m == NULL)
        return why_set(why, RC_BAD_MESSAGE, "data transfer: %zu bytes are not a %s", n, d->name);
    *ret = m;
    return RC_OK;
}

size_t
dtp_packet_put(const struct dtp_packet *p, uint8_t out[DTP_PACKET_ROOM])
{
    PacketHeaderProto h = PACKET_HEADER_PROTO__INIT;
    size_t n;

    h.offsetinblock = (int64_t)p->offset;
    h.seqno = p->seqno;
    h.lastpacketinblock = p->last;
    h.datalen = (int32_t)p->data_n;
    h.has_syncblock = p->sync;
    h.syncblock = p->sync;
    n = packet_header_proto__pack(&h, out + DTP_PACKET_HEAD);
    put_be32(out, 4 + p->sums_n + p->data_n);
    put_be16(out + 4, (uint16_t)n);
    return DTP_PACKET_HEAD + n;
}

enum rc
dtp_packet_head(const uint8_t head[DTP_PACKET_HEAD], size_t *ret_header_n, size_t *ret_body_n, struct why *why)
{
    uint32_t plen = get_be32(head);
    uint16_t hlen = get_be16(head + 4);

    if (plen < 4 || plen > DTP_PACKET_MAX)
        return why_set(why, RC_BAD_MESSAGE, "packet: length %u is not in 4 .. %zu", plen, DTP_PACKET_MAX);
    if (hlen == 0 || hlen > DTP_HEADER_MAX)
        return why_set(why, RC_BAD_MESSAGE, "packet: header length %u is not in 1 .. %d", hlen, DTP_HEADER_MAX);
    *ret_header_n = hlen;
    *ret_body_n = plen - 4;
    return RC_OK;
}

/* A few hundred bytes of scratch for messages that are copied out at once. */
struct scratch {
    size_t used, cap;
    unsigned char *p;
};

static void *
scratch_alloc(void *arg, size_t n)
{
    struct scratch *s = arg;
    size_t room = (n + 15) / 16 * 16;
    void *p;

    if (n > s->cap || room > s->cap - s->used)
        return NULL;
    p = s->p + s->used;
    s->used += room;
    return p;
}

enum rc
dtp_packet_header(const void *p, size_t n, size_t body_n, struct dtp_packet *ret, struct why *why)
{
    _Alignas(16) unsigned char room[2048];
    struct scratch scratch = { 0, sizeof room, room };
    ProtobufCAllocator alloc = { scratch_alloc, decode_free, &scratch };
    PacketHeaderProto *h = packet_header_proto__unpack(&alloc, n, p);

    if (h == NULL)
        return why_set(why, RC_BAD_MESSAGE, "packet: %zu bytes are not a packet header", n);
    if (h->datalen < 0 || (size_t)h->datalen > body_n || h->offsetinblock < 0)
        return why_set(why, RC_BAD_MESSAGE, "packet: %d bytes of data at %lld in a packet of %zu", h->datalen,
                       (long long)h->offsetinblock, body_n);
    *ret = (struct dtp_packet){
        .offset = (uint64_t)h->offsetinblock,
        .seqno = h->seqno,
        .data_n = (uint32_t)h->datalen,
        .sums_n = (uint32_t)(body_n - (size_t)h->datalen),
        .last = h->lastpacketinblock,
        .sync = h->syncblock,
    };
    return RC_OK;
}

size_t
dtp_chunk_count(uint64_t offset, uint64_t n, uint32_t chunk)
{
    return n == 0 ? 0 : (size_t)((offset % chunk + n - 1) / chunk + 1);
}

enum rc
dtp_packet_check(const struct dtp_packet *p, uint32_t chunk, unsigned sum_bytes, struct why *why)
{
    size_t count = dtp_chunk_count(p->offset, p->data_n, chunk);

    if (p->offset % chunk != 0 && count > 1)
        return why_set(why, RC_BAD_MESSAGE, "packet %lld: begins inside a chunk at %llu and goes past its end",
                       (long long)p->seqno, (unsigned long long)p->offset);
    if (p->sums_n != count * sum_bytes)
        return why_set(why, RC_BAD_MESSAGE, "packet %lld: %u bytes of checksums for %zu chunks", (long long)p->seqno,
                       p->sums_n, count);
    return RC_OK;
}

void
dtp_put_ack(struct buf *b, const struct dtp_ack *a)
{
    PipelineAckProto m = PIPELINE_ACK_PROTO__INIT;
    uint32_t flags[DTP_NODES_MAX];

    for (size_t i = 0; i < a->count; i++)
        flags[i] = (uint32_t)a->reply[i];
    m.seqno = a->seqno;
    m.n_reply = a->count;
    m.reply = (Status *)a->reply;
    m.has_downstreamacktimenanos = true;
    m.n_flag = a->count;
    m.flag = flags;
    dtp_put_message(b, &m.base);
}

enum rc
dtp_ack_decode(const void *p, size_t n, struct dtp_ack *ret, struct why *why)
{
    _Alignas(16) unsigned char room[16 * KB];
    struct scratch scratch = { 0, sizeof room, room };
    ProtobufCAllocator alloc = { scratch_alloc, decode_free, &scratch };
    PipelineAckProto *m = pipeline_ack_proto__unpack(&alloc, n, p);

    if (m == NULL || m->n_reply > DTP_NODES_MAX)
        return why_set(why, RC_BAD_MESSAGE, "ack: %zu bytes are not an ack", n);
    ret->seqno = m->seqno;
    ret->count = m->n_reply;
    for (size_t i = 0; i < m->n_reply; i++)
        ret->reply[i] = protobuf_c_enum_descriptor_get_value(&status__descriptor, (int)m->reply[i]) == NULL
                            ? STATUS__ERROR : m->reply[i];
    return RC_OK;
}

int
dtp_ack_first_bad(const struct dtp_ack *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->reply[i] != STATUS__SUCCESS)
            return (int)i;
    return -1;
}
