/*
 * store -- the replicas of a DataNode: which there are, and every change to one.
 *
 * Owns: the volumes, the table of replicas and the queue of changes that the
 * NameNode has not been told, all behind one lock.  Any thread.
 *
 * A replica changes only by the thread that holds its claim; the disk is touched
 * outside the lock.  Who wants a claim that another holds tells that one to stop
 * and waits.  A replica's stamp changes only under the claim and never goes back.
 * A change of the table and its number in the queue are one step, so a report that
 * shows the table as of number n shows exactly the changes up to n.
 */
#ifndef DATANODE_STORE_H
#define DATANODE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/net/dtp_io.h"
#include "datanode/replica.h"
#include "datanode/sink.h"
#include "datanode/volume.h"

#define DN_VOLUMES_MAX 64

struct dn_store;
struct dn_replica;

struct dn_store_options {
    char *const *dirs;          /* NULL-terminated; copied */
    uint64_t reserved;          /* bytes that each volume keeps free */
    unsigned failed_max;        /* failed volumes with which to go on */
    uint64_t claim_ms;          /* how long to wait for a writer that was told to stop */
};

/* Open and lock the directories, and read what is there if they have joined a cluster. */
enum rc dn_store_open(const struct world *w, const struct dn_store_options *o, struct dn_store **ret, struct why *why) MUST_CHECK;
void dn_store_free(struct dn_store *s);     /* nobody may be using it */
void dn_store_stop(struct dn_store *s);     /* whoever waits in it wakes with RC_STOPPED */

/* The NameNode has said who it is.  RC_WRONG_CLUSTER: the store is of another and stays as it is. */
enum rc dn_store_join(struct dn_store *s, const struct dn_identity *id, struct why *why) MUST_CHECK;
void dn_store_identity(struct dn_store *s, struct dn_identity *ret);
/* RC_OK when the store serves this pool. */
enum rc dn_store_check_pool(struct dn_store *s, const void *pool, size_t n, struct why *why) MUST_CHECK;
void dn_store_seen(struct dn_store *s, struct dn_seen *ret);
/* Remember, durably, if it is more than what is remembered. */
void dn_store_raise_seen(struct dn_store *s, const struct dn_seen *seen);
/* More volumes failed than are tolerated. */
bool dn_store_has_failed(struct dn_store *s);

struct dn_volume_stat {
    char uuid[64];
    uint64_t capacity, used, remaining, seq;    /* seq: of the last change */
    bool failed;
};
unsigned dn_store_volume_count(struct dn_store *s);
void dn_store_volume_stat(struct dn_store *s, unsigned volume, struct dn_volume_stat *ret);
const char *dn_store_volume_dir(struct dn_store *s, unsigned volume);
/* Index of a storage uuid, -1 if it is none of ours. */
int dn_store_volume_find(struct dn_store *s, const char *uuid);

/*
 * The right to change one replica.  conns are connections whose shutdown makes the holder give up; they are
 * only touched while the claim is held.
 */
struct dn_claim {
    struct dn_replica *r;       /* NULL: holds nothing */
    bool stop;                  /* somebody else wants it */
    struct dtp_conn *conns[2];
};

/* RC_REPLICA_NOT_FOUND. */
enum rc dn_store_find(struct dn_store *s, struct block_id id, struct dn_view *ret, struct why *why) MUST_CHECK;
/* As find, but for a replica that is being written waits until so much is visible or the deadline passes. */
enum rc dn_store_find_visible(struct dn_store *s, struct block_id id, uint64_t bytes, uint64_t deadline_ms,
                              struct dn_view *ret, struct why *why) MUST_CHECK;

/* --- Writing (store_write.c).  A claim taken here is given back with dn_store_release. */

struct dn_write_options {
    uint64_t promise;           /* bytes that the block may grow to; for choosing a volume */
    uint32_t chunk;             /* bytes per checksum of a new replica */
    int volume;                 /* where a new replica is wanted; -1: anywhere */
};

/*
 * Plan q and do what it says, so that sink stands where data go on.  For DN_WRITE_CLOSE the replica is finalized
 * and *ret_seq is the number of that change; the sink is not open then.
 */
enum rc dn_store_begin(struct dn_store *s, const struct dn_write_request *q, const struct dn_write_options *o,
                       struct dn_claim *claim, struct dn_sink *sink, struct dn_write_plan *ret_plan, unsigned *ret_volume,
                       uint64_t *ret_seq, struct why *why) MUST_CHECK;
/* The holder's connection i (NULL: it has none any more).  RC_INTERRUPTED when somebody wants the claim. */
enum rc dn_store_watch(struct dn_store *s, struct dn_claim *claim, unsigned i, struct dtp_conn *conn) MUST_CHECK;
/* So many bytes are stored, and so many are acknowledged from here on (0: no news). */
void dn_store_progress(struct dn_store *s, struct dn_claim *claim, uint64_t bytes, uint64_t visible);
/* Make what the sink holds durable, its directory entry too; the replica stays as it is. */
enum rc dn_store_sync(struct dn_store *s, struct dn_claim *claim, struct dn_sink *sink, struct why *why) MUST_CHECK;
/* All data are there: durable, with its final names; *ret_seq is the number of the change. */
enum rc dn_store_finalize(struct dn_store *s, struct dn_claim *claim, struct dn_sink *sink, uint64_t *ret_seq,
                          struct why *why) MUST_CHECK;
