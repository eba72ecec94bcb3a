#include "datanode/ipc.h"

#include <inttypes.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/proto/client_datanode.pb-c.h"
#include "core/rpc/protocols.h"
#include "core/rpc/server.h"
#include "datanode/recover.h"

#define IPC_PORT 9867
#define INFLIGHT_MAX 64
#define IDLE_MS 600000

/* One handler a row. */
#define RPC(method, name, Request, Reply, flags) \
    static enum rc dn_do_##method(struct dn *dn, struct rpc_call *call, const Request *req, Reply *reply, struct why *why);
#include "core/proto/client_datanode.def"
#undef RPC

#define RPC(method, name, Request, Reply, flags)                                                                    \
    static enum rc call_##method(struct dn *dn, struct rpc_call *call, struct why *why)                             \
    {                                                                                                               \
        return dn_do_##method(dn, call, CONTAINER_OF(call->request, Request, base),                                 \
                              CONTAINER_OF(call->reply, Reply, base), why);                                         \
    }
#include "core/proto/client_datanode.def"
#undef RPC

typedef enum rc call_fn(struct dn *dn, struct rpc_call *call, struct why *why);

static call_fn *const handlers[] = {
#define RPC(method, name, Request, Reply, flags) call_##method,
#include "core/proto/client_datanode.def"
#undef RPC
};

/* What other DataNodes ask may wait for a disk: each call has a thread of its own. */
#define RPC(method, name, Request, Reply, flags)                                                                    \
    static enum rc call_##method(struct dn *dn, struct rpc_call *call, struct why *why)                             \
    {                                                                                                               \
        return dn_do_##method(dn, CONTAINER_OF(call->request, Request, base), &call->arena,                         \
                              CONTAINER_OF(call->reply, Reply, base), why);                                         \
    }
#include "core/proto/inter_datanode.def"
#undef RPC

static call_fn *const inter_handlers[] = {
#define RPC(method, name, Request, Reply, flags) call_##method,
#include "core/proto/inter_datanode.def"
#undef RPC
};

struct dn_ipc {
    struct dn *dn;
    struct rpc_server *server;
};

/* A replica that is not found may be on a volume that failed: then nobody knows, and nobody may call it missing. */
static bool
has_failed_volume(struct dn *dn)
{
    struct dn_volume_stat st;

    for (unsigned i = 0; i < dn_store_volume_count(dn->store); i++) {
        dn_store_volume_stat(dn->store, i, &st);
        if (st.failed)
            return true;
    }
    return false;
}

static enum rc
dn_do_get_visible_length(struct dn *dn, struct rpc_call *call, const GetReplicaVisibleLengthRequestProto *req,
                         GetReplicaVisibleLengthResponseProto *reply, struct why *why)
{
    const ExtendedBlockProto *b = req->block;
    struct dn_view view;
    enum rc rc;

    (void)call;
    if ((rc = dn_store_check_pool(dn->store, b->poolid.data, b->poolid.len, why)) == RC_OK)
        rc = dn_store_find(dn->store, (struct block_id){ b->blockid }, &view, why);
    if (rc == RC_REPLICA_NOT_FOUND && has_failed_volume(dn))
        return why_set(why, RC_VOLUME_FAILED, "Replica of %" PRId64 " may be on a volume that failed", (int64_t)b->blockid);
    if (rc != RC_OK)
        return why_set(why, RC_REPLICA_NOT_FOUND, "Replica does not exist %.*s:%" PRId64, (int)b->poolid.len,
                       (const char *)b->poolid.data, (int64_t)b->blockid);
    if (view.stamp.v < b->generationstamp)
        return why_set(why, RC_STALE_STAMP, "Replica gen stamp < block genstamp, block=blk_%" PRId64 "_%" PRIu64
                       ", replica=blk_%" PRId64 "_%" PRIu64, (int64_t)b->blockid, b->generationstamp,
                       (int64_t)view.id.v, view.stamp.v);
    reply->length = view.visible;
    return RC_OK;
}

