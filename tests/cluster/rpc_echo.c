/*
 * rpc_echo -- server and client of core/rpc over real sockets.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/buf.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/queue.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/rpc.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "tests/unit/suites.h"

#define SECOND 1000

enum { M_BSIZE, M_HOLD, M_RENEW, M_RENAME, M_DELETE };

/* A server that answers: file name "N" has block size N, "fail" fails, some calls are held until told. */
struct rig {
    struct world w;
    struct rpc_protocol protocol;
    struct rpc_server_options options;
    struct rpc_server *server;
    struct queue *held;
    struct why why;
    int32_t last_call_id, last_retry;       /* of the last held call; the holder's thread */
};

static void
answer_bsize(struct rpc_call *call)
{
    GetPreferredBlockSizeRequestProto *request = (GetPreferredBlockSizeRequestProto *)call->request;
    GetPreferredBlockSizeResponseProto *reply = (GetPreferredBlockSizeResponseProto *)call->reply;
    char name[32];
    struct why why;

    snprintf(name, sizeof name, "%.*s", (int)request->filename.len, (char *)request->filename.data);
    if (strcmp(name, "fail") == 0) {
        why_set(&why, RC_NOT_FOUND, "File does not exist: /%s", call->user);
        rpc_fail(call, &why);
        return;
    }
    if (sscanf(name, "%lu", &reply->bsize) != 1)
        reply->bsize = 0;
    rpc_reply(call);
}

static void
submit(void *arg, struct rpc_call *call)
{
    struct rig *r = arg;
    RenewLeaseRequestProto *renew;
    struct why why;

    switch (call->method_index) {
    case M_BSIZE:
        answer_bsize(call);
        break;
    case M_RENEW:       /* a retry is wanted first */
        renew = (RenewLeaseRequestProto *)call->request;
        if (call->retry_count < (int32_t)renew->clientname.len) {
            why_set(&why, RC_BUSY, "not yet");
            rpc_fail(call, &why);
            break;
        }
        rpc_reply(call);
        break;
    default:
        CHECK(queue_put(r->held, call) == RC_OK);
        break;
    }
}

static struct rpc_call *
held_take(struct rig *r)
{
    void *item;

    ck_assert_int_eq(queue_take(r->held, clock_deadline(r->w.clock, 60 * SECOND), &item), RC_OK);
    r->last_call_id = ((struct rpc_call *)item)->call_id;
    r->last_retry = ((struct rpc_call *)item)->retry_count;
    return item;
}

static void
server_start(struct rig *r)
{
    struct rpc_service service = { .protocol = &r->protocol, .submit = submit, .arg = r };

    ck_assert_msg(rpc_server_start(&r->w, &r->options, &service, 1, &r->server, &r->why) == RC_OK, "%s", r->why.text);
    r->options.at = *rpc_server_address(r->server);     /* the same port again after a restart */
}

static void
rig_init(struct rig *r)
{
    static const struct rpc_method methods[] = {
        [M_BSIZE] = { .name = "getPreferredBlockSize", .flags = RPC_READ | RPC_IDEMPOTENT },
        [M_HOLD] = { .name = "getFileInfo", .flags = RPC_READ | RPC_IDEMPOTENT },
        [M_RENEW] = { .name = "renewLease", .flags = RPC_CORE | RPC_IDEMPOTENT },
        [M_RENAME] = { .name = "rename", .flags = RPC_WRITE },
        [M_DELETE] = { .name = "delete", .flags = RPC_WRITE | RPC_AT_MOST_ONCE },
    };

    memset(r, 0, sizeof *r);
    world_posix(&r->w);
    r->protocol = (struct rpc_protocol){ "org.apache.hadoop.hdfs.protocol.ClientProtocol", 1,
                                         &client_namenode_protocol__descriptor, methods, 5 };
    ck_assert_int_eq(queue_new(r->w.threads, 1000, &r->held), RC_OK);
    r->options = (struct rpc_server_options){ .frame_max = 1 * MB, .conn_max = 100, .inflight_max = 10,
                                              .idle_ms = 60 * SECOND };
    ck_assert_int_eq(net_addr_parse("127.0.0.1:0", 0, &r->options.at, &r->why), RC_OK);
    server_start(r);
}

