/*
 * DataNodes in this process, on real sockets, spoken to in raw frames.  The NameNode is a server here that takes
 * everything and remembers what it was told.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "core/io/thread.h"
#include "core/net/dtp_io.h"
#include "datanode/dn.h"
#include "tests/cluster/dn_namenode.h"
#include "tests/unit/dn_dir.h"
#include "tests/unit/suites.h"

#define BLOCK 1073741825
#define WAIT_MS 20000

static struct world world;
static struct namenode nn;

/* --- DataNodes. */

static const char *dir;
static struct dn *dn[3];
static char port_text[3][32];

static void
dn_up(unsigned i)
{
    char nn_text[NET_ADDR_TEXT], uri[NET_ADDR_TEXT + 8], data[512];
    struct conf c;
    struct why why;

    (void)snprintf(uri, sizeof uri, "hdfs://%s", net_addr_text(rpc_server_address(nn.server), nn_text));
    (void)snprintf(data, sizeof data, "%s/%u/a,%s/%u/b", dir, i, dir, i);
    ck_assert_int_eq(conf_init(&c, DN, &why), RC_OK);
    ck_assert_int_eq(conf_set(&c, "fs.defaultFS", uri, "test", &why), RC_OK);
    ck_assert_int_eq(conf_set(&c, "dfs.datanode.data.dir", data, "test", &why), RC_OK);
    ck_assert_int_eq(conf_set(&c, "dfs.datanode.address", "127.0.0.1:0", "test", &why), RC_OK);
    ck_assert_int_eq(conf_set(&c, "dfs.datanode.ipc.address", "127.0.0.1:0", "test", &why), RC_OK);
    ck_assert_msg(dn_open(&world, &c, &dn[i], &why) == RC_OK, "%s", why.text);
    ck_assert_msg(dn_serve(dn[i], &why) == RC_OK, "%s", why.text);
    conf_fini(&c);
    (void)snprintf(port_text[i], sizeof port_text[i], "127.0.0.1:%u", dn[i]->data_at.port);
    while (dn_store_check_pool(dn[i]->store, POOL, strlen(POOL), &why) != RC_OK)
        thread_yield(world.threads);
}

static void
quiet(void *arg, enum log_level level, const char *event, const char *text)
{
    (void)arg;
    if (level <= LOG_WARN)
        fprintf(stderr, "%s %s\n", event, text);
}

static void
setup(void)
{
    world_posix(&world);
    log_set_sink(quiet, NULL);
    dir = dn_dir_make();
    nn_start(&nn, &world);
    for (unsigned i = 0; i < 3; i++)
        dn_up(i);
}

static void
teardown(void)
{
    nn_let_go(&nn, &nn.held);
    for (unsigned i = 0; i < 3; i++)
        if (dn[i] != NULL)
            dn_close(dn[i]);
    nn_stop(&nn);
    dn_dir_remove(dir);
}

/* --- A client. */

struct client {
    struct dtp_conn c;
    struct arena arena;
    uint64_t at;
    int64_t seqno;
};

static void
reach(struct client *x, unsigned i)
{
    struct why why;

    *x = (struct client){ .at = 0 };
    arena_init(&x->arena, 4 * MB);
    ck_assert_int_eq(dtp_connect(&x->c, &world, &dn[i]->data_at, WAIT_MS, WAIT_MS, WAIT_MS, &why), RC_OK);
}

static void
leave(struct client *x)
{
    dtp_conn_fini(&x->c);
    arena_fini(&x->arena);
}

static ProtobufCBinaryData
bytes(const char *s)
{
    return (ProtobufCBinaryData){ strlen(s), (uint8_t *)s };
}

/* An op's header; stays good until the next one. */
static ClientOperationHeaderProto *
header(uint64_t stamp, const char *pool, const char *client)
{
    static ExtendedBlockProto block;
    static BaseHeaderProto base;
    static ClientOperationHeaderProto h;

    extended_block_proto__init(&block);
    base_header_proto__init(&base);
    client_operation_header_proto__init(&h);
    block.poolid = bytes(pool);
    block.blockid = BLOCK;
    block.generationstamp = stamp;
    base.block = &block;
    h.baseheader = &base;
    h.clientname = bytes(client);
    return &h;
}

