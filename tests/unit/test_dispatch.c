#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/dispatch.h"
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
    struct rpc_method methods[] = {
        { .name = "renewLease" }, { .name = "getListing" }, { .name = "getFileInfo" }, { .name = "mkdirs" },
    };
    struct rpc_protocol protocol = { CLIENT_PROTOCOL, 1, methods, ARRAY_LEN(methods) };
    struct rpc_service service = { .protocol = &protocol };
    const struct rpc_service *found;
    struct rpc_dispatch *d;
    struct why why;
    size_t index;

    ck_assert_int_eq(rpc_protocol_init(&protocol, &client_namenode_protocol__descriptor, &why), RC_OK);
    ck_assert_ptr_eq(methods[2].request, &get_file_info_request_proto__descriptor);
    ck_assert_ptr_eq(methods[2].reply, &get_file_info_response_proto__descriptor);
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
    struct rpc_method method = { .name = "getFileinfo" };
    struct rpc_protocol protocol = { CLIENT_PROTOCOL, 1, &method, 1 };
    struct why why;

    ck_assert_int_eq(rpc_protocol_init(&protocol, &client_namenode_protocol__descriptor, &why), RC_BUG);
}
END_TEST

Suite *
suite_dispatch(void)
{
    Suite *s = suite_create("dispatch");
    TCase *t = tcase_create("dispatch");

    tcase_add_test(t, names_lead_to_their_rows);
    tcase_add_test(t, a_row_that_the_service_lacks_is_a_bug);
    suite_add_tcase(s, t);
    return s;
}
