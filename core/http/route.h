/*
 * route -- what http decides without a connection: which row answers, and what %XX means.
 */
#ifndef CORE_HTTP_ROUTE_H
#define CORE_HTTP_ROUTE_H

#include "core/http/http.h"

enum route_match { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

/* The first route for method and path; *ret_rest is what follows a prefix.  Writes on ROUTE_FOUND only. */
enum route_match route_find(const struct http_route *routes, size_t count, const char *method, const char *path,
                            const struct http_route **ret_route, const char **ret_rest);

/* Put the methods of path, as the header Allow wants them. */
void route_put_methods(const struct http_route *routes, size_t count, const char *path, struct buf *out);

/* Decode %XX in place; what is malformed, and %00, stays as it is.  Returns the new length. */
size_t route_unescape(char *s);

/* Put name as the value of Content-Disposition. */
void route_put_disposition(const char *name, struct buf *out);

#endif
