/*
 * unsupported -- methods that this version knows but does not carry out.
 */
#include "namenode/dispatch.h"

#define RPC_UNSUPPORTED(id, self, Request, Reply)                                                     \
    enum rc                                                                                             \
    nn_do_##id(struct self *nn, struct rpc_call *call, const Request *req, Reply *ret, struct why *why) \
    {                                                                                                   \
        (void)nn, (void)req, (void)ret;                                                                 \
        return why_set(why, RC_UNSUPPORTED, "%s is not supported", call->method->name);                 \
    }

RPC_UNSUPPORTED(append, nn_core, AppendRequestProto, AppendResponseProto)
RPC_UNSUPPORTED(truncate, nn_core, TruncateRequestProto, TruncateResponseProto)
RPC_UNSUPPORTED(add_block, nn_core, AddBlockRequestProto, AddBlockResponseProto)
RPC_UNSUPPORTED(abandon_block, nn_core, AbandonBlockRequestProto, AbandonBlockResponseProto)
RPC_UNSUPPORTED(complete, nn_core, CompleteRequestProto, CompleteResponseProto)
RPC_UNSUPPORTED(fsync, nn_core, FsyncRequestProto, FsyncResponseProto)
RPC_UNSUPPORTED(update_block_for_pipeline, nn_core, UpdateBlockForPipelineRequestProto, UpdateBlockForPipelineResponseProto)
RPC_UNSUPPORTED(update_pipeline, nn_core, UpdatePipelineRequestProto, UpdatePipelineResponseProto)
RPC_UNSUPPORTED(get_additional_datanode, nn_core, GetAdditionalDatanodeRequestProto, GetAdditionalDatanodeResponseProto)
RPC_UNSUPPORTED(report_bad_blocks, nn_core, ReportBadBlocksRequestProto, ReportBadBlocksResponseProto)
RPC_UNSUPPORTED(set_safe_mode, nn_core, SetSafeModeRequestProto, SetSafeModeResponseProto)
RPC_UNSUPPORTED(get_block_locations, nn_reader, GetBlockLocationsRequestProto, GetBlockLocationsResponseProto)
RPC_UNSUPPORTED(get_fs_stats, nn_reader, GetFsStatusRequestProto, GetFsStatsResponseProto)
RPC_UNSUPPORTED(get_datanode_report, nn_reader, GetDatanodeReportRequestProto, GetDatanodeReportResponseProto)
RPC_UNSUPPORTED(get_datanode_storage_report, nn_reader, GetDatanodeStorageReportRequestProto, GetDatanodeStorageReportResponseProto)
RPC_UNSUPPORTED(list_corrupt_file_blocks, nn_reader, ListCorruptFileBlocksRequestProto, ListCorruptFileBlocksResponseProto)
RPC_UNSUPPORTED(get_fs_replicated_block_stats, nn_reader, GetFsReplicatedBlockStatsRequestProto, GetFsReplicatedBlockStatsResponseProto)
RPC_UNSUPPORTED(get_fs_ec_block_group_stats, nn_reader, GetFsECBlockGroupStatsRequestProto, GetFsECBlockGroupStatsResponseProto)
RPC_UNSUPPORTED(list_open_files, nn_reader, ListOpenFilesRequestProto, ListOpenFilesResponseProto)
RPC_UNSUPPORTED(dn_register, nn_core, DnRegisterRequest, DnRegisterReply)
RPC_UNSUPPORTED(dn_heartbeat, nn_core, DnHeartbeatRequest, DnHeartbeatReply)
RPC_UNSUPPORTED(dn_wait_orders, nn_core, DnWaitOrdersRequest, DnWaitOrdersReply)
RPC_UNSUPPORTED(dn_blocks_changed, nn_core, DnBlocksChangedRequest, DnBlocksChangedReply)
RPC_UNSUPPORTED(dn_report_hashes, nn_core, DnReportHashesRequest, DnReportHashesReply)
RPC_UNSUPPORTED(dn_report_range, nn_core, DnReportRangeRequest, DnReportRangeReply)
RPC_UNSUPPORTED(dn_order_failed, nn_core, DnOrderFailedRequest, DnOrderFailedReply)
