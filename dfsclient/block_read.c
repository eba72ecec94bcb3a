#include "dfsclient/block_read.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/io/io.h"
#include "dfsclient/located.h"

#define IDLE_KEEP_MS 3000       /* a DataNode waits 4 s for the next operation */
#define LOCAL_BYTES (256 * KB)  /* read from a local replica at a time */
#define META_HEAD 7
#define CHUNK_MAX (16 * MB)

void
block_read_init(struct block_read *br, struct fs *fs)
{
    *br = (struct block_read){ .fs = fs, .data_fd = -1, .meta_fd = -1 };
    br->conn.sock = -1;
    buf_init(&br->body, DTP_PACKET_MAX);
}

void
block_read_close(struct block_read *br)
{
    block_read_end(br);
    if (br->connected)
        dtp_conn_fini(&br->conn);
    br->connected = false;
}

void
block_read_fini(struct block_read *br)
{
    block_read_close(br);
    buf_fini(&br->body);
}

enum rc
block_meta_head(const uint8_t head[META_HEAD], enum crc_type *ret_type, uint32_t *ret_chunk, struct why *why)
{
    uint32_t chunk = get_be32(head + 3);

    if (get_be16(head) != 1 || head[2] > CRC_CRC32C || chunk == 0 || chunk > CHUNK_MAX)
        return why_set(why, RC_CORRUPT, "meta file: version %u, checksum type %u, %u bytes a checksum", get_be16(head),
                       head[2], chunk);
    *ret_type = (enum crc_type)head[2];
    *ret_chunk = chunk;
    return RC_OK;
}

static enum rc
connect_to(struct block_read *br, const struct fs_location *l, uint64_t patience_ms, struct why *why)
{
    struct net_addr to = { .port = l->data_port };
    const struct conf *c = &br->fs->conf;
    enum rc rc;

    snprintf(to.host, sizeof to.host, "%s", l->host);
    block_read_close(br);
    if ((rc = dtp_connect(&br->conn, &br->fs->w, &to, patience_ms, patience_ms, c->dn_socket_ms, why)) != RC_OK)
        return rc;
    br->to = to;
    br->connected = true;
    return RC_OK;
}

/* Send READ_BLOCK and take its answer. */
static enum rc
ask(struct block_read *br, const struct fs_block *b, uint64_t offset, uint64_t bytes, struct arena *a, struct why *why)
{
    OpReadBlockProto op = OP_READ_BLOCK_PROTO__INIT;
    BlockOpResponseProto *r = NULL;
    const ReadOpChecksumInfoProto *info;
    enum rc rc;

    if ((op.header = fs_put_header(a, b, b->bytes, br->fs->client_name)) == NULL)
        return why_rc(why, RC_NOMEM);
    op.offset = offset;
    op.len = bytes;
    op.has_sendchecksums = true;
    op.sendchecksums = true;
    if ((rc = dtp_send_op(&br->conn, DTP_READ_BLOCK, &op.base, why)) != RC_OK ||
        (rc = dtp_recv_response(&br->conn, a, &r, why)) != RC_OK)
        return rc;
    if (r->status != STATUS__SUCCESS)
        return why_set(why, r->status == STATUS__ERROR_ACCESS_TOKEN ? RC_TOKEN : RC_IO_EXCEPTION, "%s: %.*s",
                       dtp_status_name(r->status), r->has_message ? (int)r->message.len : 0,
                       r->has_message ? (const char *)r->message.data : "");
    if ((info = r->readopchecksuminfo) == NULL || info->checksum->bytesperchecksum == 0 ||
        info->checksum->bytesperchecksum > CHUNK_MAX || info->chunkoffset > offset ||
        offset - info->chunkoffset >= info->checksum->bytesperchecksum || (unsigned)info->checksum->type > CRC_CRC32C)
        return why_set(why, RC_BAD_MESSAGE, "the DataNode's answer to READ_BLOCK has no usable checksum");
    br->type = (enum crc_type)info->checksum->type;
    br->chunk = info->checksum->bytesperchecksum;
    br->packet_at = info->chunkoffset;
    return RC_OK;
}

