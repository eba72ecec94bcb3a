/*
 * server -- Hadoop RPC version 9, the answering side (docs/formats/rpc.md).
 *
 * Owns the listening socket, one loop thread and every connection.  The loop
 * does frames, SASL negotiation, the connection context, decoding into the
 * call's arena and encoding of replies; it never waits for a disk or a database.
 * A decoded call is handed to its protocol's submit function, which must not
 * block; whoever holds the call later ends it, from any thread, with exactly one
 * of rpc_reply and rpc_fail.
 *
 * Limits before allocation: a frame is refused by its length alone; before the
 * connection context at most 4 KB are taken; a call's arena is capped at
 * 16 MB + 2 x frame; at most `inflight_max` calls a connection.
 */
#ifndef CORE_RPC_SERVER_H
#define CORE_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/net/net.h"
#include "core/rpc/decode.h"
#include "core/rpc/method.h"

struct rpc_server;
struct rpc_conn;

/* One call.  Everything it points to is in its arena or outlives it. */
struct rpc_call {
    struct arena arena;
    const struct rpc_protocol *protocol;
    const struct rpc_method *method;
    size_t method_index;            /* row number in the protocol's table */
    ProtobufCMessage *request;      /* decoded */
    ProtobufCMessage *reply;        /* initialised; the handler fills it, allocating in arena */
    const char *user;               /* effective user, short name */
    const char *real_user;          /* NULL unless proxied */
    uint8_t client_id[16];
    bool has_client_id;             /* 16 bytes were sent */
    int32_t call_id;
    int32_t retry_count;
    uint64_t arrived_wall_ms;
    uint64_t arrived_mono_us;
    struct net_addr peer;           /* numeric */
    bool more;                      /* whoever ends it ends another at once: this reply may leave with that one */
    struct rpc_conn *conn;          /* the server's; not to be touched */
    void *app;                      /* for the protocol's owner */
    struct rpc_call *next;          /* for the holder's lists */
};

struct rpc_service {
    const struct rpc_protocol *protocol;
    void (*submit)(void *arg, struct rpc_call *call);   /* takes the call */
    void *arg;
};

struct rpc_server_options {
    struct net_addr at;
    size_t frame_max;               /* bytes; ipc.maximum.data.length, 128 MB */
    size_t conn_max;                /* connections */
    size_t inflight_max;            /* calls a connection before its socket is not read */
    uint64_t idle_ms;               /* a connection without a call is closed after this */
    /* NULL allows no impersonation: may real act for user, coming from peer? */
    bool (*may_proxy)(void *arg, const char *real, const char *user, const struct net_addr *peer);
    void *proxy_arg;
};

/* Listens and starts the loop thread.  services are copied. */
enum rc rpc_server_start(const struct world *w, const struct rpc_server_options *o, const struct rpc_service *services,
                         size_t service_count, struct rpc_server **ret, struct why *why) MUST_CHECK;
const struct net_addr *rpc_server_address(const struct rpc_server *s);     /* as bound */

/* No new calls; connections closed.  Calls still held must be ended before rpc_server_free. */
void rpc_server_stop(struct rpc_server *s);
void rpc_server_free(struct rpc_server *s);

void rpc_reply(struct rpc_call *call);                          /* takes the call; sends call->reply */
void rpc_reply_encoded(struct rpc_call *call, const void *reply, size_t n);    /* takes the call; reply is copied */
void rpc_fail(struct rpc_call *call, const struct why *why);    /* takes the call */

#endif
