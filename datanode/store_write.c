/* Replicas that are being written: from the first byte, or a reopening, to finalized. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/faults.h"
#include "datanode/store_priv.h"

static void
set_state(struct dn_replica *r, enum replica_state to)
{
    if (r->state != (unsigned)to)
        sm_move(replica_states, &r->state, (unsigned)to, "replica", r->id);
}

/* Locked: which volumes have how little room. */
static enum rc
say_full(const struct dn_store *s, const struct dn_choice *choices, uint64_t need, struct why *why)
{
    char text[1024] = "";
    size_t n = 0;

    for (unsigned i = 0; i < s->volume_count && n < sizeof text; i++) {
        const struct dn_volume *v = &s->volumes[i];

        if (v->failed)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s %s has failed", i == 0 ? ":" : ",", v->d.dir);
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%s %s has %" PRIu64, i == 0 ? ":" : ",", v->d.dir,
                                  choices[i].room);
    }
    return why_set(why, RC_NO_SPACE, "no volume has room for %" PRIu64 " bytes%s", need, text);
}

/* Locked: a volume for a new replica of about so many bytes; the wanted one, if it has room. */
static enum rc
choose_volume(struct dn_store *s, uint64_t need, int wanted, unsigned *ret, struct why *why)
{
    struct dn_choice choices[DN_VOLUMES_MAX];
    uint64_t capacity;
    int best;

    if (wanted >= 0 && (unsigned)wanted < s->volume_count && dn_volume_room(s, (unsigned)wanted, &capacity) > need) {
        *ret = (unsigned)wanted;
        return RC_OK;
    }
    for (unsigned i = 0; i < s->volume_count; i++) {
        choices[i] = s->volumes[i].choice;
        choices[i].room = dn_volume_room(s, i, &capacity);
    }
    if ((best = dn_choose(choices, s->volume_count, need)) < 0)
        return say_full(s, choices, need, why);
    for (unsigned i = 0; i < s->volume_count; i++)
        s->volumes[i].choice = choices[i];
    *ret = (unsigned)best;
    return RC_OK;
}

/* Locked: the replica of q's block with the claim taken, or none; and the plan for it. */
static enum rc
claim_and_plan(struct dn_store *s, const struct dn_write_request *q, struct dn_claim *claim, struct dn_write_plan *plan,
               struct why *why)
{
    uint64_t deadline_ms = clock_deadline(s->w.clock, s->claim_ms);
    struct dn_replica *r;
    struct dn_view old;
    enum rc rc;

    for (;;) {
        if (s->stop)
            return why_rc(why, RC_STOPPED);
        if ((r = dn_replica_find(s, q->id)) != NULL)
            dn_replica_view(r, &old);
        /* A refusal stops nobody; what is allowed is decided again once the other writer has gone. */
        if ((rc = dn_write_plan(q, r == NULL ? NULL : &old, plan, why)) != RC_OK)
            return rc;
        if (r == NULL || r->claim == NULL)
            break;
        if ((rc = dn_replica_oust(s, r, deadline_ms, why)) != RC_OK)
            return rc;
    }
    if (r != NULL) {
        r->claim = claim;
        claim->r = r;
    }
    return RC_OK;
}

/* Locked: the new replica of q, claimed. */
static enum rc
add_new(struct dn_store *s, const struct dn_write_request *q, const struct dn_write_options *o,
        const struct dn_write_plan *plan, struct dn_claim *claim, struct why *why)
{
    struct dn_view v = { .id = q->id, .stamp = plan->stamp,
                         .state = plan->kind == DN_WRITE_COPY ? RS_TEMPORARY : RS_RBW };
    struct dn_replica *r;
    enum rc rc;

    if ((rc = choose_volume(s, o->promise, o->volume, &v.volume, why)) != RC_OK)
        return rc;
    if ((r = dn_replica_add(s, &v)) == NULL)
        return why_rc(why, RC_NOMEM);
    r->promised = o->promise;
    s->volumes[v.volume].promised += o->promise;
    r->claim = claim;
    claim->r = r;
    return RC_OK;
}

