/* Setting a pipeline up, and up again: whom to connect to and in which stage. */
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "dfsclient/located.h"
#include "dfsclient/pipeline.h"
#include "dfsclient/visible.h"

#define PER_NODE_MS 5000        /* more to wait for each node behind the first */
#define PROBE_MS 1000           /* for a node to say that it lives */
#define REPLACE_TRIES 3         /* to find a node more and fill it */
#define NO_NODE SIZE_MAX        /* none failed */

static enum rc
fill_targets(struct pipeline *pl, OpWriteBlockProto *op, struct arena *a)
{
    const struct fs_location *l = pl->block.locations;
    size_t n = pl->block.location_count - 1;

    op->has_storagetype = true;
    op->storagetype = (StorageTypeProto)l[0].storage_type;
    op->has_storageid = true;
    op->storageid = fs_bin(l[0].storage_uuid);
    if (n == 0)
        return RC_OK;
    if ((op->targets = fs_put_nodes(a, l + 1, n)) == NULL ||
        (op->targetstoragetypes = arena_calloc(a, n, sizeof *op->targetstoragetypes)) == NULL ||
        (op->targetstorageids = arena_calloc(a, n, sizeof *op->targetstorageids)) == NULL ||
        (op->targetpinnings = arena_calloc(a, n, sizeof *op->targetpinnings)) == NULL)
        return RC_NOMEM;
    for (size_t i = 0; i < n; i++) {
        op->targetstoragetypes[i] = (StorageTypeProto)l[i + 1].storage_type;
        op->targetstorageids[i] = fs_bin(l[i + 1].storage_uuid);
    }
    op->n_targets = op->n_targetstoragetypes = op->n_targetstorageids = op->n_targetpinnings = n;
    return RC_OK;
}

static enum rc
set_up(struct pipeline *pl, enum dtp_stage stage, uint64_t new_stamp, struct arena *a, struct why *why)
{
    OpWriteBlockProto op = OP_WRITE_BLOCK_PROTO__INIT;
    ChecksumProto sum = CHECKSUM_PROTO__INIT;
    BlockOpResponseProto *r = NULL;
    char link[300] = "";
    enum rc rc;

    sum.type = CHECKSUM_TYPE_PROTO__CHECKSUM_CRC32C;
    sum.bytesperchecksum = pl->chunk;
    op.requestedchecksum = &sum;
    op.stage = (OpWriteBlockProto__BlockConstructionStage)stage;
    op.pipelinesize = (uint32_t)pl->block.location_count;
    op.latestgenerationstamp = new_stamp;
    if (stage != DTP_SETUP_CREATE) {
        op.minbytesrcvd = pl->bytes_acked;
        op.maxbytesrcvd = pl->bytes_sent;
    }
    if ((op.header = fs_put_header(a, &pl->block, pl->block_bytes, pl->fs->client_name)) == NULL ||
        fill_targets(pl, &op, a) != RC_OK)
        return why_rc(why, RC_NOMEM);
    if ((rc = dtp_send_op(&pl->conn, DTP_WRITE_BLOCK, &op.base, why)) != RC_OK ||
        (rc = dtp_recv_response(&pl->conn, a, &r, why)) != RC_OK)
        return rc;
    if (r->has_firstbadlink)
        snprintf(link, sizeof link, "%.*s", (int)(r->firstbadlink.len < 299 ? r->firstbadlink.len : 299),
                 (const char *)r->firstbadlink.data);
    if (r->status == STATUS__SUCCESS && link[0] == '\0')
        return RC_OK;
    pl->bad = recovery_blame_setup(link, pl->block.locations, pl->block.location_count);
    pl->sure = true;
    if (link[0] == '\0' && pl->bad < pl->block.location_count)      /* it speaks of itself */
        snprintf(link, sizeof link, "%s:%u", pl->block.locations[pl->bad].host, pl->block.locations[pl->bad].data_port);
    return why_set(why, RC_IO_EXCEPTION, "%s from the pipeline, first bad node %s%s%.*s", dtp_status_name(r->status),
                   link[0] != '\0' ? link : "unknown", r->has_message ? ": " : "",
                   r->has_message ? (int)r->message.len : 0, r->has_message ? (const char *)r->message.data : "");
}

void
pipeline_first(const struct pipeline *pl, struct net_addr *ret)
{
    *ret = (struct net_addr){ .port = pl->block.locations[0].data_port };
    snprintf(ret->host, sizeof ret->host, "%s", pl->block.locations[0].host);
}

