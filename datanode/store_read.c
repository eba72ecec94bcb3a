/* Opening replicas for reading, deleting them, setting them aside. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "datanode/store_priv.h"

#define OPEN_TRIES 8

void
dn_source_fini(struct dn_store *s, struct dn_source *src)
{
    if (src->data_fd >= 0)
        io_close(s->w.io, src->data_fd);
    if (src->meta_fd >= 0)
        io_close(s->w.io, src->meta_fd);
    src->data_fd = src->meta_fd = -1;
}

static enum rc
open_source(struct dn_store *s, struct dn_source *src, struct why *why)
{
    const char *pool = s->volumes[src->view.volume].d.pool;
    enum dn_place place = dn_state_place(src->view.state);
    uint8_t head[DN_META_HEAD];
    struct dn_path path;
    size_t n = 0;
    enum rc rc;

    dn_path_data(pool, place, src->view.id, &path);
    if ((rc = io_open(s->w.io, path.p, IO_READ, &src->data_fd, why)) != RC_OK)
        return rc;
    dn_path_meta(pool, place, src->view.id, src->view.stamp, &path);
    if ((rc = io_open(s->w.io, path.p, IO_READ, &src->meta_fd, why)) != RC_OK ||
        (rc = io_pread(s->w.io, src->meta_fd, head, sizeof head, 0, &n, why)) != RC_OK)
        return rc;
    return dn_meta_parse(head, n, &src->meta, why);
}

enum rc
dn_store_read(struct dn_store *s, struct block_id id, struct stamp stamp, struct dn_source *ret, struct why *why)
{
    struct dn_source src = { .data_fd = -1, .meta_fd = -1 };
    enum rc rc = RC_OK;

    /* The files may move between looking the replica up and opening them: look again. */
    for (int i = 0; i < OPEN_TRIES; i++) {
        if ((rc = dn_store_find(s, id, &src.view, why)) != RC_OK)
            return rc;
        if (src.view.stamp.v < stamp.v && !old_bug(OLD_BUG_STALE_REPLICA_SERVED))
            return why_set(why, RC_STALE_STAMP, "Replica gen stamp < block genstamp, block=blk_%" PRId64 "_%" PRIu64
                           ", replica=%s, blk_%" PRId64 "_%" PRIu64, (int64_t)id.v, stamp.v,
                           replica_states[src.view.state].name, (int64_t)id.v, src.view.stamp.v);
        if ((rc = open_source(s, &src, why)) == RC_OK) {
            *ret = src;
            return RC_OK;
        }
        dn_source_fini(s, &src);
        if (rc != RC_SYS_NOT_FOUND && (rc != RC_IO || i > 0))   /* one failure to read may be nothing */
            break;
        thread_yield(s->w.threads);
    }
    if ((rc == RC_SYS_NOT_FOUND || rc == RC_CORRUPT || rc == RC_IO) && dn_store_doubt(s, &src.view, rc))
        log_warn("replica_unreadable", "block=%" PRId64 " reason=\"%s\"", (int64_t)id.v, why->text);
    return rc == RC_SYS_NOT_FOUND ? why_set(why, RC_REPLICA_NOT_FOUND, "Replica not found for blk_%" PRId64,
                                            (int64_t)id.v) : rc;
}

/* The replica that was opened as view, if it is still the same and nobody's. */
static struct dn_replica *
unchanged(struct dn_store *s, const struct dn_view *view)
{
    struct dn_replica *r = dn_replica_find(s, view->id);

    return r != NULL && r->claim == NULL && r->stamp.v == view->stamp.v && r->state == view->state &&
           r->bytes == view->bytes && r->volume == view->volume ? r : NULL;
}

bool
dn_store_doubt(struct dn_store *s, const struct dn_view *view, enum rc rc)
{
    bool unknown = rc == RC_IO, marked = false;
    struct dn_replica *r;

    mutex_lock(s->w.threads, s->mu);
    r = unchanged(s, view);
    if (r != NULL && !r->corrupt && !(unknown && (r->suspect || r->state != RS_FINALIZED))) {
        r->corrupt = !unknown;
        r->suspect = unknown;
        s->has_suspects = s->has_suspects || unknown;
        (void)dn_change_push(s, unknown ? DN_SUSPECT : DN_CORRUPT, r);
        marked = true;
    }
    mutex_unlock(s->w.threads, s->mu);
    return marked;
}

bool
dn_store_confirm(struct dn_store *s, const struct dn_source *src)
{
    struct io_stat data, meta;
    struct dn_replica *r;

    if (src->view.state != RS_FINALIZED || io_fstat(s->w.io, src->data_fd, &data, NULL) != RC_OK ||
        io_fstat(s->w.io, src->meta_fd, &meta, NULL) != RC_OK || data.size != src->view.bytes ||
        meta.size != dn_meta_bytes(src->meta.chunk, src->view.bytes))
        return false;
    mutex_lock(s->w.threads, s->mu);
    r = unchanged(s, &src->view);
    if (r != NULL) {
        if (r->corrupt || r->suspect)
            log_info("replica_good_again", "block=%" PRId64 " stamp=%" PRIu64 " was=%s", (int64_t)r->id, r->stamp.v,
                     r->corrupt ? "corrupt" : "suspect");
        r->corrupt = r->suspect = false;
        (void)dn_change_push(s, DN_RECEIVED, r);
    }
    mutex_unlock(s->w.threads, s->mu);
    return r != NULL;
}

