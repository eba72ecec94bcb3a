#include "datanode/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "datanode/store_priv.h"

/* --- Start. */

static enum rc
on_found(void *arg, const struct dn_view *found, struct why *why)
{
    struct dn_store *s = arg;
    struct dn_replica *r = dn_replica_find(s, found->id);

    /* The same block on two volumes: the better one counts, the other stays where it is, unused. */
    if (r != NULL) {
        log_warn("replica_twice", "block=%" PRId64 " volumes=%s,%s", (int64_t)found->id.v,
                 s->volumes[r->volume].d.dir, s->volumes[found->volume].d.dir);
        if (r->stamp.v > found->stamp.v || (r->stamp.v == found->stamp.v && r->state == RS_FINALIZED && !r->corrupt))
            return RC_OK;
        dn_replica_remove(s, r);
    }
    return dn_replica_add(s, found) == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
}

struct on_volume {
    struct dn_store *s;
    unsigned volume;
};

static enum rc
on_found_here(void *arg, const struct dn_view *found, struct why *why)
{
    struct on_volume *o = arg;
    struct dn_view v = *found;

    v.volume = o->volume;
    return on_found(o->s, &v, why);
}

/* A volume that cannot be used counts as failed; too many and the DataNode does not start. */
static enum rc
volume_lost(struct dn_store *s, unsigned volume, enum rc rc, const struct why *why, struct why *out)
{
    struct dn_volume *v = &s->volumes[volume];

    v->failed = true;
    s->failed_count++;
    if (s->failed_count > s->failed_max || s->failed_count == s->volume_count) {
        s->dead = true;         /* also when this came late, from the NameNode's first answer */
        return why_set(out, rc, "volume %s: %s", v->d.dir, why->text);
    }
    log_error("volume_failed", "volume=%s reason=\"%s\"", v->d.dir, why->text);
    return RC_OK;
}

static enum rc
join_volume(struct dn_store *s, unsigned i, struct why *why)
{
    struct on_volume o = { s, i };
    char uuid[37], storage[64];
    enum rc rc;

    rng_uuid(s->w.rng, uuid);
    (void)snprintf(storage, sizeof storage, "DS-%s", uuid);
    if ((rc = dn_volume_join(s->w.io, &s->volumes[i].d, &s->id, storage, why)) != RC_OK)
        return rc;
    return dn_volume_scan(s->w.io, &s->volumes[i].d, on_found_here, &o, why);
}

static enum rc
join_all(struct dn_store *s, struct why *why)
{
    struct why bad;
    enum rc rc;

    for (unsigned i = 0; i < s->volume_count; i++)
        if (!s->volumes[i].failed && (rc = join_volume(s, i, &bad)) != RC_OK &&
            (rc = volume_lost(s, i, rc, &bad, why)) != RC_OK)
            return rc;
    s->joined = true;
    log_info("store_ready", "pool=%s replicas=%u volumes=%u failed=%u", s->id.pool_id, HASH_COUNT(s->replicas),
             s->volume_count, s->failed_count);
    return RC_OK;
}

