/*
 * replica -- which replica to read: pure choices over locations.
 *
 * A set names the nodes that failed for one block; it holds a bounded number,
 * more than replicas that a block has.
 */
#ifndef DFSCLIENT_REPLICA_H
#define DFSCLIENT_REPLICA_H

#include "dfsclient/fs.h"

#define REPLICA_SET_MAX 64

struct replica_set {
    uint64_t hashes[REPLICA_SET_MAX];   /* of node UUIDs */
    size_t n;
};

void replica_set_clear(struct replica_set *s);
void replica_set_add(struct replica_set *s, const char *node_uuid);
bool replica_set_has(const struct replica_set *s, const char *node_uuid);

/* How many of the locations did not fail. */
size_t replica_left(const struct fs_location *l, size_t n, const struct replica_set *failed);

/*
 * The first location that did not fail: the NameNode gives the nearest first.  Suspects,
 * which failed with other blocks, come last.  -1 when all failed.
 */
int replica_choose(const struct fs_location *l, size_t n, const struct replica_set *failed,
                   const struct replica_set *suspects);

#endif
