#include "namenode/inode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/proto/ids.h"
#include "namenode/blocks.h"
#include "namenode/core.h"
#include "namenode/dirs.h"
#include "namenode/edit.h"
#include "namenode/periodic.h"

#define RECLAIM_ROWS 1000       /* of one round */

static void
read_inode(sqlite3_stmt *st, struct nn_inode *ret)
{
    *ret = (struct nn_inode){
        .id = nn_column_u64(st, 0),
        .parent = nn_column_u64(st, 1),
        .type = (enum nn_inode_type)nn_column_u64(st, 3),
        .perm = (uint32_t)nn_column_u64(st, 4),
        .owner = nn_column_u64(st, 5),
        .group = nn_column_u64(st, 6),
        .mtime = nn_column_u64(st, 7),
        .atime = nn_column_u64(st, 8),
        .length = nn_column_u64(st, 9),
        .replication = (uint32_t)nn_column_u64(st, 10),
        .block_size = nn_column_u64(st, 11),
        .policy = (uint32_t)nn_column_u64(st, 12),
        .open = nn_column_u64(st, 13) != 0,
        .children = nn_column_u64(st, 14),
    };
}

static enum rc
find(struct nn_db *db, sqlite3_stmt *st, struct nn_inode *ret, bool *ret_found, struct why *why)
{
    enum rc rc = nn_step(db, st, ret_found, why);

    if (rc == RC_OK && *ret_found) {
        read_inode(st, ret);
        nn_done(st);
    }
    return rc;
}

enum rc
nn_inode_find(struct nn_db *db, uint64_t id, struct nn_inode *ret, bool *ret_found, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_INODE_BY_ID, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, id);
    return find(db, st, ret, ret_found, why);
}

enum rc
nn_inode_find_child(struct nn_db *db, uint64_t parent, struct span name, struct nn_inode *ret, bool *ret_found,
                    struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_INODE_BY_NAME, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, parent);
    nn_bind_span(st, 2, name);
    return find(db, st, ret, ret_found, why);
}

enum rc
nn_inode_list(struct nn_db *db, uint64_t dir, struct span after, uint64_t limit,
              enum rc (*on_entry)(void *arg, const struct nn_inode *inode, struct span name, struct why *why), void *arg,
              struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_INODE_LIST, why);
    struct nn_inode inode;
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, dir);
    nn_bind_span(st, 2, after);
    nn_bind_u64(st, 3, limit);
    while ((rc = nn_step(db, st, &row, why)) == RC_OK && row) {
        read_inode(st, &inode);
        if ((rc = on_entry(arg, &inode, nn_column_span(st, 2), why)) != RC_OK)
            break;
    }
    nn_done(st);
    return rc;
}

enum rc
nn_inode_path(struct nn_db *db, struct arena *arena, uint64_t id, struct span *ret, bool *ret_found, struct why *why)
{
    char *text = arena_strdup(arena, "");

    if (text == NULL)
        return why_rc(why, RC_NOMEM);
    if (id == ROOT_INODE) {
        *ret = span_of("/", 1);
        *ret_found = true;
        return RC_OK;
    }
    while (id != ROOT_INODE) {
        sqlite3_stmt *st = nn_sql(db, SQL_INODE_BY_ID, why);
        struct span name;
        enum rc rc;

        if (st == NULL)
            return why->rc;
        nn_bind_u64(st, 1, id);
        if ((rc = nn_step(db, st, ret_found, why)) != RC_OK)
            return rc;
        if (!*ret_found)
            return RC_OK;
        name = nn_column_span(st, 2);
        id = nn_column_u64(st, 1);
        text = arena_printf(arena, "/%.*s%s", (int)name.n, (const char *)name.p, text);
        nn_done(st);
        if (text == NULL)
            return why_rc(why, RC_NOMEM);
        if (id == 0) {
            *ret_found = false;         /* an unlinked tree */
            return RC_OK;
        }
    }
    *ret = span_of(text, strlen(text));
    return RC_OK;
}

/* ---- edits ---- */

struct row {
    uint64_t id, parent;
    struct span name;
    enum nn_inode_type type;
    uint64_t perm;
    struct span owner, group;
    uint64_t at_ms;
    uint64_t replication, block_size, policy;
};

