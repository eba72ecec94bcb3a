/*
 * resolve -- a call's path, looked up, with the right to pass along it.
 *
 * What every handler that takes a path begins with; and the checks that those
 * share which make a name.
 */
#ifndef NAMENODE_RESOLVE_H
#define NAMENODE_RESOLVE_H

#include <protobuf-c/protobuf-c.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "namenode/path.h"
#include "namenode/perm.h"

/* What a file in the middle of the path means. */
enum nn_purpose {
    NN_TO_INFORM,       /* superusers: the path does not exist; others: RC_DENIED */
    NN_TO_USE,          /* RC_DENIED */
    NN_TO_MAKE,         /* RC_PARENT_NOT_DIR */
};

static inline struct span pb_span(ProtobufCBinaryData v) { return span_of(v.data, v.len); }

enum rc nn_resolve(struct nn_caller *c, struct nn_db *db, struct span src, enum nn_purpose purpose, struct nn_path *ret,
                   struct why *why) MUST_CHECK;

/* As nn_resolve to use; besides RC_NOT_FOUND "File does not exist: ..." and "Path is not a file: ...". */
enum rc nn_resolve_file(struct nn_caller *c, struct nn_db *db, struct span src, struct nn_path *ret, struct why *why) MUST_CHECK;

/* WRITE on the deepest directory above the last component that exists. */
enum rc nn_may_add(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why) MUST_CHECK;

/* WRITE on the directory of the last component, and the sticky bit, if it exists. */
enum rc nn_may_remove(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why) MUST_CHECK;

/* WRITE, EXECUTE and READ on every directory of the tree at the last component that is not empty. */
enum rc nn_may_remove_tree(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why) MUST_CHECK;

/* RC_NOT_FOUND "Parent directory doesn't exist: ..." */
enum rc nn_must_have_parent(struct arena *arena, const struct nn_path *p, struct why *why) MUST_CHECK;

/* Names of components from `from` on may be made: reserved words, length, room in the directory. */
enum rc nn_check_new_names(const struct conf *conf, struct arena *arena, const struct nn_path *p, size_t from,
                           struct why *why) MUST_CHECK;

/* Below /.reserved nothing can be made. */
bool nn_path_is_reserved(struct span src);

#endif