/* Paths are not given away: readers on this machine get descriptors instead (dfs.domain.socket.path). */
static enum rc
dn_do_get_local_path(struct dn *dn, struct rpc_call *call, const GetBlockLocalPathInfoRequestProto *req,
                     GetBlockLocalPathInfoResponseProto *reply, struct why *why)
{
    (void)dn;
    (void)req;
    (void)reply;
    return why_set(why, RC_DENIED, "Can't continue with getBlockLocalPathInfo() authorization. The user %s is not "
                   "configured in dfs.block.local-path-access.user", call->user);
}

static enum rc
dn_do_get_datanode_info(struct dn *dn, struct rpc_call *call, const GetDatanodeInfoRequestProto *req,
                        GetDatanodeInfoResponseProto *reply, struct why *why)
{
    DatanodeLocalInfoProto *info = arena_alloc(&call->arena, sizeof *info);

    (void)req;
    if (info == NULL)
        return why_rc(why, RC_NOMEM);
    datanode_local_info_proto__init(info);
    info->softwareversion = rpc_text(&call->arena, "millrace-" MILLRACE_VERSION);
    info->configversion = rpc_text(&call->arena, "core-3.0.0,hdfs-1");
    info->uptime = (clock_mono_ms(dn->w.clock) - dn->started_ms) / 1000;
    reply->localinfo = info;
    return RC_OK;
}

static void
submit(void *arg, struct rpc_call *call)
{
    struct dn_ipc *ipc = arg;
    struct why why;

    if (handlers[call->method_index](ipc->dn, call, &why) == RC_OK)
        rpc_reply(call);
    else
        rpc_fail(call, &why);
}

static void
inter_run(void *arg)
{
    struct rpc_call *call = arg;
    struct dn *dn = call->app;
    struct why why;

    if (inter_handlers[call->method_index](dn, call, &why) == RC_OK)
        rpc_reply(call);
    else
        rpc_fail(call, &why);
    dn_leave(dn);
}

static void
inter_submit(void *arg, struct rpc_call *call)
{
    struct dn_ipc *ipc = arg;
    struct thread *thread;
    struct why why;
    enum rc rc;

    call->app = ipc->dn;
    if ((rc = dn_enter(ipc->dn)) != RC_OK) {
        (void)why_rc(&why, rc);
        rpc_fail(call, &why);
    } else if (thread_spawn(ipc->dn->w.threads, "dn-recovered", inter_run, call, &thread, &why) != RC_OK) {
        dn_leave(ipc->dn);
        rpc_fail(call, &why);
    } else {
        thread_detach(ipc->dn->w.threads, thread);
    }
}

enum rc
dn_ipc_start(struct dn *dn, struct dn_ipc **ret, struct why *why)
{
    struct rpc_server_options o = { .frame_max = (size_t)dn->conf.rpc_frame_max, .conn_max = (size_t)dn->conf.rpc_conn_max,
                                    .inflight_max = INFLIGHT_MAX, .idle_ms = IDLE_MS };
    struct dn_ipc *ipc = mem_zalloc(sizeof *ipc);
    struct rpc_service services[2];
    enum rc rc;

    if (ipc == NULL)
        return why_rc(why, RC_NOMEM);
    ipc->dn = dn;
    services[0] = (struct rpc_service){ &client_datanode_rpc, submit, ipc };
    services[1] = (struct rpc_service){ &inter_datanode_rpc, inter_submit, ipc };
    if ((rc = net_addr_parse(dn->conf.dn_ipc_bind, IPC_PORT, &o.at, why)) != RC_OK ||
        (rc = rpc_server_start(&dn->w, &o, services, ARRAY_LEN(services), &ipc->server, why)) != RC_OK) {
        mem_free(ipc);
        return rc;
    }
    dn->ipc_at = *rpc_server_address(ipc->server);
    *ret = ipc;
    return RC_OK;
}

void
dn_ipc_stop(struct dn_ipc *ipc)
{
    rpc_server_stop(ipc->server);
    rpc_server_free(ipc->server);
    mem_free(ipc);
}
