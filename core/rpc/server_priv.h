/*
 * server_priv -- the inside of the RPC server: server.c has its life, listener
 * and sweep; conn.c a connection's bytes; call.c a call's beginning and end.
 *
 * Connections belong to the loop's thread.  A connection outlives its socket
 * until its last call has been ended.  The outbox is where other threads put
 * encoded replies; one post wakes the loop for all that are in it.
 */
#ifndef CORE_RPC_SERVER_PRIV_H
#define CORE_RPC_SERVER_PRIV_H

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/loop.h"
#include "core/rpc/frame.h"
#include "core/rpc/server.h"

#define RPC_SCRATCH_MAX (1 * MB)        /* headers and contexts, decoded */
#define RPC_IN_BYTES (64 * KB)          /* one read */
#define RPC_GATHER_BYTES (64 * KB)      /* small replies joined into one write */
#define RPC_OUT_HIGH (1 * MB)           /* unsent bytes of a connection from which its socket is not read */
#define RPC_OUT_ALL_HIGH (256 * MB)     /* unsent bytes of all connections from which those that stall are closed */
#define RPC_KEPT_HIGH (64 * MB)         /* incomplete frames of all connections, one of full size aside */
#define RPC_LARGE (64 * KB)             /* a decoded call that counts as large */
#define RPC_LARGE_HIGH (256 * MB)       /* large calls under way, decoded; one alone may have more */

/* Bytes on their way out: of a call, or an answer of the frame layer (call NULL). */
struct rpc_out {
    struct rpc_out *next;
    uint8_t *bytes;             /* NULL: no memory for the reply, the connection ends */
    size_t n, at;
    struct rpc_held *held;
};

/* A call as the server holds it. */
struct rpc_held {
    struct rpc_call call;       /* what handlers see */
    struct rpc_out out;
    struct span client_id;      /* as sent, in the call's arena */
    size_t large;               /* bytes counted in the server's large */
};

struct rpc_conn {
    struct rpc_conn *prev, *next;       /* the server's list */
    struct rpc_server *server;
    int sock;                           /* -1 once closed */
    struct net_addr peer;
    struct frame frame;
    size_t kept;                        /* bytes counted in the server's kept */
    size_t inflight;                    /* calls not yet answered and written */
    struct rpc_out *out_first, **out_last;
    size_t out_bytes;
    bool held;                          /* not read for now: too much under way */
    bool closing;                       /* close once everything is written */
    bool touched;                       /* on the list of the outbox run */
    struct rpc_conn *touched_next;
    unsigned watched;
    uint64_t since_ms;                  /* accepted */
    uint64_t active_ms;                 /* last bytes in or out */
    uint64_t written_ms;                /* last progress of the output */
    uint64_t partial_ms;                /* the incomplete frame began */
};

struct rpc_server {
    struct world w;
    struct rpc_server_options o;
    struct frame_options frame_options;
    struct rpc_dispatch *dispatch;
    struct loop *loop;
    struct thread *thread;
    struct loop_timer *tick;
    int listener;
    struct net_addr address;
    char address_text[NET_ADDR_TEXT];
    bool accepting, stopped;
    struct rpc_conn *conns;
    size_t conn_count;
    size_t kept, large, out_bytes;      /* sums over all connections */
    struct arena scratch;
    uint8_t *in, *gather;
    struct log_rate rate;

    struct mutex *mutex;                /* guards what follows */
    struct rpc_out *outbox, **outbox_last;
    bool posted;
};

/* conn.c */
void rpc_conn_start(struct rpc_server *s, int sock, const struct net_addr *peer);    /* takes sock */
void rpc_conn_close(struct rpc_conn *c);        /* c may be gone afterwards */
void rpc_outbox_run(struct rpc_server *s);      /* move replies to their connections and write */

/* call.c: false when memory is too short to answer at all. */
bool rpc_call_begin(struct rpc_conn *c, const struct frame_call *fc);
void rpc_held_free(struct rpc_held *h);

#endif
