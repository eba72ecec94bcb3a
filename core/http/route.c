#include "core/http/route.h"

#include <string.h>

static bool
path_matches(const struct http_route *route, const char *path, const char **ret_rest)
{
    size_t n = strlen(route->path);

    if (n > 0 && route->path[n - 1] == '*') {
        if (strncmp(route->path, path, n - 1) != 0)
            return false;
        *ret_rest = path + n - 1;
        return true;
    }
    if (strcmp(route->path, path) != 0)
        return false;
    *ret_rest = "";
    return true;
}

enum route_match
route_find(const struct http_route *routes, size_t count, const char *method, const char *path,
           const struct http_route **ret_route, const char **ret_rest)
{
    enum route_match match = ROUTE_NO_PATH;
    const char *rest;

    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < count; i++) {
        if (!path_matches(&routes[i], path, &rest))
            continue;
        if (strcmp(routes[i].method, method) == 0) {
            *ret_route = &routes[i];
            *ret_rest = rest;
            return ROUTE_FOUND;
        }
        match = ROUTE_NO_METHOD;
    }
    return match;
}

void
route_put_methods(const struct http_route *routes, size_t count, const char *path, struct buf *out)
{
    size_t before = out->n;
    const char *rest;

    for (size_t i = 0; i < count; i++) {
        if (!path_matches(&routes[i], path, &rest))
            continue;
        buf_printf(out, "%s%s%s", out->n > before ? ", " : "", routes[i].method,
                   strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t
route_unescape(char *s)
{
    char *to = s;

    for (const char *p = s; *p != '\0'; p++) {
        int high = p[0] == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;

        if (low >= 0 && (high | low) != 0) {
            *to++ = (char)(high << 4 | low);
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    return (size_t)(to - s);
}

void
route_put_disposition(const char *name, struct buf *out)
{
    buf_put_str(out, "attachment; filename*=UTF-8''");
    for (; *name != '\0'; name++) {
        if (*name == '/')
            buf_put_str(out, "%2F");
        else
            http_encode_path(out, name, 1);
    }
}

void
http_escape(struct buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        switch (c) {
        case '&':  buf_put_str(b, "&amp;"); break;
        case '<':  buf_put_str(b, "&lt;"); break;
        case '>':  buf_put_str(b, "&gt;"); break;
        case '"':  buf_put_str(b, "&quot;"); break;
        case '\'': buf_put_str(b, "&#39;"); break;
        default:
            if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
                buf_put_str(b, "\xef\xbf\xbd");     /* U+FFFD */
            else
                buf_u8(b, c);
        }
    }
}

void
http_encode_path(struct buf *b, const char *text, size_t n)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

    for (size_t i = 0; i < n; i++) {
        if (text[i] != '\0' && strchr(plain, text[i]) != NULL)
            buf_u8(b, (uint8_t)text[i]);
        else
            buf_printf(b, "%%%02X", (unsigned char)text[i]);
    }
}
