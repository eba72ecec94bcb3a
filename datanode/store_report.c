/* The queue of changes that the NameNode has to hear of, and the table as a whole for it. */
#include <stdlib.h>
#include <string.h>

#include "datanode/store_priv.h"

uint64_t
dn_change_push(struct dn_store *s, enum dn_change_kind kind, const struct dn_replica *r)
{
    return dn_change_push_at(s, r->volume, kind, (struct block_id){ r->id }, r->stamp, r->bytes);
}

uint64_t
dn_change_push_at(struct dn_store *s, unsigned volume, enum dn_change_kind kind, struct block_id id, struct stamp stamp,
                  uint64_t bytes)
{
    struct dn_volume *v = &s->volumes[volume];
    struct dn_change *more;
    size_t cap;

    v->seq++;
    if (v->unsent_n == v->unsent_cap) {
        cap = v->unsent_cap == 0 ? 64 : 2 * v->unsent_cap;
        more = cap <= DN_UNSENT_MAX ? mem_realloc(v->unsent, cap * sizeof *more) : NULL;
        if (more == NULL) {
            v->needs_full = true;       /* the table itself says it then */
            v->unsent_n = 0;
            v->urgent = true;
            cond_signal(s->w.threads, s->changes);
            return v->seq;
        }
        v->unsent = more;
        v->unsent_cap = cap;
    }
    v->unsent[v->unsent_n++] = (struct dn_change){ kind, id, stamp, bytes, v->seq };
    if (kind == DN_RECEIVED || kind == DN_CORRUPT || kind == DN_SUSPECT) {
        v->urgent = true;
        cond_signal(s->w.threads, s->changes);
    }
    return v->seq;
}

static bool
any(const struct dn_store *s, bool urgent)
{
    for (unsigned i = 0; i < s->volume_count; i++) {
        const struct dn_volume *v = &s->volumes[i];

        if (!v->failed && (v->needs_full || (v->unsent_n > 0 && (v->urgent || !urgent))))
            return true;
    }
    return false;
}

bool
dn_store_wait_changes(struct dn_store *s, uint64_t deadline_ms)
{
    bool some;

    mutex_lock(s->w.threads, s->mu);
    if (!any(s, true) && !s->stop)
        (void)cond_wait(s->w.threads, s->changes, s->mu, deadline_ms);
    some = any(s, true) || (clock_mono_ms(s->w.clock) >= deadline_ms && any(s, false));
    mutex_unlock(s->w.threads, s->mu);
    return some;
}

void
dn_store_wake_reports(struct dn_store *s)
{
    mutex_lock(s->w.threads, s->mu);
    cond_broadcast(s->w.threads, s->changes);
    mutex_unlock(s->w.threads, s->mu);
}

size_t
dn_store_unsent(struct dn_store *s, unsigned volume, struct dn_change *out, size_t max)
{
    struct dn_volume *v = &s->volumes[volume];
    size_t n;

    mutex_lock(s->w.threads, s->mu);
    n = v->failed ? 0 : v->unsent_n < max ? v->unsent_n : max;
    if (n > 0)
        memcpy(out, v->unsent, n * sizeof *out);
    if (n == v->unsent_n)
        v->urgent = false;
    mutex_unlock(s->w.threads, s->mu);
    return n;
}

void
dn_store_sent(struct dn_store *s, unsigned volume, uint64_t seq)
{
    struct dn_volume *v = &s->volumes[volume];
    size_t n = 0;

    mutex_lock(s->w.threads, s->mu);
    while (n < v->unsent_n && v->unsent[n].seq <= seq)
        n++;
    v->unsent_n -= n;
    if (n > 0)
        memmove(v->unsent, v->unsent + n, v->unsent_n * sizeof *v->unsent);
    if (seq > v->sent)
        v->sent = seq;
    cond_broadcast(s->w.threads, s->sent);
    mutex_unlock(s->w.threads, s->mu);
}

enum rc
dn_store_wait_sent(struct dn_store *s, unsigned volume, uint64_t seq, uint64_t deadline_ms, struct why *why)
{
    struct dn_volume *v = &s->volumes[volume];
    enum rc rc = RC_OK;

    mutex_lock(s->w.threads, s->mu);
    while (v->sent < seq && rc == RC_OK) {
        if (s->stop)
            rc = why_rc(why, RC_STOPPED);
        else if (v->failed)
            rc = why_set(why, RC_VOLUME_FAILED, "volume %s has failed", v->d.dir);
        else if (!cond_wait(s->w.threads, s->sent, s->mu, deadline_ms))
            rc = why_set(why, RC_TIMEOUT, "the NameNode has not answered for a new replica");
    }
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

bool
dn_store_needs_full(struct dn_store *s, unsigned volume)
{
    struct dn_volume *v = &s->volumes[volume];
    bool needs;

    mutex_lock(s->w.threads, s->mu);
    needs = v->needs_full && !v->failed;
    v->needs_full = false;
    mutex_unlock(s->w.threads, s->mu);
    return needs;
}

static int
by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct dn_view *)a)->id.v, y = ((const struct dn_view *)b)->id.v;

    return x < y ? -1 : x > y;
}

enum rc
dn_store_snapshot(struct dn_store *s, unsigned volume, struct dn_view **ret, size_t *ret_n, uint64_t *ret_seq,
                  struct why *why)
{
    struct dn_replica *r, *next;
    struct dn_view *views;
    enum rc rc = RC_OK;
    size_t n = 0;

    mutex_lock(s->w.threads, s->mu);
    if ((views = mem_calloc(HASH_COUNT(s->replicas) + 1, sizeof *views)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
    } else {
        HASH_ITER(hh, s->replicas, r, next)
            if (r->volume == volume && r->state != RS_TEMPORARY)
                dn_replica_view(r, &views[n++]);
        *ret_seq = s->volumes[volume].seq;
    }
    mutex_unlock(s->w.threads, s->mu);
    if (rc != RC_OK)
        return rc;
    qsort(views, n, sizeof *views, by_id);
    *ret = views;
    *ret_n = n;
    return RC_OK;
}

void
dn_store_repeat_doubts(struct dn_store *s, unsigned volume)
{
    struct dn_replica *r, *next;

    mutex_lock(s->w.threads, s->mu);
    HASH_ITER(hh, s->replicas, r, next)
        if (r->volume == volume && (r->corrupt || r->suspect))
            (void)dn_change_push(s, r->corrupt ? DN_CORRUPT : DN_SUSPECT, r);
    mutex_unlock(s->w.threads, s->mu);
}
