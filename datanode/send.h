/*
 * send -- a replica as packets: for readers, and to another DataNode.
 */
#ifndef DATANODE_SEND_H
#define DATANODE_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/net/dtp_io.h"
#include "datanode/dn.h"
#include "datanode/store.h"

/*
 * Send the bytes from..to of src, chunk by chunk, and the empty last packet.  from
 * begins a chunk; to ends one or is the end of what is visible.  Every chunk is
 * verified before it leaves: RC_CORRUPT, or RC_IO when it cannot be read, and the NameNode is told.
 */
enum rc dn_send(struct dn *dn, struct dtp_conn *c, const struct dn_source *src, uint64_t from, uint64_t to, bool sums,
                struct why *why) MUST_CHECK;

/* Read n bytes of chunks at `at` and their checksums into out (checksums first), verified as above. */
enum rc dn_read_chunks(struct dn *dn, const struct dn_source *src, uint64_t at, uint32_t n, uint8_t *out,
                       struct why *why) MUST_CHECK;

/* Where a replica is to go, and how it is called there. */
struct dn_copy {
    const ExtendedBlockProto *block;    /* pool and id; the stamp is the least that the replica must have */
    const TokenProto *token;            /* NULL: none */
    const char *client_name;            /* never empty: the answer at the end depends on it */
    size_t client_name_n;
    struct net_addr to;
    bool has_storage_type;
    StorageTypeProto storage_type;
};

/* Copy a replica, finalized or not, to another DataNode, and wait until it has it. *ret_peer_failed: it is to blame. */
enum rc dn_send_copy(struct dn *dn, const struct dn_copy *copy, bool *ret_peer_failed, struct why *why) MUST_CHECK;

#endif
