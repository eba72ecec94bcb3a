/*
 * append -- a closed file is opened for writing again.
 *
 * Its last block, unless it is full, becomes open with the length and stamp that it has: a writer sets the pipeline up
 * with a new stamp (updateBlockForPipeline) and says so (updatePipeline).  Replicas that are not part of that pipeline
 * are outdated from then on.
 */
#include <string.h>

#include "namenode/asked.h"
#include "namenode/blockmap.h"
#include "namenode/dispatch.h"
#include "namenode/edit.h"
#include "namenode/lease.h"
#include "namenode/located.h"
#include "namenode/place.h"
#include "namenode/resolve.h"
#include "namenode/status.h"

enum append_flags { FLAG_NEW_BLOCK = 0x20 };

/* The file at the path, closed: a writer that has been silent past the soft limit loses its lease here. */
static enum rc
find_file(struct nn_core *core, struct rpc_call *call, const AppendRequestProto *req, struct nn_inode *ret,
          const char **ret_path, struct why *why)
{
    struct nn_caller caller;
    const struct nn_inode *last;
    struct nn_path p;
    bool found = false;
    enum rc rc;

    nn_caller_init(&caller, core->nn, call);
    if ((rc = nn_resolve(&caller, &core->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK)
        return rc;
    if (!nn_path_exists(&p))
        return why_set(why, RC_NOT_FOUND, "Failed to append to non-existent file %s for client %s", (const char *)p.text.p,
                       call->peer.host);
    last = nn_path_last(&p);
    if (last->type == NN_DIR)
        return why_set(why, RC_EXISTS, "Cannot append to directory %s; already exists as a directory.",
                       (const char *)p.text.p);
    if ((rc = nn_may(&caller, &core->db, &p, p.depth, MAY_WRITE, why)) != RC_OK ||
        (rc = nn_lease_take_over(core, call, "APPEND_FILE", &p, pb_span(req->clientname), why)) != RC_OK ||
        (rc = nn_inode_find(&core->db, last->id, ret, &found, why)) != RC_OK)
        return rc;
    if (!found || ret->open)
        return why_set(why, RC_BUG, "file %llu is still open", (unsigned long long)last->id);
    *ret_path = (const char *)p.text.p;
    return RC_OK;
}

/* How good a replica is to append to: smaller is better. */
static unsigned
rank_of(const struct nn_core *core, const struct rpc_call *call, const struct nn_node *n)
{
    unsigned rank = nn_place_distance(call->peer.host, NULL, n->host, n->rack);

    return nn_node_is_stale(n, nn_core_mono_ms(core), core->nn->conf.stale_node_ms) ? rank + 10 : rank;
}

/* The storages whose replicas can be appended to, the best first: good ones of nodes that live and that nobody ordered away.
 * *ret_more: how many more there will be when nodes have registered that this run has not heard of yet. */
static size_t
choose(const struct nn_core *core, const struct rpc_call *call, const struct nn_block *b, const struct nn_replicas *list,
       struct nn_storage *ret[NN_REPLICAS_MAX], size_t *ret_more)
{
    const struct nn_blocks *m = core->blocks;
    unsigned ranks[NN_REPLICAS_MAX];
    size_t n = 0, at;

    *ret_more = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct nn_replica *r = &list->r[i];
        struct nn_storage *s = nn_storage_at(&m->nodes, r->storage);
        unsigned rank;

        if (s == NULL || s->node->dead || s->failed || r->state != NN_FINALIZED || r->stamp != b->stamp ||
            r->bytes != b->bytes || nn_drop_is_ordered(m->work, b->id, r->storage, r->stamp))
            continue;
        if (!s->node->registered) {
            ++*ret_more;
            continue;
        }
        rank = rank_of(core, call, s->node);
        for (at = n++; at > 0 && ranks[at - 1] > rank; at--) {
            ranks[at] = ranks[at - 1];
            ret[at] = ret[at - 1];
        }
        ranks[at] = rank;
        ret[at] = s;
    }
    /* Nodes that have gone silent are left out while others are enough. */
    while (n > core->nn->conf.replication_min && ranks[n - 1] >= 10)
        n--;
    return n;
}

/* An edit: the last block is open again; and where it is. */
static enum rc
open_block(struct nn_core *core, struct rpc_call *call, const struct nn_block *b, uint64_t offset, const char *path,
           LocatedBlockProto **ret, struct why *why)
{
    struct nn_edit e = { .kind = EDIT_BLOCK_SET, .at_ms = call->arrived_wall_ms };
    struct nn_storage *at[NN_REPLICAS_MAX];
    struct nn_replicas list;
    size_t n, more;
    enum rc rc;

    if ((rc = nn_roster_get(core->blocks->roster, b->id, &list, why)) != RC_OK)
        return rc;
    if ((n = choose(core, call, b, &list, at, &more)) < core->nn->conf.replication_min)
        return why_set(why, more > 0 ? RC_BUSY : RC_IO_EXCEPTION, "append: lastBlock=blk_%llu_%llu of src=%s is not sufficiently replicated yet.",
                       (unsigned long long)b->id.v, (unsigned long long)b->stamp, path);
    e.block_set = (struct nn_edit_block_set){ .block = b->id.v, .bytes = b->bytes, .stamp = b->stamp, .state = NN_BLOCK_OPEN };
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK)
        return rc;
    if (!nn_asked_located(core, &call->arena, b->id, b->stamp, b->bytes, offset, at, n, ret))
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < n; i++)
        at[i]->node->planned++;
    return nn_block_look(core, b->id, why);         /* nothing is copied or trimmed while it is written */
}

/* What the writer is told of the last block: nothing when it is full, no places when a new block is to follow it. */
static enum rc
take_last(struct nn_core *core, struct rpc_call *call, const AppendRequestProto *req, const struct nn_inode *file,
          const char *path, LocatedBlockProto **ret, struct why *why)
{
    struct nn_block last[2];
    size_t n;
    enum rc rc;

    if ((rc = nn_block_last(&core->db, file->id, last, &n, why)) != RC_OK || n == 0)
        return rc;
    if ((req->flag & FLAG_NEW_BLOCK) != 0) {
        *ret = nn_located_block(&call->arena, core->nn->id.pool_id, last[0].id, last[0].stamp, last[0].bytes, NN_NO_OFFSET,
                                NULL, 0, false);
        return *ret == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
    }
    if (last[0].bytes >= file->block_size)
        return RC_OK;
    return open_block(core, call, &last[0], file->length - last[0].bytes, path, ret, why);
}

enum rc
nn_do_append(struct nn_core *core, struct rpc_call *call, const AppendRequestProto *req, AppendResponseProto *ret,
             struct why *why)
{
    struct nn_edit e = { .kind = EDIT_REOPEN, .at_ms = call->arrived_wall_ms };
    struct nn_inode file;
    const char *path = "";
    enum rc rc;

    if ((rc = find_file(core, call, req, &file, &path, why)) != RC_OK ||
        (rc = nn_status(&core->db, &call->arena, &file, span_of("", 0), &ret->stat, why)) != RC_OK)
        return rc;
    e.reopen = (struct nn_edit_reopen){ .inode = file.id, .holder = pb_span(req->clientname),
                                        .client_node = span_of(call->peer.host, strlen(call->peer.host)) };
    if ((rc = nn_edit_apply(core, &e, why)) != RC_OK || (rc = take_last(core, call, req, &file, path, &ret->block, why)) != RC_OK)
        return rc;
    return nn_lease_renew(core, pb_span(req->clientname), why);
}
