#include "namenode/resolve.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/attr.h"
#include "namenode/core.h"

enum rc
nn_resolve(struct nn_caller *c, struct nn_db *db, struct span src, enum nn_purpose purpose, struct nn_path *ret,
           struct why *why)
{
    const char *file;
    enum rc rc;

    if ((rc = nn_path_lookup(db, &c->call->arena, src, ret, why)) != RC_OK ||
        (rc = nn_may_traverse(c, db, ret, ret->depth, why)) != RC_OK)
        return rc;
    if (!nn_path_below_file(ret) || (purpose == NN_TO_INFORM && c->super))
        return RC_OK;
    if ((file = nn_path_prefix(&c->call->arena, ret, ret->found)) == NULL)
        return why_rc(why, RC_NOMEM);
    return why_set(why, purpose == NN_TO_MAKE ? RC_PARENT_NOT_DIR : RC_DENIED, "%s (is not a directory)", file);
}

enum rc
nn_resolve_file(struct nn_caller *c, struct nn_db *db, struct span src, struct nn_path *ret, struct why *why)
{
    enum rc rc;

    if ((rc = nn_resolve(c, db, src, NN_TO_USE, ret, why)) != RC_OK)
        return rc;
    if (!nn_path_exists(ret))
        return why_set(why, RC_NOT_FOUND, "File does not exist: %s", (const char *)ret->text.p);
    if (nn_path_last(ret)->type != NN_FILE)
        return why_set(why, RC_NOT_FOUND, "Path is not a file: %s", (const char *)ret->text.p);
    return RC_OK;
}

enum rc
nn_may_add(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why)
{
    size_t at = p->found < p->depth ? p->found : p->depth - 1;

    return p->depth == 0 ? RC_OK : nn_may(c, db, p, at, MAY_WRITE, why);
}

enum rc
nn_may_remove(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why)
{
    enum rc rc;

    if (p->depth == 0 || p->found + 1 < p->depth)
        return RC_OK;
    if (nn_path_exists(p) && (rc = nn_may_unlink(c, db, p, why)) != RC_OK)
        return rc;
    return nn_may(c, db, p, p->depth - 1, MAY_WRITE, why);
}

/* ---- a whole tree ---- */

struct walk {
    struct nn_caller *caller;
    struct nn_db *db;
    struct nn_path path;        /* one component: the directory under inspection, with its whole path as text */
    struct buf pending;         /* directories still to look at: inodes as bytes */
};

/* A path of one level that stands for a directory whose full path is text: for the messages. */
static enum rc
path_of(struct walk *w, const struct nn_inode *inode, struct why *why)
{
    struct span text;
    bool found;
    enum rc rc;

    if ((rc = nn_inode_path(w->db, &w->caller->call->arena, inode->id, &text, &found, why)) != RC_OK)
        return rc;
    if (!found)
        return why_set(why, RC_BUG, "directory %" PRIu64 " left the tree during a check", inode->id);
    return nn_path_lookup(w->db, &w->caller->call->arena, text, &w->path, why);
}

static enum rc
look_at_entry(void *arg, const struct nn_inode *inode, struct span name, struct why *why)
{
    struct walk *w = arg;

    (void)name;
    if (inode->type == NN_DIR && inode->children > 0)
        buf_put(&w->pending, inode, sizeof *inode);
    return buf_ok(&w->pending) ? RC_OK : why_rc(why, RC_BUSY);
}

static enum rc
look_at(struct walk *w, const struct nn_inode *dir, struct why *why)
{
    struct nn_path one = { .depth = 0, .inodes = (struct nn_inode *)dir };
    struct why ignored;
    enum rc rc;

    if (nn_may(w->caller, w->db, &one, 0, MAY_ALL, &ignored) != RC_OK) {
        if ((rc = path_of(w, dir, why)) != RC_OK)
            return rc;
        return nn_may(w->caller, w->db, &w->path, w->path.depth, MAY_ALL, why);
    }
    return nn_inode_list(w->db, dir->id, span_of("", 0), UINT32_MAX, look_at_entry, w, why);
}

enum rc
nn_may_remove_tree(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why)
{
    struct walk w = { .caller = c, .db = db };
    struct nn_inode dir = *nn_path_last(p);
    enum rc rc = RC_OK;

    if (c->super || dir.type != NN_DIR || dir.children == 0)
        return RC_OK;
    buf_init(&w.pending, 64 * MB);
    buf_put(&w.pending, &dir, sizeof dir);
    while (rc == RC_OK && w.pending.n > 0) {
        w.pending.n -= sizeof dir;
        memcpy(&dir, w.pending.p + w.pending.n, sizeof dir);
        rc = look_at(&w, &dir, why);
    }
    buf_fini(&w.pending);
    return rc;
}

/* ---- new names ---- */

enum rc
nn_must_have_parent(struct arena *arena, const struct nn_path *p, struct why *why)
{
    const char *parent;

    if (p->depth == 0 || p->found + 1 >= p->depth)
        return RC_OK;
    if ((parent = nn_path_prefix(arena, p, p->depth - 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    return why_set(why, RC_NOT_FOUND, "Parent directory doesn't exist: %s", parent);
}

enum rc
nn_check_new_names(const struct conf *conf, struct arena *arena, const struct nn_path *p, size_t from, struct why *why)
{
    const char *dir;

    for (size_t i = from; i <= p->depth; i++) {
        struct span name = p->names[i];

        if (name.n == 9 && memcmp(name.p, ".snapshot", 9) == 0)
            return why_set(why, RC_ILLEGAL_ARGUMENT, "\".snapshot\" is a reserved name.");
        if (name.n <= conf->name_bytes_max)
            continue;
        if ((dir = nn_path_prefix(arena, p, i - 1)) == NULL)
            return why_rc(why, RC_NOMEM);
        return why_set(why, RC_NAME_TOO_LONG,
                       "The maximum path component name limit of %.*s in directory %s is exceeded: limit=%" PRIu64
                       " length=%zu", (int)name.n, (const char *)name.p, dir, conf->name_bytes_max, name.n);
    }
    if (from <= p->depth && from == p->found + 1 && p->inodes[p->found].children >= conf->dir_items_max) {
        if ((dir = nn_path_prefix(arena, p, p->found)) == NULL)
            return why_rc(why, RC_NOMEM);
        return why_set(why, RC_DIR_FULL, "The directory item limit of %s is exceeded: limit=%" PRIu64 " items=%" PRIu64,
                       dir, conf->dir_items_max, p->inodes[p->found].children);
    }
    return RC_OK;
}

bool
nn_path_is_reserved(struct span src)
{
    static const char word[] = "/.reserved";
    size_t n = sizeof word - 1;

    return src.n >= n && memcmp(src.p, word, n) == 0 && (src.n == n || src.p[n] == '/');
}
