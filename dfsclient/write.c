/* Writing a file: bytes into packets, packets into blocks, blocks into a file that is closed. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/base/faults.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "dfsclient/located.h"
#include "dfsclient/pipeline.h"

#define COMPLETE_TRIES 12
#define PACKET_MAX (8 * MB)

struct fs_writer {
    struct fs_writer *prev, *next;      /* in fs->writers */
    struct fs *fs;
    char *path;
    struct pipeline pl;
    struct packet *current;     /* being filled; NULL between packets */
    uint64_t in_block;          /* bytes of the block so far, current's included */
    int64_t seqno;              /* of the next packet */
    bool has_last;              /* pl.block is a block of the file */
    bool entered;               /* the lease thread knows us */
    enum rc broken;             /* not RC_OK: nothing more can be written */
    struct why broken_why;
};

struct fs_writer *
fs_writer_next(const struct fs_writer *wr)
{
    return wr->next;
}

void
fs_writer_link(struct fs_writer **list, struct fs_writer *wr)
{
    DL_APPEND(*list, wr);
}

void
fs_writer_unlink(struct fs_writer **list, struct fs_writer *wr)
{
    DL_DELETE(*list, wr);
}

void
fs_writer_heartbeat(struct fs_writer *wr, uint64_t idle_ms)
{
    pipeline_heartbeat(&wr->pl, idle_ms);
}

static void
free_writer(struct fs_writer *wr)
{
    if (wr->entered)
        fs_lease_leave(wr->fs, wr);
    pipeline_fini(&wr->pl);
    mem_free(wr->current);
    mem_free(wr->path);
    mem_free(wr);
}

static enum rc
new_writer(struct fs *fs, const char *path, struct fs_writer **ret, struct why *why)
{
    struct fs_writer *wr = mem_zalloc(sizeof *wr);
    uint32_t chunk = (uint32_t)fs->conf.bytes_per_checksum;
    enum rc rc;

    if (wr == NULL)
        return why_rc(why, RC_NOMEM);
    wr->fs = fs;
    if ((wr->path = mem_strdup(path)) == NULL)
        rc = why_rc(why, RC_NOMEM);
    else
        rc = pipeline_init(&wr->pl, fs, wr->path, why);
    if (rc != RC_OK) {
        free_writer(wr);
        return rc;
    }
    wr->pl.chunk = chunk;
    wr->pl.data_max = fs->conf.packet_bytes < PACKET_MAX ? fs->conf.packet_bytes : PACKET_MAX;
    wr->pl.data_max = wr->pl.data_max < chunk ? chunk : wr->pl.data_max - wr->pl.data_max % chunk;
    *ret = wr;
    return RC_OK;
}

enum rc
fs_umask(const struct conf *conf, uint32_t *ret, struct why *why)
{
    char *end;
    unsigned long umask = strtoul(conf->umask, &end, 8);

    if (end == conf->umask || *end != '\0' || umask > 0777)
        return why_set(why, RC_BAD_CONFIG, "fs.permissions.umask-mode: \"%s\" is not octal", conf->umask);
    *ret = (uint32_t)umask;
    return RC_OK;
}

static enum rc
file_mode(struct fs *fs, uint32_t asked, uint32_t *ret, struct why *why)
{
    uint32_t umask;
    enum rc rc;

    if ((rc = fs_umask(&fs->conf, &umask, why)) == RC_OK)
        *ret = asked != 0 ? asked & 07777 : 0666 & ~umask;
    return rc;
}

