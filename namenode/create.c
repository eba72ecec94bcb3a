/*
 * create -- new files, and what happens when one is there or being written.
 */
#include <inttypes.h>
#include <string.h>

#include "namenode/blocks.h"
#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/lease.h"
#include "namenode/mkdir.h"
#include "namenode/policy.h"
#include "namenode/recovery.h"
#include "namenode/replication.h"
#include "namenode/resolve.h"
#include "namenode/status.h"

enum create_flags { FLAG_CREATE = 1, FLAG_OVERWRITE = 2 };

enum rc
nn_lease_take_over(struct nn_core *core, struct rpc_call *call, const char *operation, const struct nn_path *p,
                   struct span holder, struct why *why)
{
    const char *path = (const char *)p->text.p, *peer = call->peer.host;
    struct nn_recovery recovery;
    struct nn_lease lease;
    bool found, recovering, ended;
    enum rc rc;

    if (!nn_path_last(p)->open)
        return RC_OK;
    if ((rc = nn_lease_find(&core->db, &call->arena, nn_path_last(p)->id, &lease, &found, why)) != RC_OK ||
        (rc = nn_recovery_find(&core->db, nn_path_last(p)->id, &recovery, &recovering, why)) != RC_OK)
        return rc;
#define WHO operation, path, (int)holder.n, (const char *)holder.p, peer
    if (!found)
        return why_set(why, RC_BEING_CREATED, "Failed to %s %s for %.*s on %s because the file is under construction but "
                       "no leases found.", WHO);
    if (recovering && recovery.is_truncate && lease.holder.n == holder.n &&
        memcmp(lease.holder.p, holder.p, holder.n) == 0)
        return why_set(why, RC_BEING_CREATED, "Failed to %s %s for %.*s on %s because %s is being truncated.", WHO, path);
    if (recovering)
        return why_set(why, RC_IN_RECOVERY, "Failed to %s %s for %.*s on %s because another recovery is in progress by %s "
                       "on %s", WHO, (const char *)lease.holder.p, (const char *)lease.client_node.p);
    if (lease.holder.n == holder.n && memcmp(lease.holder.p, holder.p, holder.n) == 0)
        return why_set(why, RC_BEING_CREATED, "Failed to %s %s for %.*s on %s because %.*s is already the current lease "
                       "holder.", WHO, (int)holder.n, (const char *)holder.p);
    if (nn_lease_idle_ms(core, lease.holder) <= core->nn->conf.lease_soft_ms)
        return why_set(why, RC_BEING_CREATED, "Failed to %s %s for %.*s on %s because this file lease is currently owned "
                       "by %s on %s", WHO, (const char *)lease.holder.p, (const char *)lease.client_node.p);
    if ((rc = nn_recovery_close_now(core, nn_path_last(p), &ended, why)) != RC_OK)
        return rc;
    /* The refusal undoes the edits of this call: the recovery begins in a group of its own. */
    if (!ended && (rc = nn_lease_end_later(core->nn, nn_path_last(p)->id, why)) != RC_OK)
        return rc;
    if (!ended)
        return why_set(why, RC_IN_RECOVERY, "Failed to %s %s for %.*s on %s because lease recovery is in progress. Try "
                       "again later.", WHO);
#undef WHO
    return RC_OK;
}

/* What stands at the path: may it be replaced? */
static enum rc
check_existing(struct nn_core *core, struct rpc_call *call, struct nn_caller *caller, const struct nn_path *p,
               const CreateRequestProto *req, struct why *why)
{
    const char *path = (const char *)p->text.p;
    enum rc rc;

    if (nn_path_last(p)->type == NN_DIR)
        return why_set(why, RC_EXISTS, "%s already exists as a directory", path);
    if ((req->createflag & FLAG_OVERWRITE) != 0)
        return nn_may(caller, &core->db, p, p->depth, MAY_WRITE, why);
    if ((rc = nn_lease_take_over(core, call, "CREATE_FILE", p, pb_span(req->clientname), why)) != RC_OK)
        return rc;
    /* The refusal below undoes the edits of this call: a lease that could be ended is ended by itself. */
    if (nn_path_last(p)->open && (rc = nn_lease_end_later(core->nn, nn_path_last(p)->id, why)) != RC_OK)
        return rc;
    return why_set(why, RC_EXISTS, "%s for client %s already exists", path, call->peer.host);
}

static enum rc
check_options(struct nn_core *core, struct rpc_call *call, const CreateRequestProto *req, uint32_t *ret_policy,
              struct why *why)
{
    const struct conf *conf = &core->nn->conf;
    enum rc rc;

    *ret_policy = 0;
    if (req->blocksize < conf->block_bytes_min)
        return why_set(why, RC_IO_EXCEPTION, "Specified block size %" PRIu64 " is less than configured minimum value "
                       "dfs.namenode.fs-limits.min-block-size=%" PRIu64, req->blocksize, conf->block_bytes_min);
    if (req->blocksize > INT64_MAX)
        return why_set(why, RC_IO_EXCEPTION, "Specified block size %" PRIu64 " is too large", req->blocksize);
    if (req->has_storagepolicy && req->storagepolicy.len > 0 &&
        (rc = nn_policy_find(pb_span(req->storagepolicy), ret_policy, why)) != RC_OK)
        return rc;
    if (req->has_ecpolicyname && req->ecpolicyname.len > 0 && !nn_policy_is_replication(pb_span(req->ecpolicyname)))
        return why_set(why, RC_ILLEGAL_ARGUMENT, "Policy '%.*s' does not match any enabled erasure coding policies: []. "
                       "An erasure coding policy can be enabled by enableErasureCodingPolicy API.",
                       (int)req->ecpolicyname.len, (const char *)req->ecpolicyname.data);
    return nn_check_replication(conf, req->replication, pb_span(req->src), call->peer.host, why);
}

