/*
 * method -- RPC methods as rows.
 *
 * A protocol is a .def table of rows
 *     RPC(method, "wireName", Request, Reply, flags)
 * and a `service` in a .proto file, whose descriptor gives the messages.  The
 * rows expand to handler prototypes, the dispatch table and client stubs;
 * rpc_protocol_init joins them with the service's descriptors by wire name.
 */
#ifndef CORE_RPC_METHOD_H
#define CORE_RPC_METHOD_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

enum rpc_flags {
    RPC_READ = 1,           /* answered by a reader thread */
    RPC_WRITE = 2,          /* runs on the core thread, inside the group */
    RPC_CORE = 4,           /* runs on the core thread but changes soft state only */
    RPC_WAIT = 8,           /* may be held for long; its handler answers later */
    RPC_IDEMPOTENT = 16,    /* a client may repeat it blindly */
    RPC_AT_MOST_ONCE = 32,  /* a client may repeat it: the retry cache answers */
    RPC_IN_SAFE_MODE = 64,  /* a write that safe mode allows */
    RPC_SUPERUSER = 128,    /* refused to others before the handler runs */
};

struct rpc_method {
    const char *name;                                   /* on the wire */
    unsigned flags;
    const ProtobufCMessageDescriptor *request, *reply;  /* filled by rpc_protocol_init */
};

struct rpc_protocol {
    const char *name;               /* Java interface name, "org.apache.hadoop.hdfs.protocol.ClientProtocol" */
    uint64_t version;
    struct rpc_method *methods;     /* caller's, one for each row, in row order */
    size_t method_count;
};

/* Fill each method's descriptors from service; RC_BUG when a row has no method there. */
enum rc rpc_protocol_init(struct rpc_protocol *p, const ProtobufCServiceDescriptor *service, struct why *why) MUST_CHECK;

#endif
