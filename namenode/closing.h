/*
 * closing -- blocks that become complete, files that are closed.
 */
#ifndef NAMENODE_CLOSING_H
#define NAMENODE_CLOSING_H

#include "core/base/arena.h"
#include "namenode/block.h"
#include "namenode/core.h"

/* An edit: b, which is committed and has enough replicas, becomes complete. */
enum rc nn_block_complete(struct nn_core *core, struct arena *arena, struct nn_block *b, struct why *why) MUST_CHECK;

/* Edits: the file's last blocks become complete, the file is closed.  nn_file_is_stored said yes.  No edit may follow. */
enum rc nn_file_close(struct nn_core *core, struct arena *arena, uint64_t inode, struct why *why) MUST_CHECK;

#endif
