/*
 * Reading a file: which block, which replica, and what to do when one fails.
 *
 * A replica that failed is not asked again for the same block while another is
 * left.  When none is, the locations are asked anew, a few times, with pauses.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "dfsclient/block_read.h"
#include "dfsclient/local.h"
#include "dfsclient/located.h"
#include "dfsclient/replica.h"
#include "dfsclient/visible.h"

#define WINDOW_BLOCKS 128       /* blocks whose locations are asked for at a time */
#define ROUNDS 4                /* of locations, before a block counts as lost */
#define RANDOM_BYTES (128 * KB) /* least that a read out of order asks for */

struct fs_reader {
    struct fs *fs;
    char *path;
    uint64_t bytes;
    struct arena arena;         /* of blocks */
    struct fs_block *blocks;    /* a window of the file */
    size_t block_count;
    struct block_read stream;
    uint64_t stream_block;      /* id of the block that stream reads; 0 none */
    size_t stream_at;           /* index of its location */
    uint64_t next;              /* where the last read ended: the one that begins there is sequential */
    struct replica_set bad;     /* replicas that failed, of bad_block */
    uint64_t bad_block;
    uint64_t not_local;         /* a block whose local files changed while they were read; 0 none */
    struct replica_set suspects;    /* nodes that did not answer, for whatever block */
};

static enum rc
load(struct fs_reader *r, uint64_t at, uint64_t *ret_bytes, struct why *why)
{
    arena_reset(&r->arena);
    r->blocks = NULL;
    r->block_count = 0;
    return fs_blocks(r->fs, r->path, at, WINDOW_BLOCKS * r->fs->conf.block_bytes, &r->arena, &r->blocks, &r->block_count,
                     ret_bytes, why);
}

/*
 * The length that the last block shows to readers: the least of what its DataNodes say.  The first of the pipeline is the
 * last to learn of an ack, so what is once seen by the least is on all of them, and stays over a recovery.  When one has
 * answered, the others are not waited for long.
 */
static enum rc
ask_visible(struct fs_reader *r, struct fs_block *b, bool *ret_missing, struct why *why)
{
    const struct conf *c = &r->fs->conf;
    uint64_t slow_ms = c->read_slow_ms < c->socket_ms ? c->read_slow_ms : c->socket_ms, n = 0;
    size_t missing = 0, heard = 0;
    enum rc rc = RC_OK;

    b->bytes = 0;
    for (size_t i = 0; i < b->location_count; i++) {
        bool is_last_hope = heard == 0 && i + 1 == b->location_count;

        if ((rc = fs_visible_length(r->fs, b, &b->locations[i], is_last_hope ? c->socket_ms : slow_ms, &n, why)) == RC_OK) {
            b->bytes = heard++ == 0 || n < b->bytes ? n : b->bytes;
        } else if (rc == RC_REPLICA_NOT_FOUND) {
            missing++;
        }
    }
    *ret_missing = missing == b->location_count;
    if (heard > 0 || *ret_missing)
        return RC_OK;
    if (rc == RC_REPLICA_NOT_FOUND)     /* who cannot be asked may have bytes that were synced */
        rc = why_set(why, RC_IO_EXCEPTION, "Cannot obtain block length for blk_%" PRIu64 " of %s", b->id, r->path);
    return rc;
}

static struct fs_block *
last_block(struct fs_reader *r)
{
    return r->block_count > 0 ? &r->blocks[r->block_count - 1] : NULL;
}

/* The first blocks, or the last one when it is not among them; and the length that the NameNode knows. */
static enum rc
load_tail(struct fs_reader *r, struct why *why)
{
    uint64_t known = 0;
    enum rc rc = load(r, 0, &known, why);
    struct fs_block *b = last_block(r);

    if (rc == RC_OK && b != NULL && b->offset + b->bytes < known)
        rc = load(r, known - 1, &known, why);
    r->bytes = known;
    return rc;
}

/*
 * The file's length: what the NameNode knows, and the tail that is being written.  When none of the DataNodes has that,
 * nothing has been written; unless the file was deleted, or goes on elsewhere, since the NameNode was asked: it is asked again.
 */
static enum rc
find_length(struct fs_reader *r, struct why *why)
{
    struct fs_block *b, before = { .id = 0 };
    bool missing = true;
    enum rc rc;

    for (unsigned round = 0; round < ROUNDS && missing; round++) {
        if ((rc = load_tail(r, why)) != RC_OK)
            return rc;
        if ((b = last_block(r)) == NULL || !b->open)
            return RC_OK;
        if (b->id == before.id && b->stamp == before.stamp)
            break;
        before = *b;                /* its number and stamp: the arena of the rest is used again */
        if ((rc = ask_visible(r, b, &missing, why)) != RC_OK)
            return rc;
    }
    b = last_block(r);
    if (missing || b->bytes == 0)
        r->block_count--;
    else if (b->offset + b->bytes > r->bytes)
        r->bytes = b->offset + b->bytes;
    return RC_OK;
}

