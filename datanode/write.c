/*
 * WRITE_BLOCK: a block arrives, packet by packet, and goes on to the next node.
 *
 * The session's thread receives, forwards, verifies and stores.  With a node behind, a second
 * thread, the responder, waits for that one's acks and answers the writer, in order; it also
 * finalizes the replica and waits for the NameNode's answer before the last ack.  The
 * queue between them is bounded, so a slow next node slows the writer down.  The last node
 * waits for nobody, and does all that in the session's thread.
 *
 * After a block that all have acked, the connections to and from here wait for another.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/queue.h"
#include "datanode/ack.h"
#include "datanode/session.h"

#define PENDING_MAX 256                 /* packets whose ack is outstanding */
#define PROMISE_MAX (1 * GB)
#define DRAIN_MS 5000
#define NEXT_MS 5000                    /* added to a wait for each node that stands behind the next */

struct write {
    struct dn *dn;
    struct dn_session *session;
    struct dn_write_request q;
    struct dn_write_plan plan;
    struct dn_claim claim;
    struct dn_sink sink;
    struct dn_sums sums;
    unsigned volume;
    uint64_t seq;                       /* of the change that made it FINALIZED */
    bool copy;                          /* nobody waits for acks */
    bool sink_open;
    bool streaming;                     /* the writer was told that the pipeline stands */
    struct dtp_conn mirror;
    struct net_addr mirror_at;
    bool mirrored;
    struct buf body;
    struct queue *pending;              /* struct dn_pending, owned by the queue */
    struct thread *responder;
    atomic_bool broken;                 /* the responder has stopped: no use in going on */
    atomic_bool mirror_failed;
    atomic_bool done;                   /* the last ack has gone out */
};

static enum rc
answer_failure(struct write *x, enum rc rc, const struct why *why)
{
    struct why ignored;

    if (x->copy && !x->q.by_client)
        return rc;                      /* nobody listens */
    if (rc == RC_CLOSED || rc == RC_STOPPED)
        return rc;
    (void)dn_answer(&x->session->conn, rc == RC_CORRUPT ? STATUS__ERROR_CHECKSUM : STATUS__ERROR, "", why->text,
                    &ignored);          /* the connection ends anyway */
    return rc;
}

/* --- The next node. */

/* The op as the next node gets it: the same, without that node among the targets. */
static void
shift_targets(OpWriteBlockProto *op)
{
    op->n_targets--;
    op->targets++;
    if (op->n_targetstoragetypes > 0) {
        op->has_storagetype = true;
        op->storagetype = op->targetstoragetypes[0];
        op->n_targetstoragetypes--;
        op->targetstoragetypes++;
    }
    if (op->n_targetstorageids > 0) {
        op->has_storageid = true;
        op->storageid = op->targetstorageids[0];
        op->n_targetstorageids--;
        op->targetstorageids++;
    }
    if (op->n_targetpinnings > 0) {
        op->n_targetpinnings--;
        op->targetpinnings++;
    }
}

static enum rc
target_address(const OpWriteBlockProto *op, struct net_addr *ret, struct why *why)
{
    const DatanodeIDProto *id = op->targets[0]->id;

    if (id->ipaddr.len == 0 || id->ipaddr.len >= sizeof ret->host || id->xferport > UINT16_MAX)
        return why_set(why, RC_BAD_MESSAGE, "target without a usable address");
    memset(ret, 0, sizeof *ret);
    memcpy(ret->host, id->ipaddr.data, id->ipaddr.len);
    ret->port = (uint16_t)id->xferport;
    return RC_OK;
}

/* The answer of a pipeline that did not come about, as it came from further down or for the next node itself. */
static void
answer_mirror(struct write *x, const BlockOpResponseProto *from, const struct net_addr *to, const struct why *why)
{
    char bad[NET_ADDR_TEXT], link[NET_ADDR_TEXT] = "";
    struct why ignored;

    if (from != NULL && from->firstbadlink.len > 0 && from->firstbadlink.len < sizeof link)
        memcpy(link, from->firstbadlink.data, from->firstbadlink.len);
    (void)dn_answer(&x->session->conn, from != NULL && from->status != STATUS__SUCCESS ? from->status : STATUS__ERROR,
                    link[0] != '\0' ? link : net_addr_text(to, bad), why->text, &ignored);   /* it ends anyway */
}

