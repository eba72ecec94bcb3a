/*
 * replica -- the states of a replica and what a writer may do in each.
 *
 * Plain functions: what is on disk and what a request asks for go in, a plan or
 * a refusal comes out.  The store carries plans out.
 */
#ifndef DATANODE_REPLICA_H
#define DATANODE_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/sm.h"
#include "core/proto/dtp.h"
#include "core/proto/ids.h"
#include "datanode/layout.h"

/*
 * FINALIZED  in finalized/; data, checksums and names are durable; length never changes.
 * RBW        in rbw/; a writer adds to it, or left it; the first `visible` bytes are
 *            acknowledged by every node behind this one; nothing need be durable.
 * RWR        in rbw/; was RBW when the DataNode ended; its length was verified against its
 *            checksums at start.  Bytes beyond what was synced may be gone.
 * RUR        where it was before; reserved by a recovery, in memory only: a restart forgets it.
 *            Others are shown the state before.
 * TEMPORARY  in tmp/; a copy under way; never reported, never read, deleted at start.
 */
enum replica_state { RS_FINALIZED, RS_RBW, RS_RWR, RS_RUR, RS_TEMPORARY };      /* ReplicaStateProto's numbers */
#define RS_COUNT 5

extern const struct sm_state replica_states[RS_COUNT];

enum dn_place dn_state_place(enum replica_state state);

/* A replica as others see it. */
struct dn_view {
    struct block_id id;
    struct stamp stamp;
    enum replica_state state;
    uint64_t bytes;         /* on this node */
    uint64_t visible;       /* readable: bytes, but what is acknowledged while RBW */
    unsigned volume;
    bool corrupt;           /* failed verification */
    bool suspect;           /* could not be read: neither known to be good nor to be bad */
    bool recovering;        /* reserved by a recovery; state is what it was before */
    struct stamp recovery;  /* the last one that reserved it */
};

/* What a WRITE_BLOCK asks for. */
struct dn_write_request {
    struct block_id id;
    struct stamp stamp;         /* of the block as the writer knows it */
    struct stamp new_stamp;     /* latestGenerationStamp */
    enum dtp_stage stage;
    bool by_client;             /* false: another DataNode copies, for the NameNode */
    uint64_t min_bytes, max_bytes;
};

enum dn_write_kind {
    DN_WRITE_CREATE,        /* a new RBW */
    DN_WRITE_COPY,          /* a new TEMPORARY */
    DN_WRITE_REOPEN,        /* go on with an RBW (or RWR), cut to `keep` */
    DN_WRITE_APPEND,        /* a FINALIZED becomes RBW again */
    DN_WRITE_CLOSE,         /* no data follow: finalize */
};

struct dn_write_plan {
    enum dn_write_kind kind;
    bool replace;           /* delete the replica that is there first */
    uint64_t keep;          /* bytes of the replica that stay */
    struct stamp stamp;     /* of the replica from now on */
};

/* Decide about a request; old is NULL when there is no such replica here. */
enum rc dn_write_plan(const struct dn_write_request *q, const struct dn_view *old, struct dn_write_plan *ret,
                      struct why *why) MUST_CHECK;

/* State of a finished copy: RBW when a client moves a replica that is being written. */
enum replica_state dn_copy_end(const struct dn_write_request *q);

/* Who gets what: a client's own stages have an answer before the data and acks; a client's copies have one at the end. */
bool dn_write_is_copy(const struct dn_write_request *q);

/*
 * A chunk that a crash may have left with data of one moment and the checksum of
 * another: how many of its n bytes the checksum covers; 0 when it fits none.
 */
size_t dn_chunk_prefix(enum crc_type type, const uint8_t *data, size_t n, uint32_t sum);

#endif
