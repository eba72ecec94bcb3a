#include <string.h>

#include "core/base/mem.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/decode.h"
#include "tests/unit/suites.h"

suite_fn suite_decode;

static void
expect_bad(const ProtobufCMessageDescriptor *d, const void *p, size_t n, const char *text)
{
    ProtobufCMessage *m;
    struct arena a;
    struct why why;

    arena_init(&a, 64 * KB);
    ck_assert_int_eq(rpc_decode(d, &a, p, n, &m, &why), RC_BAD_MESSAGE);
    ck_assert_str_eq(why.java, "org.apache.hadoop.thirdparty.protobuf.InvalidProtocolBufferException");
    if (text != NULL)
        ck_assert_str_eq(why.text, text);
    arena_fini(&a);
    ck_assert_uint_eq(mem_live(), 0);
}

START_TEST(missing_fields_are_named)
{
    expect_bad(&get_block_locations_request_proto__descriptor, "", 0,
               "Message missing required fields: src, offset, length");
    expect_bad(&get_block_locations_request_proto__descriptor, "\x0a\x01/\x18\x01", 5,
               "Message missing required fields: offset");
    expect_bad(&get_file_info_request_proto__descriptor, "", 0, "Message missing required fields: src");
}
END_TEST

START_TEST(missing_fields_of_inner_messages_are_named_with_their_path)
{
    /* b { poolId "p" } src "/f" holder "h" */
    expect_bad(&abandon_block_request_proto__descriptor, "\x0a\x03\x0a\x01p\x12\x02/f\x1a\x01h", 12,
               "Message missing required fields: b.blockId, b.generationStamp");
}
END_TEST

START_TEST(what_is_no_message_is_malformed)
{
    expect_bad(&get_file_info_request_proto__descriptor, "\x0a\x7f/", 3, NULL);
    expect_bad(&get_file_info_request_proto__descriptor, "\x0a", 1, NULL);
    expect_bad(&get_file_info_request_proto__descriptor, "\x0b\x00", 2, NULL);
    expect_bad(&get_file_info_request_proto__descriptor, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, NULL);
}
END_TEST

START_TEST(a_message_that_grows_past_the_arena_is_refused)
{
    /* Each two bytes are an empty message that takes far more when decoded. */
    size_t n = 200 * KB;
    uint8_t *p = mem_alloc(n);
    ProtobufCMessage *m;
    struct arena a;
    struct why why;

    for (size_t i = 0; i < n; i += 2)
        memcpy(p + i, "\x22\x00", 2);
    memcpy(p, "\x0a\x00\x12\x00\x1a\x00", 6);
    arena_init(&a, 1 * MB);
    ck_assert_int_eq(rpc_decode(&add_block_request_proto__descriptor, &a, p, n, &m, &why), RC_BAD_MESSAGE);
    ck_assert_ptr_nonnull(strstr(why.text, "too large"));
    ck_assert_uint_le(a.used, 1 * MB);
    arena_fini(&a);
    mem_free(p);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(bytes_with_a_nul_are_kept_whole)
{
    GetFileInfoRequestProto *request;
    ProtobufCMessage *m;
    struct arena a;
    struct why why;

    arena_init(&a, 64 * KB);
    ck_assert_int_eq(rpc_decode(&get_file_info_request_proto__descriptor, &a, "\x0a\x03/\0x", 5, &m, &why), RC_OK);
    request = (GetFileInfoRequestProto *)m;
    ck_assert_uint_eq(request->src.len, 3);
    ck_assert_mem_eq(request->src.data, "/\0x", 3);
    arena_fini(&a);
}
END_TEST

Suite *
suite_decode(void)
{
    Suite *s = suite_create("decode");
    TCase *t = tcase_create("decode");

    tcase_add_test(t, missing_fields_are_named);
    tcase_add_test(t, missing_fields_of_inner_messages_are_named_with_their_path);
    tcase_add_test(t, what_is_no_message_is_malformed);
    tcase_add_test(t, a_message_that_grows_past_the_arena_is_refused);
    tcase_add_test(t, bytes_with_a_nul_are_kept_whole);
    suite_add_tcase(s, t);
    return s;
}
