#include "dfsclient/pipeline.h"

#include <string.h>
#include <utlist.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "dfsclient/located.h"

#define WINDOW 80               /* packets that are not acked */
#define NO_NODE_TRIES 4
#define NO_NODE_MS 100          /* before the second; doubles */
#define LINGER_MS 1000          /* for acks that are still on their way when sending failed */

enum rc
pipeline_init(struct pipeline *pl, struct fs *fs, const char *path, struct why *why)
{
    *pl = (struct pipeline){ .fs = fs, .path = path, .conn.sock = -1 };
    arena_init(&pl->arena, 16 * MB);
    if ((pl->lock = mutex_new(fs->w.threads)) == NULL || (pl->changed = cond_new(fs->w.threads)) == NULL)
        return why_rc(why, RC_NOMEM);
    return RC_OK;
}

static void
free_list(struct packet **list)
{
    struct packet *p, *next;

    DL_FOREACH_SAFE(*list, p, next) {
        DL_DELETE(*list, p);
        mem_free(p);
    }
}

/* No thread uses the connection after this.  It is shut down, unless all was acked: then nobody waits on it. */
static void
join_acker(struct pipeline *pl, bool all_acked)
{
    struct threads *t = pl->fs->w.threads;
    struct thread *acker;

    mutex_lock(t, pl->lock);
    pl->live = false;           /* no more heartbeats */
    if (pl->acker != NULL && !all_acked)
        dtp_conn_shutdown(&pl->conn);
    while (pl->sending)
        (void)cond_wait(t, pl->changed, pl->lock, FOREVER);     /* ends: the connection is cut */
    acker = pl->acker;
    pl->acker = NULL;
    mutex_unlock(t, pl->lock);
    if (acker != NULL)
        thread_join(t, acker);
}

static void
stop_acker(struct pipeline *pl)
{
    join_acker(pl, false);
    dtp_conn_fini(&pl->conn);
}

/* After the last ack: the connection is kept for another block. */
static void
end_acker(struct pipeline *pl)
{
    struct net_addr to;
    bool clean;

    mutex_lock(pl->fs->w.threads, pl->lock);
    clean = pl->acker != NULL && pl->acker_ended && !pl->failed;
    mutex_unlock(pl->fs->w.threads, pl->lock);
    if (!clean) {               /* a recovery has closed the block */
        stop_acker(pl);
        return;
    }
    join_acker(pl, true);
    pipeline_first(pl, &to);
    dtp_idle_put(pl->fs->idle, &to, &pl->conn);
}

void
pipeline_fini(struct pipeline *pl)
{
    if (pl->fs == NULL)
        return;
    stop_acker(pl);
    free_list(&pl->unacked);
    free_list(&pl->queue);
    free_list(&pl->spare);
    for (size_t i = 0; i < pl->excluded_count; i++)
        mem_free(pl->excluded[i]);
    if (pl->changed != NULL)
        cond_free(pl->fs->w.threads, pl->changed);
    if (pl->lock != NULL)
        mutex_free(pl->fs->w.threads, pl->lock);
    arena_fini(&pl->arena);
    pl->fs = NULL;
}

/* pl->lock held.  The first failure counts. */
static void
fail(struct pipeline *pl, size_t bad, bool sure, const struct why *why)
{
    if (!pl->failed) {
        pl->failed = true;
        pl->bad = bad;
        pl->sure = sure;
        pl->bad_why = *why;
    }
}

/* pl->lock held: true when the ack thread has nothing more to wait for. */
static bool
take_ack(struct pipeline *pl, const struct dtp_ack *ack)
{
    struct packet *head = pl->unacked;
    struct ack_verdict v = recovery_judge_ack(ack, head != NULL, head != NULL ? head->head.seqno : 0,
                                              pl->block.location_count);
    struct why why;

    switch (v.meaning) {
    case ACK_HEARTBEAT:
        return false;
    case ACK_BAD:
        (void)why_set(&why, RC_IO_EXCEPTION, "ack of packet %lld: %s", (long long)ack->seqno,
                      v.bad < ack->count ? dtp_status_name(ack->reply[v.bad]) : "no word of this node");
        fail(pl, v.bad, true, &why);
        return true;
    case ACK_PACKET:
        break;
    }
    DL_DELETE(pl->unacked, head);
    pl->held--;
    pl->bytes_acked = head->head.offset + head->head.data_n;
    DL_APPEND(pl->spare, head);
    return head->head.last;
}

