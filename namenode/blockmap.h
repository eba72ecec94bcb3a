/*
 * blockmap -- the core's knowledge of blocks, replicas and DataNodes.
 *
 * struct nn_blocks is what hangs off core->blocks: the DataNodes, the roster's
 * overlay, the work that is due, safe mode, the sweep.  Core thread only.
 *
 * The sweep walks all blocks in bounded steps whenever something changed that
 * concerns many of them: at start, when a storage's report is complete, when a
 * node dies, when nodes are to be decommissioned.  It fills the work tables,
 * counts what safe mode waits for, and counts replicas of each storage.
 */
#ifndef NAMENODE_BLOCKMAP_H
#define NAMENODE_BLOCKMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/rpc/server.h"
#include "namenode/block.h"
#include "namenode/blocks.h"
#include "namenode/core.h"
#include "namenode/node.h"
#include "namenode/repl.h"
#include "namenode/replica.h"
#include "namenode/roster.h"
#include "namenode/safemode.h"
#include "namenode/work.h"

/* A complete() that waits for replicas to be reported. */
struct nn_hold {
    struct rpc_call *call;
    uint64_t inode;
    uint64_t until_ms;          /* mono: then the answer is "not yet" */
    struct nn_hold *next;
};

struct nn_sweep {
    bool wanted, running;
    struct block_id next;       /* where it goes on */
    uint64_t blocks, safe;      /* counted so far */
    uint64_t done_ms;           /* mono: when the last one ended; 0: none has */
};

/* A file of configuration that is read again now and then. */
struct nn_text { char *p; size_t n; };

struct nn_blocks {
    struct nn_nodes nodes;
    struct nn_roster *roster;
    struct nn_work *work;
    struct nn_safemode safe;
    struct nn_safemode_facts facts;     /* as of the last sweep */
    struct nn_sweep sweep;
    struct nn_hold *holds;
    struct rpc_call *parked, **parked_end;      /* in order of arrival */
    size_t parked_count;
    bool nodes_unsaved;                 /* nodes or storages are not in the tables yet */
    bool heard;                         /* heartbeats have come since the last view */
    uint64_t viewed_changes;            /* nodes.changes in the last view */
    struct block_id freed_next;
    struct nn_recovery_try *recoveries; /* uthash; recovery.c */
    uint64_t recovery_next;             /* where the next round over the rows goes on */
    bool recovering;                    /* there may be rows */
    bool hashing;                       /* a pass over the roster is under way, hashing.c; it goes on at */
    struct block_id hashing_next;
    uint64_t texts_read_ms;
    struct nn_text racks, hosts, excluded;
};

#define NN_PARK_MS 15000                /* a call waits at most this long for safe mode to end after a start */
#define NN_PARKED_MAX 10000
#define NN_HOLD_MS 10000                /* a complete() is answered "not yet" after this */
#define NN_EXPECT_MS 10000              /* a pipeline's replicas that were not reported by then are not counted on */

/* Set (or with NULL remove) the replica of block on a storage, and look at the block again. */
enum rc nn_replica_set(struct nn_core *core, struct block_id block, const struct nn_replica *r, struct why *why) MUST_CHECK;
enum rc nn_replica_gone(struct nn_core *core, struct block_id block, uint32_t storage, struct why *why) MUST_CHECK;

/* Replace the list of a block that an edit of the open call also writes. */
enum rc nn_replicas_set(struct nn_core *core, struct block_id block, const struct nn_replicas *list, struct why *why) MUST_CHECK;

/* What the block needs now, into the work tables. */
enum rc nn_block_look(struct nn_core *core, struct block_id block, struct why *why) MUST_CHECK;
enum rc nn_block_weigh(struct nn_core *core, const struct nn_block *b, const struct nn_replicas *list, struct why *why) MUST_CHECK;

/* The plan for a block; copies points into scratch[list->n]. */
void nn_block_plan(struct nn_core *core, const struct nn_block *b, const struct nn_replicas *list, bool no_room,
                   struct nn_repl_copy *scratch, struct nn_repl_plan *ret);

/* Replicas of that stamp and length that are finalized on nodes that are not dead. */
unsigned nn_block_reported(const struct nn_blocks *b, const struct nn_replicas *list, uint64_t stamp, uint64_t bytes);

/* The packed list, in arena: for an edit.  Storages are in their table before it. */
enum rc nn_roster_packed(struct nn_core *core, struct arena *arena, const struct nn_replicas *list, struct span *ret,
                         struct why *why) MUST_CHECK;
enum rc nn_nodes_save(struct nn_core *core, struct why *why) MUST_CHECK;

/* Walk all blocks again, soon. */
void nn_sweep_want(struct nn_core *core);
/* A bounded step; called in a group. */
enum rc nn_sweep_step(struct nn_core *core, struct why *why) MUST_CHECK;

/* Give waiting nodes their orders. */
void nn_orders_kick(struct nn_core *core);
/* Answer a node's held waitOrders with what there is. */
void nn_orders_answer(struct nn_core *core, struct nn_node *n);

/* Safe mode with the facts of now; sets core->safe_mode. */
void nn_safemode_look(struct nn_core *core);

/* What has been seen by a DataNode and is not here puts the NameNode in safe mode for good. */
void nn_behind_check(struct nn_core *core, const struct nn_node *n, uint64_t txid, uint64_t block, uint64_t stamp);

/* The node died, or registers again: what it was doing is planned anew. */
enum rc nn_node_drop_work(struct nn_core *core, struct nn_node *n, struct why *why) MUST_CHECK;

/* Racks and decommissioning, from the files of the configuration. */
void nn_node_place(struct nn_core *core, struct nn_node *n);
bool nn_node_is_allowed(struct nn_core *core, const struct nn_node *n);

/* Is every block of the file complete, or has it enough replicas to be? */
enum rc nn_file_is_stored(struct nn_core *core, uint64_t inode, bool *ret, struct why *why) MUST_CHECK;

/* A replica of this block was reported: a complete() may wait for it. */
void nn_holds_hurry(struct nn_core *core);
enum rc nn_hold_add(struct nn_core *core, struct rpc_call *call, uint64_t inode, struct why *why) MUST_CHECK;

#endif
