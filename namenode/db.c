#include "namenode/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#define HASH_NONFATAL_OOM 1     /* what is not added has no table */
#include "core/base/table.h"
#include "core/io/sqlvfs.h"
#include "namenode/dirs.h"

struct nn_name {
    uint64_t id;
    UT_hash_handle by_id, by_text;
    size_t n;
    char text[];
};

static const char *const sql_text[SQL_COUNT] = {
#define SQL(name, text) [SQL_##name] = (text),
#include "namenode/sql.def"
#include "namenode/sql_blocks.def"
#undef SQL
};

enum rc
nn_db_open(struct nn_db *db, struct sqlvfs *vfs, const char *path, bool writer, const struct conf *conf, struct why *why)
{
    enum rc rc;

    *db = (struct nn_db){ .conf = conf };
    if ((rc = db_open(vfs, path, writer, &db->sql, why)) != RC_OK)
        return rc;
    return db_exec(db->sql, writer ? "PRAGMA cache_size = -65536" : "PRAGMA cache_size = -16384", why);   /* KB at most */
}

void
nn_db_fini(struct nn_db *db)
{
    for (size_t i = 0; i < SQL_COUNT; i++)
        (void)sqlite3_finalize(db->stmts[i]);   /* repeats the error of its last step, which was handled */
    nn_db_forget(db);
    if (db->sql != NULL)
        CHECK(sqlite3_close(db->sql) == SQLITE_OK);
    *db = (struct nn_db){ 0 };
}

sqlite3_stmt *
nn_sql(struct nn_db *db, enum nn_sql name, struct why *why)
{
    if (db->stmts[name] == NULL && db_prepare(db->sql, sql_text[name], &db->stmts[name], why) != RC_OK)
        return NULL;
    (void)sqlite3_reset(db->stmts[name]);       /* repeats the error of its last step, which was handled */
    (void)sqlite3_clear_bindings(db->stmts[name]);
    return db->stmts[name];
}

enum rc
nn_step(struct nn_db *db, sqlite3_stmt *st, bool *ret_row, struct why *why)
{
    int r = sqlite3_step(st);

    if (r == SQLITE_ROW) {
        *ret_row = true;
        return RC_OK;
    }
    if (r == SQLITE_DONE) {
        (void)sqlite3_reset(st);        /* cannot fail after DONE */
        *ret_row = false;
        return RC_OK;
    }
    enum rc rc = db_why(db->sql, r, why, sqlite3_sql(st));
    (void)sqlite3_reset(st);            /* repeats r */
    return rc;
}

enum rc
nn_run(struct nn_db *db, sqlite3_stmt *st, struct why *why)
{
    bool row = true;
    enum rc rc;

    while (row)
        if ((rc = nn_step(db, st, &row, why)) != RC_OK)
            return rc;
    return RC_OK;
}

void
nn_done(sqlite3_stmt *st)
{
    (void)sqlite3_reset(st);            /* repeats the error of the last step, which was handled */
}

enum rc
nn_exec(struct nn_db *db, enum nn_sql name, struct why *why)
{
    sqlite3_stmt *st = nn_sql(db, name, why);

    return st == NULL ? why->rc : nn_run(db, st, why);
}

void
nn_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
    CHECK(sqlite3_bind_int64(st, at, (sqlite3_int64)v) == SQLITE_OK);
}

void
nn_bind_span(sqlite3_stmt *st, int at, struct span v)
{
    CHECK(sqlite3_bind_blob64(st, at, v.n == 0 ? (const void *)"" : v.p, v.n, SQLITE_STATIC) == SQLITE_OK);
}

struct span
nn_column_span(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_blob(st, column);

    return span_of(p, (size_t)sqlite3_column_bytes(st, column));
}

uint64_t
nn_column_u64(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}

static struct nn_name *
remember(struct nn_db *db, uint64_t id, struct span text)
{
    struct nn_name *name = mem_zalloc(sizeof *name + text.n + 1);

    if (name == NULL)
        return NULL;
    name->id = id;
    name->n = text.n;
    if (text.n > 0)
        memcpy(name->text, text.p, text.n);
    HASH_ADD(by_id, db->names, id, sizeof name->id, name);
    if (name->by_id.tbl == NULL) {
        mem_free(name);
        return NULL;
    }
    HASH_ADD(by_text, db->names_by_text, text, name->n, name);
    if (name->by_text.tbl == NULL) {
        HASH_DELETE(by_id, db->names, name);
        mem_free(name);
        return NULL;
    }
    return name;
}

