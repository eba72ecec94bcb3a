/*
 * store_priv -- what the parts of the store share: store.c (start, looking up,
 * deleting), store_write.c, store_report.c.
 */
#ifndef DATANODE_STORE_PRIV_H
#define DATANODE_STORE_PRIV_H

#include "core/base/clock.h"
#include "core/base/table.h"
#include "core/io/thread.h"
#include "datanode/agree.h"
#include "datanode/choose.h"
#include "datanode/store.h"

#define DN_LEAVES (32 * 32)
#define DN_UNSENT_MAX 200000        /* changes of a volume that wait; beyond it a full report is due */

struct dn_replica {
    uint64_t id;                    /* key */
    struct stamp stamp;
    unsigned state;                 /* enum replica_state */
    unsigned before;                /* while RUR: what it was, and where its files are */
    struct stamp recovery;          /* the last one that reserved it; 0: none since the start */
    unsigned volume;
    uint64_t bytes, visible, promised;
    bool corrupt;
    bool suspect;                   /* could not be read */
    bool dir_synced;                /* its names in rbw/ are durable */
    struct dn_claim *claim;         /* NULL: nobody's */
    UT_hash_handle hh;
};

struct dn_volume {
    struct dn_volume_dir d;
    bool failed;
    uint64_t used, promised;
    struct dn_choice choice;
    uint64_t leaf[DN_LEAVES / 64];  /* directories of finalized/ that are known to be there */
    uint64_t seq, sent;             /* of changes: last one made, last one answered for */
    struct dn_change *unsent;
    size_t unsent_n, unsent_cap;
    bool urgent;                    /* somebody waits for one of them */
    bool needs_full;
};

struct dn_store {
    struct world w;
    uint64_t reserved, claim_ms;
    unsigned failed_max;
    struct mutex *mu;               /* everything below */
    struct cond *claims;            /* a claim was given back */
    struct cond *visible;           /* a replica grew, for those who wait for it */
    struct cond *changes;           /* there is something to send */
    struct cond *sent;              /* the NameNode answered */
    unsigned visible_waiters;
    bool stop, dead, joined;
    struct dn_identity id;
    struct dn_seen seen;
    struct dn_volume *volumes;
    unsigned volume_count, failed_count;
    struct dn_replica *replicas;
    bool has_suspects;              /* there may be some among them */
};

/* All of these want the lock held unless they say otherwise. */
struct dn_replica *dn_replica_find(struct dn_store *s, struct block_id id);
enum replica_state dn_replica_shown(const struct dn_replica *r);       /* its state, but what it was while RUR */
void dn_replica_view(const struct dn_replica *r, struct dn_view *ret);
struct dn_replica *dn_replica_add(struct dn_store *s, const struct dn_view *v);     /* NULL: no memory */
void dn_replica_remove(struct dn_store *s, struct dn_replica *r);
void dn_replica_set_bytes(struct dn_store *s, struct dn_replica *r, uint64_t bytes);
/* Make r's holder give its claim up and wait for that; r may be gone afterwards. */
enum rc dn_replica_oust(struct dn_store *s, struct dn_replica *r, uint64_t deadline_ms, struct why *why) MUST_CHECK;
/* Unlocked, with r's claim: remove its files. */
enum rc dn_replica_unlink(struct dn_store *s, struct dn_replica *r, struct why *why);
/* Unlocked, with r's claim: finalized with plan->keep of its bytes and plan->stamp, durably. */
enum rc dn_replica_cut(struct dn_store *s, struct dn_claim *claim, const struct dn_write_plan *plan, uint64_t *ret_seq,
                       struct why *why);
uint64_t dn_change_push(struct dn_store *s, enum dn_change_kind kind, const struct dn_replica *r);
/* The same of a replica that is on this volume, or was never there. */
uint64_t dn_change_push_at(struct dn_store *s, unsigned volume, enum dn_change_kind kind, struct block_id id,
                           struct stamp stamp, uint64_t bytes);
uint64_t dn_volume_room(struct dn_store *s, unsigned volume, uint64_t *ret_capacity);   /* asks the disk */
void dn_store_fence(struct dn_store *s, unsigned volume, const char *reason);

#endif