static enum rc
check_path(struct nn_core *core, struct rpc_call *call, struct nn_caller *caller, const CreateRequestProto *req,
           struct nn_path *ret, struct why *why)
{
    struct span src = pb_span(req->src);
    enum rc rc;

    if ((rc = nn_path_check_length(src, "create", why)) != RC_OK || (rc = nn_path_check_new(src, "", why)) != RC_OK)
        return rc;
    if (nn_path_is_reserved(src))
        return why_set(why, RC_BAD_PATH, "Invalid path name %.*s", (int)src.n, (const char *)src.p);
    if ((rc = nn_resolve(caller, &core->db, src, NN_TO_MAKE, ret, why)) != RC_OK ||
        (rc = nn_may_add(caller, &core->db, ret, why)) != RC_OK)
        return rc;
    if (nn_path_exists(ret))
        return check_existing(core, call, caller, ret, req, why);
    if (!req->createparent && (rc = nn_must_have_parent(&call->arena, ret, why)) != RC_OK)
        return rc;
    if ((req->createflag & FLAG_CREATE) == 0)
        return why_set(why, RC_NOT_FOUND, "Can't overwrite non-existent %s", (const char *)ret->text.p);
    return nn_check_new_names(&core->nn->conf, &call->arena, ret, ret->found + 1, why);
}

/* The old file goes, missing parents come, the new file comes. */
static enum rc
apply(struct nn_core *core, struct rpc_call *call, const CreateRequestProto *req, struct nn_path *p, uint32_t policy,
      uint64_t *ret_inode, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_DELETE, .at_ms = call->arrived_wall_ms };
    const struct nn_inode *dir;
    const char *group;
    enum rc rc;

    if (nn_path_exists(p)) {
        e.delete.inode = nn_path_last(p)->id;
        if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
            return rc;
        nn_blocks_freed(core);
        p->found--;
    } else {
        uint32_t perm = p->inodes[p->found].perm | 0300;

        if ((rc = nn_make_dirs(core, call, p, p->depth - 1, perm, perm, why)) != RC_OK)
            return rc;
    }
    dir = &p->inodes[p->depth - 1];
    if ((rc = nn_name_text(&core->db, dir->group, &group, why)) != RC_OK)
        return rc;
    e.kind = EDIT_CREATE;
    e.create = (struct nn_edit_create){
        .inode = core->next.inode++,
        .parent = dir->id,
        .name = p->names[p->depth],
        .perm = req->masked->perm & 01777,
        .owner = span_of(call->user, strlen(call->user)),
        .group = span_of(group, strlen(group)),
        .replication = req->replication,
        .block_size = req->blocksize,
        .policy = policy,
        .holder = pb_span(req->clientname),
        .client_node = span_of(call->peer.host, strlen(call->peer.host)),
    };
    *ret_inode = e.create.inode;
    return nn_edit_apply_last(core, &e, why);
}

enum rc
nn_do_create(struct nn_core *core, struct rpc_call *call, const CreateRequestProto *req, CreateResponseProto *ret,
             struct why *why)
{
    struct nn_caller caller;
    struct nn_inode made;
    struct nn_path p;
    uint64_t inode;
    uint32_t policy;
    bool found;
    enum rc rc;

    nn_caller_init(&caller, core->nn, call);
    if ((rc = check_path(core, call, &caller, req, &p, why)) != RC_OK ||
        (rc = check_options(core, call, req, &policy, why)) != RC_OK ||
        (rc = apply(core, call, req, &p, policy, &inode, why)) != RC_OK ||
        (rc = nn_inode_find(&core->db, inode, &made, &found, why)) != RC_OK ||
        (rc = nn_status(&core->db, &call->arena, &made, span_of("", 0), &ret->fs, why)) != RC_OK)
        return rc;
    return nn_lease_renew(core, pb_span(req->clientname), why);
}

enum rc
nn_do_renew_lease(struct nn_core *core, struct rpc_call *call, const RenewLeaseRequestProto *req,
                  RenewLeaseResponseProto *ret, struct why *why)
{
    (void)call, (void)ret;
    return nn_lease_renew_known(core, pb_span(req->clientname), why);
}

enum rc
nn_do_recover_lease(struct nn_core *core, struct rpc_call *call, const RecoverLeaseRequestProto *req,
                    RecoverLeaseResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    bool ended = true;
    enum rc rc;

    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve_file(&caller, &core->db, pb_span(req->src), &p, why)) != RC_OK ||
        (rc = nn_may(&caller, &core->db, &p, p.depth, MAY_WRITE, why)) != RC_OK)
        return rc;
    if (nn_path_last(&p)->open && (rc = nn_recovery_begin(core, nn_path_last(&p)->id, &ended, why)) != RC_OK)
        return rc;
    ret->result = ended;
    return RC_OK;
}
