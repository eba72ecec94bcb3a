#include "core/http/route.h"

#include <string.h>

#include "core/base/mem.h"
#include "tests/unit/suites.h"

suite_fn suite_http_route;

static void
handle(void *arg, const struct http_request *req, struct http_reply *reply)
{
    (void)arg;
    (void)req;
    (void)reply;
}

static const struct http_route routes[] = {
    { "GET", "/", handle },
    { "GET", "/browse/special", handle },
    { "GET", "/browse*", handle },
    { "POST", "/job", handle },
    { "GET", "/job", handle },
};

static enum route_match
find(const char *method, const char *path, size_t *ret_row, const char **ret_rest)
{
    const struct http_route *route = NULL;
    enum route_match match = route_find(routes, ARRAY_LEN(routes), method, path, &route, ret_rest);

    *ret_row = route == NULL ? 99 : (size_t)(route - routes);
    return match;
}

START_TEST(first_matching_row_answers)
{
    const char *rest = NULL;
    size_t row;

    ck_assert_int_eq(find("GET", "/", &row, &rest), ROUTE_FOUND);
    ck_assert_uint_eq(row, 0);
    ck_assert_str_eq(rest, "");
    ck_assert_int_eq(find("GET", "/browse/special", &row, &rest), ROUTE_FOUND);
    ck_assert_uint_eq(row, 1);
    ck_assert_int_eq(find("HEAD", "/browse/a b/c", &row, &rest), ROUTE_FOUND);
    ck_assert_uint_eq(row, 2);
    ck_assert_str_eq(rest, "/a b/c");
    ck_assert_int_eq(find("GET", "/browse", &row, &rest), ROUTE_FOUND);
    ck_assert_str_eq(rest, "");
    ck_assert_int_eq(find("POST", "/job", &row, &rest), ROUTE_FOUND);
    ck_assert_uint_eq(row, 3);
}
END_TEST

START_TEST(unknown_path_and_wrong_method_are_told_apart)
{
    const char *rest = NULL;
    struct buf b;
    size_t row;

    ck_assert_int_eq(find("GET", "/jobs", &row, &rest), ROUTE_NO_PATH);
    ck_assert_int_eq(find("POST", "/", &row, &rest), ROUTE_NO_METHOD);
    ck_assert_int_eq(find("DELETE", "/job", &row, &rest), ROUTE_NO_METHOD);
    ck_assert_ptr_null(rest);
    buf_init(&b, KB);
    route_put_methods(routes, ARRAY_LEN(routes), "/job", &b);
    buf_u8(&b, 0);
    ck_assert_str_eq((char *)b.p, "POST, GET, HEAD");
    buf_fini(&b);
}
END_TEST

START_TEST(escapes_are_decoded_and_malformed_ones_stay)
{
    static const struct { const char *in; const char *out; } cases[] = {
        { "", "" },         { "/a%20b", "/a b" },   { "%41%4a%4A", "AJJ" }, { "%", "%" },
        { "%4", "%4" },     { "%zz", "%zz" },       { "a%00b", "a%00b" },   { "%2525", "%25" },
        { "%c3%a4", "\xc3\xa4" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char s[32];

        memcpy(s, cases[i].in, strlen(cases[i].in) + 1);
        ck_assert_uint_eq(route_unescape(s), strlen(cases[i].out));
        ck_assert_str_eq(s, cases[i].out);
    }
}
END_TEST

START_TEST(html_has_no_live_characters_left)
{
    struct buf b;

    buf_init(&b, KB);
    http_escape(&b, "<a href=\"x\">'&\x01\xc3\xa4\n", 18);
    buf_u8(&b, 0);
    ck_assert_str_eq((char *)b.p, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\xef\xbf\xbd\xc3\xa4\n");
    buf_fini(&b);
}
END_TEST

START_TEST(encoded_path_decodes_to_itself)
{
    char all[256];
    struct buf b;

    for (int i = 0; i < 255; i++)
        all[i] = (char)(i + 1);
    all[255] = '\0';
    buf_init(&b, KB);
    http_encode_path(&b, all, 255);
    buf_u8(&b, 0);
    ck_assert_ptr_null(strpbrk((char *)b.p, "<>\"'&?#+ \\"));
    ck_assert_ptr_nonnull(strchr((char *)b.p, '/'));
    ck_assert_uint_eq(route_unescape((char *)b.p), 255);
    ck_assert_mem_eq(b.p, all, 256);
    buf_fini(&b);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(file_name_of_a_download_cannot_end_its_header)
{
    struct buf b;

    buf_init(&b, KB);
    route_put_disposition("a/b\"\r\n.txt", &b);
    buf_u8(&b, 0);
    ck_assert_str_eq((char *)b.p, "attachment; filename*=UTF-8''a%2Fb%22%0D%0A.txt");
    buf_fini(&b);
}
END_TEST

Suite *
suite_http_route(void)
{
    Suite *s = suite_create("http_route");
    TCase *t = tcase_create("http_route");

    tcase_add_test(t, first_matching_row_answers);
    tcase_add_test(t, unknown_path_and_wrong_method_are_told_apart);
    tcase_add_test(t, escapes_are_decoded_and_malformed_ones_stay);
    tcase_add_test(t, html_has_no_live_characters_left);
    tcase_add_test(t, encoded_path_decodes_to_itself);
    tcase_add_test(t, file_name_of_a_download_cannot_end_its_header);
    suite_add_tcase(s, t);
    return s;
}
