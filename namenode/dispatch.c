#include "namenode/dispatch.h"

#include "core/base/attr.h"
#include "core/base/check.h"
#include "core/base/mem.h"
#include "namenode/protocols.h"

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

#define RPC(method, wire, Request, Reply, bits) { .name = (wire), .flags = (bits) },
static const struct rpc_method client_methods[] = {
#include "core/proto/client_namenode.def"
};
static const struct rpc_method datanode_methods[] = {
#include "core/proto/datanode.def"
};
static const struct rpc_method ha_methods[] = {
#include "core/proto/ha_service.def"
};
static const struct rpc_method mapping_methods[] = {
#include "core/proto/user_mappings.def"
};
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

static const struct protocol_row {
    const char *name;
    const ProtobufCServiceDescriptor *service;
    const struct rpc_method *methods;
    handler_fn *const *handlers;
    size_t count;
} rows[] = {
    { "org.apache.hadoop.hdfs.protocol.ClientProtocol", &client_namenode_protocol__descriptor, client_methods,
      client_handlers, ARRAY_LEN(client_methods) },
    { "millrace.DatanodeProtocol", &datanode_protocol__descriptor, datanode_methods, datanode_handlers,
      ARRAY_LEN(datanode_methods) },
    { "org.apache.hadoop.ha.HAServiceProtocol", &haservice_protocol_service__descriptor, ha_methods, ha_handlers,
      ARRAY_LEN(ha_methods) },
    { "org.apache.hadoop.tools.GetUserMappingsProtocol", &get_user_mappings_protocol_service__descriptor,
      mapping_methods, mapping_handlers, ARRAY_LEN(mapping_methods) },
};

enum rc
nn_protocols_new(struct nn_protocols *ret, struct why *why)
{
    struct nn_protocols p = { .count = ARRAY_LEN(rows) };
    enum rc rc = RC_NOMEM;

    if ((p.list = mem_calloc(ARRAY_LEN(rows), sizeof *p.list)) == NULL)
        goto out;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rpc_protocol *q = &p.list[i];

        *q = (struct rpc_protocol){ .name = rows[i].name, .version = 1, .method_count = rows[i].count };
        if ((q->methods = mem_calloc(q->method_count, sizeof *q->methods)) == NULL)
            goto out;
        for (size_t m = 0; m < q->method_count; m++)
            q->methods[m] = rows[i].methods[m];
        if ((rc = rpc_protocol_init(q, rows[i].service, why)) != RC_OK)
            goto out;
        rc = RC_NOMEM;
    }
    *ret = p;
    return RC_OK;
out:
    if (rc == RC_NOMEM)
        (void)why_rc(why, rc);
    nn_protocols_fini(&p);
    return rc;
}

void
nn_protocols_fini(struct nn_protocols *p)
{
    for (size_t i = 0; p->list != NULL && i < p->count; i++)
        mem_free(p->list[i].methods);
    mem_free(p->list);
    *p = (struct nn_protocols){ 0 };
}

enum rc
nn_dispatch(void *self, struct rpc_call *call, struct why *why)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (call->protocol->name == rows[i].name)
            return rows[i].handlers[call->method_index](self, call, why);
    return why_set(why, RC_BUG, "a call of protocol %s has no handlers", call->protocol->name);
}
