/*
 * ipc -- what clients ask a DataNode by RPC (ClientDatanodeProtocol).
 *
 * Handlers only look things up in the store, so they run where the call arrives.
 */
#ifndef DATANODE_IPC_H
#define DATANODE_IPC_H

#include "core/base/rc.h"
#include "datanode/dn.h"

struct dn_ipc;

enum rc dn_ipc_start(struct dn *dn, struct dn_ipc **ret, struct why *why) MUST_CHECK;    /* sets dn->ipc_at */
void dn_ipc_stop(struct dn_ipc *ipc);

#endif
