/*
 * roster -- which storages hold which block.
 *
 * Owns: the overlay, which is the latest list of each block whose list changed
 * since it was last written.  The rows are in the table roster(block, packed),
 * packed as docs/formats/roster.md says.  Changes go to the overlay
 * and reach the table with nn_roster_flush, in block order, inside whatever
 * transaction is open; the overlay forgets them only after that transaction is
 * known to have committed.
 * Core thread only.  Readers read the table, which is at most a second behind.
 */
#ifndef NAMENODE_ROSTER_H
#define NAMENODE_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/proto/ids.h"
#include "namenode/db.h"
#include "namenode/replica.h"

struct nn_roster;

/* The list as it is in the table; for readers.  why is not NULL here and below. */
enum rc nn_roster_read(struct nn_db *db, struct block_id block, struct nn_replicas *ret, struct why *why) MUST_CHECK;

/* db (borrowed) is the core's. */
enum rc nn_roster_new(struct nn_db *db, struct nn_roster **ret, struct why *why) MUST_CHECK;
void nn_roster_free(struct nn_roster *ro);

/* The list of a block, empty if it has none. */
enum rc nn_roster_get(struct nn_roster *ro, struct block_id block, struct nn_replicas *ret, struct why *why) MUST_CHECK;
/* Set the list of a block.  Memory only; an empty list removes the row at the next flush. */
enum rc nn_roster_put(struct nn_roster *ro, struct block_id block, const struct nn_replicas *list,
                      struct why *why) MUST_CHECK;

size_t nn_roster_dirty(const struct nn_roster *ro);     /* lists that the table does not have yet */
/* Write what is dirty, in block order, in the open transaction. */
enum rc nn_roster_flush(struct nn_roster *ro, struct why *why) MUST_CHECK;
/*
 * Called once a group at most: forgets what was flushed before the call before
 * this one, which is in a transaction that has committed since.
 */
void nn_roster_next_round(struct nn_roster *ro);
/* The open transaction was undone: what was flushed and may have been in it is dirty again. */
void nn_roster_rolled_back(struct nn_roster *ro);

/*
 * Call fn for the rows with first <= block <= last, in block order, at most limit rows, after a flush.
 * *ret_next is where to go on, 0 at the end.  fn must not change the roster's table; it may put.
 */
typedef enum rc nn_roster_fn(void *arg, struct block_id block, const struct nn_replicas *list, struct why *why);
enum rc nn_roster_each(struct nn_roster *ro, struct block_id first, struct block_id last, size_t limit,
                       nn_roster_fn *fn, void *arg, struct block_id *ret_next, struct why *why) MUST_CHECK;

#endif
