/*
 * path -- from the bytes of a path to inodes.
 *
 * Paths that are looked up split at "/" and ignore empty components; "." and
 * ".." are ordinary names.  Paths that make a name (create, mkdirs, a rename's
 * destination) must besides be valid names (nn_path_check_new).
 */
#ifndef NAMENODE_PATH_H
#define NAMENODE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "namenode/inode.h"

/* Everything is in the arena that was given. */
struct nn_path {
    struct span text;           /* as the NameNode writes it: "/", "/a/b"; NUL-terminated */
    struct span *names;         /* of components 1..depth; names[0] is empty */
    struct nn_inode *inodes;    /* 0 is the root; those up to `found` exist */
    size_t depth;               /* components; the root has 0 */
    size_t found;               /* deepest that exists */
};

static inline bool nn_path_exists(const struct nn_path *p) { return p->found == p->depth; }
static inline const struct nn_inode *nn_path_last(const struct nn_path *p) { return &p->inodes[p->found]; }

/* True when something below a file is asked for: inodes[found] is that file. */
static inline bool nn_path_below_file(const struct nn_path *p)
{
    return p->found < p->depth && p->inodes[p->found].type == NN_FILE;
}

/* "/a/b" for component `at` of the path; in the arena. */
const char *nn_path_prefix(struct arena *arena, const struct nn_path *p, size_t at);

/* Split and look up; no permissions. */
enum rc nn_path_lookup(struct nn_db *db, struct arena *arena, struct span src, struct nn_path *ret, struct why *why) MUST_CHECK;

/* May src be the name of something new?  text goes before the path in the message ("", or "Invalid file name: "). */
enum rc nn_path_check_new(struct span src, const char *text, struct why *why) MUST_CHECK;


/* RC_IO_EXCEPTION for a path of more than 8000 characters or 1000 levels. */
enum rc nn_path_check_length(struct span src, const char *method, struct why *why) MUST_CHECK;

#endif