static void
run_acker(void *arg)
{
    struct pipeline *pl = arg;
    struct threads *t = pl->fs->w.threads;
    struct dtp_ack ack;
    struct why why;
    bool end = false;

    while (!end) {
        enum rc rc = dtp_recv_ack(&pl->conn, &ack, &why);
        mutex_lock(t, pl->lock);
        if (rc == RC_OK) {
            end = take_ack(pl, &ack);
        } else {
            fail(pl, 0, false, &why);
            end = true;
        }
        if (end) {
            pl->acker_ended = true;
            if (pl->failed)
                dtp_conn_shutdown(&pl->conn);   /* wakes the sender */
        }
        cond_broadcast(t, pl->changed);
        mutex_unlock(t, pl->lock);
    }
}

static enum rc
start_acker(struct pipeline *pl, struct why *why)
{
    enum rc rc;

    mutex_lock(pl->fs->w.threads, pl->lock);
    pl->failed = pl->acker_ended = false;
    pl->last_send_ms = clock_mono_ms(pl->fs->w.clock);
    rc = thread_spawn(pl->fs->w.threads, "acks", run_acker, pl, &pl->acker, why);
    pl->live = rc == RC_OK;
    mutex_unlock(pl->fs->w.threads, pl->lock);
    return rc;
}

/* Send what is queued, until something fails.  pl->lock held on entry and exit. */
static void
pump(struct pipeline *pl)
{
    struct threads *t = pl->fs->w.threads;
    struct packet *p;
    struct why why;
    enum rc rc;

    while (pl->queue != NULL && !pl->failed) {
        while (pl->sending)     /* a heartbeat is on its way out */
            (void)cond_wait(t, pl->changed, pl->lock, FOREVER);
        if (pl->failed)
            break;
        p = pl->queue;
        DL_DELETE(pl->queue, p);
        DL_APPEND(pl->unacked, p);
        if (p->head.offset + p->head.data_n > pl->bytes_sent)
            pl->bytes_sent = p->head.offset + p->head.data_n;
        pl->sending = true;
        mutex_unlock(t, pl->lock);
        rc = dtp_send_packet(&pl->conn, &p->head, p->body, &why);
        mutex_lock(t, pl->lock);
        pl->sending = false;
        pl->last_send_ms = clock_mono_ms(pl->fs->w.clock);
        if (rc != RC_OK && !pl->failed) {
            uint64_t deadline = clock_deadline(pl->fs->w.clock, LINGER_MS);
            while (!pl->acker_ended && cond_wait(t, pl->changed, pl->lock, deadline))
                continue;       /* an ack that names the culprit may still come */
            fail(pl, 0, false, &why);
        }
        cond_broadcast(t, pl->changed);
    }
}

/* pl->lock held on entry and exit. */
static enum rc
recover(struct pipeline *pl, struct why *why)
{
    struct threads *t = pl->fs->w.threads;
    bool closed = false;
    enum rc rc;

    /* The ack thread looks at no list once it has ended, so both are ours in between. */
    while (pl->failed && pl->held > 0) {
        mutex_unlock(t, pl->lock);
        stop_acker(pl);
        DL_CONCAT(pl->unacked, pl->queue);
        pl->queue = pl->unacked;
        pl->unacked = NULL;
        rc = pipeline_rebuild(pl, pl->queue->head.last, pl->queue->head.seqno, &closed, why);
        if (rc == RC_OK && closed) {
            pl->failed = false;
            free_list(&pl->queue);
            pl->held = 0;
        } else if (rc == RC_OK) {
            rc = start_acker(pl, why);
        }
        mutex_lock(t, pl->lock);
        if (rc != RC_OK)
            return rc;
        pump(pl);
    }
    return RC_OK;
}

/* A failure with nothing under way is mended when there is something to send. */
static bool
is_stuck(const struct pipeline *pl)
{
    return pl->failed && pl->held > 0;
}

static enum rc
wait_until(struct pipeline *pl, size_t held_max, struct why *why)
{
    struct threads *t = pl->fs->w.threads;
    enum rc rc = RC_OK;

    mutex_lock(t, pl->lock);
    while (rc == RC_OK && pl->held > held_max) {
        if (is_stuck(pl))
            rc = recover(pl, why);
        else
            (void)cond_wait(t, pl->changed, pl->lock, FOREVER);     /* the ack thread's deadlines end it */
    }
    mutex_unlock(t, pl->lock);
    return rc;
}