/* With the claim of a replica whose files are not to stay: remove both. */
static void
drop(struct dn_store *s, struct dn_claim *claim)
{
    struct why why;

    if (!s->volumes[claim->r->volume].failed)
        (void)dn_replica_unlink(s, claim->r, &why);     /* what is left is met at the next start */
    mutex_lock(s->w.threads, s->mu);
    dn_replica_remove(s, claim->r);
    claim->r = NULL;
    memset(claim->conns, 0, sizeof claim->conns);
    cond_broadcast(s->w.threads, s->claims);
    mutex_unlock(s->w.threads, s->mu);
}

static enum rc
create(struct dn_store *s, struct dn_claim *claim, const struct dn_write_options *o, struct dn_sink *sink,
       struct why *why)
{
    struct dn_replica *r = claim->r;
    enum dn_place place = dn_state_place(dn_replica_shown(r));
    const char *pool = s->volumes[r->volume].d.pool;
    struct dn_path data, meta;
    enum rc rc;

    CRASH_POINT(dn_setup_claimed);
    dn_path_data(pool, place, (struct block_id){ r->id }, &data);
    dn_path_meta(pool, place, (struct block_id){ r->id }, r->stamp, &meta);
    if ((rc = dn_sink_create(sink, s->w.io, data.p, meta.p, o->chunk, why)) != RC_OK) {
        dn_store_judge(s, r->volume, rc, why);
        drop(s, claim);
        return rc;
    }
    CRASH_POINT(dn_setup_created);
    mutex_lock(s->w.threads, s->mu);
    if (r->state == RS_RBW)
        (void)dn_change_push(s, DN_RECEIVING, r);
    mutex_unlock(s->w.threads, s->mu);
    return RC_OK;
}

static enum rc
begin_new(struct dn_store *s, const struct dn_write_request *q, const struct dn_write_options *o,
          const struct dn_write_plan *plan, struct dn_claim *claim, struct dn_sink *sink, struct why *why)
{
    enum rc rc;

    if (claim->r != NULL) {         /* an older one stands in the way */
        if ((rc = dn_replica_unlink(s, claim->r, why)) != RC_OK)
            return rc;
        mutex_lock(s->w.threads, s->mu);
        if (claim->r->state != RS_TEMPORARY)
            (void)dn_change_push(s, DN_DELETED, claim->r);
        dn_replica_remove(s, claim->r);
        claim->r = NULL;
        cond_broadcast(s->w.threads, s->claims);
    } else {
        mutex_lock(s->w.threads, s->mu);
    }
    rc = dn_replica_find(s, q->id) == NULL ? add_new(s, q, o, plan, claim, why)
                                           : why_set(why, RC_REPLICA_EXISTS, "another writer was faster");
    mutex_unlock(s->w.threads, s->mu);
    return rc == RC_OK ? create(s, claim, o, sink, why) : rc;
}

/* Directory of finalized/ for this block: made once, its name durable. */
static enum rc
need_leaf(struct dn_store *s, struct dn_volume *v, struct block_id id, struct dn_path *ret, struct why *why)
{
    unsigned leaf = (unsigned)(id.v >> 16 & 0x1f) * 32 + (unsigned)(id.v >> 8 & 0x1f);
    bool there;
    enum rc rc;

    dn_path_dir(v->d.pool, DN_IN_FINALIZED, id, ret);
    mutex_lock(s->w.threads, s->mu);
    there = v->leaf[leaf / 64] >> (leaf % 64) & 1;
    mutex_unlock(s->w.threads, s->mu);
    if (there)
        return RC_OK;
    if ((rc = io_mkdirs(s->w.io, ret->p, 0700, why)) != RC_OK)
        return rc;
    CRASH_POINT(dn_leaf_made);
    mutex_lock(s->w.threads, s->mu);
    v->leaf[leaf / 64] |= UINT64_C(1) << (leaf % 64);
    mutex_unlock(s->w.threads, s->mu);
    return RC_OK;
}

