#include "namenode/schema.h"

#include <stdio.h>

#include "core/io/sqlvfs.h"

const char *const nn_schema_tables[] = {
    "meta", "names", "inodes", "leases", "reclaim", "blocks", "freed", "recoveries", NULL,
};

#define RECOVERIES                                                          \
    "CREATE TABLE recoveries ("                                             \
    " inode INTEGER PRIMARY KEY,"                                           \
    " block INTEGER NOT NULL,"          /* 0: no attempt yet */             \
    " stamp INTEGER NOT NULL,"          /* of the last attempt */           \
    " truncates INTEGER NOT NULL,"                                          \
    " bytes INTEGER NOT NULL);"         /* that the block is cut to */

static const char schema_text[] =
    "CREATE TABLE meta (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE log (txid INTEGER PRIMARY KEY, at INTEGER NOT NULL, edits BLOB NOT NULL);"
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);"
    "CREATE TABLE inodes ("
    " id INTEGER PRIMARY KEY,"
    " parent INTEGER NOT NULL,"
    " name BLOB NOT NULL,"
    " type INTEGER NOT NULL,"           /* enum nn_inode_type */
    " perm INTEGER NOT NULL,"           /* mode bits with the sticky bit */
    " owner INTEGER NOT NULL,"          /* names.id */
    " grp INTEGER NOT NULL,"            /* names.id */
    " mtime INTEGER NOT NULL,"          /* ms since 1970 */
    " atime INTEGER NOT NULL,"
    " length INTEGER NOT NULL,"         /* bytes that readers are shown */
    " replication INTEGER NOT NULL,"
    " block_size INTEGER NOT NULL,"
    " policy INTEGER NOT NULL,"         /* storage policy; 0: none of its own */
    " open INTEGER NOT NULL,"           /* 1: being written, has a lease */
    " children INTEGER NOT NULL,"       /* entries of a directory */
    " UNIQUE (parent, name));"
    "CREATE TABLE leases (inode INTEGER PRIMARY KEY, holder BLOB NOT NULL, client_node BLOB NOT NULL);"
    "CREATE INDEX leases_holder ON leases (holder);"
    "CREATE TABLE reclaim (inode INTEGER PRIMARY KEY);"
    "CREATE TABLE blocks ("
    " id INTEGER PRIMARY KEY,"
    " inode INTEGER NOT NULL,"
    " idx INTEGER NOT NULL,"            /* place in the file, from 0 */
    " bytes INTEGER NOT NULL,"
    " stamp INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"          /* enum nn_block_state */
    " UNIQUE (inode, idx));"
    "CREATE TABLE roster (block INTEGER PRIMARY KEY, packed BLOB NOT NULL);"
    "CREATE TABLE freed (block INTEGER PRIMARY KEY, stamp INTEGER NOT NULL);"
    RECOVERIES
    "CREATE TABLE nodes ("
    " uuid BLOB PRIMARY KEY,"
    " host BLOB NOT NULL,"
    " host_name BLOB NOT NULL,"
    " data_port INTEGER NOT NULL,"
    " ipc_port INTEGER NOT NULL,"
    " http_port INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE storages (no INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, node BLOB NOT NULL);";

static enum rc
set_version(struct nn_db *db, struct why *why)
{
    char version[64];

    snprintf(version, sizeof version, "PRAGMA user_version = %d", NN_SCHEMA_VERSION);
    return db_exec(db->sql, version, why);
}

enum rc
nn_schema_create(struct nn_db *db, struct why *why)
{
    enum rc rc;

    if ((rc = db_exec(db->sql, schema_text, why)) != RC_OK)
        return rc;
    return set_version(db, why);
}

/* Version 1 had no recoveries. */
static enum rc
upgrade(struct nn_db *db, struct why *why)
{
    enum rc rc;

    if ((rc = nn_exec(db, SQL_BEGIN, why)) != RC_OK || (rc = db_exec(db->sql, RECOVERIES, why)) != RC_OK ||
        (rc = set_version(db, why)) != RC_OK)
        return rc;              /* the connection is given up, and the transaction with it */
    return nn_exec(db, SQL_COMMIT, why);
}

enum rc
nn_schema_check(struct nn_db *db, bool *ret_empty, struct why *why)
{
    sqlite3_stmt *st = NULL;
    bool row;
    uint64_t version = 0, tables = 0;
    enum rc rc;

    if ((rc = db_prepare(db->sql, "PRAGMA user_version", &st, why)) != RC_OK ||
        (rc = nn_step(db, st, &row, why)) != RC_OK)
        goto out;
    if (row)
        version = nn_column_u64(st, 0);
    (void)sqlite3_finalize(st);         /* no error: the step succeeded */
    st = NULL;
    if ((rc = db_prepare(db->sql, "SELECT count(*) FROM sqlite_master", &st, why)) != RC_OK ||
        (rc = nn_step(db, st, &row, why)) != RC_OK)
        goto out;
    if (row)
        tables = nn_column_u64(st, 0);
    *ret_empty = tables == 0;
    if (tables != 0 && version == 1)
        rc = upgrade(db, why);
    else if (tables != 0 && version != NN_SCHEMA_VERSION)
        rc = why_set(why, RC_BAD_FORMAT,
                     "the namespace database has schema version %llu, this NameNode knows version %d: start the version "
                     "that wrote it", (unsigned long long)version, NN_SCHEMA_VERSION);
out:
    (void)sqlite3_finalize(st);         /* repeats the error of the step, which is in rc */
    return rc;
}
