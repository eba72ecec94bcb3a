#include "namenode/verify.h"

#include "core/base/attr.h"
#include "core/io/sqlvfs.h"

/* Each query yields the number of what breaks the rule; none when it holds. */
static const struct {
    const char *rule, *query;
} rules[] = {
    { "the root is a directory without a parent",
      "SELECT 16385 WHERE NOT EXISTS (SELECT 1 FROM inodes WHERE id = 16385 AND parent = 0 AND type = 1)" },
    { "everything has a directory above it, is the root, or is to be reclaimed",
      "SELECT id FROM inodes i WHERE id != 16385 AND NOT EXISTS (SELECT 1 FROM inodes d WHERE d.id = i.parent AND d.type = 1)"
      " AND id NOT IN (SELECT inode FROM reclaim)" },
    { "everything is reached from the root or from a tree that is to be reclaimed",
      "WITH RECURSIVE r(id) AS (SELECT 16385 UNION SELECT inode FROM reclaim"
      " UNION SELECT i.id FROM inodes i JOIN r ON i.parent = r.id)"
      " SELECT id FROM inodes WHERE id NOT IN (SELECT id FROM r)" },
    { "a directory of the tree counts its entries",
      "WITH RECURSIVE r(id) AS (SELECT 16385 UNION SELECT i.id FROM inodes i JOIN r ON i.parent = r.id)"
      " SELECT d.id FROM inodes d WHERE d.type = 1 AND d.id IN (SELECT id FROM r)"
      " AND d.children != (SELECT count(*) FROM inodes c WHERE c.parent = d.id)" },
    { "an open file has a lease", "SELECT id FROM inodes WHERE open = 1 AND id NOT IN (SELECT inode FROM leases)" },
    { "a lease is of an open file", "SELECT inode FROM leases WHERE inode NOT IN (SELECT id FROM inodes WHERE open = 1)" },
    { "a file in recovery is open", "SELECT inode FROM recoveries WHERE inode NOT IN (SELECT id FROM inodes WHERE open = 1)" },
    { "the stamp of a recovery is newer than its block",
      "SELECT r.inode FROM recoveries r JOIN blocks b ON b.id = r.block WHERE r.stamp <= b.stamp" },
    { "owner and group have names",
      "SELECT id FROM inodes WHERE owner NOT IN (SELECT id FROM names) OR grp NOT IN (SELECT id FROM names)" },
    { "a block belongs to a file", "SELECT id FROM blocks WHERE inode NOT IN (SELECT id FROM inodes WHERE type = 2)" },
    { "the blocks of a file are numbered from 0 without gaps",
      "SELECT inode FROM blocks GROUP BY inode HAVING min(idx) != 0 OR max(idx) != count(*) - 1" },
    { "a closed file is as long as its blocks",
      "SELECT i.id FROM inodes i WHERE i.type = 2 AND i.open = 0"
      " AND i.length != (SELECT coalesce(sum(b.bytes), 0) FROM blocks b WHERE b.inode = i.id)" },
    { "a freed block is no block of a file", "SELECT block FROM freed WHERE block IN (SELECT id FROM blocks)" },
    { "a number that was given out is below the next one",
      "SELECT max(id) FROM inodes HAVING max(id) >= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = CAST('next_inode' AS BLOB))" },
    { "a block's number is below the next one",
      "SELECT max(id) FROM blocks HAVING max(id) >= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = CAST('next_block' AS BLOB))" },
};

enum rc
nn_verify(struct nn_db *db, struct why *why)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        sqlite3_stmt *st = NULL;
        bool row = false;
        enum rc rc;

        if ((rc = db_prepare(db->sql, rules[i].query, &st, why)) == RC_OK && (rc = nn_step(db, st, &row, why)) == RC_OK && row)
            rc = why_set(why, RC_CORRUPT, "not true of number %llu: %s", (unsigned long long)nn_column_u64(st, 0),
                         rules[i].rule);
        (void)sqlite3_finalize(st);     /* repeats an error that is in rc */
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}
