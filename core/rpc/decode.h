/*
 * decode -- protobuf messages into an arena.
 *
 * The message and all it points to live in the arena; the bytes it came from
 * may go.  What cannot be read is said as Hadoop says it, with the names of
 * required fields that are missing.
 */
#ifndef CORE_RPC_DECODE_H
#define CORE_RPC_DECODE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "core/base/arena.h"
#include "core/base/rc.h"

/* RC_BAD_MESSAGE when p is no such message, or would not fit into the arena; RC_NOMEM. */
enum rc rpc_decode(const ProtobufCMessageDescriptor *d, struct arena *a, const void *p, size_t n,
                   ProtobufCMessage **ret, struct why *why) MUST_CHECK;

/* An arena as protobuf-c's allocator. */
ProtobufCAllocator arena_pb(struct arena *a);

/* A text into a bytes field, in the arena; NULL data when it is full. */
ProtobufCBinaryData rpc_text(struct arena *a, const char *s);

#endif