static void
rig_fini(struct rig *r)
{
    rpc_server_free(r->server);
    queue_free(r->held);
    ck_assert_uint_eq(mem_live(), 0);
}

static struct rpc_client *
client_new(struct rig *r, uint64_t retry_ms)
{
    struct rpc_client_options o = { .to = r->options.at, .protocol = &r->protocol, .user = "alice",
                                    .connect_ms = 5 * SECOND, .retry_ms = retry_ms };
    struct rpc_client *c;

    ck_assert_int_eq(rpc_client_new(&r->w, &o, &c, &r->why), RC_OK);
    return c;
}

static enum rc
ask_bsize(struct rpc_client *c, const char *name, uint64_t *ret, struct why *why)
{
    GetPreferredBlockSizeRequestProto request = GET_PREFERRED_BLOCK_SIZE_REQUEST_PROTO__INIT;
    const ProtobufCMessage *reply;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, 64 * KB);
    request.filename = rpc_text(&arena, name);
    rc = request.filename.data != NULL ? RC_OK : why_rc(why, RC_NOMEM);
    if (rc == RC_OK && (rc = rpc_client_call(c, M_BSIZE, &request.base, &arena, 10 * SECOND, &reply, why)) == RC_OK)
        *ret = ((const GetPreferredBlockSizeResponseProto *)reply)->bsize;
    arena_fini(&arena);
    return rc;
}

START_TEST(calls_are_answered_and_failures_have_their_code)
{
    struct rig r;
    struct rpc_client *c;
    uint64_t v;

    rig_init(&r);
    c = client_new(&r, 0);
    ck_assert_int_eq(ask_bsize(c, "134217728", &v, &r.why), RC_OK);
    ck_assert_uint_eq(v, 134217728);
    ck_assert_int_eq(ask_bsize(c, "fail", &v, &r.why), RC_NOT_FOUND);
    ck_assert_str_eq(r.why.text, "File does not exist: /alice");
    ck_assert_str_eq(r.why.java, "java.io.FileNotFoundException");
    ck_assert_int_eq(ask_bsize(c, "7", &v, &r.why), RC_OK);
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

#define CALLERS 16
#define CALLS 500

struct caller {
    struct rig *rig;
    struct rpc_client *client;
    unsigned base;
    unsigned wrong;
};

static void
call_many(void *arg)
{
    struct caller *caller = arg;
    char name[32];
    struct why why;
    uint64_t v;

    for (unsigned i = 0; i < CALLS; i++) {
        snprintf(name, sizeof name, "%u", caller->base + i);
        if (ask_bsize(caller->client, name, &v, &why) != RC_OK || v != caller->base + i)
            caller->wrong++;
    }
}

START_TEST(many_callers_each_get_their_own_reply)
{
    struct caller callers[CALLERS];
    struct thread *threads[CALLERS];
    struct rig r;
    struct rpc_client *c;

    rig_init(&r);
    c = client_new(&r, 0);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){ &r, c, i * 100000, 0 };
        ck_assert_int_eq(thread_spawn(r.w.threads, "caller", call_many, &callers[i], &threads[i], &r.why), RC_OK);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        thread_join(r.w.threads, threads[i]);
        ck_assert_uint_eq(callers[i].wrong, 0);
    }
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(busy_is_asked_again)
{
    RenewLeaseRequestProto request = RENEW_LEASE_REQUEST_PROTO__INIT;
    const ProtobufCMessage *reply;
    struct arena arena;
    struct rig r;
    struct rpc_client *c;

    rig_init(&r);
    c = client_new(&r, 10 * SECOND);
    arena_init(&arena, 64 * KB);
    request.clientname = rpc_text(&arena, "xx");        /* two retries */
    ck_assert_int_eq(rpc_client_call(c, M_RENEW, &request.base, &arena, FOREVER, &reply, &r.why), RC_OK);
    rpc_client_free(c);
    c = client_new(&r, 0);
    ck_assert_int_eq(rpc_client_call(c, M_RENEW, &request.base, &arena, FOREVER, &reply, &r.why), RC_BUSY);
    ck_assert_str_eq(r.why.text, "not yet");
    rpc_client_free(c);
    arena_fini(&arena);
    rig_fini(&r);
}
END_TEST

