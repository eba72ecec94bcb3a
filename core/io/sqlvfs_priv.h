/*
 * sqlvfs_priv -- what the three parts of the VFS share: sqlvfs.c (files),
 * sqlshare.c (locks and the WAL index among the connections of one process) and
 * db.c (opening, errors).
 *
 * Owns: one struct vfs_db for each database file that is open, found by path.
 * Everything in it that changes is guarded by the VFS's mutex.  No call into
 * struct io is made while the mutex is held.
 */
#ifndef CORE_IO_SQLVFS_PRIV_H
#define CORE_IO_SQLVFS_PRIV_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"

#define DB_PAGE_BYTES ((size_t)4096)
#define DB_RESERVED_BYTES 8     /* at the end of each page: its number and CRC32C */
#define DB_CACHE_BYTES (2 * 1024 * 1024)
#define DB_BUSY_MS 5000         /* recovery and closing by another connection take less */

struct mutex;

struct sqlvfs {
    sqlite3_vfs vfs;
    struct world world;
    char *name;
    struct mutex *mutex;        /* the world's: in the simulator each use of it is a switch point */
    struct vfs_db *dbs;         /* list */
    struct why last;            /* of the last failed call, for a person */
    atomic_bool fenced;         /* a write or sync failed: nothing may be written any more */
};

/* What one connection holds of a database. */
struct vfs_holder {
    int level;                  /* SQLITE_LOCK_NONE ... EXCLUSIVE */
    unsigned shared, exclusive; /* bits of WAL-index locks */
    bool has_shm;               /* uses the WAL index */
};

struct vfs_db {
    struct vfs_db *next;
    struct sqlvfs *v;
    char *path;
    int fd;                     /* locked until the last connection closes */
    unsigned refs;              /* connections */
    unsigned shared;            /* connections at SQLITE_LOCK_SHARED or above */
    struct vfs_holder *writer;  /* at RESERVED or above; NULL: nobody */
    bool pending;               /* writer waits for the readers to leave: no new ones */
    void **regions;             /* the WAL index; dropped with its last user, rebuilt by the next */
    unsigned shm_users;
    unsigned region_count;
    unsigned shm_shared[SQLITE_SHM_NLOCK];      /* holders of each lock */
    struct vfs_holder *shm_owner[SQLITE_SHM_NLOCK];
    atomic_bool has_sums;
};

struct sqlvfs *sqlvfs_of_db(sqlite3 *db);       /* NULL when db is on another VFS */
int vfs_fail(struct sqlvfs *v, const struct why *why, int other);

enum rc vfs_parent_sync(struct sqlvfs *v, const char *path, struct why *why) MUST_CHECK;

/*
 * What an earlier process left in a file becomes durable before anybody reads it: it may have been killed
 * between a write and the sync, and what is shown once must not be lost later.  Then the cache is dropped,
 * because after a failed sync it shows what the disk does not have.
 */
enum rc vfs_settle(struct sqlvfs *v, const char *path, int fd, struct why *why) MUST_CHECK;

/* Find path's database or open and lock it; RC_BUSY when another process has it. */
enum rc vfs_db_ref(struct sqlvfs *v, const char *path, unsigned io_flags, struct vfs_db **ret, struct why *why) MUST_CHECK;
void vfs_db_unref(struct vfs_db *db);
void vfs_db_release(struct vfs_db *db, struct vfs_holder *h);   /* every lock */

/* These return SQLite's codes: SQLITE_OK, SQLITE_BUSY, SQLITE_IOERR_NOMEM. */
int vfs_db_lock(struct vfs_db *db, struct vfs_holder *h, int level);
void vfs_db_unlock(struct vfs_db *db, struct vfs_holder *h, int level);
bool vfs_db_is_reserved(struct vfs_db *db);
int vfs_db_shm_map(struct vfs_db *db, struct vfs_holder *h, int region, int size, bool extend,
                   void volatile **ret);
int vfs_db_shm_lock(struct vfs_db *db, struct vfs_holder *h, int first, int n, int flags);
void vfs_db_shm_release(struct vfs_db *db, struct vfs_holder *h);

#endif
