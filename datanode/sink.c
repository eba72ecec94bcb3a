#include "datanode/sink.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/faults.h"
#include "core/base/mem.h"
#include "datanode/replica.h"

#define SUMS_MAX (2 * DTP_PACKET_MAX)
#define VERIFY_BYTES (256 * KB)
#define BEHIND_BYTES (8 * MB)           /* how much is written before the disk is told to begin */

static void
sink_init(struct dn_sink *s, struct io *io)
{
    *s = (struct dn_sink){ .io = io, .data_fd = -1, .meta_fd = -1 };
    buf_init(&s->sums, SUMS_MAX);
}

void
dn_sink_fini(struct dn_sink *s)
{
    if (s->data_fd >= 0)
        io_close(s->io, s->data_fd);
    if (s->meta_fd >= 0)
        io_close(s->io, s->meta_fd);
    s->data_fd = s->meta_fd = -1;
    buf_fini(&s->sums);
}

enum rc
dn_sink_create(struct dn_sink *s, struct io *io, const char *data, const char *meta, uint32_t chunk, struct why *why)
{
    uint8_t head[DN_META_HEAD];
    enum rc rc;

    sink_init(s, io);
    s->meta = (struct dn_meta){ CRC_CRC32C, chunk };
    dn_meta_put(&s->meta, head);
    if ((rc = io_open(io, data, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNC, &s->data_fd, why)) != RC_OK ||
        (rc = io_open(io, meta, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNC, &s->meta_fd, why)) != RC_OK ||
        (rc = io_pwrite(io, s->meta_fd, head, sizeof head, 0, why)) != RC_OK) {
        dn_sink_fini(s);
        return rc;
    }
    s->dirty = true;
    return RC_OK;
}

static enum rc
read_exact(struct io *io, int fd, void *p, size_t n, uint64_t at, struct why *why)
{
    size_t got = 0;
    enum rc rc;

    if ((rc = io_pread(io, fd, p, n, at, &got, why)) != RC_OK)
        return rc;
    if (got < n)
        return why_set(why, RC_CORRUPT, "file ends %zu bytes early, at %" PRIu64, n - got, at + got);
    return RC_OK;
}

/* Cut the last chunk to `keep` bytes of the replica: its checksum covers less from now on. */
static enum rc
cut_tail(struct dn_sink *s, uint64_t data_n, uint64_t keep, struct why *why)
{
    uint32_t chunk = s->meta.chunk;
    uint64_t start = keep - keep % chunk;
    size_t there = data_n - start < chunk ? (size_t)(data_n - start) : chunk, want = (size_t)(keep - start);
    uint8_t sum[4], *p = NULL;
    enum rc rc = RC_NOMEM;

    if ((p = mem_alloc(chunk)) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = read_exact(s->io, s->data_fd, p, there, start, why)) != RC_OK ||
        (rc = read_exact(s->io, s->meta_fd, sum, sizeof sum, dn_meta_at(chunk, start), why)) != RC_OK)
        goto out;
    if (crc_of(s->meta.type, 0, p, there) != get_be32(sum)) {
        rc = why_set(why, RC_CORRUPT, "last chunk, at %" PRIu64 ", does not agree with its checksum", start);
        goto out;
    }
    s->tail = crc_of(s->meta.type, 0, p, want);
    if (want < there) {         /* durable before the data go: or a crash may leave it to cover what is not there */
        put_be32(sum, s->tail);
        if ((rc = io_sync(s->io, s->data_fd, why)) == RC_OK &&
            (rc = io_pwrite(s->io, s->meta_fd, sum, sizeof sum, dn_meta_at(chunk, start), why)) == RC_OK)
            rc = io_sync(s->io, s->meta_fd, why);
    }
out:
    mem_free(p);
    return rc;
}

