#include "dfsclient/visible.h"

#include <stdio.h>

#include "core/proto/client_datanode.pb-c.h"
#include "dfsclient/located.h"

enum rc
fs_visible_length(struct fs *fs, const struct fs_block *b, const struct fs_location *l, uint64_t patience_ms, uint64_t *ret,
                  struct why *why)
{
    struct rpc_client_options o = { .protocol = &client_datanode_rpc, .user = fs->user, .connect_ms = patience_ms };
    GetReplicaVisibleLengthRequestProto req = GET_REPLICA_VISIBLE_LENGTH_REQUEST_PROTO__INIT;
    const ProtobufCMessage *reply = NULL;
    struct rpc_client *c = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, MB);
    o.to.port = l->ipc_port;
    snprintf(o.to.host, sizeof o.to.host, "%s", l->host);
    if ((rc = rpc_client_new(&fs->w, &o, &c, why)) != RC_OK)
        goto out;
    if ((req.block = fs_put_block(&a, b, b->bytes)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = rpc_client_call(c, ROW_get_visible_length, &req.base, &a, patience_ms, &reply, why)) == RC_OK)
        *ret = ((const GetReplicaVisibleLengthResponseProto *)(const void *)reply)->length;
out:
    if (c != NULL)
        rpc_client_free(c);
    arena_fini(&a);
    return rc;
}

bool
fs_node_answers(struct fs *fs, const struct fs_block *b, const struct fs_location *l, uint64_t patience_ms)
{
    uint64_t ignored;
    enum rc rc = fs_visible_length(fs, b, l, patience_ms, &ignored, NULL);

    return rc != RC_TIMEOUT && rc != RC_REFUSED && rc != RC_UNREACHABLE && rc != RC_CLOSED;
}