static enum rc
add_row(struct nn_db *db, const struct row *x, struct why *why)
{
    sqlite3_stmt *st;
    uint64_t owner, group;
    enum rc rc;

    if ((rc = nn_name_intern(db, x->owner, &owner, why)) != RC_OK ||
        (rc = nn_name_intern(db, x->group, &group, why)) != RC_OK)
        return rc;
    if ((st = nn_sql(db, SQL_INODE_ADD, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->id);
    nn_bind_u64(st, 2, x->parent);
    nn_bind_span(st, 3, x->name);
    nn_bind_u64(st, 4, x->type);
    nn_bind_u64(st, 5, x->perm);
    nn_bind_u64(st, 6, owner);
    nn_bind_u64(st, 7, group);
    nn_bind_u64(st, 8, x->at_ms);
    nn_bind_u64(st, 9, x->type == NN_FILE ? x->at_ms : 0);
    nn_bind_u64(st, 10, 0);
    nn_bind_u64(st, 11, x->replication);
    nn_bind_u64(st, 12, x->block_size);
    nn_bind_u64(st, 13, x->policy);
    nn_bind_u64(st, 14, x->type == NN_FILE);
    return nn_run(db, st, why);
}

enum rc
nn_inode_add_root(struct nn_db *db, struct span owner, struct span group, uint64_t at_ms, struct why *why)
{
    struct row x = { .id = ROOT_INODE, .type = NN_DIR, .perm = 0755, .owner = owner, .group = group, .at_ms = at_ms };

    return add_row(db, &x, why);
}

/* A directory gains (1) or loses (-1) an entry. */
static enum rc
count_child(struct nn_db *db, uint64_t dir, int change, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_INODE_CHILD, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, dir);
    nn_bind_u64(st, 2, (uint64_t)(int64_t)change);
    nn_bind_u64(st, 3, at_ms);
    nn_dirs_count(db, dir, change, at_ms);
    return nn_run(db, st, why);
}

/* A statement with an inode's number and up to two numbers more. */
static enum rc
run3(struct nn_db *db, enum nn_sql name, uint64_t id, uint64_t a, uint64_t b, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, name, why);
    int n = st == NULL ? 0 : sqlite3_bind_parameter_count(st);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, id);
    if (n > 1)
        nn_bind_u64(st, 2, a);
    if (n > 2)
        nn_bind_u64(st, 3, b);
    return nn_run(db, st, why);
}

enum rc
nn_apply_mkdir(struct nn_db *db, const struct nn_edit_mkdir *x, uint64_t at_ms, struct why *why)
{
    struct row row = { .id = x->inode, .parent = x->parent, .name = x->name, .type = NN_DIR, .perm = x->perm,
                       .owner = x->owner, .group = x->group, .at_ms = at_ms };
    enum rc rc;

    if ((rc = add_row(db, &row, why)) != RC_OK)
        return rc;
    return count_child(db, x->parent, 1, at_ms, why);
}

enum rc
nn_apply_create(struct nn_db *db, const struct nn_edit_create *x, uint64_t at_ms, struct why *why)
{
    struct row row = { .id = x->inode, .parent = x->parent, .name = x->name, .type = NN_FILE, .perm = x->perm,
                       .owner = x->owner, .group = x->group, .at_ms = at_ms, .replication = x->replication,
                       .block_size = x->block_size, .policy = x->policy };
    struct nn_edit_lease lease = { x->inode, x->holder, x->client_node };
    enum rc rc;

    if ((rc = add_row(db, &row, why)) != RC_OK || (rc = count_child(db, x->parent, 1, at_ms, why)) != RC_OK)
        return rc;
    return nn_apply_lease(db, &lease, at_ms, why);
}

/* The row of a file or directory goes, with what hangs on it. */
static enum rc
remove_row(struct nn_db *db, const struct nn_inode *i, struct why *why)
{
    enum rc rc;

    if (i->type == NN_FILE &&
        ((rc = run3(db, SQL_FREED_ADD_FILE, i->id, 0, 0, why)) != RC_OK ||
         (rc = run3(db, SQL_BLOCK_REMOVE_FILE, i->id, 0, 0, why)) != RC_OK ||
         (rc = run3(db, SQL_LEASE_REMOVE, i->id, 0, 0, why)) != RC_OK ||
         (rc = run3(db, SQL_RECOVERY_REMOVE, i->id, 0, 0, why)) != RC_OK))
        return rc;
    if (i->type == NN_DIR)
        nn_dirs_forget(db, i->id);
    return run3(db, SQL_INODE_REMOVE, i->id, 0, 0, why);
}

