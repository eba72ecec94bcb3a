/*
 * backup -- copies of the database into the further directories of dfs.namenode.name.dir.
 *
 * A thread of its own reads one snapshot of the database through a reading
 * connection, in steps, and writes it to DIR/backup.tmp, which gets its name when
 * it is whole and synced.  The core goes on meanwhile; only the WAL cannot shrink
 * until the snapshot is let go of.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/io/sqlvfs.h"
#include "namenode/copies_priv.h"
#include "namenode/nn.h"
#include "namenode/settle.h"

#define LOOK_MS 1000            /* between looks at what is due */
#define STEP_PAGES 256          /* 1 MB */
#define STEP_PAUSE_MS 4         /* 250 MB a second at most */
#define RETRY_MS 60000          /* after a backup that failed */

static bool
is_stopped(struct nn_copies *set)
{
    struct threads *t = set->nn->world->threads;
    bool stop;

    mutex_lock(t, set->lock);
    stop = set->stop;
    mutex_unlock(t, set->lock);
    return stop;
}

/* An empty database whose first page says that pages have checksums; without journal or sync: it has no name yet. */
static enum rc
open_target(struct sqlvfs *v, const char *path, sqlite3 **ret, struct why *why)
{
    static const char text[] = "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA user_version=1";
    sqlite3 *db = NULL;
    enum rc rc;

    if ((rc = db_create_plain(v, path, &db, why)) != RC_OK)
        return rc;
    if ((rc = db_exec(db, text, why)) == RC_OK)
        *ret = db;
    else
        (void)sqlite3_close(db);        /* no statement is left on it */
    return rc;
}

static enum rc
copy_pages(struct nn_copies *set, sqlite3 *from, sqlite3 *to, struct why *why)
{
    const struct world *w = set->nn->world;
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int r = SQLITE_OK, end;
    enum rc rc = RC_OK;

    if (b == NULL)
        return db_why(to, sqlite3_errcode(to), why, "backup");
    while ((r = sqlite3_backup_step(b, STEP_PAGES)) == SQLITE_OK) {
        if (is_stopped(set)) {
            rc = why_rc(why, RC_STOPPED);
            break;
        }
        thread_sleep_until(w->threads, clock_deadline(w->clock, STEP_PAUSE_MS));
    }
    end = sqlite3_backup_finish(b);
    if (rc != RC_OK || r == SQLITE_DONE)
        return rc;
    return db_why(sqlite3_extended_errcode(to) == r || end == r ? to : from, r, why, "backup");
}

/* One snapshot of the database to path, durable but for its name. */
static enum rc
write_backup(struct nn_copies *set, const char *path, uint64_t *ret_txid, struct why *why)
{
    struct nn *nn = set->nn;
    struct nn_db from = { 0 };
    struct sqlvfs *v = NULL;    /* of its own: a disk that fails here must not fence the database's */
    sqlite3 *to = NULL;
    int fd = -1;
    enum rc rc;

    if ((rc = sqlvfs_new(nn->world, "backup", &v, why)) != RC_OK ||
        (rc = nn_db_open(&from, nn->vfs, nn->db_path, false, &nn->conf, why)) != RC_OK ||
        (rc = open_target(v, path, &to, why)) != RC_OK ||
        (rc = nn_exec(&from, SQL_BEGIN, why)) != RC_OK || (rc = nn_txlog_last(&from, ret_txid, why)) != RC_OK ||
        (rc = copy_pages(set, from.sql, to, why)) != RC_OK)
        goto out;
    CRASH_POINT(nn_backup_written);
    (void)sqlite3_close(to);            /* nothing is open on it */
    to = NULL;
    if ((rc = io_open(nn->world->io, path, IO_READ | IO_WRITE, &fd, why)) == RC_OK)
        rc = io_sync(nn->world->io, fd, why);
out:
    if (fd >= 0)
        io_close(nn->world->io, fd);
    (void)sqlite3_close(to);
    nn_db_fini(&from);
    sqlvfs_free(v);
    return rc;
}

enum rc
nn_backup_make(struct nn_copies *set, const char *dir, uint64_t *ret_txid, struct why *why)
{
    struct io *io = set->nn->world->io;
    char *fresh = mem_printf("%s/backup.tmp", dir), *path = NULL;
    struct why ignored;
    enum rc rc = RC_NOMEM;

    if (fresh == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_unlink(io, fresh, why)) != RC_OK && rc != RC_SYS_NOT_FOUND)
        goto out;
    if ((rc = write_backup(set, fresh, ret_txid, why)) != RC_OK)
        goto out;
    if (!nn_settle_until(set->nn->settle, *ret_txid)) {     /* a backup is not ahead of the database */
        rc = why_rc(why, RC_STOPPED);
        goto out;
    }
    if ((path = nn_logcopy_backup_path(dir, *ret_txid)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = io_rename(io, fresh, path, why)) != RC_OK || (rc = io_sync_dir(io, dir, why)) != RC_OK)
        goto out;
    CRASH_POINT(nn_backup_named);
    rc = nn_logcopy_trim(io, dir, *ret_txid, why);