enum rc
block_read_open(struct block_read *br, const struct fs_block *b, const struct fs_location *l, uint64_t offset,
                uint64_t bytes, uint64_t patience_ms, struct why *why)
{
    bool reused = br->connected && !br->streaming && br->to.port == l->data_port && strcmp(br->to.host, l->host) == 0 &&
                  clock_mono_ms(br->fs->w.clock) - br->idle_since_ms < IDLE_KEEP_MS;
    struct arena a;
    enum rc rc;

    arena_init(&a, 4 * MB);
    block_read_end(br);
    rc = reused ? RC_OK : connect_to(br, l, patience_ms, why);
    br->conn.read_ms = patience_ms;
    if (rc == RC_OK && (rc = ask(br, b, offset, bytes, &a, why)) != RC_OK && reused && rc == RC_CLOSED) {
        /* The node had closed the idle connection: that says nothing about the node. */
        if ((rc = connect_to(br, l, patience_ms, why)) == RC_OK)
            rc = ask(br, b, offset, bytes, &a, why);
    }
    arena_fini(&a);
    if (rc != RC_OK) {
        block_read_close(br);
        return rc;
    }
    br->streaming = true;
    br->last_seen = false;
    br->seqno = 0;
    br->at = offset;
    br->end = offset + bytes;
    br->ready_at = br->ready_n = 0;
    return RC_OK;
}

enum rc
block_read_open_local(struct block_read *br, int data_fd, int meta_fd, uint64_t offset, uint64_t bytes, struct why *why)
{
    struct io *io = br->fs->w.io;
    uint8_t head[META_HEAD];
    size_t n;
    enum rc rc;

    block_read_end(br);
    br->data_fd = data_fd;
    br->meta_fd = meta_fd;
    if ((rc = io_pread(io, meta_fd, head, sizeof head, 0, &n, why)) == RC_OK) {
        if (n < sizeof head)
            rc = why_set(why, RC_CORRUPT, "meta file of %zu bytes", n);
        else
            rc = block_meta_head(head, &br->type, &br->chunk, why);
    }
    if (rc != RC_OK) {
        block_read_end(br);
        return rc;
    }
    br->last_seen = false;
    br->meta_at = sizeof head;
    br->at = offset;
    br->end = offset + bytes;
    br->packet_at = offset - offset % br->chunk;
    br->ready_at = br->ready_n = 0;
    return RC_OK;
}

static enum rc
verify(struct block_read *br, const uint8_t *sums, const uint8_t *data, size_t n, struct why *why)
{
    size_t bad_at = 0;

    if (br->type == CRC_NULL || old_bug(OLD_BUG_READ_NOT_VERIFIED) || crc_chunks_verify(br->type, data, n, br->chunk, sums, &bad_at))
        return RC_OK;
    return why_set(why, RC_CORRUPT, "Checksum error at %llu exp: %u got: %u",
                   (unsigned long long)(br->packet_at + bad_at), get_be32(sums + bad_at / br->chunk * 4),
                   crc_of(br->type, 0, data + bad_at, n - bad_at < br->chunk ? n - bad_at : br->chunk));
}

/* data_n bytes of body, which begin at packet_at of the block, are good: make those of the range ready. */
static void
make_ready(struct block_read *br, size_t sums_n, size_t data_n)
{
    uint64_t from = br->packet_at < br->at ? br->at : br->packet_at;
    uint64_t to = br->packet_at + data_n < br->end ? br->packet_at + data_n : br->end;

    br->ready_at = sums_n + (size_t)(from - br->packet_at);
    br->ready_n = to > from ? (size_t)(to - from) : 0;
    br->packet_at += data_n;
}

static enum rc
next_packet(struct block_read *br, struct why *why)
{
    struct dtp_packet p;
    enum rc rc;

    if ((rc = dtp_recv_packet(&br->conn, &p, &br->body, why)) != RC_OK)
        return rc;
    if (p.seqno != br->seqno || (!p.last && p.offset != br->packet_at))
        return why_set(why, RC_BAD_MESSAGE, "packet %lld at %llu where %lld at %llu was due", (long long)p.seqno,
                       (unsigned long long)p.offset, (long long)br->seqno, (unsigned long long)br->packet_at);
    br->seqno++;
    if (p.last) {
        br->last_seen = true;
        br->ready_n = 0;
        return RC_OK;
    }
    if (p.data_n == 0)
        return why_set(why, RC_BAD_MESSAGE, "a packet without data");
    if ((rc = dtp_packet_check(&p, br->chunk, br->type == CRC_NULL ? 0 : 4, why)) != RC_OK ||
        (rc = verify(br, br->body.p, br->body.p + p.sums_n, p.data_n, why)) != RC_OK)
        return rc;
    make_ready(br, p.sums_n, p.data_n);
    return RC_OK;
}

static size_t
sums_of(const struct block_read *br, size_t n)
{
    return br->type == CRC_NULL ? 0 : (n + br->chunk - 1) / br->chunk * 4;
}

