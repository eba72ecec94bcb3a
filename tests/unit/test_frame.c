#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/rpc.pb-c.h"
#include "core/rpc/decode.h"
#include "core/rpc/frame.h"
#include "tests/unit/suites.h"

suite_fn suite_frame;

/* Recorded from a Hadoop 3.4 client. */
#define PREAMBLE "68727063090000"
#define PREAMBLE_SASL "687270630900df"
#define CONTEXT                                                                                                     \
    "0000005b210802100018052210e3254f4bae96488096a2cca4fe3c94c628013a050a03434c493812060a04726f6f741a2e6f72672e617061" \
    "6368652e6861646f6f702e686466732e70726f746f636f6c2e436c69656e7450726f746f636f6c"
#define CALL                                                                                                        \
    "0000006d1b08021000189c012210831ad4ff84394ffbbdfb2fb2be3bf3e02800490a15676574507265666572726564426c6f636b53697a65" \
    "122e6f72672e6170616368652e6861646f6f702e686466732e70726f746f636f6c2e436c69656e7450726f746f636f6c1801060a042f782f" \
    "66"
#define REPLY "000000201a084e100018093a10831ad4ff84394ffbbdfb2fb2be3bf3e040000408808040"

/* A connection under test: what it yielded and what it answered. */
struct rig {
    struct frame_options options;
    struct net_addr peer;
    struct frame frame;
    struct arena scratch;
    struct buf out;
    enum frame_event last;
    size_t calls;
    char called[256];
    int32_t call_id;
};

static void
rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    r->options.frame_max = 1 * MB;
    arena_init(&r->scratch, 1 * MB);
    buf_init(&r->out, 64 * KB);
    frame_init(&r->frame, &r->options, &r->peer);
}

static void
rig_fini(struct rig *r)
{
    frame_fini(&r->frame);
    buf_fini(&r->out);
    arena_fini(&r->scratch);
    ck_assert_uint_eq(mem_live(), 0);
}

static void
rig_give(struct rig *r, const void *p, size_t n)
{
    struct frame_call call;

    ck_assert_int_eq(frame_give(&r->frame, p, n), RC_OK);
    while ((r->last = frame_next(&r->frame, &r->scratch, &r->out, &call)) == FRAME_CALL) {
        r->calls++;
        r->call_id = call.call_id;
        snprintf(r->called, sizeof r->called, "%.*s", (int)call.method.n, (const char *)call.method.p);
        ck_assert(!call.param_missing);
    }
    ck_assert_int_eq(frame_keep(&r->frame), RC_OK);
}

static size_t
unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    unsigned v;

    for (; hex[0] != '\0'; hex += 2) {
        ck_assert_int_eq(sscanf(hex, "%2x", &v), 1);
        out[n++] = (uint8_t)v;
    }
    return n;
}

static void
rig_give_hex(struct rig *r, const char *hex)
{
    uint8_t bytes[1024];

    rig_give(r, bytes, unhex(hex, bytes));
}

/* One frame: header, and a message or nothing. */
static void
rig_give_frame(struct rig *r, int32_t call_id, bool complete, const ProtobufCMessage *body)
{
    RpcRequestHeaderProto h = RPC_REQUEST_HEADER_PROTO__INIT;
    uint8_t packed[1024];
    struct buf b;
    size_t n;

    h.callid = call_id;
    h.has_rpckind = h.has_rpcop = complete;
    h.rpckind = RPC_KIND_PROTO__RPC_PROTOCOL_BUFFER;
    h.clientid.data = (uint8_t *)"0123456789abcdef";
    h.clientid.len = 16;
    buf_init(&b, 8 * KB);
    buf_be32(&b, 0);
    buf_varint(&b, rpc_request_header_proto__get_packed_size(&h));
    buf_put(&b, packed, rpc_request_header_proto__pack(&h, packed));
    if (body != NULL) {
        n = protobuf_c_message_pack(body, packed);
        buf_varint(&b, n);
        buf_put(&b, packed, n);
    }
    put_be32(b.p, (uint32_t)b.n - 4);
    rig_give(r, b.p, b.n);
    buf_fini(&b);
}

static void
rig_give_user(struct rig *r, const char *user, const char *real_user)
{
    IpcConnectionContextProto context = IPC_CONNECTION_CONTEXT_PROTO__INIT;
    UserInformationProto info = USER_INFORMATION_PROTO__INIT;

    info.has_effectiveuser = user != NULL;
    info.effectiveuser.data = (uint8_t *)user;
    info.effectiveuser.len = user != NULL ? strlen(user) : 0;
    info.has_realuser = real_user != NULL;
    info.realuser.data = (uint8_t *)real_user;
    info.realuser.len = real_user != NULL ? strlen(real_user) : 0;
    context.userinfo = &info;
    rig_give_frame(r, -3, true, &context.base);
}