/* Hand the op on over a connection that was just made or taken.  For a client's own write its answer is ours. */
static enum rc
ask_mirror(struct write *x, const OpWriteBlockProto *op, BlockOpResponseProto **ret, struct why *why)
{
    enum rc rc;

    x->mirrored = true;
    if ((rc = dn_store_watch(x->dn->store, &x->claim, 1, &x->mirror)) != RC_OK)
        return why_rc(why, rc);
    if ((rc = dtp_send_op(&x->mirror, DTP_WRITE_BLOCK, &op->base, why)) != RC_OK || x->copy)
        return rc;
    if ((rc = dtp_recv_response(&x->mirror, &x->session->arena, ret, why)) == RC_OK && (*ret)->status != STATUS__SUCCESS)
        rc = why_set(why, RC_REMOTE, "next node answers %s: %.*s", dtp_status_name((unsigned)(*ret)->status),
                     (int)(*ret)->message.len, (const char *)(*ret)->message.data);
    return rc;
}

/* Over a connection that was kept.  RC_CLOSED: there is none, or its other end has gone meanwhile; it takes a new one. */
static enum rc
ask_kept_mirror(struct write *x, const OpWriteBlockProto *op, uint64_t read_ms, BlockOpResponseProto **ret, struct why *why)
{
    struct dn *dn = x->dn;
    enum rc rc;

    if (x->copy || x->q.stage != DTP_SETUP_CREATE ||
        !dtp_idle_take(dn->kept, &x->mirror_at, read_ms, dn->conf.dn_socket_ms, &x->mirror))
        return RC_CLOSED;
    if ((rc = ask_mirror(x, op, ret, why)) != RC_CLOSED)
        return rc;
    if ((rc = dn_store_watch(dn->store, &x->claim, 1, NULL)) != RC_OK)
        return why_rc(why, rc);     /* somebody wants the replica */
    dtp_conn_fini(&x->mirror);
    x->mirrored = false;
    return RC_CLOSED;
}

/* The next node gets the op. */
static enum rc
open_mirror(struct write *x, OpWriteBlockProto *op, struct why *why)
{
    struct dn *dn = x->dn;
    uint64_t read_ms = dn->conf.socket_ms + NEXT_MS * (uint64_t)op->n_targets;
    struct net_addr to;
    BlockOpResponseProto *m = NULL;
    enum rc rc;

    if ((rc = target_address(op, &to, why)) != RC_OK)
        return answer_failure(x, rc, why);
    x->mirror_at = to;
    shift_targets(op);
    if ((rc = ask_kept_mirror(x, op, read_ms, &m, why)) == RC_CLOSED &&
        (rc = dtp_connect(&x->mirror, &dn->w, &to, dn->conf.socket_ms, read_ms, dn->conf.dn_socket_ms, why)) == RC_OK)
        rc = ask_mirror(x, op, &m, why);
    if (rc == RC_OK) {
        CRASH_POINT(dn_setup_mirrored);
        return rc;
    }
    log_info("pipeline_not_opened", "block=%" PRId64 " next=%s:%u rc=%s reason=\"%s\"", (int64_t)x->q.id.v, to.host,
             to.port, rc_name(rc), why->text);
    if (x->copy) {                      /* this copy is worth having without the next */
        atomic_store(&x->mirror_failed, true);
        return RC_OK;
    }
    answer_mirror(x, m, &to, why);
    return rc;
}

static void
mirror_lost(struct write *x, const char *what, const struct why *why)
{
    if (!atomic_exchange(&x->mirror_failed, true))
        log_info("mirror_lost", "block=%" PRId64 " while=%s reason=\"%s\"", (int64_t)x->q.id.v, what, why->text);
    dtp_conn_shutdown(&x->mirror);
}

/* --- The responder. */

/* All of the block is here and behind: finalize it, tell the NameNode. */
static Status
finish(struct write *x)
{
    struct why why;
    enum rc rc;

    if ((rc = dn_store_finalize(x->dn->store, &x->claim, &x->sink, &x->seq, &why)) != RC_OK) {
        log_warn("replica_not_finalized", "block=%" PRId64 " rc=%s reason=\"%s\"", (int64_t)x->q.id.v, rc_name(rc),
                 why.text);
        return STATUS__ERROR;
    }
    rc = dn_store_wait_sent(x->dn->store, x->volume, x->seq, clock_deadline(x->dn->w.clock, x->dn->conf.socket_ms), &why);
    if (rc == RC_VOLUME_FAILED || rc == RC_STOPPED)
        return STATUS__ERROR;
    if (rc != RC_OK)                    /* the replica is safe; the report goes on being sent */
        log_warn("replica_not_reported", "block=%" PRId64 " reason=\"%s\"", (int64_t)x->q.id.v, why.text);
    return STATUS__SUCCESS;
}

