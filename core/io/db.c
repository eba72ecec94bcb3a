/*
 * db -- databases opened the way all of ours are, and what SQLite's results mean.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/io/sqlvfs.h"
#include "core/io/sqlvfs_priv.h"
#include "core/io/thread.h"

static enum rc
rc_of_sql(int sql_rc, const struct why *last)
{
    if (sql_rc == SQLITE_IOERR_NOMEM)
        return RC_NOMEM;
    if (sql_rc == SQLITE_IOERR_DATA)
        return RC_CORRUPT;
    switch (sql_rc & 0xff) {
    case SQLITE_OK: case SQLITE_ROW: case SQLITE_DONE: return RC_OK;
    case SQLITE_FULL: return RC_NO_SPACE;
    case SQLITE_IOERR: return RC_IO;
    case SQLITE_CORRUPT: case SQLITE_NOTADB: return RC_CORRUPT;
    case SQLITE_NOMEM: return RC_NOMEM;
    case SQLITE_BUSY: case SQLITE_LOCKED: return RC_BUSY;
    case SQLITE_CANTOPEN: return last != NULL && last->rc != RC_OK ? last->rc : RC_IO;
    case SQLITE_READONLY: case SQLITE_PERM: case SQLITE_AUTH: return RC_SYS_DENIED;
    case SQLITE_INTERRUPT: return RC_INTERRUPTED;
    default: return RC_BUG;
    }
}

/* Results that stand for a failed call of struct io, so that the VFS knows more. */
static bool
is_from_vfs(int sql_rc)
{
    int kind = sql_rc & 0xff;

    return kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN || kind == SQLITE_FULL;
}

static enum rc
why_of(struct sqlvfs *v, sqlite3 *db, int sql_rc, struct why *why, const char *what)
{
    struct why last = { .rc = RC_OK };
    enum rc rc;

    if (v != NULL && is_from_vfs(sql_rc)) {
        mutex_lock(v->world.threads, v->mutex);
        last = v->last;
        mutex_unlock(v->world.threads, v->mutex);
    }
    if ((rc = rc_of_sql(sql_rc, &last)) == RC_OK)
        return RC_OK;
    if (last.rc != RC_OK)
        return why_set(why, rc, "%s: %s: %s", what, sqlite3_errstr(sql_rc), last.text);
    return why_set(why, rc, "%s: %s (%d)", what, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(sql_rc), sql_rc);
}

enum rc
db_why(sqlite3 *db, int sql_rc, struct why *why, const char *what)
{
    return why_of(sqlvfs_of_db(db), db, sql_rc, why, what);
}

enum rc
db_exec(sqlite3 *db, const char *sql, struct why *why)
{
    int sql_rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return sql_rc == SQLITE_OK ? RC_OK : db_why(db, sql_rc, why, sql);
}

enum rc
db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct why *why)
{
    int sql_rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

    return sql_rc == SQLITE_OK ? RC_OK : db_why(db, sql_rc, why, sql);
}

enum rc
db_cache(sqlite3 *db, uint64_t bytes, struct why *why)
{
    char sql[64];

    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size=-%llu", (unsigned long long)(bytes / 1024));
    return db_exec(db, sql, why);
}

/* Run sql, which answers with one value, and compare the value with wanted. */
static enum rc
db_expect(sqlite3 *db, const char *path, const char *sql, const char *wanted, struct why *why)
{
    sqlite3_stmt *st = NULL;
    const char *got;
    enum rc rc;
    int sql_rc;

    if ((rc = db_prepare(db, sql, &st, why)) != RC_OK)
        return rc;
    if ((sql_rc = sqlite3_step(st)) != SQLITE_ROW) {
        rc = sql_rc == SQLITE_DONE ? why_set(why, RC_BUG, "%s: no answer", sql) : db_why(db, sql_rc, why, sql);
        goto out;
    }
    got = (const char *)sqlite3_column_text(st, 0);
    if (got == NULL || strcmp(got, wanted) != 0)
        rc = why_set(why, RC_BAD_FORMAT, "%s: %s is %s, not %s", path, sql, got == NULL ? "empty" : got, wanted);
out:
    (void)sqlite3_finalize(st);     /* repeats what step said */
    return rc;
}

static enum rc
db_set_up(sqlite3 *db, const char *path, bool writer, struct why *why)
{
    int reserved = DB_RESERVED_BYTES;
    enum rc rc;

    (void)sqlite3_busy_timeout(db, DB_BUSY_MS);     /* fails on a bad handle only */
    if (writer)
        (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);  /* seen below */
    if ((rc = db_exec(db,
                      "PRAGMA page_size=4096;"
                      "PRAGMA temp_store=MEMORY;"
                      "PRAGMA foreign_keys=OFF;"
                      "PRAGMA secure_delete=OFF;"
                      "PRAGMA cell_size_check=ON;"
                      "PRAGMA synchronous=FULL;"
                      "PRAGMA wal_autocheckpoint=0", why)) != RC_OK ||
        (old_bug(OLD_BUG_SYNCHRONOUS_NORMAL) && (rc = db_exec(db, "PRAGMA synchronous=NORMAL", why)) != RC_OK) ||
        (rc = db_cache(db, DB_CACHE_BYTES, why)) != RC_OK ||
        (rc = db_expect(db, path, writer ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode", "wal", why)) != RC_OK ||
        (rc = db_expect(db, path, "PRAGMA page_size", "4096", why)) != RC_OK)
        return rc;
    reserved = -1;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved) != SQLITE_OK ||
        reserved != DB_RESERVED_BYTES)
        return why_set(why, RC_BAD_FORMAT, "%s: its pages have no checksums (%d bytes reserved)", path, reserved);
    if (writer)
        return RC_OK;
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);     /* fails on an unknown verb only */
    return db_exec(db, "PRAGMA query_only=ON", why);
}

/* *ret has to be closed also after a failure. */
static enum rc
db_connect(struct sqlvfs *v, const char *path, bool create, sqlite3 **ret, struct why *why)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
    enum rc rc;
    int sql_rc;

    mutex_lock(v->world.threads, v->mutex);
    v->last = (struct why){ .rc = RC_OK };
    mutex_unlock(v->world.threads, v->mutex);
    if ((sql_rc = sqlite3_open_v2(path, ret, flags, v->name)) == SQLITE_OK)
        return RC_OK;
    rc = why_of(v, *ret, sql_rc, why, path);
    if (rc == RC_BUSY)
        why_set(why, rc, "%s is in use by another process", path);
    return rc;
}

enum rc
db_create_plain(struct sqlvfs *v, const char *path, sqlite3 **ret, struct why *why)
{
    int reserved = DB_RESERVED_BYTES;
    sqlite3 *db = NULL;
    enum rc rc;

    if ((rc = db_connect(v, path, true, &db, why)) == RC_OK &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved) != SQLITE_OK)
        rc = why_set(why, RC_BUG, "%s: no room for checksums", path);
    if (rc == RC_OK)
        *ret = db;
    else
        (void)sqlite3_close(db);    /* no statement is on it */
    return rc;
}

enum rc
db_open(struct sqlvfs *v, const char *path, bool writer, sqlite3 **ret, struct why *why)
{
    sqlite3 *db = NULL;
    enum rc rc;

    if ((rc = db_connect(v, path, writer, &db, why)) != RC_OK)
        goto out;
    if ((rc = db_set_up(db, path, writer, why)) != RC_OK)
        goto out;
    *ret = db;
    db = NULL;
out:
    (void)sqlite3_close(db);        /* no statement is left on it */
    return rc;
}