static void
rig_give_sasl(struct rig *r, RpcSaslProto__SaslState state, const char *method)
{
    RpcSaslProto__SaslAuth auth = RPC_SASL_PROTO__SASL_AUTH__INIT, *auths = &auth;
    RpcSaslProto sasl = RPC_SASL_PROTO__INIT;

    sasl.state = state;
    if (method != NULL) {
        auth.method.data = (uint8_t *)method;
        auth.method.len = strlen(method);
        sasl.n_auths = 1;
        sasl.auths = &auths;
    }
    rig_give_frame(r, -33, true, &sasl.base);
}

/* The one answer that is out: its header, in the scratch arena. */
static const RpcResponseHeaderProto *
answer(struct rig *r)
{
    ProtobufCMessage *m;
    struct why why;
    struct span s;
    struct rd rd;

    ck_assert_uint_ge(r->out.n, 4);
    ck_assert_uint_eq(get_be32(r->out.p), r->out.n - 4);
    rd_init(&rd, r->out.p + 4, r->out.n - 4);
    s = rd_delimited(&rd);
    ck_assert(!rd.bad);
    ck_assert_int_eq(rpc_decode(&rpc_response_header_proto__descriptor, &r->scratch, s.p, s.n, &m, &why), RC_OK);
    return (RpcResponseHeaderProto *)m;
}

static void
expect_fatal(struct rig *r, int32_t call_id, unsigned code, const char *java, const char *text)
{
    const RpcResponseHeaderProto *h = answer(r);

    ck_assert_int_eq(r->last, FRAME_CLOSE);
    ck_assert_int_eq(h->status, RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__FATAL);
    ck_assert_int_eq((int32_t)h->callid, call_id);
    ck_assert_uint_eq(h->errordetail, code);
    ck_assert_uint_eq(h->serveripcversionnum, 9);
    ck_assert(h->has_clientid && h->clientid.len == 0 && h->retrycount == -1);
    ck_assert_uint_eq(h->exceptionclassname.len, strlen(java));
    ck_assert_mem_eq(h->exceptionclassname.data, java, strlen(java));
    if (text != NULL) {
        ck_assert_uint_eq(h->errormsg.len, strlen(text));
        ck_assert_mem_eq(h->errormsg.data, text, strlen(text));
    }
}

START_TEST(a_recorded_call_is_yielded)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT CALL);
    ck_assert_int_eq(r.last, FRAME_MORE);
    ck_assert_uint_eq(r.calls, 1);
    ck_assert_str_eq(r.called, "getPreferredBlockSize");
    ck_assert_int_eq(r.call_id, 78);
    ck_assert_str_eq(r.frame.user, "root");
    ck_assert_str_eq(r.frame.real_user, "");
    ck_assert_uint_eq(r.out.n, 0);
    rig_fini(&r);
}
END_TEST

START_TEST(bytes_one_by_one_give_the_same_calls)
{
    uint8_t bytes[1024];
    size_t n = unhex(PREAMBLE CONTEXT CALL CALL, bytes);
    struct rig r;

    rig_init(&r);
    for (size_t i = 0; i < n; i++)
        rig_give(&r, bytes + i, 1);
    ck_assert_uint_eq(r.calls, 2);
    ck_assert_uint_eq(frame_kept(&r.frame), 0);
    rig_fini(&r);
}
END_TEST

START_TEST(every_cut_in_two_gives_the_same_calls)
{
    uint8_t bytes[1024];
    size_t n = unhex(PREAMBLE CONTEXT CALL CALL, bytes);

    for (size_t cut = 1; cut < n; cut++) {
        struct rig r;
        rig_init(&r);
        rig_give(&r, bytes, cut);
        rig_give(&r, bytes + cut, n - cut);
        ck_assert_uint_eq(r.calls, 2);
        rig_fini(&r);
    }
}
END_TEST

START_TEST(a_reply_is_the_recorded_bytes)
{
    GetPreferredBlockSizeResponseProto reply = GET_PREFERRED_BLOCK_SIZE_RESPONSE_PROTO__INIT;
    uint8_t id[16], expected[64], *p;
    struct frame_reply to = { .call_id = 78, .retry_count = 0, .client_id = { id, sizeof id } };
    size_t n, expected_n = unhex(REPLY, expected);

    ck_assert_uint_eq(unhex("831ad4ff84394ffbbdfb2fb2be3bf3e0", id), 16);
    reply.bsize = 1 * MB;
    p = frame_reply_new(&to, &reply.base, &n);
    ck_assert_uint_eq(n, expected_n);
    ck_assert_mem_eq(p, expected, n);
    mem_free(p);
    p = frame_reply_encoded_new(&to, "\x08\x80\x80\x40", 4, &n);
    ck_assert_uint_eq(n, expected_n);
    ck_assert_mem_eq(p, expected, n);
    mem_free(p);
}
END_TEST

