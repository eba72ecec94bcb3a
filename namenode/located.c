#include "namenode/located.h"

#include <stdlib.h>
#include <string.h>

#include "core/rpc/server.h"
#include "namenode/place.h"

#define SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))

DatanodeInfoProto *nn_located_node(struct arena *a, const struct nn_view_node *n)
{
    DatanodeInfoProto *p = arena_alloc(a, sizeof *p);
    DatanodeIDProto *id = arena_alloc(a, sizeof *id);

    if (p == NULL || id == NULL)
        return NULL;
    datanode_info_proto__init(p);
    datanode_idproto__init(id);
    id->ipaddr = rpc_text(a, n->host);
    id->hostname = rpc_text(a, n->host_name);
    id->datanodeuuid = rpc_text(a, n->uuid);
    id->xferport = n->data_port;
    id->infoport = n->http_port;
    id->ipcport = n->ipc_port;
    SET(id, infosecureport, 0);
    p->id = id;
    SET(p, capacity, n->space.capacity);
    SET(p, dfsused, n->space.dfs_used);
    SET(p, remaining, n->space.remaining);
    SET(p, blockpoolused, n->space.dfs_used);
    SET(p, lastupdate, n->heard_wall_ms);
    SET(p, xceivercount, n->transfers);
    p->has_location = true;
    p->location = rpc_text(a, n->rack);
    SET(p, nondfsused, n->space.capacity > n->space.dfs_used + n->space.remaining
                           ? n->space.capacity - n->space.dfs_used - n->space.remaining : 0);
    SET(p, adminstate, (DatanodeInfoProto__AdminState)n->admin);
    SET(p, cachecapacity, 0);
    SET(p, cacheused, 0);
    SET(p, lastupdatemonotonic, n->heard_ms);
    SET(p, lastblockreporttime, n->reported_wall_ms);
    SET(p, lastblockreportmonotonic, 0);
    SET(p, numblocks, (uint32_t)n->space.block_count);
    return p;
}

ExtendedBlockProto *nn_located_id(struct arena *a, const char *pool_id, struct block_id id, uint64_t stamp, uint64_t bytes)
{
    ExtendedBlockProto *p = arena_alloc(a, sizeof *p);

    if (p == NULL)
        return NULL;
    extended_block_proto__init(p);
    p->poolid = rpc_text(a, pool_id);
    p->blockid = id.v;
    p->generationstamp = stamp;
    SET(p, numbytes, bytes);
    return p;
}

static bool set_locations(struct arena *a, LocatedBlockProto *p, const struct nn_location *at, size_t count)
{
    p->n_locs = p->n_iscached = p->n_storagetypes = p->n_storageids = count;
    if (count == 0)
        return true;
    if ((p->locs = arena_calloc(a, count, sizeof(DatanodeInfoProto *))) == NULL ||
        (p->iscached = arena_calloc(a, count, sizeof *p->iscached)) == NULL ||
        (p->storagetypes = arena_calloc(a, count, sizeof *p->storagetypes)) == NULL ||
        (p->storageids = arena_calloc(a, count, sizeof *p->storageids)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if ((p->locs[i] = nn_located_node(a, at[i].node)) == NULL)
            return false;
        p->storagetypes[i] = STORAGE_TYPE_PROTO__DISK;
        p->storageids[i] = rpc_text(a, at[i].storage_uuid);
    }
    return true;
}

LocatedBlockProto *nn_located_block(struct arena *a, const char *pool_id, struct block_id id, uint64_t stamp, uint64_t bytes,
                                    uint64_t offset, const struct nn_location *at, size_t count, bool corrupt)
{
    LocatedBlockProto *p = arena_alloc(a, sizeof *p);
    TokenProto *token = arena_alloc(a, sizeof *token);

    if (p == NULL || token == NULL)
        return NULL;
    located_block_proto__init(p);
    token_proto__init(token);           /* tokens are off: empty, but there */
    if ((p->b = nn_located_id(a, pool_id, id, stamp, bytes)) == NULL || !set_locations(a, p, at, count))
        return NULL;
    p->offset = offset;
    p->corrupt = corrupt;
    p->blocktoken = token;
    return p;
}

/* A location with its rank: the smaller the better. */
struct ranked {
    struct nn_location at;
    unsigned rank;
    uint64_t order;
};

/* Among equals another node comes first for each block, or one of them would serve all readers. */
static uint64_t order_of(struct block_id block, uint32_t storage)
{
    uint64_t z = (block.v ^ (uint64_t)storage << 40) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 27);
}

static int by_rank(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static const char *rack_of_host(const struct nn_nodes_view *v, const char *host)
{
    for (size_t i = 0; host != NULL && i < v->node_count; i++)
        if (strcmp(v->nodes[i].host, host) == 0)
            return v->nodes[i].rack;
    return NULL;
}

static unsigned rank_of(const struct nn_view_storage *s, const struct nn_replica *r, const struct nn_reading *who,
                        const char *rack)
{
    const struct nn_view_node *n = s->node;
    bool stale = who->now_ms > n->heard_ms && who->now_ms - n->heard_ms > who->stale_ms;
    unsigned rank = nn_place_distance(who->host, rack, n->host, n->rack);

    if (n->dead || s->failed)
        return rank + 80;
    if (r->state == NN_SUSPECT)
        return rank + 60;
    if (!n->registered)
        return rank + 40;
    if (stale)
        return rank + 20;
    return n->admin != NN_NORMAL ? rank + 10 : rank;
}

/* May readers be told of r?  In order of worth: good ones; those being written; corrupt ones. */
static unsigned worth(const struct nn_block *b, const struct nn_replica *r)
{
    if (r->state == NN_CORRUPT)
        return 1;
    if (b->state != NN_BLOCK_COMPLETE)
        return r->stamp >= b->stamp ? 3 : 0;
    if (r->stamp != b->stamp)
        return 0;
    if (r->state == NN_WRITING)
        return 2;
    return r->bytes == b->bytes ? 3 : 1;
}

size_t nn_located_pick(const struct nn_nodes_view *v, const struct nn_block *b, const struct nn_replicas *list,
                       const struct nn_reading *who, struct nn_location *ret, size_t max, bool *ret_corrupt)
{
    struct ranked ranked[64];
    const char *rack = v == NULL ? NULL : rack_of_host(v, who->host);
    unsigned best = 0, best_rank = UINT32_MAX;
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        if (nn_view_storage_at(v, list->r[i].storage) != NULL && worth(b, &list->r[i]) > best)
            best = worth(b, &list->r[i]);
    *ret_corrupt = best == 1;
    for (size_t i = 0; best > 0 && i < list->n && n < ARRAY_LEN(ranked); i++) {
        const struct nn_view_storage *s = nn_view_storage_at(v, list->r[i].storage);

        if (s == NULL || worth(b, &list->r[i]) != best)
            continue;
        ranked[n] = (struct ranked){ { s->node, s->uuid }, rank_of(s, &list->r[i], who, rack),
                                order_of(b->id, list->r[i].storage) };
        if (ranked[n].rank < best_rank)
            best_rank = ranked[n].rank;
        n++;
    }
    qsort(ranked, n, sizeof *ranked, by_rank);
    if (best_rank < 80)                 /* a dead node is named only when there is no other */
        while (n > 0 && ranked[n - 1].rank >= 80)
            n--;
    for (size_t i = 0; i < n && i < max; i++)
        ret[i] = ranked[i].at;
    return n < max ? n : max;
}
