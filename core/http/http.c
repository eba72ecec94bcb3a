#include "core/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/world.h"
#include "core/http/route.h"
#include "core/io/thread.h"
#include "core/net/crowd.h"

#define REQUEST_BODY_MAX (64 * KB)
#define REPLY_BODY_MAX (64 * MB)
#define SCRATCH_MAX (1 * MB)
#define HEAD_BYTES_MAX (64 * KB)
#define STREAM_PIECE (64 * KB)
#define STACK_BYTES (512 * KB)
#define IDLE_S 30U
#define REQUEST_S UINT64_C(30)  /* a request takes at most so long to come */
#define STALL_MS 5000           /* who does not read an answer for so long may go for another */
#define CONNECTION_LEAST 64U
#define LEAVING_MAX 64U         /* connections that are told to go while others come */

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    size_t route_count;
    void *arg;
    struct world w;
    struct mutex *mutex;        /* of crowd and its entries */
    struct crowd crowd;
};

/* One request, from its first line until its answer has been sent. */
struct exchange {
    struct arena scratch;
    struct buf body;
};

/* What a streamed response calls. */
struct stream {
    long (*next)(void *arg, char *out, size_t cap);
    void (*done)(void *arg);
    void *arg;
    struct http_server *server;
    struct crowd_entry *entry;  /* of the connection, which outlives its response; may be NULL */
};

/* ---- who is connected ---- */

/* A connection's request or answer went a step forward. */
static void
step_forward(struct http_server *s, struct crowd_entry *e)
{
    if (e == NULL)
        return;
    mutex_lock(s->w.threads, s->mutex);
    crowd_step(e, clock_mono_ms(s->w.clock));
    mutex_unlock(s->w.threads, s->mutex);
}

static struct crowd_entry *
entry_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static uint8_t
peer_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *at = info != NULL ? info->client_addr : NULL;

    if (at != NULL && at->sa_family == AF_INET)
        return crowd_peer(&((const struct sockaddr_in *)(const void *)at)->sin_addr, 4);
    if (at != NULL && at->sa_family == AF_INET6)
        return crowd_peer(&((const struct sockaddr_in6 *)(const void *)at)->sin6_addr, 16);
    return 0;
}

/* Close those that have to go: their threads see the end of their sockets, and the sockets stay open until they have. */
static void
make_room(struct http_server *s, const struct crowd_entry *fresh)
{
    struct crowd_entry *e;

    while ((e = crowd_victim(&s->crowd, fresh, clock_mono_ms(s->w.clock))) != NULL)
        (void)shutdown(e->sock, SHUT_RDWR);     /* it may have gone by itself */
}

static void
on_connection(void *arg, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = arg;
    struct crowd_entry *e = *state;
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        if ((info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)) == NULL)
            return;
        if ((e = mem_zalloc(sizeof *e)) == NULL) {
            (void)shutdown(info->connect_fd, SHUT_RDWR);    /* memory is short: this one cannot be watched */
            return;
        }
        e->sock = info->connect_fd;
        e->peer = peer_of(c);
        mutex_lock(s->w.threads, s->mutex);
        crowd_add(&s->crowd, e, clock_mono_ms(s->w.clock));
        make_room(s, e);
        mutex_unlock(s->w.threads, s->mutex);
        *state = e;
    } else if (e != NULL) {
        mutex_lock(s->w.threads, s->mutex);
        crowd_remove(&s->crowd, e);
        mutex_unlock(s->w.threads, s->mutex);
        mem_free(e);
        *state = NULL;
    }
}

/* ---- answers ---- */

static void
exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    arena_fini(&x->scratch);
    buf_fini(&x->body);
    mem_free(x);
}

const char *
http_param(const struct http_request *req, const char *name)
{
    return MHD_lookup_connection_value(req->impl, MHD_GET_ARGUMENT_KIND, name);
}

static ssize_t
on_stream(void *arg, uint64_t at, char *out, size_t cap)
{
    struct stream *s = arg;
    long n;

    (void)at;
    step_forward(s->server, s->entry);
    n = s->next(s->arg, out, cap);
    if (n > 0)
        return (ssize_t)n;
    return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void
on_stream_end(void *arg)
{
    struct stream *s = arg;

    if (s->done != NULL)
        s->done(s->arg);
    mem_free(s);
}

/* libmicrohttpd frees what it was given with this. */
static void
on_body_end(void *bytes)
{
    mem_free(bytes);
}

/* A response with reply's stream or body, which it takes over; NULL when memory is short. */
static struct MHD_Response *
response_new(struct http_server *server, struct MHD_Connection *c, struct http_reply *reply)
{
    struct MHD_Response *r;
    uint8_t *bytes;
    size_t n;

    if (reply->stream != NULL) {
        struct stream *s = mem_alloc(sizeof *s);

        if (s == NULL)
            return NULL;
        *s = (struct stream){ .next = reply->stream, .done = reply->stream_done, .arg = reply->stream_arg,
                              .server = server, .entry = entry_of(c) };
        r = MHD_create_response_from_callback(reply->stream_bytes > 0 ? reply->stream_bytes : MHD_SIZE_UNKNOWN,
                                              STREAM_PIECE, on_stream, s, on_stream_end);
        if (r == NULL) {
            mem_free(s);
            return NULL;
        }
        reply->stream_done = NULL;      /* the response calls it */
        return r;
    }
    bytes = buf_take(&reply->body, &n);
    if (n == 0) {
        mem_free(bytes);
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t)"", MHD_RESPMEM_PERSISTENT);
    }
    if ((r = MHD_create_response_from_buffer_with_free_callback(n, bytes, on_body_end)) == NULL)
        mem_free(bytes);
    return r;
}