START_TEST(an_error_has_class_text_and_code)
{
    static const struct { enum rc rc; unsigned code; } rows[] = {
        { RC_NOT_FOUND, 1 }, { RC_NO_METHOD, 2 }, { RC_NO_PROTOCOL, 3 }, { RC_RPC_VERSION, 6 }, { RC_BAD_MESSAGE, 1 },
    };
    struct frame_reply to = { .call_id = 7, .retry_count = 3 };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const RpcResponseHeaderProto *h;
        struct why why;
        struct rig r;
        rig_init(&r);
        why_set(&why, rows[i].rc, "File does not exist: /x");
        size_t n;
        uint8_t *p = frame_error_new(&to, &why, &n);
        buf_put(&r.out, p, n);
        mem_free(p);
        h = answer(&r);
        ck_assert_int_eq(h->status, RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__ERROR);
        ck_assert_uint_eq(h->errordetail, rows[i].code);
        ck_assert_int_eq(h->retrycount, 3);
        ck_assert_mem_eq(h->exceptionclassname.data, rc_java(rows[i].rc), h->exceptionclassname.len);
        ck_assert_uint_eq(h->errormsg.len, 23);
        rig_fini(&r);
    }
}
END_TEST

START_TEST(http_is_told_where_it_is)
{
    struct rig r;

    rig_init(&r);
    rig_give(&r, "GET / HTTP/1.1\r\n", 16);
    ck_assert_int_eq(r.last, FRAME_CLOSE);
    ck_assert_mem_eq(r.out.p, "HTTP/1.1 404 Not Found\r\n", 24);
    rig_fini(&r);
}
END_TEST

START_TEST(another_version_is_a_mismatch)
{
    struct rig r;

    rig_init(&r);
    rig_give(&r, "hrpc\x0a\0\0", 7);
    expect_fatal(&r, -1, 14, "org.apache.hadoop.ipc.RPC$VersionMismatch",
                 "Server IPC version 9 cannot communicate with client version 10");
    rig_fini(&r);

    rig_init(&r);
    rig_give(&r, "hrpc\x08\0\0", 7);
    ck_assert_int_eq(r.last, FRAME_CLOSE);
    ck_assert_mem_eq(r.out.p, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x29org.apache", 22);
    rig_fini(&r);

    rig_init(&r);
    rig_give(&r, "quark\r\n", 7);
    expect_fatal(&r, -1, 14, "org.apache.hadoop.ipc.RPC$VersionMismatch",
                 "Server IPC version 9 cannot communicate with client version 107");
    rig_fini(&r);
}
END_TEST

START_TEST(another_auth_protocol_is_refused)
{
    struct rig r;

    rig_init(&r);
    rig_give(&r, "hrpc\x09\0P", 7);
    expect_fatal(&r, -1, 15, "org.apache.hadoop.ipc.IpcException", "Unknown auth protocol:80");
    rig_fini(&r);
}
END_TEST

START_TEST(negotiate_is_answered_with_success)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE_SASL);
    rig_give_sasl(&r, RPC_SASL_PROTO__SASL_STATE__NEGOTIATE, NULL);
    ck_assert_int_eq(r.last, FRAME_MORE);
    ck_assert_int_eq(answer(&r)->status, RPC_RESPONSE_HEADER_PROTO__RPC_STATUS_PROTO__SUCCESS);
    ck_assert_uint_eq(answer(&r)->callid, (uint32_t)-33);
    ck_assert_mem_eq(r.out.p + r.out.n - 3, "\x02\x10\x00", 3);     /* state 2 = SUCCESS, 0 */
    buf_clear(&r.out);
    rig_give_hex(&r, CONTEXT CALL);
    ck_assert_uint_eq(r.calls, 1);
    rig_fini(&r);
}
END_TEST

START_TEST(initiate_simple_is_taken_without_an_answer)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE_SASL);
    rig_give_sasl(&r, RPC_SASL_PROTO__SASL_STATE__INITIATE, "SIMPLE");
    ck_assert_uint_eq(r.out.n, 0);
    rig_give_hex(&r, CONTEXT CALL);
    ck_assert_uint_eq(r.calls, 1);
    rig_fini(&r);
}
END_TEST

