/* READ_BLOCK and BLOCK_CHECKSUM: what readers ask of a replica. */
#include <inttypes.h>
#include <openssl/evp.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "datanode/scan.h"
#include "datanode/send.h"
#include "datanode/session.h"

#define WRITER_WAIT_MS 3000         /* for bytes that a writer has sent and not yet seen acknowledged */

/* --- READ_BLOCK. */

static enum rc
open_range(struct dn_session *s, const OpReadBlockProto *op, struct dn_source *src, struct why *why)
{
    const ExtendedBlockProto *b = op->header->baseheader->block;
    struct dn_store *store = s->dn->store;
    uint64_t end = op->offset + op->len;
    struct dn_view view;
    enum rc rc;

    if (end >= op->offset && dn_store_find_visible(store, (struct block_id){ b->blockid }, end,
                                                   clock_deadline(s->dn->w.clock, WRITER_WAIT_MS), &view, why) != RC_OK)
        return why->rc;
    if ((rc = dn_store_read(store, (struct block_id){ b->blockid }, (struct stamp){ b->generationstamp }, src,
                            why)) != RC_OK)
        return rc;
    if (end < op->offset || end > src->view.visible) {
        rc = why_set(why, RC_IO_EXCEPTION, " Offset %" PRIu64 " and length %" PRIu64 " don't match block %.*s:blk_%"
                     PRId64 "_%" PRIu64 " ( blockLen %" PRIu64 " )", op->offset, op->len, (int)b->poolid.len,
                     (const char *)b->poolid.data, (int64_t)b->blockid, b->generationstamp, src->view.visible);
        dn_source_fini(store, src);
    }
    return rc;
}

static enum rc
answer_read(struct dn_session *s, const struct dn_meta *meta, bool sums, uint64_t from, struct why *why)
{
    BlockOpResponseProto m = BLOCK_OP_RESPONSE_PROTO__INIT;
    ReadOpChecksumInfoProto info = READ_OP_CHECKSUM_INFO_PROTO__INIT;
    ChecksumProto checksum = CHECKSUM_PROTO__INIT;

    checksum.type = sums ? (ChecksumTypeProto)meta->type : CHECKSUM_TYPE_PROTO__CHECKSUM_NULL;
    checksum.bytesperchecksum = sums ? meta->chunk : 512;
    info.checksum = &checksum;
    info.chunkoffset = from;
    m.status = STATUS__SUCCESS;
    m.readopchecksuminfo = &info;
    return dtp_send_message(&s->conn, &m.base, why);
}

/* What the reader made of it.  Many just close. */
static bool
read_status(struct dn_session *s, const struct dn_view *view)
{
    ProtobufCMessage *m;

    if (dtp_recv_message(&s->conn, &client_read_status_proto__descriptor, &s->arena, &m, NULL) != RC_OK)
        return false;
    if (CONTAINER_OF(m, ClientReadStatusProto, base)->status == STATUS__ERROR_CHECKSUM) {
        log_info("reader_saw_corruption", "block=%" PRId64 " peer=%s", (int64_t)view->id.v, s->peer.host);
        dn_scan_soon(s->dn->scan, view->id);
    }
    return true;
}

