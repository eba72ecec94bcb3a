#include "namenode/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/io/sqlvfs.h"
#include "namenode/db.h"
#include "namenode/schema.h"
#include "namenode/txlog.h"
#include "namenode/verify.h"

#define CHUNK_BYTES (1 * MB)
#define BATCH_BYTES (16 * MB)       /* of rows in one transaction */
#define CHECKPOINT_BATCHES 4

/* ---- rebuilding ---- */

static enum rc
copy_bytes(struct io *io, int from, int to, struct why *why)
{
    uint8_t *chunk = mem_alloc(CHUNK_BYTES);
    uint64_t at = 0;
    size_t n = 1;
    enum rc rc = RC_OK;

    if (chunk == NULL)
        return why_rc(why, RC_NOMEM);
    while (n > 0 && rc == RC_OK) {
        if ((rc = io_pread(io, from, chunk, CHUNK_BYTES, at, &n, why)) == RC_OK && n > 0)
            rc = io_pwrite(io, to, chunk, n, at, why);
        at += n;
    }
    mem_free(chunk);
    return rc;
}

static enum rc
copy_file(struct io *io, const char *from, const char *to, struct why *why)
{
    int in = -1, out = -1;
    enum rc rc;

    if ((rc = io_open(io, from, IO_READ, &in, why)) != RC_OK ||
        (rc = io_open(io, to, IO_READ | IO_WRITE | IO_CREATE | IO_EXCL | IO_PRIVATE, &out, why)) != RC_OK)
        goto out;
    rc = copy_bytes(io, in, out, why);
out:
    if (in >= 0)
        io_close(io, in);
    if (out >= 0)
        io_close(io, out);
    return rc;
}

struct replay {
    struct nn_db *db;
    size_t bytes;                   /* in the open transaction */
    unsigned batches;
    uint64_t txid;
};

static enum rc
end_batch(struct replay *r, struct why *why)
{
    enum rc rc;

    r->bytes = 0;
    if ((rc = nn_exec(r->db, SQL_COMMIT, why)) != RC_OK)
        return rc;
    if (++r->batches % CHECKPOINT_BATCHES == 0)
        return db_exec(r->db->sql, "PRAGMA wal_checkpoint(TRUNCATE)", why);
    return RC_OK;
}

static enum rc
on_record(void *arg, const struct nn_logcopy_record *rec, struct why *why)
{
    struct replay *r = arg;
    enum rc rc;

    if (sqlite3_get_autocommit(r->db->sql) && (rc = nn_exec(r->db, SQL_BEGIN, why)) != RC_OK)
        return rc;
    if ((rc = nn_txlog_apply(r->db, rec->txid, rec->at_ms, rec->row, why)) != RC_OK)
        return rc;
    r->txid = rec->txid;
    r->bytes += rec->row.n + 100;
    return r->bytes < BATCH_BYTES ? RC_OK : end_batch(r, why);
}

static enum rc
count_rows(struct nn_db *db, const char *text, uint64_t *ret, struct why *why)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    enum rc rc;

    if ((rc = db_prepare(db->sql, text, &st, why)) == RC_OK && (rc = nn_step(db, st, &row, why)) == RC_OK && row)
        *ret = nn_column_u64(st, 0);
    (void)sqlite3_finalize(st);         /* repeats an error that is in rc */
    return rc;
}

/* Every page matches its checksum, every table its indexes, and the rules of verify.h hold. */
static enum rc
check_whole(struct nn_db *db, struct why *why)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    enum rc rc;

    if ((rc = db_prepare(db->sql, "PRAGMA integrity_check(1)", &st, why)) == RC_OK &&
        (rc = nn_step(db, st, &row, why)) == RC_OK && row && strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        rc = why_set(why, RC_CORRUPT, "%s", (const char *)sqlite3_column_text(st, 0));
    (void)sqlite3_finalize(st);         /* repeats an error that is in rc */
    return rc == RC_OK ? nn_verify(db, why) : rc;
}

