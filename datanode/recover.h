/*
 * recover -- the recovery of blocks whose writer is gone: leading one, by order of
 * the NameNode, and taking part in one that another DataNode leads.
 *
 * The leader asks every node that may have a replica (initReplicaRecovery: its
 * writer is stopped, the replica reserved), decides (agree.h), tells those that
 * take part (updateReplicaUnderRecovery) and then the NameNode
 * (commitBlockSynchronization).  Whatever dies on the way, the next attempt has a
 * later stamp, and a node refuses what an earlier one still wants of it.
 */
#ifndef DATANODE_RECOVER_H
#define DATANODE_RECOVER_H

#include "core/base/arena.h"
#include "core/proto/client_datanode.pb-c.h"
#include "core/proto/datanode.pb-c.h"
#include "datanode/dn.h"

struct dn_link;

/* Lead a recovery in a thread of its own. */
enum rc dn_recover_start(struct dn_link *l, uint64_t epoch, const DnOrder *o) MUST_CHECK;

/* What the leader of one asks of this node; they wait for the disk. */
enum rc dn_do_init_recovery(struct dn *dn, const InitReplicaRecoveryRequestProto *req, struct arena *arena,
                            InitReplicaRecoveryResponseProto *reply, struct why *why) MUST_CHECK;
enum rc dn_do_update_recovered(struct dn *dn, const UpdateReplicaUnderRecoveryRequestProto *req, struct arena *arena,
                               UpdateReplicaUnderRecoveryResponseProto *reply, struct why *why) MUST_CHECK;

#endif
