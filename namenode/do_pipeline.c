/*
 * do_pipeline -- recovery of a write pipeline, replacement nodes, bad blocks, safe mode.
 */
#include <inttypes.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/net/net.h"
#include "namenode/asked.h"
#include "namenode/blockmap.h"
#include "namenode/changes.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/inode.h"
#include "namenode/lease.h"
#include "namenode/located.h"
#include "namenode/perm.h"
#include "namenode/place.h"
#include "namenode/recovery.h"

static struct span span_of_pb(ProtobufCBinaryData d)
{
    return span_of(d.data, d.len);
}

#define BLOCK_TEXT "%.*s:blk_%" PRIu64 "_%" PRIu64
#define BLOCK_ARGS(b) (int)(b)->poolid.len, (const char *)(b)->poolid.data, (b)->blockid, (b)->generationstamp

/* The open block that client writes. */
static enum rc find_open_block(struct nn_core *core, struct rpc_call *call, const ExtendedBlockProto *asked,
                               ProtobufCBinaryData client, struct nn_block *ret, struct why *why)
{
    struct nn_recovery recovery;
    struct nn_inode file;
    struct nn_lease lease;
    bool found, leased = false, recovering;
    enum rc rc;

    if ((rc = nn_block_find(&core->db, (struct block_id){ asked->blockid }, ret, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return why_set(why, RC_IO_EXCEPTION, BLOCK_TEXT " does not exist.", BLOCK_ARGS(asked));
    if (ret->state == NN_BLOCK_COMPLETE)
        return why_set(why, RC_IO_EXCEPTION, "Unexpected BlockUCState: " BLOCK_TEXT " is COMPLETE but not UNDER_CONSTRUCTION",
                       BLOCK_ARGS(asked));
    if ((rc = nn_inode_find(&core->db, ret->inode, &file, &found, why)) != RC_OK)
        return rc;
    if (!found || !file.open)
        return why_set(why, RC_IO_EXCEPTION, "The file " BLOCK_TEXT " belonged to does not exist or it is not under construction.",
                       BLOCK_ARGS(asked));
    if ((rc = nn_lease_find(&core->db, &call->arena, file.id, &lease, &leased, why)) != RC_OK ||
        (rc = nn_recovery_find(&core->db, file.id, &recovery, &recovering, why)) != RC_OK)
        return rc;
    if (recovering)
        return why_set(why, RC_IO_EXCEPTION, "Unexpected BlockUCState: " BLOCK_TEXT " is UNDER_RECOVERY but not UNDER_CONSTRUCTION",
                       BLOCK_ARGS(asked));
    if (!leased || lease.holder.n != client.len ||
        (client.len > 0 && memcmp(lease.holder.p, client.data, client.len) != 0))
        return why_set(why, RC_LEASE_EXPIRED, "Lease mismatch: " BLOCK_TEXT " is accessed by a non lease holder %.*s",
                       BLOCK_ARGS(asked), (int)client.len, (const char *)client.data);
    return RC_OK;
}

/* Only gives out a stamp: the pipeline and the stamp that are there stay valid until updatePipeline. */
enum rc nn_do_update_block_for_pipeline(struct nn_core *core, struct rpc_call *call, const UpdateBlockForPipelineRequestProto *req,
                                        UpdateBlockForPipelineResponseProto *ret, struct why *why)
{
    struct nn_block b;
    enum rc rc;

    if ((rc = find_open_block(core, call, req->block, req->clientname, &b, why)) != RC_OK)
        return rc;
    ret->block = nn_located_block(&call->arena, core->nn->id.pool_id, b.id, core->next.stamp++, req->block->numbytes, NN_NO_OFFSET,
                                  NULL, 0, false);
    return ret->block == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

/* The list after a recovery: the new pipeline, and what was finalized with older stamps, which is outdated now. */
static void new_pipeline(struct nn_core *core, struct rpc_call *call, const UpdatePipelineRequestProto *req,
                         struct nn_replicas *list)
{
    for (size_t i = list->n; i-- > 0;)
        if (list->r[i].state == NN_WRITING && list->r[i].stamp < req->newblock->generationstamp)
            (void)nn_replicas_remove(list, list->r[i].storage);         /* found just now */
    for (size_t i = 0; i < req->n_newnodes; i++) {
        struct nn_storage *s = nn_asked_storage(core, &call->arena, i < req->n_storageids ? &req->storageids[i] : NULL,
                                                req->newnodes[i]);
        struct nn_replica *old = s == NULL ? NULL : nn_replicas_find(list, s->no);
        struct nn_replica r = { .state = NN_WRITING, .stamp = req->newblock->generationstamp, .bytes = req->newblock->numbytes };

        if (s == NULL || (old != NULL && old->stamp >= r.stamp))
            continue;               /* it has reported its new stamp before the client did */
        r.storage = s->no;
        (void)nn_replicas_put(list, &r);        /* false only when the list is full: it will report */
    }
}

enum rc nn_do_update_pipeline(struct nn_core *core, struct rpc_call *call, const UpdatePipelineRequestProto *req,
                              UpdatePipelineResponseProto *ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_SET, .at_ms = nn_core_now_ms(core) };
    struct nn_edit length = { .kind = EDIT_LENGTH, .at_ms = e.at_ms };
    const ExtendedBlockProto *was = req->oldblock, *now = req->newblock;
    struct nn_replicas list;
    struct nn_block b;
    uint64_t count;
    enum rc rc;

    (void)ret;
    if ((rc = find_open_block(core, call, was, req->clientname, &b, why)) != RC_OK)
        return rc;
    if (now->blockid != b.id.v || (now->generationstamp <= b.stamp && !old_bug(OLD_BUG_PIPELINE_STAMP_GOES_BACK)))
        return why_set(why, RC_IO_EXCEPTION, "Update " BLOCK_TEXT " but the new block " BLOCK_TEXT " does not have a larger generation "
                       "stamp than the last block blk_%" PRIu64 "_%" PRIu64, BLOCK_ARGS(was), BLOCK_ARGS(now), b.id.v, b.stamp);
    if (now->generationstamp >= core->next.stamp)
        return why_set(why, RC_IO_EXCEPTION, "Update " BLOCK_TEXT " to a generation stamp that was not given out: " BLOCK_TEXT,
                       BLOCK_ARGS(was), BLOCK_ARGS(now));
    if (now->numbytes < b.bytes)
        return why_set(why, RC_IO_EXCEPTION, "Update " BLOCK_TEXT " (size=%" PRIu64 ") to a smaller size block " BLOCK_TEXT
                       " (size=%" PRIu64 ")", BLOCK_ARGS(was), b.bytes, BLOCK_ARGS(now), now->numbytes);
    if ((rc = nn_roster_get(core->blocks->roster, b.id, &list, why)) != RC_OK)
        return rc;
    new_pipeline(core, call, req, &list);
    e.block_set = (struct nn_edit_block_set){ .block = b.id.v, .bytes = now->numbytes, .stamp = now->generationstamp,
                                              .state = NN_BLOCK_OPEN };
    length.length.inode = b.inode;
    if ((rc = nn_roster_packed(core, &call->arena, &list, &e.block_set.roster, why)) != RC_OK ||
        (rc = nn_edit_apply(core, &e, why)) != RC_OK ||
        (rc = nn_block_sum(&core->db, b.inode, &count, &length.length.length, why)) != RC_OK ||
        (rc = nn_edit_apply(core, &length, why)) != RC_OK)
        return rc;
    return nn_replicas_set(core, b.id, &list, why);
}

/* ---- a node more for a running pipeline ---- */

static enum rc no_storages(const struct rpc_call *call, const GetAdditionalDatanodeRequestProto *req, struct why *why)
{
    return why_set(why, RC_ILLEGAL_ARGUMENT, "Missing storageIDs: It is likely that the HDFS client, who made this call, is "
                   "running in an older version of Hadoop(pre-2.0.0-alpha)  which does not support storageIDs. "
                   "datanodeID.length=%zu, src=%.*s, fileId=%" PRIu64 ", blk=" BLOCK_TEXT ", clientName=%.*s, clientMachine=%s",
                   req->n_existings, (int)req->src.len, (const char *)req->src.data, req->fileid, BLOCK_ARGS(req->blk),
                   (int)req->clientname.len, (const char *)req->clientname.data, call->peer.host);
}

enum rc nn_do_get_additional_datanode(struct nn_core *core, struct rpc_call *call, const GetAdditionalDatanodeRequestProto *req,
                                      GetAdditionalDatanodeResponseProto *ret, struct why *why)
{
    struct nn_storage *at[NN_REPLICAS_MAX];
    struct nn_place_ask ask = { .bytes = req->blk->numbytes, .now_ms = nn_core_mono_ms(core),
                                .stale_ms = core->nn->conf.stale_node_ms };
    struct nn_inode file;
    struct span path;
    size_t n = 0;
    enum rc rc;

    if ((rc = nn_lease_check(core, call, span_of_pb(req->src), req->fileid, span_of_pb(req->clientname), &file, &path,
                             why)) != RC_OK)
        return rc;
    if (req->n_existings > 0 && req->n_existingstorageuuids == 0)
        return no_storages(call, req, why);
    if ((rc = nn_asked_nodes(core, &call->arena, req->existings, req->n_existings, &ask.have, &ask.have_count, why)) != RC_OK ||
        (rc = nn_asked_nodes(core, &call->arena, req->excludes, req->n_excludes, &ask.exclude, &ask.exclude_count, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < req->n_existings && n < ARRAY_LEN(at); i++)
        if ((at[n] = nn_asked_storage(core, &call->arena, i < req->n_existingstorageuuids ? &req->existingstorageuuids[i] : NULL,
                                      req->existings[i]->id)) != NULL)
            n++;
    ask.count = req->numadditionalnodes < ARRAY_LEN(at) - n ? req->numadditionalnodes : ARRAY_LEN(at) - n;
    n += nn_place_plan(&core->blocks->nodes, &ask, core->nn->world->rng, at + n, NULL);
    if (!nn_asked_located(core, &call->arena, (struct block_id){ req->blk->blockid }, req->blk->generationstamp,
                          req->blk->numbytes, NN_NO_OFFSET, at, n, &ret->block))
        return why_rc(why, RC_NOMEM);
    return RC_OK;
}

/* ---- bad blocks, safe mode ---- */

/* Readers of a file that is being appended to may hold old files or old checksums: their word counts for what is closed and
 * as new as what they read. */
static enum rc may_be_bad(struct nn_core *core, const ExtendedBlockProto *b, bool *ret, struct why *why)
{
    struct nn_block block;
    bool found;
    enum rc rc;

    if ((rc = nn_block_find(&core->db, (struct block_id){ b->blockid }, &block, &found, why)) == RC_OK)
        *ret = found && block.state == NN_BLOCK_COMPLETE && block.stamp == b->generationstamp;
    return rc;
}

enum rc nn_do_report_bad_blocks(struct nn_core *core, struct rpc_call *call, const ReportBadBlocksRequestProto *req,
                                ReportBadBlocksResponseProto *ret, struct why *why)
{
    char by[NET_ADDR_TEXT];
    enum rc rc;

    (void)ret;
    (void)net_addr_text(&call->peer, by);
    for (size_t i = 0; i < req->n_blocks; i++) {
        const LocatedBlockProto *l = req->blocks[i];
        bool may_be;

        if ((rc = may_be_bad(core, l->b, &may_be, why)) != RC_OK)
            return rc;
        for (size_t k = 0; may_be && k < l->n_locs; k++) {
            struct nn_storage *s = nn_asked_storage(core, &call->arena, k < l->n_storageids ? &l->storageids[k] : NULL,
                                                    l->locs[k]->id);

            if (s != NULL && (rc = nn_replica_is_corrupt(core, s, (struct block_id){ l->b->blockid }, l->b->generationstamp, by,
                                                         why)) != RC_OK)
                return rc;
        }
    }
    return RC_OK;
}

static const char *action_text(SafeModeActionProto action)
{
    switch (action) {
    case SAFE_MODE_ACTION_PROTO__SAFEMODE_ENTER: return "safemode_enter";
    case SAFE_MODE_ACTION_PROTO__SAFEMODE_LEAVE: return "safemode_leave";
    case SAFE_MODE_ACTION_PROTO__SAFEMODE_FORCE_EXIT: return "safemode_force_exit";
    case SAFE_MODE_ACTION_PROTO__SAFEMODE_GET:
    case _SAFE_MODE_ACTION_PROTO_IS_INT_SIZE: break;
    }
    return "safemode_get";
}

enum rc nn_do_set_safe_mode(struct nn_core *core, struct rpc_call *call, const SetSafeModeRequestProto *req,
                            SetSafeModeResponseProto *ret, struct why *why)
{
    struct nn_safemode *s = &core->blocks->safe;
    bool force = req->action == SAFE_MODE_ACTION_PROTO__SAFEMODE_FORCE_EXIT;
    enum rc rc;

    ret->result = s->on;
    if (req->action == SAFE_MODE_ACTION_PROTO__SAFEMODE_GET)
        return RC_OK;
    if (!nn_is_superuser(core->nn, call->user))
        return why_set(why, RC_DENIED, "Access denied for user %s. Superuser privilege is required for operation %s", call->user,
                       action_text(req->action));
    if (req->action == SAFE_MODE_ACTION_PROTO__SAFEMODE_ENTER)
        nn_safemode_enter(s);
    else if ((rc = nn_safemode_leave(s, force, why)) != RC_OK)
        return rc;
    log_info("safe_mode_set", "on=%d user=%s action=%s", s->on, call->user, action_text(req->action));
    core->safe_mode = s->on;
    core->snapshot_stale = true;
    ret->result = s->on;
    return RC_OK;
}
