#include "namenode/blocks.h"

#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "namenode/core.h"
#include "namenode/inode.h"

struct nn_blocks {
    uint64_t loaded_txid;       /* the tables as of this transaction */
};

struct nn_nodes_view {
    uint64_t txid;
};

enum rc
nn_blocks_new(struct nn_core *core, struct nn_blocks **ret, struct why *why)
{
    struct nn_blocks *b = mem_zalloc(sizeof *b);

    if (b == NULL)
        return why_rc(why, RC_NOMEM);
    b->loaded_txid = core->txid;
    *ret = b;
    return RC_OK;
}

void
nn_blocks_free(struct nn_blocks *b)
{
    mem_free(b);
}

enum rc
nn_blocks_reload(struct nn_core *core, struct why *why)
{
    (void)why;
    core->blocks->loaded_txid = core->txid;
    return RC_OK;
}

void
nn_blocks_freed(struct nn_core *core)
{
    core->snapshot_stale = true;
}

enum rc
nn_blocks_may_close(struct nn_core *core, const struct nn_inode *file, uint64_t *ret_length, bool *ret_may, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&core->db, SQL_BLOCK_COUNT_FILE, why);
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, file->id);
    if ((rc = nn_step(&core->db, st, &row, why)) != RC_OK)
        return rc;
    *ret_may = row && nn_column_u64(st, 0) == 0;
    *ret_length = 0;
    nn_done(st);
    return RC_OK;
}

enum rc
nn_blocks_recount(struct nn_core *core, uint64_t inode, struct why *why)
{
    (void)inode, (void)why;
    core->snapshot_stale = true;
    return RC_OK;
}

enum rc
nn_blocks_locate_all(struct nn_reader *r, struct rpc_call *call, const struct nn_inode *file, LocatedBlocksProto **ret,
                     struct why *why)
{
    LocatedBlocksProto *l = arena_alloc(&call->arena, sizeof *l);

    (void)r;
    if (l == NULL)
        return why_rc(why, RC_NOMEM);
    if (file->length != 0)
        return why_set(why, RC_UNSUPPORTED, "locations of blocks are not known");
    located_blocks_proto__init(l);
    l->underconstruction = file->open;
    *ret = l;
    return RC_OK;
}

void
nn_blocks_stop(struct nn_core *core)
{
    (void)core;
}

enum rc
nn_nodes_view_new(const struct nn_core *core, struct nn_nodes_view **ret, struct why *why)
{
    struct nn_nodes_view *v = mem_zalloc(sizeof *v);

    if (v == NULL)
        return why_rc(why, RC_NOMEM);
    v->txid = core->txid;
    *ret = v;
    return RC_OK;
}

void
nn_nodes_view_free(struct nn_nodes_view *v)
{
    mem_free(v);
}