struct setup {
    enum dtp_stage stage;
    uint64_t stamp, new_stamp, min, max;
    const unsigned *targets;        /* indices of DataNodes */
    size_t target_count;
    unsigned bad_port;              /* of the only target, if not 0 */
    const char *pool;
};

static void
send_write(struct client *x, const struct setup *s)
{
    OpWriteBlockProto op = OP_WRITE_BLOCK_PROTO__INIT;
    ChecksumProto sum = CHECKSUM_PROTO__INIT;
    DatanodeIDProto ids[3];
    DatanodeInfoProto infos[3], *list[3];
    struct why why;

    for (size_t i = 0; i < s->target_count; i++) {
        datanode_idproto__init(&ids[i]);
        datanode_info_proto__init(&infos[i]);
        ids[i].ipaddr = bytes("127.0.0.1");
        ids[i].hostname = bytes("localhost");
        ids[i].datanodeuuid = bytes("x");
        ids[i].xferport = s->bad_port != 0 ? s->bad_port : dn[s->targets[i]]->data_at.port;
        infos[i].id = &ids[i];
        list[i] = &infos[i];
    }
    op.header = header(s->stamp, s->pool == NULL ? POOL : s->pool, "tester");
    op.n_targets = s->target_count;
    op.targets = list;
    op.stage = (int)s->stage;
    op.latestgenerationstamp = s->new_stamp;
    op.minbytesrcvd = s->min;
    op.maxbytesrcvd = s->max;
    sum.type = CHECKSUM_TYPE_PROTO__CHECKSUM_CRC32C;
    sum.bytesperchecksum = 512;
    op.requestedchecksum = &sum;
    ck_assert_int_eq(dtp_send_op(&x->c, DTP_WRITE_BLOCK, &op.base, &why), RC_OK);
}

static BlockOpResponseProto *
response(struct client *x)
{
    BlockOpResponseProto *m;
    struct why why;

    ck_assert_msg(dtp_recv_response(&x->c, &x->arena, &m, &why) == RC_OK, "%s", why.text);
    return m;
}

static void
begin(struct client *x, unsigned i, const struct setup *s)
{
    BlockOpResponseProto *m;

    reach(x, i);
    send_write(x, s);
    m = response(x);
    ck_assert_msg(m->status == STATUS__SUCCESS, "%.*s", (int)m->message.len, (const char *)m->message.data);
    ck_assert(m->has_firstbadlink);         /* some clients wait for it */
    ck_assert_uint_eq(m->firstbadlink.len, 0);
}

/* Send n bytes of the recorded content from where the client stands, in one packet. */
static void
packet(struct client *x, uint32_t n, bool last, bool spoilt)
{
    static uint8_t body[1 * MB];
    struct dtp_packet p = { .offset = x->at, .seqno = x->seqno++, .data_n = n, .last = last };
    struct why why;

    p.sums_n = (uint32_t)(4 * dtp_chunk_count(p.offset, n, 512));
    dn_content(body + p.sums_n, n, x->at);
    crc_chunks(CRC_CRC32C, body + p.sums_n, n, 512, body);
    if (spoilt)
        body[p.sums_n] ^= 1;
    ck_assert_int_eq(dtp_send_packet(&x->c, &p, body, &why), RC_OK);
    x->at += n;
}

static struct dtp_ack
ack(struct client *x)
{
    struct dtp_ack a;
    struct why why;

    ck_assert_msg(dtp_recv_ack(&x->c, &a, &why) == RC_OK, "%s", why.text);
    return a;
}

static void
good_ack(struct client *x, size_t nodes)
{
    struct dtp_ack a = ack(x);

    ck_assert_uint_eq(a.count, nodes);
    ck_assert_int_eq(dtp_ack_first_bad(&a), -1);
}

static void
put(struct client *x, uint32_t n, size_t nodes)
{
    packet(x, n, false, false);
    good_ack(x, nodes);
}

static void
finish(struct client *x, size_t nodes)
{
    packet(x, 0, true, false);
    good_ack(x, nodes);
    leave(x);
}

static void
ends(struct client *x)
{
    uint8_t byte;
    struct why why;

    ck_assert_int_eq(dtp_recv_bytes(&x->c, &byte, 1, clock_deadline(world.clock, WAIT_MS), &why), RC_CLOSED);
    leave(x);
}

