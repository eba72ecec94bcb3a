/*
 * block_read -- the bytes of one block from one replica, in order.
 *
 * Over TCP (READ_BLOCK: packets are verified as they come) or from the local
 * files of the replica, by descriptor (verified against the meta file).  One
 * thread.  A stream that failed is closed and never read again; whom to ask next
 * is for the caller to decide (read.c).
 */
#ifndef DFSCLIENT_BLOCK_READ_H
#define DFSCLIENT_BLOCK_READ_H

#include "core/base/buf.h"
#include "core/io/crc.h"
#include "core/net/dtp_io.h"
#include "dfsclient/fs_priv.h"

struct block_read {
    struct fs *fs;
    struct dtp_conn conn;
    struct net_addr to;         /* of conn */
    bool connected;
    bool streaming;             /* an operation is under way */
    bool last_seen;             /* its last packet has come */
    uint64_t idle_since_ms;     /* connected and not streaming */
    int data_fd, meta_fd;       /* -1, or the local replica */
    uint64_t meta_at;           /* where its checksums begin */
    enum crc_type type;
    uint32_t chunk;
    uint64_t at, end;           /* next byte for the caller; end of the range; both in the block */
    uint64_t packet_at;         /* where the next packet must begin */
    int64_t seqno;              /* of the next packet */
    struct buf body;            /* of the packet in hand: checksums, then data */
    size_t ready_at, ready_n;   /* bytes of body not yet given out */
};

void block_read_init(struct block_read *br, struct fs *fs);
void block_read_fini(struct block_read *br);

/*
 * Begin to read bytes from offset of the block at one of its locations, which may be
 * silent for patience_ms at a time.  Uses the connection of the stream before when it
 * leads to the same node and is fresh.
 */
enum rc block_read_open(struct block_read *br, const struct fs_block *b, const struct fs_location *l, uint64_t offset,
                        uint64_t bytes, uint64_t patience_ms, struct why *why) MUST_CHECK;
/* From the descriptors of a local replica, which it takes also when it fails. */
enum rc block_read_open_local(struct block_read *br, int data_fd, int meta_fd, uint64_t offset, uint64_t bytes,
                              struct why *why) MUST_CHECK;
static inline bool block_read_is_local(const struct block_read *br) { return br->data_fd >= 0; }
/* 1 to n bytes; 0 at the end of the range.  RC_CORRUPT: the replica's bytes and checksums differ. */
enum rc block_read_next(struct block_read *br, void *p, size_t n, size_t *ret_n, struct why *why) MUST_CHECK;
/* End the stream; keep the connection when everything was read and it can serve another. */
void block_read_end(struct block_read *br);
void block_read_close(struct block_read *br);   /* the connection too */

/* Split the head of a meta file (7 bytes) into its parts. */
enum rc block_meta_head(const uint8_t head[7], enum crc_type *ret_type, uint32_t *ret_chunk, struct why *why) MUST_CHECK;

#endif