START_TEST(sasl_out_of_order_is_fatal)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE_SASL);
    rig_give_sasl(&r, RPC_SASL_PROTO__SASL_STATE__NEGOTIATE, NULL);
    buf_clear(&r.out);
    rig_give_sasl(&r, RPC_SASL_PROTO__SASL_STATE__NEGOTIATE, NULL);
    expect_fatal(&r, -33, 15, "org.apache.hadoop.security.AccessControlException", "Client already attempted negotiation");
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE_SASL);
    rig_give_sasl(&r, RPC_SASL_PROTO__SASL_STATE__INITIATE, "KERBEROS");
    expect_fatal(&r, -33, 15, "org.apache.hadoop.security.AccessControlException",
                 "KERBEROS authentication is not enabled.  Available:[SIMPLE]");
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE_SASL CONTEXT);
    expect_fatal(&r, -3, 12, "org.apache.hadoop.ipc.RpcServerException", "Connection header sent during SASL negotiation");
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE);
    rig_give_sasl(&r, RPC_SASL_PROTO__SASL_STATE__NEGOTIATE, NULL);
    expect_fatal(&r, -33, 12, "org.apache.hadoop.ipc.RpcServerException", "SASL protocol not requested by client");
    rig_fini(&r);
}
END_TEST

START_TEST(principals_are_cut_to_the_user)
{
    static const char *const names[] = { "alice", "alice@REALM", "alice/host.example@REALM" };

    for (size_t i = 0; i < 3; i++) {
        struct rig r;
        rig_init(&r);
        rig_give_hex(&r, PREAMBLE);
        rig_give_user(&r, names[i], i == 0 ? "alice" : NULL);
        ck_assert_str_eq(r.frame.user, "alice");
        ck_assert_str_eq(r.frame.real_user, "");
        ck_assert_int_eq(r.frame.state, FS_OPEN);
        rig_fini(&r);
    }
}
END_TEST

START_TEST(nobody_is_not_a_superuser)
{
    static const char *const names[] = { NULL, "", "@REALM", "/host", "a\nb" };

    for (size_t i = 0; i < 5; i++) {
        struct rig r;
        rig_init(&r);
        rig_give_hex(&r, PREAMBLE);
        rig_give_user(&r, names[i], NULL);
        expect_fatal(&r, -3, 15, "org.apache.hadoop.security.AccessControlException", NULL);
        rig_fini(&r);
    }
    IpcConnectionContextProto empty = IPC_CONNECTION_CONTEXT_PROTO__INIT;
    struct rig r;
    rig_init(&r);
    rig_give_hex(&r, PREAMBLE);
    rig_give_frame(&r, -3, true, &empty.base);
    expect_fatal(&r, -3, 15, "org.apache.hadoop.security.AccessControlException", NULL);
    rig_fini(&r);
}
END_TEST

static bool
root_may(void *arg, const char *real, const char *user, const struct net_addr *peer)
{
    (void)arg;
    (void)user;
    (void)peer;
    return strcmp(real, "root") == 0;
}

START_TEST(only_those_who_may_act_for_others)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE);
    rig_give_user(&r, "alice", "bob");
    expect_fatal(&r, -3, 15, "org.apache.hadoop.security.authorize.AuthorizationException",
                 "User: bob is not allowed to impersonate alice");
    rig_fini(&r);

    rig_init(&r);
    r.options.may_proxy = root_may;
    rig_give_hex(&r, PREAMBLE);
    rig_give_user(&r, "alice", "root@REALM");
    ck_assert_int_eq(r.frame.state, FS_OPEN);
    ck_assert_str_eq(r.frame.user, "alice");
    ck_assert_str_eq(r.frame.real_user, "root");
    rig_fini(&r);

    rig_init(&r);
    r.options.may_proxy = root_may;
    rig_give_hex(&r, PREAMBLE);
    rig_give_user(&r, "alice", "eve");
    ck_assert_int_eq(r.last, FRAME_CLOSE);
    rig_fini(&r);
}
END_TEST

