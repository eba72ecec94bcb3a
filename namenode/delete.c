/*
 * delete -- files and trees leave the namespace.
 */
#include "namenode/blocks.h"
#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/periodic.h"
#include "namenode/resolve.h"

enum rc
nn_do_delete(struct nn_core *core, struct rpc_call *call, const DeleteRequestProto *req, DeleteResponseProto *ret,
             struct why *why)
{
    struct nn_edit e = { .kind = EDIT_DELETE, .at_ms = call->arrived_wall_ms };
    struct nn_caller caller;
    const struct nn_inode *last;
    struct nn_path p;
    enum rc rc;

    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve(&caller, &core->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK ||
        (rc = nn_may_remove(&caller, &core->db, &p, why)) != RC_OK)
        return rc;
    ret->result = false;
    if (!nn_path_exists(&p))
        return RC_OK;
    last = nn_path_last(&p);
    if ((rc = nn_may_remove_tree(&caller, &core->db, &p, why)) != RC_OK)
        return rc;
    if (!req->recursive && last->type == NN_DIR && last->children > 0)
        return why_set(why, RC_NOT_EMPTY, "`%s is non empty': Directory is not empty", (const char *)p.text.p);
    if (p.depth == 0)
        return RC_OK;
    e.delete.inode = last->id;
    if ((rc = nn_edit_apply_last(core, &e, why)) != RC_OK)
        return rc;
    if (last->type == NN_FILE)
        nn_blocks_freed(core);
    else if (last->children > 0)
        nn_periodic_hurry(core, NN_PERIODIC_RECLAIM);
    ret->result = true;
    return RC_OK;
}
