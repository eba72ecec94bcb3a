#include "core/rpc/protocols.h"

#include "core/base/attr.h"
#include "core/proto/admin.pb-c.h"
#include "core/proto/client_datanode.pb-c.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/datanode.pb-c.h"
#include "core/proto/jobtracker.pb-c.h"

#define RPC(method, wire, Request, Reply, bits) { .name = (wire), .flags = (bits) },
static const struct rpc_method client_namenode_rows[] = {
#include "core/proto/client_namenode.def"
};
static const struct rpc_method client_datanode_rows[] = {
#include "core/proto/client_datanode.def"
};
static const struct rpc_method inter_datanode_rows[] = {
#include "core/proto/inter_datanode.def"
};
static const struct rpc_method datanode_rows[] = {
#include "core/proto/datanode.def"
};
static const struct rpc_method ha_service_rows[] = {
#include "core/proto/ha_service.def"
};
static const struct rpc_method user_mappings_rows[] = {
#include "core/proto/user_mappings.def"
};
static const struct rpc_method job_client_rows[] = {
#include "core/proto/jobclient.def"
};
static const struct rpc_method tracker_rows[] = {
#include "core/proto/tracker.def"
};
#undef RPC

#define PROTOCOL(symbol, text, descriptor)                                                                  \
    const struct rpc_protocol symbol##_rpc = { .name = (text), .version = 1, .service = &(descriptor),      \
                                               .methods = symbol##_rows, .method_count = ARRAY_LEN(symbol##_rows) }

PROTOCOL(client_namenode, "org.apache.hadoop.hdfs.protocol.ClientProtocol", client_namenode_protocol__descriptor);
PROTOCOL(client_datanode, "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol",
         client_datanode_protocol_service__descriptor);
PROTOCOL(inter_datanode, "org.apache.hadoop.hdfs.server.protocol.InterDatanodeProtocol",
         inter_datanode_protocol_service__descriptor);
PROTOCOL(datanode, "millrace.DatanodeProtocol", datanode_protocol__descriptor);
PROTOCOL(ha_service, "org.apache.hadoop.ha.HAServiceProtocol", haservice_protocol_service__descriptor);
PROTOCOL(user_mappings, "org.apache.hadoop.tools.GetUserMappingsProtocol", get_user_mappings_protocol_service__descriptor);
PROTOCOL(job_client, "millrace.JobClientProtocol", job_client_protocol__descriptor);
PROTOCOL(tracker, "millrace.TrackerProtocol", tracker_protocol__descriptor);
