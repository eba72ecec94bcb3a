/*
 * rename -- files and trees change their name or directory.
 *
 * rename answers false where rename2 gives a reason; and takes a destination
 * that is a directory as the place to move into.  Checks are made against the
 * tables as they stand in the open group: two renames, each valid alone, may
 * make a cycle together.
 */
#include <string.h>

#include "core/base/faults.h"
#include "namenode/blocks.h"
#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/periodic.h"
#include "namenode/resolve.h"

struct move {
    struct nn_caller caller;
    struct nn_path from, to;
};

static bool
span_equal(struct span a, struct span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* `to` lies below `from`. */
static bool
is_below(const struct nn_path *to, const struct nn_path *from)
{
    return to->text.n > from->text.n && memcmp(to->text.p, from->text.p, from->text.n) == 0 &&
           (from->depth == 0 || to->text.p[from->text.n] == '/');
}

static enum rc
resolve_both(struct nn_core *core, struct rpc_call *call, struct span src, struct span dst, struct move *m, struct why *why)
{
    const char *method = call->method->name;
    struct nn_db last_commit = { .sql = NULL }, *db = &core->db;
    enum rc rc = RC_OK;

    if (old_bug(OLD_BUG_OPEN_GROUP_NOT_SEEN) &&
        (rc = nn_db_open(db = &last_commit, core->nn->vfs, core->nn->db_path, false, &core->nn->conf, why)) != RC_OK)
        return rc;
    nn_caller_init(&m->caller, core->nn, call);
    if ((rc = nn_path_check_length(dst, method, why)) == RC_OK &&
        (rc = nn_path_check_new(dst, "Invalid file name: ", why)) == RC_OK &&
        (rc = nn_resolve(&m->caller, db, src, NN_TO_USE, &m->from, why)) == RC_OK)
        rc = nn_resolve(&m->caller, db, dst, NN_TO_MAKE, &m->to, why);
    nn_db_fini(&last_commit);
    return rc;
}

static enum rc
check_rights(struct nn_core *core, struct move *m, bool to_trash, struct why *why)
{
    enum rc rc;

    if ((rc = nn_may_remove(&m->caller, &core->db, &m->from, why)) != RC_OK)
        return rc;
    if (to_trash && nn_path_exists(&m->from) &&
        (rc = nn_may_remove_tree(&m->caller, &core->db, &m->from, why)) != RC_OK)
        return rc;
    return nn_may_add(&m->caller, &core->db, &m->to, why);
}

static enum rc
apply(struct nn_core *core, struct rpc_call *call, struct move *m, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_RENAME, .at_ms = call->arrived_wall_ms };

    e.rename.inode = nn_path_last(&m->from)->id;
    e.rename.parent = m->to.inodes[m->to.depth - 1].id;
    e.rename.name = m->to.names[m->to.depth];
    return nn_edit_apply_last(core, &e, why);
}

/* A destination that is a directory: its entry of the source's name. */
static enum rc
move_into(struct nn_core *core, struct rpc_call *call, struct move *m, struct why *why)
{
    struct span name = m->from.names[m->from.depth];
    const char *text;

    text = arena_printf(&call->arena, "%s/%.*s", m->to.depth == 0 ? "" : (const char *)m->to.text.p, (int)name.n,
                        (const char *)name.p);
    if (text == NULL)
        return why_rc(why, RC_NOMEM);
    return nn_resolve(&m->caller, &core->db, span_of(text, strlen(text)), NN_TO_MAKE, &m->to, why);
}

enum rc
nn_do_rename(struct nn_core *core, struct rpc_call *call, const RenameRequestProto *req, RenameResponseProto *ret,
             struct why *why)
{
    struct move m;
    enum rc rc;

