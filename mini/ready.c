#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/io/thread.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/jobtracker.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "mini/supervise.h"

#define POLL_MS 10
#define CALL_MS 5000

static enum rc
connect_to(const struct world *w, const char *address, const struct rpc_protocol *protocol, struct rpc_client **ret,
           struct why *why)
{
    const struct passwd *me = getpwuid(geteuid());
    struct rpc_client_options o = {
        .protocol = protocol, .user = me ? me->pw_name : "root", .connect_ms = 1000, .retry_ms = 0,
    };
    enum rc rc;

    if ((rc = net_addr_parse(address, 0, &o.to, why)) == RC_OK)
        rc = rpc_client_new(w, &o, ret, why);
    return rc;
}

/* True when the NameNode has all DataNodes and can be written to. */
static bool
namenode_is_ready(struct rpc_client *c, unsigned nodes, struct arena *arena, char *state, size_t cap)
{
    GetDatanodeReportRequestProto report = GET_DATANODE_REPORT_REQUEST_PROTO__INIT;
    SetSafeModeRequestProto safe = SET_SAFE_MODE_REQUEST_PROTO__INIT;
    const ProtobufCMessage *m;
    size_t live;
    struct why why;

    report.type = DATANODE_REPORT_TYPE_PROTO__LIVE;
    if (rpc_client_call(c, ROW_get_datanode_report, &report.base, arena, CALL_MS, &m, &why) != RC_OK) {
        snprintf(state, cap, "NameNode: %s", why.text);
        return false;
    }
    live = ((const GetDatanodeReportResponseProto *)m)->n_di;
    if (live < nodes) {
        snprintf(state, cap, "%zu of %u DataNodes have registered", live, nodes);
        return false;
    }
    safe.action = SAFE_MODE_ACTION_PROTO__SAFEMODE_GET;
    if (rpc_client_call(c, ROW_set_safe_mode, &safe.base, arena, CALL_MS, &m, &why) != RC_OK) {
        snprintf(state, cap, "NameNode: %s", why.text);
        return false;
    }
    snprintf(state, cap, "the NameNode is in safe mode");
    return !((const SetSafeModeResponseProto *)m)->result;
}

static bool
jobtracker_is_ready(struct rpc_client *c, unsigned nodes, struct arena *arena, char *state, size_t cap)
{
    JtTrackersRequest request = JT_TRACKERS_REQUEST__INIT;
    const JtTrackersReply *reply;
    const ProtobufCMessage *m;
    struct why why;
    unsigned live = 0;

    if (rpc_client_call(c, ROW_job_trackers, &request.base, arena, CALL_MS, &m, &why) != RC_OK) {
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
    struct rpc_client *nn = NULL, *jt = NULL;
    struct arena arena;
    struct world w;
    char state[512] = "";
    uint64_t end;
    bool ready = false;
    enum rc rc;

    world_posix(&w);
    arena_init(&arena, 16 * MB);
    if ((rc = connect_to(&w, c->members[0].address.rpc, &client_namenode_rpc, &nn, why)) != RC_OK ||
        (rc = connect_to(&w, c->members[c->nodes + 1].address.rpc, &job_client_rpc, &jt, why)) != RC_OK)
        goto out;
    end = clock_deadline(w.clock, timeout_ms);
    while (!(ready = namenode_is_ready(nn, c->nodes, &arena, state, sizeof state) &&
                     jobtracker_is_ready(jt, c->nodes, &arena, state, sizeof state)) &&
           clock_mono_ms(w.clock) < end) {
        arena_reset(&arena);
        thread_sleep_until(w.threads, clock_deadline(w.clock, POLL_MS));
    }
    if (!ready)
        rc = why_set(why, RC_TIMEOUT, "the cluster is not ready after %u s: %s; see %s/log", timeout_ms / 1000, state, c->dir);
out:
    rpc_client_free(nn);
    rpc_client_free(jt);
    arena_fini(&arena);
    return rc;
}
