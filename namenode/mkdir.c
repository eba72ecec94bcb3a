#include "namenode/mkdir.h"

#include <string.h>

#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/resolve.h"

#define PERM_BITS 01777u

enum rc
nn_make_dirs(struct nn_core *core, const struct rpc_call *call, struct nn_path *p, size_t upto, uint32_t perm_above,
             uint32_t perm, struct why *why)
{
    const char *group;
    enum rc rc;

    while (p->found < upto) {
        size_t at = p->found + 1;
        struct nn_edit e = { .kind = EDIT_MKDIR, .at_ms = call->arrived_wall_ms };
        bool found;

        if ((rc = nn_name_text(&core->db, p->inodes[at - 1].group, &group, why)) != RC_OK)
            return rc;
        e.mkdir.inode = core->next.inode++;
        e.mkdir.parent = p->inodes[at - 1].id;
        e.mkdir.name = p->names[at];
        e.mkdir.perm = at == upto ? perm : perm_above;
        e.mkdir.owner = span_of(call->user, strlen(call->user));
        e.mkdir.group = span_of(group, strlen(group));
        if ((rc = nn_edit_apply(core, &e, why)) != RC_OK ||
            (rc = nn_inode_find(&core->db, e.mkdir.inode, &p->inodes[at], &found, why)) != RC_OK)
            return rc;
        p->found = at;
    }
    return RC_OK;
}

enum rc
nn_do_mkdirs(struct nn_core *core, struct rpc_call *call, const MkdirsRequestProto *req, MkdirsResponseProto *ret,
             struct why *why)
{
    struct span src = pb_span(req->src);
    uint32_t perm = req->masked->perm & PERM_BITS;
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    if (src.n == 0)
        return why_set(why, RC_JAVA_ILLEGAL_ARGUMENT, "Can not create a Path from an empty string");
    if ((rc = nn_path_check_length(src, "mkdirs", why)) != RC_OK ||
        (rc = nn_path_check_new(src, "Invalid file name: ", why)) != RC_OK)
        return rc;
    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve(&caller, &core->db, src, NN_TO_MAKE, &p, why)) != RC_OK)
        return rc;
    ret->result = true;
    if (nn_path_exists(&p)) {
        if (nn_path_last(&p)->type == NN_DIR)
            return RC_OK;
        return why_set(why, RC_EXISTS, "Path is not a directory: %s", (const char *)p.text.p);
    }
    if (nn_path_is_reserved(p.text))
        return why_set(why, RC_BAD_PATH, "Invalid path name %s", (const char *)p.text.p);
    if ((rc = nn_may_add(&caller, &core->db, &p, why)) != RC_OK)
        return rc;
    if (!req->createparent && (rc = nn_must_have_parent(&call->arena, &p, why)) != RC_OK)
        return rc;
    if ((rc = nn_check_new_names(&core->nn->conf, &call->arena, &p, p.found + 1, why)) != RC_OK)
        return rc;
    return nn_make_dirs(core, call, &p, p.depth, perm | 0300, perm, why);
}
