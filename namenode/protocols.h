/*
 * protocols -- the tables of methods that one NameNode hands to its RPC server.
 */
#ifndef NAMENODE_PROTOCOLS_H
#define NAMENODE_PROTOCOLS_H

#include <stddef.h>

#include "core/base/rc.h"

struct rpc_protocol;

struct nn_protocols {
    struct rpc_protocol *list;
    size_t count;
};

enum rc nn_protocols_new(struct nn_protocols *ret, struct why *why) MUST_CHECK;
void nn_protocols_fini(struct nn_protocols *p);

#endif