bool
dn_op_read(struct dn_session *s, const OpReadBlockProto *op)
{
    const ExtendedBlockProto *b = op->header->baseheader->block;
    uint64_t from, to;
    struct dn_source src;
    struct why why;
    bool more = false;
    enum rc rc;

    if (dn_store_check_pool(s->dn->store, b->poolid.data, b->poolid.len, &why) != RC_OK)
        return false;                   /* closed without an answer */
    if ((rc = open_range(s, op, &src, &why)) != RC_OK) {
        (void)dn_answer(&s->conn, STATUS__ERROR, NULL, dn_answer_text(&s->arena, "opReadBlock", b, &why), NULL);
        return false;
    }
    metric_add(&s->dn->metrics.reads, 1);
    from = op->offset - op->offset % src.meta.chunk;
    to = op->offset + op->len;
    to = to % src.meta.chunk == 0 ? to : to - to % src.meta.chunk + src.meta.chunk;
    if (op->len == 0 && to == op->offset)
        to += src.meta.chunk;           /* HDFS serves one chunk for no bytes */
    if (to > src.view.visible)
        to = src.view.visible;
    if (from > to)
        from = to;
    if ((rc = answer_read(s, &src.meta, op->sendchecksums, from, &why)) == RC_OK &&
        (rc = dn_send(s->dn, &s->conn, &src, from, to, op->sendchecksums, &why)) == RC_OK)
        more = read_status(s, &src.view);
    else if (rc != RC_CLOSED)           /* readers leave as soon as they have enough */
        log_info("read_ended", "block=%" PRId64 " peer=%s rc=%s reason=\"%s\"", (int64_t)b->blockid, s->peer.host,
                 rc_name(rc), why.text);
    dn_source_fini(s->dn->store, &src);
    return more;
}

/* --- BLOCK_CHECKSUM. */

/*
 * The checksums of a replica's first `bytes` bytes, fed chunk by chunk to one of
 * two sums: the MD5 of the checksums, or a checksum of the content, one for each
 * `stripe` bytes.
 */
struct block_sum {
    EVP_MD_CTX *md5;                /* NULL: composite */
    enum crc_type type;
    uint64_t stripe, in_stripe;
    uint32_t crc;
    struct buf out;
};

static void
add_chunk(struct block_sum *b, const uint8_t *sum, uint32_t bytes)
{
    if (b->md5 != NULL) {
        (void)EVP_DigestUpdate(b->md5, sum, 4);
        return;
    }
    b->crc = b->in_stripe == 0 ? get_be32(sum) : crc_combine(b->type, b->crc, get_be32(sum), bytes);
    b->in_stripe += bytes;
    if (b->stripe > 0 && b->in_stripe >= b->stripe) {
        buf_be32(&b->out, b->crc);
        b->in_stripe = 0;
    }
}

static enum rc
end_sum(struct block_sum *b, uint64_t bytes, struct why *why)
{
    unsigned n = 0;
    uint8_t *p;

    if (b->md5 != NULL) {
        if ((p = buf_grow(&b->out, EVP_MAX_MD_SIZE)) == NULL || EVP_DigestFinal_ex(b->md5, p, &n) != 1)
            return why_rc(why, RC_NOMEM);
        b->out.n = n;
    } else if (b->in_stripe > 0 || bytes == 0) {
        buf_be32(&b->out, b->crc);
    }
    return buf_ok(&b->out) ? RC_OK : why_rc(why, RC_NOMEM);
}

