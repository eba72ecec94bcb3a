#include "core/rpc/protocols.h"
#include "jobtracker/jt_priv.h"

#define RPC(method, wire, Request, Reply, bits)                                                             \
    static enum rc                                                                                          \
    call_##method(struct jt *jt, struct rpc_call *call, bool *ret_held, struct why *why)                    \
    {                                                                                                       \
        return jt_do_##method(jt, call, (const Request *)(const void *)call->request,                       \
                              (Reply *)(void *)call->reply, ret_held, why);                                 \
    }
#include "core/proto/jobclient.def"
#include "core/proto/tracker.def"
#undef RPC

#define RPC(method, wire, Request, Reply, bits) call_##method,
static jt_handler_fn *const client_handlers[] = {
#include "core/proto/jobclient.def"
};
static jt_handler_fn *const tracker_handlers[] = {
#include "core/proto/tracker.def"
};
#undef RPC

const struct rpc_protocol *const jt_protocols[JT_PROTOCOLS] = { &job_client_rpc, &tracker_rpc };
static jt_handler_fn *const *const handlers[JT_PROTOCOLS] = { client_handlers, tracker_handlers };

enum rc
jt_dispatch(struct jt *jt, struct rpc_call *call, bool *ret_held, struct why *why)
{
    for (size_t i = 0; i < JT_PROTOCOLS; i++)
        if (call->protocol == jt_protocols[i])
            return handlers[i][call->method_index](jt, call, ret_held, why);
    return why_set(why, RC_BUG, "a call of protocol %s has no handlers", call->protocol->name);
}