out:
    if (rc != RC_OK)
        (void)io_unlink(io, fresh, &ignored);   /* a leftover is replaced by the next one */
    mem_free(fresh);
    mem_free(path);
    return rc;
}

/* ---- the thread ---- */

/* Is the file that is written still the one that has its name?  Else a copy would be kept that nobody can find. */
static void
look_for_file(struct nn_copy *c)
{
    const struct world *w = c->set->nn->world;
    char path[4096];
    struct io_stat st;
    uint64_t inode;
    struct why why;
    enum rc rc;

    mutex_lock(w->threads, c->set->lock);
    inode = c->worth == NN_COPY_DROPPED ? 0 : c->inode;
    (void)snprintf(path, sizeof path, "%s", c->path != NULL ? c->path : "");
    mutex_unlock(w->threads, c->set->lock);
    if (inode == 0)
        return;
    rc = io_stat(w->io, path, &st, &why);
    if (rc == RC_OK && st.inode != inode)
        rc = why_set(&why, RC_IO, "%s is another file now", path);
    if (rc == RC_OK)
        return;
    mutex_lock(w->threads, c->set->lock);
    if (c->inode == inode)      /* else a new segment has begun meanwhile, and the old one may be trimmed */
        nn_copy_drop(c, &why);
    cond_broadcast(w->threads, c->set->changed);
    mutex_unlock(w->threads, c->set->lock);
}

/* Under the lock. */
static bool
is_due(const struct nn_copy *c)
{
    const struct nn *nn = c->set->nn;
    uint64_t past_ms = clock_mono_ms(nn->world->clock) - c->backup_ms;

    if (c->worth == NN_COPY_DROPPED)
        return false;
    if (c->backup_failed)
        return past_ms >= RETRY_MS || past_ms >= nn->conf.backup_ms;
    if (c->worth == NN_COPY_SEEDING)
        return true;
    return c->set->txid - c->backup >= nn->conf.backup_txns || (c->set->txid > c->backup && past_ms >= nn->conf.backup_ms);
}

static void
back_up(struct nn_copy *c)
{
    struct nn_copies *set = c->set;
    const struct world *w = set->nn->world;
    uint64_t began_ms = clock_mono_ms(w->clock), txid = 0;
    struct why why;
    bool due;
    enum rc rc;

    mutex_lock(w->threads, set->lock);
    due = is_due(c);
    if (due)
        c->wants_roll = true;   /* what the backup makes unnecessary ends with a segment */
    mutex_unlock(w->threads, set->lock);
    if (!due)
        return;
    rc = nn_backup_make(set, c->dir, &txid, &why);
    mutex_lock(w->threads, set->lock);
    c->backup_ms = clock_mono_ms(w->clock);
    c->backup_failed = rc != RC_OK;
    if (rc == RC_OK) {
        c->backup = txid;
        if (c->worth == NN_COPY_SEEDING)
            c->worth = NN_COPY_READY;
        metric_add(&set->nn->metrics.backups, 1);
        nn_copies_count(set);
    }
    mutex_unlock(w->threads, set->lock);
    if (rc == RC_OK)
        log_info("name_dir_backup", "dir=%s txid=%" PRIu64 " ms=%" PRIu64, c->dir, txid, c->backup_ms - began_ms);
    else if (rc != RC_STOPPED)
        log_error("name_dir_backup_failed", "dir=%s reason=\"%s\" next_try_ms=%d", c->dir, why.text, RETRY_MS);
}

void
nn_backup_run(void *arg)
{
    struct nn_copies *set = arg;
    const struct world *w = set->nn->world;

    mutex_lock(w->threads, set->lock);
    while (!set->stop) {
        mutex_unlock(w->threads, set->lock);
        for (size_t i = 0; i < set->count && !is_stopped(set); i++) {
            look_for_file(&set->list[i]);
            back_up(&set->list[i]);
        }
        mutex_lock(w->threads, set->lock);
        for (uint64_t until = clock_deadline(w->clock, LOOK_MS); !set->stop && clock_mono_ms(w->clock) < until;)
            (void)cond_wait(w->threads, set->stopping, set->lock, until);
    }
    set->backup_ended = true;
    cond_broadcast(w->threads, set->changed);
    mutex_unlock(w->threads, set->lock);
}
