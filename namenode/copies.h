/*
 * copies -- the further directories of dfs.namenode.name.dir: each group's row of
 * the log goes to a file in every one of them, and now and then a backup of the
 * database, so that the namespace survives the loss of the first directory.
 *
 * Each directory has a thread of its own, which writes and syncs a record while
 * the core's COMMIT runs; the core answers the group when both are done.  A
 * directory that fails, or takes longer than millrace.namenode.name-dir.timeout,
 * is dropped with a word in the log and nobody waits for it again; it comes back
 * at a restart, with a new backup.  One more thread makes backups and looks
 * whether files are still where they were.
 *
 * Owns: struct nn_copies with a lock; what is in it changes under the lock.
 * Invariant: a copy that was not dropped is at most one group ahead of the
 * database, and never behind what was acknowledged.
 */
#ifndef NAMENODE_COPIES_H
#define NAMENODE_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

struct nn;
struct nn_copies;
struct nn_core;

/*
 * Lock and read dirs[0..n).  One that cannot be used is dropped at once.
 * RC_BUSY: another NameNode has it; RC_NOMEM.
 */
enum rc nn_copies_open(struct nn *nn, char *const *dirs, size_t n, struct nn_copies **ret, struct why *why) MUST_CHECK;
void nn_copies_free(struct nn_copies *c);       /* after nn_copies_stop; NULL is fine */

/* RC_CORRUPT when a copy knows a namespace and the first directory has none: why says what to do. */
enum rc nn_copies_check_missing(const struct nn_copies *c, const char *db_path, struct why *why) MUST_CHECK;

/* Put what to do before why's text, when the database cannot be opened and a copy could replace it. */
enum rc nn_copies_advise(const struct nn_copies *c, struct why *why);

/*
 * Compare with the open database.  A copy one group ahead: that group was being
 * committed, or the database lost it; it is applied now.  RC_CORRUPT when one is
 * further ahead or of another namespace.
 */
enum rc nn_copies_settle(struct nn_copies *c, struct nn_core *core, struct why *why) MUST_CHECK;

/* Begin a segment in each directory after transaction txid, and start the threads. */
enum rc nn_copies_start(struct nn_copies *c, uint64_t txid, struct why *why) MUST_CHECK;

/* End the threads.  false: one is stuck in a call to its disk and was left behind; then nothing may be freed. */
bool nn_copies_stop(struct nn_copies *c);

/* The core thread.  begin: hand the row to every copy; wait: until it is on their disks; undo: it was not committed, false
 * when a copy that was dropped meanwhile may hold it, so that the next start would do it after all. */
enum rc nn_copies_begin(struct nn_copies *c, uint64_t txid, uint64_t at_ms, struct span row, struct why *why) MUST_CHECK;
void nn_copies_wait(struct nn_copies *c);
bool nn_copies_undo(struct nn_copies *c) MUST_CHECK;

bool nn_copies_exist(const struct nn_copies *c);        /* there are further directories, dropped or not; any thread */

/* How many directories get the log, and could replace the database now. */
size_t nn_copies_live(struct nn_copies *c);
size_t nn_copies_ready(struct nn_copies *c);

#endif