enum rc
dn_sink_open(struct dn_sink *s, struct io *io, const char *data, const char *meta, uint64_t keep, struct why *why)
{
    uint8_t head[DN_META_HEAD];
    struct io_stat st;
    enum rc rc;

    sink_init(s, io);
    if ((rc = io_open(io, data, IO_READ | IO_WRITE, &s->data_fd, why)) != RC_OK ||
        (rc = io_open(io, meta, IO_READ | IO_WRITE, &s->meta_fd, why)) != RC_OK ||
        (rc = read_exact(io, s->meta_fd, head, sizeof head, 0, why)) != RC_OK ||
        (rc = dn_meta_parse(head, sizeof head, &s->meta, why)) != RC_OK ||
        (rc = io_fstat(io, s->data_fd, &st, why)) != RC_OK)
        goto out;
    if (st.size < keep) {
        rc = why_set(why, RC_CORRUPT, "data file has %" PRIu64 " bytes, expected %" PRIu64, st.size, keep);
        goto out;
    }
    if (keep % s->meta.chunk != 0 && (rc = cut_tail(s, st.size, keep, why)) != RC_OK)
        goto out;
    if ((rc = io_truncate(io, s->data_fd, keep, why)) != RC_OK ||
        (rc = io_truncate(io, s->meta_fd, dn_meta_bytes(s->meta.chunk, keep), why)) != RC_OK)
        goto out;
    s->bytes = keep;
    s->safe_bytes = s->behind_bytes = keep;
    s->dirty = true;
out:
    if (rc != RC_OK)
        dn_sink_fini(s);
    return rc;
}

static enum rc
verify(const struct dn_sums *sender, const struct dtp_packet *p, const uint8_t *body, struct why *why)
{
    size_t bad = 0;
    enum rc rc;

    if ((rc = dtp_packet_check(p, sender->chunk, sender->type == CRC_NULL ? 0 : 4, why)) != RC_OK)
        return rc;
    if (sender->type != CRC_NULL &&
        !crc_chunks_verify(sender->type, body + p->sums_n, p->data_n, sender->chunk, body, &bad))
        return why_set(why, RC_CORRUPT, "packet %" PRId64 ": checksum error at %" PRIu64, p->seqno, p->offset + bad);
    return RC_OK;
}

/*
 * The checksums of n new bytes at the end of the replica, as they go to the meta
 * file: the chunk begun before first, then whole ones and the last.  In s->sums;
 * *ret_tail is the checksum of a last chunk that is not full.
 */
static enum rc
new_sums(struct dn_sink *s, const struct dn_sums *sender, const struct dtp_packet *p, const uint8_t *body, size_t skip,
         uint32_t *ret_tail, struct why *why)
{
    const uint8_t *data = body + p->sums_n + skip;
    size_t n = p->data_n - skip, in_chunk = (size_t)(s->bytes % s->meta.chunk), part, count;
    uint32_t tail = 0;
    uint8_t *out;

    buf_clear(&s->sums);
    if (in_chunk != 0) {
        part = n < s->meta.chunk - in_chunk ? n : s->meta.chunk - in_chunk;
        tail = crc_of(s->meta.type, s->tail, data, part);
        buf_be32(&s->sums, tail);
        data += part;
        n -= part;
    }
    count = dtp_chunk_count(0, n, s->meta.chunk);
    if (count > 0 && (out = buf_grow(&s->sums, 4 * count)) != NULL) {
        if (sender->type == s->meta.type && sender->chunk == s->meta.chunk && p->offset % s->meta.chunk == 0)
            memcpy(out, body + p->sums_n - 4 * count, 4 * count);   /* the sender's last chunks are ours */
        else
            crc_chunks(s->meta.type, data, n, s->meta.chunk, out);
        tail = get_be32(out + 4 * (count - 1));
    }
    if (!buf_ok(&s->sums))
        return why_rc(why, RC_NOMEM);
    *ret_tail = tail;
    return RC_OK;
}

enum rc
dn_sink_write(struct dn_sink *s, const struct dn_sums *sender, const struct dtp_packet *p, const uint8_t *body,
              struct why *why)
{
    const uint8_t *data;
    uint64_t meta_at;
    uint32_t tail = 0;
    size_t skip, n;
    enum rc rc;