    if ((rc = resolve_both(core, call, pb_span(req->src), pb_span(req->dst), &m, why)) != RC_OK)
        return rc;
    if (nn_path_exists(&m.to) && nn_path_last(&m.to)->type == NN_DIR && m.from.depth > 0 &&
        (rc = move_into(core, call, &m, why)) != RC_OK)
        return rc;
    if ((rc = check_rights(core, &m, false, why)) != RC_OK)
        return rc;
    ret->result = false;
    if (!nn_path_exists(&m.from) || m.from.depth == 0)
        return RC_OK;
    if (span_equal(m.from.text, m.to.text)) {
        ret->result = true;
        return RC_OK;
    }
    if (is_below(&m.to, &m.from) || nn_path_exists(&m.to) || m.to.found + 1 < m.to.depth)
        return RC_OK;
    if ((rc = nn_check_new_names(&core->nn->conf, &call->arena, &m.to, m.to.depth, why)) != RC_OK ||
        (rc = apply(core, call, &m, why)) != RC_OK)
        return rc;
    ret->result = true;
    return RC_OK;
}

/* What stands at the destination of rename2 may be replaced. */
static enum rc
check_overwrite(const struct move *m, bool overwrite, struct why *why)
{
    const struct nn_inode *from = nn_path_last(&m->from), *to = nn_path_last(&m->to);
    const char *src = (const char *)m->from.text.p, *dst = (const char *)m->to.text.p;

    if (from->type != to->type)
        return why_set(why, RC_IO_EXCEPTION, "Source %s and destination %s must both be directories", src, dst);
    if (!overwrite)
        return why_set(why, RC_EXISTS, "rename destination %s already exists", dst);
    if (to->type == NN_DIR && to->children > 0)
        return why_set(why, RC_IO_EXCEPTION, "rename destination directory is not empty: %s", dst);
    return RC_OK;
}

static enum rc
check_rename2(const struct move *m, bool overwrite, struct why *why)
{
    const char *src = (const char *)m->from.text.p, *dst = (const char *)m->to.text.p;
    enum rc rc;

    if (!nn_path_exists(&m->from))
        return why_set(why, RC_NOT_FOUND, "rename source %s is not found.", src);
    if (m->from.depth == 0)
        return why_set(why, RC_IO_EXCEPTION, "rename source cannot be the root");
    if (span_equal(m->from.text, m->to.text))
        return why_set(why, RC_EXISTS, "The source %s and destination %s are the same", src, dst);
    if (is_below(&m->to, &m->from))
        return why_set(why, RC_IO_EXCEPTION, "Rename destination %s is a directory or file under source %s", dst, src);
    if (m->to.depth == 0)
        return why_set(why, RC_IO_EXCEPTION, "rename destination cannot be the root");
    if (nn_path_exists(&m->to) && (rc = check_overwrite(m, overwrite, why)) != RC_OK)
        return rc;
    if (m->to.found + 1 < m->to.depth)
        return why_set(why, RC_NOT_FOUND, "rename destination parent %s not found.", dst);
    return RC_OK;
}

enum rc
nn_do_rename2(struct nn_core *core, struct rpc_call *call, const Rename2RequestProto *req, Rename2ResponseProto *ret,
              struct why *why)
{
    struct nn_edit e = { .kind = EDIT_DELETE, .at_ms = call->arrived_wall_ms };
    struct move m;
    enum rc rc;

    (void)ret;
    if ((rc = resolve_both(core, call, pb_span(req->src), pb_span(req->dst), &m, why)) != RC_OK ||
        (rc = check_rights(core, &m, req->has_movetotrash && req->movetotrash, why)) != RC_OK ||
        (rc = check_rename2(&m, req->overwritedest, why)) != RC_OK ||
        (rc = nn_check_new_names(&core->nn->conf, &call->arena, &m.to, m.to.depth, why)) != RC_OK)
        return rc;
    if (nn_path_exists(&m.to)) {
        e.delete.inode = nn_path_last(&m.to)->id;
        if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
            return rc;
        if (nn_path_last(&m.to)->type == NN_FILE)
            nn_blocks_freed(core);
    }
    return apply(core, call, &m, why);
}
