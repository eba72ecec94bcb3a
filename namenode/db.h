/*
 * db -- one connection to the NameNode's database, with its statements.
 *
 * The core has the only writing connection; each reader has its own.  One
 * thread uses a struct nn_db.  A statement from nn_sql is good until the same
 * name is asked for again on this connection; blobs read from it until it is
 * stepped or reset.
 */
#ifndef NAMENODE_DB_H
#define NAMENODE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

enum nn_sql {
#define SQL(name, text) SQL_##name,
#include "namenode/sql.def"
#include "namenode/sql_blocks.def"
#undef SQL
    SQL_COUNT,
};

struct conf;
struct sqlvfs;
struct nn_name;
struct nn_dir;

struct nn_db {
    sqlite3 *sql;
    const struct conf *conf;            /* borrowed */
    sqlite3_stmt *stmts[SQL_COUNT];
    struct nn_name *names, *names_by_text;      /* interned names seen on this connection */
    struct nn_dir *dirs_by_name, *dirs_by_id;   /* dirs.h, as the next three */
    uint64_t dirs_number;               /* readers: of the directories that the entries are of */
    bool dirs_on;                       /* entries may be used and added */
    bool dirs_changed;                  /* the core: by the open group */
};

enum rc nn_db_open(struct nn_db *db, struct sqlvfs *vfs, const char *path, bool writer, const struct conf *conf,
                   struct why *why) MUST_CHECK;
void nn_db_fini(struct nn_db *db);      /* also on one that was only zeroed */
void nn_db_forget(struct nn_db *db);    /* after a rollback: what is remembered of the tables may not be so */

/* The statement, reset and without bindings; NULL with why filled. */
sqlite3_stmt *nn_sql(struct nn_db *db, enum nn_sql name, struct why *why) MUST_CHECK;

/* *ret_row: true when there is a row to read; when false the statement has been reset. */
enum rc nn_step(struct nn_db *db, sqlite3_stmt *st, bool *ret_row, struct why *why) MUST_CHECK;

/* To the end, for a statement that returns no rows; resets it. */
enum rc nn_run(struct nn_db *db, sqlite3_stmt *st, struct why *why) MUST_CHECK;

void nn_done(sqlite3_stmt *st);         /* reset one whose rows were not all read */

/* A statement without parameters or rows. */
enum rc nn_exec(struct nn_db *db, enum nn_sql name, struct why *why) MUST_CHECK;

/* Parameters are numbered from 1.  Binding cannot fail for a number in range; the bytes are borrowed until the reset. */
void nn_bind_u64(sqlite3_stmt *st, int at, uint64_t v);
void nn_bind_span(sqlite3_stmt *st, int at, struct span v);
struct span nn_column_span(sqlite3_stmt *st, int column);
uint64_t nn_column_u64(sqlite3_stmt *st, int column);

/* Interned names of users and groups: find or add the number, and the text of a number (good while db lives). */
enum rc nn_name_intern(struct nn_db *db, struct span text, uint64_t *ret_id, struct why *why) MUST_CHECK;
enum rc nn_name_text(struct nn_db *db, uint64_t id, const char **ret, struct why *why) MUST_CHECK;

/* meta: rows of text by name. RC_NOT_FOUND when missing. */
enum rc nn_meta_get(struct nn_db *db, const char *key, char *ret, size_t cap, struct why *why) MUST_CHECK;
enum rc nn_meta_set(struct nn_db *db, const char *key, struct span value, struct why *why) MUST_CHECK;
enum rc nn_meta_get_u64(struct nn_db *db, const char *key, uint64_t *ret, struct why *why) MUST_CHECK;
enum rc nn_meta_set_u64(struct nn_db *db, const char *key, uint64_t value, struct why *why) MUST_CHECK;

static inline struct span span_of(const void *p, size_t n) { return (struct span){ .p = p, .n = n }; }

#endif
