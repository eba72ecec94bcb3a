/*
 * http_pages -- core/http over real sockets: routes, headers, bodies, streams, limits, garbage.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/http/http.h"
#include "core/net/net.h"
#include "tests/unit/suites.h"

struct site {
    struct world w;
    struct http_server *server;
    struct net_addr at;
    uint64_t left;          /* bytes that /stream still yields */
    unsigned ended;         /* streams whose end was told */
};

static void
page(void *arg, const struct http_request *req, struct http_reply *reply)
{
    const char *q = http_param(req, "q");

    (void)arg;
    buf_printf(&reply->body, "%s %s rest=%s q=%s body=%.*s", req->method, req->path, req->rest, q == NULL ? "-" : q,
               (int)req->body.n, (const char *)req->body.p);
}

static void
moved(void *arg, const struct http_request *req, struct http_reply *reply)
{
    (void)arg;
    reply->status = 302;
    reply->location = arena_printf(req->scratch, "/elsewhere/%d", 7);
}

static void
too_large(void *arg, const struct http_request *req, struct http_reply *reply)
{
    (void)arg;
    (void)req;
    while (buf_grow(&reply->body, MB) != NULL)
        ;
}

static long
stream_next(void *arg, char *out, size_t cap)
{
    struct site *s = arg;
    size_t n = s->left < cap ? (size_t)s->left : cap;

    memset(out, 'x', n);
    s->left -= n;
    return (long)n;
}

static void
stream_done(void *arg)
{
    struct site *s = arg;

    (void)__atomic_add_fetch(&s->ended, 1, __ATOMIC_SEQ_CST);
}

static void
stream(void *arg, const struct http_request *req, struct http_reply *reply)
{
    struct site *s = arg;

    s->left = 3 * MB + 5;
    reply->type = "application/octet-stream";
    reply->stream = stream_next;
    reply->stream_done = stream_done;
    reply->stream_arg = s;
    reply->stream_bytes = http_param(req, "known") != NULL ? s->left : 0;
}

static const struct http_route routes[] = {
    { "GET", "/", page },         { "GET", "/tree*", page },       { "POST", "/post", page },
    { "GET", "/moved", moved },   { "GET", "/large", too_large },  { "GET", "/stream", stream },
};

static void
site_start(struct site *s)
{
    const struct net_addr any = { .host = "127.0.0.1" };
    struct why why;

    *s = (struct site){ .server = NULL };
    world_posix(&s->w);
    if (http_start(&any, routes, ARRAY_LEN(routes), s, 16, &s->server, &s->at, &why) != RC_OK)
        ck_abort_msg("%s", why.text);
}

/* What the server says to these bytes until it closes the connection, at most cap - 1 bytes. */
static size_t
ask(struct site *s, const void *request, size_t n, char *answer, size_t cap)
{
    uint64_t deadline = clock_deadline(s->w.clock, 10000);
    size_t got = 0, k;
    struct why why;
    int sock;

    ck_assert_int_eq(net_connect(s->w.net, &s->at, deadline, &sock, &why), RC_OK);
    (void)net_write(s->w.net, sock, request, n, deadline, &why);    /* it may close before it has read all */
    while (got < cap - 1 && net_read(s->w.net, sock, answer + got, cap - 1 - got, deadline, &k, &why) == RC_OK)
        got += k;
    net_close(s->w.net, sock);
    answer[got] = '\0';
    return got;
}

static void
expect(struct site *s, const char *line, const char *more, const char *status, const char *text)
{
    char request[2048], answer[4096];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", line, more);
    ask(s, request, strlen(request), answer, sizeof answer);
    ck_assert_msg(strncmp(answer, status, strlen(status)) == 0, "%s: %s", line, answer);
    ck_assert_msg(strstr(answer, text) != NULL, "%s: %s", line, answer);
    ck_assert_msg(strstr(answer, "Content-Security-Policy: default-src 'self'") != NULL, "%s: %s", line, answer);
    ck_assert_msg(strstr(answer, "X-Content-Type-Options: nosniff") != NULL, "%s: %s", line, answer);
    ck_assert_msg(strstr(answer, "X-Frame-Options: DENY") != NULL, "%s: %s", line, answer);
}

