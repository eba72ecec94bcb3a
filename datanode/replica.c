#include "datanode/replica.h"

#include <inttypes.h>

#include "core/base/faults.h"

#define TO(s) SM_BIT(RS_##s)
const struct sm_state replica_states[RS_COUNT] = {
    [RS_FINALIZED] = { "FINALIZED", TO(RBW) | TO(RUR) },            /* append, recovery */
    [RS_RBW]       = { "RBW",       TO(FINALIZED) | TO(RWR) | TO(RUR) },
    [RS_RWR]       = { "RWR",       TO(RBW) | TO(FINALIZED) | TO(RUR) },    /* met at restart; verified, so it may go on */
    [RS_RUR]       = { "RUR",       TO(FINALIZED) | TO(RBW) },      /* agreed; on the way there it is cut */
    [RS_TEMPORARY] = { "TEMPORARY", TO(FINALIZED) | TO(RBW) },
};
#undef TO

enum dn_place
dn_state_place(enum replica_state state)
{
    switch (state) {
    case RS_FINALIZED:
        return DN_IN_FINALIZED;
    case RS_RBW:
    case RS_RWR:
    case RS_RUR:
        return DN_IN_RBW;
    case RS_TEMPORARY:
        return DN_IN_TMP;
    }
    return DN_PLACES;
}

static enum rc
plan_new(const struct dn_write_request *q, const struct dn_view *old, struct dn_write_plan *ret, struct why *why)
{
    *ret = (struct dn_write_plan){ .kind = dn_write_is_copy(q) ? DN_WRITE_COPY : DN_WRITE_CREATE, .stamp = q->stamp };
    if (old == NULL)
        return RC_OK;
    if (old->recovering && old->recovery.v >= q->stamp.v)
        return why_set(why, RC_IN_RECOVERY, "replica blk_%" PRId64 " is in recovery %" PRIu64, (int64_t)q->id.v,
                       old->recovery.v);
    if (old->stamp.v < q->stamp.v) {
        ret->replace = true;
        return RC_OK;
    }
    /* What a restart left is worth less than a copy of the same stamp. */
    if (old->state == RS_RWR && old->stamp.v == q->stamp.v && ret->kind == DN_WRITE_COPY) {
        ret->replace = true;
        return RC_OK;
    }
    return why_set(why, RC_REPLICA_EXISTS,
                   "Block blk_%" PRId64 "_%" PRIu64 " already exists in state %s with generation stamp %" PRIu64,
                   (int64_t)q->id.v, q->stamp.v, replica_states[old->state].name, old->stamp.v);
}

/* The states that a stage takes up, as bits. */
static uint32_t
stage_states(enum dtp_stage stage)
{
    switch (stage) {
    case DTP_SETUP_APPEND:
        return SM_BIT(RS_FINALIZED);
    case DTP_SETUP_APPEND_RECOVERY:
    case DTP_CLOSE_RECOVERY:
        return SM_BIT(RS_FINALIZED) | SM_BIT(RS_RBW) | SM_BIT(RS_RWR);
    case DTP_SETUP_STREAMING_RECOVERY:
        return SM_BIT(RS_RBW) | SM_BIT(RS_RWR);
    case DTP_STREAMING:
    case DTP_CLOSE:
    case DTP_SETUP_CREATE:
    case DTP_TRANSFER_RBW:
    case DTP_TRANSFER_FINALIZED:
        return 0;
    }
    return 0;
}

static enum rc
check_length(const struct dn_write_request *q, const struct dn_view *old, struct why *why)
{
    if (q->stage == DTP_SETUP_STREAMING_RECOVERY) {
        if (old->visible < q->min_bytes || old->bytes > q->max_bytes)
            return why_set(why, RC_IO_EXCEPTION,
                           "replica has %" PRIu64 " bytes, %" PRIu64 " acknowledged; the writer asks for %" PRIu64
                           " to %" PRIu64, old->bytes, old->visible, q->min_bytes, q->max_bytes);
        return RC_OK;
    }
    if (old->bytes != q->min_bytes)
        return why_set(why, RC_IO_EXCEPTION, "replica has %" PRIu64 " bytes, the writer expects %" PRIu64, old->bytes,
                       q->min_bytes);
    return RC_OK;
}

