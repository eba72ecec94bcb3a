#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/dispatch.h"
#include "core/rpc/protocols.h"
#include "tests/unit/suites.h"

suite_fn suite_dispatch;

#define CLIENT_PROTOCOL "org.apache.hadoop.hdfs.protocol.ClientProtocol"

static struct span
span_of(const char *s)
{
    return (struct span){ (const uint8_t *)s, strlen(s) };
}

START_TEST(names_lead_to_their_rows)
{
    static const struct rpc_method methods[] = {
        { .name = "renewLease" }, { .name = "getListing" }, { .name = "getFileInfo" }, { .name = "mkdirs" },
    };
    struct rpc_protocol protocol = { CLIENT_PROTOCOL, 1, &client_namenode_protocol__descriptor, methods, ARRAY_LEN(methods) };
    struct rpc_service service = { .protocol = &protocol };
    const struct rpc_service *found;
    struct rpc_dispatch *d;
    struct why why;
    size_t index;

    ck_assert_int_eq(rpc_dispatch_new(&service, 1, &d), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        ck_assert_int_eq(rpc_dispatch_find(d, span_of(CLIENT_PROTOCOL), 1, span_of(methods[i].name), &found, &index, &why),
                         RC_OK);
        ck_assert_uint_eq(index, i);
    }
    ck_assert_int_eq(rpc_dispatch_find(d, span_of(CLIENT_PROTOCOL), 1, span_of("getFile"), &found, &index, &why),
                     RC_NO_METHOD);
    ck_assert_str_eq(why.text, "Unknown method getFile called on " CLIENT_PROTOCOL " protocol.");
    ck_assert_int_eq(rpc_dispatch_find(d, span_of("x.Y"), 1, span_of("mkdirs"), &found, &index, &why), RC_NO_PROTOCOL);
    ck_assert_str_eq(why.text, "Unknown protocol: x.Y");
    ck_assert_int_eq(rpc_dispatch_find(d, span_of(CLIENT_PROTOCOL), 2, span_of("mkdirs"), &found, &index, &why),
                     RC_RPC_VERSION);
    rpc_dispatch_free(d);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(a_row_that_the_service_lacks_is_a_bug)
{
    static const struct rpc_method method = { .name = "getFileinfo" };
    const struct rpc_protocol protocol = { CLIENT_PROTOCOL, 1, &client_namenode_protocol__descriptor, &method, 1 };
    const ProtobufCMethodDescriptor *messages;
    struct why why;

    ck_assert_int_eq(rpc_method_messages(&protocol, 0, &messages, &why), RC_BUG);
}
END_TEST

START_TEST(every_row_has_a_method_in_its_service)
{
    static const struct rpc_protocol *const all[] = { &client_namenode_rpc, &client_datanode_rpc, &datanode_rpc,
                                                      &ha_service_rpc, &user_mappings_rpc, &job_client_rpc, &tracker_rpc };
    const ProtobufCMethodDescriptor *messages;
    struct why why;

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t m = 0; m < all[i]->method_count; m++)
            ck_assert_msg(rpc_method_messages(all[i], m, &messages, &why) == RC_OK, "%s", why.text);
    ck_assert_int_eq(rpc_method_messages(&client_namenode_rpc, ROW_get_file_info, &messages, &why), RC_OK);
    ck_assert_ptr_eq(messages->input, &get_file_info_request_proto__descriptor);
    ck_assert_ptr_eq(messages->output, &get_file_info_response_proto__descriptor);
}
END_TEST

Suite *
suite_dispatch(void)
{
    Suite *s = suite_create("dispatch");
    TCase *t = tcase_create("dispatch");

    tcase_add_test(t, names_lead_to_their_rows);
    tcase_add_test(t, every_row_has_a_method_in_its_service);
    tcase_add_test(t, a_row_that_the_service_lacks_is_a_bug);
    suite_add_tcase(s, t);
    return s;
}