/* False: no more acks after this one. */
static bool
respond(struct write *x, struct dn_pending *p)
{
    enum dn_next next = DN_NEXT_NONE;
    struct dtp_ack from, to;
    struct why why;
    bool go_on;

    if (p->own == STATUS__SUCCESS && x->mirrored) {
        next = DN_NEXT_ACK;
        if (atomic_load(&x->mirror_failed) || dtp_recv_ack(&x->mirror, &from, &why) != RC_OK) {
            if (!atomic_load(&x->mirror_failed))
                mirror_lost(x, "ack", &why);
            next = DN_NEXT_FAILED;
        }
    }
    go_on = dn_ack_plan(p, next, &from, &to);
    if (go_on && p->last) {
        if ((p->own = finish(x)) != STATUS__SUCCESS)
            go_on = dn_ack_plan(p, next, &from, &to);
    } else if (go_on && p->seqno >= 0) {
        dn_store_progress(x->dn->store, &x->claim, 0, p->end);
    }
    if (p->last)
        CRASH_POINT(dn_before_last_ack);
    else
        CRASH_POINT(dn_before_ack);
    if (dtp_send_ack(&x->session->conn, &to, &why) != RC_OK)
        return false;
    CRASH_POINT(dn_after_ack);
    if (go_on && p->last)
        atomic_store(&x->done, true);
    return go_on;
}

static void
responder(void *arg)
{
    struct write *x = arg;
    bool go_on = true;
    void *item;

    while (queue_take(x->pending, FOREVER, &item) == RC_OK) {
        struct dn_pending *p = item;

        if (go_on && !(go_on = respond(x, p)))
            atomic_store(&x->broken, true);
        mem_free(p);
    }
}

/* --- The packets. */

static enum rc
enqueue(struct write *x, const struct dtp_packet *p, Status own, struct why *why)
{
    struct dn_pending here = { .seqno = p->seqno, .end = x->sink.bytes, .last = p->last, .own = own }, *pending;
    enum rc rc;

    if (x->responder == NULL) {
        if (!respond(x, &here))
            atomic_store(&x->broken, true);
        return RC_OK;
    }
    if ((pending = mem_alloc(sizeof *pending)) == NULL)
        return why_rc(why, RC_NOMEM);
    *pending = here;
    rc = queue_put_wait(x->pending, pending, clock_deadline(x->dn->w.clock, x->dn->conf.dn_socket_ms));
    if (rc != RC_OK) {
        mem_free(pending);
        (void)why_set(why, rc, "acks do not get through");
    }
    return rc;
}

static enum rc
store_packet(struct write *x, const struct dtp_packet *p, struct why *why)
{
    enum rc rc = RC_OK;

    if (p->data_n > 0) {
        rc = dn_sink_write(&x->sink, &x->sums, p, x->body.p, why);
        dn_store_judge(x->dn->store, x->volume, rc, why);
        if (rc != RC_OK)
            return rc;
        CRASH_POINT(dn_packet_written);
        dn_store_progress(x->dn->store, &x->claim, x->sink.bytes, 0);
        metric_add(&x->dn->metrics.written_bytes, p->data_n);
    }
    /* The nodes of a pipeline sync at the same time; the responder does the rest of finalizing. */
    if (p->last) {
        rc = dn_sink_sync(&x->sink, why);
        dn_store_judge(x->dn->store, x->volume, rc, why);
    } else if (p->sync) {
        rc = dn_store_sync(x->dn->store, &x->claim, &x->sink, why);
    }
    return rc;
}

/* Whether the packet is one at all; heartbeats and the last packet carry no data. */
static enum rc
check_packet(const struct dtp_packet *p, struct why *why)
{
    bool empty = p->data_n == 0 && p->sums_n == 0;

    if (p->seqno == DTP_SEQNO_HEARTBEAT ? !empty || p->last : p->seqno < 0 || (p->last && !empty))
        return why_set(why, RC_BAD_MESSAGE, "packet %" PRId64 " with %u bytes of data", p->seqno, p->data_n);
    return RC_OK;
}

static enum rc
forward(struct write *x, const struct dtp_packet *p, struct why *why)
{
    enum rc rc;

    if (!x->mirrored || atomic_load(&x->mirror_failed))
        return RC_OK;
    if ((rc = dtp_send_packet(&x->mirror, p, x->body.p, why)) != RC_OK)
        mirror_lost(x, "packet", why);
    return RC_OK;
}

