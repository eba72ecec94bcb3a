#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/rpc.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/decode.h"
#include "core/rpc/frame.h"
#include "tests/unit/suites.h"

suite_fn suite_rpc_client;

#define HOUR (3600 * 1000)
#define CLIENT_PROTOCOL "org.apache.hadoop.hdfs.protocol.ClientProtocol"

enum { M_READ, M_WRITE, M_ONCE };

/*
 * A world with a server in it: what the client writes goes through a real frame,
 * the answer comes after so many milliseconds, or never; time passes only in
 * reads and sleeps.
 */
struct rig {
    struct world w;
    struct clock clock;
    struct net net;
    struct net_ops ops;
    struct threads threads;
    struct threads_ops thread_ops;
    struct rng_seeded rng;
    uint64_t now_ms;

    struct rpc_protocol protocol;
    struct frame_options frame_options;
    struct frame frame;
    struct arena scratch;
    struct buf reply, none;
    int socks, connects, refuse, lose;      /* refuse, lose: so many connects, replies */
    uint64_t reply_ms;                      /* after the call */
    uint64_t due_ms;
    unsigned calls, pings;
    int32_t first_id, last_id, last_retry;
    enum rc fail;                           /* answer with this instead */
    struct rpc_client *client;
    struct why why;
};

static uint64_t
fake_mono(struct clock *c)
{
    return CONTAINER_OF(c, struct rig, clock)->now_ms * 1000;
}

static bool
fake_wait(struct threads *t, struct cond *c, struct mutex *m, uint64_t deadline_ms)
{
    struct rig *r = CONTAINER_OF(t, struct rig, threads);

    (void)c;
    (void)m;
    r->now_ms = deadline_ms > r->now_ms ? deadline_ms : r->now_ms;
    return false;
}

static enum rc
fake_connect(struct net *n, const struct net_addr *to, uint64_t deadline_ms, int *ret_sock, struct why *why)
{
    struct rig *r = CONTAINER_OF(n, struct rig, net);

    (void)to;
    (void)deadline_ms;
    r->connects++;
    if (r->refuse > 0) {
        r->refuse--;
        return why_set(why, RC_REFUSED, "connection refused");
    }
    frame_fini(&r->frame);
    frame_init(&r->frame, &r->frame_options, to);
    r->socks++;
    *ret_sock = r->socks;
    return RC_OK;
}

static void
fake_close(struct net *n, int sock)
{
    (void)n;
    (void)sock;
}

static void
take_call(struct rig *r, const struct frame_call *call)
{
    GetPreferredBlockSizeResponseProto reply = GET_PREFERRED_BLOCK_SIZE_RESPONSE_PROTO__INIT;
    struct frame_reply header = { call->call_id, call->retry_count, call->client_id };
    struct why why;
    uint8_t *p;
    size_t n;

    if (r->calls++ == 0)
        r->first_id = call->call_id;
    r->last_id = call->call_id;
    r->last_retry = call->retry_count;
    reply.bsize = 42;
    if (r->fail != RC_OK) {
        why_set(&why, r->fail, "first line\n\tat a.b.C");
        p = frame_error_new(&header, &why, &n);
    } else {
        p = frame_reply_new(&header, &reply.base, &n);
    }
    buf_clear(&r->reply);
    buf_put(&r->reply, p, n);
    mem_free(p);
    r->due_ms = r->reply_ms == FOREVER ? FOREVER : r->now_ms + r->reply_ms;
}

static enum rc
fake_write(struct net *n, int sock, const void *p, size_t n_bytes, uint64_t deadline_ms, struct why *why)
{
    struct rig *r = CONTAINER_OF(n, struct rig, net);
    struct frame_call call;
    unsigned before = r->calls;

    (void)sock;
    (void)deadline_ms;
    (void)why;
    ck_assert_int_eq(frame_give(&r->frame, p, n_bytes), RC_OK);
    while (frame_next(&r->frame, &r->scratch, &r->none, &call) == FRAME_CALL)
        take_call(r, &call);
    ck_assert_int_eq(frame_keep(&r->frame), RC_OK);
    ck_assert_uint_eq(r->none.n, 0);        /* nothing that a server would object to */
    ck_assert_int_eq(r->frame.state, FS_OPEN);
    if (r->calls == before)
        r->pings++;
    return RC_OK;
}

static enum rc
fake_write2(struct net *n, int sock, const void *p, size_t np, const void *q, size_t nq, uint64_t deadline_ms,
            struct why *why)
{
    struct buf b;
    enum rc rc;

    buf_init(&b, 64 * KB);
    buf_put(&b, p, np);
    buf_put(&b, q, nq);
    rc = fake_write(n, sock, b.p, b.n, deadline_ms, why);
    buf_fini(&b);
    return rc;
}