enum rc
pipeline_connect(struct pipeline *pl, enum dtp_stage stage, uint64_t new_stamp)
{
    const struct conf *c = &pl->fs->conf;
    uint64_t more_ms = (c->socket_ms < PER_NODE_MS ? c->socket_ms : PER_NODE_MS) * pl->block.location_count;
    struct net_addr to;
    struct arena a;
    enum rc rc;

    pl->bad = 0;
    pl->sure = false;
    if (pl->block.location_count == 0)
        return why_set(&pl->bad_why, RC_IO_EXCEPTION, "the NameNode gave no DataNode");
    arena_init(&a, 4 * MB);
    pipeline_first(pl, &to);
    rc = RC_CLOSED;
    if (stage == DTP_SETUP_CREATE &&
        dtp_idle_take(pl->fs->idle, &to, c->socket_ms + more_ms, c->dn_socket_ms + more_ms, &pl->conn) &&
        (rc = set_up(pl, stage, new_stamp, &a, &pl->bad_why)) == RC_CLOSED)
        dtp_conn_fini(&pl->conn);
    if (rc == RC_CLOSED) {
        if ((rc = dtp_connect(&pl->conn, &pl->fs->w, &to, c->socket_ms, c->socket_ms + more_ms, c->dn_socket_ms + more_ms,
                              &pl->bad_why)) == RC_OK)
            rc = set_up(pl, stage, new_stamp, &a, &pl->bad_why);
        else
            pl->sure = true;        /* it is this node that cannot be reached */
    }
    if (rc != RC_OK)
        dtp_conn_fini(&pl->conn);
    arena_fini(&a);
    return rc;
}

/* A location in one allocation of its own. */
static struct fs_location *
keep_location(const struct fs_location *l)
{
    size_t n[5] = { strlen(l->host) + 1, strlen(l->name) + 1, strlen(l->node_uuid) + 1, strlen(l->storage_uuid) + 1,
                    strlen(l->rack) + 1 };
    struct fs_location *k = mem_alloc(sizeof *k + n[0] + n[1] + n[2] + n[3] + n[4]);
    char *p;

    if (k == NULL)
        return NULL;
    *k = *l;
    p = (char *)(k + 1);
    k->host = memcpy(p, l->host, n[0]);
    k->name = memcpy(p += n[0], l->name, n[1]);
    k->node_uuid = memcpy(p += n[1], l->node_uuid, n[2]);
    k->storage_uuid = memcpy(p += n[2], l->storage_uuid, n[3]);
    k->rack = memcpy(p + n[3], l->rack, n[4]);
    return k;
}

/* Nodes that are not to be chosen; one more is forgotten when there is no room for it. */
static void
exclude(struct pipeline *pl, const struct fs_location *l)
{
    struct fs_location *k;

    if (pl->excluded_count < PIPELINE_NODES_MAX && (k = keep_location(l)) != NULL)
        pl->excluded[pl->excluded_count++] = k;
}

void
pipeline_probe(struct pipeline *pl)
{
    const struct fs_location *l = pl->block.locations;
    size_t n = pl->block.location_count;
    bool answers[PIPELINE_NODES_MAX], again;

    if (pl->bad >= n)
        return;
    again = pl->sure && pl->bad > 0 && strcmp(pl->accuser, l[pl->bad - 1].node_uuid) == 0;
    for (size_t i = 0; i < n; i++)
        answers[i] = (pl->sure && !(again && i == pl->bad)) || fs_node_answers(pl->fs, &pl->block, &l[i], PROBE_MS);
    if (pl->sure && pl->bad > 0)
        snprintf(pl->accuser, sizeof pl->accuser, "%s", l[pl->bad - 1].node_uuid);
    pl->bad = recovery_blame(pl->bad, pl->sure, again, answers, n);
}

void
pipeline_drop(struct pipeline *pl, size_t bad)
{
    struct fs_location *l = pl->block.locations;

    if (bad >= pl->block.location_count)
        return;
    exclude(pl, &l[bad]);
    memmove(&l[bad], &l[bad + 1], (pl->block.location_count - bad - 1) * sizeof *l);
    pl->block.location_count--;
}

void
pipeline_forgive(struct pipeline *pl)
{
    while (pl->excluded_count > 0)
        mem_free(pl->excluded[--pl->excluded_count]);
}