enum rc
nn_name_text(struct nn_db *db, uint64_t id, const char **ret, struct why *why)
{
    struct nn_name *name;
    sqlite3_stmt *st;
    bool row = false;
    enum rc rc;

    HASH_FIND(by_id, db->names, &id, sizeof id, name);
    if (name == NULL) {
        if ((st = nn_sql(db, SQL_NAME_BY_ID, why)) == NULL)
            return why->rc;
        nn_bind_u64(st, 1, id);
        if ((rc = nn_step(db, st, &row, why)) != RC_OK)
            return rc;
        if (!row)
            return why_set(why, RC_CORRUPT, "the database lacks the name number %llu", (unsigned long long)id);
        name = remember(db, id, nn_column_span(st, 0));
        nn_done(st);
        if (name == NULL)
            return why_rc(why, RC_NOMEM);
    }
    *ret = name->text;
    return RC_OK;
}

enum rc
nn_name_intern(struct nn_db *db, struct span text, uint64_t *ret_id, struct why *why)
{
    struct nn_name *name;
    sqlite3_stmt *st;
    bool row = false;
    enum rc rc;

    HASH_FIND(by_text, db->names_by_text, text.p, text.n, name);
    if (name != NULL) {
        *ret_id = name->id;
        return RC_OK;
    }
    if ((st = nn_sql(db, SQL_NAME_BY_TEXT, why)) == NULL)
        return why->rc;
    nn_bind_span(st, 1, text);
    if ((rc = nn_step(db, st, &row, why)) != RC_OK)
        return rc;
    if (row) {
        *ret_id = nn_column_u64(st, 0);
        nn_done(st);
        return RC_OK;           /* nn_name_text remembers it */
    }
    if ((st = nn_sql(db, SQL_NAME_ADD, why)) == NULL)
        return why->rc;
    nn_bind_span(st, 1, text);
    if ((rc = nn_run(db, st, why)) != RC_OK)
        return rc;
    *ret_id = (uint64_t)sqlite3_last_insert_rowid(db->sql);
    return RC_OK;
}

void
nn_db_forget(struct nn_db *db)
{
    struct nn_name *name, *next;

    HASH_ITER(by_id, db->names, name, next) {
        HASH_DELETE(by_text, db->names_by_text, name);
        HASH_DELETE(by_id, db->names, name);
        mem_free(name);
    }
    nn_dirs_forget_all(db);
}

enum rc
nn_meta_get(struct nn_db *db, const char *key, char *ret, size_t cap, struct why *why)
{
    sqlite3_stmt *st;
    struct span v;
    bool row = false;
    enum rc rc;

    if ((st = nn_sql(db, SQL_META_GET, why)) == NULL)
        return why->rc;
    nn_bind_span(st, 1, span_of(key, strlen(key)));
    if ((rc = nn_step(db, st, &row, why)) != RC_OK)
        return rc;
    if (!row)
        return why_set(why, RC_NOT_FOUND, "the database has no %s", key);
    v = nn_column_span(st, 0);
    if (v.n >= cap) {
        rc = why_set(why, RC_CORRUPT, "%s in the database is %zu bytes long", key, v.n);
    } else {
        if (v.n > 0)
            memcpy(ret, v.p, v.n);
        ret[v.n] = '\0';
    }
    nn_done(st);
    return rc;
}

enum rc
nn_meta_set(struct nn_db *db, const char *key, struct span value, struct why *why)
{
    sqlite3_stmt *st;

    if ((st = nn_sql(db, SQL_META_SET, why)) == NULL)
        return why->rc;
    nn_bind_span(st, 1, span_of(key, strlen(key)));
    nn_bind_span(st, 2, value);
    return nn_run(db, st, why);
}

enum rc
nn_meta_get_u64(struct nn_db *db, const char *key, uint64_t *ret, struct why *why)
{
    char text[32], *end;
    enum rc rc;

    if ((rc = nn_meta_get(db, key, text, sizeof text, why)) != RC_OK)
        return rc;
    *ret = strtoull(text, &end, 10);
    if (end == text || *end != '\0')
        return why_set(why, RC_CORRUPT, "%s in the database is \"%s\", not a number", key, text);
    return RC_OK;
}

enum rc
nn_meta_set_u64(struct nn_db *db, const char *key, uint64_t value, struct why *why)
{
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return nn_meta_set(db, key, span_of(text, strlen(text)), why);
}