static enum rc
create(struct fs_writer *wr, const struct fs_create_options *o, struct why *why)
{
    CreateRequestProto req = CREATE_REQUEST_PROTO__INIT;
    FsPermissionProto masked = FS_PERMISSION_PROTO__INIT;
    struct fs *fs = wr->fs;
    const void *reply = NULL;
    const HdfsFileStatusProto *st;
    struct arena a;
    enum rc rc;

    arena_init(&a, MB);
    if ((rc = file_mode(fs, o->mode, &masked.perm, why)) != RC_OK)
        goto out;
    req.src = fs_bin(wr->path);
    req.masked = &masked;
    req.clientname = fs_bin(fs->client_name);
    req.createflag = o->overwrite ? 3 : 1;      /* CREATE, OVERWRITE */
    req.createparent = !o->no_parents;
    req.replication = o->replication != 0 ? o->replication : (uint32_t)fs->conf.replication;
    req.blocksize = o->block_bytes != 0 ? o->block_bytes : fs->conf.block_bytes;
    if (req.blocksize % wr->pl.chunk != 0) {
        rc = why_set(why, RC_ILLEGAL_ARGUMENT, "Invalid values: dfs.bytes-per-checksum (=%u) must divide block size (=%llu).",
                     wr->pl.chunk, (unsigned long long)req.blocksize);
        goto out;
    }
    if ((rc = fs_call(fs, ROW_create, &req.base, &a, &reply, why)) != RC_OK)
        goto out;
    if ((st = ((const CreateResponseProto *)reply)->fs) == NULL) {
        rc = why_set(why, RC_BAD_MESSAGE, "the NameNode's answer to create has no file status");
        goto out;
    }
    wr->pl.file_id = st->fileid;
    wr->pl.replication = req.replication;
    wr->pl.block_bytes = req.blocksize;
out:
    arena_fini(&a);
    return rc;
}

enum rc
fs_create(struct fs *fs, const char *path, const struct fs_create_options *o, struct fs_writer **ret, struct why *why)
{
    static const struct fs_create_options defaults = { .replication = 0 };
    struct fs_writer *wr = NULL;
    enum rc rc;

    if ((rc = new_writer(fs, path, &wr, why)) != RC_OK)
        return rc;
    if ((rc = create(wr, o != NULL ? o : &defaults, why)) != RC_OK || (rc = fs_lease_enter(fs, wr, why)) != RC_OK) {
        free_writer(wr);
        return rc;
    }
    wr->entered = true;
    *ret = wr;
    return RC_OK;
}

enum rc
fs_append(struct fs *fs, const char *path, bool new_block, struct fs_writer **ret, struct why *why)
{
    AppendRequestProto req = APPEND_REQUEST_PROTO__INIT;
    const AppendResponseProto *r;
    struct fs_writer *wr = NULL;
    const void *reply = NULL;
    struct fs_block last;
    struct arena a;
    enum rc rc;

    arena_init(&a, 4 * MB);
    if ((rc = new_writer(fs, path, &wr, why)) != RC_OK)
        goto out;
    req.src = fs_bin(path);
    req.clientname = fs_bin(fs->client_name);
    req.has_flag = true;
    req.flag = new_block ? 0x24 : 4;    /* APPEND, NEW_BLOCK */
    if ((rc = fs_call(fs, ROW_append, &req.base, &a, &reply, why)) != RC_OK)
        goto out;
    r = reply;
    if (r->stat == NULL) {
        rc = why_set(why, RC_BAD_MESSAGE, "the NameNode's answer to append has no file status");
        goto out;
    }
    wr->pl.file_id = r->stat->fileid;
    wr->pl.replication = r->stat->block_replication;
    wr->pl.block_bytes = r->stat->blocksize;
    if ((rc = fs_lease_enter(fs, wr, why)) != RC_OK)
        goto out;
    wr->entered = true;
    if (r->block != NULL) {
        if ((rc = fs_take_block(r->block, &a, &last, why)) != RC_OK ||
            (rc = new_block ? pipeline_follow(&wr->pl, &last, why) : pipeline_open_append(&wr->pl, &last, why)) != RC_OK)
            goto out;
        wr->has_last = true;
        wr->in_block = new_block ? 0 : last.bytes;
    }
    *ret = wr;
    wr = NULL;
out:
    if (wr != NULL)
        free_writer(wr);
    arena_fini(&a);
    return rc;
}

