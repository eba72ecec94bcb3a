/*
 * perm -- who may do what: mode bits, owners, groups, the sticky bit, superusers.
 *
 * Plain functions over rows that were read; groups come from nn->groups, once a
 * call.  Messages are HDFS's.
 */
#ifndef NAMENODE_PERM_H
#define NAMENODE_PERM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/rc.h"
#include "core/rpc/server.h"
#include "namenode/nn.h"
#include "namenode/path.h"

enum nn_action { MAY_NOTHING = 0, MAY_EXECUTE = 1, MAY_WRITE = 2, MAY_READ = 4, MAY_ALL = 7 };     /* FsActionProto */

/* The user of one call; in the call's arena. */
struct nn_caller {
    const struct nn *nn;
    struct rpc_call *call;
    bool super;                 /* superuser, or permissions are off */
    const char **groups;
    size_t group_count;
    bool groups_known;
};

bool nn_is_superuser(const struct nn *nn, const char *user);
void nn_caller_init(struct nn_caller *c, const struct nn *nn, struct rpc_call *call);
enum rc nn_caller_in_group(struct nn_caller *c, const char *group, bool *ret, struct why *why) MUST_CHECK;

/* EXECUTE on the directories above component `at` that exist. */
enum rc nn_may_traverse(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, size_t at, struct why *why) MUST_CHECK;

/* What is asked of component `at`; not of those above it. */
enum rc nn_may(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, size_t at, unsigned actions,
               struct why *why) MUST_CHECK;

/* RC_DENIED unless the caller owns the last component. */
enum rc nn_must_own(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why) MUST_CHECK;

/* The last component may be removed from its directory: the sticky bit. */
enum rc nn_may_unlink(struct nn_caller *c, struct nn_db *db, const struct nn_path *p, struct why *why) MUST_CHECK;

/* "rwxr-xr-t" */
void nn_perm_text(uint32_t perm, char out[10]);

#endif
