/*
 * sqlshare -- locks and the WAL index of a database, among the connections of
 * one process.  The rules are those of SQLite's file locks and of xShmLock.
 */
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "core/io/io.h"
#include "core/io/sqlvfs_priv.h"
#include "core/io/thread.h"

static void
db_shm_drop(struct vfs_db *db)
{
    for (unsigned i = 0; i < db->region_count; i++)
        mem_free(db->regions[i]);
    mem_free(db->regions);
    db->regions = NULL;
    db->region_count = 0;
}

static void
db_free(struct vfs_db *db)
{
    if (db == NULL)
        return;
    db_shm_drop(db);
    mem_free(db->path);
    mem_free(db);
}

static struct vfs_db *
db_find_ref(struct sqlvfs *v, const char *path)
{
    struct vfs_db *db;

    mutex_lock(v->world.threads, v->mutex);
    LL_FOREACH(v->dbs, db)
        if (strcmp(db->path, path) == 0)
            break;
    if (db != NULL)
        db->refs++;
    mutex_unlock(v->world.threads, v->mutex);
    return db;
}

enum rc
vfs_db_ref(struct sqlvfs *v, const char *path, unsigned io_flags, struct vfs_db **ret, struct why *why)
{
    struct vfs_db *db, *other;
    int fd = -1;
    enum rc rc;

    if ((db = db_find_ref(v, path)) != NULL) {
        *ret = db;
        return RC_OK;
    }
    if ((db = mem_zalloc(sizeof *db)) == NULL || (db->path = mem_strdup(path)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = io_open(v->world.io, path, io_flags, &fd, why)) != RC_OK)
        goto out;
    if ((rc = io_lock(v->world.io, fd, why)) != RC_OK) {
        if ((other = db_find_ref(v, path)) != NULL) {   /* another thread of ours was first */
            *ret = other;
            rc = RC_OK;
        } else if (rc == RC_BUSY) {
            why_set(why, RC_BUSY, "%s is in use by another process", path);
        }
        goto out;
    }
    if ((rc = vfs_settle(v, path, fd, why)) != RC_OK)
        goto out;
    db->v = v;
    db->fd = fd;
    db->refs = 1;
    mutex_lock(v->world.threads, v->mutex);
    LL_PREPEND(v->dbs, db);
    mutex_unlock(v->world.threads, v->mutex);
    *ret = db;
    db = NULL;
    fd = -1;
out:
    if (fd >= 0)
        io_close(v->world.io, fd);
    db_free(db);
    return rc;
}

void
vfs_db_unref(struct vfs_db *db)
{
    struct sqlvfs *v = db->v;
    bool is_last;

    mutex_lock(v->world.threads, v->mutex);
    is_last = --db->refs == 0;
    if (is_last)
        LL_DELETE(v->dbs, db);
    mutex_unlock(v->world.threads, v->mutex);
    if (!is_last)
        return;
    io_close(v->world.io, db->fd);
    db_free(db);
}

static int
db_lock_locked(struct vfs_db *db, struct vfs_holder *h, int level)
{
    if (level == SQLITE_LOCK_SHARED) {
        if (db->pending)
            return SQLITE_BUSY;
        db->shared++;
        h->level = level;
        return SQLITE_OK;
    }
    if (db->writer != NULL && db->writer != h)
        return SQLITE_BUSY;
    db->writer = h;
    h->level = SQLITE_LOCK_RESERVED;
    if (level == SQLITE_LOCK_RESERVED)
        return SQLITE_OK;
    db->pending = true;
    h->level = SQLITE_LOCK_PENDING;
    if (level == SQLITE_LOCK_EXCLUSIVE) {
        if (db->shared > 1)
            return SQLITE_BUSY;     /* stays PENDING, as SQLite expects */
        h->level = SQLITE_LOCK_EXCLUSIVE;
    }
    return SQLITE_OK;
}

int
vfs_db_lock(struct vfs_db *db, struct vfs_holder *h, int level)
{
    int result;

    if (h->level >= level)
        return SQLITE_OK;
    mutex_lock(db->v->world.threads, db->v->mutex);
    result = db_lock_locked(db, h, level);
    mutex_unlock(db->v->world.threads, db->v->mutex);
    return result;
}