START_TEST(headers_without_sense_are_fatal)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CALL);                        /* no context */
    ck_assert_uint_eq(r.calls, 0);
    ck_assert_uint_eq(answer(&r)->errordetail, 12);
    ck_assert_uint_eq(answer(&r)->callid, 78);
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT CONTEXT);             /* two */
    expect_fatal(&r, -3, 12, "org.apache.hadoop.ipc.RpcServerException", NULL);
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT);
    rig_give_frame(&r, 5, false, NULL);                     /* neither kind nor operation */
    expect_fatal(&r, 5, 12, "org.apache.hadoop.ipc.RpcServerException", NULL);
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT);
    rig_give_frame(&r, -7, true, NULL);                     /* no such id */
    expect_fatal(&r, -7, 12, "org.apache.hadoop.ipc.RpcServerException", NULL);
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT "00000000");          /* an empty frame */
    expect_fatal(&r, -1, 13, "org.apache.hadoop.ipc.RpcServerException", NULL);
    rig_fini(&r);

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT "0000000403ffffff");  /* no message */
    expect_fatal(&r, -1, 13, "org.apache.hadoop.ipc.RpcServerException", NULL);
    rig_fini(&r);
}
END_TEST

START_TEST(a_ping_changes_nothing)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT);
    rig_give_frame(&r, -4, true, NULL);
    ck_assert_int_eq(r.last, FRAME_MORE);
    ck_assert_uint_eq(r.out.n, 0);
    rig_give_hex(&r, CALL);
    ck_assert_uint_eq(r.calls, 1);
    rig_fini(&r);
}
END_TEST

START_TEST(a_length_past_the_limit_closes_without_a_word)
{
    static const char *const lengths[] = { PREAMBLE CONTEXT "00100001", PREAMBLE CONTEXT "ffffffff",
                                           PREAMBLE CONTEXT "7fffffff", PREAMBLE "00001001" };

    for (size_t i = 0; i < 4; i++) {
        struct rig r;
        rig_init(&r);
        rig_give_hex(&r, lengths[i]);
        ck_assert_int_eq(r.last, FRAME_CLOSE);
        ck_assert_uint_eq(r.out.n, 0);
        rig_fini(&r);
    }
}
END_TEST

START_TEST(a_claimed_length_takes_no_memory)
{
    struct rig r;

    rig_init(&r);
    rig_give_hex(&r, PREAMBLE CONTEXT "00100000");
    ck_assert_int_eq(r.last, FRAME_MORE);
    ck_assert_uint_le(r.frame.kept.cap, 4 * KB);
    rig_fini(&r);
}
END_TEST

START_TEST(every_allocation_failure_ends_only_the_connection)
{
    uint8_t bytes[1024];
    size_t n = unhex(PREAMBLE CONTEXT CALL CALL, bytes);
    bool whole = false;

    for (uint64_t nth = 1; !whole; nth++) {
        struct frame_call call;
        struct rig r;
        enum frame_event event = FRAME_MORE;
        rig_init(&r);
        mem_fail_nth(nth);
        for (size_t at = 0; at < n && event != FRAME_CLOSE; at += 100) {
            if (frame_give(&r.frame, bytes + at, n - at < 100 ? n - at : 100) != RC_OK)
                break;
            while ((event = frame_next(&r.frame, &r.scratch, &r.out, &call)) == FRAME_CALL)
                r.calls++;
            if (frame_keep(&r.frame) != RC_OK)
                break;
        }
        mem_fail_nth(0);
        whole = r.calls == 2;
        ck_assert(whole || nth < 100);
        rig_fini(&r);
    }
}
END_TEST

Suite *
suite_frame(void)
{
    Suite *s = suite_create("frame");
    TCase *t = tcase_create("frame");

    tcase_add_test(t, a_recorded_call_is_yielded);
    tcase_add_test(t, bytes_one_by_one_give_the_same_calls);
    tcase_add_test(t, every_cut_in_two_gives_the_same_calls);
    tcase_add_test(t, a_reply_is_the_recorded_bytes);
    tcase_add_test(t, an_error_has_class_text_and_code);
    tcase_add_test(t, http_is_told_where_it_is);
    tcase_add_test(t, another_version_is_a_mismatch);
    tcase_add_test(t, another_auth_protocol_is_refused);
    tcase_add_test(t, negotiate_is_answered_with_success);
    tcase_add_test(t, initiate_simple_is_taken_without_an_answer);
    tcase_add_test(t, sasl_out_of_order_is_fatal);
    tcase_add_test(t, principals_are_cut_to_the_user);
    tcase_add_test(t, nobody_is_not_a_superuser);
    tcase_add_test(t, only_those_who_may_act_for_others);
    tcase_add_test(t, headers_without_sense_are_fatal);
    tcase_add_test(t, a_ping_changes_nothing);
    tcase_add_test(t, a_length_past_the_limit_closes_without_a_word);
    tcase_add_test(t, a_claimed_length_takes_no_memory);
    tcase_add_test(t, every_allocation_failure_ends_only_the_connection);
    suite_add_tcase(s, t);
    return s;
}
