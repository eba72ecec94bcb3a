/*
 * info -- what clients ask about the filesystem as a whole.
 */

#include "namenode/dispatch.h"
#include "namenode/groups.h"
#include "namenode/reader.h"
#include "namenode/resolve.h"

#define FILE_BUFFER_BYTES 4096
#define POLICY_HOT 7

enum rc
nn_do_get_server_defaults(struct nn_reader *r, struct rpc_call *call, const GetServerDefaultsRequestProto *req,
                          GetServerDefaultsResponseProto *ret, struct why *why)
{
    FsServerDefaultsProto *d = arena_alloc(&call->arena, sizeof *d);
    const struct conf *conf = &r->nn->conf;

    (void)req;
    if (d == NULL)
        return why_rc(why, RC_NOMEM);
    fs_server_defaults_proto__init(d);
    d->blocksize = conf->block_bytes;
    d->bytesperchecksum = (uint32_t)conf->bytes_per_checksum;
    d->writepacketsize = (uint32_t)conf->packet_bytes;
    d->replication = (uint32_t)conf->replication;
    d->filebuffersize = FILE_BUFFER_BYTES;
    d->has_encryptdatatransfer = d->has_trashinterval = d->has_checksumtype = true;
    d->has_keyprovideruri = d->has_policyid = d->has_snapshottrashrootenabled = true;
    d->trashinterval = conf->trash_interval_min;
    d->checksumtype = CHECKSUM_TYPE_PROTO__CHECKSUM_CRC32C;
    d->keyprovideruri = rpc_text(&call->arena, "");     /* present and empty: there is no key server */
    d->policyid = POLICY_HOT;
    ret->serverdefaults = d;
    return RC_OK;
}

/* No token: nobody is authenticated by one. */
enum rc
nn_do_get_delegation_token(struct nn_reader *r, struct rpc_call *call, const GetDelegationTokenRequestProto *req,
                           GetDelegationTokenResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)ret, (void)why;
    return RC_OK;
}

/* No key: data is not encrypted on its way. */
enum rc
nn_do_get_data_encryption_key(struct nn_reader *r, struct rpc_call *call, const GetDataEncryptionKeyRequestProto *req,
                              GetDataEncryptionKeyResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)ret, (void)why;
    return RC_OK;
}

/* A read begins after it arrived: whoever gets this answer sees all that was acknowledged before. */
enum rc
nn_do_msync(struct nn_reader *r, struct rpc_call *call, const MsyncRequestProto *req, MsyncResponseProto *ret,
            struct why *why)
{
    (void)r, (void)call, (void)req, (void)ret, (void)why;
    return RC_OK;
}

enum rc
nn_do_get_ha_service_state(struct nn_reader *r, struct rpc_call *call, const HAServiceStateRequestProto *req,
                           HAServiceStateResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)ret;
    return why_set(why, RC_STALE_STATE, "HA for namenode is not enabled");
}

/* None: files are kept as replicas. */
enum rc
nn_do_get_erasure_coding_policies(struct nn_reader *r, struct rpc_call *call,
                                  const GetErasureCodingPoliciesRequestProto *req,
                                  GetErasureCodingPoliciesResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)ret, (void)why;
    return RC_OK;
}

enum rc
nn_do_monitor_health(struct nn_reader *r, struct rpc_call *call, const MonitorHealthRequestProto *req,
                     MonitorHealthResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)ret, (void)why;
    return RC_OK;
}

enum rc
nn_do_get_service_status(struct nn_reader *r, struct rpc_call *call, const GetServiceStatusRequestProto *req,
                         GetServiceStatusResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)why;
    ret->state = HASERVICE_STATE_PROTO__ACTIVE;
    return RC_OK;
}

struct group_list {
    struct rpc_call *call;
    GetGroupsForUserResponseProto *ret;
    size_t cap;
};

static void
add_group(void *arg, const char *group)
{
    struct group_list *l = arg;

    if (l->ret->n_groups < l->cap)
        l->ret->groups[l->ret->n_groups++] = rpc_text(&l->call->arena, group);
}

enum rc
nn_do_get_groups_for_user(struct nn_reader *r, struct rpc_call *call, const GetGroupsForUserRequestProto *req,
                          GetGroupsForUserResponseProto *ret, struct why *why)
{
    struct group_list l = { .call = call, .ret = ret, .cap = 1024 };
    const char *user = arena_strndup(&call->arena, req->user.len == 0 ? (const void *)"" : req->user.data, req->user.len);

    if (user == NULL || (ret->groups = arena_calloc(&call->arena, l.cap, sizeof *ret->groups)) == NULL)
        return why_rc(why, RC_NOMEM);
    nn_groups_each(r->nn, user, add_group, &l);
    return RC_OK;
}
