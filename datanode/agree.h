/*
 * agree -- what replicas of a block whose writer is gone become.
 *
 * A plain function of what the DataNodes said they have.
 */
#ifndef DATANODE_AGREE_H
#define DATANODE_AGREE_H

#include "datanode/replica.h"

#define DN_AGREE_MAX 16         /* nodes of one recovery */

/* What one node has of the block, before the recovery. */
struct dn_found {
    bool answered;              /* false: nothing is known of it */
    bool found;
    enum replica_state state;
    struct stamp stamp;
    uint64_t bytes;
};

struct dn_agree_ask {
    struct stamp stamp;         /* of the block: an older replica is not one of it */
    uint64_t bytes;             /* promised to readers: fewer only when nobody has as many */
    bool truncates;             /* cut it to truncate_bytes */
    uint64_t truncate_bytes;
};

struct dn_agree {
    bool nothing;               /* all have answered and none has a byte */
    uint64_t bytes;             /* of the block from now on */
    bool takes_part[DN_AGREE_MAX];
};

/*
 * A finalized replica decides, the one with the newest stamp; else those being
 * written, by the shortest: what a writer was told to be safe is on each of
 * them.  What a restart left decides only among its like.  Whoever has as many
 * bytes takes part.  RC_BUSY: who has not answered may know more.
 */
enum rc dn_agree(const struct dn_agree_ask *ask, const struct dn_found *found, size_t n, struct dn_agree *ret,
                 struct why *why) MUST_CHECK;

#endif