static enum rc
fake_read(struct net *n, int sock, void *p, size_t cap, uint64_t deadline_ms, size_t *ret_n, struct why *why)
{
    struct rig *r = CONTAINER_OF(n, struct rig, net);

    (void)sock;
    if (r->due_ms > deadline_ms) {
        ck_assert_uint_ne(deadline_ms, FOREVER);
        r->now_ms = deadline_ms;
        return why_set(why, RC_TIMEOUT, "timed out");
    }
    r->now_ms = r->due_ms > r->now_ms ? r->due_ms : r->now_ms;
    if (r->lose > 0) {
        r->lose--;
        return why_set(why, RC_CLOSED, "connection closed by the peer");
    }
    *ret_n = r->reply.n < cap ? r->reply.n : cap;
    if (*ret_n > 7)
        *ret_n = 7;             /* in small pieces */
    memcpy(p, r->reply.p, *ret_n);
    buf_drop_front(&r->reply, *ret_n);
    return RC_OK;
}

static enum rc
fake_try_read(struct net *n, int sock, void *p, size_t cap, size_t *ret_n, struct why *why)
{
    (void)n;
    (void)sock;
    (void)p;
    (void)cap;
    (void)why;
    *ret_n = 0;
    return RC_OK;
}

static void
rig_init(struct rig *r, uint64_t retry_ms)
{
    static const struct rpc_method methods[] = {
        [M_READ] = { .name = "getPreferredBlockSize", .flags = RPC_READ | RPC_IDEMPOTENT },
        [M_WRITE] = { .name = "getPreferredBlockSize", .flags = RPC_WRITE },
        [M_ONCE] = { .name = "getPreferredBlockSize", .flags = RPC_WRITE | RPC_AT_MOST_ONCE },
    };
    struct rpc_client_options o = { .user = "alice@REALM", .connect_ms = 1000, .retry_ms = retry_ms };

    memset(r, 0, sizeof *r);
    r->clock.mono_us = fake_mono;
    r->ops = (struct net_ops){ .connect = fake_connect, .close = fake_close, .write = fake_write, .write2 = fake_write2,
                               .read = fake_read, .try_read = fake_try_read };
    r->net.ops = &r->ops;
    r->thread_ops = *threads_posix()->ops;
    r->thread_ops.wait = fake_wait;
    r->threads.ops = &r->thread_ops;
    rng_seed(&r->rng, 7);
    r->now_ms = 5000;
    r->frame_options.frame_max = 1 * MB;
    frame_init(&r->frame, &r->frame_options, &o.to);
    arena_init(&r->scratch, 1 * MB);
    buf_init(&r->reply, 64 * KB);
    buf_init(&r->none, 64 * KB);
    r->protocol = (struct rpc_protocol){ CLIENT_PROTOCOL, 1, &client_namenode_protocol__descriptor, methods, 3 };
    r->w = (struct world){ .clock = &r->clock, .rng = &r->rng.rng, .threads = &r->threads, .net = &r->net };
    o.protocol = &r->protocol;
    ck_assert_int_eq(rpc_client_new(&r->w, &o, &r->client, &r->why), RC_OK);
}

static void
rig_fini(struct rig *r)
{
    rpc_client_free(r->client);
    frame_fini(&r->frame);
    arena_fini(&r->scratch);
    buf_fini(&r->reply);
    buf_fini(&r->none);
    ck_assert_uint_eq(mem_live(), 0);
}

static enum rc
ask(struct rig *r, size_t method, uint64_t timeout_ms)
{
    GetPreferredBlockSizeRequestProto request = GET_PREFERRED_BLOCK_SIZE_REQUEST_PROTO__INIT;
    const ProtobufCMessage *reply;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, 64 * KB);
    request.filename = (ProtobufCBinaryData){ 2, (uint8_t *)"/f" };
    rc = rpc_client_call(r->client, method, &request.base, &arena, timeout_ms, &reply, &r->why);
    if (rc == RC_OK)
        ck_assert_uint_eq(((const GetPreferredBlockSizeResponseProto *)reply)->bsize, 42);
    arena_fini(&arena);
    return rc;
}

START_TEST(a_server_understands_what_is_sent)
{
    struct rig r;

    rig_init(&r, 0);
    ck_assert_int_eq(ask(&r, M_READ, 1000), RC_OK);
    ck_assert_int_eq(ask(&r, M_WRITE, 1000), RC_OK);
    ck_assert_str_eq(r.frame.user, "alice");
    ck_assert_int_eq(r.connects, 1);        /* one connection for both */
    ck_assert_int_eq(r.last_id, r.first_id + 1);
    rig_fini(&r);
}
END_TEST

