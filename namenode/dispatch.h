/*
 * dispatch -- from a protocol's rows to handlers.
 *
 * Each row of the tables in core/proto/ that a NameNode answers gives the prototype of a
 * handler nn_do_<method>; one that is missing fails the link.  RPC_READ handlers
 * get a struct nn_reader, all others a struct nn_core.
 *
 * An RPC_WAIT handler that returns RC_OK has taken the call and ends it later
 * (nn_core_release).
 */
#ifndef NAMENODE_DISPATCH_H
#define NAMENODE_DISPATCH_H

#include <stddef.h>

#include "core/proto/admin.pb-c.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/datanode.pb-c.h"
#include "core/rpc/method.h"
#include "core/rpc/server.h"

struct nn_core;
struct nn_reader;

#define NN_HANDLER_SELF(flags) __typeof__(__builtin_choose_expr(((flags) & RPC_READ) != 0, (struct nn_reader *)0, (struct nn_core *)0))

#define RPC(method, wire, Request, Reply, flags) \
    enum rc nn_do_##method(NN_HANDLER_SELF(flags) nn, struct rpc_call *call, const Request *req, Reply *ret, struct why *why);
#include "core/proto/client_namenode.def"
#include "core/proto/datanode.def"
#include "core/proto/ha_service.def"
#include "core/proto/user_mappings.def"
#undef RPC

/* Those that a NameNode answers; [0] is ClientProtocol. */
#define NN_PROTOCOLS 4
extern const struct rpc_protocol *const nn_protocols[NN_PROTOCOLS];

/* Run the handler; self is the reader or the core, by the method's flags. */
enum rc nn_dispatch(void *self, struct rpc_call *call, struct why *why);

#endif
