/*
 * recovery -- files without a writer, and files that are being cut, until they are closed.
 *
 * Owns: the table recoveries, one row a file (EDIT_RECOVERY sets it; the edit
 * that closes or deletes the file removes it), and, in memory, which DataNode
 * leads the present attempt and how long it may take.  Core thread only.
 * Invariants: a file with a row is open and nobody writes it, whoever its lease
 * names; the stamp of an attempt is given to one DataNode, once, and a result
 * that names another stamp than the row is refused.
 */
#ifndef NAMENODE_RECOVERY_H
#define NAMENODE_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/rc.h"
#include "core/proto/datanode.pb-c.h"
#include "core/rpc/server.h"
#include "namenode/core.h"
#include "namenode/inode.h"
#include "namenode/node.h"

/* Who has the lease of a file that the NameNode closes. */
#define NN_INTERNAL_HOLDER "HDFS_NameNode"

struct nn_recovery {
    uint64_t inode;
    uint64_t block;             /* 0: no attempt yet */
    uint64_t stamp;             /* of the last attempt; 0: none yet */
    bool is_truncate;
    uint64_t bytes;             /* that the last block is cut to */
};

/* What is under way in memory, a row each; recovery.c. */
struct nn_recovery_try;

enum rc nn_recovery_find(struct nn_db *db, uint64_t inode, struct nn_recovery *ret, bool *ret_found, struct why *why) MUST_CHECK;

/*
 * The writer of an open file is gone or is to stop: close the file at once if
 * every block is stored, otherwise begin to recover the last one.  *ret_closed:
 * it is closed, or there is no such open file.
 */
enum rc nn_recovery_begin(struct nn_core *core, uint64_t inode, bool *ret_closed, struct why *why) MUST_CHECK;

/* The first half of it: edits only if the file can be closed now. */
enum rc nn_recovery_close_now(struct nn_core *core, const struct nn_inode *file, bool *ret_closed, struct why *why) MUST_CHECK;

/* An edit put a row there: the first attempt is due. */
void nn_recovery_due(struct nn_core *core, uint64_t inode);

/* What a DataNode that led an attempt has to say. */
enum rc nn_recovery_commit(struct nn_core *core, struct rpc_call *call, const struct nn_node *n,
                           const DnCommitRecoveryRequest *req, struct why *why) MUST_CHECK;
/* n's order with that number failed: if it was to lead an attempt that counts, the next one is due.  False: it was not. */
bool nn_recovery_failed(struct nn_core *core, struct block_id block, const struct nn_node *n, uint64_t seq);
/* n registered again, or died: it leads nothing any more. */
void nn_recovery_drop_node(struct nn_core *core, const struct nn_node *n);

/* Forget what is in memory: the rows say what there is, every attempt begins again. */
struct nn_blocks;
void nn_recovery_forget(struct nn_blocks *b);

#endif
