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

/* The first location that did not fail: the NameNode gives the nearest first.  -1 when all did. */
int replica_choose(const struct fs_location *l, size_t n, const struct replica_set *failed);

#endif