static struct dn_view
view(unsigned i)
{
    struct dn_view v;
    struct why why;

    ck_assert_msg(dn_store_find(dn[i]->store, (struct block_id){ BLOCK }, &v, &why) == RC_OK, "%s", why.text);
    return v;
}

/* Read a range; checks the packets and, for no error, the content. Returns the status. */
static Status
read_range(unsigned i, uint64_t offset, uint64_t len, uint64_t *ret_from, uint64_t *ret_to)
{
    OpReadBlockProto op = OP_READ_BLOCK_PROTO__INIT;
    ClientReadStatusProto status = CLIENT_READ_STATUS_PROTO__INIT;
    static uint8_t want[1 * MB];
    struct dtp_packet p = { .last = false };
    BlockOpResponseProto *m;
    struct client x;
    struct buf body;
    struct why why;
    int64_t seqno = 0;

    reach(&x, i);
    op.header = header(1001, POOL, "tester");
    op.offset = offset;
    op.len = len;
    ck_assert_int_eq(dtp_send_op(&x.c, DTP_READ_BLOCK, &op.base, &why), RC_OK);
    m = response(&x);
    if (m->status != STATUS__SUCCESS) {
        Status bad = m->status;

        leave(&x);
        return bad;
    }
    *ret_from = *ret_to = m->readopchecksuminfo->chunkoffset;
    buf_init(&body, DTP_PACKET_MAX);
    while (!p.last) {
        size_t bad = 0;

        ck_assert_int_eq(dtp_recv_packet(&x.c, &p, &body, &why), RC_OK);
        ck_assert_int_eq(p.seqno, seqno++);
        ck_assert_uint_eq(p.offset, *ret_to);
        ck_assert_int_eq(dtp_packet_check(&p, 512, 4, &why), RC_OK);
        if (p.data_n == 0)
            continue;
        ck_assert(crc_chunks_verify(CRC_CRC32C, body.p + p.sums_n, p.data_n, 512, body.p, &bad));
        dn_content(want, p.data_n, p.offset);
        ck_assert_mem_eq(body.p + p.sums_n, want, p.data_n);
        *ret_to += p.data_n;
    }
    status.status = STATUS__CHECKSUM_OK;
    ck_assert_int_eq(dtp_send_message(&x.c, &status.base, &why), RC_OK);
    buf_fini(&body);
    leave(&x);
    return STATUS__SUCCESS;
}

static const struct setup create = { .stage = DTP_SETUP_CREATE, .stamp = 1001 };

/* --- Tests. */

START_TEST(block_through_three_nodes_is_whole_on_each_and_reported_before_the_last_ack)
{
    static const unsigned behind[] = { 1, 2 };
    struct setup s = create;
    struct client x;
    uint64_t from, to;

    s.targets = behind;
    s.target_count = 2;
    begin(&x, 0, &s);
    for (int i = 0; i < 16; i++)
        put(&x, 64512, 3);
    put(&x, 1000, 3);
    finish(&x, 3);
    ck_assert_uint_eq(nn.received, 3);
    ck_assert_uint_eq(nn.last_bytes, 16 * 64512 + 1000);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(view(i).state, RS_FINALIZED);
        ck_assert_int_eq(read_range(i, 0, 16 * 64512 + 1000, &from, &to), STATUS__SUCCESS);
        ck_assert_uint_eq(from, 0);
        ck_assert_uint_eq(to, 16 * 64512 + 1000);
    }
}
END_TEST

START_TEST(ranges_are_read_by_whole_chunks_as_recorded)
{
    struct client x;
    uint64_t from, to;

    begin(&x, 0, &create);
    put(&x, 200000, 1);
    finish(&x, 1);
    ck_assert_int_eq(read_range(0, 1000, 5000, &from, &to), STATUS__SUCCESS);
    ck_assert_uint_eq(from, 512);
    ck_assert_uint_eq(to, 6144);
    ck_assert_int_eq(read_range(0, 150000, 100, &from, &to), STATUS__SUCCESS);
    ck_assert_uint_eq(from, 149504);
    ck_assert_uint_eq(to, 150528);
    ck_assert_int_eq(read_range(0, 199999, 1, &from, &to), STATUS__SUCCESS);
    ck_assert_uint_eq(to, 200000);
    ck_assert_int_eq(read_range(0, 0, 0, &from, &to), STATUS__SUCCESS);
    ck_assert_int_eq(read_range(0, 200000, 0, &from, &to), STATUS__SUCCESS);
    ck_assert_int_eq(read_range(0, 1, 200000, &from, &to), STATUS__ERROR);
    ck_assert_int_eq(read_range(0, UINT64_MAX, 2, &from, &to), STATUS__ERROR);
    ck_assert_int_eq(read_range(1, 0, 1, &from, &to), STATUS__ERROR);
}
END_TEST

