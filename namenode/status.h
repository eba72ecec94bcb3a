/*
 * status -- what the wire says about one file or directory: HdfsFileStatusProto.
 */
#ifndef NAMENODE_STATUS_H
#define NAMENODE_STATUS_H

#include "core/base/arena.h"
#include "core/proto/hdfs.pb-c.h"
#include "namenode/inode.h"

/* In arena; path is its name in a listing, else empty.  Without locations. */
enum rc nn_status(struct nn_db *db, struct arena *arena, const struct nn_inode *inode, struct span path,
                  HdfsFileStatusProto **ret, struct why *why) MUST_CHECK;

/* Times are unsigned on the wire and signed in people's hands; -1 is "leave it". */
#define NN_TIME_KEEP UINT64_MAX

#endif