/* A call on a thread of its own. */
struct pending {
    struct rpc_client *client;
    size_t method;
    uint64_t timeout_ms;
    struct thread *thread;
    enum rc rc;
    struct why why;
};

static void
pending_run(void *arg)
{
    GetFileInfoRequestProto info = GET_FILE_INFO_REQUEST_PROTO__INIT;
    RenameRequestProto rename = RENAME_REQUEST_PROTO__INIT;
    DeleteRequestProto delete = DELETE_REQUEST_PROTO__INIT;
    struct pending *p = arg;
    const ProtobufCMessage *reply, *request;
    struct arena arena;

    arena_init(&arena, 64 * KB);
    info.src = rename.src = rename.dst = delete.src = rpc_text(&arena, "/f");
    request = p->method == M_HOLD ? &info.base : p->method == M_RENAME ? &rename.base : &delete.base;
    p->rc = rpc_client_call(p->client, p->method, request, &arena, p->timeout_ms, &reply, &p->why);
    arena_fini(&arena);
}

static void
pending_start(struct rig *r, struct pending *p, struct rpc_client *c, size_t method, uint64_t timeout_ms)
{
    *p = (struct pending){ .client = c, .method = method, .timeout_ms = timeout_ms };
    ck_assert_int_eq(thread_spawn(r->w.threads, "pending", pending_run, p, &p->thread, &r->why), RC_OK);
}

