/* Replicas whose writer is gone: reserved for a recovery, then made what the DataNodes agreed on. */
#include <inttypes.h>

#include "core/base/faults.h"
#include "datanode/store_priv.h"

/* Locked: may the recovery have r?  *ret_reserve false: r is no replica of the block any more, and stays as it is. */
static enum rc
check_init(const struct dn_replica *r, struct stamp stamp, struct stamp recovery, bool *ret_reserve, struct why *why)
{
    *ret_reserve = false;
    if (r->stamp.v >= recovery.v)
        return why_set(why, RC_STALE_STAMP, "replica blk_%" PRId64 " has generation stamp %" PRIu64
                       ", the recovery gives %" PRIu64, (int64_t)r->id, r->stamp.v, recovery.v);
    if (r->recovery.v > recovery.v && !old_bug(OLD_BUG_OLD_RECOVERY_WINS))
        return why_set(why, RC_IN_RECOVERY, "replica blk_%" PRId64 " is in recovery %" PRIu64 ", later than %" PRIu64,
                       (int64_t)r->id, r->recovery.v, recovery.v);
    /* Nothing of it was ever durable, not even the head of its checksums; or they are gone, and with them its stamp. */
    if (r->corrupt && ((r->state == RS_RWR && r->bytes == 0) || r->stamp.v == 0))
        return RC_OK;
    if (r->corrupt)
        return why_set(why, RC_CORRUPT, "replica blk_%" PRId64 " is corrupt", (int64_t)r->id);
    *ret_reserve = r->stamp.v >= stamp.v;
    return RC_OK;
}

static void
reserve(struct dn_store *s, struct dn_replica *r, struct stamp recovery)
{
    r->recovery = recovery;
    if (r->state == RS_RUR)
        return;
    r->before = r->state;
    sm_move(replica_states, &r->state, RS_RUR, "replica", r->id);
    cond_broadcast(s->w.threads, s->visible);       /* it grows no more */
}

enum rc
dn_store_init_recovery(struct dn_store *s, struct block_id id, struct stamp stamp, struct stamp recovery,
                       struct dn_found *ret, struct why *why)
{
    uint64_t deadline_ms = clock_deadline(s->w.clock, s->claim_ms);
    struct dn_replica *r;
    struct dn_view v;
    bool mine = false;
    enum rc rc = RC_OK;

    *ret = (struct dn_found){ .answered = true };
    mutex_lock(s->w.threads, s->mu);
    for (;;) {
        if (s->stop) {
            rc = why_rc(why, RC_STOPPED);
            break;
        }
        if ((r = dn_replica_find(s, id)) == NULL || r->state == RS_TEMPORARY)
            break;
        if ((rc = check_init(r, stamp, recovery, &mine, why)) != RC_OK)
            break;
        if (mine && r->claim != NULL) {             /* its writer ends, and what it has written stays */
            if ((rc = dn_replica_oust(s, r, deadline_ms, why)) != RC_OK)
                break;
            continue;
        }
        if (mine)
            reserve(s, r, recovery);
        dn_replica_view(r, &v);
        ret->found = true;
        ret->state = v.state;
        ret->stamp = v.stamp;
        ret->bytes = v.bytes;
        break;
    }
    mutex_unlock(s->w.threads, s->mu);
    return rc;
}

/* Locked: r, reserved for this recovery, with the claim taken; *ret_done: it was updated before. */
static enum rc
claim_reserved(struct dn_store *s, struct block_id id, struct stamp recovery, uint64_t bytes, struct dn_claim *claim,
               bool *ret_done, struct why *why)
{
    struct dn_replica *r = dn_replica_find(s, id);

    *ret_done = false;
    if (s->stop)
        return why_rc(why, RC_STOPPED);
    if (r == NULL || r->state == RS_TEMPORARY)
        return why_set(why, RC_REPLICA_NOT_FOUND, "Replica not found for blk_%" PRId64, (int64_t)id.v);
    if (r->state == RS_FINALIZED && r->stamp.v == recovery.v && r->bytes == bytes) {
        *ret_done = true;
        return RC_OK;
    }
    if (r->state != RS_RUR || (r->recovery.v != recovery.v && !old_bug(OLD_BUG_OLD_RECOVERY_WINS)))
        return why_set(why, RC_STALE_STAMP, "replica blk_%" PRId64 " is not in recovery %" PRIu64 " but %s with %" PRIu64,
                       (int64_t)id.v, recovery.v, replica_states[r->state].name,
                       r->state == RS_RUR ? r->recovery.v : r->stamp.v);
    if (r->bytes < bytes)
        return why_set(why, RC_IO_EXCEPTION, "replica blk_%" PRId64 " has %" PRIu64 " bytes, not %" PRIu64, (int64_t)id.v,
                       r->bytes, bytes);
    if (r->claim != NULL)
        return why_set(why, RC_BUSY, "replica blk_%" PRId64 " is being changed by another", (int64_t)id.v);
    r->claim = claim;
    claim->r = r;
    return RC_OK;
}

enum rc
dn_store_update_recovered(struct dn_store *s, struct block_id id, struct stamp recovery, uint64_t bytes,
                          unsigned *ret_volume, uint64_t *ret_seq, struct why *why)
{
    const struct dn_write_plan plan = { .kind = DN_WRITE_REOPEN, .keep = bytes, .stamp = recovery };
    struct dn_claim claim = { .r = NULL };
    struct dn_replica *r;
    bool done;
    enum rc rc;

    mutex_lock(s->w.threads, s->mu);
    rc = claim_reserved(s, id, recovery, bytes, &claim, &done, why);
    if (rc == RC_OK && done) {
        r = dn_replica_find(s, id);
        *ret_volume = r->volume;
        *ret_seq = s->volumes[r->volume].seq;
    }
    mutex_unlock(s->w.threads, s->mu);
    if (rc != RC_OK || done)
        return rc;
    *ret_volume = claim.r->volume;
    rc = dn_replica_cut(s, &claim, &plan, ret_seq, why);
    CRASH_POINT(dn_recovery_cut);
    dn_store_release(s, &claim);
    return rc;
}
