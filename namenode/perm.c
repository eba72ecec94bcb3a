#include "namenode/perm.h"

#include <string.h>

#include "core/base/attr.h"
#include "namenode/groups.h"

/* ---- groups ---- */

struct search {
    const char *group;
    bool found;
};

static void
compare_group(void *arg, const char *group)
{
    struct search *s = arg;

    s->found = s->found || strcmp(s->group, group) == 0;
}

bool
nn_is_superuser(const struct nn *nn, const char *user)
{
    struct search s = { .group = nn->conf.supergroup };

    if (strcmp(user, nn->superuser) == 0)
        return true;
    nn_groups_each(nn, user, compare_group, &s);
    return s.found;
}

void
nn_caller_init(struct nn_caller *c, const struct nn *nn, struct rpc_call *call)
{
    *c = (struct nn_caller){ .nn = nn, .call = call, .super = !nn->conf.permissions || nn_is_superuser(nn, call->user) };
}

struct gather {
    struct nn_caller *caller;
    bool failed;
};

static void
add_group(void *arg, const char *group)
{
    struct gather *g = arg;
    struct arena *arena = &g->caller->call->arena;
    size_t n = g->caller->group_count;

    if ((n & (n - 1)) == 0) {   /* full at each power of two */
        const char **more = arena_calloc(arena, n == 0 ? 1 : n * 2, sizeof *more);
        if (more == NULL) {
            g->failed = true;
            return;
        }
        if (n > 0)
            memcpy(more, g->caller->groups, n * sizeof *more);
        g->caller->groups = more;
    }
    if ((g->caller->groups[n] = arena_strdup(arena, group)) == NULL)
        g->failed = true;
    else
        g->caller->group_count++;
}

enum rc
nn_caller_in_group(struct nn_caller *c, const char *group, bool *ret, struct why *why)
{
    struct gather g = { .caller = c };

    if (!c->groups_known) {
        nn_groups_each(c->nn, c->call->user, add_group, &g);
        if (g.failed)
            return why_rc(why, RC_NOMEM);
        c->groups_known = true;
    }
    *ret = false;
    for (size_t i = 0; i < c->group_count && !*ret; i++)
        *ret = strcmp(c->groups[i], group) == 0;
    return RC_OK;
}

/* ---- checks ---- */

void
nn_perm_text(uint32_t perm, char out[10])
{
    static const char letters[] = "rwxrwxrwx";

    for (int i = 0; i < 9; i++)
        out[i] = (perm >> (8 - i) & 1) != 0 ? letters[i] : '-';
    if ((perm & 01000) != 0)
        out[8] = (perm & 1) != 0 ? 't' : 'T';
    out[9] = '\0';
}

static const char *const action_names[] = {
    "NONE", "EXECUTE", "WRITE", "WRITE_EXECUTE", "READ", "READ_EXECUTE", "READ_WRITE", "ALL",
};

/* "\"/a/b\":alice:supergroup:drwxr-xr-x" */
static enum rc
describe(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, size_t at, const char **ret, struct why *why)
{
    const struct nn_inode *i = &p->inodes[at];
    const char *owner, *group, *path = nn_path_prefix(&c->call->arena, p, at);
    char perm[10];
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = nn_name_text(db, i->owner, &owner, why)) != RC_OK || (rc = nn_name_text(db, i->group, &group, why)) != RC_OK)
        return rc;
    nn_perm_text(i->perm, perm);
    *ret = arena_printf(&c->call->arena, "\"%s\":%s:%s:%c%s", path, owner, group, i->type == NN_DIR ? 'd' : '-', perm);
    return *ret == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

/* The three bits that apply to the caller. */
static enum rc
bits_for(struct nn_caller *c, struct nn_db *db, const struct nn_inode *i, unsigned *ret, struct why *why)
{
    const char *owner, *group;
    bool member;
    enum rc rc;

    if ((rc = nn_name_text(db, i->owner, &owner, why)) != RC_OK)
        return rc;
    if (strcmp(owner, c->call->user) == 0) {
        *ret = i->perm >> 6 & 7;
        return RC_OK;
    }
    if ((rc = nn_name_text(db, i->group, &group, why)) != RC_OK ||
        (rc = nn_caller_in_group(c, group, &member, why)) != RC_OK)
        return rc;
    *ret = member ? i->perm >> 3 & 7 : i->perm & 7;
    return RC_OK;
}

enum rc
nn_may(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, size_t at, unsigned actions, struct why *why)
{
    const char *what;
    unsigned bits;
    enum rc rc;

    if (c->super)
        return RC_OK;
    if ((rc = bits_for(c, db, &p->inodes[at], &bits, why)) != RC_OK)
        return rc;
    if ((bits & actions) == actions)
        return RC_OK;
    if ((rc = describe(c, db, p, at, &what, why)) != RC_OK)
        return rc;
    return why_set(why, RC_DENIED, "Permission denied: user=%s, access=%s, inode=%s", c->call->user,
                   action_names[actions & 7], what);
}

enum rc
nn_may_traverse(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, size_t at, struct why *why)
{
    enum rc rc;

    for (size_t i = 0; i < at && i <= p->found && p->inodes[i].type == NN_DIR; i++)
        if ((rc = nn_may(c, db, p, i, MAY_EXECUTE, why)) != RC_OK)
            return rc;
    return RC_OK;
}

enum rc
nn_must_own(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why)
{
    const char *owner;
    enum rc rc;

    if (c->super)
        return RC_OK;
    if ((rc = nn_name_text(db, nn_path_last(p)->owner, &owner, why)) != RC_OK)
        return rc;
    if (strcmp(owner, c->call->user) == 0)
        return RC_OK;
    return why_set(why, RC_DENIED, "Permission denied. user=%s is not the owner of inode=%.*s", c->call->user,
                   (int)p->text.n, (const char *)p->text.p);
}

enum rc
nn_may_unlink(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why)
{
    const struct nn_inode *dir;
    const char *owner, *dir_owner, *what, *where;
    enum rc rc;

    if (c->super || p->depth == 0)
        return RC_OK;
    dir = &p->inodes[p->depth - 1];
    if ((dir->perm & 01000) == 0)
        return RC_OK;
    if ((rc = nn_name_text(db, nn_path_last(p)->owner, &owner, why)) != RC_OK ||
        (rc = nn_name_text(db, dir->owner, &dir_owner, why)) != RC_OK)
        return rc;
    if (strcmp(owner, c->call->user) == 0 || strcmp(dir_owner, c->call->user) == 0)
        return RC_OK;
    if ((rc = describe(c, db, p, p->depth, &what, why)) != RC_OK ||
        (rc = describe(c, db, p, p->depth - 1, &where, why)) != RC_OK)
        return rc;
    return why_set(why, RC_DENIED, "Permission denied by sticky bit: user=%s, path=%s, parent=%s", c->call->user, what, where);
}
