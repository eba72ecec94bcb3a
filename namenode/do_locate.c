/*
 * do_locate -- where the blocks of files are: getBlockLocations and its kin.
 */
#include "core/base/clock.h"
#include "namenode/attr.h"
#include "namenode/blocks.h"
#include "namenode/dispatch.h"
#include "namenode/located.h"
#include "namenode/reader.h"
#include "namenode/resolve.h"
#include "namenode/roster.h"
#include "namenode/snapshot.h"

#define LOCATIONS_MAX 64            /* of one block, in an answer */
#define BLOCKS_PER_READ 128

/* An answer that is being put together. */
struct locating {
    struct nn_reader *r;
    struct rpc_call *call;
    const struct nn_inode *file;
    uint64_t from, to;              /* bytes asked for, `to` exclusive */
    LocatedBlocksProto *out;
    size_t cap;
    uint64_t offset;                /* of the next block */
    struct nn_block last;           /* the last one seen, and where it begins */
    uint64_t last_offset;
    bool any;
};

static enum rc locate(const struct locating *l, const struct nn_block *b, uint64_t offset, LocatedBlockProto **ret,
                      struct why *why)
{
    struct nn *nn = l->r->nn;
    const struct nn_reading who = { .host = l->call->peer.host, .now_ms = clock_mono_ms(nn->world->clock),
                                    .stale_ms = nn->conf.stale_node_ms };
    struct nn_location at[LOCATIONS_MAX];
    struct nn_replicas list;
    bool corrupt;
    size_t n;
    enum rc rc;

    if ((rc = nn_roster_read(&l->r->db, b->id, &list, why)) != RC_OK)
        return rc;
    n = nn_located_pick(l->r->snap->nodes, b, &list, &who, at, LOCATIONS_MAX, &corrupt);
    *ret = nn_located_block(&l->call->arena, nn->id.pool_id, b->id, b->stamp, b->bytes, offset, at, n, corrupt);
    return *ret == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

static bool make_room(struct locating *l)
{
    LocatedBlockProto **grown;

    if (l->out->n_blocks < l->cap)
        return true;
    l->cap = l->cap == 0 ? 16 : l->cap * 2;
    if ((grown = arena_calloc(&l->call->arena, l->cap, sizeof(LocatedBlockProto *))) == NULL)
        return false;
    for (size_t i = 0; i < l->out->n_blocks; i++)
        grown[i] = l->out->blocks[i];
    l->out->blocks = grown;
    return true;
}

/* Does [from, to) touch the block?  A block that is still empty is touched where it begins. */
static bool is_asked(const struct locating *l, const struct nn_block *b)
{
    uint64_t end = l->offset + b->bytes;

    return l->offset < l->to && (end > l->from || (b->bytes == 0 && l->offset >= l->from));
}

static enum rc pass_block(struct locating *l, const struct nn_block *b, struct why *why)
{
    enum rc rc;

    l->any = true;
    l->last = *b;
    l->last_offset = l->offset;
    if (is_asked(l, b)) {
        if (!make_room(l))
            return why_rc(why, RC_NOMEM);
        if ((rc = locate(l, b, l->offset, &l->out->blocks[l->out->n_blocks], why)) != RC_OK)
            return rc;
        l->out->n_blocks++;
    }
    l->offset += b->bytes;
    return RC_OK;
}

static enum rc pass_file(struct locating *l, struct why *why)
{
    struct nn_block blocks[BLOCKS_PER_READ];
    size_t n;
    enum rc rc;

    for (uint64_t idx = 0;; idx = blocks[n - 1].idx + 1) {
        if ((rc = nn_block_list(&l->r->db, l->file->id, idx, blocks, BLOCKS_PER_READ, &n, why)) != RC_OK)
            return rc;
        for (size_t i = 0; i < n; i++)
            if ((rc = pass_block(l, &blocks[i], why)) != RC_OK)
                return rc;
        if (n < BLOCKS_PER_READ)
            return RC_OK;
    }
}

/* The blocks of file that touch length bytes from offset on. */
static enum rc locate_file(struct nn_reader *r, struct rpc_call *call, const struct nn_inode *file, uint64_t offset,
                           uint64_t length, LocatedBlocksProto **ret, struct why *why)
{
    struct locating l = { .r = r, .call = call, .file = file, .from = offset,
                          .to = length > UINT64_MAX - offset ? UINT64_MAX : offset + (length > 0 ? length : 1) };
    enum rc rc;

    if ((l.out = arena_alloc(&call->arena, sizeof *l.out)) == NULL)
        return why_rc(why, RC_NOMEM);
    located_blocks_proto__init(l.out);
    if ((rc = pass_file(&l, why)) != RC_OK)
        return rc;
    l.out->underconstruction = file->open;
    l.out->filelength = l.offset;
    if (l.any) {
        if ((rc = locate(&l, &l.last, l.last_offset, &l.out->lastblock, why)) != RC_OK)
            return rc;
        l.out->islastblockcomplete = l.last.state == NN_BLOCK_COMPLETE;
        if (!l.out->islastblockcomplete)
            l.out->filelength = l.last_offset;      /* what is being written does not count */
    }
    *ret = l.out;
    return RC_OK;
}

enum rc nn_blocks_locate_all(struct nn_reader *r, struct rpc_call *call, const struct nn_inode *file, LocatedBlocksProto **ret,
                             struct why *why)
{
    return locate_file(r, call, file, 0, INT64_MAX, ret, why);
}

enum rc nn_do_get_block_locations(struct nn_reader *r, struct rpc_call *call, const GetBlockLocationsRequestProto *req,
                                  GetBlockLocationsResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    int n = (int)req->src.len;
    const char *src = (const char *)req->src.data;
    enum rc rc;

    if (req->offset > INT64_MAX)
        return why_set(why, RC_JAVA_ILLEGAL_ARGUMENT, "Negative offset is not supported. File: %.*s", n, src);
    if (req->length > INT64_MAX)
        return why_set(why, RC_JAVA_ILLEGAL_ARGUMENT, "Negative length is not supported. File: %.*s", n, src);
    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve_file(&caller, &r->db, pb_span(req->src), &p, why)) != RC_OK ||
        (rc = nn_may(&caller, &r->db, &p, p.depth, MAY_READ, why)) != RC_OK)
        return rc;
    nn_touch(r->nn, nn_path_last(&p));
    return locate_file(r, call, nn_path_last(&p), req->offset, req->length, &ret->locations, why);
}
