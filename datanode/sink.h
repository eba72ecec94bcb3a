/*
 * sink -- the two files of a replica that is being written.
 *
 * Data are verified against the sender's checksums before they reach the disk and
 * always stored with CRC32C.  Bytes that are there already are not written again;
 * the checksum of a chunk that is not full is carried in memory and extended.
 *
 * One thread at a time.  After RC_IO the files are in an unknown state: give the
 * sink up and fence the volume.
 */
#ifndef DATANODE_SINK_H
#define DATANODE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/io/crc.h"
#include "core/io/io.h"
#include "core/proto/dtp.h"
#include "datanode/layout.h"

struct dn_sink {
    struct io *io;          /* borrowed */
    int data_fd, meta_fd;   /* owned; -1 when closed */
    struct dn_meta meta;
    uint64_t bytes;         /* of the replica so far */
    uint32_t tail;          /* checksum of the last chunk's bytes, while it is not full */
    uint64_t safe_bytes;    /* from the start, that a crash must not take: see dn_sink_write */
    uint64_t behind_bytes;  /* from the start, that the disk was told to begin with */
    bool dirty;             /* written since the last sync */
    struct buf sums;        /* scratch */
};

/* How the sender makes checksums. */
struct dn_sums {
    enum crc_type type;
    uint32_t chunk;
};

/* A new replica; files that are there are emptied. */
enum rc dn_sink_create(struct dn_sink *s, struct io *io, const char *data, const char *meta, uint32_t chunk,
                       struct why *why) MUST_CHECK;
/* An existing one, cut to keep bytes; its last chunk is verified: RC_CORRUPT. */
enum rc dn_sink_open(struct dn_sink *s, struct io *io, const char *data, const char *meta, uint64_t keep,
                     struct why *why) MUST_CHECK;
void dn_sink_fini(struct dn_sink *s);

/*
 * Verify and store the data of one packet; body is its checksums and data.
 * RC_CORRUPT: a checksum is wrong, nothing was written.  RC_BAD_MESSAGE: a gap, or
 * chunks out of order.
 */
enum rc dn_sink_write(struct dn_sink *s, const struct dn_sums *sender, const struct dtp_packet *p, const uint8_t *body,
                      struct why *why) MUST_CHECK;
/* Everything written is on disk. */
enum rc dn_sink_sync(struct dn_sink *s, struct why *why) MUST_CHECK;

/*
 * What of a replica's files is good: the longest run from the start that agrees
 * with its checksums.  Reads all of it.
 */
enum rc dn_verify_prefix(struct io *io, int data_fd, int meta_fd, uint64_t *ret_bytes, struct dn_meta *ret_meta,
                         struct why *why) MUST_CHECK;

#endif
