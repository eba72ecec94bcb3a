#include "tests/sim/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

#define UNKNOWN UINT32_MAX
#define NONE SIZE_MAX

/* A path, followed as far as there are names. */
struct walk {
    size_t at;                  /* the last node found */
    size_t parent;              /* of the last name, NONE when it is not there */
    bool exists, through_file;
    const char *rest;           /* names that were not found; "" when exists */
    char last[MODEL_NAME];
};

void
model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    m->nodes[0] = (struct model_node){ .is_used = true, .is_dir = true, .parent = NONE, .mode = UNKNOWN };
}

static size_t
child_find(const struct model *m, size_t dir, const char *name)
{
    for (size_t i = 1; i < MODEL_NODES_MAX; i++)
        if (m->nodes[i].is_used && m->nodes[i].parent == dir && strcmp(m->nodes[i].name, name) == 0)
            return i;
    return NONE;
}

static bool
has_children(const struct model *m, size_t dir)
{
    for (size_t i = 1; i < MODEL_NODES_MAX; i++)
        if (m->nodes[i].is_used && m->nodes[i].parent == dir)
            return true;
    return false;
}

/* Copy the first name of *path and step over it; false at the end. */
static bool
name_next(const char **path, char name[MODEL_NAME])
{
    size_t n;

    *path += strspn(*path, "/");
    n = strcspn(*path, "/");
    if (n == 0)
        return false;
    CHECK(n < MODEL_NAME);
    memcpy(name, *path, n);
    name[n] = '\0';
    *path += n;
    return true;
}

static struct walk
walk(const struct model *m, const char *path)
{
    struct walk w = { .at = 0, .parent = NONE, .exists = true };
    char name[MODEL_NAME] = "";
    const char *rest = path;

    while (name_next(&path, name)) {
        size_t child = m->nodes[w.at].is_dir ? child_find(m, w.at, name) : NONE;

        memcpy(w.last, name, sizeof w.last);
        w.parent = NONE;
        if (child == NONE) {
            w.exists = false;
            w.through_file = !m->nodes[w.at].is_dir;
            w.parent = !w.through_file && path[strspn(path, "/")] == '\0' ? w.at : NONE;
            w.rest = rest;
            return w;
        }
        w.parent = w.at;
        w.at = child;
        rest = path;
    }
    w.rest = "";
    return w;
}

static size_t
node_new(struct model *m, size_t parent, const char *name, bool is_dir, uint32_t mode)
{
    size_t i;

    for (i = 1; i < MODEL_NODES_MAX && m->nodes[i].is_used; i++)
        ;
    CHECK(i < MODEL_NODES_MAX);
    m->nodes[i] = (struct model_node){ .is_used = true, .is_dir = is_dir, .parent = parent, .mode = mode, .replication = UNKNOWN };
    (void)snprintf(m->nodes[i].name, sizeof m->nodes[i].name, "%s", name);
    return i;
}

/* Make what is missing of the path; above: the mode of all but the last, which is `mode`. */
static size_t
make_rest(struct model *m, const struct walk *w, bool is_dir, uint32_t above, uint32_t mode)
{
    const char *rest = w->rest;
    char name[MODEL_NAME];
    size_t at = w->at;

    while (name_next(&rest, name)) {
        bool is_last = rest[strspn(rest, "/")] == '\0';

        at = node_new(m, at, name, is_last ? is_dir : true, is_last ? mode : above);
    }
    return at;
}

static bool
is_below(const struct model *m, size_t node, size_t top)
{
    for (; node != NONE; node = m->nodes[node].parent)
        if (node == top)
            return true;
    return false;
}

static void
remove_tree(struct model *m, size_t top)
{
    struct model old = *m;

    for (size_t i = 1; i < MODEL_NODES_MAX; i++)
        if (old.nodes[i].is_used && is_below(&old, i, top))
            m->nodes[i].is_used = false;
}

static enum model_verdict
do_mkdirs(struct model *m, const struct model_call *c)
{
    struct walk w = walk(m, c->path);

    if (w.exists)
        return m->nodes[w.at].is_dir ? MODEL_SAME : MODEL_REFUSED;
    if (w.through_file)
        return MODEL_REFUSED;
    (void)make_rest(m, &w, true, c->number | 0300, c->number);  /* the node is not needed */
    return MODEL_CHANGED;
}

static enum model_verdict
do_create(struct model *m, const struct model_call *c, uint64_t file)
{
    struct walk w = walk(m, c->path);
    uint32_t above = m->nodes[w.at].mode;
    size_t made;

    if (w.through_file || (w.exists && (m->nodes[w.at].is_dir || !c->flag)))
        return MODEL_REFUSED;
    if (w.exists) {
        size_t parent = m->nodes[w.at].parent;

        m->nodes[w.at].is_used = false;
        made = node_new(m, parent, w.last, false, 0644);
    } else {
        made = make_rest(m, &w, false, above == UNKNOWN ? UNKNOWN : above | 0300, 0644);
    }
    m->nodes[made].file = file;
    m->nodes[made].replication = 2;
    return MODEL_CHANGED;
}

static void
move(struct model *m, size_t node, size_t parent, const char *name)
{
    m->nodes[node].parent = parent;
    (void)snprintf(m->nodes[node].name, sizeof m->nodes[node].name, "%s", name);
}

