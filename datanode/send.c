#include "datanode/send.h"

#include <inttypes.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "datanode/replica.h"

#define PACKET_DATA (64 * KB)

/* Data a packet: whole chunks, at least one. */
static uint32_t
packet_data(uint32_t chunk)
{
    return chunk >= PACKET_DATA ? chunk : (uint32_t)(PACKET_DATA / chunk * chunk);
}

static enum rc
load(struct dn *dn, const struct dn_source *src, uint64_t at, uint32_t n, uint8_t *out, size_t sums_n, struct why *why)
{
    struct io *io = dn->w.io;
    size_t got = 0;
    enum rc rc;

    if ((rc = io_pread(io, src->meta_fd, out, sums_n, dn_meta_at(src->meta.chunk, at), &got, why)) != RC_OK)
        return rc;
    if (got < sums_n)
        return why_set(why, RC_CORRUPT, "checksums end before the data, at %" PRIu64, at);
    if ((rc = io_pread(io, src->data_fd, out + sums_n, n, at, &got, why)) != RC_OK)
        return rc;
    return got < n ? why_set(why, RC_CORRUPT, "data end at %" PRIu64 ", before the length", at + got) : RC_OK;
}

/*
 * Checksums on disk cover what is on disk.  For a replica that is being written the
 * last chunk may have grown beyond what is visible: its checksum is made anew, over
 * what is sent.  All chunks before are full and do not change.
 */
static bool
verify(const struct dn_source *src, uint64_t at, uint32_t n, uint8_t *out, size_t sums_n, bool grows, size_t *ret_bad)
{
    uint32_t chunk = src->meta.chunk, tail = n % chunk;
    uint8_t *data = out + sums_n;

    if (!crc_chunks_verify(src->meta.type, data, n - tail, chunk, out, ret_bad))
        return false;
    if (tail == 0)
        return true;
    if (grows && at + n == src->view.visible) {
        crc_chunks(src->meta.type, data + (n - tail), tail, chunk, out + sums_n - 4);
        return true;
    }
    *ret_bad = n - tail;
    return crc_of(src->meta.type, 0, data + (n - tail), tail) == get_be32(out + sums_n - 4);
}

enum rc
dn_read_chunks(struct dn *dn, const struct dn_source *src, uint64_t at, uint32_t n, uint8_t *out, struct why *why)
{
    size_t sums_n = 4 * dtp_chunk_count(0, n, src->meta.chunk), bad = 0;
    bool grows = src->view.state != RS_FINALIZED;
    struct dn_view now;
    enum rc rc;

    for (int i = 0; i < 2; i++) {
        if ((rc = load(dn, src, at, n, out, sums_n, why)) == RC_OK) {
            if (verify(src, at, n, out, sums_n, grows, &bad))
                return RC_OK;
            rc = why_set(why, RC_CORRUPT, "checksum error at %" PRIu64, at + bad);
            metric_add(&dn->metrics.checksum_errors, 1);
        }
        /* Damage, unless the replica was opened for appending after we opened it: then its last chunk may grow. */
        if (rc == RC_CORRUPT && dn_store_find(dn->store, src->view.id, &now, NULL) == RC_OK &&
            (now.state != src->view.state || now.stamp.v != src->view.stamp.v))
            grows = true;
    }
    if ((rc == RC_CORRUPT || rc == RC_IO) && dn_store_doubt(dn->store, &src->view, rc))
        log_error(rc == RC_IO ? "replica_suspect" : "replica_corrupt", "block=%" PRId64 " stamp=%" PRIu64 " volume=%s reason=\"%s\"",
                  (int64_t)src->view.id.v, src->view.stamp.v, dn_store_volume_dir(dn->store, src->view.volume),
                  why == NULL ? "" : why->text);
    return rc;
}

enum rc
dn_send(struct dn *dn, struct dtp_conn *c, const struct dn_source *src, uint64_t from, uint64_t to, bool sums,
        struct why *why)
{
    uint32_t room = packet_data(src->meta.chunk);
    struct dtp_packet p = { .offset = from };
    size_t sums_n;
    uint8_t *body;
    enum rc rc = RC_OK;

