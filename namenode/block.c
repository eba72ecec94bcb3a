#include "namenode/block.h"

#include "namenode/edit.h"

void nn_block_read(sqlite3_stmt *st, struct nn_block *ret)
{
    ret->id.v = nn_column_u64(st, 0);
    ret->inode = nn_column_u64(st, 1);
    ret->idx = nn_column_u64(st, 2);
    ret->bytes = nn_column_u64(st, 3);
    ret->stamp = nn_column_u64(st, 4);
    ret->state = (enum nn_block_state)nn_column_u64(st, 5);
    ret->replication = (uint32_t)nn_column_u64(st, 6);
}

enum rc nn_block_find(struct nn_db *db, struct block_id id, struct nn_block *ret, bool *ret_found, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_BLOCK_BY_ID, why);
    enum rc rc;
    bool row;

    if (st == NULL)
        return why->rc;
    if (id.v > INT64_MAX) {             /* no row can have it */
        *ret_found = false;
        return RC_OK;
    }
    nn_bind_u64(st, 1, id.v);
    if ((rc = nn_step(db, st, &row, why)) != RC_OK)
        return rc;
    if (row) {
        nn_block_read(st, ret);
        nn_done(st);
    }
    *ret_found = row;
    return RC_OK;
}

/* The rows of st into ret. */
static enum rc read_all(struct nn_db *db, sqlite3_stmt *st, struct nn_block *ret, size_t max, size_t *ret_count,
                        struct why *why)
{
    size_t n = 0;
    enum rc rc;
    bool row;

    while ((rc = nn_step(db, st, &row, why)) == RC_OK && row) {
        if (n == max) {
            nn_done(st);
            break;
        }
        nn_block_read(st, &ret[n++]);
    }
    if (rc == RC_OK)
        *ret_count = n;
    return rc;
}

enum rc nn_block_last(struct nn_db *db, uint64_t inode, struct nn_block ret[2], size_t *ret_count, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_BLOCK_LAST, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, inode);
    return read_all(db, st, ret, 2, ret_count, why);
}

enum rc nn_block_list(struct nn_db *db, uint64_t inode, uint64_t idx, struct nn_block *ret, size_t max, size_t *ret_count,
                      struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_BLOCK_OF_FILE, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, inode);
    nn_bind_u64(st, 2, idx);
    nn_bind_u64(st, 3, max);
    return read_all(db, st, ret, max, ret_count, why);
}

enum rc nn_block_sum(struct nn_db *db, uint64_t inode, uint64_t *ret_count, uint64_t *ret_bytes, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_BLOCK_SUM, why);
    enum rc rc;
    bool row;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, inode);
    if ((rc = nn_step(db, st, &row, why)) != RC_OK)
        return rc;
    *ret_count = row ? nn_column_u64(st, 0) : 0;
    *ret_bytes = row ? nn_column_u64(st, 1) : 0;
    nn_done(st);
    return RC_OK;
}

enum rc nn_block_is_freed(struct nn_db *db, struct block_id id, bool *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_FREED_FIND, why);
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, id.v);
    rc = nn_step(db, st, ret, why);
    if (rc == RC_OK)
        nn_done(st);
    return rc;
}

/* ---- edits ---- */

static enum rc run_with_id(struct nn_db *db, enum nn_sql name, uint64_t id, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, name, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, id);
    return nn_run(db, st, why);
}

static enum rc set_roster(struct nn_db *db, uint64_t block, struct span packed, struct why *why)
{
    sqlite3_stmt *st;

    if (packed.n == 0)
        return RC_OK;
    if ((st = nn_sql(db, SQL_ROSTER_SET, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, block);
    nn_bind_span(st, 2, packed);
    return nn_run(db, st, why);
}

enum rc nn_apply_block_add(struct nn_db *db, const struct nn_edit_block_add *x, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_BLOCK_ADD, why);
    enum rc rc;

    (void)at_ms;
    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->block);
    nn_bind_u64(st, 2, x->inode);
    nn_bind_u64(st, 3, x->idx);
    nn_bind_u64(st, 4, x->stamp);
    if ((rc = nn_run(db, st, why)) != RC_OK)
        return rc;
    return set_roster(db, x->block, x->roster, why);
}

enum rc nn_apply_block_set(struct nn_db *db, const struct nn_edit_block_set *x, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_BLOCK_SET, why);
    enum rc rc;

    (void)at_ms;
    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->block);
    nn_bind_u64(st, 2, x->bytes);
    nn_bind_u64(st, 3, x->stamp);
    nn_bind_u64(st, 4, x->state);
    if ((rc = nn_run(db, st, why)) != RC_OK)
        return rc;
    return set_roster(db, x->block, x->roster, why);
}

enum rc nn_apply_block_free(struct nn_db *db, const struct nn_edit_block_free *x, uint64_t at_ms, struct why *why)
{
    enum rc rc;

    (void)at_ms;
    if ((rc = run_with_id(db, SQL_FREED_ADD, x->block, why)) != RC_OK)
        return rc;
    return run_with_id(db, SQL_BLOCK_REMOVE, x->block, why);
}

enum rc nn_apply_length(struct nn_db *db, const struct nn_edit_length *x, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_INODE_SET_LENGTH, why);

    (void)at_ms;
    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->inode);
    nn_bind_u64(st, 2, x->length);
    return nn_run(db, st, why);
}

enum rc nn_apply_freed_done(struct nn_db *db, const struct nn_edit_freed_done *x, uint64_t at_ms, struct why *why)
{
    struct rd r;
    enum rc rc;

    (void)at_ms;
    rd_init(&r, x->blocks.p, x->blocks.n);
    while (r.left > 0 && !r.bad) {
        uint64_t id = rd_varint(&r);

        if ((rc = run_with_id(db, SQL_FREED_REMOVE, id, why)) != RC_OK ||
            (rc = run_with_id(db, SQL_ROSTER_REMOVE, id, why)) != RC_OK)
            return rc;
    }
    return rd_finish(&r, "freed blocks", why);
}
