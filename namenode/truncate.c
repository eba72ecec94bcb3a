/*
 * truncate -- a file is cut: at a block's end at once, inside a block by recovery of that block to its new length.
 */
#include <inttypes.h>
#include <string.h>

#include "core/base/attr.h"
#include "namenode/blockmap.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/lease.h"
#include "namenode/recovery.h"
#include "namenode/resolve.h"

static enum rc
run2(struct nn_db *db, enum nn_sql name, uint64_t a, uint64_t b, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, name, why);

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, a);
    nn_bind_u64(st, 2, b);
    return nn_run(db, st, why);
}

enum rc
nn_apply_truncate(struct nn_db *db, const struct nn_edit_truncate *x, uint64_t at_ms, struct why *why)
{
    sqlite3_stmt *st;
    enum rc rc;

    if ((rc = run2(db, SQL_FREED_ADD_TAIL, x->inode, x->keep, why)) != RC_OK ||
        (rc = run2(db, SQL_BLOCK_REMOVE_TAIL, x->inode, x->keep, why)) != RC_OK ||
        (x->open != 0 && (rc = run2(db, SQL_BLOCK_REOPEN, x->inode, x->keep - 1, why)) != RC_OK))
        return rc;
    if ((st = nn_sql(db, SQL_INODE_TRUNCATE, why)) == NULL)
        return why->rc;
    nn_bind_u64(st, 1, x->inode);
    nn_bind_u64(st, 2, x->length);
    nn_bind_u64(st, 3, at_ms);
    nn_bind_u64(st, 4, x->open);
    return nn_run(db, st, why);
}

/* Where a length falls: `keep` blocks stay, the last of them with `part` of its `whole` bytes. */
struct cut {
    uint64_t keep, before, part, whole;
    struct block_id last;
};

static enum rc
find_cut(struct nn_core *core, uint64_t inode, uint64_t length, struct cut *ret, struct why *why)
{
    struct nn_block blocks[64];
    size_t n = ARRAY_LEN(blocks);
    enum rc rc;

    *ret = (struct cut){ .keep = 0 };
    while (ret->before + ret->whole < length && n == ARRAY_LEN(blocks)) {
        if ((rc = nn_block_list(&core->db, inode, ret->keep, blocks, ARRAY_LEN(blocks), &n, why)) != RC_OK)
            return rc;
        for (size_t i = 0; i < n && ret->before + ret->whole < length; i++) {
            ret->before += ret->whole;
            ret->whole = blocks[i].bytes;
            ret->last = blocks[i].id;
            ret->keep = blocks[i].idx + 1;
        }
    }
    ret->part = length - ret->before;
    return RC_OK;
}

static enum rc
cut_file(struct nn_core *core, struct rpc_call *call, const TruncateRequestProto *req, const struct nn_inode *file,
         bool *ret_done, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_TRUNCATE, .at_ms = nn_core_now_ms(core) };
    struct nn_edit lease = { .kind = EDIT_LEASE, .at_ms = e.at_ms }, row = { .kind = EDIT_RECOVERY, .at_ms = e.at_ms };
    struct cut cut;
    enum rc rc;

    if ((rc = find_cut(core, file->id, req->newlength, &cut, why)) != RC_OK)
        return rc;
    *ret_done = cut.part == cut.whole;
    e.truncate = (struct nn_edit_truncate){ .inode = file->id, .keep = cut.keep, .length = cut.before + cut.whole,
                                            .open = !*ret_done };
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        return rc;
    nn_blocks_freed(core);
    if (*ret_done)
        return RC_OK;
    lease.lease = (struct nn_edit_lease){ .inode = file->id, .holder = pb_span(req->clientname),
                                          .client_node = span_of(call->peer.host, strlen(call->peer.host)) };
    row.recovery = (struct nn_edit_recovery){ .inode = file->id, .truncate = 1, .bytes = cut.part };
    if ((rc = nn_edit_apply(core, &lease, why)) != RC_OK || (rc = nn_edit_apply(core, &row, why)) != RC_OK ||
        (rc = nn_block_look(core, cut.last, why)) != RC_OK)
        return rc;
    nn_recovery_due(core, file->id);
    return nn_lease_renew(core, pb_span(req->clientname), why);
}

/* A repeat of the call that began the cut that is under way. */
static enum rc
is_under_way(struct nn_core *core, const struct nn_inode *file, uint64_t length, bool *ret, struct why *why)
{
    struct nn_recovery row;
    struct nn_block last[2];
    uint64_t count, bytes;
    size_t n;
    enum rc rc;

    *ret = false;
    if (!file->open)
        return RC_OK;
    if ((rc = nn_recovery_find(&core->db, file->id, &row, ret, why)) != RC_OK || !*ret)
        return rc;
    if ((rc = nn_block_last(&core->db, file->id, last, &n, why)) != RC_OK ||
        (rc = nn_block_sum(&core->db, file->id, &count, &bytes, why)) != RC_OK)
        return rc;
    *ret = row.is_truncate && n > 0 && bytes - last[0].bytes + row.bytes == length;
    return RC_OK;
}

enum rc
nn_do_truncate(struct nn_core *core, struct rpc_call *call, const TruncateRequestProto *req, TruncateResponseProto *ret,
               struct why *why)
{
    struct nn_caller caller;
    struct nn_inode file;
    struct nn_path p;
    bool found, done = true;
    enum rc rc;

    if (req->newlength > INT64_MAX)
        return why_set(why, RC_ILLEGAL_ARGUMENT, "Cannot truncate to a negative file size: %" PRId64 ".",
                       (int64_t)req->newlength);
    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve_file(&caller, &core->db, pb_span(req->src), &p, why)) != RC_OK ||
        (rc = nn_may(&caller, &core->db, &p, p.depth, MAY_WRITE, why)) != RC_OK ||
        (rc = is_under_way(core, nn_path_last(&p), req->newlength, &found, why)) != RC_OK)
        return rc;
    ret->result = false;
    if (found)
        return RC_OK;
    if ((rc = nn_lease_take_over(core, call, "TRUNCATE_FILE", &p, pb_span(req->clientname), why)) != RC_OK ||
        (rc = nn_inode_find(&core->db, nn_path_last(&p)->id, &file, &found, why)) != RC_OK)
        return rc;
    if (req->newlength > file.length)
        return why_set(why, RC_ILLEGAL_ARGUMENT, "Cannot truncate to a larger file size. Current size: %" PRIu64
                       ", truncate size: %" PRIu64 ".", file.length, req->newlength);
    if (req->newlength < file.length && (rc = cut_file(core, call, req, &file, &done, why)) != RC_OK)
        return rc;
    ret->result = done;
    return RC_OK;
}
