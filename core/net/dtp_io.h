/*
 * dtp_io -- DataTransferProtocol over a socket, blocking.
 *
 * A dtp_conn is one connection with its read buffer.  One thread may send while
 * another receives; no two may do the same at once.  Every call has a deadline:
 * read_ms or write_ms from its start, for the whole message or packet.  Sizes that
 * a peer names are refused before memory is taken for them.
 */
#ifndef CORE_NET_DTP_IO_H
#define CORE_NET_DTP_IO_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/net/net.h"
#include "core/proto/dtp.h"

struct dtp_conn {
    const struct world *w;      /* borrowed */
    int sock;                   /* owned; -1 when closed */
    uint64_t read_ms, write_ms;
    uint8_t *in;                /* what was read and not yet taken: in[in_at .. in_n) */
    size_t in_at, in_n;
};

/* Takes sock, also when it fails. */
enum rc dtp_conn_init(struct dtp_conn *c, const struct world *w, int sock, uint64_t read_ms, uint64_t write_ms,
                      struct why *why) MUST_CHECK;
enum rc dtp_connect(struct dtp_conn *c, const struct world *w, const struct net_addr *to, uint64_t connect_ms,
                    uint64_t read_ms, uint64_t write_ms, struct why *why) MUST_CHECK;
/* Closes.  Fine on a connection that is all zero but for sock -1, and on one that was closed before. */
void dtp_conn_fini(struct dtp_conn *c);
/* From any thread that knows the connection to be open: whoever waits on it ends with RC_CLOSED. */
void dtp_conn_shutdown(struct dtp_conn *c);

/* Exactly n bytes as they come. */
enum rc dtp_recv_bytes(struct dtp_conn *c, void *p, size_t n, uint64_t deadline_ms, struct why *why) MUST_CHECK;
enum rc dtp_send_bytes(struct dtp_conn *c, const void *p, size_t n, struct why *why) MUST_CHECK;

/* Messages with their varint length in front. */
enum rc dtp_send_message(struct dtp_conn *c, const ProtobufCMessage *message, struct why *why) MUST_CHECK;
enum rc dtp_recv_message(struct dtp_conn *c, const ProtobufCMessageDescriptor *d, struct arena *arena,
                         ProtobufCMessage **ret, struct why *why) MUST_CHECK;
enum rc dtp_recv_response(struct dtp_conn *c, struct arena *arena, BlockOpResponseProto **ret, struct why *why) MUST_CHECK;

enum rc dtp_send_op(struct dtp_conn *c, enum dtp_op op, const ProtobufCMessage *message, struct why *why) MUST_CHECK;
/*
 * Wait up to wait_ms for a request, then receive it whole.  RC_CLOSED when the peer ended the
 * connection between requests, RC_UNSUPPORTED for an op that has no message here.
 */
enum rc dtp_recv_op(struct dtp_conn *c, uint64_t wait_ms, struct arena *arena, unsigned *ret_op, ProtobufCMessage **ret,
                    struct why *why) MUST_CHECK;

/* body: the checksums, then the data, in one run. */
enum rc dtp_send_packet(struct dtp_conn *c, const struct dtp_packet *p, const void *body, struct why *why) MUST_CHECK;
/* body is cleared and gets checksums, then data; its limit bounds what is taken (DTP_PACKET_MAX takes all). */
enum rc dtp_recv_packet(struct dtp_conn *c, struct dtp_packet *ret, struct buf *body, struct why *why) MUST_CHECK;
/* The same in two steps: after the head the caller takes sums_n and then data_n bytes with dtp_recv_bytes. */
enum rc dtp_recv_packet_head(struct dtp_conn *c, struct dtp_packet *ret, uint64_t deadline_ms, struct why *why) MUST_CHECK;

enum rc dtp_send_ack(struct dtp_conn *c, const struct dtp_ack *a, struct why *why) MUST_CHECK;
enum rc dtp_recv_ack(struct dtp_conn *c, struct dtp_ack *ret, struct why *why) MUST_CHECK;

#endif