START_TEST(a_long_wait_pings_every_thirty_seconds)
{
    struct rig r;

    rig_init(&r, 0);
    r.reply_ms = 100 * 1000;
    ck_assert_int_eq(ask(&r, M_READ, FOREVER), RC_OK);
    ck_assert_uint_eq(r.pings, 3);
    ck_assert_uint_eq(r.now_ms, 5000 + 100 * 1000);
    rig_fini(&r);
}
END_TEST

START_TEST(the_wait_for_a_reply_ends_at_its_time)
{
    struct rig r;

    rig_init(&r, 0);
    r.reply_ms = FOREVER;
    ck_assert_int_eq(ask(&r, M_READ, 45 * 1000), RC_TIMEOUT);
    ck_assert_uint_eq(r.now_ms, 5000 + 45 * 1000);
    ck_assert_int_eq(ask(&r, M_WRITE, 1000), RC_MAYBE_DONE);
    ck_assert_int_eq(ask(&r, M_ONCE, 1000), RC_MAYBE_DONE);
    ck_assert_int_eq(r.connects, 3);        /* a connection that owes a reply is not used again */
    rig_fini(&r);
}
END_TEST

START_TEST(refused_connections_are_tried_again_for_any_call)
{
    struct rig r;

    rig_init(&r, HOUR);
    r.refuse = 5;
    ck_assert_int_eq(ask(&r, M_WRITE, 1000), RC_OK);
    ck_assert_int_eq(r.connects, 6);
    ck_assert_uint_eq(r.calls, 1);
    ck_assert_uint_gt(r.now_ms, 5000 + 50 / 2 + 100 / 2 + 200 / 2 + 400 / 2 + 800 / 2);
    rig_fini(&r);

    rig_init(&r, 1000);
    r.refuse = 1000;
    ck_assert_int_eq(ask(&r, M_WRITE, 1000), RC_REFUSED);
    ck_assert_uint_le(r.now_ms, 6000);
    rig_fini(&r);
}
END_TEST

START_TEST(a_lost_reply_is_asked_for_with_the_same_id_or_is_maybe_done)
{
    struct rig r;

    rig_init(&r, HOUR);
    r.lose = 3;
    ck_assert_int_eq(ask(&r, M_ONCE, 1000), RC_OK);
    ck_assert_uint_eq(r.calls, 4);
    ck_assert_int_eq(r.last_id, r.first_id);
    ck_assert_int_eq(r.last_retry, 3);
    r.lose = 1;
    ck_assert_int_eq(ask(&r, M_WRITE, 1000), RC_MAYBE_DONE);
    ck_assert_uint_eq(r.calls, 5);
    rig_fini(&r);
}
END_TEST

START_TEST(exceptions_come_back_as_codes_with_their_first_line)
{
    static const struct { enum rc sent, got; } rows[] = {
        { RC_NOT_FOUND, RC_NOT_FOUND }, { RC_SAFE_MODE, RC_SAFE_MODE }, { RC_IO, RC_IO_EXCEPTION },
        { RC_IO_EXCEPTION, RC_IO_EXCEPTION }, { RC_DENIED, RC_DENIED },
    };
    struct rig r;

    rig_init(&r, HOUR);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        r.fail = rows[i].sent;
        ck_assert_int_eq(ask(&r, M_READ, 1000), rows[i].got);
        ck_assert_str_eq(r.why.text, "first line");
        ck_assert_str_eq(r.why.java, rc_java(rows[i].got));
    }
    ck_assert_uint_eq(r.calls, ARRAY_LEN(rows));    /* none was asked again */
    ck_assert_int_eq(r.connects, 1);                /* and the connection is as good as before */
    rig_fini(&r);
}
END_TEST

START_TEST(busy_is_asked_again_until_the_limit)
{
    struct rig r;

    rig_init(&r, 10 * 1000);
    r.fail = RC_BUSY;
    ck_assert_int_eq(ask(&r, M_WRITE, 1000), RC_BUSY);
    ck_assert_uint_gt(r.calls, 3);
    ck_assert_uint_le(r.now_ms, 5000 + 10 * 1000);
    rig_fini(&r);
}
END_TEST

Suite *
suite_rpc_client(void)
{
    Suite *s = suite_create("rpc_client");
    TCase *t = tcase_create("rpc_client");

    tcase_add_test(t, a_server_understands_what_is_sent);
    tcase_add_test(t, a_long_wait_pings_every_thirty_seconds);
    tcase_add_test(t, the_wait_for_a_reply_ends_at_its_time);
    tcase_add_test(t, refused_connections_are_tried_again_for_any_call);
    tcase_add_test(t, a_lost_reply_is_asked_for_with_the_same_id_or_is_maybe_done);
    tcase_add_test(t, exceptions_come_back_as_codes_with_their_first_line);
    tcase_add_test(t, busy_is_asked_again_until_the_limit);
    suite_add_tcase(s, t);
    return s;
}
