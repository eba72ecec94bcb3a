/*
 * link_priv -- what the parts of the link share: link.c (registration, heartbeats),
 * reporter.c (changes, full reports), orders.c.
 */
#ifndef DATANODE_LINK_PRIV_H
#define DATANODE_LINK_PRIV_H

#include "core/io/queue.h"
#include "core/proto/datanode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "datanode/link.h"

struct dn_link {
    struct dn *dn;
    struct rpc_client *rpc;
    char uuid[64];                      /* of this node */
    struct mutex *mu;                   /* guards what follows */
    struct cond *changed;               /* epoch or stop */
    bool stop;
    uint64_t epoch;                     /* 0: not registered */
    uint64_t registrations;
    bool deleting;                      /* the worker carries out an order of this registration */
    bool full[DN_VOLUMES_MAX];          /* a full report is due */
    struct queue *work;                 /* struct dn_task: deletions */
    struct thread *keeper, *reporter, *taker, *worker;
};

#define DN_CALL_MS 60000                /* for the answer to a short call */
#define DN_ARENA (16 * MB)

/* Registered as of now: the epoch, or 0. */
uint64_t dn_link_epoch(struct dn_link *l);
/* Wait until registered: the epoch, or 0 when stopping. */
uint64_t dn_link_wait(struct dn_link *l);
bool dn_link_stopping(struct dn_link *l);
/* Sleep, but not after the link was told to stop. */
void dn_link_pause(struct dn_link *l, uint64_t ms);
/*
 * One call.  RC_UNREGISTERED ends the registration of that epoch, so that the keeper
 * makes a new one.
 */
enum rc dn_link_call(struct dn_link *l, uint64_t epoch, enum datanode_row method, const ProtobufCMessage *request,
                     struct arena *arena, uint64_t timeout_ms, const ProtobufCMessage **ret, struct why *why) MUST_CHECK;

/* Tell the NameNode that an order came to nothing; bad_uuid may be NULL. */
void dn_link_order_failed(struct dn_link *l, uint64_t epoch, uint64_t seq, const DnBlock *block, const char *reason,
                          const char *bad_uuid);

void dn_link_reporter(void *link);
void dn_link_taker(void *link);
void dn_link_worker(void *link);

#endif
