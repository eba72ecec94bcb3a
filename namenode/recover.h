/*
 * recover -- a new database from a further directory of dfs.namenode.name.dir.
 *
 * The newest backup there, then every group of the log after it.  Nothing that
 * was acknowledged is missing from a directory that was not dropped.
 */
#ifndef NAMENODE_RECOVER_H
#define NAMENODE_RECOVER_H

#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "namenode/logcopy.h"

struct nn_recovered {
    uint64_t backup, txid;              /* where the backup ended, where the log ended */
    uint64_t inodes, blocks;
    char moved[4096];                   /* where the database that was there is now; empty: there was none */
};

/* Make the database file at path (which must be missing) of what dir holds; it is durable but for its name. */
enum rc nn_rebuild(const struct world *w, const struct conf *conf, const char *dir, const char *path,
                   struct nn_recovered *ret, struct why *why) MUST_CHECK;

/*
 * namenode --recover-from dir: put a rebuilt database into the first directory of
 * dfs.namenode.name.dir.  The one that is there is moved aside, never deleted,
 * and only when it is damaged or behind: RC_EXISTS for one that is healthy and
 * lacks nothing.  RC_CORRUPT also when another configured directory reaches further than dir.
 */
enum rc nn_recover(const struct world *w, const struct conf *conf, const char *dir, struct nn_recovered *ret,
                   struct why *why) MUST_CHECK;

#endif
