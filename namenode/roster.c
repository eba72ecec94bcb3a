#include "namenode/roster.h"


#include "core/base/faults.h"
#include "core/base/mem.h"
#include "core/base/table.h"

enum entry_state {
    ENTRY_DIRTY,            /* not in the table */
    ENTRY_FLUSHED,          /* in the table as of the open transaction */
};

struct entry {
    uint64_t block;
    enum entry_state state;
    uint64_t round;         /* of the flush that wrote it */
    size_t n;               /* bytes of list; 0: no replicas */
    uint8_t *list;
    UT_hash_handle hh;
};

struct nn_roster {
    struct nn_db *db;
    struct entry *entries;
    size_t dirty;
    uint64_t round;
};

enum rc nn_roster_new(struct nn_db *db, struct nn_roster **ret, struct why *why)
{
    struct nn_roster *ro = mem_zalloc(sizeof *ro);

    if (ro == NULL)
        return why_rc(why, RC_NOMEM);
    ro->db = db;
    *ret = ro;
    return RC_OK;
}

static void entry_drop(struct nn_roster *ro, struct entry *e)
{
    HASH_DEL(ro->entries, e);
    mem_free(e->list);
    mem_free(e);
}

void nn_roster_free(struct nn_roster *ro)
{
    struct entry *e, *next;

    if (ro == NULL)
        return;
    HASH_ITER(hh, ro->entries, e, next)
        entry_drop(ro, e);
    mem_free(ro);
}

enum rc nn_roster_read(struct nn_db *db, struct block_id block, struct nn_replicas *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, SQL_ROSTER_GET, why);
    struct span packed;
    enum rc rc;
    bool row;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, block.v);
    if ((rc = nn_step(db, st, &row, why)) != RC_OK)
        return rc;
    ret->n = 0;
    if (!row)
        return RC_OK;
    packed = nn_column_span(st, 0);
    rc = nn_replicas_unpack(packed.p, packed.n, ret, why);
    nn_done(st);
    return rc;
}

enum rc nn_roster_get(struct nn_roster *ro, struct block_id block, struct nn_replicas *ret, struct why *why)
{
    struct entry *e;

    HASH_FIND(hh, ro->entries, &block.v, sizeof block.v, e);
    if (e != NULL)
        return nn_replicas_unpack(e->list, e->n, ret, why);
    return nn_roster_read(ro->db, block, ret, why);
}

enum rc nn_roster_put(struct nn_roster *ro, struct block_id block, const struct nn_replicas *list, struct why *why)
{
    struct entry *e;
    struct buf b;
    uint8_t *bytes = NULL;
    size_t n = 0;

    if (list->n > 0) {
        buf_init(&b, NN_REPLICAS_PACKED_MAX);
        nn_replicas_pack(list, &b);
        if (!buf_ok(&b) || (bytes = buf_take(&b, &n)) == NULL) {
            buf_fini(&b);
            return why_rc(why, RC_NOMEM);
        }
    }
    HASH_FIND(hh, ro->entries, &block.v, sizeof block.v, e);
    if (e == NULL) {
        if ((e = mem_zalloc(sizeof *e)) == NULL) {
            mem_free(bytes);
            return why_rc(why, RC_NOMEM);
        }
        e->block = block.v;
        e->state = ENTRY_FLUSHED;
        HASH_ADD(hh, ro->entries, block, sizeof e->block, e);
    }
    mem_free(e->list);
    e->list = bytes;
    e->n = n;
    if (e->state != ENTRY_DIRTY) {
        e->state = ENTRY_DIRTY;
        ro->dirty++;
    }
    return RC_OK;
}

size_t nn_roster_dirty(const struct nn_roster *ro)
{
    return ro->dirty;
}

static int by_block(const struct entry *a, const struct entry *b)
{
    return a->block < b->block ? -1 : a->block > b->block;
}

static enum rc entry_write(struct nn_roster *ro, struct entry *e, struct why *why)
{
    sqlite3_stmt *st = nn_sql(ro->db, e->n > 0 ? SQL_ROSTER_SET : SQL_ROSTER_REMOVE, why);
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, e->block);
    if (e->n > 0)
        nn_bind_span(st, 2, (struct span){ e->list, e->n });
    if ((rc = nn_run(ro->db, st, why)) != RC_OK)
        return rc;
    e->state = ENTRY_FLUSHED;
    e->round = ro->round;
    ro->dirty--;
    return RC_OK;
}

enum rc nn_roster_flush(struct nn_roster *ro, struct why *why)
{
    struct entry *e, *next;
    enum rc rc;

    if (ro->dirty == 0)
        return RC_OK;
    HASH_SORT(ro->entries, by_block);
    HASH_ITER(hh, ro->entries, e, next)
        if (e->state == ENTRY_DIRTY) {
            if ((rc = entry_write(ro, e, why)) != RC_OK)
                return rc;
            CRASH_POINT(nn_roster_row);
        }
    CRASH_POINT(nn_roster_flushed);
    return RC_OK;
}

void nn_roster_next_round(struct nn_roster *ro)
{
    struct entry *e, *next;

    ro->round++;
    HASH_ITER(hh, ro->entries, e, next)
        if (e->state == ENTRY_FLUSHED && e->round + 2 <= ro->round)
            entry_drop(ro, e);
}

void nn_roster_rolled_back(struct nn_roster *ro)
{
    struct entry *e, *next;

    HASH_ITER(hh, ro->entries, e, next)
        if (e->state == ENTRY_FLUSHED) {
            e->state = ENTRY_DIRTY;
            ro->dirty++;
        }
}

enum rc nn_roster_each(struct nn_roster *ro, struct block_id first, struct block_id last, size_t limit,
                       nn_roster_fn *fn, void *arg, struct block_id *ret_next, struct why *why)
{
    struct nn_replicas list;
    sqlite3_stmt *st;
    uint64_t seen = 0;
    size_t n = 0;
    enum rc rc;
    bool row;

    if ((rc = nn_roster_flush(ro, why)) != RC_OK)
        return rc;
    if (last.v > INT64_MAX)
        last.v = INT64_MAX;
    if (first.v > last.v || limit == 0) {
        ret_next->v = limit == 0 ? first.v : 0;
        return RC_OK;
    }
    if ((st = nn_sql(ro->db, SQL_ROSTER_RANGE, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, first.v);
    nn_bind_u64(st, 2, last.v);
    nn_bind_u64(st, 3, limit);
    while ((rc = nn_step(ro->db, st, &row, why)) == RC_OK && row) {
        struct span packed = nn_column_span(st, 1);

        seen = nn_column_u64(st, 0);
        n++;
        if ((rc = nn_replicas_unpack(packed.p, packed.n, &list, why)) != RC_OK ||
            (rc = fn(arg, (struct block_id){ seen }, &list, why)) != RC_OK) {
            nn_done(st);
            return rc;
        }
    }
    if (rc == RC_OK)
        ret_next->v = n == limit && seen < last.v ? seen + 1 : 0;
    return rc;
}