static enum rc
move_row(struct nn_db *db, const struct nn_inode *i, uint64_t parent, struct span name, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_INODE_MOVE, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, i->id);
    nn_bind_u64(st, 2, parent);
    nn_bind_span(st, 3, name);
    if (i->type == NN_DIR)
        nn_dirs_forget(db, i->id);
    return nn_run(db, st, why);
}

static enum rc
must_find(struct nn_db *db, uint64_t id, struct nn_inode *ret, struct why *why)
{
    bool found;
    enum rc rc;

    if ((rc = nn_inode_find(db, id, ret, &found, why)) != RC_OK)
        return rc;
    return found ? RC_OK : why_set(why, RC_BUG, "an edit of inode %" PRIu64 ", which does not exist", id);
}

enum rc
nn_apply_delete(struct nn_db *db, const struct nn_edit_delete *x, uint64_t at_ms, struct why *why)
{
    struct nn_inode i;
    char name[32];
    enum rc rc;

    if ((rc = must_find(db, x->inode, &i, why)) != RC_OK || (rc = count_child(db, i.parent, -1, at_ms, why)) != RC_OK)
        return rc;
    if (i.type == NN_FILE || i.children == 0)
        return remove_row(db, &i, why);
    snprintf(name, sizeof name, "%" PRIu64, i.id);      /* any name that no other unlinked tree has */
    if ((rc = move_row(db, &i, 0, span_of(name, strlen(name)), why)) != RC_OK)
        return rc;
    return run3(db, SQL_RECLAIM_ADD, i.id, 0, 0, why);
}

enum rc
nn_apply_reclaim(struct nn_db *db, const struct nn_edit_reclaim *x, uint64_t at_ms, struct why *why)
{
    struct rd r;
    enum rc rc;

    (void)at_ms;
    rd_init(&r, x->inodes.p, x->inodes.n);
    while (!r.bad && r.left > 0) {
        uint64_t id = rd_varint(&r);
        struct nn_inode i;

        if (r.bad)
            break;
        if ((rc = must_find(db, id, &i, why)) != RC_OK || (rc = remove_row(db, &i, why)) != RC_OK ||
            (rc = run3(db, SQL_RECLAIM_REMOVE, id, 0, 0, why)) != RC_OK)
            return rc;
    }
    return rd_finish(&r, "inodes to reclaim", why);
}

enum rc
nn_apply_rename(struct nn_db *db, const struct nn_edit_rename *x, uint64_t at_ms, struct why *why)
{
    struct nn_inode i;
    enum rc rc;

    if ((rc = must_find(db, x->inode, &i, why)) != RC_OK || (rc = count_child(db, i.parent, -1, at_ms, why)) != RC_OK ||
        (rc = count_child(db, x->parent, 1, at_ms, why)) != RC_OK)
        return rc;
    return move_row(db, &i, x->parent, x->name, why);
}

enum rc
nn_apply_set_perm(struct nn_db *db, const struct nn_edit_set_perm *x, uint64_t at_ms, struct why *why)
{
    (void)at_ms;
    nn_dirs_forget(db, x->inode);
    return run3(db, SQL_INODE_SET_PERM, x->inode, x->perm, 0, why);
}

enum rc
nn_apply_set_owner(struct nn_db *db, const struct nn_edit_set_owner *x, uint64_t at_ms, struct why *why)
{
    uint64_t id;
    enum rc rc;

    (void)at_ms;
    nn_dirs_forget(db, x->inode);
    if ((x->which & 1) != 0 && ((rc = nn_name_intern(db, x->owner, &id, why)) != RC_OK ||
                                (rc = run3(db, SQL_INODE_SET_OWNER, x->inode, id, 0, why)) != RC_OK))
        return rc;
    if ((x->which & 2) != 0 && ((rc = nn_name_intern(db, x->group, &id, why)) != RC_OK ||
                                (rc = run3(db, SQL_INODE_SET_GROUP, x->inode, id, 0, why)) != RC_OK))
        return rc;
    return RC_OK;
}

