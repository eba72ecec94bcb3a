/* The recorded bytes are those of an unmodified Hadoop 3.4.2: client, first and last DataNode of a pipeline. */
#include "core/proto/dtp.h"

#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "tests/unit/suites.h"

static const char write_op[] =
    "001c50dc010a670a410a350a2542502d313934343332333438372d3132372e302e302e312d3137393533343037383039"
    "383310ef8080800418e008208080804012080a0012001a0022001222444653436c69656e745f4e4f4e4d415052454455"
    "43455f3530303637313332345f311a2e0a0e0a0012001a00200028003000380010001800200028003000380048005000"
    "5800600068007800800100880100200628033000380040004a050802108004520058016800700082012744532d333564"
    "38666338392d303237302d343935382d396138342d623736653233383964626264";
static const char read_op[] =
    "001c51740a670a400a340a2542502d313934343332333438372d3132372e302e302e312d313739353334303738303938"
    "3310ee8080800418df0820c09a0c12080a0012001a0022001223444653436c69656e745f4e4f4e4d4150524544554345"
    "5f313531373730323230395f3110e80718d8920c20012a00";

suite_fn suite_dtp;

static size_t
unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    unsigned v;

    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &v), 1);
        out[i] = (uint8_t)v;
    }
    return n;
}

static void
assert_hex(const void *p, size_t n, const char *hex)
{
    uint8_t want[4096];

    ck_assert_uint_eq(n, strlen(hex) / 2);
    unhex(hex, want);
    ck_assert_mem_eq(p, want, n);
}

START_TEST(recorded_write_op_decodes_and_encodes_to_the_same_bytes)
{
    uint8_t raw[1024];
    size_t n = unhex(write_op, raw);
    ProtobufCMessage *m;
    OpWriteBlockProto *op;
    struct arena arena;
    struct buf b;
    struct span body;
    struct rd r;
    unsigned code;
    struct why why;

    arena_init(&arena, 64 * KB);
    buf_init(&b, 64 * KB);
    ck_assert_int_eq(dtp_op_start(raw, &code, &why), RC_OK);
    ck_assert_uint_eq(code, DTP_WRITE_BLOCK);
    rd_init(&r, raw + DTP_OP_HEAD, n - DTP_OP_HEAD);
    body = rd_delimited(&r);
    ck_assert_int_eq(rd_finish(&r, "op", &why), RC_OK);
    ck_assert_int_eq(dtp_decode(dtp_op_message(code), body.p, body.n, &arena, &m, &why), RC_OK);
    op = CONTAINER_OF(m, OpWriteBlockProto, base);
    ck_assert_uint_eq(op->header->baseheader->block->blockid, 1073741935);
    ck_assert_int_eq((int)op->stage, DTP_SETUP_CREATE);
    ck_assert_uint_eq(op->n_targets, 0);
    dtp_put_op(&b, DTP_WRITE_BLOCK, m);
    ck_assert(buf_ok(&b));
    assert_hex(b.p, b.n, write_op);
    buf_fini(&b);
    arena_fini(&arena);
}
END_TEST

START_TEST(recorded_read_op_names_its_range)
{
    uint8_t raw[1024];
    size_t n = unhex(read_op, raw);
    ProtobufCMessage *m;
    OpReadBlockProto *op;
    struct arena arena;
    struct rd r;
    struct span body;
    struct why why;

    arena_init(&arena, 64 * KB);
    rd_init(&r, raw + DTP_OP_HEAD, n - DTP_OP_HEAD);
    body = rd_delimited(&r);
    ck_assert_int_eq(dtp_decode(dtp_op_message(raw[2]), body.p, body.n, &arena, &m, &why), RC_OK);
    op = CONTAINER_OF(m, OpReadBlockProto, base);
    ck_assert_uint_eq(op->offset, 1000);
    ck_assert_uint_eq(op->len, 199000);
    ck_assert(op->sendchecksums);
    arena_fini(&arena);
}
END_TEST

