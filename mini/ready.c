#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/io/thread.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/jobtracker.pb-c.h"
#include "core/rpc/client.h"
#include "mini/supervise.h"

#define POLL_MS 10
#define CALL_MS 5000

/* The rows that are asked here, in a table of their own: a protocol may be used in part. */
enum { NN_REPORT, NN_SAFE_MODE };
enum { JT_TRACKERS };

/* One master and the calls that it is asked. */
struct asker {
    struct rpc_method methods[2];
    struct rpc_protocol protocol;
    struct rpc_client *client;
};

static enum rc
asker_init(struct asker *a, const struct world *w, const char *address, const ProtobufCServiceDescriptor *service,
           struct why *why)
{
    const struct passwd *me = getpwuid(geteuid());
    struct rpc_client_options o = {
        .protocol = &a->protocol, .user = me ? me->pw_name : "root", .connect_ms = 1000, .retry_ms = 0,
    };
    enum rc rc;

    a->client = NULL;
    if ((rc = net_addr_parse(address, 0, &o.to, why)) != RC_OK || (rc = rpc_protocol_init(&a->protocol, service, why)) != RC_OK)
        return rc;
    return rpc_client_new(w, &o, &a->client, why);
}

/* True when the NameNode has all DataNodes and can be written to. */
static bool
namenode_is_ready(struct asker *a, unsigned nodes, struct arena *arena, char *state, size_t cap)
{
    GetDatanodeReportRequestProto report = GET_DATANODE_REPORT_REQUEST_PROTO__INIT;
    SetSafeModeRequestProto safe = SET_SAFE_MODE_REQUEST_PROTO__INIT;
    const ProtobufCMessage *m;
    size_t live;
    struct why why;

    report.type = DATANODE_REPORT_TYPE_PROTO__LIVE;
    if (rpc_client_call(a->client, NN_REPORT, &report.base, arena, CALL_MS, &m, &why) != RC_OK) {
        snprintf(state, cap, "NameNode: %s", why.text);
        return false;
    }
    live = ((const GetDatanodeReportResponseProto *)m)->n_di;
    if (live < nodes) {
        snprintf(state, cap, "%zu of %u DataNodes have registered", live, nodes);
        return false;
    }
    safe.action = SAFE_MODE_ACTION_PROTO__SAFEMODE_GET;
    if (rpc_client_call(a->client, NN_SAFE_MODE, &safe.base, arena, CALL_MS, &m, &why) != RC_OK) {
        snprintf(state, cap, "NameNode: %s", why.text);
        return false;
    }
    snprintf(state, cap, "the NameNode is in safe mode");
    return !((const SetSafeModeResponseProto *)m)->result;
}

static bool
jobtracker_is_ready(struct asker *a, unsigned nodes, struct arena *arena, char *state, size_t cap)
{
    JtTrackersRequest request = JT_TRACKERS_REQUEST__INIT;
    const JtTrackersReply *reply;
    const ProtobufCMessage *m;
    struct why why;
    unsigned live = 0;

    if (rpc_client_call(a->client, JT_TRACKERS, &request.base, arena, CALL_MS, &m, &why) != RC_OK) {
        snprintf(state, cap, "JobTracker: %s", why.text);
        return false;
    }
    reply = (const JtTrackersReply *)m;
    for (size_t i = 0; i < reply->n_trackers; i++)
        live += strcmp(reply->trackers[i]->state, "ALIVE") == 0;
    snprintf(state, cap, "%u of %u TaskTrackers have registered", live, nodes);
    return live >= nodes;
}

enum rc
cluster_wait_ready(const struct cluster *c, unsigned timeout_ms, struct why *why)
{
    struct asker nn = {
        .methods = { [NN_REPORT] = { .name = "getDatanodeReport", .flags = RPC_IDEMPOTENT },
                     [NN_SAFE_MODE] = { .name = "setSafeMode", .flags = RPC_IDEMPOTENT } },
        .protocol = { "org.apache.hadoop.hdfs.protocol.ClientProtocol", 1, nn.methods, 2 },
    };
    struct asker jt = {
        .methods = { [JT_TRACKERS] = { .name = "trackers", .flags = RPC_IDEMPOTENT } },
        .protocol = { "millrace.JobClientProtocol", 1, jt.methods, 1 },
    };
    struct arena arena;
    struct world w;
    char state[512] = "";
    uint64_t end;
    bool ready = false;
    enum rc rc;

    world_posix(&w);
    arena_init(&arena, 16 * MB);
    jt.client = NULL;
    if ((rc = asker_init(&nn, &w, c->members[0].address.rpc, &client_namenode_protocol__descriptor, why)) != RC_OK ||
        (rc = asker_init(&jt, &w, c->members[c->nodes + 1].address.rpc, &job_client_protocol__descriptor, why)) != RC_OK)
        goto out;
    end = clock_deadline(w.clock, timeout_ms);
    while (!(ready = namenode_is_ready(&nn, c->nodes, &arena, state, sizeof state) &&
                     jobtracker_is_ready(&jt, c->nodes, &arena, state, sizeof state)) &&
           clock_mono_ms(w.clock) < end) {
        arena_reset(&arena);
        thread_sleep_until(w.threads, clock_deadline(w.clock, POLL_MS));
    }
    if (!ready)
        rc = why_set(why, RC_TIMEOUT, "the cluster is not ready after %u s: %s; see %s/log", timeout_ms / 1000, state, c->dir);
out:
    rpc_client_free(nn.client);
    rpc_client_free(jt.client);
    arena_fini(&arena);
    return rc;
}
