/*
 * dispatch -- from protocol and method names to a row and whoever serves it.
 *
 * Immutable once made; any thread.
 */
#ifndef CORE_RPC_DISPATCH_H
#define CORE_RPC_DISPATCH_H

#include "core/base/buf.h"
#include "core/rpc/server.h"

struct rpc_dispatch;

enum rc rpc_dispatch_new(const struct rpc_service *services, size_t count, struct rpc_dispatch **ret) MUST_CHECK;
void rpc_dispatch_free(struct rpc_dispatch *d);

/* RC_NO_PROTOCOL, RC_RPC_VERSION, RC_NO_METHOD with Hadoop's texts. */
enum rc rpc_dispatch_find(const struct rpc_dispatch *d, struct span protocol, uint64_t version, struct span method,
                          const struct rpc_service **ret_service, size_t *ret_index, struct why *why) MUST_CHECK;

#endif