static enum model_verdict
do_rename(struct model *m, const struct model_call *c)
{
    struct walk from = walk(m, c->path), to = walk(m, c->to);
    size_t parent = to.parent;

    if (!from.exists || to.through_file || from.through_file)
        return MODEL_REFUSED;
    if (to.exists) {
        if (!m->nodes[to.at].is_dir || is_below(m, to.at, from.at))
            return MODEL_REFUSED;
        parent = to.at;
        memcpy(to.last, from.last, sizeof to.last);
        if (child_find(m, parent, to.last) == from.at)
            return MODEL_SAME;          /* to where it is */
        if (child_find(m, parent, to.last) != NONE)
            return MODEL_REFUSED;
    }
    if (parent == NONE || is_below(m, parent, from.at))
        return MODEL_REFUSED;
    move(m, from.at, parent, to.last);
    return MODEL_CHANGED;
}

static enum model_verdict
do_rename2(struct model *m, const struct model_call *c)
{
    struct walk from = walk(m, c->path), to = walk(m, c->to);
    size_t parent = to.exists ? m->nodes[to.at].parent : to.parent;

    if (!from.exists || to.through_file || from.through_file || parent == NONE)
        return MODEL_REFUSED;
    if (is_below(m, parent, from.at) || (to.exists && to.at == from.at))
        return MODEL_REFUSED;
    if (to.exists) {
        if (!c->flag || m->nodes[to.at].is_dir != m->nodes[from.at].is_dir || has_children(m, to.at))
            return MODEL_REFUSED;
        m->nodes[to.at].is_used = false;
    }
    move(m, from.at, parent, to.last);
    return MODEL_CHANGED;
}

static enum model_verdict
do_delete(struct model *m, const struct model_call *c)
{
    struct walk w = walk(m, c->path);

    if (!w.exists || (!c->flag && has_children(m, w.at)))
        return MODEL_REFUSED;
    remove_tree(m, w.at);
    return MODEL_CHANGED;
}

static enum model_verdict
set_number(uint32_t *number, uint32_t to)
{
    enum model_verdict v = *number == to || *number == UNKNOWN ? MODEL_SAME : MODEL_CHANGED;

    *number = to;
    return v;
}

static enum model_verdict
do_set(struct model *m, const struct model_call *c)
{
    struct walk w = walk(m, c->path);

    if (!w.exists || (c->kind == MODEL_SET_REPLICATION && m->nodes[w.at].is_dir))
        return MODEL_REFUSED;
    return set_number(c->kind == MODEL_SET_REPLICATION ? &m->nodes[w.at].replication : &m->nodes[w.at].mode, c->number);
}

static int
name_order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum model_verdict
do_read(const struct model *m, const struct model_call *c, struct model_reply *ret)
{
    struct walk w = walk(m, c->path);
    const struct model_node *node = &m->nodes[w.at];

    if (!w.exists)
        return MODEL_REFUSED;
    ret->is_dir = node->is_dir;
    ret->file = node->file;
    ret->mode = node->mode;
    ret->replication = node->replication;
    if (c->kind != MODEL_LIST)
        return MODEL_SAME;
    for (size_t i = 1; i < MODEL_NODES_MAX; i++)
        if (m->nodes[i].is_used && m->nodes[i].parent == w.at && ret->count < MODEL_CHILDREN_MAX)
            memcpy(ret->names[ret->count++], m->nodes[i].name, MODEL_NAME);
    qsort(ret->names, ret->count, sizeof ret->names[0], name_order);
    return MODEL_SAME;
}

void
model_apply(struct model *m, const struct model_call *call, uint64_t file, struct model_reply *ret)
{
    *ret = (struct model_reply){ .file = file };
    switch (call->kind) {
    case MODEL_MKDIRS:
        ret->verdict = do_mkdirs(m, call);
        break;
    case MODEL_CREATE:
        ret->verdict = do_create(m, call, file);
        break;
    case MODEL_RENAME:
        ret->verdict = do_rename(m, call);
        break;
    case MODEL_RENAME2:
        ret->verdict = do_rename2(m, call);
        break;
    case MODEL_DELETE:
        ret->verdict = do_delete(m, call);
        break;
    case MODEL_SET_PERMISSION:
    case MODEL_SET_REPLICATION:
        ret->verdict = do_set(m, call);
        break;
    case MODEL_STAT:
    case MODEL_LIST:
        ret->verdict = do_read(m, call, ret);
        break;
    case MODEL_KINDS:
        break;
    }
}

void
model_ask(const struct model *m, const struct model_call *call, struct model_reply *ret)
{
    struct model copy = *m;

    model_apply(&copy, call, 0, ret);
}

bool
model_agrees(const struct model_call *call, const struct model_reply *reply, const struct model_reply *seen)
{
    if ((reply->verdict == MODEL_REFUSED) != (seen->verdict == MODEL_REFUSED))
        return false;
    if (reply->verdict == MODEL_REFUSED)
        return true;
    if (call->kind == MODEL_STAT)
        return reply->is_dir == seen->is_dir && (reply->file == 0 || seen->is_dir || reply->file == seen->file) &&
               (reply->mode == UNKNOWN || reply->mode == seen->mode) &&
               (seen->is_dir || reply->replication == UNKNOWN || reply->replication == seen->replication);
    if (call->kind == MODEL_LIST && reply->is_dir != seen->is_dir)
        return false;
    if (call->kind == MODEL_LIST)
        return reply->count == seen->count && memcmp(reply->names, seen->names, reply->count * sizeof reply->names[0]) == 0;
    return true;
}

void
model_describe(const struct model_call *call, char *out, size_t cap)
{
    static const char *const names[MODEL_KINDS] = {
        "mkdirs", "create", "rename", "rename2", "delete", "setPermission", "setReplication", "getFileInfo", "getListing",
    };

    (void)snprintf(out, cap, "%s %s%s%s%s %o", names[call->kind], call->path, call->to[0] != '\0' ? " " : "", call->to,
                   call->flag ? " (overwrite or recursive)" : "", (unsigned)call->number);
}
