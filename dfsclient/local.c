#include "dfsclient/local.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/io/io.h"
#include "core/net/dtp_io.h"
#include "dfsclient/located.h"

#define VERSION_MAX 1

bool
local_is_here(const struct fs *fs, const struct fs_location *l)
{
    struct net_addr a = { .port = l->data_port };

    if (!fs->conf.short_circuit || fs->conf.domain_socket == NULL || fs->conf.domain_socket[0] != '/')
        return false;
    snprintf(a.host, sizeof a.host, "%s", l->host);
    if (net_addr_is_loopback(&a))
        return true;
    return fs->host_name[0] != '\0' && (strcmp(l->name, fs->host_name) == 0 || strcmp(l->host, fs->host_name) == 0);
}

/* The socket's path, with the DataNode's port for _PORT. */
static enum rc
socket_path(const struct fs *fs, const struct fs_location *l, struct net_addr *ret, struct why *why)
{
    const char *path = fs->conf.domain_socket, *at = strstr(path, "_PORT");
    int n;

    ret->port = 0;
    if (at == NULL)
        n = snprintf(ret->host, sizeof ret->host, "%s", path);
    else
        n = snprintf(ret->host, sizeof ret->host, "%.*s%u%s", (int)(at - path), path, l->data_port, at + 5);
    if (n < 0 || (size_t)n >= sizeof ret->host)
        return why_set(why, RC_BAD_CONFIG, "dfs.domain.socket.path: too long");
    return RC_OK;
}

/* One byte that carries the descriptors follows the answer. */
static enum rc
take_descriptors(struct dtp_conn *c, struct fs *fs, int fds[2], struct why *why)
{
    uint64_t deadline = clock_deadline(fs->w.clock, fs->conf.socket_ms);
    size_t n = 0, got = 0;
    uint8_t byte = 0;
    enum rc rc;

    if (c->in_at < c->in_n)
        return why_set(why, RC_BAD_MESSAGE, "the byte with the descriptors came with the answer");
    if ((rc = fs->w.net->ops->read_fds(fs->w.net, c->sock, &byte, 1, deadline, &n, fds, 2, &got, why)) != RC_OK)
        return rc;
    if (got == 2)
        return RC_OK;
    for (size_t i = 0; i < got; i++)
        io_close(fs->w.io, fds[i]);
    return why_set(why, RC_BAD_MESSAGE, "%zu descriptors where 2 were due", got);
}

/* The answer, byte by byte: reading ahead would swallow the descriptors. */
static enum rc
take_answer(struct dtp_conn *c, struct fs *fs, struct arena *a, struct why *why)
{
    uint64_t deadline = clock_deadline(fs->w.clock, fs->conf.socket_ms);
    ProtobufCMessage *m = NULL;
    const BlockOpResponseProto *r;
    uint8_t byte = 0, *p;
    size_t n = 0;
    enum rc rc;

    for (unsigned shift = 0;; shift += 7) {
        if ((rc = net_read_all(fs->w.net, c->sock, &byte, 1, deadline, why)) != RC_OK)
            return rc;
        n |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
        if (shift > 14)
            return why_set(why, RC_BAD_MESSAGE, "answer too long");
    }
    if ((p = arena_alloc(a, n + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = net_read_all(fs->w.net, c->sock, p, n, deadline, why)) != RC_OK ||
        (rc = dtp_decode(&block_op_response_proto__descriptor, p, n, a, &m, why)) != RC_OK)
        return rc;
    r = (const BlockOpResponseProto *)(const void *)m;
    if (r->status != STATUS__SUCCESS)
        return why_set(why, r->status == STATUS__ERROR_UNSUPPORTED ? RC_UNSUPPORTED : RC_IO_EXCEPTION, "%s: %.*s",
                       dtp_status_name(r->status), r->has_message ? (int)r->message.len : 0,
                       r->has_message ? (const char *)r->message.data : "");
    return RC_OK;
}

enum rc
local_open(struct fs *fs, const struct fs_block *b, const struct fs_location *l, int *ret_data_fd, int *ret_meta_fd,
           struct why *why)
{
    OpRequestShortCircuitAccessProto op = OP_REQUEST_SHORT_CIRCUIT_ACCESS_PROTO__INIT;
    struct dtp_conn c = { .sock = -1 };
    struct net_addr to;
    struct arena a;
    int fds[2];
    enum rc rc;

    arena_init(&a, 2 * MB);
    if ((rc = socket_path(fs, l, &to, why)) != RC_OK)
        goto out;
    rc = RC_NOMEM;
    if ((op.header = fs_put_base_header(&a, b, b->bytes)) == NULL)
        goto out;
    op.maxversion = VERSION_MAX;
    if ((rc = dtp_connect(&c, &fs->w, &to, fs->conf.socket_ms, fs->conf.socket_ms, fs->conf.socket_ms, why)) != RC_OK ||
        (rc = dtp_send_op(&c, DTP_SHORT_CIRCUIT_FDS, &op.base, why)) != RC_OK ||
        (rc = take_answer(&c, fs, &a, why)) != RC_OK || (rc = take_descriptors(&c, fs, fds, why)) != RC_OK)
        goto out;
    *ret_data_fd = fds[0];
    *ret_meta_fd = fds[1];
out:
    dtp_conn_fini(&c);
    arena_fini(&a);
    return rc;
}
