/*
 * do_blocks -- what writers ask about blocks: addBlock, abandonBlock, complete, fsync.
 */
#include <inttypes.h>

#include "namenode/asked.h"
#include "namenode/blockmap.h"
#include "namenode/closing.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/lease.h"
#include "namenode/located.h"
#include "namenode/path.h"
#include "namenode/place.h"

static struct span span_of_pb(ProtobufCBinaryData d)
{
    return span_of(d.data, d.len);
}

static bool is_block(const ExtendedBlockProto *b, const struct nn_block *block)
{
    return b->blockid == block->id.v && b->generationstamp == block->stamp;
}

/* "BP-1:blk_2_3" for messages. */
#define BLOCK_TEXT "%.*s:blk_%" PRIu64 "_%" PRIu64
#define BLOCK_ARGS(b) (int)(b)->poolid.len, (const char *)(b)->poolid.data, (b)->blockid, (b)->generationstamp

/* What readers of an open file are shown: all its bytes as far as they are known. */
static enum rc set_length(struct nn_core *core, uint64_t inode, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_LENGTH, .at_ms = nn_core_now_ms(core) };
    uint64_t count;
    enum rc rc;

    e.length.inode = inode;
    if ((rc = nn_block_sum(&core->db, inode, &count, &e.length.length, why)) != RC_OK)
        return rc;
    return nn_edit_apply(core, &e, why);
}

static enum rc set_block(struct nn_core *core, const struct nn_block *b, struct span roster, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_SET, .at_ms = nn_core_now_ms(core) };

    e.block_set = (struct nn_edit_block_set){ .block = b->id.v, .bytes = b->bytes, .stamp = b->stamp, .state = b->state,
                                              .roster = roster };
    return nn_edit_apply(core, &e, why);
}

/* The writer says how long its last block is.  *block becomes committed, and complete when enough replicas are there. */
static enum rc commit_block(struct nn_core *core, struct arena *arena, struct nn_block *block, const ExtendedBlockProto *as,
                            struct why *why)
{
    struct nn_replicas list;
    enum rc rc;

    if (as->blockid != block->id.v)
        return why_set(why, RC_IO_EXCEPTION, "Trying to commit inconsistent block: id = %" PRIu64 ", expected id = %" PRIu64,
                       as->blockid, block->id.v);
    if (block->state == NN_BLOCK_COMPLETE)
        return RC_OK;
    if (as->generationstamp != block->stamp)
        return why_set(why, RC_IO_EXCEPTION, "Commit block with mismatching GS. NN has blk_%" PRIu64 "_%" PRIu64
                       ", client submits blk_%" PRIu64 "_%" PRIu64, block->id.v, block->stamp, as->blockid, as->generationstamp);
    if (block->state == NN_BLOCK_OPEN) {
        if (as->numbytes > INT64_MAX)
            return why_set(why, RC_ILLEGAL_ARGUMENT, "block blk_%" PRIu64 " cannot have %" PRIu64 " bytes", as->blockid, as->numbytes);
        block->bytes = as->numbytes;
        block->state = NN_BLOCK_COMMITTED;
        if ((rc = set_block(core, block, (struct span){ 0 }, why)) != RC_OK || (rc = set_length(core, block->inode, why)) != RC_OK)
            return rc;
    }
    if ((rc = nn_roster_get(core->blocks->roster, block->id, &list, why)) != RC_OK)
        return rc;
    if (nn_block_reported(core->blocks, &list, block->stamp, block->bytes) < core->nn->conf.replication_min)
        return RC_OK;
    return nn_block_complete(core, arena, block, why);
}

/* ---- addBlock ---- */

static enum rc reply_block(struct nn_core *core, struct arena *arena, struct block_id id, uint64_t stamp, uint64_t offset,
                           struct nn_storage *const *at, size_t count, LocatedBlockProto **ret, struct why *why)
{
    if (!nn_asked_located(core, arena, id, stamp, 0, offset, at, count, ret))
        return why_rc(why, RC_NOMEM);
    return RC_OK;
}

