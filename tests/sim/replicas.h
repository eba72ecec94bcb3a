/*
 * replicas -- no replica goes while too few others are left.
 *
 * Owns: the blocks of files that were closed, as the client was told of them.
 * At the moment when a DataNode takes a good replica of one away, the others'
 * disks must hold as many good ones as the file asks for: the same stamp, the
 * whole length.  A machine that is down keeps its disk.
 */
#ifndef TESTS_SIM_REPLICAS_H
#define TESTS_SIM_REPLICAS_H

#include <stdint.h>

#include "dfsclient/fs.h"
#include "tests/sim/cluster.h"
#include "tests/sim/workload.h"

#define REPLICAS_MAX 1000

struct replica_block {
    uint64_t id, stamp, bytes;
    const struct name *name;
};

struct replicas {
    struct cluster *c;
    struct replica_block blocks[REPLICAS_MAX];
    size_t count;
    unsigned looked_at;         /* deletions of good replicas of files that are there */
};

/* The blocks of a closed file; forgets what was known of it before. */
void replicas_note(struct replicas *r, const struct name *name, const struct fs_block *blocks, size_t n);

/* For sim_on_name_gone.  The history fails when a good replica goes that was needed. */
void replicas_on_name_gone(void *replicas, struct sim_node *n, const char *path, const char *to);

#endif
