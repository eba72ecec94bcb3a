#include "datanode/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/rpc/decode.h"
#include "datanode/agree.h"
#include "datanode/link_priv.h"

/* A node that hangs must cost less than an attempt may take. */
#define CONNECT_MS 2000
#define INIT_MS 3000
#define UPDATE_MS 10000
#define PEER_ARENA (1 * MB)

/* ---- taking part ---- */

enum rc
dn_do_init_recovery(struct dn *dn, const InitReplicaRecoveryRequestProto *req, struct arena *arena,
                    InitReplicaRecoveryResponseProto *reply, struct why *why)
{
    const ExtendedBlockProto *b = req->block->block->b;
    struct dn_found found;
    enum rc rc;

    if ((rc = dn_store_check_pool(dn->store, b->poolid.data, b->poolid.len, why)) != RC_OK ||
        (rc = dn_store_init_recovery(dn->store, (struct block_id){ b->blockid }, (struct stamp){ b->generationstamp },
                                     (struct stamp){ req->block->newgenstamp }, &found, why)) != RC_OK)
        return rc;
    reply->replicafound = found.found;
    if (!found.found)
        return RC_OK;
    if ((reply->block = arena_alloc(arena, sizeof *reply->block)) == NULL)
        return why_rc(why, RC_NOMEM);
    block_proto__init(reply->block);
    reply->block->blockid = b->blockid;
    reply->block->genstamp = found.stamp.v;
    reply->block->has_numbytes = true;
    reply->block->numbytes = found.bytes;
    reply->has_state = true;
    reply->state = (ReplicaStateProto)found.state;
    return RC_OK;
}

/* The NameNode hears of the replica before the leader does. */
static enum rc
update_and_tell(struct dn *dn, struct block_id id, struct stamp recovery, uint64_t bytes, unsigned *ret_volume,
                struct why *why)
{
    uint64_t seq;
    enum rc rc;

    if ((rc = dn_store_update_recovered(dn->store, id, recovery, bytes, ret_volume, &seq, why)) != RC_OK)
        return rc;
    log_info("replica_recovered", "block=%" PRId64 " stamp=%" PRIu64 " bytes=%" PRIu64, (int64_t)id.v, recovery.v, bytes);
    return dn_store_wait_sent(dn->store, *ret_volume, seq, clock_deadline(dn->w.clock, UPDATE_MS / 2), why);
}

enum rc
dn_do_update_recovered(struct dn *dn, const UpdateReplicaUnderRecoveryRequestProto *req, struct arena *arena,
                       UpdateReplicaUnderRecoveryResponseProto *reply, struct why *why)
{
    const ExtendedBlockProto *b = req->block;
    struct dn_volume_stat st;
    unsigned volume = 0;
    enum rc rc;

    if ((rc = dn_store_check_pool(dn->store, b->poolid.data, b->poolid.len, why)) != RC_OK)
        return rc;
    if (req->newblockid != 0 && req->newblockid != b->blockid)
        return why_set(why, RC_UNSUPPORTED, "a recovery that copies the block to a new one is not supported");
    if ((rc = update_and_tell(dn, (struct block_id){ b->blockid }, (struct stamp){ req->recoveryid }, req->newlength,
                              &volume, why)) != RC_OK)
        return rc;
    dn_store_volume_stat(dn->store, volume, &st);
    reply->has_storageuuid = true;
    reply->storageuuid = rpc_text(arena, st.uuid);
    return RC_OK;
}

/* ---- leading ---- */

/* One node of a recovery. */
struct peer {
    struct net_addr at;
    char uuid[64], storage[64];     /* storage: where it keeps the replica */
    bool is_self;
    struct rpc_client *rpc;         /* NULL: not asked yet, or is_self */
    bool updated;
};

struct lead {
    struct dn_link *l;
    uint64_t epoch, seq;
    struct block_id id;
    struct stamp recovery;
    struct dn_agree_ask ask;
    struct dn_identity who;
    size_t n;
    struct peer peers[DN_AGREE_MAX];
    struct dn_found found[DN_AGREE_MAX];
    struct dn_agree agreed;
};

