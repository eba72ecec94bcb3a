/*
 * http -- status pages, metrics and downloads: libmicrohttpd on its own threads.
 *
 * Routes are rows.  Security headers (Content-Security-Policy: default-src
 * 'self', X-Frame-Options, nosniff) are on every answer.  A handler runs on a
 * thread of its connection's own and may block; it answers by filling reply.
 * Only GET and HEAD go without the header X-XSRF-HEADER, which a page of
 * another site cannot send.
 */
#ifndef CORE_HTTP_HTTP_H
#define CORE_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/net/net.h"

struct http_server;

struct http_request {
    const char *method;             /* "GET", "HEAD", "POST" */
    const char *path;               /* decoded, begins with '/' */
    const char *rest;               /* what follows a prefix route; "" for others */
    struct span body;               /* of a POST or PUT, at most 64 KB */
    struct arena *scratch;          /* good until the reply has been sent; 1 MB */
    void *impl;                     /* for http_param */
};

struct http_reply {
    unsigned status;                /* 200 unless set */
    const char *type;               /* "text/html; charset=utf-8" unless set; static */
    const char *location;           /* for redirects; in scratch or static */
    const char *file_name;          /* a download that browsers save under this name; in scratch or static */
    struct buf body;                /* limit 64 MB */
    /* For long bodies: called until it returns 0 (end) or -1 (error); then done is called, also when stream was never
     * called.  Body is ignored. */
    long (*stream)(void *arg, char *out, size_t cap);
    void (*stream_done)(void *arg);
    void *stream_arg;
    uint64_t stream_bytes;          /* if known, what the stream yields in all; 0: unknown */
};

struct http_route {
    const char *method;             /* "GET" answers HEAD too */
    const char *path;               /* exact, or a prefix if it ends in '*' */
    void (*handle)(void *arg, const struct http_request *req, struct http_reply *reply);
};

/* The decoded query parameter, NULL if absent; good until the handler returns. */
const char *http_param(const struct http_request *req, const char *name);

/*
 * Routes are borrowed.  The first match wins.  Unknown paths get 404, wrong methods 405.  Each connection has a thread;
 * beyond connection_max of them (at least 64) the one that comes gets in, and one that waits without a request, or does
 * not read its answer, is closed for it (core/net/crowd.h).  A request takes at most 30 s to come.
 */
enum rc http_start(const struct net_addr *at, const struct http_route *routes, size_t route_count, void *arg,
                   unsigned connection_max, struct http_server **ret, struct net_addr *ret_bound,
                   struct why *why) MUST_CHECK;

/* Waits for the handlers that run.  NULL is fine. */
void http_stop(struct http_server *s);

/* The reply is why, as plain text: 404 for what is not there, 403 for what is not allowed, else 503. */
void http_fail(struct http_reply *reply, const struct why *why);

/* Text with & < > " ' escaped, and control characters, which HTML cannot have, replaced. */
void http_escape(struct buf *b, const char *text, size_t n);
/* Text percent-encoded for a path; '/' stays. */
void http_encode_path(struct buf *b, const char *text, size_t n);

#endif
