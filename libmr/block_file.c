/*
 * block_file -- a local block with its meta file, every byte verified.
 *
 * Meta file (docs/formats/datanode-disk.md): version 1 as 16 bits, checksum type, bytes a
 * checksum as 32 bits, then one checksum a chunk, all big-endian.
 */
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "libmr/task.h"

#define META_HEAD   7
#define STEP_BYTES  (1 * MB)

struct mr_block_file {
    struct io *io;
    int data_fd, meta_fd;
    enum crc_type type;
    size_t chunk;               /* bytes that one checksum covers */
    uint64_t bytes;             /* of the block */
    uint8_t *data, *sums;       /* verified bytes [at, at + n) */
    uint64_t at;
    size_t n, step;
};

enum rc
mr_block_open(struct io *io, int data_fd, int meta_fd, struct mr_block_file **ret, struct why *why)
{
    struct mr_block_file *b = NULL;
    struct io_stat st;
    uint8_t head[META_HEAD];
    uint32_t chunk;
    size_t got;
    enum rc rc;

    if ((rc = io_pread(io, meta_fd, head, sizeof head, 0, &got, why)) != RC_OK ||
        (rc = io_fstat(io, data_fd, &st, why)) != RC_OK)
        return rc;
    chunk = get_be32(head + 3);
    if (got != sizeof head || get_be16(head) != 1 || (head[2] != CRC_CRC32 && head[2] != CRC_CRC32C) || chunk == 0 ||
        chunk > STEP_BYTES)
        return why_set(why, RC_CORRUPT, "the meta file of a block has no header that is known");
    if ((b = mem_zalloc(sizeof *b)) == NULL)
        return why_rc(why, RC_NOMEM);
    b->io = io;
    b->data_fd = data_fd;
    b->meta_fd = meta_fd;
    b->type = (enum crc_type)head[2];
    b->chunk = chunk;
    b->bytes = st.size;
    b->step = STEP_BYTES / chunk * chunk;
    if ((b->data = mem_alloc(b->step)) == NULL || (b->sums = mem_alloc(b->step / chunk * 4)) == NULL) {
        mr_block_free(b);
        return why_rc(why, RC_NOMEM);
    }
    *ret = b;
    return RC_OK;
}

void
mr_block_free(struct mr_block_file *b)
{
    if (b == NULL)
        return;
    mem_free(b->data);
    mem_free(b->sums);
    mem_free(b);
}

/* Read [at, at + want) to p, verified; at is where a chunk begins, want whole chunks or to the end, at most a step. */
static enum rc
read_verified(struct mr_block_file *b, uint8_t *p, size_t want, uint64_t at, struct why *why)
{
    size_t sums = (want + b->chunk - 1) / b->chunk * 4, got, bad;
    enum rc rc;

    if ((rc = io_pread(b->io, b->data_fd, p, want, at, &got, why)) != RC_OK)
        return rc;
    if (got != want)
        return why_set(why, RC_CORRUPT, "a block's file became shorter");
    if ((rc = io_pread(b->io, b->meta_fd, b->sums, sums, META_HEAD + at / b->chunk * 4, &got, why)) != RC_OK)
        return rc;
    if (got != sums)
        return why_set(why, RC_CORRUPT, "a block's meta file is too short");
    if (!crc_chunks_verify(b->type, p, want, b->chunk, b->sums, &bad))
        return why_set(why, RC_CORRUPT, "checksum of a local block at %llu", (unsigned long long)(at + bad));
    return RC_OK;
}

/* Load and verify the step that holds `at`. */
static enum rc
load(struct mr_block_file *b, uint64_t at, struct why *why)
{
    uint64_t first = at / b->step * b->step;
    size_t want = b->bytes - first < b->step ? (size_t)(b->bytes - first) : b->step;
    enum rc rc;

    b->n = 0;
    if ((rc = read_verified(b, b->data, want, first, why)) != RC_OK)
        return rc;
    b->at = first;
    b->n = want;
    return RC_OK;
}

enum rc
mr_block_read(struct mr_block_file *b, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    size_t n;
    enum rc rc;

    if (at >= b->bytes) {
        *ret_n = 0;
        return RC_OK;
    }
    if (at < b->at || at - b->at >= b->n) {
        n = b->bytes - at < b->step ? (size_t)(b->bytes - at) : b->step;
        if (at % b->chunk == 0 && cap >= n) {   /* where it is wanted, without a copy */
            if ((rc = read_verified(b, p, n, at, why)) == RC_OK)
                *ret_n = n;
            return rc;
        }
        if ((rc = load(b, at, why)) != RC_OK)
            return rc;
    }
    n = b->n - (size_t)(at - b->at);
    if (n > cap)
        n = cap;
    memcpy(p, b->data + (at - b->at), n);
    *ret_n = n;
    return RC_OK;
}