static void
fill_block(const struct lead *ld, ExtendedBlockProto *b, uint64_t bytes)
{
    b->poolid = (ProtobufCBinaryData){ strlen(ld->who.pool_id), (uint8_t *)ld->who.pool_id };
    b->blockid = ld->id.v;
    b->generationstamp = ld->ask.stamp.v;
    b->has_numbytes = true;
    b->numbytes = bytes;
}

static enum rc
call_peer(struct lead *ld, struct peer *p, size_t row, const ProtobufCMessage *q, struct arena *arena, uint64_t timeout_ms,
          const ProtobufCMessage **ret, struct why *why)
{
    const struct rpc_client_options o = { .to = p->at, .protocol = &inter_datanode_rpc, .user = "datanode",
                                          .connect_ms = CONNECT_MS };
    enum rc rc;

    if (p->rpc == NULL && (rc = rpc_client_new(&ld->l->dn->w, &o, &p->rpc, why)) != RC_OK)
        return rc;
    return rpc_client_call(p->rpc, row, q, arena, timeout_ms, ret, why);
}

static enum rc
ask_peer(struct lead *ld, struct peer *p, struct dn_found *ret, struct arena *arena, struct why *why)
{
    InitReplicaRecoveryRequestProto q = INIT_REPLICA_RECOVERY_REQUEST_PROTO__INIT;
    RecoveringBlockProto recovering = RECOVERING_BLOCK_PROTO__INIT;
    LocatedBlockProto located = LOCATED_BLOCK_PROTO__INIT;
    ExtendedBlockProto block = EXTENDED_BLOCK_PROTO__INIT;
    TokenProto token = TOKEN_PROTO__INIT;
    const InitReplicaRecoveryResponseProto *reply;
    const ProtobufCMessage *m;
    enum rc rc;

    token.kind = token.service = (ProtobufCBinaryData){ 0 };
    fill_block(ld, &block, ld->ask.bytes);
    located.b = &block;
    located.blocktoken = &token;
    recovering.newgenstamp = ld->recovery.v;
    recovering.block = &located;
    q.block = &recovering;
    if ((rc = call_peer(ld, p, ROW_init_recovery, &q.base, arena, INIT_MS, &m, why)) != RC_OK)
        return rc;
    reply = CONTAINER_OF(m, InitReplicaRecoveryResponseProto, base);
    *ret = (struct dn_found){ .answered = true, .found = reply->replicafound };
    if (!reply->replicafound)
        return RC_OK;
    if (reply->block == NULL || !reply->has_state || reply->state < 0 || reply->state >= RS_COUNT)
        return why_set(why, RC_BAD_MESSAGE, "a replica without state or length");
    ret->state = (enum replica_state)reply->state;
    ret->stamp.v = reply->block->genstamp;
    ret->bytes = reply->block->numbytes;
    return RC_OK;
}

static enum rc
tell_peer(struct lead *ld, struct peer *p, struct arena *arena, struct why *why)
{
    UpdateReplicaUnderRecoveryRequestProto q = UPDATE_REPLICA_UNDER_RECOVERY_REQUEST_PROTO__INIT;
    ExtendedBlockProto block = EXTENDED_BLOCK_PROTO__INIT;
    const UpdateReplicaUnderRecoveryResponseProto *reply;
    const ProtobufCMessage *m;
    enum rc rc;

    fill_block(ld, &block, ld->agreed.bytes);
    q.block = &block;
    q.recoveryid = ld->recovery.v;
    q.newlength = ld->agreed.bytes;
    if ((rc = call_peer(ld, p, ROW_update_recovered, &q.base, arena, UPDATE_MS, &m, why)) != RC_OK)
        return rc;
    reply = CONTAINER_OF(m, UpdateReplicaUnderRecoveryResponseProto, base);
    if (reply->has_storageuuid && reply->storageuuid.len > 0 && reply->storageuuid.len < sizeof p->storage)
        (void)snprintf(p->storage, sizeof p->storage, "%.*s", (int)reply->storageuuid.len,
                       (const char *)reply->storageuuid.data);
    return RC_OK;
}