enum rc
pipeline_packet(struct pipeline *pl, struct packet **ret, struct why *why)
{
    struct threads *t = pl->fs->w.threads;
    size_t room = (pl->data_max / pl->chunk + 2) * 4 + pl->data_max;
    struct packet *p;
    enum rc rc;

    if ((rc = wait_until(pl, WINDOW - 1, why)) != RC_OK)
        return rc;
    mutex_lock(t, pl->lock);
    if ((p = pl->spare) != NULL)
        DL_DELETE(pl->spare, p);
    mutex_unlock(t, pl->lock);
    if (p == NULL && (p = mem_alloc(sizeof *p + room)) == NULL)
        return why_rc(why, RC_NOMEM);
    p->head = (struct dtp_packet){ .seqno = 0 };
    p->body = p->room;
    *ret = p;
    return RC_OK;
}

enum rc
pipeline_send(struct pipeline *pl, struct packet *p, struct why *why)
{
    struct threads *t = pl->fs->w.threads;
    enum rc rc = RC_OK;

    mutex_lock(t, pl->lock);
    DL_APPEND(pl->queue, p);
    pl->held++;
    if (!pl->failed)
        pump(pl);
    if (is_stuck(pl))
        rc = recover(pl, why);
    mutex_unlock(t, pl->lock);
    return rc;
}

enum rc
pipeline_drain(struct pipeline *pl, struct why *why)
{
    return wait_until(pl, 0, why);
}

enum rc
pipeline_close(struct pipeline *pl, int64_t seqno, struct why *why)
{
    struct packet *p = NULL;
    enum rc rc;

    if ((rc = pipeline_drain(pl, why)) != RC_OK || (rc = pipeline_packet(pl, &p, why)) != RC_OK)
        return rc;
    p->head = (struct dtp_packet){ .offset = pl->bytes_acked, .seqno = seqno, .last = true, .sync = true };
    if ((rc = pipeline_send(pl, p, why)) != RC_OK || (rc = pipeline_drain(pl, why)) != RC_OK)
        return rc;
    end_acker(pl);
    pl->block.bytes = pl->bytes_acked;
    pl->open = false;
    return RC_OK;
}

void
pipeline_heartbeat(struct pipeline *pl, uint64_t idle_ms)
{
    struct threads *t = pl->fs->w.threads;
    struct dtp_packet beat = { .seqno = DTP_SEQNO_HEARTBEAT };

    mutex_lock(t, pl->lock);
    if (pl->live && !pl->sending && !pl->failed && !pl->acker_ended &&
        clock_mono_ms(pl->fs->w.clock) - pl->last_send_ms >= idle_ms) {
        pl->sending = true;
        mutex_unlock(t, pl->lock);
        enum rc ignored = dtp_send_packet(&pl->conn, &beat, "", NULL);
        (void)ignored;          /* the ack thread sees what is wrong */
        mutex_lock(t, pl->lock);
        pl->sending = false;
        pl->last_send_ms = clock_mono_ms(pl->fs->w.clock);
        cond_broadcast(t, pl->changed);
    }
    mutex_unlock(t, pl->lock);
}

static enum rc
begin(struct pipeline *pl, const struct fs_block *b, bool appending, struct why *why)
{
    struct arena old = pl->arena;
    enum rc rc;

    arena_init(&pl->arena, 16 * MB);
    rc = fs_copy_block(b, &pl->arena, &pl->block, why);     /* b may live in the arena before */
    arena_fini(&old);
    if (rc == RC_OK && pl->block.location_count > PIPELINE_NODES_MAX)
        pl->block.location_count = PIPELINE_NODES_MAX;
    pl->appending = appending;
    pl->flushed = appending;
    pl->bytes_sent = pl->bytes_acked = appending ? b->bytes : 0;
    pl->tries = (struct recovery_count){ .tries = 0 };
    pl->accuser[0] = '\0';
    return rc;
}