static enum rc
break_off(struct fs_writer *wr, enum rc rc, struct why *why)
{
    wr->broken = rc;
    wr->broken_why.rc = rc;
    if (why != NULL)
        wr->broken_why = *why;
    return rc;
}

static enum rc
say_broken(const struct fs_writer *wr, struct why *why)
{
    if (why != NULL)
        *why = wr->broken_why;
    return wr->broken;
}

/* Bytes that a packet that begins at offset may hold: up to the end of a chunk begun, of the block, of the packet. */
static size_t
packet_capacity(const struct fs_writer *wr, uint64_t offset)
{
    uint64_t left = wr->pl.block_bytes - offset;
    size_t cap = wr->pl.data_max;

    if (offset % wr->pl.chunk != 0)
        cap = wr->pl.chunk - (size_t)(offset % wr->pl.chunk);
    return left < cap ? (size_t)left : cap;
}

static uint8_t *
packet_data(const struct fs_writer *wr, struct packet *p)
{
    return p->room + (wr->pl.data_max / wr->pl.chunk + 2) * 4;
}

static enum rc
send_current(struct fs_writer *wr, bool sync, struct why *why)
{
    struct packet *p = wr->current;
    size_t chunks = (p->head.data_n + wr->pl.chunk - 1) / wr->pl.chunk;
    uint8_t *data = packet_data(wr, p);

    wr->current = NULL;
    p->head.seqno = wr->seqno++;
    p->head.sync = sync && !old_bug(OLD_BUG_HSYNC_NOT_ASKED);
    p->head.sums_n = (uint32_t)chunks * 4;
    p->body = data - p->head.sums_n;
    crc_chunks(CRC_CRC32C, data, p->head.data_n, wr->pl.chunk, p->body);
    return pipeline_send(&wr->pl, p, why);
}

static enum rc
end_block(struct fs_writer *wr, struct why *why)
{
    enum rc rc;

    /* The last packet, which follows, puts all of the block on disk. */
    if (wr->current != NULL && (rc = send_current(wr, false, why)) != RC_OK)
        return rc;
    if ((rc = pipeline_close(&wr->pl, wr->seqno++, why)) != RC_OK)
        return rc;
    wr->in_block = 0;
    return RC_OK;
}

static enum rc
begin_packet(struct fs_writer *wr, struct why *why)
{
    enum rc rc;

    if (wr->pl.open && wr->in_block == wr->pl.block_bytes && (rc = end_block(wr, why)) != RC_OK)
        return rc;
    if (!wr->pl.open) {
        if ((rc = pipeline_open(&wr->pl, wr->has_last ? &wr->pl.block : NULL, why)) != RC_OK)
            return rc;
        wr->has_last = true;
        wr->in_block = 0;
    }
    if ((rc = pipeline_packet(&wr->pl, &wr->current, why)) == RC_OK)
        wr->current->head.offset = wr->in_block;
    return rc;
}

enum rc
fs_write(struct fs_writer *wr, const void *p, size_t n, struct why *why)
{
    const uint8_t *from = p;
    enum rc rc;

    if (wr->broken != RC_OK)
        return say_broken(wr, why);
    while (n > 0) {
        /* A full packet waits for the byte after it, so that a sync can still ride on it. */
        if (wr->current != NULL && wr->current->head.data_n == packet_capacity(wr, wr->current->head.offset) &&
            (rc = send_current(wr, false, why)) != RC_OK)
            return break_off(wr, rc, why);
        if (wr->current == NULL && (rc = begin_packet(wr, why)) != RC_OK)
            return break_off(wr, rc, why);
        struct packet *c = wr->current;
        size_t room = packet_capacity(wr, c->head.offset) - c->head.data_n;
        size_t take = n < room ? n : room;
        memcpy(packet_data(wr, c) + c->head.data_n, from, take);
        c->head.data_n += (uint32_t)take;
        wr->in_block += take;
        from += take;
        n -= take;
    }
    return RC_OK;
}

