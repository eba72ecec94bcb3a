#include "namenode/attr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "namenode/blocks.h"
#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/replication.h"
#include "namenode/resolve.h"
#include "namenode/status.h"

static enum rc
must_exist(const struct nn_path *p, struct why *why)
{
    return nn_path_exists(p) ? RC_OK
                             : why_set(why, RC_NOT_FOUND, "Directory/File does not exist %s", (const char *)p->text.p);
}

enum rc
nn_do_set_permission(struct nn_core *core, struct rpc_call *call, const SetPermissionRequestProto *req,
                     SetPermissionResponseProto *ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_SET_PERM, .at_ms = call->arrived_wall_ms };
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    (void)ret;
    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve(&caller, &core->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK ||
        (rc = must_exist(&p, why)) != RC_OK || (rc = nn_must_own(&caller, &core->db, &p, why)) != RC_OK)
        return rc;
    e.set_perm.inode = nn_path_last(&p)->id;
    e.set_perm.perm = req->permission->perm & 01777;
    return nn_edit_apply(core, &e, why);
}

/* Only superusers give files away; owners may give them to a group that they are in. */
static enum rc
check_new_owner(struct nn_caller *c, const SetOwnerRequestProto *req, struct why *why)
{
    const char *user = c->call->user, *group;
    bool member;
    enum rc rc;

    if (c->super)
        return RC_OK;
    if (req->has_username && (req->username.len != strlen(user) || memcmp(req->username.data, user, strlen(user)) != 0))
        return why_set(why, RC_DENIED, "User %s is not a super user (non-super user cannot change owner).", user);
    if (!req->has_groupname)
        return RC_OK;
    group = arena_strndup(&c->call->arena, req->groupname.len == 0 ? (const void *)"" : req->groupname.data,
                          req->groupname.len);
    if (group == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = nn_caller_in_group(c, group, &member, why)) != RC_OK)
        return rc;
    return member ? RC_OK : why_set(why, RC_DENIED, "User %s does not belong to %s", user, group);
}

enum rc
nn_do_set_owner(struct nn_core *core, struct rpc_call *call, const SetOwnerRequestProto *req, SetOwnerResponseProto *ret,
                struct why *why)
{
    struct nn_edit e = { .kind = EDIT_SET_OWNER, .at_ms = call->arrived_wall_ms };
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    (void)ret;
    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve(&caller, &core->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK ||
        (rc = must_exist(&p, why)) != RC_OK || (rc = nn_must_own(&caller, &core->db, &p, why)) != RC_OK ||
        (rc = check_new_owner(&caller, req, why)) != RC_OK)
        return rc;
    e.set_owner.inode = nn_path_last(&p)->id;
    e.set_owner.which = (req->has_username ? 1u : 0u) | (req->has_groupname ? 2u : 0u);
    if (req->has_username)
        e.set_owner.owner = pb_span(req->username);
    if (req->has_groupname)
        e.set_owner.group = pb_span(req->groupname);
    return e.set_owner.which == 0 ? RC_OK : nn_edit_apply(core, &e, why);
}

enum rc
nn_do_set_times(struct nn_core *core, struct rpc_call *call, const SetTimesRequestProto *req, SetTimesResponseProto *ret,
                struct why *why)
{
    struct nn_edit e = { .kind = EDIT_SET_TIMES, .at_ms = call->arrived_wall_ms };
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    (void)ret;
    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve(&caller, &core->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK)
        return rc;
    if (!nn_path_exists(&p))
        return why_set(why, RC_NOT_FOUND, "File/Directory %s does not exist.", (const char *)p.text.p);
    if ((rc = nn_may(&caller, &core->db, &p, p.depth, MAY_WRITE, why)) != RC_OK)
        return rc;
    e.set_times.inode = nn_path_last(&p)->id;
    e.set_times.which = (req->mtime != NN_TIME_KEEP ? 1u : 0u) | (req->atime != NN_TIME_KEEP ? 2u : 0u);
    e.set_times.mtime = req->mtime;
    e.set_times.atime = req->atime;
    return e.set_times.which == 0 ? RC_OK : nn_edit_apply(core, &e, why);
}

enum rc
nn_check_replication(const struct conf *conf, uint32_t replication, struct span src, const char *client, struct why *why)
{
    char suffix[300] = "";

    if (client != NULL)
        snprintf(suffix, sizeof suffix, ", clientName=%s", client);
    if (replication < conf->replication_min)
        return why_set(why, RC_IO_EXCEPTION,
                       "Requested replication factor of %" PRIu32 " is less than the required minimum of %" PRIu64
                       " for %.*s%s", replication, conf->replication_min, (int)src.n, (const char *)src.p, suffix);
    if (replication > conf->replication_max)
        return why_set(why, RC_IO_EXCEPTION, "Requested replication factor of %" PRIu32 " exceeds maximum of %" PRIu64
                       " for %.*s%s", replication, conf->replication_max, (int)src.n, (const char *)src.p, suffix);
    return RC_OK;
}

enum rc
nn_do_set_replication(struct nn_core *core, struct rpc_call *call, const SetReplicationRequestProto *req,
                      SetReplicationResponseProto *ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_SET_REPLICATION, .at_ms = call->arrived_wall_ms };
    struct nn_caller caller;
    const struct nn_inode *last;
    struct nn_path p;
    enum rc rc;

    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_check_replication(&core->nn->conf, req->replication, pb_span(req->src), NULL, why)) != RC_OK ||
        (rc = nn_resolve(&caller, &core->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK)
        return rc;
    ret->result = false;
    if (!nn_path_exists(&p))
        return RC_OK;
    last = nn_path_last(&p);
    if ((rc = nn_may(&caller, &core->db, &p, p.depth, MAY_WRITE, why)) != RC_OK || last->type != NN_FILE)
        return rc;
    ret->result = true;
    if (last->replication == req->replication)
        return RC_OK;
    e.set_replication.inode = last->id;
    e.set_replication.replication = req->replication;
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        return rc;
    return nn_blocks_recount(core, last->id, why);
}

/* ---- access times ---- */

struct touch {
    uint64_t inode, at_ms;
};

static enum rc
touch_posted(struct nn_core *core, void *arg, struct why *why)
{
    struct touch t = *(struct touch *)arg;
    struct nn_edit e = { .kind = EDIT_SET_TIMES, .at_ms = t.at_ms };
    struct nn_inode file;
    bool found;
    enum rc rc;

    mem_free(arg);
    if (core->safe_mode || core->disk_full)
        return RC_OK;
    if ((rc = nn_inode_find(&core->db, t.inode, &file, &found, why)) != RC_OK || !found ||
        t.at_ms < file.atime + core->nn->conf.atime_precision_ms)
        return rc;
    e.set_times.inode = t.inode;
    e.set_times.which = 2;
    e.set_times.atime = t.at_ms;
    return nn_edit_apply_last(core, &e, why);
}

void
nn_touch(struct nn *nn, const struct nn_inode *file)
{
    uint64_t now_ms = clock_wall_ms(nn->world->clock), precision_ms = nn->conf.atime_precision_ms;
    struct touch *t;

    if (precision_ms == 0 || now_ms < file->atime + precision_ms || (t = mem_alloc(sizeof *t)) == NULL)
        return;
    *t = (struct touch){ file->id, now_ms };
    if (nn_core_post(nn, touch_posted, t) != RC_OK)
        mem_free(t);
}
