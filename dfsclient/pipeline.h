/*
 * pipeline -- one block being written through a chain of DataNodes.
 *
 * The writer's thread sends; a second thread takes the acks.  Packets are kept
 * until every node has acked them.  When a node fails, the writer's thread sets
 * the pipeline up again with a new generation stamp and sends what is not acked
 * once more (recovery.h says how).
 *
 * Owns: the connection, the ack thread, the packets handed to it.  pl->lock
 * guards what both threads touch: the lists, the counts, failed, sending.
 * Invariant: unacked holds packets that were sent on this connection, in order;
 * queue holds those to be sent after them.
 */
#ifndef DFSCLIENT_PIPELINE_H
#define DFSCLIENT_PIPELINE_H

#include "core/net/dtp_io.h"
#include "dfsclient/fs_priv.h"
#include "dfsclient/recovery.h"

#define PIPELINE_NODES_MAX 64       /* in a pipeline, and of those left out */

struct packet {
    struct packet *prev, *next;
    struct dtp_packet head;
    uint8_t *body;                  /* head.sums_n bytes of checksums, then data; inside room */
    uint8_t room[];
};

struct pipeline {
    struct fs *fs;
    const char *path;               /* borrowed from the writer */
    uint64_t file_id, block_bytes;
    uint32_t replication, chunk;
    size_t data_max;                /* bytes of data in a packet */
    struct arena arena;             /* of block */
    struct fs_block block;          /* locations: the nodes that write it now; stamp: theirs */
    struct fs_location *excluded[PIPELINE_NODES_MAX];   /* nodes that failed; each one allocation */
    size_t excluded_count;
    struct dtp_conn conn;
    struct thread *acker;
    struct mutex *lock;
    struct cond *changed;
    struct packet *unacked, *queue, *spare;
    size_t held;                    /* packets in unacked and queue */
    uint64_t bytes_sent, bytes_acked;
    uint64_t last_send_ms;
    bool open, appending, flushed;
    bool live;                      /* an ack thread runs */
    bool sending, acker_ended, failed;
    size_t bad;                     /* index of the node that failed */
    bool sure;                      /* another node said so; see recovery_blame */
    char accuser[64];               /* uuid of the node that last accused the one behind it in this block */
    struct why bad_why;
    struct recovery_count tries;
};

enum rc pipeline_init(struct pipeline *pl, struct fs *fs, const char *path, struct why *why) MUST_CHECK;
void pipeline_fini(struct pipeline *pl);    /* also in the middle of a block: cuts the connection */

/* Allot a block after previous (NULL: the first) and set up its pipeline; other nodes when some do not answer. */
enum rc pipeline_open(struct pipeline *pl, const struct fs_block *previous, struct why *why) MUST_CHECK;
/* Go on with the last block of a file, which append gave back. */
enum rc pipeline_open_append(struct pipeline *pl, const struct fs_block *last, struct why *why) MUST_CHECK;
/* The block before the next one, when it was not written here. */
enum rc pipeline_follow(struct pipeline *pl, const struct fs_block *last, struct why *why) MUST_CHECK;

/* Room for a packet: waits while too many are not acked.  The caller fills it and sends it. */
enum rc pipeline_packet(struct pipeline *pl, struct packet **ret, struct why *why) MUST_CHECK;
/* Takes the packet. */
enum rc pipeline_send(struct pipeline *pl, struct packet *p, struct why *why) MUST_CHECK;
/* Until everything sent is acked. */
enum rc pipeline_drain(struct pipeline *pl, struct why *why) MUST_CHECK;
/* Send the empty last packet (seqno), wait for its ack, end.  pl->block is then final, its bytes set. */
enum rc pipeline_close(struct pipeline *pl, int64_t seqno, struct why *why) MUST_CHECK;
/* When nothing was sent for idle_ms: say that we live.  From another thread. */
void pipeline_heartbeat(struct pipeline *pl, uint64_t idle_ms);

/* pipeline_setup.c, for pipeline.c. */
/* Where the first node of the pipeline, of which there is one, listens. */
void pipeline_first(const struct pipeline *pl, struct net_addr *ret);
/* Connect to block's nodes in this stage; when it fails pl->bad, bad_why and sure say who seems to be to blame. */
enum rc pipeline_connect(struct pipeline *pl, enum dtp_stage stage, uint64_t new_stamp) MUST_CHECK;
/* Both ends of a broken link are suspects: ask the nodes before pl->bad is settled. */
void pipeline_probe(struct pipeline *pl);
/* Leave node `bad` of the pipeline out from now on. */
void pipeline_drop(struct pipeline *pl, size_t bad);
void pipeline_forgive(struct pipeline *pl);     /* leave nobody out any more */
/* Set up to append to block, whose bytes are all on its nodes; with others when some do not answer. */
enum rc pipeline_set_up_append(struct pipeline *pl, struct why *why) MUST_CHECK;
/* Set up again after node pl->bad failed; no ack thread runs.  *ret_closed: the block is closed already. */
enum rc pipeline_rebuild(struct pipeline *pl, bool only_last_left, int64_t head_seqno, bool *ret_closed,
                         struct why *why) MUST_CHECK;

#endif