/* The length of the block as it is now, so that the file's status shows it. */
static enum rc
tell_length(struct fs_writer *wr, struct why *why)
{
    FsyncRequestProto req = FSYNC_REQUEST_PROTO__INIT;
    struct arena a;
    enum rc rc;

    arena_init(&a, 64 * KB);
    req.src = fs_bin(wr->path);
    req.client = fs_bin(wr->fs->client_name);
    req.has_lastblocklength = true;
    req.lastblocklength = (int64_t)wr->pl.bytes_acked;
    req.has_fileid = true;
    req.fileid = wr->pl.file_id;
    rc = fs_call_patient(wr->fs, ROW_fsync, &req.base, &a, NULL, why);
    arena_fini(&a);
    return rc;
}

enum rc
fs_flush(struct fs_writer *wr, bool sync, struct why *why)
{
    bool had = wr->current != NULL;
    enum rc rc;

    if (wr->broken != RC_OK)
        return say_broken(wr, why);
    if (!wr->pl.open)
        return RC_OK;           /* blocks that are closed are on disk */
    if (had) {
        rc = send_current(wr, sync, why);
    } else if (sync && wr->in_block > 0) {
        /* All was sent before: an empty packet carries the order. */
        if ((rc = pipeline_packet(&wr->pl, &wr->current, why)) == RC_OK) {
            wr->current->head.offset = wr->in_block;
            rc = send_current(wr, true, why);
        }
    } else {
        rc = RC_OK;
    }
    if (rc == RC_OK)
        rc = pipeline_drain(&wr->pl, why);
    if (rc == RC_OK && (sync || !wr->pl.flushed))
        rc = tell_length(wr, why);
    wr->pl.flushed = true;
    return rc == RC_OK ? RC_OK : break_off(wr, rc, why);
}

static enum rc
complete(struct fs_writer *wr, struct why *why)
{
    CompleteRequestProto req = COMPLETE_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    struct arena a;
    enum rc rc = RC_OK;

    arena_init(&a, 4 * MB);
    req.src = fs_bin(wr->path);
    req.clientname = fs_bin(wr->fs->client_name);
    req.has_fileid = true;
    req.fileid = wr->pl.file_id;
    if (wr->has_last && (req.last = fs_put_block(&a, &wr->pl.block, wr->pl.block.bytes)) == NULL)
        rc = why_rc(why, RC_NOMEM);
    for (unsigned n = 0; rc == RC_OK; n++) {
        if ((rc = fs_call_patient(wr->fs, ROW_complete, &req.base, &a, &reply, why)) != RC_OK ||
            ((const CompleteResponseProto *)reply)->result)
            break;
        if (n == COMPLETE_TRIES)
            rc = why_set(why, RC_IO_EXCEPTION, "Unable to close file because the last block %s:blk_%llu_%llu does not have "
                         "enough number of replicas.", wr->pl.block.pool, (unsigned long long)wr->pl.block.id,
                         (unsigned long long)wr->pl.block.stamp);
        else
            fs_sleep_ms(wr->fs, fs_backoff_ms(wr->fs, n, 20, 5000));
    }
    arena_fini(&a);
    return rc;
}

enum rc
fs_close_write(struct fs_writer *wr, struct why *why)
{
    enum rc rc = wr->broken != RC_OK ? say_broken(wr, why) : RC_OK;

    if (rc == RC_OK && wr->pl.open)
        rc = end_block(wr, why);
    if (rc == RC_OK)
        rc = complete(wr, why);
    free_writer(wr);
    return rc;
}

void
fs_abandon_write(struct fs_writer *wr)
{
    if (wr != NULL)
        free_writer(wr);
}
