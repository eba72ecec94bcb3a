/*
 * http -- status pages, metrics and downloads: libmicrohttpd on its own threads.
 *
 * Routes are rows.  Security headers (Content-Security-Policy: default-src
 * 'self', X-Frame-Options, nosniff) are on every answer.  A handler runs on one
 * of the server's bounded threads and may block; it answers by filling reply.
 */
#ifndef CORE_HTTP_HTTP_H
#define CORE_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/net/net.h"

struct http_server;

struct http_request {
    const char *method;             /* "GET", "POST" */
    const char *path;               /* decoded, begins with '/' */
    const char *rest;               /* what follows a prefix route */
    void *impl;                     /* for http_param */
};

struct http_reply {
    unsigned status;                /* 200 unless set */
    const char *type;               /* "text/html; charset=utf-8" unless set; static */
    const char *location;           /* for redirects; in scratch or static */
    struct buf body;                /* limit 64 MB */
    /* For long bodies: called until it returns 0 (end) or -1 (error); then done is called. Body is ignored. */
    long (*stream)(void *arg, char *out, size_t cap);
    void (*stream_done)(void *arg);
    void *stream_arg;
};

struct http_route {
    const char *method;             /* "GET" answers HEAD too */
    const char *path;               /* exact, or a prefix if it ends in '*' */
    void (*handle)(void *arg, const struct http_request *req, struct http_reply *reply);
};

/* The decoded query parameter, NULL if absent; good until the handler returns. */
const char *http_param(const struct http_request *req, const char *name);

/* Routes are borrowed.  The first match wins.  Unknown paths get 404, wrong methods 405. */
enum rc http_start(const struct net_addr *at, const struct http_route *routes, size_t route_count, void *arg,
                   unsigned threads, struct http_server **ret, struct net_addr *ret_bound, struct why *why) MUST_CHECK;
void http_stop(struct http_server *s);

/* Text with & < > " ' escaped. */
void http_escape(struct buf *b, const char *text, size_t n);
/* Text percent-encoded for a path; '/' stays. */
void http_encode_path(struct buf *b, const char *text, size_t n);

#endif
