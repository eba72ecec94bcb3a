/*
 * volume -- one data directory: whose it is, and what is found in it at start.
 *
 * Used by one thread while the DataNode starts, and when it first joins a cluster.
 * Nothing that was not made here is ever deleted: a directory of another cluster
 * or of an unknown layout is refused as it is.
 */
#ifndef DATANODE_VOLUME_H
#define DATANODE_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/io/io.h"
#include "core/proto/ids.h"
#include "datanode/layout.h"
#include "datanode/replica.h"

/* The cluster and node that storage belongs to; texts are empty until known. */
struct dn_identity {
    char cluster_id[128];
    char node_uuid[64];
    char pool_id[256];
    uint32_t namespace_id;
    uint64_t created_ms;
};

/* The highest numbers ever heard of: a NameNode that is behind them has lost something. */
struct dn_seen {
    uint64_t txid, block_id, stamp;
};

struct dn_volume_dir {
    char dir[DN_DIR_MAX + 1];
    char pool[DN_PATH_MAX];     /* DIR/current/BP-...; empty until joined */
    char uuid[64];              /* storage uuid; empty until formatted */
    int lock_fd;                /* -1: not locked */
};

/*
 * Create and lock DIR and read its VERSION.  *id is filled where it is still empty;
 * RC_WRONG_CLUSTER when this directory says something else than id does.
 */
enum rc dn_volume_open(struct io *io, const char *dir, struct dn_volume_dir *ret, struct dn_identity *id,
                       struct why *why) MUST_CHECK;
void dn_volume_close(struct io *io, struct dn_volume_dir *v);

/* Make the directory part of id's cluster and pool: writes what is missing, empties tmp/. uuid: for a new one. */
enum rc dn_volume_join(struct io *io, struct dn_volume_dir *v, const struct dn_identity *id, const char *uuid,
                       struct why *why) MUST_CHECK;

/* Every replica found; state is FINALIZED or RWR, whose files were cut to what is good. */
typedef enum rc dn_found_fn(void *arg, const struct dn_view *found, struct why *why);
enum rc dn_volume_scan(struct io *io, const struct dn_volume_dir *v, dn_found_fn *fn, void *arg, struct why *why) MUST_CHECK;

/* Raise *seen by what the directory remembers; nothing remembered is no failure. */
enum rc dn_seen_read(struct io *io, const struct dn_volume_dir *v, struct dn_seen *seen, struct why *why) MUST_CHECK;
enum rc dn_seen_write(struct io *io, const struct dn_volume_dir *v, const struct dn_seen *seen, struct why *why) MUST_CHECK;

#endif
