/*
 * located -- blocks with their locations, as clients get them.
 *
 * Everything is made in an arena; texts of nodes are borrowed from a view, or
 * from the node table on the core thread, and must outlive the encoding.
 */
#ifndef NAMENODE_LOCATED_H
#define NAMENODE_LOCATED_H

#include "core/base/arena.h"
#include "core/proto/client_namenode.pb-c.h"
#include "namenode/block.h"
#include "namenode/nodes_view.h"
#include "namenode/replica.h"

#define NN_NO_OFFSET UINT64_MAX     /* -1 on the wire */

/* One location: a node and the storage on it. */
struct nn_location {
    const struct nn_view_node *node;
    const char *storage_uuid;
};

/* NULL: the arena is full. */
DatanodeInfoProto *nn_located_node(struct arena *a, const struct nn_view_node *n);
ExtendedBlockProto *nn_located_id(struct arena *a, const char *pool_id, struct block_id id, uint64_t stamp, uint64_t bytes);
LocatedBlockProto *nn_located_block(struct arena *a, const char *pool_id, struct block_id id, uint64_t stamp, uint64_t bytes,
                                    uint64_t offset, const struct nn_location *at, size_t count, bool corrupt);

/* The reader and how it judges nodes. */
struct nn_reading {
    const char *host;               /* of the reader; may be NULL */
    uint64_t now_ms, stale_ms;
};

/*
 * The replicas of b that a reader should be told of, best first: same host,
 * same rack, others; then leaving, stale, unconfirmed nodes, suspect replicas, silent nodes.  *ret_corrupt:
 * all there are, are corrupt.  Returns how many, at most max.
 */
size_t nn_located_pick(const struct nn_nodes_view *v, const struct nn_block *b, const struct nn_replicas *list,
                       const struct nn_reading *who, struct nn_location *ret, size_t max, bool *ret_corrupt);

#endif