START_TEST(a_held_call_is_answered_from_another_thread)
{
    struct pending p[8];
    struct rpc_call *calls[8];
    struct rig r;
    struct rpc_client *c;

    rig_init(&r);
    c = client_new(&r, 0);
    for (size_t i = 0; i < 8; i++)
        pending_start(&r, &p[i], c, M_HOLD, FOREVER);
    for (size_t i = 0; i < 8; i++)
        calls[i] = held_take(&r);
    for (size_t i = 0; i < 8; i++)
        rpc_reply(calls[i]);        /* a group */
    for (size_t i = 0; i < 8; i++) {
        thread_join(r.w.threads, p[i].thread);
        ck_assert_int_eq(p[i].rc, RC_OK);
    }
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(a_stopped_client_ends_its_calls)
{
    struct pending p;
    struct rpc_call *call;
    struct rig r;
    struct rpc_client *c;
    uint64_t v;

    rig_init(&r);
    c = client_new(&r, 60 * SECOND);
    pending_start(&r, &p, c, M_HOLD, FOREVER);
    call = held_take(&r);
    rpc_client_stop(c);
    thread_join(r.w.threads, p.thread);
    ck_assert_int_eq(p.rc, RC_STOPPED);
    ck_assert_int_eq(ask_bsize(c, "1", &v, &r.why), RC_STOPPED);
    rpc_reply(call);                /* nobody waits for it any more */
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(a_timeout_of_a_plain_write_is_maybe_done)
{
    struct pending p;
    struct rig r;
    struct rpc_client *c;

    rig_init(&r);
    c = client_new(&r, 60 * SECOND);
    pending_start(&r, &p, c, M_RENAME, 50);
    thread_join(r.w.threads, p.thread);
    ck_assert_int_eq(p.rc, RC_MAYBE_DONE);
    rpc_reply(held_take(&r));
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

/* The server dies with the call in its hands and comes back. */
static void
restart_with_call(struct rig *r, struct pending *p, struct rpc_client *c, size_t method)
{
    pending_start(r, p, c, method, FOREVER);
    struct rpc_call *call = held_take(r);
    rpc_server_stop(r->server);
    rpc_reply(call);
    rpc_server_free(r->server);
    server_start(r);
}

START_TEST(an_at_most_once_call_is_repeated_with_its_id)
{
    struct pending p;
    struct rig r;
    struct rpc_client *c;
    uint64_t v;
    int32_t id;

    rig_init(&r);
    c = client_new(&r, 30 * SECOND);
    ck_assert_int_eq(ask_bsize(c, "1", &v, &r.why), RC_OK);
    restart_with_call(&r, &p, c, M_DELETE);
    id = r.last_call_id;
    ck_assert_int_eq(r.last_retry, 0);
    rpc_reply(held_take(&r));
    thread_join(r.w.threads, p.thread);
    ck_assert_int_eq(p.rc, RC_OK);
    ck_assert_int_eq(r.last_call_id, id);
    ck_assert_int_gt(r.last_retry, 0);
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(a_plain_write_is_not_repeated)
{
    struct pending p;
    struct rig r;
    struct rpc_client *c;
    uint64_t v;

    rig_init(&r);
    c = client_new(&r, 30 * SECOND);
    restart_with_call(&r, &p, c, M_RENAME);
    thread_join(r.w.threads, p.thread);
    ck_assert_int_eq(p.rc, RC_MAYBE_DONE);
    ck_assert_int_eq(ask_bsize(c, "5", &v, &r.why), RC_OK);
    ck_assert_uint_eq(queue_length(r.held), 0);
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(a_connection_that_died_idle_is_replaced)
{
    struct rig r;
    struct rpc_client *c;
    uint64_t v;

    rig_init(&r);
    c = client_new(&r, 0);          /* no retry is needed for it */
    ck_assert_int_eq(ask_bsize(c, "5", &v, &r.why), RC_OK);
    rpc_server_free(r.server);
    server_start(&r);
    ck_assert_int_eq(ask_bsize(c, "6", &v, &r.why), RC_OK);
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(nobody_there_is_refused)
{
    struct rig r;
    struct rpc_client *c;
    uint64_t v;

    rig_init(&r);
    rpc_server_free(r.server);
    r.server = NULL;
    c = client_new(&r, 200);
    ck_assert_int_eq(ask_bsize(c, "5", &v, &r.why), RC_REFUSED);
    rpc_client_free(c);
    rig_fini(&r);
}
END_TEST

START_TEST(who_does_not_read_is_not_read_and_others_are_served)
{
    /* Preamble, a context with a user, then the same call again and again, no reply ever read. */
    static const uint8_t hello[] = "hrpc\x09\0\0"
                                   "\0\0\0\x14\x0a\x08\x02\x10\0\x18\x05\x22\0\x28\x01\x08\x12\x06\x0a\x04root";
    RpcRequestHeaderProto h = RPC_REQUEST_HEADER_PROTO__INIT;
    RequestHeaderProto m = REQUEST_HEADER_PROTO__INIT;
    uint8_t head[64], method[128], frame[256];
    struct rig r;
    struct rpc_client *c;
    size_t sent = 0, n, head_n, method_n;
    struct buf b;
    uint64_t v;
    int sock;

    rig_init(&r);
    h.has_rpckind = h.has_rpcop = 1;
    h.rpckind = RPC_KIND_PROTO__RPC_PROTOCOL_BUFFER;
    h.callid = 1;
    m.methodname.data = (uint8_t *)"getPreferredBlockSize";
    m.methodname.len = 21;
    m.declaringclassprotocolname.data = (uint8_t *)r.protocol.name;
    m.declaringclassprotocolname.len = strlen(r.protocol.name);
    m.clientprotocolversion = 1;
    head_n = rpc_request_header_proto__pack(&h, head);
    method_n = request_header_proto__pack(&m, method);
    buf_init(&b, sizeof frame);
    buf_be32(&b, 0);
    buf_varint(&b, head_n);
    buf_put(&b, head, head_n);
    buf_varint(&b, method_n);
    buf_put(&b, method, method_n);
    buf_put(&b, "\x03\x0a\x01" "5", 4);
    put_be32(b.p, (uint32_t)b.n - 4);

    ck_assert_int_eq(net_connect(r.w.net, &r.options.at, clock_deadline(r.w.clock, 60 * SECOND), &sock, &r.why), RC_OK);
    ck_assert_int_eq(net_write(r.w.net, sock, hello, sizeof hello - 1, FOREVER, &r.why), RC_OK);
    while (sent < 512 * MB && net_write(r.w.net, sock, b.p, b.n, clock_deadline(r.w.clock, 300), &r.why) == RC_OK)
        sent += b.n;
    ck_assert_int_eq(r.why.rc, RC_TIMEOUT);     /* it is the server that no longer reads */
    ck_assert_uint_lt(sent, 64 * MB);           /* the kernel's buffers */
    c = client_new(&r, 0);
    ck_assert_int_eq(ask_bsize(c, "9", &v, &r.why), RC_OK);
    rpc_client_free(c);

    /* It reads at last: every call that was sent whole is answered, all in as many bytes as the first. */
    for (size_t got = 0, all = 1; got < all; got += n) {
        ck_assert_int_eq(net_read(r.w.net, sock, frame, sizeof frame, clock_deadline(r.w.clock, 60 * SECOND), &n, &r.why),
                         RC_OK);
        if (got == 0) {
            ck_assert_uint_ge(n, 4);
            all = sent / b.n * (4 + ((size_t)frame[0] << 24 | (size_t)frame[1] << 16 | (size_t)frame[2] << 8 | frame[3]));
        }
    }
    net_close(r.w.net, sock);
    buf_fini(&b);
    rig_fini(&r);
}
END_TEST

START_TEST(a_failed_allocation_costs_a_call_and_no_more)
{
    struct rig r;
    struct rpc_client *c;
    unsigned failed = 0;
    uint64_t v;

    rig_init(&r);
    for (uint64_t n = 1; n < 60; n++) {
        c = client_new(&r, 0);
        mem_fail_nth(n);            /* in the client or in the server */
        if (ask_bsize(c, "17", &v, &r.why) == RC_OK)
            ck_assert_uint_eq(v, 17);
        else
            failed++;
        mem_fail_nth(0);
        ck_assert_int_eq(ask_bsize(c, "18", &v, &r.why), RC_OK);
        ck_assert_uint_eq(v, 18);
        rpc_client_free(c);
    }
    ck_assert_uint_gt(failed, 0);
    rig_fini(&r);
}
END_TEST

static Suite *
suite_rpc_echo(void)
{
    Suite *s = suite_create("rpc_echo");
    TCase *t = tcase_create("rpc_echo");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, calls_are_answered_and_failures_have_their_code);
    tcase_add_test(t, many_callers_each_get_their_own_reply);
    tcase_add_test(t, busy_is_asked_again);
    tcase_add_test(t, a_held_call_is_answered_from_another_thread);
    tcase_add_test(t, a_stopped_client_ends_its_calls);
    tcase_add_test(t, a_timeout_of_a_plain_write_is_maybe_done);
    tcase_add_test(t, an_at_most_once_call_is_repeated_with_its_id);
    tcase_add_test(t, a_plain_write_is_not_repeated);
    tcase_add_test(t, a_connection_that_died_idle_is_replaced);
    tcase_add_test(t, nobody_there_is_refused);
    tcase_add_test(t, who_does_not_read_is_not_read_and_others_are_served);
    tcase_add_test(t, a_failed_allocation_costs_a_call_and_no_more);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite_rpc_echo)