    if ((rc = verify(sender, p, body, why)) != RC_OK)
        return rc;
    if (p->offset > s->bytes)
        return why_set(why, RC_BAD_MESSAGE, "packet %" PRId64 " begins at %" PRIu64 ", the replica ends at %" PRIu64,
                       p->seqno, p->offset, s->bytes);
    if (p->offset + p->data_n <= s->bytes)
        return RC_OK;                           /* sent again after a recovery: all of it is here */
    skip = (size_t)(s->bytes - p->offset);
    if ((rc = new_sums(s, sender, p, body, skip, &tail, why)) != RC_OK)
        return rc;
    data = body + p->sums_n + skip;
    n = p->data_n - skip;
    meta_at = dn_meta_at(s->meta.chunk, s->bytes);
    s->dirty = true;
    if ((rc = io_pwrite(s->io, s->data_fd, data, n, s->bytes, why)) != RC_OK)
        return rc;
    /* The checksum of a chunk with bytes that are durable may only be replaced, as often as it is, once those that it
     * will cover are durable too: whichever a crash leaves, it then fits a prefix of the data (dn_chunk_prefix). */
    if (s->safe_bytes > s->bytes - s->bytes % s->meta.chunk && (rc = io_sync(s->io, s->data_fd, why)) != RC_OK)
        return rc;
    CRASH_POINT(dn_data_written);
    if ((rc = io_pwrite(s->io, s->meta_fd, s->sums.p, s->sums.n, meta_at, why)) != RC_OK)
        return rc;
    s->bytes += n;
    if (s->bytes - s->behind_bytes >= BEHIND_BYTES) {
        io_write_behind(s->io, s->data_fd, s->behind_bytes, s->bytes - s->behind_bytes);
        s->behind_bytes = s->bytes;
    }
    s->tail = s->bytes % s->meta.chunk == 0 ? 0 : tail;
    return RC_OK;
}

enum rc
dn_sink_sync(struct dn_sink *s, struct why *why)
{
    enum rc rc;

    if (!s->dirty || old_bug(OLD_BUG_ACK_BEFORE_FSYNC))
        return RC_OK;
    if ((rc = io_sync(s->io, s->data_fd, why)) != RC_OK)
        return rc;
    CRASH_POINT(dn_data_synced);
    if ((rc = io_sync(s->io, s->meta_fd, why)) != RC_OK)
        return rc;
    CRASH_POINT(dn_meta_synced);
    s->dirty = false;
    s->safe_bytes = s->bytes;
    return RC_OK;
}

/* How much of data[0..n) agrees with sums, of which sums_n bytes are there; *ret_whole when all of it does. */
static size_t
good_run(const struct dn_meta *m, const uint8_t *data, size_t n, const uint8_t *sums, size_t sums_n, bool *ret_whole)
{
    size_t at = 0, part;

    for (; at < n; at += part, sums += 4, sums_n -= 4) {
        part = n - at < m->chunk ? n - at : m->chunk;
        *ret_whole = false;
        if (sums_n < 4)
            return at;
        if (crc_of(m->type, 0, data + at, part) != get_be32(sums))
            return at + dn_chunk_prefix(m->type, data + at, part, get_be32(sums));
        *ret_whole = true;
    }
    return n;
}

enum rc
dn_verify_prefix(struct io *io, int data_fd, int meta_fd, uint64_t *ret_bytes, struct dn_meta *ret_meta, struct why *why)
{
    uint8_t head[DN_META_HEAD], *data = NULL, *sums = NULL;
    struct dn_meta m;
    size_t span, n = 0, sums_n = 0, run;
    uint64_t at = 0;
    bool whole = true;
    enum rc rc;

    if ((rc = read_exact(io, meta_fd, head, sizeof head, 0, why)) != RC_OK ||
        (rc = dn_meta_parse(head, sizeof head, &m, why)) != RC_OK)
        goto out;
    span = m.chunk >= VERIFY_BYTES ? m.chunk : VERIFY_BYTES / m.chunk * m.chunk;
    if ((data = mem_alloc(span)) == NULL || (sums = mem_alloc(span / m.chunk * 4)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    do {
        if ((rc = io_pread(io, data_fd, data, span, at, &n, why)) != RC_OK ||
            (rc = io_pread(io, meta_fd, sums, span / m.chunk * 4, dn_meta_at(m.chunk, at), &sums_n, why)) != RC_OK)
            goto out;
        run = good_run(&m, data, n, sums, sums_n, &whole);
        at += run;
    } while (n == span && run == span && whole);
    *ret_bytes = at;
    *ret_meta = m;
out:
    mem_free(data);
    mem_free(sums);
    return rc;
}
