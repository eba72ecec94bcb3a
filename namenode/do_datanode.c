/*
 * do_datanode -- what DataNodes ask: registration, heartbeats, orders, changes.
 */
#include <inttypes.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "namenode/blockmap.h"
#include "namenode/changes.h"
#include "namenode/dispatch.h"
#include "namenode/periodic.h"
#include "namenode/recovery.h"

/* ---- registration ---- */

/* Another DataNode that had this address before is gone: its machine now runs this one. */
static enum rc retire_address(struct nn_core *core, const struct nn_node *n, struct why *why)
{
    struct nn_nodes *t = &core->blocks->nodes;
    enum rc rc;

    for (size_t i = 0; i < t->count; i++) {
        struct nn_node *other = t->all[i];

        if (other == n || other->dead || strcmp(other->address, n->address) != 0)
            continue;
        other->dead = true;
        t->changes++;
        nn_orders_clear(other);
        nn_orders_answer(core, other);
        log_warn("datanode_replaced", "address=%s was=%s now=%s", n->address, other->uuid, n->uuid);
        nn_sweep_want(core);
        if ((rc = nn_node_drop_work(core, other, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

static void take_storage(struct nn_storage *s, const DnStorage *from)
{
    s->capacity = from->capacity;
    s->dfs_used = from->dfs_used;
    s->remaining = from->remaining;
    s->failed = from->failed;
}

static enum rc take_storages(struct nn_core *core, struct nn_node *n, DnStorage *const *list, size_t count, struct why *why)
{
    enum rc rc;

    for (size_t i = 0; i < n->storage_count; i++)
        n->storages[i]->failed = true;          /* unless it is in the list */
    for (size_t i = 0; i < count; i++) {
        struct nn_storage *s = NULL;

        if (list[i]->uuid[0] == '\0')
            return why_set(why, RC_BAD_MESSAGE, "a storage of %s has no uuid", n->address);
        if ((rc = nn_storage_add(&core->blocks->nodes, n, list[i]->uuid, 0, &s, why)) != RC_OK)
            return rc;
        take_storage(s, list[i]);
    }
    return RC_OK;
}

static enum rc check_register(struct nn_core *core, const DnRegisterRequest *req, struct why *why)
{
    if (req->node_uuid[0] == '\0' || strlen(req->node_uuid) > 200 || strlen(req->host) > 250 || strlen(req->name) > 250 ||
        req->data_port == 0 || req->data_port > UINT16_MAX || req->ipc_port > UINT16_MAX || req->http_port > UINT16_MAX)
        return why_set(why, RC_BAD_MESSAGE, "a registration without uuid, or with impossible addresses");
    if (req->cluster_id[0] != '\0' && strcmp(req->cluster_id, core->nn->id.cluster_id) != 0)
        return why_set(why, RC_WRONG_CLUSTER, "this DataNode belongs to the cluster %s, this NameNode to %s", req->cluster_id,
                       core->nn->id.cluster_id);
    return RC_OK;
}

static enum rc set_reply(struct nn_core *core, struct rpc_call *call, const DnRegisterRequest *req, const struct nn_node *n,
                         DnRegisterReply *ret, struct why *why)
{
    const struct nn_identity *id = &core->nn->id;

    if ((ret->cluster_id = arena_strdup(&call->arena, id->cluster_id)) == NULL ||
        (ret->block_pool_id = arena_strdup(&call->arena, id->pool_id)) == NULL ||
        (ret->host = arena_strdup(&call->arena, n->host)) == NULL ||
        (ret->full_report = arena_calloc(&call->arena, req->n_storages + 1, sizeof *ret->full_report)) == NULL)
        return why_rc(why, RC_NOMEM);
    ret->namespace_id = id->namespace_id;
    ret->created_ms = id->created_ms;
    ret->epoch = n->epoch;
    ret->txid = core->txid;
    ret->n_full_report = req->n_storages;
    for (size_t i = 0; i < req->n_storages; i++)
        ret->full_report[i] = !req->storages[i]->failed;
    return RC_OK;
}

enum rc nn_do_dn_register(struct nn_core *core, struct rpc_call *call, const DnRegisterRequest *req, DnRegisterReply *ret,
                          struct why *why)
{
    struct nn_blocks *b = core->blocks;
    const char *host = req->host[0] != '\0' ? req->host : call->peer.host;
    struct nn_node *n;
    enum rc rc;

    if ((rc = check_register(core, req, why)) != RC_OK ||
        (rc = nn_node_add(&b->nodes, req->node_uuid, nn_core_mono_ms(core), &n, why)) != RC_OK ||
        (rc = nn_node_set_address(&b->nodes, n, host, req->name[0] != '\0' ? req->name : host, (uint16_t)req->data_port,
                                  (uint16_t)req->ipc_port, (uint16_t)req->http_port, why)) != RC_OK)
        return rc;
    nn_node_place(core, n);
    if (!nn_node_is_allowed(core, n)) {
        n->dead = true;
        return why_set(why, RC_WRONG_CLUSTER, "%s is not in the file of dfs.hosts", n->address);
    }
    nn_orders_answer(core, n);          /* of the registration before */
    if ((rc = nn_node_drop_work(core, n, why)) != RC_OK || (rc = retire_address(core, n, why)) != RC_OK ||
        (rc = take_storages(core, n, req->storages, req->n_storages, why)) != RC_OK)
        return rc;
    nn_node_begin(&b->nodes, n, rng_u64(core->nn->world->rng) >> 1 | 1, nn_core_mono_ms(core), nn_core_now_ms(core));
    b->nodes_unsaved = true;
    if ((rc = nn_nodes_save(core, why)) != RC_OK)
        return rc;
    nn_behind_check(core, n, req->seen_txid, req->seen_block_id, req->seen_stamp);
    core->snapshot_stale = true;
    CRASH_POINT(nn_registered);
    log_info("datanode_registered", "node=%s uuid=%s storages=%zu rack=%s", n->address, n->uuid, n->storage_count, n->rack);
    return set_reply(core, call, req, n, ret, why);
}

/* ---- heartbeats ---- */

/* The node of a call, if its registration is the present one. */
static enum rc find_node(struct nn_core *core, const char *uuid, uint64_t epoch, struct nn_node **ret, struct why *why)
{
    struct nn_node *n = nn_node_find(&core->blocks->nodes, uuid);

    if (n == NULL || !nn_node_is_live(n) || (n->epoch != epoch && !old_bug(OLD_BUG_EPOCH_NOT_COMPARED)))
        return why_set(why, RC_UNREGISTERED, "DataNode %s is not registered, or has been taken for dead: register again", uuid);
    *ret = n;
    return RC_OK;
}

static enum rc find_storage(struct nn_core *core, const struct nn_node *n, const char *uuid, struct nn_storage **ret,
                            struct why *why)
{
    struct nn_storage *s = nn_storage_find(&core->blocks->nodes, uuid);

    if (s == NULL || s->node != n)
        return why_set(why, RC_UNREGISTERED, "storage %s of %s is not registered: register again", uuid, n->address);
    *ret = s;
    return RC_OK;
}

enum rc nn_do_dn_heartbeat(struct nn_core *core, struct rpc_call *call, const DnHeartbeatRequest *req, DnHeartbeatReply *ret,
                           struct why *why)
{
    struct nn_storage *s = NULL;
    struct nn_node *n;
    enum rc rc;

    (void)call;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK)
        return rc;
    n->heard_ms = nn_core_mono_ms(core);
    n->heard_wall_ms = nn_core_now_ms(core);
    n->transfers = req->transfers;
    n->planned = 0;
    n->failed_volumes = req->failed_volumes;
    for (size_t i = 0; i < req->n_storages; i++) {
        bool failed_before;

        if ((rc = find_storage(core, n, req->storages[i]->uuid, &s, why)) != RC_OK)
            return rc;
        failed_before = s->failed;
        take_storage(s, req->storages[i]);
        if (s->failed && !failed_before) {
            log_warn("volume_lost", "node=%s storage=%s now=copy_its_blocks", n->address, s->uuid);
            core->blocks->nodes.changes++;
            nn_sweep_want(core);
        }
    }
    core->blocks->heard = true;
    ret->txid = core->txid;
    ret->block_id = core->next.block - 1;
    ret->stamp = core->next.stamp - 1;
    return RC_OK;
}

/* ---- orders ---- */

#define WAIT_MAX_MS 300000

enum rc nn_do_dn_wait_orders(struct nn_core *core, struct rpc_call *call, const DnWaitOrdersRequest *req,
                             DnWaitOrdersReply *ret, struct why *why)
{
    uint64_t wait_ms = req->max_wait_ms < WAIT_MAX_MS ? req->max_wait_ms : WAIT_MAX_MS;
    struct nn_node *n;
    enum rc rc;

    (void)ret;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK)
        return rc;
    n->heard_ms = nn_core_mono_ms(core);
    nn_orders_acked(n, req->last_seq);
    nn_orders_answer(core, n);          /* one that the node has given up, with what it will get anyway */
    n->waiting = call;
    n->wait_until_ms = nn_core_mono_ms(core) + wait_ms;
    if (n->orders != NULL || wait_ms == 0)
        nn_orders_answer(core, n);
    return RC_OK;
}

enum rc nn_do_dn_order_failed(struct nn_core *core, struct rpc_call *call, const DnOrderFailedRequest *req,
                              DnOrderFailedReply *ret, struct why *why)
{
    struct nn_work *w = core->blocks->work;
    struct block_id block;
    struct nn_block b;
    struct nn_node *n;
    bool found, wanted, is_copy, is_recovery, is_drop = false;
    enum rc rc;

    (void)call, (void)ret;
    block.v = req->block->id;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK ||
        (rc = nn_block_find(&core->db, block, &b, &found, why)) != RC_OK)
        return rc;
    /* A block that was deleted or appended to while it was copied is no failure of anything, nor is the end of a copy that
     * has arrived already. */
    is_copy = nn_copy_failed(w, block, n);
    is_recovery = nn_recovery_failed(core, block, n, req->seq);
    for (size_t i = 0; i < n->storage_count; i++)
        is_drop = nn_drop_failed(w, block, n->storages[i]->no, req->seq) || is_drop;
    wanted = found && (is_drop || (b.stamp <= req->block->stamp && (is_recovery || (is_copy && b.state == NN_BLOCK_COMPLETE))));
    log_event(wanted ? LOG_WARN : LOG_INFO, "order_failed",
              "node=%s order=%" PRIu64 " block=%" PRIu64 " suspect=%s reason=\"%s\" now=%s", n->address, req->seq, block.v,
              req->bad_node_uuid != NULL ? req->bad_node_uuid : "", req->reason, wanted ? "plan_again" : "nothing");
    return nn_block_look(core, block, why);
}

/* ---- changes and reports ---- */

enum rc nn_do_dn_blocks_changed(struct nn_core *core, struct rpc_call *call, const DnBlocksChangedRequest *req,
                                DnBlocksChangedReply *ret, struct why *why)
{
    struct nn_storage *s = NULL;
    struct nn_node *n;
    enum rc rc;

    (void)call, (void)ret;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK)
        return rc;
    n->heard_ms = nn_core_mono_ms(core);
    for (size_t i = 0; i < req->n_storages; i++) {
        if ((rc = find_storage(core, n, req->storages[i]->storage_uuid, &s, why)) != RC_OK)
            return rc;
        for (size_t k = 0; k < req->storages[i]->n_changes; k++)
            if ((rc = nn_change_apply(core, s, req->storages[i]->changes[k], why)) != RC_OK)
                return rc;
    }
    CRASH_POINT(nn_changes_applied);
    nn_orders_kick(core);
    return RC_OK;
}

enum rc nn_do_dn_report_hashes(struct nn_core *core, struct rpc_call *call, const DnReportHashesRequest *req,
                               DnReportHashesReply *ret, struct why *why)
{
    struct nn_storage *s = NULL;
    struct nn_node *n;
    enum rc rc;

    (void)ret;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK ||
        (rc = find_storage(core, n, req->storage_uuid, &s, why)) != RC_OK)
        return rc;
    n->heard_ms = nn_core_mono_ms(core);
    return nn_report_hashes(core, s, call, req, why);
}

