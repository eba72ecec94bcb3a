/*
 * client -- Hadoop RPC version 9, the asking side.
 *
 * A client holds a small pool of connections to one server for one user; calls
 * block the calling thread.  Any thread; one call at a time uses a connection.
 * Repeats: after a lost connection or reply a method that is IDEMPOTENT or
 * AT_MOST_ONCE is asked again, with the same client id and call id, until the
 * deadline; for others the result is RC_MAYBE_DONE once the request may have left.
 */
#ifndef CORE_RPC_CLIENT_H
#define CORE_RPC_CLIENT_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/net/net.h"
#include "core/rpc/method.h"

struct rpc_client;

struct rpc_client_options {
    struct net_addr to;
    const struct rpc_protocol *protocol;
    const char *user;               /* effective user; copied */
    const char *real_user;          /* NULL, or who proxies; copied */
    uint64_t connect_ms;            /* for one attempt to connect */
    uint64_t retry_ms;              /* how long one call may be asked again; 0: one attempt */
};

enum rc rpc_client_new(const struct world *w, const struct rpc_client_options *o, struct rpc_client **ret,
                       struct why *why) MUST_CHECK;
void rpc_client_free(struct rpc_client *c);     /* no call may be under way */
/* Under which the server knows its calls.  Their call ids count up from 0, one for each rpc_client_call. */
void rpc_client_id(const struct rpc_client *c, uint8_t ret[16]);
void rpc_client_stop(struct rpc_client *c);     /* from any thread: calls under way end with RC_STOPPED */

/*
 * Call method (a row of the protocol).  The decoded reply is in arena.  timeout_ms
 * bounds the wait for one reply (FOREVER allowed; pings keep the connection).  An
 * exception of the server comes back as its code (rc_from_java) with its first
 * line in why.
 */
enum rc rpc_client_call(struct rpc_client *c, size_t method_index, const ProtobufCMessage *request, struct arena *arena,
                        uint64_t timeout_ms, const ProtobufCMessage **ret_reply, struct why *why) MUST_CHECK;

/* As rpc_client_call, asked again for retry_ms instead of the client's own. */
enum rc rpc_client_call_for(struct rpc_client *c, size_t method_index, const ProtobufCMessage *request, struct arena *arena,
                            uint64_t timeout_ms, uint64_t retry_ms, const ProtobufCMessage **ret_reply,
                            struct why *why) MUST_CHECK;

#endif