START_TEST(another_version_and_sasl_are_refused)
{
    struct why why;
    unsigned op;

    ck_assert_int_eq(dtp_op_start((const uint8_t[]){ 0, 27, 80 }, &op, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(dtp_op_start((const uint8_t[]){ 0xde, 0xad, 0xbe }, &op, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(dtp_op_start((const uint8_t[]){ 0, 28, 81 }, &op, &why), RC_OK);
    ck_assert_uint_eq(op, 81);
}
END_TEST

START_TEST(unknown_ops_have_no_message)
{
    ck_assert_ptr_null(dtp_op_message(0));
    ck_assert_ptr_null(dtp_op_message(DTP_READ_METADATA));
    ck_assert_ptr_null(dtp_op_message(91));
    ck_assert_ptr_nonnull(dtp_op_message(DTP_TRANSFER_BLOCK));
}
END_TEST

START_TEST(packet_heads_equal_the_recorded_ones)
{
    uint8_t out[DTP_PACKET_ROOM];
    struct dtp_packet p = { .offset = 64512, .seqno = 1, .data_n = 64512, .sums_n = 504 };
    struct dtp_packet end = { .offset = 200000, .seqno = 4, .last = true };

    assert_hex(out, dtp_packet_put(&p, out), "0000fdfc00190900fc00000000000011010000000000000018002500fc0000");
    assert_hex(out, dtp_packet_put(&end, out), "00000004001909400d03000000000011040000000000000018012500000000");
    p.sync = true;
    ck_assert_uint_eq(dtp_packet_put(&p, out), 33);
}
END_TEST

START_TEST(recorded_packet_head_decodes_to_its_fields)
{
    uint8_t raw[64];
    size_t n = unhex("0000197800190900f402000000000011030000000000000018002540190000", raw), header_n, body_n;
    struct dtp_packet p;
    struct why why;

    ck_assert_int_eq(dtp_packet_head(raw, &header_n, &body_n, &why), RC_OK);
    ck_assert_uint_eq(header_n, n - DTP_PACKET_HEAD);
    ck_assert_int_eq(dtp_packet_header(raw + DTP_PACKET_HEAD, header_n, body_n, &p, &why), RC_OK);
    ck_assert_uint_eq(p.offset, 193536);
    ck_assert_int_eq(p.seqno, 3);
    ck_assert_uint_eq(p.data_n, 6464);
    ck_assert_uint_eq(p.sums_n, 52);
    ck_assert(!p.last && !p.sync);
    ck_assert_int_eq(dtp_packet_check(&p, 512, 4, &why), RC_OK);
}
END_TEST

START_TEST(packet_lengths_beyond_the_limits_are_refused)
{
    uint8_t head[DTP_PACKET_HEAD];
    size_t header_n, body_n;
    struct why why;
    static const struct { uint32_t plen; uint16_t hlen; } bad[] = {
        { 0, 25 }, { 3, 25 }, { DTP_PACKET_MAX + 1, 25 }, { UINT32_MAX, 25 }, { 4, 0 }, { 4, DTP_HEADER_MAX + 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put_be32(head, bad[i].plen);
        put_be16(head + 4, bad[i].hlen);
        ck_assert_int_eq(dtp_packet_head(head, &header_n, &body_n, &why), RC_BAD_MESSAGE);
    }
}
END_TEST

START_TEST(packet_header_with_more_data_than_body_or_negative_numbers_is_refused)
{
    struct dtp_packet p = { .offset = 0, .seqno = 0, .data_n = 100 }, got;
    uint8_t out[DTP_PACKET_ROOM];
    size_t n = dtp_packet_put(&p, out);
    struct why why;

    ck_assert_int_eq(dtp_packet_header(out + 6, n - 6, 99, &got, &why), RC_BAD_MESSAGE);
    ck_assert_int_eq(dtp_packet_header(out + 6, n - 6, 100, &got, &why), RC_OK);
    ck_assert_int_eq(dtp_packet_header(out + 6, n - 7, 100, &got, &why), RC_BAD_MESSAGE);
    p.data_n = UINT32_MAX;
    n = dtp_packet_put(&p, out);
    ck_assert_int_eq(dtp_packet_header(out + 6, n - 6, 100, &got, &why), RC_BAD_MESSAGE);
    p.data_n = 0;
    p.offset = UINT64_MAX;
    n = dtp_packet_put(&p, out);
    ck_assert_int_eq(dtp_packet_header(out + 6, n - 6, 100, &got, &why), RC_BAD_MESSAGE);
}
END_TEST

START_TEST(chunks_are_counted_by_their_place_in_the_block)
{
    ck_assert_uint_eq(dtp_chunk_count(0, 0, 512), 0);
    ck_assert_uint_eq(dtp_chunk_count(0, 1, 512), 1);
    ck_assert_uint_eq(dtp_chunk_count(0, 512, 512), 1);
    ck_assert_uint_eq(dtp_chunk_count(0, 513, 512), 2);
    ck_assert_uint_eq(dtp_chunk_count(500, 12, 512), 1);
    ck_assert_uint_eq(dtp_chunk_count(500, 13, 512), 2);
}
END_TEST

START_TEST(packet_that_begins_inside_a_chunk_may_not_leave_it)
{
    struct dtp_packet p = { .offset = 500, .seqno = 0, .data_n = 12, .sums_n = 4 };
    struct why why;

    ck_assert_int_eq(dtp_packet_check(&p, 512, 4, &why), RC_OK);
    p.data_n = 13;
    p.sums_n = 8;
    ck_assert_int_eq(dtp_packet_check(&p, 512, 4, &why), RC_BAD_MESSAGE);
    p = (struct dtp_packet){ .offset = 512, .data_n = 513, .sums_n = 4 };
    ck_assert_int_eq(dtp_packet_check(&p, 512, 4, &why), RC_BAD_MESSAGE);
    p.sums_n = 8;
    ck_assert_int_eq(dtp_packet_check(&p, 512, 4, &why), RC_OK);
}
END_TEST

START_TEST(acks_equal_the_recorded_ones)
{
    struct dtp_ack a = { .seqno = 1, .count = 1, .reply = { STATUS__SUCCESS } };
    struct buf b;

    buf_init(&b, 4 * KB);
    dtp_put_ack(&b, &a);
    assert_hex(b.p, b.n, "09080210001800220100");
    buf_fini(&b);
}
END_TEST

START_TEST(recorded_ack_of_three_nodes_decodes)
{
    uint8_t raw[64];
    size_t n = unhex("080410001000100018dae886022203000000", raw);
    struct dtp_ack a;
    struct why why;

    ck_assert_int_eq(dtp_ack_decode(raw, n, &a, &why), RC_OK);
    ck_assert_int_eq(a.seqno, 2);
    ck_assert_uint_eq(a.count, 3);
    ck_assert_int_eq(dtp_ack_first_bad(&a), -1);
}
END_TEST

START_TEST(failed_node_of_an_ack_is_the_first_that_is_not_success)
{
    struct dtp_ack a = { .seqno = DTP_SEQNO_OOB, .count = 3,
                         .reply = { STATUS__SUCCESS, STATUS__ERROR_CHECKSUM, STATUS__ERROR } }, got;
    struct span body;
    struct buf b;
    struct rd r;
    struct why why;

    buf_init(&b, 4 * KB);
    dtp_put_ack(&b, &a);
    rd_init(&r, b.p, b.n);
    body = rd_delimited(&r);
    ck_assert_int_eq(dtp_ack_decode(body.p, body.n, &got, &why), RC_OK);
    ck_assert_int_eq(got.seqno, DTP_SEQNO_OOB);
    ck_assert_int_eq(dtp_ack_first_bad(&got), 1);
    ck_assert_int_eq(got.reply[1], STATUS__ERROR_CHECKSUM);
    buf_fini(&b);
}
END_TEST

START_TEST(status_that_is_not_known_counts_as_error)
{
    struct dtp_ack a;
    struct why why;

    /* seqno 0, reply 99 */
    ck_assert_int_eq(dtp_ack_decode("\x08\x00\x10\x63", 4, &a, &why), RC_OK);
    ck_assert_int_eq(a.reply[0], STATUS__ERROR);
    ck_assert_int_eq(dtp_ack_decode("\xff", 1, &a, &why), RC_BAD_MESSAGE);
}
END_TEST

Suite *
suite_dtp(void)
{
    Suite *s = suite_create("dtp");
    TCase *t = tcase_create("dtp");

    tcase_add_test(t, recorded_write_op_decodes_and_encodes_to_the_same_bytes);
    tcase_add_test(t, recorded_read_op_names_its_range);
    tcase_add_test(t, another_version_and_sasl_are_refused);
    tcase_add_test(t, unknown_ops_have_no_message);
    tcase_add_test(t, packet_heads_equal_the_recorded_ones);
    tcase_add_test(t, recorded_packet_head_decodes_to_its_fields);
    tcase_add_test(t, packet_lengths_beyond_the_limits_are_refused);
    tcase_add_test(t, packet_header_with_more_data_than_body_or_negative_numbers_is_refused);
    tcase_add_test(t, chunks_are_counted_by_their_place_in_the_block);
    tcase_add_test(t, packet_that_begins_inside_a_chunk_may_not_leave_it);
    tcase_add_test(t, acks_equal_the_recorded_ones);
    tcase_add_test(t, recorded_ack_of_three_nodes_decodes);
    tcase_add_test(t, failed_node_of_an_ack_is_the_first_that_is_not_success);
    tcase_add_test(t, status_that_is_not_known_counts_as_error);
    suite_add_tcase(s, t);
    return s;
}
