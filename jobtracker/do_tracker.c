/* TrackerProtocol: what TaskTrackers say and ask. */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "jobtracker/jt_priv.h"

#define WAIT_MAX_MS 60000
#define ORDERS_MAX 1000         /* in one reply */
#define ABOUT_MAX (16 * KB)     /* of a job, beside an order */

enum rc
jt_do_tt_register(struct jt *jt, struct rpc_call *call, const TtRegisterRequest *req, TtRegisterReply *ret,
                  bool *ret_held UNUSED, struct why *why)
{
    struct jt_tracker *t;
    enum rc rc;

    if ((rc = jt_core_register(&jt->core, &jt->now, req, call->peer.host, &t, why)) != RC_OK)
        return rc;
    ret->epoch = t->epoch;
    ret->host = t->host;
    ret->created_ms = jt->core.created_ms;
    return RC_OK;
}

enum rc
jt_do_tt_heartbeat(struct jt *jt, struct rpc_call *call UNUSED, const TtHeartbeatRequest *req,
                   TtHeartbeatReply *ret UNUSED, bool *ret_held UNUSED, struct why *why)
{
    struct jt_tracker *t;
    enum rc rc;

    if ((rc = jt_core_tracker(&jt->core, &jt->now, req->uuid, req->epoch, &t, why)) != RC_OK)
        return rc;
    jt_core_progress(&jt->core, t, req->progress, req->n_progress);
    return RC_OK;
}

enum rc
jt_do_tt_ended(struct jt *jt, struct rpc_call *call UNUSED, const TtEndedRequest *req, TtEndedReply *ret,
               bool *ret_held UNUSED, struct why *why)
{
    struct jt_tracker *t;
    bool accepted;
    enum rc rc;

    if ((rc = jt_core_tracker(&jt->core, &jt->now, req->uuid, req->epoch, &t, why)) != RC_OK)
        return rc;
    jt_core_ended(&jt->core, &jt->now, t, req, &accepted);
    ret->accepted = accepted;
    return RC_OK;
}

enum rc
jt_do_tt_output_lost(struct jt *jt, struct rpc_call *call UNUSED, const TtOutputLostRequest *req,
                     TtOutputLostReply *ret UNUSED, bool *ret_held UNUSED, struct why *why)
{
    struct jt_tracker *t;
    enum rc rc;

    if ((rc = jt_core_tracker(&jt->core, &jt->now, req->uuid, req->epoch, &t, why)) != RC_OK)
        return rc;
    jt_core_output_lost(&jt->core, &jt->now, req);
    return RC_OK;
}

static bool
has_code(const TtGetJobRequest *req, const JtJobSpec *spec)
{
    for (size_t i = 0; i < req->n_have; i++)
        if (req->have[i].len == JT_DIGEST_BYTES && memcmp(req->have[i].data, spec->code_digest.data, JT_DIGEST_BYTES) == 0)
            return true;
    return false;
}

/* What a tracker has to know of a job, but for its code. */
static enum rc
describe(struct jt_job *j, struct arena *arena, TtGetJobReply *ret)
{
    JtJobSpec *spec = arena_alloc(arena, sizeof *spec);

    if (spec == NULL)
        return RC_NOMEM;
    *spec = *j->spec;
    spec->maps = NULL;                  /* each map comes with its order */
    spec->n_maps = 0;
    ret->spec = spec;
    ret->map_count = j->map_count;
    ret->user = j->user;
    ret->work = j->work;
    ret->token.data = j->token;
    ret->token.len = sizeof j->token;
    return RC_OK;
}

enum rc
jt_do_tt_get_job(struct jt *jt, struct rpc_call *call, const TtGetJobRequest *req, TtGetJobReply *ret,
                 bool *ret_held UNUSED, struct why *why)
{
    struct jt_tracker *t;
    struct jt_job *j;
    uint8_t *code;
    size_t n;
    enum rc rc;

    if ((rc = jt_core_tracker(&jt->core, &jt->now, req->uuid, req->epoch, &t, why)) != RC_OK)
        return rc;
    if ((j = jt_core_find_job(&jt->core, req->job)) == NULL || jt_job_state_is_over(j->state))
        return why_set(why, RC_JOB_NOT_FOUND, "job %u is over", (unsigned)req->job);
    if (!has_code(req, j->spec)) {
        if ((rc = jt_store_code(jt->core.store, j->spec->code_digest.data, &code, &n, why)) != RC_OK)
            return rc;
        ret->has_code = true;
        ret->code.data = (uint8_t *)arena_strndup(&call->arena, code, n);
        ret->code.len = n;
        mem_free(code);
        if (ret->code.data == NULL)
            return why_rc(why, RC_NOMEM);
    }
    return (rc = describe(j, &call->arena, ret)) == RC_OK ? RC_OK : why_rc(why, rc);
}

