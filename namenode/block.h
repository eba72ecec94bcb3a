/*
 * block -- rows of the table blocks, and the edits that change them.
 *
 * A block belongs to one file.  It is open while it is being written, committed
 * once its writer has said how long it is, complete once enough replicas of
 * that length and stamp were reported.
 */
#ifndef NAMENODE_BLOCK_H
#define NAMENODE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/proto/ids.h"
#include "namenode/db.h"

enum nn_block_state { NN_BLOCK_OPEN = 0, NN_BLOCK_COMMITTED = 1, NN_BLOCK_COMPLETE = 2 };

struct nn_block {
    struct block_id id;
    uint64_t inode, idx;
    uint64_t bytes, stamp;
    enum nn_block_state state;
    uint32_t replication;       /* of its file */
};

/* *ret_found false: no file has it; *ret untouched.  why is not NULL here and below. */
enum rc nn_block_find(struct nn_db *db, struct block_id id, struct nn_block *ret, bool *ret_found, struct why *why) MUST_CHECK;

/* The last block of a file in ret[0], the one before in ret[1]; *ret_count is 0, 1 or 2. */
enum rc nn_block_last(struct nn_db *db, uint64_t inode, struct nn_block ret[2], size_t *ret_count, struct why *why) MUST_CHECK;

/* Up to max blocks of a file from number idx on. */
enum rc nn_block_list(struct nn_db *db, uint64_t inode, uint64_t idx, struct nn_block *ret, size_t max, size_t *ret_count,
                      struct why *why) MUST_CHECK;

/* How many blocks a file has, and their bytes. */
enum rc nn_block_sum(struct nn_db *db, uint64_t inode, uint64_t *ret_count, uint64_t *ret_bytes, struct why *why) MUST_CHECK;

/* Is block among those that belong to no file any more? */
enum rc nn_block_is_freed(struct nn_db *db, struct block_id id, bool *ret, struct why *why) MUST_CHECK;

/* Read the columns BLOCK_COLUMNS of a row. */
void nn_block_read(sqlite3_stmt *st, struct nn_block *ret);

#endif