static enum rc
update_self(struct lead *ld, struct peer *p, struct why *why)
{
    struct dn_store *store = ld->l->dn->store;
    struct dn_volume_stat st;
    unsigned volume = 0;
    enum rc rc;

    if ((rc = update_and_tell(ld->l->dn, ld->id, ld->recovery, ld->agreed.bytes, &volume, why)) != RC_OK)
        return rc;
    dn_store_volume_stat(store, volume, &st);
    (void)snprintf(p->storage, sizeof p->storage, "%s", st.uuid);
    return RC_OK;
}

static enum rc
step(struct lead *ld, size_t i, bool updates, struct why *why)
{
    struct peer *p = &ld->peers[i];
    struct arena arena;
    enum rc rc;

    if (p->is_self)
        return updates ? update_self(ld, p, why)
                       : dn_store_init_recovery(ld->l->dn->store, ld->id, ld->ask.stamp, ld->recovery, &ld->found[i], why);
    arena_init(&arena, PEER_ARENA);
    rc = updates ? tell_peer(ld, p, &arena, why) : ask_peer(ld, p, &ld->found[i], &arena, why);
    arena_fini(&arena);
    return rc;
}

static void
log_step_failed(const struct lead *ld, size_t i, const char *what, const struct why *why)
{
    char at[NET_ADDR_TEXT];

    log_info("recovery_step_failed", "block=%" PRId64 " step=%s node=%s reason=\"%s\"", (int64_t)ld->id.v, what,
             net_addr_text(&ld->peers[i].at, at), why->text);
}

static enum rc
commit(struct lead *ld, struct why *why)
{
    DnCommitRecoveryRequest q = DN_COMMIT_RECOVERY_REQUEST__INIT;
    char *storages[DN_AGREE_MAX];
    DnBlock b = DN_BLOCK__INIT;
    const ProtobufCMessage *m;
    struct arena arena;
    enum rc rc;

    b.id = ld->id.v;
    b.stamp = ld->recovery.v;
    b.bytes = ld->agreed.bytes;
    q.node_uuid = ld->l->uuid;
    q.epoch = ld->epoch;
    q.block = &b;
    q.removes = ld->agreed.nothing;
    q.storage_uuids = storages;
    for (size_t i = 0; i < ld->n; i++)
        if (ld->peers[i].updated || ld->agreed.nothing)
            storages[q.n_storage_uuids++] = ld->peers[i].storage;
    arena_init(&arena, DN_ARENA);
    CRASH_POINT(dn_recovery_commits);
    rc = dn_link_call(ld->l, ld->epoch, ROW_dn_commit_recovery, &q.base, &arena, DN_CALL_MS, &m, why);
    CRASH_POINT(dn_recovery_done);
    arena_fini(&arena);
    return rc;
}

static enum rc
lead(struct lead *ld, struct why *why)
{
    struct why last = { .rc = RC_OK };
    size_t updated = 0;
    enum rc rc;

    for (size_t i = 0; i < ld->n; i++)
        if (step(ld, i, false, why) != RC_OK) {
            ld->found[i].answered = false;
            log_step_failed(ld, i, "init", why);
        }
    if ((rc = dn_agree(&ld->ask, ld->found, ld->n, &ld->agreed, why)) != RC_OK)
        return rc;
    CRASH_POINT(dn_recovery_agreed);
    for (size_t i = 0; i < ld->n && !ld->agreed.nothing; i++) {
        if (!ld->agreed.takes_part[i])
            continue;
        if (step(ld, i, true, &last) == RC_OK) {
            ld->peers[i].updated = true;
            updated++;
            CRASH_POINT(dn_recovery_updated);
        } else {
            log_step_failed(ld, i, "update", &last);
        }
    }
    if (updated == 0 && !ld->agreed.nothing) {
        *why = last;
        return why->rc;
    }
    return commit(ld, why);
}

