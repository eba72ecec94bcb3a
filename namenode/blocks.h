/*
 * blocks -- blocks, replicas and DataNodes: what the frame asks of them.
 *
 * Owns: struct nn_blocks, the soft state (nodes, load, pending work, roster
 * overlay), core thread only; and the tables blocks, roster and freed.
 */
#ifndef NAMENODE_BLOCKS_H
#define NAMENODE_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/proto/hdfs.pb-c.h"

struct nn_core;
struct nn_blocks;
struct nn_nodes_view;
struct nn_inode;
struct nn_reader;
struct rpc_call;

/* Read what soft state needs from the tables. */
enum rc nn_blocks_new(struct nn_core *core, struct nn_blocks **ret, struct why *why) MUST_CHECK;
void nn_blocks_free(struct nn_blocks *b);

/* The open group is on disk; or it was undone, and soft state that followed its edits is to be planned anew. */
void nn_blocks_committed(struct nn_core *core);
void nn_blocks_undone(struct nn_core *core);

/* An edit of the open group put rows into the table freed: their replicas are to be deleted soon. */
void nn_blocks_freed(struct nn_core *core);

/* The writer of an open file is gone.  *ret_may: it can be closed with *ret_length bytes, because no block of it is open;
 * committed blocks whose replicas are there become complete (edits). */
enum rc nn_blocks_may_close(struct nn_core *core, const struct nn_inode *file, uint64_t *ret_length, bool *ret_may,
                            struct why *why) MUST_CHECK;

/* The replication wanted for a file has changed in the open group: its blocks may have too few replicas or too many. */
enum rc nn_blocks_recount(struct nn_core *core, uint64_t inode, struct why *why) MUST_CHECK;

/* Where the blocks of a file are, for a listing or status with locations; in the call's arena. */
enum rc nn_blocks_locate_all(struct nn_reader *r, struct rpc_call *call, const struct nn_inode *file,
                             LocatedBlocksProto **ret, struct why *why) MUST_CHECK;

/* Safe mode refuses this call, but it is the one after a start, which ends by itself soon: true when the call is kept, to be
 * tried again then, or refused after a bounded time. */
bool nn_blocks_park(struct nn_core *core, struct rpc_call *call);

/* Before the RPC server goes: end every held call. */
void nn_blocks_stop(struct nn_core *core);

/* For a snapshot: an immutable copy of what readers see.  Freed by the last reader, on any thread. */
enum rc nn_nodes_view_new(const struct nn_core *core, struct nn_nodes_view **ret, struct why *why) MUST_CHECK;
void nn_nodes_view_free(struct nn_nodes_view *v);

#endif
