#include "libmr/seg.h"

#include <lz4.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/io/crc.h"

#define BLOCK_BYTES (256 * KB)
#define PAIR_MAX    ((size_t)1 << 30)
#define HEAD_BYTES  12
#define LZ4_FLAG    UINT32_C(0x80000000)    /* of the stored length */
#define EVEN_FLAG   UINT32_C(0x80000000)    /* of the raw length */
#define LZ4_RATIO   255                 /* a byte of lz4 stands for at most so many */

uint64_t
seg_prefix(struct mr_bytes key)
{
    uint64_t v = 0;

    if (key.n >= sizeof v) {
        memcpy(&v, key.p, sizeof v);
        return __builtin_bswap64(v);
    }
    memcpy(&v, key.p, key.n);
    return __builtin_bswap64(v);
}

int
seg_compare(struct mr_bytes a, struct mr_bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

void
seg_writer_init(struct seg_writer *w, struct io *io, int fd, bool compress)
{
    memset(w, 0, sizeof *w);
    w->io = io;
    w->fd = fd;
    w->compress = compress;
    buf_init(&w->raw, 2 * PAIR_MAX);
    buf_init(&w->stored, 3 * PAIR_MAX);
}

void
seg_writer_fini(struct seg_writer *w)
{
    buf_fini(&w->raw);
    buf_fini(&w->stored);
}

/* A block of stored_len bytes, which lie behind the room for its head at p. */
static enum rc
write_block(struct seg_writer *w, uint8_t *p, uint32_t raw_len, uint32_t stored_len, bool packed, struct why *why)
{
    enum rc rc;

    put_le32(p, w->even && raw_len > 0 ? raw_len | EVEN_FLAG : raw_len);
    put_le32(p + 4, packed ? stored_len | LZ4_FLAG : stored_len);
    put_le32(p + 8, crc32c(crc32c(0, p, 8), p + HEAD_BYTES, stored_len));
    w->crc = crc32c(w->ended ? 0 : w->crc, p, HEAD_BYTES + stored_len);
    w->ended = raw_len == 0;
    if ((rc = io_pwrite(w->io, w->fd, p, HEAD_BYTES + stored_len, w->at, why)) == RC_OK)
        w->at += HEAD_BYTES + stored_len;
    return rc;
}

/* Pack what is in w->raw; *ret_n is 0 when that does not help. */
static enum rc
pack(struct seg_writer *w, uint32_t *ret_n, struct why *why)
{
    size_t n = w->raw.n - HEAD_BYTES;
    int bound = LZ4_compressBound((int)n), packed;
    uint8_t *out;

    buf_clear(&w->stored);
    if ((out = buf_grow(&w->stored, HEAD_BYTES + (size_t)bound)) == NULL)
        return why_rc(why, RC_NOMEM);
    packed = LZ4_compress_default((const char *)w->raw.p + HEAD_BYTES, (char *)out + HEAD_BYTES, (int)n, bound);
    *ret_n = packed > 0 && (size_t)packed < n ? (uint32_t)packed : 0;
    return RC_OK;
}

static enum rc
flush_raw(struct seg_writer *w, struct why *why)
{
    uint32_t n, packed = 0;
    enum rc rc = RC_OK;

    if (w->raw.n == 0)
        return RC_OK;
    n = (uint32_t)(w->raw.n - HEAD_BYTES);
    if (w->compress && (rc = pack(w, &packed, why)) != RC_OK)
        return rc;
    rc = packed ? write_block(w, w->stored.p, n, packed, true, why) : write_block(w, w->raw.p, n, n, false, why);
    buf_clear(&w->raw);
    return rc;
}

static void
put_lengths(struct buf *b, size_t key_n, size_t value_n)
{
    buf_varint(b, key_n);
    buf_varint(b, value_n);
}

/* The block that is open begins with a pair of these lengths.  Pairs of no bytes could not be counted. */
static void
begin_block(struct seg_writer *w, size_t key_n, size_t value_n)
{
    uint8_t *p = buf_grow(&w->raw, HEAD_BYTES);

    if (p != NULL)
        memset(p, 0, HEAD_BYTES);       /* filled in when the block is written */
    w->even = key_n + value_n > 0;
    w->key_n = key_n;
    w->value_n = value_n;
    if (w->even)
        put_lengths(&w->raw, key_n, value_n);
}

/* A pair of other lengths comes: from now on each pair of the block has its own before it, those that are there too. */
static void
make_uneven(struct seg_writer *w)
{
    size_t all = w->key_n + w->value_n, from;
    struct buf swap;
    struct rd rd;

    rd_init(&rd, w->raw.p + HEAD_BYTES, w->raw.n - HEAD_BYTES);
    (void)rd_varint(&rd);       /* the lengths, which are known */
    (void)rd_varint(&rd);
    from = w->raw.n - rd.left;
    buf_clear(&w->stored);
    buf_put(&w->stored, w->raw.p, HEAD_BYTES);
    for (; from < w->raw.n; from += all) {
        put_lengths(&w->stored, w->key_n, w->value_n);
        buf_put(&w->stored, w->raw.p + from, all);
    }
    w->stored.bad |= w->raw.bad;
    swap = w->raw;
    w->raw = w->stored;
    w->stored = swap;
    w->even = false;
}

static void
copy_short(uint8_t *to, struct mr_bytes from)
{
    if (from.n == 8)
        memcpy(to, from.p, 8);          /* a number: no call */
    else if (from.n > 0)
        memcpy(to, from.p, from.n);
}

enum rc
seg_put(struct seg_writer *w, struct mr_bytes key, struct mr_bytes value, struct why *why)
{
    size_t all = key.n + value.n, lengths;
    bool is_short = key.n < 128 && value.n < 128;
    uint8_t *p;
    enum rc rc;

    if (all > PAIR_MAX)
        return why_set(why, RC_BAD_JOB, "a pair of %zu bytes; at most %zu", all, PAIR_MAX);
    if (w->raw.n && w->raw.n + all + 20 > BLOCK_BYTES && (rc = flush_raw(w, why)) != RC_OK)
        return rc;
    if (w->raw.n == 0)
        begin_block(w, key.n, value.n);
    else if (w->even && (w->key_n != key.n || w->value_n != value.n))
        make_uneven(w);
    if (!w->even && !is_short)
        put_lengths(&w->raw, key.n, value.n);
    lengths = w->even || !is_short ? 0 : 2;
    if ((p = buf_grow(&w->raw, lengths + all)) != NULL) {
        if (lengths > 0) {              /* a varint below 128 is that byte */
            *p++ = (uint8_t)key.n;
            *p++ = (uint8_t)value.n;
        }
        if (value.p == key.p + key.n && all > 16) {
            memcpy(p, key.p, all);
        } else {
            copy_short(p, key);
            copy_short(p + key.n, value);
        }
    }
    w->pairs++;
    return buf_ok(&w->raw) ? RC_OK : why_rc(why, RC_NOMEM);
}

enum rc
seg_end(struct seg_writer *w, struct why *why)
{
    uint8_t block[HEAD_BYTES + 8];
    enum rc rc;

    if ((rc = flush_raw(w, why)) != RC_OK)
        return rc;
    put_le32(block + HEAD_BYTES, (uint32_t)w->pairs);
    put_le32(block + HEAD_BYTES + 4, (uint32_t)(w->pairs >> 32));
    w->pairs = 0;
    return write_block(w, block, 0, 8, false, why);
}

void
seg_reader_init(struct seg_reader *r, struct io *io, int fd, uint64_t at, uint64_t bytes, uint32_t source)
{
    memset(r, 0, sizeof *r);
    r->io = io;
    r->fd = fd;
    r->at = at;
    r->end = at + bytes;
    r->source = source;
    buf_init(&r->raw, 2 * PAIR_MAX);
    buf_init(&r->stored, 2 * PAIR_MAX);
}

void
seg_reader_fini(struct seg_reader *r)
{
    buf_fini(&r->raw);
    buf_fini(&r->stored);
}

static enum rc
corrupt(const struct seg_reader *r, const char *what, struct why *why)
{
    return why_set(why, RC_CORRUPT, "output of map %u is damaged: %s", r->source, what);
}

static enum rc
read_exactly(struct seg_reader *r, void *p, size_t n, struct why *why)
{
    size_t got;
    enum rc rc;

    if (n > r->end - r->at)
        return corrupt(r, "it ends too early", why);
    if ((rc = io_pread(r->io, r->fd, p, n, r->at, &got, why)) != RC_OK)
        return rc;
    if (got != n)
        return corrupt(r, "its file is too short", why);
    r->at += n;
    return RC_OK;
}

/* The block at r->at into r->raw; r->done at the last one. */
static enum rc
read_block(struct seg_reader *r, struct why *why)
{
    uint8_t head[HEAD_BYTES], *stored, *raw;
    uint32_t raw_len, stored_len;
    bool packed;
    enum rc rc;

    if ((rc = read_exactly(r, head, sizeof head, why)) != RC_OK)
        return rc;
    raw_len = get_le32(head) & ~EVEN_FLAG;
    r->even = (get_le32(head) & EVEN_FLAG) != 0;
    stored_len = get_le32(head + 4) & ~LZ4_FLAG;
    packed = (get_le32(head + 4) & LZ4_FLAG) != 0;
    if (stored_len > r->end - r->at || raw_len > 2 * PAIR_MAX ||
        (packed ? raw_len / LZ4_RATIO > stored_len : raw_len != 0 && raw_len != stored_len))
        return corrupt(r, "a block's length", why);
    buf_clear(&r->stored);
    buf_clear(&r->raw);
    r->pos = 0;
    if ((stored = buf_grow(&r->stored, stored_len)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = read_exactly(r, stored, stored_len, why)) != RC_OK)
        return rc;
    if (crc32c(crc32c(0, head, 8), stored, stored_len) != get_le32(head + 8))
        return corrupt(r, "a block's checksum", why);
    if (raw_len == 0) {
        if (r->even || stored_len != 8 || (get_le32(stored) | (uint64_t)get_le32(stored + 4) << 32) != r->pairs || r->at != r->end)
            return corrupt(r, "its number of pairs", why);
        r->done = true;
        return RC_OK;
    }
    if (!packed) {
        struct buf swap = r->raw;

        r->raw = r->stored;
        r->stored = swap;
        return RC_OK;
    }
    if ((raw = buf_grow(&r->raw, raw_len)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (LZ4_decompress_safe((const char *)stored, (char *)raw, (int)stored_len, (int)raw_len) != (int)raw_len)
        return corrupt(r, "a compressed block", why);
    return RC_OK;
}

/* The lengths that stand before the pairs of an even block. */
static enum rc
read_lengths(struct seg_reader *r, struct why *why)
{
    struct rd rd;
    uint64_t key_n, value_n;

    rd_init(&rd, r->raw.p, r->raw.n);
    key_n = rd_varint(&rd);
    value_n = rd_varint(&rd);
    if (rd.bad || key_n > rd.left || value_n > rd.left || key_n + value_n == 0 || rd.left % (key_n + value_n) != 0)
        return corrupt(r, "the lengths of a block's pairs", why);
    r->key_n = key_n;
    r->value_n = value_n;
    r->pos = r->raw.n - rd.left;
    return rd.left > 0 ? RC_OK : corrupt(r, "a block without pairs", why);
}

/* The pair at r->pos, which is inside the block. */
static enum rc
take_pair(struct seg_reader *r, struct why *why)
{
    struct rd rd;
    uint64_t key_len, value_len;

    if (r->even) {
        r->key = (struct mr_bytes){ (const char *)r->raw.p + r->pos, r->key_n };
        r->value = (struct mr_bytes){ r->key.p + r->key_n, r->value_n };
        r->pos += r->key_n + r->value_n;
        return RC_OK;
    }
    rd_init(&rd, r->raw.p + r->pos, r->raw.n - r->pos);
    key_len = rd_varint(&rd);
    value_len = rd_varint(&rd);
    r->key.p = (const char *)rd_bytes(&rd, key_len);
    r->key.n = key_len;
    r->value.p = (const char *)rd_bytes(&rd, value_len);
    r->value.n = value_len;
    if (rd.bad)
        return corrupt(r, "a pair's length", why);
    r->pos = r->raw.n - rd.left;
    return RC_OK;
}

enum rc
seg_next(struct seg_reader *r, struct why *why)
{
    enum rc rc;

    if (r->done)
        return RC_OK;
    if (r->pos == r->raw.n && ((rc = read_block(r, why)) != RC_OK || r->done || (r->even && (rc = read_lengths(r, why)) != RC_OK)))
        return rc;
    if ((rc = take_pair(r, why)) != RC_OK)
        return rc;
    r->pairs++;
    r->prefix = seg_prefix(r->key);
    return RC_OK;
}

/* True when a's pair comes before b's. */
static bool
before(const struct seg_merge *m, const struct seg_reader *a, const struct seg_reader *b)
{
    int c;

    if (m->compare)
        c = m->compare(a->key, b->key);
    else if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    else if (a->key.n <= sizeof a->prefix && b->key.n <= sizeof b->prefix)
        c = (a->key.n > b->key.n) - (a->key.n < b->key.n);      /* the rest is zeros */
    else
        c = seg_compare(a->key, b->key);
    return c ? c < 0 : a->source < b->source;
}

/* before(m, right, left), without a jump where that cannot be foretold. */
static size_t
is_right_first(const struct seg_merge *m, const struct seg_reader *left, const struct seg_reader *right)
{
    if (m->compare != NULL || left->prefix == right->prefix)
        return before(m, right, left);
    return right->prefix < left->prefix;
}

static void
sift_down(struct seg_merge *m, size_t i)
{
    struct seg_reader *top = m->heap[i];

    for (;;) {
        size_t kid = 2 * i + 1;

        if (kid >= m->n)
            break;
        if (kid + 1 < m->n)
            kid += is_right_first(m, m->heap[kid], m->heap[kid + 1]);
        if (!before(m, m->heap[kid], top))
            break;
        m->heap[i] = m->heap[kid];
        i = kid;
    }
    m->heap[i] = top;
}

enum rc
seg_merge_init(struct seg_merge *m, struct seg_reader **readers, size_t n, mr_compare_fn *compare, struct why *why)
{
    enum rc rc;

    m->heap = readers;
    m->compare = compare;
    m->n = 0;
    for (size_t i = 0; i < n; i++) {
        if ((rc = seg_next(readers[i], why)) != RC_OK)
            return rc;
        if (!readers[i]->done)
            m->heap[m->n++] = readers[i];
    }
    for (size_t i = m->n / 2; i-- > 0;)
        sift_down(m, i);
    return RC_OK;
}

void
seg_merge_fini(struct seg_merge *m)
{
    mem_free(m->heap);
    m->heap = NULL;
    m->n = 0;
}

enum rc
seg_merge_next(struct seg_merge *m, struct why *why)
{
    enum rc rc;

    if ((rc = seg_next(m->heap[0], why)) != RC_OK)
        return rc;
    if (m->heap[0]->done && --m->n)
        m->heap[0] = m->heap[m->n];
    if (m->n)
        sift_down(m, 0);
    return RC_OK;
}
