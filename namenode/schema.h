/*
 * schema -- the tables of the NameNode's database, and their version.
 *
 *     meta     key -> value: identity, next numbers, schema version
 *     log      one row a group: its edits with calls and replies (txlog.h)
 *     names    users and groups, interned
 *     inodes   files and directories; parent 0: the root, or unlinked and waiting to be reclaimed
 *     leases   files open for writing
 *     reclaim  roots of unlinked trees whose rows are still there
 *     blocks   blocks of files, in order of idx
 *     roster   where the replicas of a block are
 *     recoveries  files without a writer, and files that are being cut (recovery.h)
 *     freed    blocks that belong to no file any more and whose replicas are to be deleted
 *     nodes    DataNodes and where they were last
 *     storages their storages, and the numbers by which the roster calls them
 *
 * roster, nodes and storages hold what DataNodes told, not what clients did: they are written outside edits.
 *
 * Room is left for extended attributes and ACLs, which come as tables of their own.
 */
#ifndef NAMENODE_SCHEMA_H
#define NAMENODE_SCHEMA_H

#include "namenode/db.h"

#define NN_SCHEMA_VERSION 2

/* Create the tables in an empty database. */
enum rc nn_schema_create(struct nn_db *db, struct why *why) MUST_CHECK;

/* *ret_empty: the database has no tables.  One of an earlier version is brought to ours; RC_BAD_FORMAT when its version
 * is later than ours; why says what to do. */
enum rc nn_schema_check(struct nn_db *db, bool *ret_empty, struct why *why) MUST_CHECK;

/* The tables that a replay of the log must reproduce; NULL-terminated. */
extern const char *const nn_schema_tables[];

#endif
