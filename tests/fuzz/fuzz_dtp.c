/*
 * fuzz_dtp -- DataTransferProtocol: operations, packets and acks.
 *
 * The first byte picks what the rest is.  A packet header that is accepted, put
 * again and read again says the same.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/arena.h"
#include "core/proto/dtp.h"

enum { OPERATION, PACKET, ACK, KINDS };

static void
operation(const uint8_t *p, size_t n)
{
    const ProtobufCMessageDescriptor *d;
    ProtobufCMessage *m;
    struct arena a;
    struct why why;
    unsigned op;

    if (n < DTP_OP_HEAD || dtp_op_start(p, &op, &why) != RC_OK || (d = dtp_op_message(op)) == NULL)
        return;
    arena_init(&a, 8 * DTP_MESSAGE_MAX);
    if (n - DTP_OP_HEAD <= DTP_MESSAGE_MAX && dtp_decode(d, p + DTP_OP_HEAD, n - DTP_OP_HEAD, &a, &m, &why) == RC_OK)
        CHECK(protobuf_c_message_check(m));
    CHECK(a.used <= a.limit);
    arena_fini(&a);
}

static void
packet(const uint8_t *p, size_t n)
{
    uint8_t out[DTP_PACKET_ROOM];
    struct dtp_packet packet, again;
    size_t header_n, body_n, put_n;
    struct why why;

    if (n < DTP_PACKET_HEAD || dtp_packet_head(p, &header_n, &body_n, &why) != RC_OK)
        return;
    CHECK(header_n <= DTP_HEADER_MAX);
    CHECK(body_n <= DTP_PACKET_MAX);
    if (header_n > n - DTP_PACKET_HEAD || dtp_packet_header(p + DTP_PACKET_HEAD, header_n, body_n, &packet, &why) != RC_OK)
        return;
    CHECK((uint64_t)packet.data_n + packet.sums_n == body_n);
    for (unsigned chunk = 1; chunk <= 1 * MB; chunk *= 32)
        for (unsigned sum = 0; sum <= 4; sum += 4)
            if (dtp_packet_check(&packet, chunk, sum, &why) == RC_OK)
                CHECK(packet.sums_n == dtp_chunk_count(packet.offset, packet.data_n, chunk) * sum);
    put_n = dtp_packet_put(&packet, out);
    CHECK(dtp_packet_head(out, &header_n, &body_n, &why) == RC_OK);
    CHECK(header_n + DTP_PACKET_HEAD == put_n);
    CHECK(dtp_packet_header(out + DTP_PACKET_HEAD, header_n, body_n, &again, &why) == RC_OK);
    CHECK(again.offset == packet.offset);
    CHECK(again.seqno == packet.seqno);
    CHECK(again.data_n == packet.data_n);
    CHECK(again.sums_n == packet.sums_n);
    CHECK(again.last == packet.last);
    CHECK(again.sync == packet.sync);
}

static void
ack(const uint8_t *p, size_t n)
{
    struct dtp_ack *a = mem_alloc(sizeof *a);
    struct why why;

    CHECK(a != NULL);
    if (dtp_ack_decode(p, n, a, &why) == RC_OK) {
        struct buf b;

        CHECK(a->count <= DTP_NODES_MAX);
        CHECK(dtp_ack_first_bad(a) < (int)a->count);
        buf_init(&b, 1 * MB);
        dtp_put_ack(&b, a);
        CHECK(buf_ok(&b));
        buf_fini(&b);
    }
    mem_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] % KINDS == OPERATION)
        operation(data + 1, n - 1);
    else if (data[0] % KINDS == PACKET)
        packet(data + 1, n - 1);
    else
        ack(data + 1, n - 1);
    CHECK(mem_live() == 0);
    return 0;
}
