/*
 * unsupported -- methods that this version knows but does not carry out.
 */
#include "namenode/dispatch.h"

#define RPC_UNSUPPORTED(id, self, Request, Reply)                                                     \
    enum rc                                                                                             \
    nn_do_##id(struct self *nn, struct rpc_call *call, const Request *req, Reply *ret, struct why *why) \
    {                                                                                                   \
        (void)nn, (void)req, (void)ret;                                                                 \
        return why_set(why, RC_UNSUPPORTED, "%s is not supported", call->method->name);                 \
    }

RPC_UNSUPPORTED(truncate, nn_core, TruncateRequestProto, TruncateResponseProto)