/*
 * Move both files of the claimed replica to a place, with the stamp in the name.
 * Checksums first: data in finalized/ always have theirs beside them.
 */
static enum rc
move_files(struct dn_store *s, const struct dn_replica *r, enum dn_place to_place, struct stamp to_stamp, struct why *why)
{
    struct dn_volume *v = &s->volumes[r->volume];
    enum dn_place from_place = dn_state_place(dn_replica_shown(r));
    struct block_id id = { r->id };
    struct dn_path from, to, data_from, data_to, dir;
    enum rc rc;

    if (to_place == from_place && to_stamp.v == r->stamp.v)
        return RC_OK;
    if (to_place == DN_IN_FINALIZED) {
        if ((rc = need_leaf(s, v, id, &dir, why)) != RC_OK)
            return rc;
    } else {
        dn_path_dir(v->d.pool, to_place, id, &dir);
    }
    dn_path_meta(v->d.pool, from_place, id, r->stamp, &from);
    dn_path_meta(v->d.pool, to_place, id, to_stamp, &to);
    if ((rc = io_rename(s->w.io, from.p, to.p, why)) != RC_OK)
        return rc;
    if (to_place != from_place) {
        CRASH_POINT(dn_meta_renamed);
        dn_path_data(v->d.pool, from_place, id, &data_from);
        dn_path_data(v->d.pool, to_place, id, &data_to);
        if ((rc = io_rename(s->w.io, data_from.p, data_to.p, why)) != RC_OK) {
            (void)io_rename(s->w.io, to.p, from.p, NULL);   /* both stay where they were; else the next start finds them */
            return rc;
        }
    }
    CRASH_POINT(dn_data_renamed);
    if (!old_bug(OLD_BUG_DIR_NOT_SYNCED))
        rc = io_sync_dir(s->w.io, dir.p, why);
    CRASH_POINT(dn_dir_synced);
    return rc;
}

/* RBW, RWR or FINALIZED becomes an RBW of the plan's stamp and length. */
static enum rc
reopen(struct dn_store *s, struct dn_claim *claim, const struct dn_write_plan *plan, struct dn_sink *sink,
       struct why *why)
{
    struct dn_replica *r = claim->r;
    const char *pool = s->volumes[r->volume].d.pool;
    struct dn_path data, meta;
    enum rc rc;

    if ((rc = move_files(s, r, DN_IN_RBW, plan->stamp, why)) != RC_OK) {
        dn_store_judge(s, r->volume, rc, why);
        return rc;
    }
    CRASH_POINT(dn_reopen_moved);
    dn_path_data(pool, DN_IN_RBW, (struct block_id){ r->id }, &data);
    dn_path_meta(pool, DN_IN_RBW, (struct block_id){ r->id }, plan->stamp, &meta);
    rc = dn_sink_open(sink, s->w.io, data.p, meta.p, plan->keep, why);
    dn_store_judge(s, r->volume, rc, why);
    CRASH_POINT(dn_reopened);
    mutex_lock(s->w.threads, s->mu);
    set_state(r, RS_RBW);
    r->stamp = plan->stamp;
    r->dir_synced = true;
    if (rc == RC_OK) {
        dn_replica_set_bytes(s, r, plan->keep);
        if (r->visible > plan->keep)
            r->visible = plan->keep;
    } else if (rc == RC_CORRUPT) {
        r->corrupt = true;
    }
    (void)dn_change_push(s, DN_RECEIVING, r);
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

/* The replica has all its data: durable, and finalized under this stamp. */
static enum rc
settle(struct dn_store *s, struct dn_claim *claim, struct stamp stamp, uint64_t *ret_seq, struct why *why)
{
    struct dn_replica *r = claim->r;
    enum rc rc;

    if ((rc = move_files(s, r, DN_IN_FINALIZED, stamp, why)) != RC_OK) {
        dn_store_judge(s, r->volume, rc, why);
        return rc;
    }
    mutex_lock(s->w.threads, s->mu);
    set_state(r, RS_FINALIZED);
    r->stamp = stamp;
    r->visible = r->bytes;
    s->volumes[r->volume].promised -= r->promised;
    r->promised = 0;
    *ret_seq = dn_change_push(s, DN_RECEIVED, r);
    cond_broadcast(s->w.threads, s->visible);
    mutex_unlock(s->w.threads, s->mu);
    CRASH_POINT(dn_finalized);
    return RC_OK;
}

static enum rc
close_now(struct dn_store *s, struct dn_claim *claim, const struct dn_write_plan *plan, uint64_t *ret_seq,
          struct why *why)
{
    struct dn_replica *r = claim->r;
    const char *pool = s->volumes[r->volume].d.pool;
    struct dn_path data, meta;
    struct dn_sink sink;
    enum rc rc;

