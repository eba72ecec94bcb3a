/*
 * asked -- what clients say about nodes and storages, found in the core's tables.
 */
#ifndef NAMENODE_ASKED_H
#define NAMENODE_ASKED_H

#include "core/base/arena.h"
#include "core/proto/client_namenode.pb-c.h"
#include "namenode/blockmap.h"

/* The nodes that are known, by uuid, else by address; the rest is left out. */
enum rc nn_asked_nodes(struct nn_core *core, struct arena *arena, DatanodeInfoProto *const *list, size_t n,
                       struct nn_node *const **ret, size_t *ret_n, struct why *why) MUST_CHECK;
struct nn_node *nn_asked_node(const struct nn_core *core, struct arena *arena, const DatanodeIDProto *id);

/* The storage of that uuid; else, on that node, its only or first one; NULL if unknown. */
struct nn_storage *nn_asked_storage(const struct nn_core *core, struct arena *arena, const ProtobufCBinaryData *uuid,
                                    const DatanodeIDProto *node);

/* As NUL-terminated texts. */
enum rc nn_asked_texts(struct arena *arena, const ProtobufCBinaryData *list, size_t n, const char *const **ret,
                       struct why *why) MUST_CHECK;

/* A located block on these storages; false: no memory. */
bool nn_asked_located(struct nn_core *core, struct arena *arena, struct block_id id, uint64_t stamp, uint64_t bytes,
                      uint64_t offset, struct nn_storage *const *at, size_t n, LocatedBlockProto **ret);

#endif
