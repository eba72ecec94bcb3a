/*
 * ack -- what a DataNode answers for a packet, and when it stops.
 *
 * Plain functions: the state of a packet here and what the next node said go in,
 * the ack for the node before goes out.
 */
#ifndef DATANODE_ACK_H
#define DATANODE_ACK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/proto/dtp.h"

/* A packet that was received and waits for its ack. */
struct dn_pending {
    int64_t seqno;
    uint64_t end;           /* bytes of the replica once it is acknowledged */
    bool last;
    Status own;             /* how it went here */
};

/* What came from the next node. */
enum dn_next { DN_NEXT_NONE, DN_NEXT_ACK, DN_NEXT_FAILED };

/*
 * The ack for p.  True: go on with the next packet.  False: send it and stop; the
 * writer finds the node to blame by the position of the first status that is not
 * SUCCESS.  next_ack is looked at for DN_NEXT_ACK only.
 */
bool dn_ack_plan(const struct dn_pending *p, enum dn_next next, const struct dtp_ack *next_ack, struct dtp_ack *ret);

#endif
