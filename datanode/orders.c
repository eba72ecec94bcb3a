/* Orders of the NameNode: taken in turn, carried out by a worker and by threads for copies. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "datanode/link_priv.h"
#include "datanode/recover.h"
#include "datanode/scan.h"
#include "datanode/send.h"

#define MAX_WAIT_MS 20000
#define RETRY_MS 500
#define TARGETS_MAX 16
#define EXPIRE_MS 60000

/* An order, by value. */
struct dn_task {
    struct dn_link *l;
    uint64_t epoch, seq;
    DnOrder__Kind kind;
    struct block_id id;
    struct stamp stamp;
    int volume;                     /* that a deletion is about; -1: any */
    uint64_t bytes, keep_ms;
    size_t target_count;
    struct { struct net_addr at; char uuid[64]; } targets[TARGETS_MAX];
};

void
dn_link_order_failed(struct dn_link *l, uint64_t epoch, uint64_t seq, const DnBlock *block, const char *reason,
                     const char *bad_uuid)
{
    DnOrderFailedRequest q = DN_ORDER_FAILED_REQUEST__INIT;
    const ProtobufCMessage *m;
    struct arena arena;
    struct why why;
    enum rc rc;

    arena_init(&arena, DN_ARENA);
    q.node_uuid = l->uuid;
    q.epoch = epoch;
    q.seq = seq;
    q.block = (DnBlock *)block;
    q.reason = (char *)reason;
    q.bad_node_uuid = (char *)bad_uuid;
    rc = dn_link_call(l, epoch, ROW_dn_order_failed, &q.base, &arena, DN_CALL_MS, &m, &why);
    if (rc != RC_OK && rc != RC_STOPPED)
        log_info("order_failure_not_reported", "seq=%" PRIu64 " rc=%s", seq, rc_name(rc));
    arena_fini(&arena);
}

static void
report_failure(const struct dn_task *task, const char *reason, const char *bad_uuid)
{
    DnBlock b = DN_BLOCK__INIT;

    b.id = task->id.v;
    b.stamp = task->stamp.v;
    b.bytes = task->bytes;
    dn_link_order_failed(task->l, task->epoch, task->seq, &b, reason, bad_uuid);
}

/* --- Copies: one target after the other, each answers when it has the replica. */

static void
copy_run(void *arg)
{
    struct dn_task *task = arg;
    struct dn *dn = task->l->dn;
    ExtendedBlockProto block = EXTENDED_BLOCK_PROTO__INIT;
    struct dn_copy copy = { .block = &block };
    struct dn_identity id;
    struct why why;
    char name[64];
    bool peer_failed;

    dn_store_identity(dn->store, &id);
    block.poolid = (ProtobufCBinaryData){ strlen(id.pool_id), (uint8_t *)id.pool_id };
    block.blockid = task->id.v;
    block.generationstamp = task->stamp.v;
    (void)snprintf(name, sizeof name, "copy-%" PRIu64 "-%" PRIu64, task->epoch, task->seq);
    copy.client_name = name;
    copy.client_name_n = strlen(name);
    for (size_t i = 0; i < task->target_count; i++) {
        copy.to = task->targets[i].at;
        if (dn_send_copy(dn, &copy, &peer_failed, &why) == RC_OK) {
            CRASH_POINT(dn_copy_sent);
            continue;
        }
        /* The NameNode decides what follows, and knows whether the block was deleted meanwhile: it does the warning. */
        log_info("copy_failed", "block=%" PRId64 " reason=\"%s\"", (int64_t)task->id.v, why.text);
        report_failure(task, why.text, peer_failed ? task->targets[i].uuid : NULL);
    }
    mem_free(task);
    dn_leave(dn);
}