static void
lead_run(void *arg)
{
    struct lead *ld = arg;
    struct dn *dn = ld->l->dn;
    DnBlock b = DN_BLOCK__INIT;
    struct why why;
    enum rc rc;

    dn_store_identity(dn->store, &ld->who);
    if ((rc = lead(ld, &why)) == RC_OK) {
        log_info("recovery_led", "block=%" PRId64 " stamp=%" PRIu64 " bytes=%" PRIu64 " nothing=%d", (int64_t)ld->id.v,
                 ld->recovery.v, ld->agreed.bytes, ld->agreed.nothing);
    } else if (rc != RC_STOPPED) {
        /* The NameNode decides what follows, and does the warning. */
        log_info("recovery_failed", "block=%" PRId64 " stamp=%" PRIu64 " reason=\"%s\"", (int64_t)ld->id.v, ld->recovery.v,
                 why.text);
        b.id = ld->id.v;
        b.stamp = ld->ask.stamp.v;
        dn_link_order_failed(ld->l, ld->epoch, ld->seq, &b, why.text, NULL);
    }
    for (size_t i = 0; i < ld->n; i++)
        if (ld->peers[i].rpc != NULL)
            rpc_client_free(ld->peers[i].rpc);
    mem_free(ld);
    dn_leave(dn);
}

static enum rc
read_peers(const struct dn_link *l, const DnOrder *o, struct lead *ld)
{
    for (size_t i = 0; i < o->n_targets && i < ARRAY_LEN(ld->peers); i++) {
        const DnPeer *from = o->targets[i];
        struct peer *p = &ld->peers[i];

        if (strlen(from->host) >= sizeof p->at.host || from->ipc_port > UINT16_MAX ||
            strlen(from->node_uuid) >= sizeof p->uuid || from->storage_uuid == NULL ||
            strlen(from->storage_uuid) >= sizeof p->storage)
            return RC_BAD_MESSAGE;
        (void)snprintf(p->at.host, sizeof p->at.host, "%s", from->host);
        p->at.port = (uint16_t)from->ipc_port;
        (void)snprintf(p->uuid, sizeof p->uuid, "%s", from->node_uuid);
        (void)snprintf(p->storage, sizeof p->storage, "%s", from->storage_uuid);
        p->is_self = strcmp(p->uuid, l->uuid) == 0;
        ld->n = i + 1;
    }
    return ld->n == 0 ? RC_BAD_MESSAGE : RC_OK;
}

enum rc
dn_recover_start(struct dn_link *l, uint64_t epoch, const DnOrder *o)
{
    struct lead *ld = mem_zalloc(sizeof *ld);
    struct thread *thread;
    struct why why;
    enum rc rc;

    if (ld == NULL)
        return RC_NOMEM;
    ld->l = l;
    ld->epoch = epoch;
    ld->seq = o->seq;
    ld->id.v = o->block->id;
    ld->recovery.v = o->new_stamp;
    ld->ask = (struct dn_agree_ask){ .stamp = { o->block->stamp }, .bytes = o->block->bytes,
                                     .truncates = o->has_truncate_bytes, .truncate_bytes = o->truncate_bytes };
    if ((rc = read_peers(l, o, ld)) != RC_OK)
        goto out;
    if (dn_enter(l->dn) != RC_OK) {
        dn_link_order_failed(l, epoch, o->seq, o->block, "too many transfers", NULL);
        goto out;
    }
    if (thread_spawn(l->dn->w.threads, "dn-recover", lead_run, ld, &thread, &why) != RC_OK) {
        dn_leave(l->dn);
        dn_link_order_failed(l, epoch, o->seq, o->block, why.text, NULL);
        goto out;
    }
    thread_detach(l->dn->w.threads, thread);
    ld = NULL;                      /* the thread's */
out:
    mem_free(ld);
    return rc;
}
