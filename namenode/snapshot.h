/*
 * snapshot -- the core's soft state as readers see it.
 *
 * Immutable once published.  The core publishes a new one before the replies
 * that depend on it are released; a reader holds one reference while it serves
 * a batch.  The counter is guarded by nn->lock.
 */
#ifndef NAMENODE_SNAPSHOT_H
#define NAMENODE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

struct nn;
struct nn_core;
struct nn_nodes_view;       /* DataNodes, storages and block counts: nodes_view.h */

struct nn_snapshot {
    unsigned refs;
    uint64_t txid;                  /* committed when it was made */
    struct nn_nodes_view *nodes;    /* owned; NULL before the first DataNode */
};

/* Make one from the core's soft state and publish it. */
enum rc nn_snapshot_publish(struct nn_core *core, struct why *why) MUST_CHECK;

const struct nn_snapshot *nn_snapshot_ref(struct nn *nn);   /* the latest */
void nn_snapshot_unref(struct nn *nn, const struct nn_snapshot *s);

#endif
