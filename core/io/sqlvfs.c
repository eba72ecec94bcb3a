#include "core/io/sqlvfs.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/faults.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/base/table.h"
#include "core/io/crc.h"
#include "core/io/io.h"
#include "core/io/sqlvfs_priv.h"
#include "core/io/thread.h"

#define WAL_WRITE_BYTES ((size_t)512 << 10)     /* of frames that go to the file together */
#define UNIX_EPOCH_JULIAN_MS INT64_C(210866760000000)

/* One open file: the database itself, its WAL or its rollback journal. */
struct vfs_file {
    sqlite3_file base;
    struct sqlvfs *v;
    struct vfs_db *db;          /* the database whose main file this is; else NULL */
    struct vfs_holder holder;   /* this connection's locks on db */
    const char *path;           /* SQLite keeps it until xClose */
    int fd;                     /* db's own descriptor when db is set */
    bool sync_dir;              /* the name may be new: the first sync makes it durable */
    bool is_wal;
    struct buf frames;          /* of a WAL: written by SQLite at frames_at, not yet to the file */
    uint64_t frames_at;
    bool defers;                /* a COMMIT's sync is db_sync's */
};

static struct vfs_file *file_of(sqlite3_file *f) { return (struct vfs_file *)(void *)f; }

static struct sqlvfs *vfs_of(sqlite3_vfs *vfs) { return vfs->pAppData; }

/* Keep why for db_why; the result SQLite gets is by the code, or `other`. */
int
vfs_fail(struct sqlvfs *v, const struct why *why, int other)
{
    mutex_lock(v->world.threads, v->mutex);
    v->last = *why;
    mutex_unlock(v->world.threads, v->mutex);
    switch ((int)why->rc) {
    case RC_NO_SPACE: return SQLITE_FULL;
    case RC_NOMEM: return SQLITE_IOERR_NOMEM;
    case RC_BUSY: return SQLITE_BUSY;
    default: return other;
    }
}

/* A write failed: unless the disk is just full, what it holds is unknown from now on. */
static int
file_write_failed(struct vfs_file *f, const struct why *why, int other)
{
    if (why->rc != RC_NO_SPACE && why->rc != RC_NOMEM)
        atomic_store(&f->v->fenced, true);
    return vfs_fail(f->v, why, other);
}

/* A sync failed: whatever the reason, the kernel may have dropped what it was to write. */
static int
file_sync_failed(struct vfs_file *f, const struct why *why, int other)
{
    struct why cause = *why;

    atomic_store(&f->v->fenced, !old_bug(OLD_BUG_SECOND_SYNC_TRUSTED));
    cause.rc = old_bug(OLD_BUG_SECOND_SYNC_TRUSTED) ? RC_NO_SPACE : RC_IO;
    return vfs_fail(f->v, &cause, other);
}

enum rc
vfs_parent_sync(struct sqlvfs *v, const char *path, struct why *why)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    char *dir;
    enum rc rc;

    if ((dir = mem_strndup(path, n)) == NULL)
        return why_rc(why, RC_NOMEM);
    rc = io_sync_dir(v->world.io, dir, why);
    mem_free(dir);
    return rc;
}

enum rc
vfs_settle(struct sqlvfs *v, const char *path, int fd, struct why *why)
{
    struct io_stat st;
    enum rc rc;

    if (atomic_load(&v->fenced))
        return RC_OK;           /* reads go on, and never sync again */
    if ((rc = io_fstat(v->world.io, fd, &st, why)) != RC_OK || st.size == 0)
        return rc;
    if ((rc = io_sync(v->world.io, fd, why)) == RC_OK && (rc = vfs_parent_sync(v, path, why)) == RC_OK)
        io_drop_cache(v->world.io, fd);
    return rc;
}

/* Page sums: bytes 4088..4091 of a page hold its number, 4092..4095 the CRC32C of all before, big-endian. */

static void
page_stamp(uint8_t *page, uint64_t at)
{
    put_be32(page + DB_PAGE_BYTES - 8, (uint32_t)(at / DB_PAGE_BYTES + 1));
    put_be32(page + DB_PAGE_BYTES - 4, crc32c(0, page, DB_PAGE_BYTES - 4));
}

