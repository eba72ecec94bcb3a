/*
 * groups -- which groups a user is in.
 *
 * Asked of nn->groups (the system's user database, which may be a directory
 * service far away) and kept for five minutes.  Owns the cache; any thread, as
 * it has a lock of its own.
 */
#ifndef NAMENODE_GROUPS_H
#define NAMENODE_GROUPS_H

#include "core/base/rc.h"

struct nn;
struct nn_group_cache;

enum rc nn_group_cache_new(const struct nn *nn, struct nn_group_cache **ret, struct why *why) MUST_CHECK;
void nn_group_cache_free(struct nn_group_cache *c);

/* Call on_group for each group of user, the primary one first.  on_group must not ask in turn. */
void nn_groups_each(const struct nn *nn, const char *user, void (*on_group)(void *arg, const char *group), void *arg);

#endif
