/*
 * replica -- the copies of one block, and how a list of them is packed.
 *
 * A packed list is, for each replica, three varints: storage << 2 | state,
 * stamp, bytes (docs/formats/roster.md).
 */
#ifndef NAMENODE_REPLICA_H
#define NAMENODE_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

enum nn_replica_state {     /* two bits of the packed form */
    NN_FINALIZED,           /* whole, as far as its storage knows */
    NN_WRITING,             /* being written, or expected to be: chosen for the pipeline */
    NN_CORRUPT,             /* failed verification or has the wrong length */
    NN_SUSPECT,             /* was whole, but could not be read: its storage tries again */
};

/* One copy of a block on one storage. */
struct nn_replica {
    uint32_t storage;       /* number of the storage (node.h) */
    enum nn_replica_state state;
    uint64_t stamp;
    uint64_t bytes;
};

/* Replicas of one block, in order of arrival, at most one a storage. */
#define NN_REPLICAS_MAX 600
struct nn_replicas {
    size_t n;
    struct nn_replica r[NN_REPLICAS_MAX];
};

struct nn_replica *nn_replicas_find(struct nn_replicas *list, uint32_t storage);   /* NULL if none */
/* Add, or replace the one on the same storage; false when the list is full or nothing changed. */
bool nn_replicas_put(struct nn_replicas *list, const struct nn_replica *r);
bool nn_replicas_remove(struct nn_replicas *list, uint32_t storage);               /* false if there was none */

/* The packed form, appended to b; and back: RC_CORRUPT when the bytes are not a list. */
void nn_replicas_pack(const struct nn_replicas *list, struct buf *b);
enum rc nn_replicas_unpack(const void *p, size_t n, struct nn_replicas *ret, struct why *why) MUST_CHECK;
#define NN_REPLICAS_PACKED_MAX (NN_REPLICAS_MAX * 30)

#endif