void
vfs_db_unlock(struct vfs_db *db, struct vfs_holder *h, int level)
{
    if (h->level <= level)
        return;
    mutex_lock(db->v->world.threads, db->v->mutex);
    if (db->writer == h) {
        db->writer = NULL;
        db->pending = false;
    }
    if (level == SQLITE_LOCK_NONE)
        db->shared--;
    h->level = level;
    mutex_unlock(db->v->world.threads, db->v->mutex);
}

bool
vfs_db_is_reserved(struct vfs_db *db)
{
    bool reserved;

    mutex_lock(db->v->world.threads, db->v->mutex);
    reserved = db->writer != NULL;
    mutex_unlock(db->v->world.threads, db->v->mutex);
    return reserved;
}

void
vfs_db_release(struct vfs_db *db, struct vfs_holder *h)
{
    vfs_db_unlock(db, h, SQLITE_LOCK_NONE);
    vfs_db_shm_release(db, h);
}

static int
db_shm_grow(struct vfs_db *db, unsigned count, int size)
{
    void **more = mem_realloc(db->regions, count * sizeof *more);

    if (more == NULL)
        return SQLITE_IOERR_NOMEM;
    db->regions = more;
    for (; db->region_count < count; db->region_count++)
        if ((db->regions[db->region_count] = mem_zalloc((size_t)size)) == NULL)
            return SQLITE_IOERR_NOMEM;
    return SQLITE_OK;
}

int vfs_db_shm_map(struct vfs_db *db, struct vfs_holder *h, int region, int size, bool extend,
                   void volatile **ret)
{
    unsigned at = (unsigned)region;
    int result = SQLITE_OK;

    *ret = NULL;
    mutex_lock(db->v->world.threads, db->v->mutex);
    if (!h->has_shm) {
        h->has_shm = true;
        db->shm_users++;
    }
    if (at >= db->region_count && extend)
        result = db_shm_grow(db, at + 1, size);
    if (at < db->region_count)
        *ret = db->regions[at];
    mutex_unlock(db->v->world.threads, db->v->mutex);
    return result;
}

static void
shm_unlock(struct vfs_db *db, struct vfs_holder *h, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        unsigned bit = 1u << i;

        if ((h->shared & bit) != 0)
            db->shm_shared[i]--;
        if ((h->exclusive & bit) != 0)
            db->shm_owner[i] = NULL;
        h->shared &= ~bit;
        h->exclusive &= ~bit;
    }
}

static int
shm_lock(struct vfs_db *db, struct vfs_holder *h, int first, int n, bool exclusive)
{
    for (int i = first; i < first + n; i++) {
        unsigned others = db->shm_shared[i] - ((h->shared & 1u << i) != 0);

        if ((db->shm_owner[i] != NULL && db->shm_owner[i] != h) || (exclusive && others > 0))
            return SQLITE_BUSY;
    }
    for (int i = first; i < first + n; i++) {
        unsigned bit = 1u << i;

        if (exclusive) {
            db->shm_owner[i] = h;
            h->exclusive |= bit;
        } else if ((h->shared & bit) == 0) {
            db->shm_shared[i]++;
            h->shared |= bit;
        }
    }
    return SQLITE_OK;
}

int
vfs_db_shm_lock(struct vfs_db *db, struct vfs_holder *h, int first, int n, int flags)
{
    int result = SQLITE_OK;

    mutex_lock(db->v->world.threads, db->v->mutex);
    if ((flags & SQLITE_SHM_UNLOCK) != 0)
        shm_unlock(db, h, first, n);
    else
        result = shm_lock(db, h, first, n, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
    mutex_unlock(db->v->world.threads, db->v->mutex);
    return result;
}

void
vfs_db_shm_release(struct vfs_db *db, struct vfs_holder *h)
{
    mutex_lock(db->v->world.threads, db->v->mutex);
    shm_unlock(db, h, 0, SQLITE_SHM_NLOCK);
    if (h->has_shm && --db->shm_users == 0)
        db_shm_drop(db);
    h->has_shm = false;
    mutex_unlock(db->v->world.threads, db->v->mutex);
}