enum rc
fs_open_read(struct fs *fs, const char *path, struct fs_reader **ret, struct why *why)
{
    struct fs_reader *r = mem_zalloc(sizeof *r);
    enum rc rc;

    if (r == NULL)
        return why_rc(why, RC_NOMEM);
    r->fs = fs;
    arena_init(&r->arena, 64 * MB);
    block_read_init(&r->stream, fs);
    rc = (r->path = mem_strdup(path)) == NULL ? why_rc(why, RC_NOMEM) : find_length(r, why);
    if (rc != RC_OK) {
        fs_close_read(r);
        return rc;
    }
    *ret = r;
    return RC_OK;
}

void
fs_close_read(struct fs_reader *r)
{
    if (r == NULL)
        return;
    block_read_fini(&r->stream);
    arena_fini(&r->arena);
    mem_free(r->path);
    mem_free(r);
}

uint64_t
fs_reader_size(const struct fs_reader *r)
{
    return r->bytes;
}

static struct fs_block *
find_block(struct fs_reader *r, uint64_t at)
{
    size_t lo = 0, hi = r->block_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->blocks[mid].offset + r->blocks[mid].bytes <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->block_count && r->blocks[lo].offset <= at ? &r->blocks[lo] : NULL;
}

/* The block that covers at, asked for when it is outside the window. */
static enum rc
locate(struct fs_reader *r, uint64_t at, struct fs_block **ret, struct why *why)
{
    uint64_t known = 0;
    enum rc rc;

    if ((*ret = find_block(r, at)) != NULL)
        return RC_OK;
    r->stream_block = 0;
    if ((rc = load(r, at, &known, why)) != RC_OK)
        return rc;
    if (r->block_count > 0 && r->blocks[r->block_count - 1].open &&
        r->bytes > r->blocks[r->block_count - 1].offset)
        r->blocks[r->block_count - 1].bytes = r->bytes - r->blocks[r->block_count - 1].offset;
    if ((*ret = find_block(r, at)) == NULL)
        return why_set(why, RC_IO_EXCEPTION, "Blocklist for %s has changed!", r->path);
    return RC_OK;
}

static void
report_bad(struct fs_reader *r, const struct fs_block *b, const struct fs_location *l)
{
    ReportBadBlocksRequestProto req = REPORT_BAD_BLOCKS_REQUEST_PROTO__INIT;
    LocatedBlockProto lb = LOCATED_BLOCK_PROTO__INIT, *list = &lb;
    BaseHeaderProto *h;
    DatanodeInfoProto *node;
    ProtobufCBinaryData storage = fs_bin(l->storage_uuid);
    StorageTypeProto type = (StorageTypeProto)l->storage_type;
    struct arena a;

    arena_init(&a, MB);
    if ((h = fs_put_base_header(&a, b, b->bytes)) != NULL && (node = fs_put_node(&a, l)) != NULL) {
        lb.b = h->block;
        lb.blocktoken = h->token;
        lb.offset = b->offset;
        lb.n_locs = 1;
        lb.locs = &node;
        lb.n_storageids = 1;
        lb.storageids = &storage;
        lb.n_storagetypes = 1;
        lb.storagetypes = &type;
        req.n_blocks = 1;
        req.blocks = &list;
        enum rc ignored = fs_call(r->fs, ROW_report_bad_blocks, &req.base, &a, NULL, NULL);
        (void)ignored;      /* the DataNode's scanner finds it as well */
    }
    arena_fini(&a);
}

/*
 * Replica i of b failed.  A corrupt one is reported to the NameNode, so that it is replaced.  Files that were read by
 * descriptor may have been appended to in the meantime: the DataNode, which knows, is asked before anybody is blamed.
 */
static void
blame(struct fs_reader *r, const struct fs_block *b, size_t i, enum rc rc)
{
    bool was_local = block_read_is_local(&r->stream);

    block_read_close(&r->stream);
    r->stream_block = 0;
    if (was_local && rc == RC_CORRUPT && r->not_local != b->id) {
        r->not_local = b->id;
        return;
    }
    if (r->bad_block != b->id) {
        r->bad_block = b->id;
        replica_set_clear(&r->bad);
    }
    replica_set_add(&r->bad, b->locations[i].node_uuid);
    if (rc == RC_TIMEOUT || rc == RC_REFUSED || rc == RC_UNREACHABLE)
        replica_set_add(&r->suspects, b->locations[i].node_uuid);
    if (rc == RC_CORRUPT)
        report_bad(r, b, &b->locations[i]);
}