static enum rc
add_block(struct pipeline *pl, const struct fs_block *previous, struct arena *a, struct fs_block *ret, struct why *why)
{
    AddBlockRequestProto req = ADD_BLOCK_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    enum rc rc;

    if (previous != NULL && (req.previous = fs_put_block(a, previous, previous->bytes)) == NULL)
        return why_rc(why, RC_NOMEM);
    req.src = fs_bin(pl->path);
    req.clientname = fs_bin(pl->fs->client_name);
    req.has_fileid = true;
    req.fileid = pl->file_id;
    if ((req.excludenodes = arena_calloc(a, pl->excluded_count + 1, sizeof(DatanodeInfoProto *))) == NULL)
        return why_rc(why, RC_NOMEM);
    for (; req.n_excludenodes < pl->excluded_count; req.n_excludenodes++)
        if ((req.excludenodes[req.n_excludenodes] = fs_put_node(a, pl->excluded[req.n_excludenodes])) == NULL)
            return why_rc(why, RC_NOMEM);
    if ((rc = fs_call_patient(pl->fs, ROW_add_block, &req.base, a, &reply, why)) != RC_OK)
        return rc;
    return fs_take_block(((const AddBlockResponseProto *)reply)->block, a, ret, why);
}

static enum rc
abandon_block(struct pipeline *pl, struct arena *a, struct why *why)
{
    AbandonBlockRequestProto req = ABANDON_BLOCK_REQUEST_PROTO__INIT;

    if ((req.b = fs_put_block(a, &pl->block, 0)) == NULL)
        return why_rc(why, RC_NOMEM);
    req.src = fs_bin(pl->path);
    req.holder = fs_bin(pl->fs->client_name);
    req.has_fileid = true;
    req.fileid = pl->file_id;
    return fs_call_patient(pl->fs, ROW_abandon_block, &req.base, a, NULL, why);
}

/*
 * A block with nodes to write it.  A cluster that has just started, or whose nodes are
 * all loaded for a moment, has none: ask again, but not for long.
 */
static enum rc
allot(struct pipeline *pl, const struct fs_block *previous, bool is_repeat, struct arena *a, struct fs_block *ret,
      struct why *why)
{
    struct why none;
    enum rc rc;

    for (unsigned n = 0;; n++) {
        if ((rc = add_block(pl, previous, a, ret, &none)) != RC_IO_EXCEPTION || n == NO_NODE_TRIES ||
            strstr(none.text, "could only be written to") == NULL)
            break;
        if (pl->excluded_count > 0 && (is_repeat || n > 0))
            pipeline_forgive(pl);       /* nobody else is left: ask for the old ones again */
        else
            fs_sleep_ms(pl->fs, fs_backoff_ms(pl->fs, n, NO_NODE_MS, NO_NODE_MS * 8));
    }
    if (rc != RC_OK && why != NULL)
        *why = none;
    return rc;
}

enum rc
pipeline_open(struct pipeline *pl, const struct fs_block *previous, struct why *why)
{
    struct fs_block fresh, before;
    struct arena a;
    enum rc rc;

    arena_init(&a, FS_REPLY_MAX);
    if (previous != NULL) {     /* it may be pl->block itself, which is about to change */
        if ((rc = fs_copy_block(previous, &a, &before, why)) != RC_OK)
            goto out;
        previous = &before;
    }
    for (unsigned n = 0;; n++) {
        if ((rc = allot(pl, previous, n > 0, &a, &fresh, why)) != RC_OK || (rc = begin(pl, &fresh, false, why)) != RC_OK)
            goto out;
        if ((rc = pipeline_connect(pl, DTP_SETUP_CREATE, 0)) == RC_OK)
            break;
        if ((rc = abandon_block(pl, &a, why)) != RC_OK)
            goto out;
        if (n >= pl->fs->conf.block_write_retries) {
            rc = why_set(why, RC_IO_EXCEPTION, "Unable to create new block. The last pipeline failed: %s", pl->bad_why.text);
            goto out;
        }
        pipeline_probe(pl);
        pipeline_drop(pl, pl->bad);
    }
    pl->open = true;
    rc = start_acker(pl, why);
out:
    arena_fini(&a);
    return rc;
}

enum rc
pipeline_follow(struct pipeline *pl, const struct fs_block *last, struct why *why)
{
    return begin(pl, last, false, why);
}

enum rc
pipeline_open_append(struct pipeline *pl, const struct fs_block *last, struct why *why)
{
    enum rc rc;

    if ((rc = begin(pl, last, true, why)) != RC_OK || (rc = pipeline_set_up_append(pl, why)) != RC_OK)
        return rc;
    pl->open = true;
    return start_acker(pl, why);
}