static enum rc
plan_old(const struct dn_write_request *q, const struct dn_view *old, struct dn_write_plan *ret, struct why *why)
{
    enum rc rc;

    if (old == NULL)
        return why_set(why, RC_REPLICA_NOT_FOUND, "Replica not found for blk_%" PRId64 "_%" PRIu64, (int64_t)q->id.v,
                       q->stamp.v);
    if (old->recovering)
        return why_set(why, RC_IN_RECOVERY, "replica blk_%" PRId64 " is in recovery %" PRIu64, (int64_t)q->id.v,
                       old->recovery.v);
    if ((stage_states(q->stage) & SM_BIT(old->state)) == 0)
        return why_set(why, RC_IO_EXCEPTION, "%s: replica blk_%" PRId64 " is %s", dtp_stage_name(q->stage),
                       (int64_t)q->id.v, replica_states[old->state].name);
    if (old->corrupt)
        return why_set(why, RC_CORRUPT, "replica blk_%" PRId64 " is corrupt", (int64_t)q->id.v);
    /* A stamp never goes back, and a writer that knows an older replica than this one is late. */
    if ((old->stamp.v < q->stamp.v || old->stamp.v > q->new_stamp.v) && !old_bug(OLD_BUG_STAMP_NOT_COMPARED))
        return why_set(why, RC_STALE_STAMP,
                       "replica blk_%" PRId64 " has generation stamp %" PRIu64 ", the writer %" PRIu64 " to %" PRIu64,
                       (int64_t)q->id.v, old->stamp.v, q->stamp.v, q->new_stamp.v);
    if ((rc = check_length(q, old, why)) != RC_OK)
        return rc;
    *ret = (struct dn_write_plan){ .stamp = q->new_stamp, .keep = old->bytes };
    if (q->stage == DTP_CLOSE_RECOVERY) {
        ret->kind = DN_WRITE_CLOSE;
    } else if (old->state == RS_FINALIZED) {
        ret->kind = DN_WRITE_APPEND;
    } else {
        ret->kind = DN_WRITE_REOPEN;
        if (q->stage == DTP_SETUP_STREAMING_RECOVERY)
            ret->keep = old_bug(OLD_BUG_VISIBLE_SHRINKS) ? q->min_bytes : old->visible;
    }
    return RC_OK;
}

enum rc
dn_write_plan(const struct dn_write_request *q, const struct dn_view *old, struct dn_write_plan *ret, struct why *why)
{
    if (!q->by_client)
        return plan_new(q, old, ret, why);
    switch (q->stage) {
    case DTP_SETUP_CREATE:
    case DTP_TRANSFER_RBW:
    case DTP_TRANSFER_FINALIZED:
        return plan_new(q, old, ret, why);
    case DTP_SETUP_APPEND:
    case DTP_SETUP_APPEND_RECOVERY:
    case DTP_SETUP_STREAMING_RECOVERY:
    case DTP_CLOSE_RECOVERY:
        return plan_old(q, old, ret, why);
    case DTP_STREAMING:
    case DTP_CLOSE:
        break;
    }
    return why_set(why, RC_BAD_MESSAGE, "stage %d is not one to begin with", (int)q->stage);
}

enum replica_state
dn_copy_end(const struct dn_write_request *q)
{
    return q->by_client && q->stage == DTP_TRANSFER_RBW ? RS_RBW : RS_FINALIZED;
}

bool
dn_write_is_copy(const struct dn_write_request *q)
{
    return !q->by_client || q->stage == DTP_TRANSFER_RBW || q->stage == DTP_TRANSFER_FINALIZED;
}

size_t
dn_chunk_prefix(enum crc_type type, const uint8_t *data, size_t n, uint32_t sum)
{
    uint32_t crc = 0;
    size_t fits = 0;

    for (size_t i = 0; i < n; i++) {
        crc = crc_of(type, crc, data + i, 1);
        if (crc == sum)
            fits = i + 1;
    }
    return fits;
}
