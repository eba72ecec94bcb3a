/*
 * dtp -- DataTransferProtocol version 28 as bytes: the frame of an operation,
 * packet headers and pipeline acks (docs/formats/data-transfer.md).
 *
 * Pure functions over runs of bytes; core/net/dtp_io moves them over sockets.
 * Everything that a peer sends is bounded here before anything is allocated.
 */
#ifndef CORE_PROTO_DTP_H
#define CORE_PROTO_DTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/proto/datatransfer.pb-c.h"

#define DTP_VERSION         28
#define DTP_OP_HEAD         3               /* version and op code */
#define DTP_MESSAGE_MAX     (256 * KB)      /* a delimited message */
#define DTP_PACKET_MAX      (16 * MB)       /* PLEN: what a packet may say of itself */
#define DTP_PACKET_HEAD     6               /* PLEN and HLEN */
#define DTP_HEADER_MAX      256             /* HLEN taken from a peer */
#define DTP_PACKET_ROOM     33              /* longest head that dtp_packet_put writes */
#define DTP_NODES_MAX       512             /* nodes of a pipeline; replies in one ack */
#define DTP_SEQNO_HEARTBEAT (-1)
#define DTP_SEQNO_OOB       (-2)            /* an ack that answers no packet: failure behind this node */

enum dtp_op {
    DTP_WRITE_BLOCK = 80,
    DTP_READ_BLOCK = 81,
    DTP_READ_METADATA = 82,
    DTP_REPLACE_BLOCK = 83,
    DTP_COPY_BLOCK = 84,
    DTP_BLOCK_CHECKSUM = 85,
    DTP_TRANSFER_BLOCK = 86,
    DTP_SHORT_CIRCUIT_FDS = 87,
    DTP_RELEASE_SHORT_CIRCUIT_FDS = 88,
    DTP_SHORT_CIRCUIT_SHM = 89,
    DTP_BLOCK_GROUP_CHECKSUM = 90,
    DTP_CUSTOM = 127,
};

/* BlockConstructionStage's numbers, shorter. */
enum dtp_stage {
    DTP_SETUP_APPEND = 0,
    DTP_SETUP_APPEND_RECOVERY = 1,
    DTP_STREAMING = 2,              /* never in an op */
    DTP_SETUP_STREAMING_RECOVERY = 3,
    DTP_CLOSE = 4,                  /* never in an op */
    DTP_CLOSE_RECOVERY = 5,
    DTP_SETUP_CREATE = 6,
    DTP_TRANSFER_RBW = 7,
    DTP_TRANSFER_FINALIZED = 8,
};

/* The message of an op; NULL for one that this code does not speak. */
const ProtobufCMessageDescriptor *dtp_op_message(unsigned op);
const char *dtp_stage_name(unsigned stage);
const char *dtp_status_name(unsigned status);

/* Append message with its varint length in front. */
void dtp_put_message(struct buf *b, const ProtobufCMessage *message);
/* Append version, op code and message: a whole request. */
void dtp_put_op(struct buf *b, enum dtp_op op, const ProtobufCMessage *message);
/* The first three bytes of a request: RC_BAD_MESSAGE for another version (or a SASL handshake). */
enum rc dtp_op_start(const uint8_t head[DTP_OP_HEAD], unsigned *ret_op, struct why *why) MUST_CHECK;
/* Decode one message from its own bytes; it lives in arena. */
enum rc dtp_decode(const ProtobufCMessageDescriptor *d, const void *p, size_t n, struct arena *arena,
                   ProtobufCMessage **ret, struct why *why) MUST_CHECK;

/*
 * A packet without its bytes.  On the wire: PLEN (4 + sums_n + data_n), HLEN, the
 * header, sums_n bytes of checksums, data_n bytes of data.
 */
struct dtp_packet {
    uint64_t offset;        /* of data[0] in the block */
    int64_t seqno;
    uint32_t data_n, sums_n;
    bool last;              /* of the block; has no data */
    bool sync;              /* on disk before the ack */
};

/* Write the head and header of p; returns its bytes (31, or 33 with sync). */
size_t dtp_packet_put(const struct dtp_packet *p, uint8_t out[DTP_PACKET_ROOM]);
/* PLEN and HLEN: how many bytes of header follow, and of checksums with data. */
enum rc dtp_packet_head(const uint8_t head[DTP_PACKET_HEAD], size_t *ret_header_n, size_t *ret_body_n,
                        struct why *why) MUST_CHECK;
/* The header itself; body_n is from dtp_packet_head. */
enum rc dtp_packet_header(const void *p, size_t n, size_t body_n, struct dtp_packet *ret, struct why *why) MUST_CHECK;

/* Checksums that n bytes at offset have, one for each chunk that they touch. */
size_t dtp_chunk_count(uint64_t offset, uint64_t n, uint32_t chunk);
/*
 * Whether a data packet keeps the rules for chunks of this size: as many checksums
 * as chunks, and one that begins inside a chunk ends with it.  sum_bytes: 4, or 0
 * when there are no checksums.
 */
enum rc dtp_packet_check(const struct dtp_packet *p, uint32_t chunk, unsigned sum_bytes, struct why *why) MUST_CHECK;

/* One ack: replies from the nearest node to the farthest. */
struct dtp_ack {
    int64_t seqno;
    size_t count;
    Status reply[DTP_NODES_MAX];
};

void dtp_put_ack(struct buf *b, const struct dtp_ack *a);  /* delimited; flags say the same as the replies */
/* The bytes after the length.  A status that is not known here counts as ERROR. */
enum rc dtp_ack_decode(const void *p, size_t n, struct dtp_ack *ret, struct why *why) MUST_CHECK;
/* Index of the first node whose reply is not SUCCESS; -1 when all are. */
int dtp_ack_first_bad(const struct dtp_ack *a);

#endif
