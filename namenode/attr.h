/*
 * attr -- permission, owner, times and replication of files and directories.
 */
#ifndef NAMENODE_ATTR_H
#define NAMENODE_ATTR_H

#include <stdint.h>

#include "namenode/inode.h"
#include "namenode/nn.h"

/*
 * Somebody reads this file.  Its access time follows, to the precision of
 * atime_precision_ms, in a group of its own: a reader never waits for it, and
 * one that cannot be noted is lost.  Any thread.
 */
void nn_touch(struct nn *nn, const struct nn_inode *file);

#endif