static enum rc
check_identity(struct nn_db *db, const struct nn_logcopy_state *state, struct why *why)
{
    uint64_t namespace_id, created;
    enum rc rc;

    if ((rc = nn_meta_get_u64(db, "namespace_id", &namespace_id, why)) != RC_OK ||
        (rc = nn_meta_get_u64(db, "created", &created, why)) != RC_OK)
        return rc;
    if (state->has_id && (state->id.namespace_id != namespace_id || state->id.created_ms != created))
        return why_set(why, RC_CORRUPT, "the log belongs to another namespace than the backup");
    return RC_OK;
}

static enum rc
replay(struct io *io, const char *dir, struct nn_db *db, struct nn_recovered *ret, struct why *why)
{
    struct nn_logcopy_state state;
    struct replay r = { .db = db };
    bool empty = false;
    enum rc rc;

    if ((rc = nn_schema_check(db, &empty, why)) != RC_OK || (rc = nn_txlog_last(db, &r.txid, why)) != RC_OK)
        return rc;
    if (empty || r.txid != ret->backup)
        return why_set(why, RC_CORRUPT, "the backup in %s ends with transaction %" PRIu64 ", not %" PRIu64, dir, r.txid,
                       ret->backup);
    if ((rc = nn_logcopy_scan(io, dir, on_record, &r, &state, why)) != RC_OK)
        return rc;
    if (!sqlite3_get_autocommit(db->sql) && (rc = end_batch(&r, why)) != RC_OK)
        return rc;
    if ((rc = check_identity(db, &state, why)) != RC_OK || (rc = check_whole(db, why)) != RC_OK ||
        (rc = count_rows(db, "SELECT count(*) FROM inodes", &ret->inodes, why)) != RC_OK ||
        (rc = count_rows(db, "SELECT count(*) FROM blocks", &ret->blocks, why)) != RC_OK)
        return rc;
    ret->txid = r.txid;
    return db_exec(db->sql, "PRAGMA wal_checkpoint(TRUNCATE)", why);
}

enum rc
nn_rebuild(const struct world *w, const struct conf *conf, const char *dir, const char *path, struct nn_recovered *ret,
           struct why *why)
{
    struct nn_logcopy_state state;
    struct sqlvfs *v = NULL;
    struct nn_db db = { 0 };
    char *backup = NULL;
    enum rc rc;

    *ret = (struct nn_recovered){ 0 };
    if ((rc = nn_logcopy_scan(w->io, dir, NULL, NULL, &state, why)) != RC_OK)
        return rc;
    if (!state.has_backup)
        return why_set(why, RC_NOT_FOUND, "%s has no backup of a namespace", dir);
    ret->backup = state.backup;
    if ((backup = nn_logcopy_backup_path(dir, state.backup)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = copy_file(w->io, backup, path, why)) != RC_OK || (rc = sqlvfs_new(w, "recover", &v, why)) != RC_OK ||
        (rc = nn_db_open(&db, v, path, true, conf, why)) != RC_OK)
        goto out;
    rc = replay(w->io, dir, &db, ret, why);
out:
    nn_db_fini(&db);
    sqlvfs_free(v);
    mem_free(backup);
    return rc;
}

/* ---- what is there ---- */

struct places {
    char **dirs;                        /* dfs.namenode.name.dir */
    char *dir;                          /* the first of them */
    char *db, *wal, *fresh, *fresh_wal;
    int lock_fd, from_fd;               /* -1: not locked */
};

static const char *
plain(const char *dir)
{
    return strncmp(dir, "file://", 7) == 0 ? dir + 7 : dir;
}

static enum rc
lock_dir(struct io *io, const char *dir, int *ret_fd, struct why *why)
{
    char *path = mem_printf("%s/in_use.lock", dir);
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_open(io, path, IO_READ | IO_WRITE | IO_CREATE | IO_PRIVATE, ret_fd, why)) == RC_OK &&
        (rc = io_lock(io, *ret_fd, why)) == RC_BUSY)
        (void)why_set(why, RC_BUSY, "a NameNode is running on %s: stop it first", dir);
    mem_free(path);
    return rc;
}