/* A repeat of the call that allocated the last block: the same answer. */
static enum rc answer_again(struct nn_core *core, struct rpc_call *call, const struct nn_block *last, const struct nn_inode *file,
                            AddBlockResponseProto *ret, struct why *why)
{
    struct nn_storage *at[NN_REPLICAS_MAX];
    struct nn_replicas list;
    uint64_t count, bytes;
    size_t n = 0;
    enum rc rc;

    if (last->bytes != 0 || last->state == NN_BLOCK_COMPLETE)
        return why_set(why, RC_IO_EXCEPTION, "Request looked like a retry to allocate block blk_%" PRIu64 "_%" PRIu64
                       " but it already contains %" PRIu64 " bytes", last->id.v, last->stamp, last->bytes);
    if ((rc = nn_roster_get(core->blocks->roster, last->id, &list, why)) != RC_OK ||
        (rc = nn_block_sum(&core->db, file->id, &count, &bytes, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < list.n; i++)
        if ((at[n] = nn_storage_at(&core->blocks->nodes, list.r[i].storage)) != NULL)
            n++;
    return reply_block(core, &call->arena, last->id, last->stamp, bytes, at, n, &ret->block, why);
}

/* How a request with this `previous` relates to the file's last blocks. */
enum relation { ALLOCATE, AGAIN, REFUSE };

static enum relation relate(const ExtendedBlockProto *previous, const struct nn_block last[2], size_t n, uint64_t block_size)
{
    if (n == 0)
        return previous == NULL ? ALLOCATE : REFUSE;
    if (previous != NULL && is_block(previous, &last[0]))
        return ALLOCATE;
    if (previous == NULL && last[0].state == NN_BLOCK_COMPLETE && last[0].bytes >= block_size)
        return ALLOCATE;            /* appending at a block's end */
    if (n == 1 ? previous == NULL : previous != NULL && is_block(previous, &last[1]))
        return AGAIN;
    return REFUSE;
}

static enum rc refuse(const AddBlockRequestProto *req, struct span path, const struct nn_block last[2], size_t n, struct why *why)
{
    char actual[64] = "null";

    if (n > 0)
        snprintf(actual, sizeof actual, "blk_%" PRIu64 "_%" PRIu64, last[0].id.v, last[0].stamp);
    if (req->previous == NULL)
        return why_set(why, RC_IO_EXCEPTION, "Cannot allocate block in %.*s: passed 'previous' block null does not match actual "
                       "last block in file %s", (int)path.n, (const char *)path.p, actual);
    return why_set(why, RC_IO_EXCEPTION, "Cannot allocate block in %.*s: passed 'previous' block " BLOCK_TEXT
                   " does not match actual last block in file %s", (int)path.n, (const char *)path.p,
                   BLOCK_ARGS(req->previous), actual);
}

/* The block before the last must have its replicas before another one may follow. */
static enum rc finish_penultimate(struct nn_core *core, struct arena *arena, struct nn_block *b, struct span path,
                                  struct why *why)
{
    struct nn_replicas list;
    enum rc rc;

    if (b->state == NN_BLOCK_COMPLETE)
        return RC_OK;
    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    if (b->state == NN_BLOCK_COMMITTED &&
        nn_block_reported(core->blocks, &list, b->stamp, b->bytes) >= core->nn->conf.replication_min)
        return nn_block_complete(core, arena, b, why);
    return why_set(why, RC_NOT_REPLICATED, "Not replicated yet: %.*s", (int)path.n, (const char *)path.p);
}

/* Choose storages for a new block of file. */
static enum rc choose(struct nn_core *core, struct rpc_call *call, const AddBlockRequestProto *req, const struct nn_inode *file,
                      struct span path, struct nn_storage **ret, size_t *ret_n, struct why *why)
{
    struct nn_nodes *t = &core->blocks->nodes;
    struct nn_place_ask ask = { .bytes = file->block_size, .writer = call->peer.host, .now_ms = nn_core_mono_ms(core),
                                .stale_ms = core->nn->conf.stale_node_ms };
    struct buf refusals;
    size_t live = 0;
    enum rc rc;

    ask.count = file->replication < NN_REPLICAS_MAX ? file->replication : NN_REPLICAS_MAX;
    for (size_t i = 0; i < req->n_flags; i++) {
        ask.not_writer = ask.not_writer || req->flags[i] == ADD_BLOCK_FLAG_PROTO__NO_LOCAL_WRITE;
        if (req->flags[i] == ADD_BLOCK_FLAG_PROTO__IGNORE_CLIENT_LOCALITY)
            ask.writer = NULL;
    }
    if ((rc = nn_asked_nodes(core, &call->arena, req->excludenodes, req->n_excludenodes, &ask.exclude, &ask.exclude_count,
                             why)) != RC_OK ||
        (rc = nn_asked_texts(&call->arena, req->favorednodes, req->n_favorednodes, &ask.favor, why)) != RC_OK)
        return rc;
    ask.favor_count = req->n_favorednodes;
    buf_init(&refusals, WHY_TEXT_MAX);
    *ret_n = nn_place_plan(t, &ask, core->nn->world->rng, ret, &refusals);
    for (size_t i = 0; i < t->count; i++)
        live += nn_node_is_live(t->all[i]);
    if (*ret_n == 0)
        rc = why_set(why, RC_IO_EXCEPTION, "File %.*s could only be written to 0 of the %" PRIu64 " minReplication nodes. There "
                     "are %zu datanode(s) running and %zu node(s) are excluded in this operation.%.*s", (int)path.n,
                     (const char *)path.p, core->nn->conf.replication_min, live, req->n_excludenodes,
                     (int)refusals.n, (const char *)refusals.p);
    buf_fini(&refusals);
    return rc;
}

/* An edit: a new last block on these storages. */
static enum rc allocate(struct nn_core *core, struct arena *arena, const struct nn_inode *file, uint64_t idx,
                        struct nn_storage *const *at, size_t n, struct nn_block *ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_ADD, .at_ms = nn_core_now_ms(core) };
    struct nn_replicas list = { .n = 0 };
    enum rc rc;

    *ret = (struct nn_block){ .id = { core->next.block++ }, .inode = file->id, .idx = idx, .stamp = core->next.stamp++ };
    for (size_t i = 0; i < n; i++)
        (void)nn_replicas_put(&list, &(struct nn_replica){ .storage = at[i]->no, .state = NN_WRITING, .stamp = ret->stamp });
    e.block_add = (struct nn_edit_block_add){ .inode = file->id, .idx = idx, .block = ret->id.v, .stamp = ret->stamp };
    if ((rc = nn_roster_packed(core, arena, &list, &e.block_add.roster, why)) != RC_OK ||
        (rc = nn_edit_apply_last(core, &e, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        at[i]->node->planned++;
    return nn_replicas_set(core, ret->id, &list, why);
}

enum rc nn_do_add_block(struct nn_core *core, struct rpc_call *call, const AddBlockRequestProto *req, AddBlockResponseProto *ret,
                        struct why *why)
{
    struct nn_storage *at[NN_REPLICAS_MAX];
    struct nn_block last[2], fresh;
    struct nn_inode file;
    struct span path;
    uint64_t count, bytes;
    size_t n, found = 0;
    enum rc rc;

    if ((rc = nn_lease_check(core, call, span_of_pb(req->src), req->fileid, span_of_pb(req->clientname), &file, &path,
                             why)) != RC_OK ||
        (rc = nn_block_last(&core->db, file.id, last, &n, why)) != RC_OK)
        return rc;
    switch (relate(req->previous, last, n, file.block_size)) {
    case AGAIN:
        return answer_again(core, call, &last[0], &file, ret, why);
    case REFUSE:
        return refuse(req, path, last, n, why);
    case ALLOCATE:
        break;
    }
    if ((n > 1 && (rc = finish_penultimate(core, &call->arena, &last[1], path, why)) != RC_OK) ||
        (req->previous != NULL && (rc = commit_block(core, &call->arena, &last[0], req->previous, why)) != RC_OK) ||
        (rc = nn_block_sum(&core->db, file.id, &count, &bytes, why)) != RC_OK)
        return rc;
    if (count >= core->nn->conf.file_blocks_max)
        return why_set(why, RC_IO_EXCEPTION, "File has reached the limit on maximum number of blocks "
                       "(dfs.namenode.fs-limits.max-blocks-per-file): %" PRIu64 " >= %" PRIu64, count,
                       core->nn->conf.file_blocks_max);
    if ((rc = choose(core, call, req, &file, path, at, &found, why)) != RC_OK ||
        (rc = allocate(core, &call->arena, &file, n == 0 ? 0 : last[0].idx + 1, at, found, &fresh, why)) != RC_OK)
        return rc;
    return reply_block(core, &call->arena, fresh.id, fresh.stamp, bytes, at, found, &ret->block, why);
}

enum rc nn_do_abandon_block(struct nn_core *core, struct rpc_call *call, const AbandonBlockRequestProto *req,
                            AbandonBlockResponseProto *ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_FREE, .at_ms = nn_core_now_ms(core) };
    struct nn_block last[2];
    struct nn_inode file;
    struct span path;
    size_t n;
    enum rc rc;

    (void)ret;
    if ((rc = nn_lease_check(core, call, span_of_pb(req->src), req->fileid, span_of_pb(req->holder), &file, &path,
                             why)) != RC_OK ||
        (rc = nn_block_last(&core->db, file.id, last, &n, why)) != RC_OK)
        return rc;
    if (n == 0 || last[0].id.v != req->b->blockid || last[0].state == NN_BLOCK_COMPLETE)
        return RC_OK;               /* abandoned before */
    e.block_free.block = last[0].id.v;
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK || (last[0].bytes > 0 && (rc = set_length(core, file.id, why)) != RC_OK))
        return rc;
    nn_blocks_freed(core);
    return RC_OK;
}

/* ---- complete ---- */

/* A repeat of a complete() whose reply was lost: the file is closed, and `last` is its last block. */
static enum rc was_completed(struct nn_core *core, struct rpc_call *call, const CompleteRequestProto *req, bool *ret,
                             struct why *why)
{
    struct nn_block last[2];
    struct nn_inode file;
    struct nn_path path;
    bool found = false;
    size_t n;
    enum rc rc;

    *ret = false;
    if (req->fileid != 0) {
        rc = nn_inode_find(&core->db, req->fileid, &file, &found, why);
    } else if ((rc = nn_path_lookup(&core->db, &call->arena, span_of_pb(req->src), &path, why)) == RC_OK) {
        found = nn_path_exists(&path);
        if (found)
            file = *nn_path_last(&path);
    }
    if (rc != RC_OK || !found || file.type != NN_FILE || file.open)
        return rc;
    if ((rc = nn_block_last(&core->db, file.id, last, &n, why)) != RC_OK)
        return rc;
    *ret = n == 0 ? req->last == NULL : req->last != NULL && is_block(req->last, &last[0]);
    return RC_OK;
}

/* Replies now (with nn_core_release) or keeps the call until the replicas are reported. */
enum rc nn_do_complete(struct nn_core *core, struct rpc_call *call, const CompleteRequestProto *req, CompleteResponseProto *ret,
                       struct why *why)
{
    struct nn_block last[2];
    struct nn_inode file;
    struct span path;
    struct why lost;
    bool stored, again = false;
    size_t n;
    enum rc rc;

    rc = nn_lease_check(core, call, span_of_pb(req->src), req->fileid, span_of_pb(req->clientname), &file, &path, why);
    if (rc == RC_LEASE_EXPIRED && was_completed(core, call, req, &again, &lost) == RC_OK && again) {
        ret->result = true;
        nn_core_release(core, call, RC_OK, NULL);
        return RC_OK;
    }
    if (rc != RC_OK || (rc = nn_block_last(&core->db, file.id, last, &n, why)) != RC_OK)
        return rc;
    if (req->last != NULL) {
        if (n == 0)
            return why_set(why, RC_IO_EXCEPTION, "Trying to commit inconsistent block: id = %" PRIu64 ", expected none",
                           req->last->blockid);
        if ((rc = commit_block(core, &call->arena, &last[0], req->last, why)) != RC_OK)
            return rc;
    }
    if ((rc = nn_file_is_stored(core, file.id, &stored, why)) != RC_OK)
        return rc;
    if (!stored && n > 0 && last[0].state != NN_BLOCK_OPEN)
        return nn_hold_add(core, call, file.id, why);
    if (stored && (rc = nn_file_close(core, &call->arena, file.id, why)) != RC_OK)
        return rc;
    ret->result = stored;
    nn_core_release(core, call, RC_OK, NULL);
    return RC_OK;
}

enum rc nn_do_fsync(struct nn_core *core, struct rpc_call *call, const FsyncRequestProto *req, FsyncResponseProto *ret,
                    struct why *why)
{
    struct nn_block last[2];
    struct nn_inode file;
    struct span path;
    size_t n;
    enum rc rc;

    (void)ret;
    if ((rc = nn_lease_check(core, call, span_of_pb(req->src), req->fileid, span_of_pb(req->client), &file, &path, why)) != RC_OK ||
        (rc = nn_block_last(&core->db, file.id, last, &n, why)) != RC_OK)
        return rc;
    if (n == 0 || last[0].state != NN_BLOCK_OPEN || req->lastblocklength <= 0 ||
        (uint64_t)req->lastblocklength <= last[0].bytes)
        return RC_OK;               /* what is visible never shrinks */
    last[0].bytes = (uint64_t)req->lastblocklength;
    if ((rc = set_block(core, &last[0], (struct span){ 0 }, why)) != RC_OK)
        return rc;
    return set_length(core, file.id, why);
}
