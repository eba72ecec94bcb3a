/*
 * located -- blocks and their places between messages and the library's structs.
 *
 * Everything made here is in the caller's arena.  The fs_put functions return
 * NULL when the arena is full; messages that they make borrow the strings of
 * what they were made from.
 */
#ifndef DFSCLIENT_LOCATED_H
#define DFSCLIENT_LOCATED_H

#include "core/proto/datatransfer.pb-c.h"
#include "core/proto/hdfs.pb-c.h"
#include "dfsclient/fs.h"

enum rc fs_take_location(const DatanodeInfoProto *d, struct arena *a, struct fs_location *ret, struct why *why) MUST_CHECK;
enum rc fs_take_block(const LocatedBlockProto *b, struct arena *a, struct fs_block *ret, struct why *why) MUST_CHECK;
enum rc fs_take_token(const TokenProto *t, struct arena *a, struct fs_token *ret, struct why *why) MUST_CHECK;
/* dir NULL: the name is path itself. */
enum rc fs_take_status(const HdfsFileStatusProto *s, const char *path, const char *dir, struct arena *a,
                       struct fs_status *ret, struct why *why) MUST_CHECK;

/* Copy into another arena. */
enum rc fs_copy_location(const struct fs_location *l, struct arena *a, struct fs_location *ret, struct why *why) MUST_CHECK;
enum rc fs_copy_block(const struct fs_block *b, struct arena *a, struct fs_block *ret, struct why *why) MUST_CHECK;

ExtendedBlockProto *fs_put_block(struct arena *a, const struct fs_block *b, uint64_t bytes);
DatanodeIDProto *fs_put_node_id(struct arena *a, const struct fs_location *l);
DatanodeInfoProto *fs_put_node(struct arena *a, const struct fs_location *l);
/* An array of n nodes; NULL also when n is 0. */
DatanodeInfoProto **fs_put_nodes(struct arena *a, const struct fs_location *l, size_t n);
/* The header of an operation of a client; client_name NULL for one that wants only the base header. */
BaseHeaderProto *fs_put_base_header(struct arena *a, const struct fs_block *b, uint64_t bytes);
ClientOperationHeaderProto *fs_put_header(struct arena *a, const struct fs_block *b, uint64_t bytes, const char *client_name);

/* "10.0.0.1:9866", as firstBadLink names a node. */
const char *fs_location_text(const struct fs_location *l, char out[300]);
bool fs_same_node(const struct fs_location *a, const struct fs_location *b);

#endif