size_t
dn_store_suspects(struct dn_store *s, struct block_id *ret, size_t max)
{
    struct dn_replica *r, *next;
    size_t n = 0;

    mutex_lock(s->w.threads, s->mu);
    if (s->has_suspects) {
        HASH_ITER(hh, s->replicas, r, next)
            if (r->suspect && n < max)
                ret[n++] = (struct block_id){ r->id };
        s->has_suspects = n > 0;
    }
    mutex_unlock(s->w.threads, s->mu);
    return n;
}

/* Move both files out of the way; their names say until when they are kept. */
static enum rc
set_aside(struct dn_store *s, const struct dn_replica *r, uint64_t aside_ms, struct why *why)
{
    uint64_t until = clock_wall_ms(s->w.clock) + aside_ms;
    enum dn_place place = dn_state_place(dn_replica_shown(r));
    const char *pool = s->volumes[r->volume].d.pool;
    struct block_id id = { r->id };
    struct dn_path from, to;
    enum rc rc;

    dn_path_data(pool, place, id, &from);
    (void)snprintf(to.p, sizeof to.p, "%s/aside/%" PRIu64 ".blk_%" PRId64, pool, until, (int64_t)r->id);
    if ((rc = io_rename(s->w.io, from.p, to.p, why)) != RC_OK && rc != RC_SYS_NOT_FOUND)
        return rc;
    dn_path_meta(pool, place, id, r->stamp, &from);
    (void)snprintf(to.p, sizeof to.p, "%s/aside/%" PRIu64 ".blk_%" PRId64 "_%" PRIu64 ".meta", pool, until,
                   (int64_t)r->id, r->stamp.v);
    if ((rc = io_rename(s->w.io, from.p, to.p, why)) != RC_OK && rc != RC_SYS_NOT_FOUND)
        return rc;
    return RC_OK;
}

/* Take r's claim for deleting it; RC_REPLICA_NOT_FOUND when it is gone, RC_STALE_STAMP when it is newer. */
static enum rc
claim_to_delete(struct dn_store *s, struct block_id id, struct stamp stamp, int volume, struct dn_claim *claim,
                struct why *why)
{
    uint64_t deadline_ms = clock_deadline(s->w.clock, s->claim_ms);
    struct dn_replica *r;
    enum rc rc;

    for (;;) {
        r = dn_replica_find(s, id);
        if (r == NULL || (volume >= 0 && r->volume != (unsigned)volume)) {
            if (volume >= 0)
                (void)dn_change_push_at(s, (unsigned)volume, DN_DELETED, id, stamp, 0);
            return why_set(why, RC_REPLICA_NOT_FOUND, "Replica not found for blk_%" PRId64, (int64_t)id.v);
        }
        if (r->stamp.v > stamp.v && !old_bug(OLD_BUG_NEWER_REPLICA_DELETED))
            return why_set(why, RC_STALE_STAMP, "replica blk_%" PRId64 " has generation stamp %" PRIu64
                           ", newer than %" PRIu64, (int64_t)id.v, r->stamp.v, stamp.v);
        if (r->claim == NULL)
            break;
        if ((rc = dn_replica_oust(s, r, deadline_ms, why)) != RC_OK)
            return rc;
    }
    r->claim = claim;
    claim->r = r;
    return RC_OK;
}

enum rc
dn_store_delete(struct dn_store *s, struct block_id id, struct stamp stamp, int volume, uint64_t aside_ms,
                struct why *why)
{
    struct dn_claim claim = { .r = NULL };
    struct dn_replica *r;
    enum rc rc;

    mutex_lock(s->w.threads, s->mu);
    rc = claim_to_delete(s, id, stamp, volume, &claim, why);
    mutex_unlock(s->w.threads, s->mu);
    if (rc != RC_OK)
        return rc;
    r = claim.r;
    if (aside_ms == 0)
        rc = dn_replica_unlink(s, r, why);
    else if ((rc = set_aside(s, r, aside_ms, why)) != RC_OK)
        dn_store_judge(s, r->volume, rc, why);
    mutex_lock(s->w.threads, s->mu);
    if (rc == RC_OK) {
        if (r->state != RS_TEMPORARY)
            (void)dn_change_push(s, DN_DELETED, r);
        dn_replica_remove(s, r);
    } else if (s->volumes[r->volume].failed) {
        dn_replica_remove(s, r);
    } else {
        r->claim = NULL;
    }
    cond_broadcast(s->w.threads, s->claims);
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

struct expiry {
    struct dn_store *s;
    const char *pool;
    uint64_t now_ms;
};

static bool
expire_one(void *arg, const char *name)
{
    struct expiry *e = arg;
    struct dn_path path;
    char *end;
    uint64_t until = strtoull(name, &end, 10);

    if (*end == '.' && until <= e->now_ms) {
        (void)snprintf(path.p, sizeof path.p, "%s/aside/%s", e->pool, name);
        (void)io_unlink(e->s->w.io, path.p, NULL);      /* tried again at the next round */
    }
    return true;
}

void
dn_store_expire(struct dn_store *s)
{
    struct expiry e = { .s = s, .now_ms = clock_wall_ms(s->w.clock) };
    struct dn_path path;

    for (unsigned i = 0; i < s->volume_count; i++) {
        if (s->volumes[i].failed || s->volumes[i].d.pool[0] == '\0')
            continue;
        e.pool = s->volumes[i].d.pool;
        (void)snprintf(path.p, sizeof path.p, "%.*s/aside", DN_PATH_MAX - 8, e.pool);
        (void)io_list(s->w.io, path.p, expire_one, &e, NULL);   /* a damaged volume shows in its own way */
    }
}
