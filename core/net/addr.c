#include "core/net/net.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HDFS_PORT 8020

/* Decimal, 0 to 65535, nothing after it. */
static bool
port_parse(const char *text, uint16_t *ret)
{
    uint32_t v = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = v * 10 + (uint32_t)(*text - '0');
        if (v > UINT16_MAX)
            return false;
    }
    *ret = (uint16_t)v;
    return true;
}

enum rc
net_addr_parse(const char *text, uint16_t default_port, struct net_addr *ret, struct why *why)
{
    struct net_addr a = { .port = default_port };
    const char *host = text, *end = text + strlen(text), *port = NULL;
    const char *colon = strchr(text, ':');

    if (*text == '/') {                                     /* a Unix socket */
        a.port = 0;
    } else if (*text == '[') {
        host = text + 1;
        if ((end = strchr(host, ']')) == NULL || (end[1] != '\0' && end[1] != ':'))
            return why_set(why, RC_BAD_CONFIG, "'%s' is not an address: expected [IPv6]:port", text);
        port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {   /* more than one: a bare IPv6 address */
        end = colon;
        port = colon + 1;
    }
    if (port != NULL && !port_parse(port, &a.port))
        return why_set(why, RC_BAD_CONFIG, "'%s' is not an address: the port must be a number from 0 to 65535", text);
    if (host == end || (size_t)(end - host) >= sizeof a.host)
        return why_set(why, RC_BAD_CONFIG, "'%s' is not an address: the host must have 1 to %zu characters", text,
                       sizeof a.host - 1);
    memcpy(a.host, host, (size_t)(end - host));
    *ret = a;
    return RC_OK;
}

enum rc
net_addr_parse_hdfs(const char *uri, struct net_addr *ret, struct why *why)
{
    char text[NET_ADDR_TEXT];
    size_t n;

    if (strncmp(uri, "hdfs://", 7) != 0)
        return why_set(why, RC_BAD_CONFIG, "fs.defaultFS: \"%s\" is not of the form hdfs://host:port", uri);
    n = strcspn(uri + 7, "/");
    if (n == 0 || n >= sizeof text)
        return why_set(why, RC_BAD_CONFIG, "fs.defaultFS: \"%s\" names no host", uri);
    memcpy(text, uri + 7, n);
    text[n] = '\0';
    return net_addr_parse(text, HDFS_PORT, ret, why);
}

const char *
net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT])
{
    if (a->host[0] == '/')
        snprintf(out, NET_ADDR_TEXT, "%s", a->host);
    else if (strchr(a->host, ':') != NULL)
        snprintf(out, NET_ADDR_TEXT, "[%s]:%u", a->host, a->port);
    else
        snprintf(out, NET_ADDR_TEXT, "%s:%u", a->host, a->port);
    return out;
}

bool
net_addr_is_loopback(const struct net_addr *a)
{
    unsigned b[4];
    int n = 0;

    if (a->host[0] == '/' || strcmp(a->host, "::1") == 0 || strcasecmp(a->host, "localhost") == 0)
        return true;
    return sscanf(a->host, "%3u.%3u.%3u.%3u%n", &b[0], &b[1], &b[2], &b[3], &n) == 4 && a->host[n] == '\0' &&
           b[0] == 127;
}

enum rc
net_read_all(struct net *n, int sock, void *p, size_t n_bytes, uint64_t deadline_ms, struct why *why)
{
    uint8_t *to = p;
    size_t done = 0, got;
    enum rc rc;

    while (done < n_bytes) {
        if ((rc = net_read(n, sock, to + done, n_bytes - done, deadline_ms, &got, why)) != RC_OK)
            return rc;
        done += got;
    }
    return RC_OK;
}
