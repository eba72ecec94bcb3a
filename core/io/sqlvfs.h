/*
 * sqlvfs -- SQLite over struct io, and databases opened the way all of ours are.
 *
 * The VFS reads and writes through a struct io, so the same code runs on the
 * kernel's files and on the simulator's disk.  One process owns a database (an
 * exclusive lock taken at the first open; RC_BUSY for a second process), so the
 * WAL index is plain memory shared by the connections of that process.
 *
 * Pages are 4096 bytes, of which the last 8 hold the page's number and a CRC32C
 * (docs/formats/database.md): a damaged or misplaced page is RC_CORRUPT, never
 * an answer.  After an I/O error in a write or a sync, every later write and sync
 * of the same VFS fails: what is on the disk is unknown.
 */
#ifndef CORE_IO_SQLVFS_H
#define CORE_IO_SQLVFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"

/*
 * A registered VFS on this world's files, clock and randomness.  Several may
 * live in one process (one a simulated node), also with the same name.  Free it
 * after its last connection.
 */
struct sqlvfs;
enum rc sqlvfs_new(const struct world *w, const char *name, struct sqlvfs **ret, struct why *why) MUST_CHECK;
void sqlvfs_free(struct sqlvfs *v);

/*
 * Take every VFS on this world's files off SQLite's list and leave their memory
 * alone: for the simulator, when a node is gone without running its code.
 */
void sqlvfs_forget(const struct world *w);

/*
 * Open path: WAL, synchronous=FULL, wal_autocheckpoint=0, foreign_keys off,
 * secure_delete off, temp_store in memory; a writer creates it if it is missing.
 * A reader opens query_only and never checkpoints.  Extended result codes on.
 * One thread at a time may use the connection.
 */
enum rc db_open(struct sqlvfs *v, const char *path, bool writer, sqlite3 **ret, struct why *why) MUST_CHECK;

/*
 * A new file at path that is to become a copy of a database, with room for
 * checksums; nothing is set up beyond that.  It must be missing.
 */
enum rc db_create_plain(struct sqlvfs *v, const char *path, sqlite3 **ret, struct why *why) MUST_CHECK;

/*
 * From now on a COMMIT of this writing connection returns when its frames are written, before they are synced; db_sync makes
 * durable what was committed before it was called.  Checkpoints go on syncing for themselves.  The connection has read or
 * written something.  *ret: good until it is closed.
 */
struct db_wal;
enum rc db_defer_sync(sqlite3 *db, struct db_wal **ret, struct why *why) MUST_CHECK;

/* Any thread, also while the connection is used.  RC_IO: what is on the disk is unknown, and nothing is written any more. */
enum rc db_sync(struct db_wal *wal, struct why *why) MUST_CHECK;

/* Memory for this connection's page cache; 2 MB unless set. */
enum rc db_cache(sqlite3 *db, uint64_t bytes, struct why *why) MUST_CHECK;

/* The code for an SQLite result, with sqlite3_errmsg in why: SQLITE_FULL is RC_NO_SPACE, IOERR RC_IO, CORRUPT RC_CORRUPT. */
enum rc db_why(sqlite3 *db, int sql_rc, struct why *why, const char *what);

/* Run statements that return nothing. */
enum rc db_exec(sqlite3 *db, const char *sql, struct why *why) MUST_CHECK;

/* Prepare a statement that is kept (SQLITE_PREPARE_PERSISTENT). */
enum rc db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct why *why) MUST_CHECK;

#endif