    if ((body = mem_alloc(room + 4 * (room / src->meta.chunk + 1))) == NULL)
        return why_rc(why, RC_NOMEM);
    for (; p.offset < to; p.offset += p.data_n, p.seqno++) {
        p.data_n = to - p.offset < room ? (uint32_t)(to - p.offset) : room;
        sums_n = 4 * dtp_chunk_count(0, p.data_n, src->meta.chunk);
        p.sums_n = sums ? (uint32_t)sums_n : 0;
        if ((rc = dn_read_chunks(dn, src, p.offset, p.data_n, body, why)) != RC_OK ||
            (rc = dtp_send_packet(c, &p, sums ? body : body + sums_n, why)) != RC_OK)
            goto out;
        metric_add(&dn->metrics.read_bytes, p.data_n);
    }
    p.data_n = p.sums_n = 0;
    p.last = true;
    rc = dtp_send_packet(c, &p, body, why);
out:
    mem_free(body);
    return rc;
}

/* The request that opens a copy at the other node. */
static enum rc
send_copy_op(struct dtp_conn *c, const struct dn_copy *copy, const struct dn_source *src, struct why *why)
{
    OpWriteBlockProto op = OP_WRITE_BLOCK_PROTO__INIT;
    ClientOperationHeaderProto header = CLIENT_OPERATION_HEADER_PROTO__INIT;
    BaseHeaderProto base = BASE_HEADER_PROTO__INIT;
    ChecksumProto checksum = CHECKSUM_PROTO__INIT;
    ExtendedBlockProto block = *copy->block;

    block.generationstamp = src->view.stamp.v;
    block.has_numbytes = true;
    block.numbytes = src->view.visible;
    base.block = &block;
    base.token = (TokenProto *)copy->token;
    header.baseheader = &base;
    header.clientname = (ProtobufCBinaryData){ copy->client_name_n, (uint8_t *)copy->client_name };
    op.header = &header;
    op.stage = src->view.state == RS_FINALIZED ? (int)DTP_TRANSFER_FINALIZED : (int)DTP_TRANSFER_RBW;
    checksum.type = (ChecksumTypeProto)src->meta.type;
    checksum.bytesperchecksum = src->meta.chunk;
    op.requestedchecksum = &checksum;
    op.has_storagetype = copy->has_storage_type;
    op.storagetype = copy->storage_type;
    return dtp_send_op(c, DTP_WRITE_BLOCK, &op.base, why);
}

static enum rc
recv_copy_ack(struct dtp_conn *c, struct why *why)
{
    BlockOpResponseProto *m;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, 2 * DTP_MESSAGE_MAX);
    if ((rc = dtp_recv_response(c, &arena, &m, why)) == RC_OK && m->status != STATUS__SUCCESS)
        rc = why_set(why, RC_REMOTE, "it answers %s: %.*s", dtp_status_name((unsigned)m->status),
                     (int)m->message.len, (const char *)m->message.data);
    arena_fini(&arena);
    return rc;
}

enum rc
dn_send_copy(struct dn *dn, const struct dn_copy *copy, bool *ret_peer_failed, struct why *why)
{
    struct dtp_conn c = { .sock = -1 };
    struct dn_wire wire = { .conn = NULL };
    struct dn_source src;
    char text[NET_ADDR_TEXT];
    bool ours = true;
    enum rc rc;

    *ret_peer_failed = false;
    if ((rc = dn_store_read(dn->store, (struct block_id){ copy->block->blockid },
                            (struct stamp){ copy->block->generationstamp }, &src, why)) != RC_OK)
        return rc;
    if ((rc = dtp_connect(&c, &dn->w, &copy->to, dn->conf.socket_ms, dn->conf.socket_ms, dn->conf.dn_socket_ms,
                          why)) == RC_OK &&
        (rc = dn_wire_add(dn, &wire, &c)) == RC_OK && (rc = send_copy_op(&c, copy, &src, why)) == RC_OK) {
        rc = dn_send(dn, &c, &src, 0, src.view.visible, true, why);
        ours = rc != RC_CORRUPT && rc != RC_IO && rc != RC_NOMEM;
        if (rc == RC_OK)
            rc = recv_copy_ack(&c, why);
    }
    if (rc != RC_OK) {
        *ret_peer_failed = ours;
        (void)why_prefix(why, "copy of blk_%" PRId64 " to %s", (int64_t)src.view.id.v, net_addr_text(&copy->to, text));
    }
    dn_wire_remove(dn, &wire);
    dtp_conn_fini(&c);
    dn_source_fini(dn->store, &src);
    return rc;
}