/* ---- orders ---- */

static TtMapOutput *
output_of(const struct jt_attempt *a, struct arena *arena)
{
    TtMapOutput *o = arena_zalloc(arena, sizeof *o);

    if (o == NULL)
        return NULL;
    tt_map_output__init(o);
    o->job = a->task->job->number;
    o->map = a->task->index;
    o->attempt = a->number;
    o->host = a->tracker->host;
    o->port = a->tracker->shuffle_port;
    return o;
}

/* Every map output there is, for a reduce that starts. */
static enum rc
fill_outputs(struct jt_job *j, struct arena *arena, TtOrder *ret)
{
    if ((ret->outputs = arena_calloc(arena, (size_t)j->map_count + 1, sizeof *ret->outputs)) == NULL)
        return RC_NOMEM;
    for (uint32_t i = 0; i < j->map_count; i++) {
        if (j->maps[i].winner == NULL)
            continue;
        if ((ret->outputs[ret->n_outputs] = output_of(j->maps[i].winner, arena)) == NULL)
            return RC_NOMEM;
        ret->n_outputs++;
    }
    return RC_OK;
}

static const TtOrder__Kind kinds[] = {
    [ORDER_RUN] = TT_ORDER__KIND__RUN, [ORDER_KILL] = TT_ORDER__KIND__KILL, [ORDER_MAP_DONE] = TT_ORDER__KIND__MAP_DONE,
    [ORDER_MAP_LOST] = TT_ORDER__KIND__MAP_LOST, [ORDER_FORGET_JOB] = TT_ORDER__KIND__FORGET_JOB,
    [ORDER_FORGET_OUTPUT] = TT_ORDER__KIND__FORGET_OUTPUT,
};

/* With the first order of a job its description, if it is short: else the tracker asks for it. */
static enum rc
fill_about(struct jt_tracker *t, struct jt_job *j, struct arena *arena, TtOrder *ret)
{
    TtGetJobReply *about;
    enum rc rc;

    if (t->told_job == j->number)
        return RC_OK;
    if ((about = arena_alloc(arena, sizeof *about)) == NULL)
        return RC_NOMEM;
    tt_get_job_reply__init(about);
    if ((rc = describe(j, arena, about)) != RC_OK)
        return rc;
    t->told_job = j->number;
    if (tt_get_job_reply__get_packed_size(about) <= ABOUT_MAX)
        ret->about = about;
    return RC_OK;
}

/* The order as a message; *ret_skip when it no longer makes sense. */
static enum rc
fill_order(struct jt *jt, struct jt_tracker *to, const struct jt_order *o, struct arena *arena, TtOrder *ret, bool *ret_skip)
{
    struct jt_job *j = jt_core_find_job(&jt->core, o->job);
    struct jt_task *t = j ? jt_task_find(j, o->is_map, o->index) : NULL;
    struct jt_attempt *a = t ? jt_attempt_find(t, o->attempt) : NULL;
    enum rc rc;

    tt_order__init(ret);
    ret->seq = o->seq;
    ret->kind = kinds[o->kind];
    ret->has_job = true;
    ret->job = o->job;
    if ((ret->id = arena_zalloc(arena, sizeof *ret->id)) == NULL)
        return RC_NOMEM;
    jt_attempt_id__init(ret->id);
    ret->id->job = o->job;
    ret->id->is_map = o->is_map;
    ret->id->index = o->index;
    ret->id->attempt = o->attempt;
    switch (o->kind) {
    case ORDER_RUN:
        /* One that is to be killed is sent too, before its KILL: only its tracker can say that it has ended. */
        *ret_skip = a == NULL || !jt_attempt_state_is_live(a->state);
        if (*ret_skip)
            return RC_OK;
        if ((rc = fill_about(to, j, arena, ret)) != RC_OK)
            return rc;
        ret->has_early = ret->early = !j->prepared && jt_job_writes_output(j, o->is_map);
        if (o->is_map)
            ret->map = j->spec->maps[o->index];
        return o->is_map ? RC_OK : fill_outputs(j, arena, ret);
    case ORDER_MAP_DONE:
        *ret_skip = a == NULL || a->state != ATTEMPT_SUCCEEDED;
        if (*ret_skip)
            return RC_OK;
        if ((ret->outputs = arena_calloc(arena, 1, sizeof *ret->outputs)) == NULL ||
            (ret->outputs[0] = output_of(a, arena)) == NULL)
            return RC_NOMEM;
        ret->n_outputs = 1;
        return RC_OK;
    case ORDER_KILL:
    case ORDER_MAP_LOST:
    case ORDER_FORGET_JOB:
    case ORDER_FORGET_OUTPUT:
        break;
    }
    return RC_OK;
}

