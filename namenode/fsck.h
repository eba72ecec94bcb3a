/*
 * fsck -- the check of a part of the tree, as text that Hadoop's clients know.
 *
 * Counts and lines are plain functions of what the NameNode said of a file; the
 * walk (fsck_walk.c) asks for it, entry by entry, while the answer is sent.
 */
#ifndef NAMENODE_FSCK_H
#define NAMENODE_FSCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/proto/hdfs.pb-c.h"

/* What is asked for, by the names of the query. */
struct fsck_ask {
    bool files, blocks, locations, racks, details, open_files;
};

/* Is the DataNode of that uuid alive? */
struct fsck_live {
    bool (*is_live)(void *arg, ProtobufCBinaryData uuid);
    void *arg;
};

struct fsck_counts {
    uint64_t dirs, files, bytes, blocks, live_replicas, wanted_replicas;
    uint64_t open_files, open_bytes, open_blocks;
    uint64_t minimal, over, under, missing, corrupt, missing_replicas;
    uint64_t bad_files, missing_bytes, corrupt_bytes;
};

/* What the summary says besides. */
struct fsck_cluster { uint64_t nodes, racks, replication, replication_min; };

/* Count one file, print what is asked for.  l: all its blocks. */
void fsck_file(struct fsck_counts *c, const struct fsck_ask *ask, const struct fsck_live *live, const char *path,
               const HdfsFileStatusProto *st, const LocatedBlocksProto *l, uint64_t replication_min, struct buf *out);
void fsck_dir(struct fsck_counts *c, const struct fsck_ask *ask, const char *path, struct buf *out);

void fsck_summary(const struct fsck_counts *c, const struct fsck_cluster *cluster, struct buf *out);

/* A float as Java writes it: "100.0", "33.333332". */
const char *fsck_float(float v, char out[32]);

/* "Sun Nov 22 12:00:00 UTC 2026" */
const char *fsck_date(uint64_t wall_ms, char out[40]);

#endif