static void
copy_start(struct dn_task *task)
{
    struct dn *dn = task->l->dn;
    struct thread *thread;
    struct why why;

    if (dn_enter(dn) != RC_OK) {
        report_failure(task, "too many transfers", NULL);
        mem_free(task);
        return;
    }
    if (thread_spawn(dn->w.threads, "dn-copy", copy_run, task, &thread, &why) != RC_OK) {
        report_failure(task, why.text, NULL);
        mem_free(task);
        dn_leave(dn);
        return;
    }
    thread_detach(dn->w.threads, thread);
}

/* --- Deletions. */

/*
 * May this order be carried out now?  Only in the registration in which it was given: with the next one the NameNode
 * forgets what it ordered, believes the report, and may order another replica away.  True: end_deletion must follow.
 */
static bool
begin_deletion(struct dn_link *l, const struct dn_task *task)
{
    bool may;

    mutex_lock(l->dn->w.threads, l->mu);
    may = l->deleting = !l->stop && task->epoch == l->epoch;
    mutex_unlock(l->dn->w.threads, l->mu);
    return may;
}

static void
end_deletion(struct dn_link *l)
{
    mutex_lock(l->dn->w.threads, l->mu);
    l->deleting = false;
    cond_broadcast(l->dn->w.threads, l->changed);
    mutex_unlock(l->dn->w.threads, l->mu);
}

void
dn_link_worker(void *arg)
{
    struct dn_link *l = arg;
    struct why why;
    void *item;
    enum rc rc;

    for (;;) {
        struct dn_task *task;

        rc = queue_take(l->work, clock_deadline(l->dn->w.clock, EXPIRE_MS), &item);
        if (rc == RC_TIMEOUT)
            dn_store_expire(l->dn->store);
        else if (rc != RC_OK)
            return;
        if (rc != RC_OK)
            continue;
        task = item;

        /* Otherwise it stays: the NameNode orders it again. */
        if (begin_deletion(l, task)) {
            rc = dn_store_delete(l->dn->store, task->id, task->stamp, task->volume, task->keep_ms, &why);
            if (rc == RC_OK)
                log_info(task->keep_ms > 0 ? "replica_set_aside" : "replica_deleted",
                         "block=%" PRId64 " stamp=%" PRIu64, (int64_t)task->id.v, task->stamp.v);
            else if (rc != RC_REPLICA_NOT_FOUND)
                log_info("replica_not_deleted", "block=%" PRId64 " rc=%s reason=\"%s\"", (int64_t)task->id.v,
                         rc_name(rc), why.text);
            end_deletion(l);
        }
        mem_free(task);
    }
}

/* --- Taking orders. */

static void
want_full(struct dn_link *l, const char *storage_uuid)
{
    int only = storage_uuid == NULL || storage_uuid[0] == '\0' ? -1 : dn_store_volume_find(l->dn->store, storage_uuid);

    mutex_lock(l->dn->w.threads, l->mu);
    for (unsigned i = 0; i < dn_store_volume_count(l->dn->store); i++)
        if (only < 0 || (unsigned)only == i)
            l->full[i] = true;
    mutex_unlock(l->dn->w.threads, l->mu);
    dn_store_wake_reports(l->dn->store);
}

static enum rc
read_targets(const DnOrder *o, struct dn_task *task)
{
    for (size_t i = 0; i < o->n_targets && i < TARGETS_MAX; i++) {
        const DnPeer *p = o->targets[i];

        if (strlen(p->host) >= sizeof task->targets[i].at.host || p->data_port > UINT16_MAX ||
            strlen(p->node_uuid) >= sizeof task->targets[i].uuid)
            return RC_BAD_MESSAGE;
        (void)snprintf(task->targets[i].at.host, sizeof task->targets[i].at.host, "%s", p->host);
        (void)snprintf(task->targets[i].uuid, sizeof task->targets[i].uuid, "%s", p->node_uuid);
        task->targets[i].at.port = (uint16_t)p->data_port;
        task->target_count = i + 1;
    }
    return RC_OK;
}

