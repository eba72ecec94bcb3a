#include "datanode/ack.h"

/* The next node is to blame, for no packet in particular. */
static bool
blame_next(struct dtp_ack *ret)
{
    ret->seqno = DTP_SEQNO_OOB;
    ret->count = 2;
    ret->reply[0] = STATUS__SUCCESS;
    ret->reply[1] = STATUS__ERROR;
    return false;
}

bool
dn_ack_plan(const struct dn_pending *p, enum dn_next next, const struct dtp_ack *next_ack, struct dtp_ack *ret)
{
    bool good;

    ret->seqno = p->seqno;
    ret->count = 1;
    ret->reply[0] = p->own;
    if (p->own != STATUS__SUCCESS)
        return false;
    switch (next) {
    case DN_NEXT_NONE:
        return true;
    case DN_NEXT_FAILED:
        return blame_next(ret);
    case DN_NEXT_ACK:
        break;
    }
    good = dtp_ack_first_bad(next_ack) < 0;
    /* Acks come in order: another number, or a failure without a culprit, is the next node's own fault. */
    if (next_ack->count == 0 || next_ack->count >= DTP_NODES_MAX || (good && next_ack->seqno != p->seqno))
        return blame_next(ret);
    ret->seqno = good ? p->seqno : next_ack->seqno;
    for (size_t i = 0; i < next_ack->count; i++)
        ret->reply[i + 1] = next_ack->reply[i];
    ret->count = next_ack->count + 1;
    return good;
}