static enum rc
find_places(const struct world *w, const struct conf *conf, const char *from, struct places *p, struct why *why)
{
    enum rc rc;

    *p = (struct places){ .dirs = conf_list(conf->nn_dirs), .lock_fd = -1, .from_fd = -1 };
    if (from[0] != '/')
        return why_set(why, RC_BAD_USAGE, "--recover-from %s: the path of a directory from / on is needed", from);
    if (p->dirs == NULL || p->dirs[0] == NULL)
        return why_set(why, RC_BAD_CONFIG, "dfs.namenode.name.dir names no directory");
    if ((p->dir = mem_strdup(plain(p->dirs[0]))) == NULL || (p->db = mem_printf("%s/namespace.db", p->dir)) == NULL ||
        (p->wal = mem_printf("%s-wal", p->db)) == NULL || (p->fresh = mem_printf("%s/recovering.db", p->dir)) == NULL ||
        (p->fresh_wal = mem_printf("%s-wal", p->fresh)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (strcmp(p->dir, from) == 0)
        return why_set(why, RC_BAD_USAGE, "%s is the directory of the database itself; name one that has a copy", from);
    if ((rc = io_mkdirs(w->io, p->dir, 0700, why)) != RC_OK || (rc = lock_dir(w->io, p->dir, &p->lock_fd, why)) != RC_OK)
        return rc;
    if ((rc = lock_dir(w->io, from, &p->from_fd, why)) == RC_BUSY || rc == RC_NOMEM)
        return rc;
    return RC_OK;       /* without the lock it is read-only, or a copy of a copy: nobody writes there */
}

static void
places_fini(struct io *io, struct places *p)
{
    if (p->lock_fd >= 0)
        io_close(io, p->lock_fd);
    if (p->from_fd >= 0)
        io_close(io, p->from_fd);
    conf_list_free(p->dirs);
    mem_free(p->dir);
    mem_free(p->db);
    mem_free(p->wal);
    mem_free(p->fresh);
    mem_free(p->fresh_wal);
}

/* A directory that was dropped has less than the others: what it lacks was acknowledged. */
static enum rc
check_others(struct io *io, const struct places *p, const char *from, uint64_t last, struct why *why)
{
    for (size_t i = 1; p->dirs[i] != NULL; i++) {
        struct nn_logcopy_state other;
        struct why ignored;

        if (strcmp(plain(p->dirs[i]), from) == 0 || nn_logcopy_scan(io, plain(p->dirs[i]), NULL, NULL, &other, &ignored) != RC_OK)
            continue;
        if (other.has_backup && other.last > last)
            return why_set(why, RC_CORRUPT, "%s ends with transaction %" PRIu64 ", but %s has all up to %" PRIu64 ": recover "
                           "from that one", from, last, plain(p->dirs[i]), other.last);
    }
    return RC_OK;
}

/* The failures that say something about the database, not about the machine. */
static bool
is_damage(enum rc rc)
{
    return rc == RC_CORRUPT || rc == RC_IO || rc == RC_BAD_FORMAT;
}

/* RC_EXISTS when the database is healthy and has at least what the copy has. */
static enum rc
check_database(const struct world *w, const struct conf *conf, const struct places *p, uint64_t last, struct why *why)
{
    struct sqlvfs *v = NULL;
    struct nn_db db = { 0 };
    struct io_stat st;
    uint64_t txid = 0;
    bool empty = false;
    enum rc rc;

    if ((rc = io_stat(w->io, p->db, &st, why)) != RC_OK)
        return rc == RC_SYS_NOT_FOUND ? RC_OK : rc;
    if (st.size == 0)
        return RC_OK;
    if ((rc = sqlvfs_new(w, "check", &v, why)) != RC_OK)
        return rc;
    if ((rc = nn_db_open(&db, v, p->db, false, conf, why)) == RC_OK && (rc = nn_schema_check(&db, &empty, why)) == RC_OK &&
        !empty && (rc = nn_txlog_last(&db, &txid, why)) == RC_OK)
        rc = check_whole(&db, why);
    nn_db_fini(&db);
    sqlvfs_free(v);
    if (is_damage(rc)) {
        log_info("database_damaged", "path=%s reason=\"%s\"", p->db, why->text);
        return RC_OK;
    }
    if (rc == RC_OK && !empty && txid >= last)
        return why_set(why, RC_EXISTS, "%s is healthy and has all up to transaction %" PRIu64 ", the copy up to %" PRIu64
                       ": there is nothing to recover. To go back all the same, move it away first", p->db, txid, last);
    return rc;
}

/* Out of the way, to PATH.damaged-TIME; a file that is missing is fine. */
static enum rc
move_aside(const struct world *w, const char *path, uint64_t now_ms, char *ret, size_t cap, struct why *why)
{
    enum rc rc;

    snprintf(ret, cap, "%s.damaged-%" PRIu64, path, now_ms);
    if ((rc = io_rename(w->io, path, ret, why)) == RC_OK)
        return RC_OK;
    ret[0] = '\0';
    return rc == RC_SYS_NOT_FOUND ? RC_OK : rc;
}

static enum rc
remove_leftover(struct io *io, const char *path, struct why *why)
{
    enum rc rc = io_unlink(io, path, why);

    return rc == RC_SYS_NOT_FOUND ? RC_OK : rc;
}

/* The rebuilt database takes its name.  Killed in between, a start says that the database is missing, and this runs again. */
static enum rc
put_in_place(const struct world *w, const struct places *p, struct nn_recovered *ret, struct why *why)
{
    uint64_t now_ms = clock_wall_ms(w->clock);
    char wal[4096];
    int fd;
    enum rc rc;

    if ((rc = io_open(w->io, p->fresh, IO_READ | IO_WRITE, &fd, why)) != RC_OK)
        return rc;
    rc = io_sync(w->io, fd, why);
    io_close(w->io, fd);
    if (rc != RC_OK || (rc = move_aside(w, p->db, now_ms, ret->moved, sizeof ret->moved, why)) != RC_OK ||
        (rc = move_aside(w, p->wal, now_ms, wal, sizeof wal, why)) != RC_OK ||
        (rc = io_sync_dir(w->io, p->dir, why)) != RC_OK || (rc = io_rename(w->io, p->fresh, p->db, why)) != RC_OK)
        return rc;
    if (ret->moved[0] == '\0')
        snprintf(ret->moved, sizeof ret->moved, "%s", wal);
    return io_sync_dir(w->io, p->dir, why);
}

enum rc
nn_recover(const struct world *w, const struct conf *conf, const char *dir, struct nn_recovered *ret, struct why *why)
{
    const char *from = plain(dir);
    struct nn_logcopy_state state;
    struct places p;
    enum rc rc;

    if ((rc = find_places(w, conf, from, &p, why)) != RC_OK ||
        (rc = nn_logcopy_scan(w->io, from, NULL, NULL, &state, why)) != RC_OK)
        goto out;
    if (!state.has_backup) {
        rc = why_set(why, RC_NOT_FOUND, "%s has no backup of a namespace", from);
        goto out;
    }
    if ((rc = check_others(w->io, &p, from, state.last, why)) != RC_OK ||
        (rc = check_database(w, conf, &p, state.last, why)) != RC_OK ||
        (rc = remove_leftover(w->io, p.fresh, why)) != RC_OK || (rc = remove_leftover(w->io, p.fresh_wal, why)) != RC_OK ||
        (rc = nn_rebuild(w, conf, from, p.fresh, ret, why)) != RC_OK)
        goto out;
    rc = put_in_place(w, &p, ret, why);
out:
    places_fini(w->io, &p);
    return rc;
}