static enum rc
ask_for_node(struct pipeline *pl, struct arena *a, struct fs_block *ret, struct why *why)
{
    GetAdditionalDatanodeRequestProto req = GET_ADDITIONAL_DATANODE_REQUEST_PROTO__INIT;
    const struct fs_location *l = pl->block.locations;
    size_t n = pl->block.location_count;
    const void *reply = NULL;
    enum rc rc;

    if ((req.blk = fs_put_block(a, &pl->block, pl->bytes_acked)) == NULL ||
        (req.existings = fs_put_nodes(a, l, n)) == NULL ||
        (req.existingstorageuuids = arena_calloc(a, n, sizeof *req.existingstorageuuids)) == NULL ||
        (req.excludes = arena_calloc(a, pl->excluded_count + 1, sizeof(DatanodeInfoProto *))) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < n; i++)
        req.existingstorageuuids[i] = fs_bin(l[i].storage_uuid);
    for (; req.n_excludes < pl->excluded_count; req.n_excludes++)
        if ((req.excludes[req.n_excludes] = fs_put_node(a, pl->excluded[req.n_excludes])) == NULL)
            return why_rc(why, RC_NOMEM);
    req.src = fs_bin(pl->path);
    req.n_existings = req.n_existingstorageuuids = n;
    req.numadditionalnodes = 1;
    req.clientname = fs_bin(pl->fs->client_name);
    req.has_fileid = true;
    req.fileid = pl->file_id;
    if ((rc = fs_call_patient(pl->fs, ROW_get_additional_datanode, &req.base, a, &reply, why)) != RC_OK)
        return rc;
    return fs_take_block(((const GetAdditionalDatanodeResponseProto *)reply)->block, a, ret, why);
}

/* Have node from, which holds what was acked, copy it to node to. */
static enum rc
transfer(struct pipeline *pl, const struct fs_location *from, const struct fs_location *to, const struct fs_token *token,
         struct arena *a, struct why *why)
{
    OpTransferBlockProto op = OP_TRANSFER_BLOCK_PROTO__INIT;
    const struct conf *c = &pl->fs->conf;
    struct fs_block b = pl->block;
    StorageTypeProto type = (StorageTypeProto)to->storage_type;
    ProtobufCBinaryData storage = fs_bin(to->storage_uuid);
    struct dtp_conn conn = { .sock = -1 };
    BlockOpResponseProto *r = NULL;
    struct net_addr addr = { .port = from->data_port };
    /* The copy moves as many bytes as were acked: give it 1 ms for 4 KB on top. */
    uint64_t read_ms = c->socket_ms + PER_NODE_MS + pl->bytes_acked / (4 * KB);
    enum rc rc;

