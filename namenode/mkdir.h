/*
 * mkdir -- directories, made one by one along a path.
 */
#ifndef NAMENODE_MKDIR_H
#define NAMENODE_MKDIR_H

#include "core/rpc/server.h"
#include "namenode/path.h"

struct nn_core;

/*
 * Make the components of p that are missing up to `upto`, all but the last of
 * them with perm_above, component `upto` with perm.  p then says that they
 * exist.  Names were checked.
 */
enum rc nn_make_dirs(struct nn_core *core, const struct rpc_call *call, struct nn_path *p, size_t upto,
                     uint32_t perm_above, uint32_t perm, struct why *why) MUST_CHECK;

#endif
