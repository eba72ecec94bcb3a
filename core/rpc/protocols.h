/*
 * protocols -- the RPC protocols that Millrace speaks, and the numbers of their rows.
 *
 * A row's number is ROW_<method>, whatever its protocol; rpc_client_call takes it,
 * a server's call has it in method_index.
 */
#ifndef CORE_RPC_PROTOCOLS_H
#define CORE_RPC_PROTOCOLS_H

#include "core/rpc/method.h"

extern const struct rpc_protocol client_namenode_rpc;       /* clients to the NameNode */
extern const struct rpc_protocol client_datanode_rpc;       /* clients to a DataNode */
extern const struct rpc_protocol inter_datanode_rpc;        /* DataNode to DataNode */
extern const struct rpc_protocol datanode_rpc;              /* DataNode to NameNode */
extern const struct rpc_protocol ha_service_rpc;            /* administration tools to the NameNode */
extern const struct rpc_protocol user_mappings_rpc;         /* `hdfs groups` to the NameNode */
extern const struct rpc_protocol job_client_rpc;            /* `mr` to the JobTracker */
extern const struct rpc_protocol tracker_rpc;               /* TaskTracker to JobTracker */

#define RPC(method, wire, Request, Reply, flags) ROW_##method,
enum client_namenode_row {
#include "core/proto/client_namenode.def"
};
enum client_datanode_row {
#include "core/proto/client_datanode.def"
};
enum inter_datanode_row {
#include "core/proto/inter_datanode.def"
};
enum datanode_row {
#include "core/proto/datanode.def"
};
enum ha_service_row {
#include "core/proto/ha_service.def"
};
enum user_mappings_row {
#include "core/proto/user_mappings.def"
};
enum job_client_row {
#include "core/proto/jobclient.def"
};
enum tracker_row {
#include "core/proto/tracker.def"
};
#undef RPC

#endif