static bool
page_is_good(const uint8_t *page, uint64_t at)
{
    if (get_be32(page + DB_PAGE_BYTES - 8) == (uint32_t)(at / DB_PAGE_BYTES + 1) &&
        get_be32(page + DB_PAGE_BYTES - 4) == crc32c(0, page, DB_PAGE_BYTES - 4))
        return true;
    for (size_t i = 0; i < DB_PAGE_BYTES; i++)  /* a page that was allocated, freed and never written */
        if (page[i] != 0)
            return false;
    return true;
}

static bool is_whole_page(size_t n, uint64_t at) { return n == DB_PAGE_BYTES && at % DB_PAGE_BYTES == 0; }

/* The database's header says whether its pages have room for sums. */
static void
file_see_header(struct vfs_file *f, const uint8_t *p, size_t n, uint64_t at)
{
    if (at == 0 && n > 20)
        atomic_store(&f->db->has_sums, p[20] == DB_RESERVED_BYTES);
}

/*
 * SQLite writes a WAL's frame in two pieces, one frame after the other.  They wait for the sync that ends a COMMIT, or for
 * whoever looks at the file, and go there in one write: a page of the cache is touched once instead of three times.
 */
static int
frames_flush(struct vfs_file *f)
{
    struct why why;
    size_t n = f->frames.n;

    if (n == 0)
        return SQLITE_OK;
    f->frames.n = 0;
    if (atomic_load(&f->v->fenced))
        return SQLITE_IOERR_WRITE;
    if (io_pwrite(f->v->world.io, f->fd, f->frames.p, n, f->frames_at, &why) != RC_OK)
        return file_write_failed(f, &why, SQLITE_IOERR_WRITE);
    CRASH_POINT(db_wal_written);
    return SQLITE_OK;
}

static int
frames_add(struct vfs_file *f, const void *p, size_t n, uint64_t at)
{
    int r;

    if ((at != f->frames_at + f->frames.n || f->frames.n + n > WAL_WRITE_BYTES) && (r = frames_flush(f)) != SQLITE_OK)
        return r;
    if (f->frames.n == 0)
        f->frames_at = at;
    buf_put(&f->frames, p, n);
    if (buf_ok(&f->frames))
        return old_bug(OLD_BUG_SYNCHRONOUS_NORMAL) ? frames_flush(f) : SQLITE_OK;
    buf_fini(&f->frames);
    buf_init(&f->frames, WAL_WRITE_BYTES);
    return SQLITE_IOERR_NOMEM;
}

static int
file_close(sqlite3_file *sf)
{
    struct vfs_file *f = file_of(sf);

    buf_fini(&f->frames);       /* of no COMMIT */
    if (f->db != NULL) {
        vfs_db_release(f->db, &f->holder);
        vfs_db_unref(f->db);
    } else {
        io_close(f->v->world.io, f->fd);
    }
    return SQLITE_OK;
}

static int
file_read(sqlite3_file *sf, void *p, int n, sqlite3_int64 at)
{
    struct vfs_file *f = file_of(sf);
    struct why why;
    size_t got;
    int r;

    if ((r = frames_flush(f)) != SQLITE_OK)
        return r;
    if (io_pread(f->v->world.io, f->fd, p, (size_t)n, (uint64_t)at, &got, &why) != RC_OK)
        return vfs_fail(f->v, &why, SQLITE_IOERR_READ);
    if (got < (size_t)n) {
        memset((char *)p + got, 0, (size_t)n - got);
        return SQLITE_IOERR_SHORT_READ;
    }
    if (f->db == NULL)
        return SQLITE_OK;
    file_see_header(f, p, (size_t)n, (uint64_t)at);
    if (is_whole_page((size_t)n, (uint64_t)at) && atomic_load(&f->db->has_sums) && !page_is_good(p, (uint64_t)at) &&
        !old_bug(OLD_BUG_PAGE_SUM_IGNORED)) {
        why_set(&why, RC_CORRUPT, "%s: page %lld does not match its checksum", f->path,
                (long long)(at / (sqlite3_int64)DB_PAGE_BYTES + 1));
        return vfs_fail(f->v, &why, SQLITE_IOERR_DATA);
    }
    return SQLITE_OK;
}