    b.token = *token;
    snprintf(addr.host, sizeof addr.host, "%s", from->host);
    if ((op.header = fs_put_header(a, &b, pl->bytes_acked, pl->fs->client_name)) == NULL ||
        (op.targets = fs_put_nodes(a, to, 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    op.n_targets = op.n_targetstoragetypes = op.n_targetstorageids = 1;
    op.targetstoragetypes = &type;
    op.targetstorageids = &storage;
    if ((rc = dtp_connect(&conn, &pl->fs->w, &addr, c->socket_ms, read_ms, c->dn_socket_ms, why)) == RC_OK &&
        (rc = dtp_send_op(&conn, DTP_TRANSFER_BLOCK, &op.base, why)) == RC_OK &&
        (rc = dtp_recv_response(&conn, a, &r, why)) == RC_OK && r->status != STATUS__SUCCESS)
        rc = why_set(why, RC_IO_EXCEPTION, "copying the block to a new node: %s", dtp_status_name(r->status));
    dtp_conn_fini(&conn);
    return rc;
}

/* The node in more that the pipeline does not have; NULL: none. */
static const struct fs_location *
find_new(const struct pipeline *pl, const struct fs_block *more)
{
    const struct fs_location *fresh = NULL;

    for (size_t i = 0; i < more->location_count; i++) {
        bool known = false;
        for (size_t k = 0; k < pl->block.location_count; k++)
            known = known || fs_same_node(&more->locations[i], &pl->block.locations[k]);
        if (!known)
            fresh = &more->locations[i];
    }
    return fresh;
}

/* When nobody else is left: nodes that failed longer ago may have been started again.  Not the last one that failed. */
static bool
forgive_older(struct pipeline *pl)
{
    size_t last = pl->excluded_count;

    if (last < 2)
        return false;
    for (size_t i = 0; i + 1 < last; i++)
        mem_free(pl->excluded[i]);
    pl->excluded[0] = pl->excluded[last - 1];
    pl->excluded_count = 1;
    return true;
}

/* Ask for a node and have one of ours copy what was acked to it; *ret is in a. */
static enum rc
copy_to_new(struct pipeline *pl, struct arena *a, struct fs_location *ret, struct why *why)
{
    size_t n = pl->block.location_count, excluded = pl->excluded_count;
    const struct fs_location *fresh;
    struct fs_block more;
    enum rc rc;

    for (unsigned tries = 0;; tries++) {
        if ((rc = ask_for_node(pl, a, &more, why)) != RC_OK)
            break;
        fresh = find_new(pl, &more);
        if (fresh == NULL && tries == 0 && forgive_older(pl)) {
            excluded = 1;
            continue;
        }
        if (fresh == NULL) {
            rc = why_set(why, RC_IO_EXCEPTION, "Failed to replace a bad datanode on the existing pipeline due to no more "
                         "good datanodes being available to try");
            break;
        }
        /* Either end of a copy that fails may be at fault: the next try has both others. */
        if ((rc = transfer(pl, &pl->block.locations[tries % n], fresh, &more.token, a, why)) == RC_OK) {
            *ret = *fresh;
            break;
        }
        if (tries + 1 == REPLACE_TRIES)
            break;
        exclude(pl, fresh);
    }
    while (pl->excluded_count > excluded)
        mem_free(pl->excluded[--pl->excluded_count]);
    return rc;
}

/* A new node behind those that are left, with what was acked. */
static enum rc
replace_node(struct pipeline *pl, struct why *why)
{
    size_t n = pl->block.location_count;
    struct fs_location *grown, fresh;
    struct arena a;
    enum rc rc;

    arena_init(&a, FS_REPLY_MAX);
    if ((rc = copy_to_new(pl, &a, &fresh, why)) != RC_OK)
        goto out;
    if ((grown = arena_calloc(&pl->arena, n + 1, sizeof *grown)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    memcpy(grown, pl->block.locations, n * sizeof *grown);
    if ((rc = fs_copy_location(&fresh, &pl->arena, &grown[n], why)) == RC_OK) {
        pl->block.locations = grown;
        pl->block.location_count = n + 1;
    }
out:
    arena_fini(&a);
    return rc;
}

static enum rc
new_stamp(struct pipeline *pl, uint64_t *ret_stamp, struct why *why)
{
    UpdateBlockForPipelineRequestProto req = UPDATE_BLOCK_FOR_PIPELINE_REQUEST_PROTO__INIT;
    const LocatedBlockProto *lb;
    const void *reply = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, MB);
    rc = RC_NOMEM;
    if ((req.block = fs_put_block(&a, &pl->block, pl->bytes_acked)) == NULL)
        goto out;
    req.clientname = fs_bin(pl->fs->client_name);
    if ((rc = fs_call_patient(pl->fs, ROW_update_block_for_pipeline, &req.base, &a, &reply, why)) != RC_OK)
        goto out;
    lb = ((const UpdateBlockForPipelineResponseProto *)reply)->block;
    if ((rc = fs_take_token(lb->blocktoken, &pl->arena, &pl->block.token, why)) == RC_OK)
        *ret_stamp = lb->b->generationstamp;
out:
    arena_fini(&a);
    return rc;
}

/* Tell the NameNode who writes the block now, and make the new stamp ours. */
static enum rc
update_pipeline(struct pipeline *pl, uint64_t stamp, struct why *why)
{
    UpdatePipelineRequestProto req = UPDATE_PIPELINE_REQUEST_PROTO__INIT;
    size_t n = pl->block.location_count;
    struct fs_block now = pl->block;
    struct arena a;
    enum rc rc;

    arena_init(&a, 4 * MB);
    now.stamp = stamp;
    rc = RC_NOMEM;
    if ((req.oldblock = fs_put_block(&a, &pl->block, pl->bytes_acked)) == NULL ||
        (req.newblock = fs_put_block(&a, &now, pl->bytes_acked)) == NULL ||
        (req.newnodes = arena_calloc(&a, n, sizeof(DatanodeIDProto *))) == NULL ||
        (req.storageids = arena_calloc(&a, n, sizeof *req.storageids)) == NULL)
        goto out;
    for (size_t i = 0; i < n; i++) {
        if ((req.newnodes[i] = fs_put_node_id(&a, &pl->block.locations[i])) == NULL)
            goto out;
        req.storageids[i] = fs_bin(pl->block.locations[i].storage_uuid);
    }
    req.n_newnodes = req.n_storageids = n;
    req.clientname = fs_bin(pl->fs->client_name);
    if ((rc = fs_call_patient(pl->fs, ROW_update_pipeline, &req.base, &a, NULL, why)) == RC_OK)
        pl->block.stamp = stamp;
out:
    arena_fini(&a);
    return rc;
}

static enum rc
all_bad(struct pipeline *pl, struct why *why)
{
    struct buf b;
    char text[300];
    enum rc rc;

    buf_init(&b, WHY_TEXT_MAX);
    for (size_t i = 0; i < pl->excluded_count; i++)
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", fs_location_text(pl->excluded[i], text));
    rc = why_set(why, RC_IO_EXCEPTION, "All datanodes [%.*s] are bad. Aborting... The last one: %s", buf_ok(&b) ? (int)b.n : 0,
                 buf_ok(&b) ? (const char *)b.p : "", pl->bad_why.text);
    buf_fini(&b);
    return rc;
}

/* A node more, if the policy wants one.  Without it the write goes on as far as the options allow. */
static enum rc
fill_up(struct pipeline *pl, struct why *why)
{
    const struct conf *c = &pl->fs->conf;
    enum replace_policy policy = REPLACE_DEFAULT;
    enum rc rc;

    if (!c->replace_enable)
        return RC_OK;
    if (!replace_policy_parse(c->replace_policy, &policy))
        return why_set(why, RC_BAD_CONFIG, "dfs.client.block.write.replace-datanode-on-failure.policy: \"%s\" is not "
                       "DEFAULT, ALWAYS or NEVER", c->replace_policy);
    if (!recovery_wants_node(policy, pl->replication, pl->block.location_count, pl->flushed) ||
        (rc = replace_node(pl, why)) == RC_OK)
        return RC_OK;
    if (c->replace_best_effort || (c->replace_min > 0 && pl->block.location_count >= c->replace_min))
        return RC_OK;
    return rc;
}

/* Leave out the node that failed (pl->bad; none: NO_NODE), until a pipeline stands: first in this stage, then in retry. */
static enum rc
set_up_again(struct pipeline *pl, enum dtp_stage stage, enum dtp_stage retry, int64_t head_seqno, struct why *why)
{
    uint64_t stamp = 0;
    enum rc rc;

    for (;; stage = retry) {
        if (!recovery_try(&pl->tries, head_seqno))
            return why_set(why, RC_IO_EXCEPTION, "Failing write. Tried pipeline recovery %d times without success: %s",
                           RECOVERY_MAX, pl->bad_why.text);
        if (pl->bad != NO_NODE)
            pipeline_probe(pl);
        pipeline_drop(pl, pl->bad);
        if (pl->block.location_count == 0)
            return all_bad(pl, why);
        if ((stage != DTP_CLOSE_RECOVERY && (rc = fill_up(pl, why)) != RC_OK) || (rc = new_stamp(pl, &stamp, why)) != RC_OK)
            return rc;
        if (pipeline_connect(pl, stage, stamp) == RC_OK)
            return update_pipeline(pl, stamp, why);
    }
}

enum rc
pipeline_set_up_append(struct pipeline *pl, struct why *why)
{
    pl->bad = NO_NODE;
    return set_up_again(pl, DTP_SETUP_APPEND, DTP_SETUP_APPEND_RECOVERY, -1, why);
}

enum rc
pipeline_rebuild(struct pipeline *pl, bool only_last_left, int64_t head_seqno, bool *ret_closed, struct why *why)
{
    enum dtp_stage stage = recovery_stage(pl->appending && pl->bytes_sent == pl->block.bytes, only_last_left);
    enum rc rc;

    *ret_closed = false;
    if ((rc = set_up_again(pl, stage, stage, head_seqno, why)) == RC_OK && stage == DTP_CLOSE_RECOVERY) {
        dtp_conn_fini(&pl->conn);
        *ret_closed = true;
    }
    return rc;
}
