/*
 * method -- RPC methods as rows.
 *
 * A protocol is a .def table of rows
 *     RPC(method, "wireName", Request, Reply, flags)
 * and a `service` in a .proto file, whose descriptor gives the messages.  The
 * rows expand to handler prototypes, dispatch tables and row numbers; all of it
 * is constant.  core/rpc/protocols.h has those that we speak.
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
    const char *name;       /* on the wire */
    unsigned flags;
};

struct rpc_protocol {
    const char *name;       /* Java interface name, "org.apache.hadoop.hdfs.protocol.ClientProtocol" */
    uint64_t version;
    const ProtobufCServiceDescriptor *service;
    const struct rpc_method *methods;
    size_t method_count;
};

/* The messages of a row: request in ->input, reply in ->output.  RC_BUG when the service has no such method. */
enum rc rpc_method_messages(const struct rpc_protocol *p, size_t index, const ProtobufCMethodDescriptor **ret,
                            struct why *why) MUST_CHECK;

#endif