static enum rc
open_all(struct dn_store *s, char *const *dirs, struct why *why)
{
    uint64_t base = clock_wall_ms(s->w.clock) * 1000;   /* above every number of an earlier run */
    struct why bad;
    enum rc rc;

    for (; dirs[s->volume_count] != NULL; s->volume_count++) {
        struct dn_volume *v = &s->volumes[s->volume_count];

        v->d.lock_fd = -1;
        v->seq = v->sent = base;
        (void)snprintf(v->d.dir, sizeof v->d.dir, "%.*s", DN_DIR_MAX, dirs[s->volume_count]);
    }
    for (unsigned i = 0; i < s->volume_count; i++) {
        struct dn_volume *v = &s->volumes[i];

        if ((rc = dn_volume_open(s->w.io, dirs[i], &v->d, &s->id, &bad)) == RC_OK)
            rc = dn_seen_read(s->w.io, &v->d, &s->seen, &bad);
        if (rc == RC_WRONG_CLUSTER || rc == RC_BAD_FORMAT || rc == RC_BAD_CONFIG || rc == RC_BUSY)
            return why_set(why, rc, "%s", bad.text);    /* not the disk's fault: a person has to look */
        if (rc != RC_OK && (rc = volume_lost(s, i, rc, &bad, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc
dn_store_open(const struct world *w, const struct dn_store_options *o, struct dn_store **ret, struct why *why)
{
    struct dn_store *s = mem_zalloc(sizeof *s);
    size_t n = 0;
    enum rc rc = RC_NOMEM;

    while (o->dirs[n] != NULL)
        n++;
    if (n == 0 || n > DN_VOLUMES_MAX) {
        mem_free(s);
        return why_set(why, RC_BAD_CONFIG, "%zu data directories; 1 to %d are allowed", n, DN_VOLUMES_MAX);
    }
    (void)why_rc(why, rc);
    if (s == NULL)
        goto out;
    s->w = *w;
    s->reserved = o->reserved;
    s->failed_max = o->failed_max;
    s->claim_ms = o->claim_ms;
    if ((s->volumes = mem_calloc(n, sizeof *s->volumes)) == NULL || (s->mu = mutex_new(w->threads)) == NULL ||
        (s->claims = cond_new(w->threads)) == NULL || (s->visible = cond_new(w->threads)) == NULL ||
        (s->changes = cond_new(w->threads)) == NULL || (s->sent = cond_new(w->threads)) == NULL)
        goto out;
    if ((rc = open_all(s, o->dirs, why)) != RC_OK)
        goto out;
    if (s->id.node_uuid[0] == '\0' && s->failed_count > 0) {
        /* A new name would stay on the others and contradict the old one as soon as the failed volume is back. */
        rc = why_set(why, RC_IO, "a volume has failed, and no other one says who this DataNode is");
        goto out;
    }
    if (s->id.node_uuid[0] == '\0')
        rng_uuid(w->rng, s->id.node_uuid);
    if (s->id.pool_id[0] != '\0' && (rc = join_all(s, why)) != RC_OK)
        goto out;
    *ret = s;
    s = NULL;
out:
    dn_store_free(s);
    return rc;
}

void
dn_store_free(struct dn_store *s)
{
    struct dn_replica *r, *next;

    if (s == NULL)
        return;
    HASH_ITER(hh, s->replicas, r, next) {
        HASH_DEL(s->replicas, r);
        mem_free(r);
    }
    for (unsigned i = 0; i < s->volume_count; i++) {
        dn_volume_close(s->w.io, &s->volumes[i].d);
        mem_free(s->volumes[i].unsent);
    }
    mem_free(s->volumes);
    if (s->mu != NULL)
        mutex_free(s->w.threads, s->mu);
    if (s->claims != NULL)
        cond_free(s->w.threads, s->claims);
    if (s->visible != NULL)
        cond_free(s->w.threads, s->visible);
    if (s->changes != NULL)
        cond_free(s->w.threads, s->changes);
    if (s->sent != NULL)
        cond_free(s->w.threads, s->sent);
    mem_free(s);
}

void
dn_store_stop(struct dn_store *s)
{
    struct dn_replica *r, *next;

    mutex_lock(s->w.threads, s->mu);
    s->stop = true;
    HASH_ITER(hh, s->replicas, r, next)
        for (unsigned i = 0; r->claim != NULL && i < 2; i++)
            if (r->claim->conns[i] != NULL)
                dtp_conn_shutdown(r->claim->conns[i]);
    cond_broadcast(s->w.threads, s->claims);
    cond_broadcast(s->w.threads, s->visible);
    cond_broadcast(s->w.threads, s->changes);
    cond_broadcast(s->w.threads, s->sent);
    mutex_unlock(s->w.threads, s->mu);
}

static bool
differs(const char *have, const char *other)
{
    return have[0] != '\0' && strcmp(have, other) != 0;
}

enum rc
dn_store_join(struct dn_store *s, const struct dn_identity *id, struct why *why)
{
    enum rc rc = RC_OK;

    mutex_lock(s->w.threads, s->mu);
    if (differs(s->id.cluster_id, id->cluster_id) || differs(s->id.pool_id, id->pool_id)) {
        rc = why_set(why, RC_WRONG_CLUSTER, "storage is of cluster %s, pool %s; the NameNode is of cluster %s, pool %s",
                     s->id.cluster_id, s->id.pool_id, id->cluster_id, id->pool_id);
        goto out;
    }
    if (s->joined)
        goto out;
    if (strncmp(id->pool_id, "BP-", 3) != 0 || strchr(id->pool_id, '/') != NULL || id->cluster_id[0] == '\0') {
        rc = why_set(why, RC_BAD_MESSAGE, "the NameNode names no usable block pool: %s", id->pool_id);
        goto out;
    }
    (void)snprintf(s->id.cluster_id, sizeof s->id.cluster_id, "%s", id->cluster_id);
    (void)snprintf(s->id.pool_id, sizeof s->id.pool_id, "%s", id->pool_id);
    s->id.namespace_id = id->namespace_id;
    s->id.created_ms = id->created_ms;
    rc = join_all(s, why);
out:
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

void
dn_store_identity(struct dn_store *s, struct dn_identity *ret)
{
    mutex_lock(s->w.threads, s->mu);
    *ret = s->id;
    mutex_unlock(s->w.threads, s->mu);
}

enum rc
dn_store_check_pool(struct dn_store *s, const void *pool, size_t n, struct why *why)
{
    enum rc rc = RC_OK;

    mutex_lock(s->w.threads, s->mu);
    if (!s->joined || strlen(s->id.pool_id) != n || memcmp(s->id.pool_id, pool, n) != 0)
        rc = why_set(why, RC_WRONG_CLUSTER, "block pool is not served here");
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

/* --- Volumes. */

uint64_t
dn_volume_room(struct dn_store *s, unsigned volume, uint64_t *ret_capacity)
{
    struct dn_volume *v = &s->volumes[volume];
    uint64_t taken = s->reserved + v->promised;
    struct io_space space;

    *ret_capacity = 0;
    if (v->failed || s->w.io->ops->space(s->w.io, v->d.dir, &space, NULL) != RC_OK)
        return 0;
    *ret_capacity = space.capacity > s->reserved ? space.capacity - s->reserved : 0;
    return space.available > taken ? space.available - taken : 0;
}

unsigned
dn_store_volume_count(struct dn_store *s)
{
    return s->volume_count;
}

const char *
dn_store_volume_dir(struct dn_store *s, unsigned volume)
{
    return s->volumes[volume].d.dir;
}

int
dn_store_volume_find(struct dn_store *s, const char *uuid)
{
    for (unsigned i = 0; i < s->volume_count; i++)
        if (strcmp(s->volumes[i].d.uuid, uuid) == 0)
            return (int)i;
    return -1;
}

void
dn_store_volume_stat(struct dn_store *s, unsigned volume, struct dn_volume_stat *ret)
{
    struct dn_volume *v = &s->volumes[volume];

    mutex_lock(s->w.threads, s->mu);
    (void)snprintf(ret->uuid, sizeof ret->uuid, "%s", v->d.uuid);
    ret->remaining = dn_volume_room(s, volume, &ret->capacity);
    ret->used = v->used;
    ret->seq = v->seq;
    ret->failed = v->failed;
    mutex_unlock(s->w.threads, s->mu);
}

bool
dn_store_has_failed(struct dn_store *s)
{
    bool dead;

    mutex_lock(s->w.threads, s->mu);
    dead = s->dead;
    mutex_unlock(s->w.threads, s->mu);
    return dead;
}

void
dn_store_fence(struct dn_store *s, unsigned volume, const char *reason)
{
    struct dn_volume *v = &s->volumes[volume];
    struct dn_replica *r, *next;
    unsigned lost = 0;

    if (v->failed)
        return;
    v->failed = true;
    s->failed_count++;
    HASH_ITER(hh, s->replicas, r, next) {
        if (r->volume != volume)
            continue;
        lost++;
        if (r->claim != NULL)
            r->claim->stop = true;      /* its holder removes it */
        else
            dn_replica_remove(s, r);
    }
    if (s->failed_count > s->failed_max || s->failed_count == s->volume_count)
        s->dead = true;
    log_error("volume_failed", "volume=%s replicas=%u reason=\"%s\" go_on=%d", v->d.dir, lost, reason, !s->dead);
    cond_broadcast(s->w.threads, s->changes);
}

void
dn_store_judge(struct dn_store *s, unsigned volume, enum rc rc, const struct why *why)
{
    if (rc != RC_IO || old_bug(OLD_BUG_VOLUME_NOT_FENCED))
        return;
    mutex_lock(s->w.threads, s->mu);
    dn_store_fence(s, volume, why->text);
    mutex_unlock(s->w.threads, s->mu);
}

void
dn_store_seen(struct dn_store *s, struct dn_seen *ret)
{
    mutex_lock(s->w.threads, s->mu);
    *ret = s->seen;
    mutex_unlock(s->w.threads, s->mu);
}

void
dn_store_raise_seen(struct dn_store *s, const struct dn_seen *seen)
{
    struct dn_seen now;
    struct why why;
    bool grew;
    enum rc rc;

    mutex_lock(s->w.threads, s->mu);
    grew = s->joined && (seen->txid > s->seen.txid || seen->block_id > s->seen.block_id || seen->stamp > s->seen.stamp);
    if (seen->txid > s->seen.txid)
        s->seen.txid = seen->txid;
    if (seen->block_id > s->seen.block_id)
        s->seen.block_id = seen->block_id;
    if (seen->stamp > s->seen.stamp)
        s->seen.stamp = seen->stamp;
    now = s->seen;
    mutex_unlock(s->w.threads, s->mu);
    for (unsigned i = 0; grew && i < s->volume_count; i++) {
        if (s->volumes[i].failed)
            continue;
        if ((rc = dn_seen_write(s->w.io, &s->volumes[i].d, &now, &why)) != RC_OK) {
            log_warn("seen_not_written", "volume=%s reason=\"%s\"", s->volumes[i].d.dir, why.text);
            dn_store_judge(s, i, rc, &why);
        }
    }
}

/* --- Replicas. */

struct dn_replica *
dn_replica_find(struct dn_store *s, struct block_id id)
{
    struct dn_replica *r;

    HASH_FIND(hh, s->replicas, &id.v, sizeof id.v, r);
    return r;
}

enum replica_state
dn_replica_shown(const struct dn_replica *r)
{
    return (enum replica_state)(r->state == RS_RUR ? r->before : r->state);
}

void
dn_replica_view(const struct dn_replica *r, struct dn_view *ret)
{
    *ret = (struct dn_view){ .id = { r->id }, .stamp = r->stamp, .state = dn_replica_shown(r), .recovering = r->state == RS_RUR,
                             .recovery = r->recovery, .bytes = r->bytes, .visible = r->visible, .volume = r->volume,
                             .corrupt = r->corrupt, .suspect = r->suspect };
}

struct dn_replica *
dn_replica_add(struct dn_store *s, const struct dn_view *v)
{
    struct dn_replica *r = mem_zalloc(sizeof *r);

    if (r == NULL)
        return NULL;
    r->id = v->id.v;
    r->stamp = v->stamp;
    r->state = v->state;
    r->volume = v->volume;
    r->visible = v->visible;
    r->corrupt = v->corrupt;
    HASH_ADD(hh, s->replicas, id, sizeof r->id, r);
    dn_replica_set_bytes(s, r, v->bytes);
    return r;
}

/* Space that a replica takes, its checksums with it (as if in the usual chunks). */
static uint64_t
footprint(uint64_t bytes)
{
    return bytes == 0 ? 0 : bytes + dn_meta_bytes(512, bytes);
}

void
dn_replica_set_bytes(struct dn_store *s, struct dn_replica *r, uint64_t bytes)
{
    s->volumes[r->volume].used += footprint(bytes) - footprint(r->bytes);
    r->bytes = bytes;
}

void
dn_replica_remove(struct dn_store *s, struct dn_replica *r)
{
    dn_replica_set_bytes(s, r, 0);
    s->volumes[r->volume].promised -= r->promised;
    HASH_DEL(s->replicas, r);
    mem_free(r);
}

enum rc
dn_replica_oust(struct dn_store *s, struct dn_replica *r, uint64_t deadline_ms, struct why *why)
{
    struct dn_claim *c = r->claim;

    if (s->stop)
        return why_rc(why, RC_STOPPED);
    c->stop = true;
    for (unsigned i = 0; i < 2; i++)
        if (c->conns[i] != NULL)
            dtp_conn_shutdown(c->conns[i]);
    if (!cond_wait(s->w.threads, s->claims, s->mu, deadline_ms))
        return why_set(why, RC_BUSY, "replica blk_%" PRId64 " is still being written by another", (int64_t)r->id);
    return RC_OK;
}

static enum rc
unlink_one(struct dn_store *s, const char *path, struct why *why)
{
    enum rc rc = io_unlink(s->w.io, path, why);

    return rc == RC_SYS_NOT_FOUND ? RC_OK : rc;
}

enum rc
dn_replica_unlink(struct dn_store *s, struct dn_replica *r, struct why *why)
{
    enum dn_place place = dn_state_place(dn_replica_shown(r));
    const char *pool = s->volumes[r->volume].d.pool;
    struct dn_path path;
    enum rc rc;

    dn_path_data(pool, place, (struct block_id){ r->id }, &path);
    if ((rc = unlink_one(s, path.p, why)) == RC_OK) {
        CRASH_POINT(dn_data_unlinked);
        dn_path_meta(pool, place, (struct block_id){ r->id }, r->stamp, &path);
        rc = unlink_one(s, path.p, why);
    }
    dn_store_judge(s, r->volume, rc, why);
    return rc;
}

enum rc
dn_store_find(struct dn_store *s, struct block_id id, struct dn_view *ret, struct why *why)
{
    return dn_store_find_visible(s, id, 0, 0, ret, why);
}

enum rc
dn_store_find_visible(struct dn_store *s, struct block_id id, uint64_t bytes, uint64_t deadline_ms, struct dn_view *ret,
                      struct why *why)
{
    enum rc rc = RC_OK;
    struct dn_replica *r;

    mutex_lock(s->w.threads, s->mu);
    s->visible_waiters++;
    while ((r = dn_replica_find(s, id)) != NULL && r->state == RS_RBW && r->visible < bytes && !s->stop)
        if (!cond_wait(s->w.threads, s->visible, s->mu, deadline_ms))
            break;
    s->visible_waiters--;
    if ((r = dn_replica_find(s, id)) == NULL || r->state == RS_TEMPORARY)
        rc = why_set(why, RC_REPLICA_NOT_FOUND, "Replica not found for blk_%" PRId64, (int64_t)id.v);
    else
        dn_replica_view(r, ret);
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

void
dn_store_totals(struct dn_store *s, uint64_t *ret_replicas, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;

    mutex_lock(s->w.threads, s->mu);
    *ret_replicas = HASH_COUNT(s->replicas);
    for (unsigned i = 0; i < s->volume_count; i++)
        bytes += s->volumes[i].used;
    *ret_bytes = bytes;
    mutex_unlock(s->w.threads, s->mu);
}
