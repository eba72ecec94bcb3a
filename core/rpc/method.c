#include "core/rpc/method.h"

enum rc
rpc_protocol_init(struct rpc_protocol *p, const ProtobufCServiceDescriptor *service, struct why *why)
{
    const ProtobufCMethodDescriptor *m;

    for (size_t i = 0; i < p->method_count; i++) {
        m = protobuf_c_service_descriptor_get_method_by_name(service, p->methods[i].name);
        if (m == NULL)
            return why_set(why, RC_BUG, "service %s has no method %s", service->name, p->methods[i].name);
        p->methods[i].request = m->input;
        p->methods[i].reply = m->output;
    }
    return RC_OK;
}
