/*
 * client_priv -- the inside of the RPC client: client.c has the pool and the
 * repeating; ask.c one call's bytes on one connection.
 */
#ifndef CORE_RPC_CLIENT_PRIV_H
#define CORE_RPC_CLIENT_PRIV_H

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/rpc/client.h"

#define RPC_REPLY_MAX ((size_t)128 * MB)    /* ipc.maximum.response.length */

/* One connection.  In use by one call, or on the idle list. */
struct rpc_peer {
    struct rpc_peer *prev, *next;
    int sock;
    bool used;                  /* has said hello */
    uint64_t idle_since_ms;
    struct buf in;
};

/* One call and how its present attempt went. */
struct rpc_ask {
    const struct rpc_method *method;
    const ProtobufCMethodDescriptor *messages;
    struct arena *arena;        /* the caller's, for the reply */
    uint64_t timeout_ms;
    int32_t call_id;
    int32_t retry_count;
    uint8_t *body;              /* method header and request, delimited; encoded once */
    size_t body_n;
    bool reused;                /* over a connection that was idle */
    bool sent;                  /* all of the request has left */
    bool answered;              /* by a reply or an exception */
    bool fatal;                 /* the exception ends the connection */
    const ProtobufCMessage *reply;
};

struct rpc_client {
    struct world w;
    struct rpc_client_options o;
    uint8_t id[16];
    uint8_t *hello;             /* preamble and connection context */
    size_t hello_n;

    struct mutex *mutex;        /* guards what follows */
    struct cond *stop_cond;
    struct rpc_peer *idle;      /* last used first */
    size_t idle_n;
    struct rpc_peer *busy;
    bool stopped;
    int32_t next_call_id;
};

/* The bytes that open a connection; the caller's (mem_free). */
enum rc rpc_hello_new(const uint8_t id[16], const struct rpc_client_options *o, uint8_t **ret, size_t *ret_n) MUST_CHECK;

/* Encode the request into ask->body, which is then the caller's (mem_free). */
enum rc rpc_ask_encode(struct rpc_ask *ask, const struct rpc_protocol *protocol, const ProtobufCMessage *request,
                       struct why *why) MUST_CHECK;

/* Send and wait for the reply, with pings.  RC_OK: ask->reply is set. */
enum rc rpc_peer_call(struct rpc_client *c, struct rpc_peer *p, struct rpc_ask *ask, struct why *why) MUST_CHECK;

#endif
