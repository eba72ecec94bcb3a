/*
 * dn_namenode -- a NameNode for tests of DataNodes: it takes everything, orders nothing
 * and remembers what it was told.
 */
#ifndef TESTS_CLUSTER_DN_NAMENODE_H
#define TESTS_CLUSTER_DN_NAMENODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/world.h"
#include "core/io/thread.h"
#include "core/proto/datanode.pb-c.h"
#include "core/rpc/server.h"

#define POOL "BP-7-127.0.0.1-9"

struct namenode {
    struct world world;
    struct rpc_server *server;
    struct mutex *mu;
    struct cond *changed;
    struct rpc_call *waiting;       /* for orders that never come */
    struct rpc_call *held;          /* blocksChanged calls, while hold is set */
    bool hold;
    unsigned received;              /* replicas that were reported finalized */
    uint64_t last_bytes, last_stamp;
};

void nn_start(struct namenode *nn, const struct world *w);
void nn_stop(struct namenode *nn);                  /* after the last DataNode has gone */
void nn_let_go(struct namenode *nn, struct rpc_call **list);   /* answer the calls of the list; nothing is held any more */

#endif