static enum rc
carry_out(struct dn_link *l, uint64_t epoch, const DnOrder *o)
{
    struct dn_task *task;
    enum rc rc;

    if (o->kind == DN_ORDER__KIND__FULL_REPORT) {
        want_full(l, o->storage_uuid);
        return RC_OK;
    }
    if (o->block == NULL)
        return RC_BAD_MESSAGE;
    if (o->kind == DN_ORDER__KIND__RECOVER)
        return dn_recover_start(l, epoch, o);
    if (o->kind == DN_ORDER__KIND__VERIFY) {
        dn_scan_soon(l->dn->scan, (struct block_id){ o->block->id });
        return RC_OK;
    }
    if ((task = mem_zalloc(sizeof *task)) == NULL)
        return RC_NOMEM;
    *task = (struct dn_task){ .l = l, .epoch = epoch, .seq = o->seq, .kind = o->kind, .id = { o->block->id },
                              .stamp = { o->block->stamp }, .bytes = o->block->bytes, .volume = -1 };
    if (o->storage_uuid != NULL && o->storage_uuid[0] != '\0')
        task->volume = dn_store_volume_find(l->dn->store, o->storage_uuid);
    rc = read_targets(o, task);
    if (rc == RC_OK && o->kind == DN_ORDER__KIND__COPY) {
        copy_start(task);
        return RC_OK;
    }
    if (rc == RC_OK && (o->kind == DN_ORDER__KIND__DELETE || o->kind == DN_ORDER__KIND__SET_ASIDE)) {
        task->keep_ms = o->kind == DN_ORDER__KIND__SET_ASIDE ? o->keep_ms : 0;
        rc = queue_put(l->work, task);
    } else if (rc == RC_OK) {
        report_failure(task, "this DataNode does not know the order", NULL);
        rc = RC_UNSUPPORTED;
    }
    if (rc != RC_OK)
        mem_free(task);
    return rc;
}

static enum rc
take(struct dn_link *l, uint64_t epoch, uint64_t *last_seq, struct why *why)
{
    DnWaitOrdersRequest q = DN_WAIT_ORDERS_REQUEST__INIT;
    const DnWaitOrdersReply *reply;
    const ProtobufCMessage *m;
    struct arena arena;
    enum rc rc, done;

    arena_init(&arena, DN_ARENA);
    q.node_uuid = l->uuid;
    q.epoch = epoch;
    q.last_seq = *last_seq;
    q.max_wait_ms = MAX_WAIT_MS;
    if ((rc = dn_link_call(l, epoch, ROW_dn_wait_orders, &q.base, &arena, MAX_WAIT_MS + DN_CALL_MS, &m,
                           why)) != RC_OK)
        goto out;
    reply = CONTAINER_OF(m, DnWaitOrdersReply, base);
    for (size_t i = 0; i < reply->n_orders; i++) {
        const DnOrder *o = reply->orders[i];

        if (o->seq <= *last_seq)
            continue;                   /* a repeated reply */
        if ((done = carry_out(l, epoch, o)) != RC_OK)
            log_warn("order_refused", "seq=%" PRIu64 " kind=%d rc=%s", o->seq, (int)o->kind, rc_name(done));
        *last_seq = o->seq;
    }
out:
    arena_fini(&arena);
    return rc;
}

void
dn_link_taker(void *arg)
{
    struct dn_link *l = arg;
    uint64_t epoch, of_epoch = 0, last_seq = 0;
    struct log_rate rate = { 0 };
    struct why why;
    enum rc rc;

    while ((epoch = dn_link_wait(l)) != 0) {
        if (epoch != of_epoch)          /* orders are numbered within a registration */
            last_seq = 0;
        of_epoch = epoch;
        if ((rc = take(l, epoch, &last_seq, &why)) == RC_OK || rc == RC_UNREGISTERED)
            continue;
        if (rc != RC_STOPPED && rc != RC_TIMEOUT && log_rate_ok(&rate, clock_mono_ms(l->dn->w.clock)))
            log_info("orders_interrupted", "rc=%s reason=\"%s\"", rc_name(rc), why.text);
        dn_link_pause(l, RETRY_MS);
    }
}