START_TEST(last_ack_waits_for_the_namenode)
{
    struct client x;
    struct dtp_ack a;
    struct why why;

    begin(&x, 0, &create);
    put(&x, 1000, 1);
    mutex_lock(world.threads, nn.mu);
    nn.hold = true;
    mutex_unlock(world.threads, nn.mu);
    packet(&x, 0, true, false);
    mutex_lock(world.threads, nn.mu);
    while (nn.received == 0)
        (void)cond_wait(world.threads, nn.changed, nn.mu, FOREVER);
    mutex_unlock(world.threads, nn.mu);
    x.c.read_ms = 200;
    ck_assert_int_eq(dtp_recv_ack(&x.c, &a, &why), RC_TIMEOUT);
    x.c.read_ms = WAIT_MS;
    nn_let_go(&nn, &nn.held);
    good_ack(&x, 1);
    leave(&x);
}
END_TEST

START_TEST(next_node_that_cannot_be_reached_is_the_first_bad_link)
{
    static const unsigned any[] = { 1 };
    struct setup s = create;
    BlockOpResponseProto *m;
    struct client x;

    s.targets = any;
    s.target_count = 1;
    s.bad_port = 1;
    reach(&x, 0);
    send_write(&x, &s);
    m = response(&x);
    ck_assert_int_eq(m->status, STATUS__ERROR);
    ck_assert_uint_eq(m->firstbadlink.len, strlen("127.0.0.1:1"));
    ck_assert_mem_eq(m->firstbadlink.data, "127.0.0.1:1", m->firstbadlink.len);
    ends(&x);
    begin(&x, 0, &create);          /* nothing of it stayed */
    finish(&x, 1);
}
END_TEST

START_TEST(next_node_that_dies_is_blamed_out_of_turn)
{
    static const unsigned behind[] = { 1, 2 };
    struct setup s = create;
    struct client x;
    struct dtp_ack a;

    s.targets = behind;
    s.target_count = 2;
    begin(&x, 0, &s);
    put(&x, 5120, 3);
    dn_close(dn[2]);
    dn[2] = NULL;
    packet(&x, 512, false, false);  /* the node behind may still take it */
    a = ack(&x);
    ck_assert_int_eq(a.seqno, DTP_SEQNO_OOB);
    ck_assert_int_eq(dtp_ack_first_bad(&a), 2);
    leave(&x);
}
END_TEST

START_TEST(spoilt_packet_is_refused_and_not_stored)
{
    struct client x;
    struct dtp_ack a;

    begin(&x, 0, &create);
    put(&x, 5120, 1);
    packet(&x, 512, false, true);
    a = ack(&x);
    ck_assert_int_eq(a.seqno, 1);
    ck_assert_int_eq(a.reply[0], STATUS__ERROR_CHECKSUM);
    ends(&x);
    ck_assert_uint_eq(view(0).bytes, 5120);
}
END_TEST

START_TEST(gap_closes_the_connection_without_an_ack)
{
    struct client x;

    begin(&x, 0, &create);
    put(&x, 512, 1);
    x.at += 512;
    packet(&x, 512, false, false);
    ends(&x);
}
END_TEST

START_TEST(bytes_that_every_node_has_are_readable_while_the_block_is_written)
{
    static const unsigned behind[] = { 1 };
    struct setup s = create;
    struct client x;
    uint64_t from, to;

    s.targets = behind;
    s.target_count = 1;
    begin(&x, 0, &s);
    put(&x, 700, 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(view(i).visible, 700);
        ck_assert_int_eq(read_range(i, 0, 700, &from, &to), STATUS__SUCCESS);
        ck_assert_uint_eq(to, 700);
    }
    x.at = 512;                     /* as HDFS's client goes on after a flush inside a chunk */
    put(&x, 3000, 2);
    ck_assert_int_eq(read_range(1, 512, 3000, &from, &to), STATUS__SUCCESS);
    finish(&x, 2);
    ck_assert_int_eq(read_range(1, 0, 3512, &from, &to), STATUS__SUCCESS);
}
END_TEST