/* Feed every chunk; the last one's checksum is made from the data when it covers more than is asked for. */
static enum rc
sum_block(struct dn *dn, const struct dn_source *src, uint64_t bytes, struct block_sum *b, struct why *why)
{
    uint32_t chunk = src->meta.chunk, tail = (uint32_t)(bytes % chunk), room;
    uint64_t whole = bytes - tail, at = 0;
    uint8_t *p = NULL, sum[4];
    size_t want, got = 0;
    enum rc rc = RC_OK;

    if ((p = mem_alloc(2 * DN_CHUNK_MAX)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (; at < whole; at += want / 4 * chunk) {
        want = 4 * ((whole - at) / chunk < 16384 ? (size_t)((whole - at) / chunk) : 16384);
        if ((rc = io_pread(dn->w.io, src->meta_fd, p, want, dn_meta_at(chunk, at), &got, why)) != RC_OK)
            goto out;
        if (got < want) {
            rc = why_set(why, RC_CORRUPT, "checksums end before the data");
            goto out;
        }
        for (size_t i = 0; i < want; i += 4)
            add_chunk(b, p + i, chunk);
    }
    if (tail > 0) {
        room = src->view.visible - whole < chunk ? (uint32_t)(src->view.visible - whole) : chunk;
        if ((rc = dn_read_chunks(dn, src, whole, room, p, why)) != RC_OK)
            goto out;
        put_be32(sum, crc_of(src->meta.type, 0, p + 4, tail));
        add_chunk(b, sum, tail);
    }
    rc = end_sum(b, bytes, why);
out:
    mem_free(p);
    return rc;
}

static enum rc
answer_checksum(struct dn_session *s, const struct dn_source *src, const OpBlockChecksumProto *op,
                const struct block_sum *b, struct why *why)
{
    BlockOpResponseProto m = BLOCK_OP_RESPONSE_PROTO__INIT;
    OpBlockChecksumResponseProto r = OP_BLOCK_CHECKSUM_RESPONSE_PROTO__INIT;
    BlockChecksumOptionsProto o = BLOCK_CHECKSUM_OPTIONS_PROTO__INIT;

    o.has_blockchecksumtype = true;
    o.blockchecksumtype = b->md5 != NULL ? BLOCK_CHECKSUM_TYPE_PROTO__MD5CRC : BLOCK_CHECKSUM_TYPE_PROTO__COMPOSITE_CRC;
    o.has_stripelength = true;
    o.stripelength = op->blockchecksumoptions == NULL ? 0 : op->blockchecksumoptions->stripelength;
    r.bytespercrc = src->meta.chunk;
    /* HDFS counts the checksums of the whole replica, whatever part is asked for. */
    r.crcperblock = dtp_chunk_count(0, src->view.visible, src->meta.chunk);
    r.blockchecksum = (ProtobufCBinaryData){ b->out.n, b->out.p };
    r.has_crctype = true;
    r.crctype = (ChecksumTypeProto)src->meta.type;
    r.blockchecksumoptions = &o;
    m.status = STATUS__SUCCESS;
    m.checksumresponse = &r;
    return dtp_send_message(&s->conn, &m.base, why);
}

bool
dn_op_checksum(struct dn_session *s, const OpBlockChecksumProto *op)
{
    const ExtendedBlockProto *eb = op->header->block;
    const BlockChecksumOptionsProto *o = op->blockchecksumoptions;
    struct block_sum b = { .stripe = o == NULL ? 0 : o->stripelength };
    bool composite = o != NULL && o->blockchecksumtype == BLOCK_CHECKSUM_TYPE_PROTO__COMPOSITE_CRC;
    struct dn_source src;
    uint64_t bytes;
    struct why why;
    enum rc rc;

    if (dn_store_check_pool(s->dn->store, eb->poolid.data, eb->poolid.len, &why) != RC_OK ||
        dn_store_read(s->dn->store, (struct block_id){ eb->blockid }, (struct stamp){ eb->generationstamp }, &src,
                      &why) != RC_OK)
        return false;                   /* closed without an answer, as HDFS does */
    buf_init(&b.out, 64 * KB);
    b.type = src.meta.type;
    bytes = eb->numbytes < src.view.visible ? eb->numbytes : src.view.visible;
    rc = composite ? RC_OK : RC_NOMEM;
    if (!composite && (b.md5 = EVP_MD_CTX_new()) != NULL && EVP_DigestInit_ex(b.md5, EVP_md5(), NULL) == 1)
        rc = RC_OK;
    if (rc == RC_OK && (rc = sum_block(s->dn, &src, bytes, &b, &why)) == RC_OK)
        rc = answer_checksum(s, &src, op, &b, &why);
    else
        (void)dn_answer(&s->conn, STATUS__ERROR, NULL, dn_answer_text(&s->arena, "blockChecksum", eb, &why), NULL);
    EVP_MD_CTX_free(b.md5);
    buf_fini(&b.out);
    dn_source_fini(s->dn->store, &src);
    return rc == RC_OK;
}