static bool
add_header(struct MHD_Response *r, const char *name, const char *value)
{
    return MHD_add_response_header(r, name, value) == MHD_YES;
}

static bool
add_headers(struct MHD_Response *r, const struct http_reply *reply, const char *allow)
{
    bool ok = add_header(r, "Content-Security-Policy",
                         "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'") &&
              add_header(r, "X-Frame-Options", "DENY") && add_header(r, "X-Content-Type-Options", "nosniff") &&
              add_header(r, "Referrer-Policy", "no-referrer") && add_header(r, "Cache-Control", "no-cache") &&
              add_header(r, "Content-Type", reply->type);

    if (ok && reply->location != NULL)
        ok = add_header(r, "Location", reply->location);
    if (ok && allow != NULL)
        ok = add_header(r, "Allow", allow);
    if (ok && reply->file_name != NULL) {
        struct buf b;

        buf_init(&b, 32 * KB);
        route_put_disposition(reply->file_name, &b);
        buf_u8(&b, 0);
        ok = buf_ok(&b) && add_header(r, "Content-Disposition", (const char *)b.p);
        buf_fini(&b);
    }
    return ok;
}

static void
refuse(struct http_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    reply->type = "text/plain; charset=utf-8";
    buf_clear(&reply->body);
    buf_printf(&reply->body, "%u %s\n", status, text);
}

void
http_fail(struct http_reply *reply, const struct why *why)
{
    reply->status = why->rc == RC_NOT_FOUND || why->rc == RC_JOB_NOT_FOUND ? 404 : why->rc == RC_DENIED ? 403 : 503;
    reply->type = "text/plain; charset=utf-8";
    buf_clear(&reply->body);
    buf_printf(&reply->body, "%s\n", why->text);
}

/* Send reply and release what is left of it.  MHD_NO closes the connection. */
static enum MHD_Result
send_reply(struct http_server *s, struct MHD_Connection *c, struct http_reply *reply, const char *allow)
{
    enum MHD_Result result = MHD_NO;
    struct MHD_Response *r;

    if (reply->stream == NULL && !buf_ok(&reply->body))
        refuse(reply, 500, "the page is too large, or memory is short");
    if ((r = response_new(s, c, reply)) != NULL) {
        if (add_headers(r, reply, allow))
            result = MHD_queue_response(c, reply->status, r);
        MHD_destroy_response(r);
    }
    if (reply->stream != NULL && reply->stream_done != NULL)
        reply->stream_done(reply->stream_arg);
    buf_fini(&reply->body);
    return result;
}