START_TEST(recovery_stops_the_writer_before_it_and_moves_the_stamp)
{
    struct setup s = { .stage = DTP_SETUP_STREAMING_RECOVERY, .stamp = 1001, .new_stamp = 1002, .min = 5000, .max = 9000 };
    struct client old, x;

    begin(&old, 0, &create);
    put(&old, 5000, 1);
    begin(&x, 0, &s);
    ends(&old);
    ck_assert_uint_eq(view(0).stamp.v, 1002);
    x.at = 4608;
    put(&x, 2000, 1);
    finish(&x, 1);
    ck_assert_uint_eq(nn.last_stamp, 1002);
    ck_assert_uint_eq(nn.last_bytes, 6608);
}
END_TEST

START_TEST(writer_of_an_old_stamp_is_refused)
{
    struct setup s = { .stage = DTP_SETUP_STREAMING_RECOVERY, .stamp = 1001, .new_stamp = 1003, .min = 512, .max = 9000 };
    struct client x;

    begin(&x, 0, &create);
    put(&x, 512, 1);
    leave(&x);
    begin(&x, 0, &s);
    leave(&x);
    s.new_stamp = 1002;
    reach(&x, 0);
    send_write(&x, &s);
    ck_assert_int_eq(response(&x)->status, STATUS__ERROR);
    ends(&x);
    ck_assert_uint_eq(view(0).stamp.v, 1003);
}
END_TEST

START_TEST(close_recovery_ends_without_a_packet)
{
    struct setup s = { .stage = DTP_CLOSE_RECOVERY, .stamp = 1001, .new_stamp = 1002, .min = 5000, .max = 5000 };
    struct client x;

    begin(&x, 0, &create);
    put(&x, 5000, 1);
    leave(&x);
    begin(&x, 0, &s);
    ends(&x);
    ck_assert_int_eq(view(0).state, RS_FINALIZED);
    ck_assert_uint_eq(nn.last_stamp, 1002);
}
END_TEST

START_TEST(append_goes_on_inside_a_chunk)
{
    struct setup s = { .stage = DTP_SETUP_APPEND, .stamp = 1001, .new_stamp = 1001, .min = 5000, .max = 5000 };
    struct client x;
    uint64_t from, to;

    begin(&x, 0, &create);
    put(&x, 5000, 1);
    finish(&x, 1);
    begin(&x, 0, &s);
    x.at = 5000;
    put(&x, 120, 1);
    put(&x, 3000, 1);
    finish(&x, 1);
    ck_assert_int_eq(read_range(0, 0, 8120, &from, &to), STATUS__SUCCESS);
}
END_TEST

START_TEST(heartbeats_are_acknowledged)
{
    struct dtp_packet beat = { .seqno = DTP_SEQNO_HEARTBEAT };
    static const unsigned behind[] = { 1 };
    struct setup s = create;
    struct client x;
    struct dtp_ack a;
    struct why why;

    s.targets = behind;
    s.target_count = 1;
    begin(&x, 0, &s);
    ck_assert_int_eq(dtp_send_packet(&x.c, &beat, NULL, &why), RC_OK);
    a = ack(&x);
    ck_assert_int_eq(a.seqno, DTP_SEQNO_HEARTBEAT);
    ck_assert_uint_eq(a.count, 2);
    put(&x, 100, 2);
    finish(&x, 2);
}
END_TEST

