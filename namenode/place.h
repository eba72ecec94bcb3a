/*
 * place -- on which storages the next replicas of a block go.
 *
 * Plain functions of their inputs: the writer's node, another rack, another
 * node of that rack; then anywhere.  Among those that fit, nodes are drawn by
 * free space over load.  Refused nodes are explained, one line each.
 */
#ifndef NAMENODE_PLACE_H
#define NAMENODE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rng.h"
#include "namenode/node.h"

struct nn_place_ask {
    size_t count;                       /* replicas wanted */
    uint64_t bytes;                     /* each needs */
    const char *writer;                 /* numeric address of the writer; NULL: nobody in particular */
    bool not_writer;                    /* leave the writer's node out if another will do */
    struct nn_node *const *have;        /* nodes that hold the block already: not chosen, but their racks count */
    size_t have_count;
    struct nn_node *const *exclude;
    size_t exclude_count;
    const char *const *favor;           /* hosts, or host:port, tried before all others */
    size_t favor_count;
    uint64_t now_ms, stale_ms;          /* mono; a node silent for longer than stale_ms is refused */
};

/*
 * Choose up to ask->count storages, each on a node of its own; returns how many
 * were found.  refusals (may be NULL) gets " host:port: reason" for each node
 * that did not fit, with ";" between them.
 */
size_t nn_place_plan(const struct nn_nodes *t, const struct nn_place_ask *ask, struct rng *rng,
                     struct nn_storage **ret, struct buf *refusals);

/* How far a reader at host is from n: 0 same host, 2 same rack, 4 elsewhere; rack is the reader's. */
unsigned nn_place_distance(const char *host, const char *rack, const char *node_host, const char *node_rack);

#endif
