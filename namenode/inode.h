/*
 * inode -- files and directories: the rows of the table inodes.
 *
 * A row with parent 0 is the root, or the top of an unlinked tree that waits to
 * be reclaimed.  The numbers of children and the time of change of a directory
 * are kept by the edits that change its entries.
 */
#ifndef NAMENODE_INODE_H
#define NAMENODE_INODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "namenode/db.h"

enum nn_inode_type { NN_DIR = 1, NN_FILE = 2 };     /* HdfsFileStatusProto.FileType's numbers */

struct nn_inode {
    uint64_t id, parent;
    enum nn_inode_type type;
    uint32_t perm;              /* 01777 */
    uint64_t owner, group;      /* names.id: nn_name_text */
    uint64_t mtime, atime;      /* ms since 1970 */
    uint64_t length;
    uint32_t replication;
    uint64_t block_size;
    uint32_t policy;            /* storage policy; 0: none of its own */
    bool open;
    uint64_t children;
};

/* *ret_found false: no such row, *ret untouched. */
enum rc nn_inode_find(struct nn_db *db, uint64_t id, struct nn_inode *ret, bool *ret_found, struct why *why) MUST_CHECK;
enum rc nn_inode_find_child(struct nn_db *db, uint64_t parent, struct span name, struct nn_inode *ret, bool *ret_found,
                            struct why *why) MUST_CHECK;

/* Entries of a directory after a name, in byte order of names; at most limit.  Calls on_entry(arg, inode, name) for
 * each; it must not use SQL_INODE_LIST itself. */
enum rc nn_inode_list(struct nn_db *db, uint64_t dir, struct span after, uint64_t limit,
                      enum rc (*on_entry)(void *arg, const struct nn_inode *inode, struct span name, struct why *why),
                      void *arg, struct why *why) MUST_CHECK;

/* The path from the root, in arena; *ret_found false when the inode is gone or unlinked. */
enum rc nn_inode_path(struct nn_db *db, struct arena *arena, uint64_t id, struct span *ret, bool *ret_found,
                      struct why *why) MUST_CHECK;

/* Part of EDIT_FORMAT. */
enum rc nn_inode_add_root(struct nn_db *db, struct span owner, struct span group, uint64_t at_ms, struct why *why) MUST_CHECK;

#endif