static enum rc
fill_orders(struct jt *jt, struct jt_tracker *t, struct arena *arena, TtWaitOrdersReply *ret)
{
    struct jt_order *o;

    if ((ret->orders = arena_calloc(arena, ORDERS_MAX, sizeof *ret->orders)) == NULL)
        return RC_NOMEM;
    DL_FOREACH(t->orders, o) {
        TtOrder *row = arena_zalloc(arena, sizeof *row);
        bool skip = false;
        enum rc rc;

        if (row == NULL)
            return RC_NOMEM;
        if (ret->n_orders == ORDERS_MAX)
            break;
        if ((rc = fill_order(jt, t, o, arena, row, &skip)) != RC_OK)
            return rc;
        if (!skip)
            ret->orders[ret->n_orders++] = row;
    }
    return RC_OK;
}

enum rc
jt_do_tt_wait_orders(struct jt *jt, struct rpc_call *call, const TtWaitOrdersRequest *req, TtWaitOrdersReply *ret UNUSED,
                     bool *ret_held, struct why *why)
{
    struct jt_tracker *t;
    struct jt_wait *wait, *old, *after;
    enum rc rc;

    if ((rc = jt_core_tracker(&jt->core, &jt->now, req->uuid, req->epoch, &t, why)) != RC_OK)
        return rc;
    jt_orders_ack(t, req->last_seq);
    if ((wait = arena_zalloc(&call->arena, sizeof *wait)) == NULL)
        return why_rc(why, RC_NOMEM);
    /* The tracker asks once at a time: an older call is one whose connection was lost. */
    DL_FOREACH_SAFE(jt->order_waits, old, after)
        if (strcmp(old->uuid, req->uuid) == 0) {
            DL_DELETE(jt->order_waits, old);
            jt_answer(jt, old->call, RC_OK, NULL);
        }
    wait->call = call;
    (void)snprintf(wait->uuid, sizeof wait->uuid, "%s", req->uuid);
    wait->epoch = req->epoch;
    wait->deadline_ms = jt->now.mono_ms + (req->max_wait_ms < WAIT_MAX_MS ? req->max_wait_ms : WAIT_MAX_MS);
    DL_APPEND(jt->order_waits, wait);
    *ret_held = true;
    return RC_OK;
}

void
jt_serve_order_waits(struct jt *jt)
{
    struct jt_wait *wait, *after;

    DL_FOREACH_SAFE(jt->order_waits, wait, after) {
        struct jt_tracker *t = jt_tracker_find(jt->core.trackers, wait->uuid);
        TtWaitOrdersReply *ret = (TtWaitOrdersReply *)(void *)wait->call->reply;
        struct why why;
        enum rc rc = RC_OK;

        if (t == NULL || !jt_tracker_is_alive(t) || t->epoch != wait->epoch)
            rc = why_set(&why, RC_UNREGISTERED, "tracker %s is to register first", wait->uuid);
        else if (t->orders == NULL && jt->now.mono_ms < wait->deadline_ms)
            continue;
        else if ((rc = fill_orders(jt, t, &wait->call->arena, ret)) != RC_OK)
            (void)why_rc(&why, rc);
        DL_DELETE(jt->order_waits, wait);
        jt_answer(jt, wait->call, rc, &why);
    }
}

/* ---- waits of both kinds ---- */

uint64_t
jt_waits_next_ms(const struct jt *jt)
{
    const struct jt_wait *wait;
    uint64_t next = FOREVER;

    DL_FOREACH(jt->order_waits, wait)
        if (wait->deadline_ms < next)
            next = wait->deadline_ms;
    DL_FOREACH(jt->status_waits, wait) {
        uint64_t when = jt->now.mono_ms < wait->not_before_ms ? wait->not_before_ms : wait->deadline_ms;

        if (when < next)
            next = when;
    }
    return next;
}

static void
end_list(struct jt_wait **list, const struct why *why)
{
    struct jt_wait *wait, *after;

    DL_FOREACH_SAFE(*list, wait, after) {
        DL_DELETE(*list, wait);
        rpc_fail(wait->call, why);
    }
}

void
jt_end_waits(struct jt *jt)
{
    struct why why;

    (void)why_set(&why, RC_STANDBY, "the JobTracker stops");
    end_list(&jt->order_waits, &why);
    end_list(&jt->status_waits, &why);
}