/* Up to want bytes of the files from packet_at on, verified; sums has room for their checksums. */
static enum rc
read_local(struct block_read *br, uint8_t *sums, uint8_t *data, size_t want, size_t *ret_n, struct why *why)
{
    struct io *io = br->fs->w.io;
    size_t n = 0, got = 0, need;
    enum rc rc;

    if ((rc = io_pread(io, br->data_fd, data, want, br->packet_at, &n, why)) != RC_OK)
        return rc;
    if (br->packet_at + n < (br->end < br->packet_at + want ? br->end : br->packet_at + want))
        return why_set(why, RC_CORRUPT, "the replica ends at %llu", (unsigned long long)(br->packet_at + n));
    if ((need = sums_of(br, n)) > 0) {
        if ((rc = io_pread(io, br->meta_fd, sums, need, br->meta_at + br->packet_at / br->chunk * 4, &got, why)) != RC_OK)
            return rc;
        if (got < need)
            return why_set(why, RC_CORRUPT, "the meta file ends early");
    }
    *ret_n = n;
    return verify(br, sums, data, n, why);
}

static enum rc
next_local(struct block_read *br, struct why *why)
{
    size_t want = LOCAL_BYTES - LOCAL_BYTES % br->chunk, sums_n, n = 0;
    uint64_t last = (br->end + br->chunk - 1) / br->chunk * br->chunk;
    uint8_t *p;
    enum rc rc;

    if (want == 0)
        want = br->chunk;
    if (want > last - br->packet_at)
        want = (size_t)(last - br->packet_at);
    sums_n = sums_of(br, want);
    buf_clear(&br->body);
    if ((p = buf_grow(&br->body, sums_n + want)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = read_local(br, p, p + sums_n, want, &n, why)) != RC_OK)
        return rc;
    make_ready(br, sums_n, n);
    return RC_OK;
}

/* How many of the n bytes that the caller wants are whole chunks that can be read from the files to where he wants them. */
static size_t
direct_bytes(const struct block_read *br, size_t n)
{
    if (br->data_fd < 0 || br->ready_n > 0 || br->at != br->packet_at)
        return 0;
    if (n > LOCAL_BYTES)
        n = LOCAL_BYTES;
    if (n > br->end - br->at)
        n = (size_t)(br->end - br->at);
    return n - n % br->chunk;
}

static enum rc
next_direct(struct block_read *br, void *p, size_t want, size_t *ret_n, struct why *why)
{
    uint8_t *sums;
    enum rc rc;

    buf_clear(&br->body);
    if ((sums = buf_grow(&br->body, sums_of(br, want) + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = read_local(br, sums, p, want, ret_n, why)) != RC_OK)
        return rc;
    br->at += *ret_n;
    br->packet_at += *ret_n;
    return RC_OK;
}

enum rc
block_read_next(struct block_read *br, void *p, size_t n, size_t *ret_n, struct why *why)
{
    size_t direct = direct_bytes(br, n);
    enum rc rc;

    if (direct > 0)
        return next_direct(br, p, direct, ret_n, why);
    while (br->ready_n == 0) {
        if (br->at >= br->end) {
            *ret_n = 0;
            return RC_OK;
        }
        if (br->last_seen)
            return why_set(why, RC_CLOSED, "the DataNode ended the block at %llu of %llu", (unsigned long long)br->at,
                           (unsigned long long)br->end);
        rc = br->data_fd >= 0 ? next_local(br, why) : next_packet(br, why);
        if (rc != RC_OK)
            return rc;
    }
    if (n > br->ready_n)
        n = br->ready_n;
    memcpy(p, br->body.p + br->ready_at, n);
    br->ready_at += n;
    br->ready_n -= n;
    br->at += n;
    *ret_n = n;
    return RC_OK;
}

/* Everything was read: take the last packet, say so, and the connection is free again. */
static bool
end_well(struct block_read *br)
{
    ClientReadStatusProto st = CLIENT_READ_STATUS_PROTO__INIT;

    if (br->at < br->end || br->ready_n > 0)
        return false;
    if (!br->last_seen && (next_packet(br, NULL) != RC_OK || !br->last_seen))
        return false;
    st.status = br->type == CRC_NULL ? STATUS__SUCCESS : STATUS__CHECKSUM_OK;
    return dtp_send_message(&br->conn, &st.base, NULL) == RC_OK;
}

void
block_read_end(struct block_read *br)
{
    if (br->data_fd >= 0)
        io_close(br->fs->w.io, br->data_fd);
    if (br->meta_fd >= 0)
        io_close(br->fs->w.io, br->meta_fd);
    br->data_fd = br->meta_fd = -1;
    if (br->streaming) {
        br->streaming = false;
        if (end_well(br)) {
            br->idle_since_ms = clock_mono_ms(br->fs->w.clock);
        } else {
            dtp_conn_fini(&br->conn);
            br->connected = false;
        }
    }
    br->at = br->end = 0;
    br->ready_n = 0;
}