static enum rc
open_stream(struct fs_reader *r, const struct fs_block *b, size_t i, uint64_t from, uint64_t bytes, struct why *why)
{
    /* While another is left to try, a silent node is not waited for; the last one gets all the time there is. */
    bool others = replica_left(b->locations, b->location_count, &r->bad) > 1;
    uint64_t patience_ms = others && r->fs->conf.read_slow_ms < r->fs->conf.socket_ms ? r->fs->conf.read_slow_ms
                                                                                       : r->fs->conf.socket_ms;
    int data_fd, meta_fd;
    enum rc rc;

    if (r->not_local != b->id && local_is_here(r->fs, &b->locations[i]) &&
        local_open(r->fs, b, &b->locations[i], &data_fd, &meta_fd, NULL) == RC_OK)
        rc = block_read_open_local(&r->stream, data_fd, meta_fd, from, bytes, why);
    else
        rc = block_read_open(&r->stream, b, &b->locations[i], from, bytes, patience_ms, why);
    if (rc == RC_OK) {
        r->stream_block = b->id;
        r->stream_at = i;
    }
    return rc;
}

static enum rc
no_replica(struct fs_reader *r, const struct fs_block *b, const struct why *last, struct why *why)
{
    if (b->location_count == 0)
        return why_set(why, RC_IO_EXCEPTION, "Could not obtain block: %s:blk_%llu_%llu file=%s No live nodes contain "
                       "current block", b->pool, (unsigned long long)b->id, (unsigned long long)b->stamp, r->path);
    if (last->rc == RC_CORRUPT)
        return why_set(why, RC_CORRUPT, "%s: %s", r->path, last->text);
    return why_set(why, RC_IO_EXCEPTION, "Could not obtain block: %s:blk_%llu_%llu file=%s No live nodes contain current "
                   "block; the last of %zu said: %s", b->pool, (unsigned long long)b->id, (unsigned long long)b->stamp,
                   r->path, b->location_count, last->text);
}

/* Make stream deliver the byte at `at`. */
static enum rc
seek(struct fs_reader *r, uint64_t at, size_t want, struct why *why)
{
    struct why last = { .rc = RC_OK };
    struct fs_block *b = NULL;
    uint64_t bytes;
    enum rc rc;
    int i;

    for (unsigned round = 0;; round++) {
        if ((rc = locate(r, at, &b, why)) != RC_OK)
            return rc;
        uint64_t from = at - b->offset;
        if (r->stream_block == b->id && r->stream.at == from && r->stream.end > from)
            return RC_OK;
        bytes = b->bytes - from;
        if (at != r->next && bytes > want)
            bytes = want > RANDOM_BYTES ? want : bytes < RANDOM_BYTES ? bytes : RANDOM_BYTES;
        if (r->bad_block != b->id)
            replica_set_clear(&r->bad);
        while ((i = replica_choose(b->locations, b->location_count, &r->bad, &r->suspects)) >= 0) {
            if ((rc = open_stream(r, b, (size_t)i, from, bytes, &last)) == RC_OK)
                return RC_OK;
            blame(r, b, (size_t)i, rc);
        }
        if (round + 1 == ROUNDS)
            return no_replica(r, b, &last, why);
        fs_sleep_ms(r->fs, fs_backoff_ms(r->fs, round, r->fs->conf.read_retry_ms / 4, r->fs->conf.read_retry_ms));
        replica_set_clear(&r->bad);
        replica_set_clear(&r->suspects);
        r->block_count = 0;     /* ask anew */
    }
}

enum rc
fs_pread(struct fs_reader *r, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why)
{
    size_t done = 0, got = 0;
    unsigned failed = 0;
    struct fs_block *b;
    struct why last;
    enum rc rc;

    if (at >= r->bytes)
        n = 0;
    else if (n > r->bytes - at)
        n = (size_t)(r->bytes - at);
    while (done < n) {
        if ((rc = seek(r, at + done, n - done, why)) != RC_OK)
            return rc;
        if ((rc = block_read_next(&r->stream, (uint8_t *)p + done, n - done, &got, &last)) == RC_OK && got > 0) {
            done += got;
            failed = 0;
            if (done < n)
                r->next = at + done;    /* the rest of this call follows on */
            continue;
        }
        if ((rc = locate(r, at + done, &b, why)) != RC_OK)
            return rc;
        blame(r, b, r->stream_at < b->location_count ? r->stream_at : 0, last.rc);
        if (++failed > ROUNDS * (b->location_count + 1))
            return no_replica(r, b, &last, why);
    }
    r->next = at + n;
    *ret_n = n;
    return RC_OK;
}

enum rc
fs_local_block(struct fs_reader *r, uint64_t at, struct fs_local_block *ret, struct why *why)
{
    struct fs_block *b = NULL;
    enum rc rc;

    if (at >= r->bytes)
        return why_set(why, RC_NOT_FOUND, "%s has no byte %llu", r->path, (unsigned long long)at);
    if ((rc = locate(r, at, &b, why)) != RC_OK)
        return rc;
    rc = why_set(why, RC_NOT_FOUND, "no replica of block %llu on this machine", (unsigned long long)b->id);
    for (size_t i = 0; i < b->location_count && rc != RC_OK; i++) {
        if (!local_is_here(r->fs, &b->locations[i]))
            continue;
        if ((rc = local_open(r->fs, b, &b->locations[i], &ret->data_fd, &ret->meta_fd, why)) == RC_OK) {
            ret->offset = b->offset;
            ret->bytes = b->bytes;
        }
    }
    return rc;
}
