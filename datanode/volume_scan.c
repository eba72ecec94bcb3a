/* What is in a volume at start: pairs of data and meta files, wherever a crash left them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "datanode/sink.h"
#include "datanode/volume.h"

enum { NOWHERE = 0, FINALIZED_DIR = 1, RBW_DIR = 2 };      /* bits */

/* The files of one block id, as far as they have been met. */
struct pair {
    uint64_t id;
    unsigned data, meta;        /* where; a crash inside a rename may leave both names */
    struct stamp stamp;
    UT_hash_handle hh;
};

struct scan {
    struct io *io;
    const struct dn_volume_dir *v;
    dn_found_fn *fn;
    void *arg;
    struct pair *pairs;
    unsigned where;             /* being listed */
    enum rc rc;
};

static bool
on_name(void *arg, const char *name)
{
    struct scan *s = arg;
    struct block_id id;
    struct stamp stamp = { 0 };
    bool is_data = dn_name_is_data(name, &id);
    struct pair *p;

    if (!is_data && !dn_name_is_meta(name, &id, &stamp))
        return true;
    HASH_FIND(hh, s->pairs, &id.v, sizeof id.v, p);
    if (p == NULL) {
        if ((p = mem_zalloc(sizeof *p)) == NULL) {
            s->rc = RC_NOMEM;
            return false;
        }
        p->id = id.v;
        HASH_ADD(hh, s->pairs, id, sizeof p->id, p);
    }
    if (is_data) {
        p->data |= s->where;
    } else if (p->meta == NOWHERE || stamp.v > p->stamp.v) {
        p->meta = s->where;
        p->stamp = stamp;
    } else if (stamp.v == p->stamp.v) {
        p->meta |= s->where;
    }
    return true;
}

static void
forget(struct scan *s, struct pair *p)
{
    HASH_DEL(s->pairs, p);
    mem_free(p);
}

/* A finalized replica is taken at its sizes: reading all of it is the scanner's work. */
static enum rc
finalized(struct scan *s, const struct pair *p, struct why *why)
{
    struct dn_view found = { .id = { p->id }, .stamp = p->stamp, .state = RS_FINALIZED };
    struct io_stat data, meta;
    struct dn_path path;
    struct dn_meta head;
    uint8_t raw[DN_META_HEAD];
    size_t n = 0;
    int fd = -1;
    enum rc rc;

    dn_path_data(s->v->pool, DN_IN_FINALIZED, found.id, &path);
    if ((rc = io_stat(s->io, path.p, &data, why)) != RC_OK)
        return rc;
    dn_path_meta(s->v->pool, DN_IN_FINALIZED, found.id, found.stamp, &path);
    if ((rc = io_stat(s->io, path.p, &meta, why)) != RC_OK)
        return rc;
    found.bytes = found.visible = data.size;
    if (meta.size != dn_meta_bytes(512, data.size)) {       /* another chunk size, or damage */
        if ((rc = io_open(s->io, path.p, IO_READ, &fd, why)) != RC_OK)
            return rc;
        rc = io_pread(s->io, fd, raw, sizeof raw, 0, &n, why);
        io_close(s->io, fd);
        if (rc != RC_OK)
            return rc;
        found.corrupt = dn_meta_parse(raw, n, &head, why) != RC_OK || meta.size != dn_meta_bytes(head.chunk, data.size);
    }
    return s->fn(s->arg, &found, why);
}

/* Bring a file to rbw/ from where it is; one that has both names loses the other. */
static enum rc
to_rbw(struct scan *s, unsigned where, const struct dn_path *from, const struct dn_path *to, struct why *why)
{
    if (!(where & FINALIZED_DIR))
        return RC_OK;
    return where & RBW_DIR ? io_unlink(s->io, from->p, why) : io_rename(s->io, from->p, to->p, why);
}

/* A replica that was being written, or moved between the two directories: keep what agrees with its checksums. */
static enum rc
unfinished(struct scan *s, const struct pair *p, struct why *why)
{
    struct dn_view found = { .id = { p->id }, .stamp = p->stamp, .state = RS_RWR };
    struct dn_path data, meta, from;
    struct dn_meta head;
    int data_fd = -1, meta_fd = -1;
    enum rc rc;

    dn_path_data(s->v->pool, DN_IN_RBW, found.id, &data);
    dn_path_meta(s->v->pool, DN_IN_RBW, found.id, found.stamp, &meta);
    dn_path_data(s->v->pool, DN_IN_FINALIZED, found.id, &from);
    if ((rc = to_rbw(s, p->data, &from, &data, why)) != RC_OK)
        goto out;
    dn_path_meta(s->v->pool, DN_IN_FINALIZED, found.id, found.stamp, &from);
    if ((rc = to_rbw(s, p->meta, &from, &meta, why)) != RC_OK ||
        (rc = io_open(s->io, data.p, IO_READ | IO_WRITE, &data_fd, why)) != RC_OK ||
        (rc = io_open(s->io, meta.p, IO_READ | IO_WRITE, &meta_fd, why)) != RC_OK)
        goto out;
    /* What the cache holds may never have reached the disk: a failed sync before the restart leaves it so. */
    io_drop_cache(s->io, data_fd);
    io_drop_cache(s->io, meta_fd);
    if ((rc = dn_verify_prefix(s->io, data_fd, meta_fd, &found.bytes, &head, why)) == RC_CORRUPT) {
        found.corrupt = true;
        rc = RC_OK;
    } else if (rc != RC_OK || (rc = io_truncate(s->io, data_fd, found.bytes, why)) != RC_OK ||
               (rc = io_truncate(s->io, meta_fd, dn_meta_bytes(head.chunk, found.bytes), why)) != RC_OK) {
        goto out;
    }
    found.visible = found.bytes;
    log_info("replica_kept", "block=%" PRId64 " stamp=%" PRIu64 " bytes=%" PRIu64 " corrupt=%d", (int64_t)p->id,
             found.stamp.v, found.bytes, found.corrupt);
    rc = s->fn(s->arg, &found, why);
out:
    if (data_fd >= 0)
        io_close(s->io, data_fd);
    if (meta_fd >= 0)
        io_close(s->io, meta_fd);
    return rc;
}

