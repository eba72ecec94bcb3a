/*
 * fuzz_http -- what our HTTP code does with paths and texts; requests themselves
 * are read by libmicrohttpd.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/attr.h"
#include "core/http/route.h"
#include "core/proto/job_id.h"

static const struct http_route routes[] = {
    { "GET", "/", NULL },        { "GET", "/browse", NULL },      { "GET", "/static/*", NULL }, { "POST", "/browse", NULL },
    { "GET", "/webhdfs/v1/*", NULL }, { "PUT", "/webhdfs/v1/*", NULL }, { "GET", "/job", NULL },
};

static bool
has_any(const struct buf *b, const char *chars)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] == '\0' || strchr(chars, b->p[i]) != NULL)
            return true;
    return false;
}

/* Percent-encoded and decoded again, a text is the same. */
static void
encode(const char *text)
{
    struct buf b;

    buf_init(&b, 1 * MB);
    http_encode_path(&b, text, strlen(text));
    CHECK(!has_any(&b, " \"'<>&?#\r\n\t\\"));
    buf_u8(&b, 0);
    CHECK(buf_ok(&b));
    CHECK(route_unescape((char *)b.p) == strlen(text));
    CHECK(strcmp((const char *)b.p, text) == 0);
    buf_clear(&b);
    route_put_disposition(text, &b);
    CHECK(!has_any(&b, "\r\n\"/"));
    buf_clear(&b);
    http_escape(&b, text, strlen(text));
    CHECK(!has_any(&b, "<>\"'\r\x7f\x1b"));
    buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const methods[] = { "GET", "HEAD", "PUT", "POST", "DELETE", "" };
    char *text = mem_strndup(data, n), *decoded = mem_strndup(data, n);
    const struct http_route *route = NULL;
    const char *rest = NULL;
    struct buf allow;
    size_t left;

    CHECK(text != NULL);
    CHECK(decoded != NULL);
    left = route_unescape(decoded);
    CHECK(left <= strlen(text));
    CHECK(left == strlen(decoded));
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (route_find(routes, ARRAY_LEN(routes), methods[i], decoded, &route, &rest) == ROUTE_FOUND) {
            CHECK(rest >= decoded ? rest <= decoded + left : rest[0] == '\0');
        }
    buf_init(&allow, 1 * KB);
    route_put_methods(routes, ARRAY_LEN(routes), decoded, &allow);
    CHECK(buf_ok(&allow));
    buf_fini(&allow);
    encode(text);
    (void)job_id_parse(n > 0 ? data[0] * UINT64_C(86400000) : 0, text);     /* any number, or none */
    mem_free(text);
    mem_free(decoded);
    CHECK(mem_live() == 0);
    return 0;
}