START_TEST(each_kind_of_request_gets_its_answer)
{
    struct site s;

    site_start(&s);
    expect(&s, "GET /?q=a%20b%26c", "\r\n", "HTTP/1.1 200", "GET / rest= q=a b&c body=");
    expect(&s, "GET /tree/a%2520b/%c3%a4%00", "\r\n", "HTTP/1.1 200", "rest=/a%20b/\xc3\xa4%00 q=-");
    expect(&s, "GET /moved", "\r\n", "HTTP/1.1 302", "Location: /elsewhere/7");
    expect(&s, "GET /none", "\r\n", "HTTP/1.1 404", "there is no such page");
    expect(&s, "DELETE /", "\r\n", "HTTP/1.1 405", "Allow: GET, HEAD");
    expect(&s, "GET /large", "\r\n", "HTTP/1.1 500", "too large");
    expect(&s, "POST /post", "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 403", "X-XSRF-HEADER");
    expect(&s, "POST /post", "Content-Length: 3\r\nX-XSRF-HEADER: 1\r\n\r\nabc", "HTTP/1.1 200", "body=abc");
    expect(&s, "HEAD /", "\r\n", "HTTP/1.1 200", "Content-Length: ");
    http_stop(s.server);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(body_past_the_limit_is_refused)
{
    static char request[300 * KB], answer[4096];
    int head = snprintf(request, sizeof request, "POST /post HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "X-XSRF-HEADER: 1\r\nContent-Length: %zu\r\n\r\n", 200 * KB);
    struct site s;

    site_start(&s);
    memset(request + head, 'b', 200 * KB);
    ask(&s, request, (size_t)head + 200 * KB, answer, sizeof answer);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 413", 12) == 0, "%s", answer);
    http_stop(s.server);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(stream_is_whole_and_its_end_is_told_also_when_nobody_reads)
{
    static const char head[] = "HEAD /stream?known=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static const char known[] = "GET /stream?known=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static const char unknown[] = "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char answer[4 * MB];
    struct site s;
    size_t n;

    site_start(&s);
    n = ask(&s, known, sizeof known - 1, answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "Content-Length: 3145733\r\n"));
    ck_assert_uint_eq(n - (size_t)(strstr(answer, "\r\n\r\n") + 4 - answer), 3 * MB + 5);
    ask(&s, unknown, sizeof unknown - 1, answer, sizeof answer);
    ck_assert_ptr_nonnull(strstr(answer, "Transfer-Encoding: chunked\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\n0\r\n"));
    ask(&s, head, sizeof head - 1, answer, sizeof answer);
    ask(&s, known, sizeof known - 1, answer, 100);          /* goes away in the middle */
    http_stop(s.server);
    ck_assert_uint_eq(s.ended, 4);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(garbage_does_not_stop_the_server)
{
    static char garbage[100 * KB], answer[4096];
    struct site s;

    site_start(&s);
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct rng_seeded r;

        rng_seed(&r, seed);
        rng_bytes(&r.rng, garbage, sizeof garbage);
        memcpy(garbage, "GET /", seed % 2 == 0 ? 5 : 0);
        memcpy(garbage + sizeof garbage - 8, "\r\n\r\n\r\n\r\n", 8);
        ask(&s, garbage, sizeof garbage, answer, sizeof answer);
    }
    expect(&s, "GET /", "\r\n", "HTTP/1.1 200", "GET / rest=");
    http_stop(s.server);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(port_in_use_is_named)
{
    struct http_server *other = NULL;
    struct net_addr bound;
    char text[NET_ADDR_TEXT];
    struct why why;
    struct site s;

    site_start(&s);
    ck_assert_int_eq(http_start(&s.at, routes, ARRAY_LEN(routes), NULL, 16, &other, &bound, &why), RC_ADDRESS_IN_USE);
    ck_assert_ptr_nonnull(strstr(why.text, net_addr_text(&s.at, text)));
    ck_assert_ptr_null(other);
    http_stop(s.server);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

static Suite *
suite_http_pages(void)
{
    Suite *s = suite_create("http_pages");
    TCase *t = tcase_create("http_pages");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, each_kind_of_request_gets_its_answer);
    tcase_add_test(t, body_past_the_limit_is_refused);
    tcase_add_test(t, stream_is_whole_and_its_end_is_told_also_when_nobody_reads);
    tcase_add_test(t, garbage_does_not_stop_the_server);
    tcase_add_test(t, port_in_use_is_named);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite_http_pages)