/* One of the pair is missing, or the replica stands in finalized/ already: rbw/ is not the place for what is left. */
static enum rc
leftover(struct scan *s, const struct pair *p, struct why *why)
{
    struct dn_view found = { .id = { p->id }, .state = RS_FINALIZED, .corrupt = true };
    struct dn_path path;
    enum rc rc;

    if (p->data & FINALIZED_DIR) {
        log_warn("replica_without_meta", "block=%" PRId64 " volume=%s", (int64_t)p->id, s->v->dir);
        return s->fn(s->arg, &found, why);
    }
    if (p->data & RBW_DIR) {
        dn_path_data(s->v->pool, DN_IN_RBW, found.id, &path);
        if ((rc = io_unlink(s->io, path.p, why)) != RC_OK)
            return rc;
    }
    if (p->meta & RBW_DIR) {
        dn_path_meta(s->v->pool, DN_IN_RBW, found.id, p->stamp, &path);
        if ((rc = io_unlink(s->io, path.p, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc
list(struct scan *s, const char *path, struct why *why)
{
    enum rc rc = io_list(s->io, path, on_name, s, why);

    if (rc == RC_SYS_NOT_FOUND || old_bug(OLD_BUG_EIO_IS_MISSING))
        return RC_OK;
    return rc == RC_OK && s->rc != RC_OK ? why_rc(why, s->rc) : rc;
}

/* Is there a directory above the leaves?  A volume with few blocks has one of the 32. */
static enum rc
has_branch(struct scan *s, uint64_t leaf, bool *ret_has, struct why *why)
{
    struct dn_path path;
    struct io_stat st;
    enum rc rc;

    dn_path_dir(s->v->pool, DN_IN_FINALIZED, (struct block_id){ (leaf / 32) << 16 }, &path);
    *strrchr(path.p, '/') = '\0';
    rc = io_stat(s->io, path.p, &st, why);
    *ret_has = rc == RC_OK;
    return rc == RC_SYS_NOT_FOUND ? RC_OK : rc;
}

static enum rc
scan_finalized(struct scan *s, struct why *why)
{
    struct pair *p, *next;
    struct dn_path path;
    bool has = false;
    enum rc rc;

    s->where = FINALIZED_DIR;
    for (uint64_t leaf = 0; leaf < 32 * 32; leaf++) {
        if (leaf % 32 == 0 && (rc = has_branch(s, leaf, &has, why)) != RC_OK)
            return rc;
        if (!has)
            continue;
        dn_path_dir(s->v->pool, DN_IN_FINALIZED, (struct block_id){ (leaf / 32) << 16 | (leaf % 32) << 8 }, &path);
        if ((rc = list(s, path.p, why)) != RC_OK)
            return rc;
        HASH_ITER(hh, s->pairs, p, next) {
            if (!p->data || !p->meta)
                continue;
            if ((rc = finalized(s, p, why)) != RC_OK)
                return rc;
            forget(s, p);
        }
    }
    return RC_OK;
}

static enum rc
scan_rbw(struct scan *s, struct why *why)
{
    struct pair *p, *next;
    struct dn_path path;
    struct io_stat st;
    enum rc rc;

    s->where = RBW_DIR;
    dn_path_dir(s->v->pool, DN_IN_RBW, (struct block_id){ 0 }, &path);
    if ((rc = list(s, path.p, why)) != RC_OK)
        return rc;
    HASH_ITER(hh, s->pairs, p, next) {
        bool stands = false;

        if (!((p->data | p->meta) & FINALIZED_DIR)) {       /* a whole pair there has been dealt with */
            dn_path_data(s->v->pool, DN_IN_FINALIZED, (struct block_id){ p->id }, &path);
            if ((rc = io_stat(s->io, path.p, &st, why)) != RC_OK && rc != RC_SYS_NOT_FOUND)
                return rc;
            stands = rc == RC_OK;
        }
        if (!stands && p->data != NOWHERE && p->meta != NOWHERE)
            rc = unfinished(s, p, why);
        else
            rc = leftover(s, p, why);
        if (rc != RC_OK)
            return rc;
        forget(s, p);
    }
    return RC_OK;
}

enum rc
dn_volume_scan(struct io *io, const struct dn_volume_dir *v, dn_found_fn *fn, void *arg, struct why *why)
{
    struct scan s = { .io = io, .v = v, .fn = fn, .arg = arg };
    struct pair *p, *next;
    enum rc rc;

    if ((rc = scan_finalized(&s, why)) == RC_OK)
        rc = scan_rbw(&s, why);
    HASH_ITER(hh, s.pairs, p, next)
        forget(&s, p);
    return rc;
}