enum rc nn_do_dn_report_range(struct nn_core *core, struct rpc_call *call, const DnReportRangeRequest *req,
                              DnReportRangeReply *ret, struct why *why)
{
    struct nn_storage *s = NULL;
    struct nn_node *n;
    enum rc rc;

    (void)ret;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK ||
        (rc = find_storage(core, n, req->storage_uuid, &s, why)) != RC_OK)
        return rc;
    n->heard_ms = nn_core_mono_ms(core);
    if ((rc = nn_report_range(core, s, req, &call->arena, why)) != RC_OK)
        return rc;
    CRASH_POINT(nn_range_reported);
    nn_orders_kick(core);
    return RC_OK;
}

/* ---- recovery ---- */

enum rc nn_do_dn_commit_recovery(struct nn_core *core, struct rpc_call *call, const DnCommitRecoveryRequest *req,
                                 DnCommitRecoveryReply *ret, struct why *why)
{
    struct nn_node *n;
    enum rc rc;

    (void)ret;
    if ((rc = find_node(core, req->node_uuid, req->epoch, &n, why)) != RC_OK)
        return rc;
    if (core->safe_mode || core->disk_full)
        return why_set(why, RC_SAFE_MODE, "Cannot commit block synchronization. Name node is in safe mode.");
    n->heard_ms = nn_core_mono_ms(core);
    rc = nn_recovery_commit(core, call, n, req, why);
    CRASH_POINT(nn_recovery_taken);
    return rc;
}
