/* Calls to the JobTracker. */
#include "core/base/mem.h"
#include "libmr/cmd.h"

#define CALL_MS 120000

static enum rc
open_client(struct mr_cmd *c, struct why *why)
{
    struct rpc_client_options o = { .protocol = &job_client_rpc, .user = c->user, .connect_ms = c->conf.rpc_connect_ms,
                                    .retry_ms = c->conf.client_retry_ms };
    enum rc rc;

    if ((rc = net_addr_parse(c->conf.jt_address, 8021, &o.to, why)) != RC_OK)
        return rc;
    return rpc_client_new(&c->w, &o, &c->jt, why);
}

enum rc
mr_ask(struct mr_cmd *c, enum job_client_row call, const ProtobufCMessage *req, struct arena *a, const ProtobufCMessage **ret,
       struct why *why)
{
    enum rc rc;

    if (c->jt == NULL && (rc = open_client(c, why)) != RC_OK)
        return rc;
    rc = rpc_client_call(c->jt, call, req, a, CALL_MS, ret, why);
    if (rc == RC_REFUSED || rc == RC_UNREACHABLE || rc == RC_TIMEOUT)
        (void)why_prefix(why, "the JobTracker at %s (mapreduce.jobtracker.address) does not answer", c->conf.jt_address);
    return rc;
}

enum rc
mr_ask_job(struct mr_cmd *c, char *job, bool counters, struct arena *a, const JtJobStatus **ret,
           const JtAttemptsReply **ret_attempts, struct why *why)
{
    JtStatusRequest status = JT_STATUS_REQUEST__INIT;
    JtAttemptsRequest attempts = JT_ATTEMPTS_REQUEST__INIT;
    const ProtobufCMessage *m;
    enum rc rc;

    status.job = attempts.job = job;
    attempts.has_counters = attempts.counters = counters;
    if ((rc = mr_ask(c, ROW_job_status, &status.base, a, &m, why)) != RC_OK)
        return rc;
    *ret = ((const JtStatusReply *)(const void *)m)->status;
    if ((rc = mr_ask(c, ROW_job_attempts, &attempts.base, a, &m, why)) != RC_OK)
        return rc;
    *ret_attempts = (const JtAttemptsReply *)(const void *)m;
    return RC_OK;
}

void
mr_cmd_fini(struct mr_cmd *c)
{
    if (c->jt != NULL)
        rpc_client_free(c->jt);
    mem_free(c->user);
    conf_fini(&c->conf);
}