static bool
is_safe_method(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static enum MHD_Result
answer(struct http_server *s, struct MHD_Connection *c, struct exchange *x, const char *method, const char *path)
{
    struct http_reply reply = { .status = 200, .type = "text/html; charset=utf-8" };
    struct http_request req = { .method = method, .path = path, .scratch = &x->scratch, .impl = c };
    const struct http_route *route = NULL;
    enum MHD_Result result;
    struct buf allow;

    buf_init(&reply.body, REPLY_BODY_MAX);
    buf_init(&allow, 1 * KB);
    switch (route_find(s->routes, s->route_count, method, path, &route, &req.rest)) {
    case ROUTE_NO_PATH:
        refuse(&reply, 404, "there is no such page");
        break;
    case ROUTE_NO_METHOD:
        refuse(&reply, 405, "this page does not take this method");
        route_put_methods(s->routes, s->route_count, path, &allow);
        break;
    case ROUTE_FOUND:
        if (!is_safe_method(method) && MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-XSRF-HEADER") == NULL) {
            refuse(&reply, 403, "the header X-XSRF-HEADER is required for this method");
        } else if (!buf_ok(&x->body)) {
            refuse(&reply, 413, "the request is too large");
        } else {
            req.body = (struct span){ .p = x->body.p, .n = x->body.n };
            route->handle(s->arg, &req, &reply);
        }
        break;
    }
    buf_u8(&allow, 0);
    result = send_reply(s, c, &reply, buf_ok(&allow) && allow.n > 1 ? (const char *)allow.p : NULL);
    buf_fini(&allow);
    return result;
}

/* Called once when the head has come, once for each piece of a body, and once at the end. */
static enum MHD_Result
on_request(void *arg, struct MHD_Connection *c, const char *path, const char *method, const char *version,
           const char *piece, size_t *piece_n, void **state)
{
    struct http_server *s = arg;
    struct exchange *x = *state;

    (void)version;
    if (x == NULL) {
        if ((x = mem_zalloc(sizeof *x)) == NULL)
            return MHD_NO;
        arena_init(&x->scratch, SCRATCH_MAX);
        buf_init(&x->body, REQUEST_BODY_MAX);
        *state = x;
        return MHD_YES;
    }
    if (*piece_n > 0) {
        buf_put(&x->body, piece, *piece_n);     /* past the limit the rest is read and dropped */
        *piece_n = 0;
        return MHD_YES;
    }
    step_forward(s, entry_of(c));               /* not before the whole request is here */
    return answer(s, c, x, method, path);
}

static void
on_request_end(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
    struct http_server *s = arg;
    struct crowd_entry *e = entry_of(c);

    (void)code;
    exchange_free(*state);
    *state = NULL;
    if (e == NULL)
        return;
    mutex_lock(s->w.threads, s->mutex);
    crowd_rest(e, clock_mono_ms(s->w.clock));
    mutex_unlock(s->w.threads, s->mutex);
}

static size_t
on_unescape(void *arg, struct MHD_Connection *c, char *s)
{
    (void)arg;
    (void)c;
    return route_unescape(s);
}

static void
on_log(void *arg, const char *fmt, va_list ap)
{
    char text[512];

    (void)arg;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(text, sizeof text, fmt, ap);        /* a line of a peer's mistakes; cut is as good */
#pragma GCC diagnostic pop
    log_debug("http", "said=\"%s\"", text);
}

static enum rc
bound_address(int sock, struct net_addr *ret, struct why *why)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char port[8];
    int bad;

    if (getsockname(sock, (struct sockaddr *)&at, &len) != 0)
        return why_errno(why, errno, "getsockname");
    bad = getnameinfo((struct sockaddr *)&at, len, ret->host, sizeof ret->host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    if (bad != 0)
        return why_set(why, RC_IO, "getnameinfo: %s", gai_strerror(bad));
    ret->port = 0;
    for (const char *p = port; *p != '\0'; p++)
        ret->port = (uint16_t)(ret->port * 10 + (*p - '0'));
    return RC_OK;
}

static enum rc
listen_at(const struct net_addr *at, int *ret_sock, struct net_addr *ret_bound, struct why *why)
{
    struct addrinfo want = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *found = NULL;
    char port[8], text[NET_ADDR_TEXT];
    enum rc rc = RC_OK;
    int bad, sock = -1, on = 1;

    net_addr_text(at, text);
    snprintf(port, sizeof port, "%u", at->port);
    if ((bad = getaddrinfo(at->host, port, &want, &found)) != 0)
        return why_set(why, RC_UNREACHABLE, "%s: %s", text, gai_strerror(bad));
    sock = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(sock, found->ai_addr, found->ai_addrlen) != 0 || listen(sock, SOMAXCONN) != 0)
        rc = why_errno(why, errno, "%s", text);
    else
        rc = bound_address(sock, ret_bound, why);
    if (rc == RC_OK) {
        *ret_sock = sock;
        sock = -1;
    }
    if (sock >= 0)
        (void)close(sock);      /* nothing was sent on it */
    freeaddrinfo(found);
    return rc;
}

static void
server_free(struct http_server *s)
{
    if (s != NULL && s->mutex != NULL)
        mutex_free(s->w.threads, s->mutex);
    mem_free(s);
}

enum rc
http_start(const struct net_addr *at, const struct http_route *routes, size_t route_count, void *arg,
           unsigned connection_max, struct http_server **ret, struct net_addr *ret_bound, struct why *why)
{
    struct http_server *s;
    struct net_addr bound;
    int sock;
    enum rc rc;

    if ((s = mem_zalloc(sizeof *s)) == NULL)
        return why_rc(why, RC_NOMEM);
    s->routes = routes;
    s->route_count = route_count;
    s->arg = arg;
    world_posix(&s->w);
    s->crowd.request_ms = REQUEST_S * 1000;
    s->crowd.stall_ms = STALL_MS;
    s->crowd.max = connection_max < CONNECTION_LEAST ? CONNECTION_LEAST : connection_max;
    if ((s->mutex = mutex_new(s->w.threads)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = listen_at(at, &sock, &bound, why)) != RC_OK)
        goto out;
    s->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, sock,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->crowd.max + LEAVING_MAX, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_request_end, s,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_END);
    if (s->daemon == NULL) {
        (void)close(sock);      /* nothing was sent on it */
        rc = why_set(why, RC_NO_DESCRIPTORS, "the HTTP server cannot start: too few descriptors, threads or memory");
        goto out;
    }
    *ret_bound = bound;
    *ret = s;
    s = NULL;
out:
    server_free(s);
    return rc;
}

void
http_stop(struct http_server *s)
{
    if (s == NULL)
        return;
    MHD_stop_daemon(s->daemon);
    server_free(s);
}