START_TEST(replica_is_transferred_as_it_is)
{
    OpTransferBlockProto op = OP_TRANSFER_BLOCK_PROTO__INIT;
    DatanodeIDProto id = DATANODE_IDPROTO__INIT;
    DatanodeInfoProto info = DATANODE_INFO_PROTO__INIT, *list[] = { &info };
    struct client w, x;
    struct why why;
    uint64_t from, to;

    id.ipaddr = bytes("127.0.0.1");
    id.hostname = bytes("localhost");
    id.datanodeuuid = bytes("x");
    info.id = &id;
    op.targets = list;
    op.n_targets = 1;
    begin(&w, 0, &create);
    put(&w, 70001, 1);
    for (unsigned i = 1; i < 3; i++) {
        reach(&x, 0);
        op.header = header(1001, POOL, "tester");
        id.xferport = dn[i]->data_at.port;
        ck_assert_int_eq(dtp_send_op(&x.c, DTP_TRANSFER_BLOCK, &op.base, &why), RC_OK);
        ck_assert_int_eq(response(&x)->status, STATUS__SUCCESS);
        leave(&x);
        ck_assert_int_eq(view(i).state, i == 1 ? RS_RBW : RS_FINALIZED);
        ck_assert_int_eq(read_range(i, 0, 70001, &from, &to), STATUS__SUCCESS);
        if (i == 1)
            finish(&w, 1);
    }
}
END_TEST

START_TEST(what_makes_no_sense_is_closed)
{
    static const uint8_t garbage[] = "GET / HTTP/1.1\r\n\r\n", unknown[] = { 0, 28, 99, 0 };
    struct setup s = create;
    struct client x;
    struct why why;

    reach(&x, 0);
    ck_assert_int_eq(dtp_send_bytes(&x.c, garbage, sizeof garbage, &why), RC_OK);
    ends(&x);
    reach(&x, 0);
    ck_assert_int_eq(dtp_send_bytes(&x.c, unknown, sizeof unknown, &why), RC_OK);
    ends(&x);
    s.pool = "BP-other";
    reach(&x, 0);
    send_write(&x, &s);
    ends(&x);
}
END_TEST

START_TEST(second_writer_of_the_same_stamp_is_refused_and_the_first_goes_on)
{
    struct client first, second;

    begin(&first, 0, &create);
    put(&first, 1000, 1);
    reach(&second, 0);
    send_write(&second, &create);
    ck_assert_int_eq(response(&second)->status, STATUS__ERROR);
    ends(&second);
    first.at = 512;
    put(&first, 2000, 1);
    finish(&first, 1);
    ck_assert_uint_eq(view(0).bytes, 2512);
}
END_TEST

START_TEST(restart_keeps_what_was_written_and_what_was_being_written)
{
    struct client x;
    uint64_t from, to;

    begin(&x, 0, &create);
    put(&x, 70000, 1);
    dn_close(dn[0]);
    leave(&x);
    dn_up(0);
    ck_assert_int_eq(view(0).state, RS_RWR);
    ck_assert_int_eq(read_range(0, 0, 70000, &from, &to), STATUS__SUCCESS);
}
END_TEST

static Suite *
suite_dn_wire(void)
{
    Suite *s = suite_create("dn_wire");
    TCase *t = tcase_create("wire");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, block_through_three_nodes_is_whole_on_each_and_reported_before_the_last_ack);
    tcase_add_test(t, ranges_are_read_by_whole_chunks_as_recorded);
    tcase_add_test(t, last_ack_waits_for_the_namenode);
    tcase_add_test(t, next_node_that_cannot_be_reached_is_the_first_bad_link);
    tcase_add_test(t, next_node_that_dies_is_blamed_out_of_turn);
    tcase_add_test(t, spoilt_packet_is_refused_and_not_stored);
    tcase_add_test(t, gap_closes_the_connection_without_an_ack);
    tcase_add_test(t, bytes_that_every_node_has_are_readable_while_the_block_is_written);
    tcase_add_test(t, recovery_stops_the_writer_before_it_and_moves_the_stamp);
    tcase_add_test(t, writer_of_an_old_stamp_is_refused);
    tcase_add_test(t, close_recovery_ends_without_a_packet);
    tcase_add_test(t, append_goes_on_inside_a_chunk);
    tcase_add_test(t, heartbeats_are_acknowledged);
    tcase_add_test(t, replica_is_transferred_as_it_is);
    tcase_add_test(t, what_makes_no_sense_is_closed);
    tcase_add_test(t, second_writer_of_the_same_stamp_is_refused_and_the_first_goes_on);
    tcase_add_test(t, restart_keeps_what_was_written_and_what_was_being_written);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite_dn_wire)