/* A finished copy of a replica that is being written: TEMPORARY becomes RBW. */
enum rc dn_store_convert(struct dn_store *s, struct dn_claim *claim, struct dn_sink *sink, struct why *why) MUST_CHECK;
/* Give the claim back and leave nothing of the replica, which was made for this claim and has no data. */
void dn_store_discard(struct dn_store *s, struct dn_claim *claim);
/* Give the claim back.  A TEMPORARY that did not get further is deleted. */
void dn_store_release(struct dn_store *s, struct dn_claim *claim);
/* What a failure of reading or writing a volume's files means for it: RC_IO fences it. */
void dn_store_judge(struct dn_store *s, unsigned volume, enum rc rc, const struct why *why);

/*
 * Delete the replica if its stamp is not newer; aside_ms > 0: keep it out of the way for so long first.  volume (-1: any)
 * is where it is meant to be: if it is not there the NameNode is told so, and a replica elsewhere stays.
 */
enum rc dn_store_delete(struct dn_store *s, struct block_id id, struct stamp stamp, int volume, uint64_t aside_ms,
                        struct why *why) MUST_CHECK;
/* Delete what was set aside and has been kept long enough. */
void dn_store_expire(struct dn_store *s);

/* --- Recovery (store_recover.c): a leader asks each node for its replica, then tells them what to make of it. */

struct dn_found;
/*
 * Reserve the replica for a recovery, which gives it the stamp `recovery` in the end: its writer is stopped, nobody
 * else writes it.  Only for stamps later than the replica's and than any recovery before; a replica older than `stamp`
 * is told of and left alone.  RC_STALE_STAMP, RC_IN_RECOVERY.  A restart forgets the reservation.
 */
enum rc dn_store_init_recovery(struct dn_store *s, struct block_id id, struct stamp stamp, struct stamp recovery,
                               struct dn_found *ret, struct why *why) MUST_CHECK;
/*
 * The reserved replica becomes finalized with so many bytes and the recovery's stamp, durably; *ret_seq is the number of
 * the change.  RC_STALE_STAMP when it is not reserved for this recovery.
 */
enum rc dn_store_update_recovered(struct dn_store *s, struct block_id id, struct stamp recovery, uint64_t bytes,
                                  unsigned *ret_volume, uint64_t *ret_seq, struct why *why) MUST_CHECK;

/* --- Reading. */

struct dn_source {
    struct dn_view view;
    struct dn_meta meta;
    int data_fd, meta_fd;       /* owned; -1 when closed */
};

/* Open a replica whose stamp is at least stamp; up to view.visible may be read. */
enum rc dn_store_read(struct dn_store *s, struct block_id id, struct stamp stamp, struct dn_source *ret,
                      struct why *why) MUST_CHECK;
void dn_source_fini(struct dn_store *s, struct dn_source *src);
/*
 * Reading a replica failed: with RC_IO what it holds is not known, and a finalized one is suspect from now on; with
 * anything else it is damaged.  The NameNode is told, unless it was before, or the replica has changed since it was
 * opened.  True if so.
 */
bool dn_store_doubt(struct dn_store *s, const struct dn_view *view, enum rc rc);
/*
 * All bytes of a finalized replica agree with their checksums: no doubt about it is left, and the NameNode is told that
 * it is there.  False if it has changed since it was opened, or its files are longer than it is.
 */
bool dn_store_confirm(struct dn_store *s, const struct dn_source *src);
/* Up to max suspect replicas. */
size_t dn_store_suspects(struct dn_store *s, struct block_id *ret, size_t max);

/* --- Telling the NameNode (store_report.c). */

enum dn_change_kind { DN_RECEIVING = 1, DN_RECEIVED = 2, DN_DELETED = 3, DN_CORRUPT = 4,
                      DN_SUSPECT = 5 };     /* DnChange.Kind */

struct dn_change {
    enum dn_change_kind kind;
    struct block_id id;
    struct stamp stamp;
    uint64_t bytes, seq;
};

/* Wait until there are changes that somebody waits for, or any and the deadline has come. True: there are some. */
bool dn_store_wait_changes(struct dn_store *s, uint64_t deadline_ms);
void dn_store_wake_reports(struct dn_store *s);
/* Up to max unsent changes of a volume, oldest first. */
size_t dn_store_unsent(struct dn_store *s, unsigned volume, struct dn_change *out, size_t max);
/* The NameNode has answered for the changes up to seq. */
void dn_store_sent(struct dn_store *s, unsigned volume, uint64_t seq);
/* Wait until change seq of the volume was sent: RC_TIMEOUT, RC_STOPPED. */
enum rc dn_store_wait_sent(struct dn_store *s, unsigned volume, uint64_t seq, uint64_t deadline_ms, struct why *why) MUST_CHECK;
/* The queue of changes ran over: only a full report can tell the NameNode the state of this volume. Clears the mark. */
bool dn_store_needs_full(struct dn_store *s, unsigned volume);
/* All reported replicas of a volume sorted by id (caller frees, mem_free) as of change *ret_seq. */
enum rc dn_store_snapshot(struct dn_store *s, unsigned volume, struct dn_view **ret, size_t *ret_n, uint64_t *ret_seq,
                          struct why *why) MUST_CHECK;
/* Queue the damage and the doubts that are known of a volume's replicas once more. */
void dn_store_repeat_doubts(struct dn_store *s, unsigned volume);
/* Replicas and bytes, for pages. */
void dn_store_totals(struct dn_store *s, uint64_t *ret_replicas, uint64_t *ret_bytes);

#endif