enum rc
nn_apply_set_times(struct nn_db *db, const struct nn_edit_set_times *x, uint64_t at_ms, struct why *why)
{
    enum rc rc;

    (void)at_ms;
    if ((x->which & 1) != 0)
        nn_dirs_forget(db, x->inode);
    if ((x->which & 1) != 0 && (rc = run3(db, SQL_INODE_SET_MTIME, x->inode, x->mtime, 0, why)) != RC_OK)
        return rc;
    return (x->which & 2) != 0 ? run3(db, SQL_INODE_SET_ATIME, x->inode, x->atime, 0, why) : RC_OK;
}

enum rc
nn_apply_set_replication(struct nn_db *db, const struct nn_edit_set_replication *x, uint64_t at_ms, struct why *why)
{
    (void)at_ms;
    return run3(db, SQL_INODE_SET_REPLICATION, x->inode, x->replication, 0, why);
}

enum rc
nn_apply_close(struct nn_db *db, const struct nn_edit_close *x, uint64_t at_ms, struct why *why)
{
    enum rc rc;

    if ((rc = run3(db, SQL_INODE_CLOSE, x->inode, x->length, at_ms, why)) != RC_OK ||
        (rc = run3(db, SQL_RECOVERY_REMOVE, x->inode, 0, 0, why)) != RC_OK)
        return rc;
    return run3(db, SQL_LEASE_REMOVE, x->inode, 0, 0, why);
}

enum rc
nn_apply_reopen(struct nn_db *db, const struct nn_edit_reopen *x, uint64_t at_ms, struct why *why)
{
    struct nn_edit_lease lease = { x->inode, x->holder, x->client_node };
    enum rc rc;

    if ((rc = run3(db, SQL_INODE_REOPEN, x->inode, 0, 0, why)) != RC_OK)
        return rc;
    return nn_apply_lease(db, &lease, at_ms, why);
}

/* ---- reclaiming unlinked trees ---- */

struct next_entry {
    struct nn_inode inode;
    struct buf name;
    bool found;
};

static enum rc
take_entry(void *arg, const struct nn_inode *inode, struct span name, struct why *why)
{
    struct next_entry *n = arg;

    n->inode = *inode;
    n->found = true;
    buf_clear(&n->name);
    buf_put(&n->name, name.p, name.n);
    return buf_ok(&n->name) ? RC_OK : why_rc(why, RC_NOMEM);
}

/* Rows below and including dir, leaves first, until there are RECLAIM_ROWS of them.  Levels of a path are limited. */
static enum rc
collect(struct nn_db *db, uint64_t dir, struct buf *ids, size_t *count, struct why *why)
{
    struct next_entry n = { 0 };
    enum rc rc = RC_OK;

    buf_init(&n.name, 64 * KB);
    while (*count < RECLAIM_ROWS) {
        n.found = false;
        if ((rc = nn_inode_list(db, dir, span_of(n.name.p, n.name.n), 1, take_entry, &n, why)) != RC_OK || !n.found)
            break;
        if (n.inode.type == NN_DIR) {
            if ((rc = collect(db, n.inode.id, ids, count, why)) != RC_OK)
                break;
        } else {
            buf_varint(ids, n.inode.id);
            ++*count;
        }
    }
    buf_fini(&n.name);
    if (rc == RC_OK && *count < RECLAIM_ROWS) {
        buf_varint(ids, dir);
        ++*count;
    }
    return rc;
}

enum rc
nn_periodic_reclaim(struct nn_core *core, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_RECLAIM, .at_ms = nn_core_now_ms(core) };
    sqlite3_stmt *st = nn_sql(&core->db, SQL_RECLAIM_FIRST, why);
    struct buf ids;
    size_t count = 0;
    uint64_t root;
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    if ((rc = nn_step(&core->db, st, &row, why)) != RC_OK || !row)
        return rc;
    root = nn_column_u64(st, 0);
    nn_done(st);
    buf_init(&ids, 1 * MB);
    if ((rc = collect(&core->db, root, &ids, &count, why)) != RC_OK)
        goto out;
    if (!buf_ok(&ids)) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    e.reclaim.inodes = span_of(ids.p, ids.n);
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        goto out;
    CRASH_POINT(nn_reclaimed);
    nn_periodic_hurry(core, NN_PERIODIC_RECLAIM);
    nn_blocks_freed(core);
out:
    buf_fini(&ids);
    return rc;
}