static int
file_write(sqlite3_file *sf, const void *p, int n, sqlite3_int64 at)
{
    struct vfs_file *f = file_of(sf);
    uint8_t page[DB_PAGE_BYTES];
    struct why why;

    if (atomic_load(&f->v->fenced))
        return SQLITE_IOERR_WRITE;
    if (f->is_wal)
        return frames_add(f, p, (size_t)n, (uint64_t)at);
    if (f->db != NULL) {
        file_see_header(f, p, (size_t)n, (uint64_t)at);
        if (is_whole_page((size_t)n, (uint64_t)at) && atomic_load(&f->db->has_sums)) {
            memcpy(page, p, sizeof page);
            page_stamp(page, (uint64_t)at);
            p = page;
        }
    }
    if (io_pwrite(f->v->world.io, f->fd, p, (size_t)n, (uint64_t)at, &why) != RC_OK)
        return file_write_failed(f, &why, SQLITE_IOERR_WRITE);
    if (f->db != NULL)
        CRASH_POINT(db_page_written);
    return SQLITE_OK;
}

static int
file_truncate(sqlite3_file *sf, sqlite3_int64 size)
{
    struct vfs_file *f = file_of(sf);
    struct why why;
    int r;

    if ((r = frames_flush(f)) != SQLITE_OK)
        return r;

    if (atomic_load(&f->v->fenced))
        return SQLITE_IOERR_TRUNCATE;
    if (io_truncate(f->v->world.io, f->fd, (uint64_t)size, &why) != RC_OK)
        return file_write_failed(f, &why, SQLITE_IOERR_TRUNCATE);
    return SQLITE_OK;
}

static int
file_sync(sqlite3_file *sf, int flags)
{
    struct vfs_file *f = file_of(sf);
    struct why why;
    int r;

    if ((r = frames_flush(f)) != SQLITE_OK)
        return r;
    if (atomic_load(&f->v->fenced))
        return SQLITE_IOERR_FSYNC;
    if (f->defers && !f->sync_dir && flags == SQLITE_SYNC_NORMAL)
        return SQLITE_OK;       /* of a COMMIT; a checkpoint's are SQLITE_SYNC_FULL there */
    if (io_sync(f->v->world.io, f->fd, &why) != RC_OK)
        return file_sync_failed(f, &why, SQLITE_IOERR_FSYNC);
    if (f->sync_dir) {
        if (vfs_parent_sync(f->v, f->path, &why) != RC_OK)
            return why.rc == RC_NOMEM ? vfs_fail(f->v, &why, SQLITE_IOERR_DIR_FSYNC)
                                      : file_sync_failed(f, &why, SQLITE_IOERR_DIR_FSYNC);
        f->sync_dir = false;
    }
    if (f->db == NULL)
        CRASH_POINT(db_wal_synced);
    return SQLITE_OK;
}

static int
file_size(sqlite3_file *sf, sqlite3_int64 *ret)
{
    struct vfs_file *f = file_of(sf);
    struct io_stat st;
    struct why why;
    int r;

    if ((r = frames_flush(f)) != SQLITE_OK)
        return r;
    if (io_fstat(f->v->world.io, f->fd, &st, &why) != RC_OK)
        return vfs_fail(f->v, &why, SQLITE_IOERR_FSTAT);
    *ret = (sqlite3_int64)st.size;
    return SQLITE_OK;
}

/* A WAL or a journal belongs to whoever holds the database's locks: it has none of its own. */

static int
file_lock(sqlite3_file *sf, int level)
{
    struct vfs_file *f = file_of(sf);

    return f->db == NULL ? SQLITE_OK : vfs_db_lock(f->db, &f->holder, level);
}

static int
file_unlock(sqlite3_file *sf, int level)
{
    struct vfs_file *f = file_of(sf);

    if (f->db != NULL)
        vfs_db_unlock(f->db, &f->holder, level);
    return SQLITE_OK;
}

static int
file_check_reserved(sqlite3_file *sf, int *ret)
{
    struct vfs_file *f = file_of(sf);

    *ret = f->db != NULL && vfs_db_is_reserved(f->db);
    return SQLITE_OK;
}

static int
file_control(sqlite3_file *sf, int op, void *arg)
{
    if (op != SQLITE_FCNTL_VFSNAME)
        return SQLITE_NOTFOUND;
    *(char **)arg = sqlite3_mprintf("%s", file_of(sf)->v->name);
    return SQLITE_OK;
}