static enum rc
receive(struct write *x, struct why *why)
{
    struct dtp_packet p = { .last = false };
    enum rc rc = RC_OK;

    while (!p.last && !atomic_load(&x->broken)) {
        if ((rc = dtp_recv_packet(&x->session->conn, &p, &x->body, why)) != RC_OK ||
            (rc = check_packet(&p, why)) != RC_OK || (rc = forward(x, &p, why)) != RC_OK)
            return rc;
        if (p.seqno != DTP_SEQNO_HEARTBEAT)
            rc = store_packet(x, &p, why);
        if (rc == RC_BAD_MESSAGE)
            return rc;                  /* the writer is at fault: closed without an ack */
        if (!x->copy) {
            enum rc queued = enqueue(x, &p, rc == RC_OK ? STATUS__SUCCESS
                                            : rc == RC_CORRUPT ? STATUS__ERROR_CHECKSUM : STATUS__ERROR, why);

            if (rc == RC_OK)
                rc = queued;
        }
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* --- The operation. */

static enum rc
read_request(struct write *x, const OpWriteBlockProto *op, struct why *why)
{
    const ExtendedBlockProto *b = op->header->baseheader->block;

    if (op->requestedchecksum->bytesperchecksum == 0 || op->requestedchecksum->bytesperchecksum > DN_CHUNK_MAX)
        return why_set(why, RC_BAD_MESSAGE, "%" PRIu32 " bytes per checksum", op->requestedchecksum->bytesperchecksum);
    x->sums.chunk = op->requestedchecksum->bytesperchecksum;
    x->sums.type = (enum crc_type)op->requestedchecksum->type;
    if (x->sums.type != CRC_NULL && x->sums.type != CRC_CRC32 && x->sums.type != CRC_CRC32C)
        return why_set(why, RC_BAD_MESSAGE, "checksum type %d", (int)x->sums.type);
    if (op->n_targets > DTP_NODES_MAX)
        return why_set(why, RC_BAD_MESSAGE, "pipeline of %zu nodes", op->n_targets);
    x->q = (struct dn_write_request){
        .id = { b->blockid }, .stamp = { b->generationstamp }, .new_stamp = { op->latestgenerationstamp },
        .stage = (enum dtp_stage)op->stage, .by_client = op->header->clientname.len > 0,
        .min_bytes = op->minbytesrcvd, .max_bytes = op->maxbytesrcvd,
    };
    x->copy = dn_write_is_copy(&x->q);
    return RC_OK;
}

static enum rc
begin(struct write *x, OpWriteBlockProto *op, struct why *why)
{
    const ExtendedBlockProto *b = op->header->baseheader->block;
    struct dn_write_options o = { .promise = b->numbytes < PROMISE_MAX ? b->numbytes : PROMISE_MAX,
                                  .volume = -1 };
    char storage[64] = "";
    enum rc rc;

    if ((rc = dn_store_check_pool(x->dn->store, b->poolid.data, b->poolid.len, why)) != RC_OK ||
        (rc = read_request(x, op, why)) != RC_OK)
        return rc;                      /* closed without an answer */
    o.chunk = x->sums.chunk;
    if (op->has_storageid && op->storageid.len < sizeof storage) {
        memcpy(storage, op->storageid.data, op->storageid.len);
        o.volume = dn_store_volume_find(x->dn->store, storage);
    }
    if ((rc = dn_store_begin(x->dn->store, &x->q, &o, &x->claim, &x->sink, &x->plan, &x->volume, &x->seq, why)) != RC_OK)
        return answer_failure(x, rc, why);
    x->sink_open = x->plan.kind != DN_WRITE_CLOSE;
    if ((rc = dn_store_watch(x->dn->store, &x->claim, 0, &x->session->conn)) != RC_OK)
        return answer_failure(x, why_rc(why, rc), why);
    if (op->n_targets > 0)
        return open_mirror(x, op, why);
    return RC_OK;
}

static enum rc
stream(struct write *x, struct why *why)
{
    struct dn *dn = x->dn;
    enum rc rc;

    buf_init(&x->body, DTP_PACKET_MAX);
    x->session->conn.read_ms = dn->conf.dn_socket_ms;       /* some clients send nothing while they have nothing */
    if (!x->copy && x->mirrored) {
        if ((rc = queue_new(dn->w.threads, PENDING_MAX, &x->pending)) != RC_OK)
            return why_rc(why, rc);
        if ((rc = thread_spawn(dn->w.threads, "dn-acks", responder, x, &x->responder, why)) != RC_OK)
            return rc;
    }
    rc = receive(x, why);
    if (x->responder != NULL) {
        /* Without the writer nobody needs the acks that are still to come from behind. */
        if (rc == RC_CLOSED || rc == RC_TIMEOUT || rc == RC_BAD_MESSAGE)
            dtp_conn_shutdown(&x->mirror);
        queue_stop(x->pending);
        thread_join(dn->w.threads, x->responder);
    }
    return rc;
}

/* A copy has arrived whole: what it becomes, and the answer at the end. */
static enum rc
end_copy(struct write *x, struct why *why)
{
    struct dn *dn = x->dn;
    enum rc rc;

    CRASH_POINT(dn_copy_received);
    if (dn_copy_end(&x->q) == RS_RBW) {
        rc = dn_store_convert(dn->store, &x->claim, &x->sink, why);
    } else if ((rc = dn_store_finalize(dn->store, &x->claim, &x->sink, &x->seq, why)) == RC_OK) {
        rc = dn_store_wait_sent(dn->store, x->volume, x->seq, clock_deadline(dn->w.clock, dn->conf.socket_ms), why);
        if (rc == RC_TIMEOUT)
            rc = RC_OK;                 /* the report goes on being sent */
    }
    if (rc != RC_OK)
        return answer_failure(x, rc, why);
    return x->q.by_client ? dn_answer(&x->session->conn, STATUS__SUCCESS, NULL, NULL, why) : RC_OK;
}

/* Let the writer read the last words before the connection goes: closing with bytes unread would cut them off. */
static void
drain(struct write *x)
{
    struct dtp_conn *c = &x->session->conn;
    uint64_t deadline_ms = clock_deadline(x->dn->w.clock, DRAIN_MS);
    uint8_t scrap[4096];
    size_t n;

    x->dn->w.net->ops->shutdown_write(x->dn->w.net, c->sock);
    while (net_read(x->dn->w.net, c->sock, scrap, sizeof scrap, deadline_ms, &n, NULL) == RC_OK)
        ;
}

static enum rc
run(struct write *x, OpWriteBlockProto *op, struct why *why)
{
    enum rc rc;

    if ((rc = begin(x, op, why)) != RC_OK)
        return rc;
    if (x->plan.kind == DN_WRITE_CLOSE) {
        if ((rc = dn_store_wait_sent(x->dn->store, x->volume, x->seq,
                                     clock_deadline(x->dn->w.clock, x->dn->conf.socket_ms), why)) == RC_TIMEOUT)
            rc = RC_OK;
        return rc == RC_OK ? dn_answer(&x->session->conn, STATUS__SUCCESS, "", NULL, why) : rc;
    }
    if (!x->copy && (rc = dn_answer(&x->session->conn, STATUS__SUCCESS, "", NULL, why)) != RC_OK)
        return rc;
    x->streaming = true;
    if ((rc = stream(x, why)) != RC_OK)
        return x->copy ? answer_failure(x, rc, why) : rc;
    return x->copy ? end_copy(x, why) : RC_OK;
}

bool
dn_op_write(struct dn_session *s, OpWriteBlockProto *op)
{
    struct write x = { .dn = s->dn, .session = s, .mirror = { .sock = -1 } };
    struct why why;
    bool done;
    enum rc rc;

    metric_add(&s->dn->metrics.writes, 1);
    atomic_init(&x.broken, false);
    atomic_init(&x.mirror_failed, false);
    atomic_init(&x.done, false);
    rc = run(&x, op, &why);
    if (rc != RC_OK && rc != RC_CLOSED && rc != RC_STOPPED)
        log_info("write_ended", "block=%" PRId64 " stage=%s rc=%s reason=\"%s\"", (int64_t)x.q.id.v,
                 dtp_stage_name((unsigned)op->stage), rc_name(rc), why.text);
    if (rc != RC_OK && x.claim.r != NULL && x.plan.kind == DN_WRITE_CREATE && !x.streaming)
        dn_store_discard(s->dn->store, &x.claim);
    dn_store_release(s->dn->store, &x.claim);
    done = atomic_load(&x.done);
    if (rc != RC_CLOSED && rc != RC_TIMEOUT && !done)
        drain(&x);
    if (x.sink_open)
        dn_sink_fini(&x.sink);
    done = done && rc == RC_OK;
    if (done && x.mirrored)
        dtp_idle_put(s->dn->kept, &x.mirror_at, &x.mirror);
    dtp_conn_fini(&x.mirror);
    if (x.pending != NULL)
        queue_free(x.pending);
    buf_fini(&x.body);
    s->conn.read_ms = s->dn->conf.socket_ms;
    return done;
}
