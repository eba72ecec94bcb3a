#include <string.h>

#include "core/base/mem.h"
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

#define RPC(method, wire, Request, Reply, bits) { .name = (wire), .flags = (bits) },
static const struct rpc_method client_methods[] = {
#include "core/proto/jobclient.def"
};
static const struct rpc_method tracker_methods[] = {
#include "core/proto/tracker.def"
};
#undef RPC

#define RPC(method, wire, Request, Reply, bits) call_##method,
static jt_handler_fn *const client_handlers[] = {
#include "core/proto/jobclient.def"
};
static jt_handler_fn *const tracker_handlers[] = {
#include "core/proto/tracker.def"
};
#undef RPC

static const struct {
    const char *name;
    const ProtobufCServiceDescriptor *service;
    const struct rpc_method *methods;
    jt_handler_fn *const *handlers;
    size_t count;
} rows[JT_PROTOCOLS] = {
    { "millrace.JobClientProtocol", &job_client_protocol__descriptor, client_methods, client_handlers,
      ARRAY_LEN(client_methods) },
    { "millrace.TrackerProtocol", &tracker_protocol__descriptor, tracker_methods, tracker_handlers,
      ARRAY_LEN(tracker_methods) },
};

enum rc
jt_protocols_new(struct rpc_protocol **ret, struct why *why)
{
    struct rpc_protocol *p = mem_calloc(JT_PROTOCOLS, sizeof *p);
    enum rc rc = RC_NOMEM;

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < JT_PROTOCOLS; i++) {
        p[i].name = rows[i].name;
        p[i].version = 1;
        p[i].method_count = rows[i].count;
        if ((p[i].methods = mem_calloc(rows[i].count, sizeof *p[i].methods)) == NULL) {
            rc = why_rc(why, RC_NOMEM);
            goto out;
        }
        memcpy(p[i].methods, rows[i].methods, rows[i].count * sizeof *p[i].methods);
        if ((rc = rpc_protocol_init(&p[i], rows[i].service, why)) != RC_OK)
            goto out;
    }
    *ret = p;
    return RC_OK;
out:
    jt_protocols_free(p);
    return rc;
}

void
jt_protocols_free(struct rpc_protocol *p)
{
    for (size_t i = 0; p != NULL && i < JT_PROTOCOLS; i++)
        mem_free(p[i].methods);
    mem_free(p);
}

enum rc
jt_dispatch(struct jt *jt, struct rpc_call *call, bool *ret_held, struct why *why)
{
    size_t i = call->protocol == &jt->protocols[0] ? 0 : 1;

    return rows[i].handlers[call->method_index](jt, call, ret_held, why);
}