static int file_sector_size(sqlite3_file *sf UNUSED) { return 4096; }
static int file_traits(sqlite3_file *sf UNUSED) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

static int
file_shm_map(sqlite3_file *sf, int region, int size, int extend, void volatile **ret)
{
    struct vfs_file *f = file_of(sf);

    return f->db == NULL ? SQLITE_IOERR_SHMMAP : vfs_db_shm_map(f->db, &f->holder, region, size, extend != 0, ret);
}

static int
file_shm_lock(sqlite3_file *sf, int first, int n, int flags)
{
    struct vfs_file *f = file_of(sf);

    return f->db == NULL ? SQLITE_IOERR_SHMLOCK : vfs_db_shm_lock(f->db, &f->holder, first, n, flags);
}

static void
file_shm_barrier(sqlite3_file *sf)
{
    atomic_thread_fence(memory_order_seq_cst);
    mutex_lock(file_of(sf)->v->world.threads, file_of(sf)->v->mutex);     /* also orders us against another thread's locks */
    mutex_unlock(file_of(sf)->v->world.threads, file_of(sf)->v->mutex);
}

static int
file_shm_unmap(sqlite3_file *sf, int delete UNUSED)
{
    struct vfs_file *f = file_of(sf);

    if (f->db != NULL)
        vfs_db_shm_release(f->db, &f->holder);
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *sf, int flags, int *ret_flags)
{
    struct vfs_file *f = file_of(sf);
    struct sqlvfs *v = vfs_of(vfs);
    struct why why;
    unsigned io_flags = IO_READ | IO_WRITE | IO_PRIVATE;
    enum rc rc;

    *f = (struct vfs_file){ .v = v, .path = path };
    if (path == NULL)
        return SQLITE_CANTOPEN;     /* temp_store is memory: nobody needs an unnamed file */
    if ((flags & SQLITE_OPEN_CREATE) != 0)
        io_flags |= IO_CREATE;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
        if ((rc = vfs_db_ref(v, path, io_flags, &f->db, &why)) == RC_OK)
            f->fd = f->db->fd;
    } else if ((rc = io_open(v->world.io, path, io_flags, &f->fd, &why)) == RC_OK) {
        if ((rc = vfs_settle(v, path, f->fd, &why)) != RC_OK)
            io_close(v->world.io, f->fd);
    }
    if (rc != RC_OK)
        return vfs_fail(v, &why, SQLITE_CANTOPEN);
    f->sync_dir = (flags & SQLITE_OPEN_CREATE) != 0;
    f->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
    buf_init(&f->frames, WAL_WRITE_BYTES);
    f->base.pMethods = &file_methods;
    if (ret_flags != NULL)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
    struct sqlvfs *v = vfs_of(vfs);
    struct why why;
    enum rc rc;

    if ((rc = io_unlink(v->world.io, path, &why)) == RC_SYS_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    if (rc != RC_OK)
        return vfs_fail(v, &why, SQLITE_IOERR_DELETE);
    if (sync_dir && vfs_parent_sync(v, path, &why) != RC_OK) {
        atomic_store(&v->fenced, true);
        return vfs_fail(v, &why, SQLITE_IOERR_DIR_FSYNC);
    }
    return SQLITE_OK;
}

static int
vfs_access(sqlite3_vfs *vfs, const char *path, int flags UNUSED, int *ret)
{
    struct sqlvfs *v = vfs_of(vfs);
    struct io_stat st;
    struct why why;
    enum rc rc;

    if ((rc = io_stat(v->world.io, path, &st, &why)) != RC_OK && rc != RC_SYS_NOT_FOUND)
        return vfs_fail(v, &why, SQLITE_IOERR_ACCESS);  /* unknown is not missing */
    *ret = rc == RC_OK && (!st.is_file || st.size > 0); /* SQLite's own VFS also takes an empty journal for none */
    return SQLITE_OK;
}

static int
vfs_full_path(sqlite3_vfs *vfs UNUSED, const char *path, int cap, char *out)
{
    if (path[0] != '/' || strlen(path) >= (size_t)cap)
        return SQLITE_CANTOPEN;
    memcpy(out, path, strlen(path) + 1);
    return SQLITE_OK;
}

