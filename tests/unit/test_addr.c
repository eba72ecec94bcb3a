#include <stdio.h>

#include "core/net/net.h"
#include "tests/unit/suites.h"

suite_fn suite_addr;

static void
expect(const char *text, const char *host, unsigned port, const char *printed)
{
    char out[NET_ADDR_TEXT];
    struct net_addr a;
    struct why why;

    ck_assert_msg(net_addr_parse(text, 8020, &a, &why) == RC_OK, "%s", text);
    ck_assert_str_eq(a.host, host);
    ck_assert_uint_eq(a.port, port);
    ck_assert_str_eq(net_addr_text(&a, out), printed);
}

START_TEST(addresses_as_people_write_them)
{
    expect("nn.example:9000", "nn.example", 9000, "nn.example:9000");
    expect("nn", "nn", 8020, "nn:8020");
    expect("127.0.0.1:0", "127.0.0.1", 0, "127.0.0.1:0");
    expect("[::1]:65535", "::1", 65535, "[::1]:65535");
    expect("[fe80::1]", "fe80::1", 8020, "[fe80::1]:8020");
    expect("fe80::1", "fe80::1", 8020, "[fe80::1]:8020");
    expect("/run/dn.sock", "/run/dn.sock", 0, "/run/dn.sock");
}
END_TEST

START_TEST(a_namenode_is_named_by_its_uri)
{
    static const struct { const char *uri, *text; } rows[] = {
        { "hdfs://nn", "nn:8020" }, { "hdfs://nn:9000", "nn:9000" }, { "hdfs://nn:9000/", "nn:9000" },
        { "hdfs://[::1]:9000/a/b", "[::1]:9000" }, { "hdfs://", NULL }, { "hdfs:///a", NULL }, { "nn:9000", NULL },
    };
    char text[NET_ADDR_TEXT];
    struct net_addr a;
    struct why why;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum rc rc = net_addr_parse_hdfs(rows[i].uri, &a, &why);

        ck_assert_msg(rc == (rows[i].text != NULL ? RC_OK : RC_BAD_CONFIG), "%s", rows[i].uri);
        if (rc == RC_OK)
            ck_assert_str_eq(net_addr_text(&a, text), rows[i].text);
    }
}
END_TEST
START_TEST(what_is_not_an_address_is_refused)
{
    static const char *const bad[] = { "", ":1", "h:", "h:65536", "h:1x", "h:-1", "[::1", "[::1]x", "[]:1" };
    struct net_addr a;
    struct why why;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(net_addr_parse(bad[i], 8020, &a, &why) == RC_BAD_CONFIG, "%s", bad[i]);
}
END_TEST

START_TEST(loopback_is_this_machine_only)
{
    static const struct { const char *host; bool is; } rows[] = {
        { "127.0.0.1", true }, { "127.9.8.7", true }, { "::1", true }, { "localhost", true }, { "LocalHost", true },
        { "0.0.0.0", false }, { "128.0.0.1", false }, { "127.0.0.1.example.org", false }, { "::", false },
        { "127.example.org", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net_addr a = { .port = 1 };
        snprintf(a.host, sizeof a.host, "%s", rows[i].host);
        ck_assert_msg(net_addr_is_loopback(&a) == rows[i].is, "%s", rows[i].host);
    }
}
END_TEST

Suite *
suite_addr(void)
{
    Suite *s = suite_create("addr");
    TCase *t = tcase_create("addr");

    tcase_add_test(t, addresses_as_people_write_them);
    tcase_add_test(t, a_namenode_is_named_by_its_uri);
    tcase_add_test(t, what_is_not_an_address_is_refused);
    tcase_add_test(t, loopback_is_this_machine_only);
    suite_add_tcase(s, t);
    return s;
}
