#include "core/rpc/method.h"

enum rc
rpc_method_messages(const struct rpc_protocol *p, size_t index, const ProtobufCMethodDescriptor **ret, struct why *why)
{
    const ProtobufCMethodDescriptor *m = protobuf_c_service_descriptor_get_method_by_name(p->service, p->methods[index].name);

    if (m == NULL)
        return why_set(why, RC_BUG, "service %s has no method %s", p->service->name, p->methods[index].name);
    *ret = m;
    return RC_OK;
}