static int
vfs_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    rng_bytes(vfs_of(vfs)->world.rng, out, (size_t)n);
    return n;
}

static int
vfs_sleep(sqlite3_vfs *vfs, int us)
{
    const struct world *w = &vfs_of(vfs)->world;
    uint64_t ms = ((uint64_t)us + 999) / 1000;

    thread_sleep_until(w->threads, clock_deadline(w->clock, ms));
    return (int)(ms * 1000);
}

static int
vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
    *ret = UNIX_EPOCH_JULIAN_MS + (sqlite3_int64)clock_wall_ms(vfs_of(vfs)->world.clock);
    return SQLITE_OK;
}

static int
vfs_time(sqlite3_vfs *vfs, double *ret)
{
    sqlite3_int64 ms;

    (void)vfs_time_ms(vfs, &ms);    /* cannot fail */
    *ret = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs UNUSED, int cap UNUSED, char *out UNUSED) { return 0; }

enum rc
sqlvfs_new(const struct world *w, const char *name, struct sqlvfs **ret, struct why *why)
{
    struct sqlvfs *v;
    enum rc rc = RC_NOMEM;

    /* Without it each allocation of SQLite takes one lock that all threads share.  Refused when SQLite runs already. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_initialize() != SQLITE_OK || (v = mem_zalloc(sizeof *v)) == NULL)
        return why_rc(why, RC_NOMEM);
    v->world = *w;
    if ((v->name = mem_printf("%s-%p", name, (void *)v)) == NULL ||
        (v->mutex = mutex_new(w->threads)) == NULL)
        goto out;
    v->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct vfs_file),
        .mxPathname = 4096,
        .zName = v->name,
        .pAppData = v,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xCurrentTimeInt64 = vfs_time_ms,
        .xGetLastError = vfs_last_error,
    };
    if (sqlite3_vfs_register(&v->vfs, 0) != SQLITE_OK)
        goto out;
    *ret = v;
    v = NULL;
    rc = RC_OK;
out:
    if (v != NULL) {
        mutex_free(v->world.threads, v->mutex);
        mem_free(v->name);
        mem_free(v);
    }
    return rc == RC_OK ? RC_OK : why_rc(why, rc);
}

void
sqlvfs_free(struct sqlvfs *v)
{
    if (v == NULL)
        return;
    CHECK(v->dbs == NULL);
    sqlite3_vfs_unregister(&v->vfs);
    mutex_free(v->world.threads, v->mutex);
    mem_free(v->name);
    mem_free(v);
}

enum rc
db_defer_sync(sqlite3 *db, struct db_wal **ret, struct why *why)
{
    sqlite3_file *sf = NULL;
    enum rc rc;

    /* So that a checkpoint's syncs can be told from a COMMIT's. */
    if ((rc = db_exec(db, "PRAGMA checkpoint_fullfsync=ON", why)) != RC_OK)
        return rc;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &sf) != SQLITE_OK || sf == NULL ||
        sf->pMethods != &file_methods || !file_of(sf)->is_wal)
        return why_set(why, RC_BUG, "a database without a WAL");
    file_of(sf)->defers = true;
    *ret = (struct db_wal *)file_of(sf);
    return RC_OK;
}

enum rc
db_sync(struct db_wal *wal, struct why *why)
{
    struct vfs_file *f = (struct vfs_file *)wal;

    if (atomic_load(&f->v->fenced))
        return why_set(why, RC_IO, "%s: a write or a sync has failed before", f->path);
    if (io_sync(f->v->world.io, f->fd, why) != RC_OK) {
        (void)file_sync_failed(f, why, 0);
        return why->rc = RC_IO;
    }
    CRASH_POINT(db_wal_synced);
    return RC_OK;
}

struct sqlvfs *
sqlvfs_of_db(sqlite3 *db)
{
    sqlite3_vfs *vfs = NULL;

    if (db == NULL || sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) != SQLITE_OK ||
        vfs == NULL || vfs->xOpen != vfs_open)
        return NULL;
    return vfs_of(vfs);
}

void
sqlvfs_forget(const struct world *w)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL), *next;

    for (; vfs != NULL; vfs = next) {
        next = vfs->pNext;
        if (vfs->xOpen == vfs_open && vfs_of(vfs)->world.io == w->io)
            sqlite3_vfs_unregister(vfs);
    }
}
