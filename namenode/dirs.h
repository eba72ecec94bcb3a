/*
 * dirs -- directories that paths lead through, remembered by a connection.
 *
 * Owns the entries of one struct nn_db.  They spare a lookup in the tables for
 * each component of a path but its last, which is always read.
 *
 * On the core's connection entries equal the rows at any time: whoever changes
 * the row of a directory says so here (nn_dirs_count, nn_dirs_forget), and a
 * rollback forgets all.  On a reader's they may be used inside a read
 * transaction that shows no other directories than the one that they were read
 * in (nn_dirs_begin); what an entry says of children and times may be old there.
 */
#ifndef NAMENODE_DIRS_H
#define NAMENODE_DIRS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "namenode/db.h"
#include "namenode/inode.h"

/* The entry of parent (0: of the root, whose name is empty) with that name; false when it is not known. */
bool nn_dirs_find(const struct nn_db *db, uint64_t parent, struct span name, struct nn_inode *ret);
void nn_dirs_add(struct nn_db *db, uint64_t parent, struct span name, const struct nn_inode *dir);

/* Edits: a directory gains or loses an entry; what the row of an inode says is not what it was, or it is gone. */
void nn_dirs_count(struct nn_db *db, uint64_t dir, int change, uint64_t at_ms);
void nn_dirs_forget(struct nn_db *db, uint64_t inode);
void nn_dirs_forget_all(struct nn_db *db);

/*
 * Which directories the tables show, as a number that is odd while a COMMIT
 * changes some of them.  The core calls nn_dirs_changing before and after such
 * a COMMIT; a reader loads it before its read transaction sees anything, and
 * nn_dirs_begin compares it when the transaction has seen something: equal and
 * even, the transaction shows the directories of that number.
 */
typedef _Atomic uint64_t nn_dirs_number;

void nn_dirs_changing(nn_dirs_number *number);
uint64_t nn_dirs_load(const nn_dirs_number *number);
void nn_dirs_begin(struct nn_db *db, uint64_t before, const nn_dirs_number *number);
void nn_dirs_end(struct nn_db *db);     /* the transaction ends: nothing is used or remembered */

#endif
