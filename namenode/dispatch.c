#include "namenode/dispatch.h"

#include "core/rpc/protocols.h"

typedef enum rc handler_fn(void *self, struct rpc_call *call, struct why *why);

/* One adapter and one row for each method. */
#define RPC(method, wire, Request, Reply, flags)                                                        \
    static enum rc                                                                                      \
    call_##method(void *self, struct rpc_call *call, struct why *why)                                   \
    {                                                                                                   \
        return nn_do_##method(self, call, (const Request *)(const void *)call->request,                 \
                              (Reply *)(void *)call->reply, why);                                       \
    }
#include "core/proto/client_namenode.def"
#include "core/proto/datanode.def"
#include "core/proto/ha_service.def"
#include "core/proto/user_mappings.def"
#undef RPC

#define RPC(method, wire, Request, Reply, flags) call_##method,
static handler_fn *const client_handlers[] = {
#include "core/proto/client_namenode.def"
};
static handler_fn *const datanode_handlers[] = {
#include "core/proto/datanode.def"
};
static handler_fn *const ha_handlers[] = {
#include "core/proto/ha_service.def"
};
static handler_fn *const mapping_handlers[] = {
#include "core/proto/user_mappings.def"
};
#undef RPC

const struct rpc_protocol *const nn_protocols[NN_PROTOCOLS] = {
    &client_namenode_rpc, &datanode_rpc, &ha_service_rpc, &user_mappings_rpc,
};
static handler_fn *const *const handlers[NN_PROTOCOLS] = {
    client_handlers, datanode_handlers, ha_handlers, mapping_handlers,
};

enum rc
nn_dispatch(void *self, struct rpc_call *call, struct why *why)
{
    for (size_t i = 0; i < NN_PROTOCOLS; i++)
        if (call->protocol == nn_protocols[i])
            return handlers[i][call->method_index](self, call, why);
    return why_set(why, RC_BUG, "a call of protocol %s has no handlers", call->protocol->name);
}