    if (r->state != RS_FINALIZED) {
        dn_path_data(pool, DN_IN_RBW, (struct block_id){ r->id }, &data);
        dn_path_meta(pool, DN_IN_RBW, (struct block_id){ r->id }, r->stamp, &meta);
        if ((rc = dn_sink_open(&sink, s->w.io, data.p, meta.p, plan->keep, why)) == RC_OK) {
            rc = dn_sink_sync(&sink, why);
            dn_sink_fini(&sink);
        }
        if (rc != RC_OK) {
            dn_store_judge(s, r->volume, rc, why);
            return rc;
        }
    }
    return settle(s, claim, plan->stamp, ret_seq, why);
}

enum rc
dn_replica_cut(struct dn_store *s, struct dn_claim *claim, const struct dn_write_plan *plan, uint64_t *ret_seq,
               struct why *why)
{
    struct dn_sink sink;
    enum rc rc;

    if (dn_replica_shown(claim->r) == RS_FINALIZED && claim->r->bytes == plan->keep)
        return settle(s, claim, plan->stamp, ret_seq, why);
    /* By way of rbw/, also when it was finalized: what a crash leaves in the middle is there as it would be of a writer. */
    if ((rc = reopen(s, claim, plan, &sink, why)) != RC_OK)
        return rc;
    rc = dn_store_finalize(s, claim, &sink, ret_seq, why);
    dn_sink_fini(&sink);
    return rc;
}

enum rc
dn_store_begin(struct dn_store *s, const struct dn_write_request *q, const struct dn_write_options *o,
               struct dn_claim *claim, struct dn_sink *sink, struct dn_write_plan *ret_plan, unsigned *ret_volume,
               uint64_t *ret_seq, struct why *why)
{
    struct dn_write_plan plan;
    enum rc rc;

    *claim = (struct dn_claim){ .r = NULL };
    mutex_lock(s->w.threads, s->mu);
    rc = claim_and_plan(s, q, claim, &plan, why);
    mutex_unlock(s->w.threads, s->mu);
    if (rc != RC_OK)
        return rc;
    switch (plan.kind) {
    case DN_WRITE_CREATE:
    case DN_WRITE_COPY:
        rc = begin_new(s, q, o, &plan, claim, sink, why);
        break;
    case DN_WRITE_REOPEN:
    case DN_WRITE_APPEND:
        rc = reopen(s, claim, &plan, sink, why);
        break;
    case DN_WRITE_CLOSE:
        rc = close_now(s, claim, &plan, ret_seq, why);
        break;
    }
    if (rc != RC_OK) {
        dn_store_release(s, claim);
        return rc;
    }
    *ret_plan = plan;
    *ret_volume = claim->r->volume;
    return RC_OK;
}

enum rc
dn_store_watch(struct dn_store *s, struct dn_claim *claim, unsigned i, struct dtp_conn *conn)
{
    bool stop;

    mutex_lock(s->w.threads, s->mu);
    claim->conns[i] = conn;
    stop = claim->stop || s->stop;
    mutex_unlock(s->w.threads, s->mu);
    return stop ? RC_INTERRUPTED : RC_OK;
}

void
dn_store_progress(struct dn_store *s, struct dn_claim *claim, uint64_t bytes, uint64_t visible)
{
    struct dn_replica *r = claim->r;

    mutex_lock(s->w.threads, s->mu);
    if (bytes > r->bytes) {
        uint64_t grown = bytes - r->bytes < r->promised ? bytes - r->bytes : r->promised;

        s->volumes[r->volume].promised -= grown;
        r->promised -= grown;
        dn_replica_set_bytes(s, r, bytes);
    }
    if (visible > r->visible) {
        r->visible = visible;
        if (s->visible_waiters > 0)
            cond_broadcast(s->w.threads, s->visible);
    }
    mutex_unlock(s->w.threads, s->mu);
}

enum rc
dn_store_sync(struct dn_store *s, struct dn_claim *claim, struct dn_sink *sink, struct why *why)
{
    struct dn_replica *r = claim->r;
    struct dn_path dir;
    enum rc rc;

    rc = dn_sink_sync(sink, why);
    if (rc == RC_OK && !r->dir_synced && !old_bug(OLD_BUG_DIR_NOT_SYNCED)) {
        dn_path_dir(s->volumes[r->volume].d.pool, dn_state_place(dn_replica_shown(r)),
                    (struct block_id){ r->id }, &dir);
        if ((rc = io_sync_dir(s->w.io, dir.p, why)) == RC_OK)
            r->dir_synced = true;
    }
    dn_store_judge(s, r->volume, rc, why);
    return rc;
}

enum rc
dn_store_finalize(struct dn_store *s, struct dn_claim *claim, struct dn_sink *sink, uint64_t *ret_seq, struct why *why)
{
    enum rc rc;

    if ((rc = dn_sink_sync(sink, why)) != RC_OK) {
        dn_store_judge(s, claim->r->volume, rc, why);
        return rc;
    }
    return settle(s, claim, claim->r->stamp, ret_seq, why);
}

enum rc
dn_store_convert(struct dn_store *s, struct dn_claim *claim, struct dn_sink *sink, struct why *why)
{
    struct dn_replica *r = claim->r;
    enum rc rc;

    if ((rc = dn_sink_sync(sink, why)) != RC_OK || (rc = move_files(s, r, DN_IN_RBW, r->stamp, why)) != RC_OK) {
        dn_store_judge(s, r->volume, rc, why);
        return rc;
    }
    mutex_lock(s->w.threads, s->mu);
    set_state(r, RS_RBW);
    r->dir_synced = true;
    r->visible = r->bytes;
    (void)dn_change_push(s, DN_RECEIVING, r);
    mutex_unlock(s->w.threads, s->mu);
    return RC_OK;
}

void
dn_store_discard(struct dn_store *s, struct dn_claim *claim)
{
    struct dn_replica *r = claim->r;

    if (r == NULL)
        return;
    mutex_lock(s->w.threads, s->mu);
    if (r->state != RS_TEMPORARY)
        (void)dn_change_push(s, DN_DELETED, r);
    mutex_unlock(s->w.threads, s->mu);
    drop(s, claim);
}

void
dn_store_release(struct dn_store *s, struct dn_claim *claim)
{
    struct dn_replica *r = claim->r;

    if (r == NULL)
        return;
    if (r->state == RS_TEMPORARY) {
        drop(s, claim);
        return;
    }
    mutex_lock(s->w.threads, s->mu);
    if (s->volumes[r->volume].failed) {
        dn_replica_remove(s, r);
    } else {
        s->volumes[r->volume].promised -= r->promised;
        r->promised = 0;
        r->claim = NULL;
    }
    claim->r = NULL;
    memset(claim->conns, 0, sizeof claim->conns);
    cond_broadcast(s->w.threads, s->claims);
    mutex_unlock(s->w.threads, s->mu);
}
