/* The serving side of the shuffle. */
#include "tasktracker/shuffle.h"

#include <string.h>

#include "core/base/faults.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define CONNS_MAX 1024
#define IDLE_MS 60000
#define SEND_MS 60000

struct tt_conn {
    struct crowd_entry entry;       /* first */
    struct tt *tt;
    int sock;
};

/* What a request is answered with; fd is open when status is OK. */
static void
look_up(struct tt *tt, const uint8_t *in, const struct shuffle_request *q, struct shuffle_reply *r, uint64_t *ret_at,
        int *ret_fd)
{
    char path[4096] = "";
    struct tt_job *j;
    struct tt_output *o;
    struct why why;

    memset(r, 0, sizeof *r);
    r->status = SHUFFLE_GONE;
    tt_lock(tt);
    HASH_FIND(hh, tt->jobs, &q->job, sizeof q->job, j);
    if (j != NULL && j->state == TT_JOB_READY) {
        if (!shuffle_request_is_signed(in, j->reply->token.data))
            r->status = SHUFFLE_DENIED;
        else if ((o = tt_output_find(j, q->map, q->attempt)) != NULL && q->part < o->parts &&
                 q->offset <= o->at[q->part + 1] - o->at[q->part] && strlen(o->path) < sizeof path) {
            r->status = SHUFFLE_OK;
            r->bytes = o->at[q->part + 1] - o->at[q->part];
            r->crc = o->crc[q->part];
            *ret_at = o->at[q->part] + q->offset;
            memcpy(path, o->path, strlen(o->path) + 1);
        }
    }
    tt_unlock(tt);
    if (r->status == SHUFFLE_OK && io_open(tt->w->io, path, IO_READ, ret_fd, &why) != RC_OK) {
        log_warn("map_output_unreadable", "why=%s", why.text);
        r->status = SHUFFLE_GONE;
    }
}

/* Whether a request is being answered: a connection without one gives way when there are too many. */
static void
set_busy(struct tt_conn *c, bool busy)
{
    tt_lock(c->tt);
    if (busy)
        crowd_step(&c->entry, tt_now(c->tt));
    else
        crowd_rest(&c->entry, tt_now(c->tt));
    tt_unlock(c->tt);
}

/* One request; RC_CLOSED at the end of the connection. */
static enum rc
serve(struct tt_conn *c, struct why *why)
{
    struct tt *tt = c->tt;
    struct net *net = tt->w->net;
    int sock = c->sock;
    uint8_t in[SHUFFLE_REQUEST_BYTES], out[SHUFFLE_REPLY_BYTES];
    struct shuffle_request q;
    struct shuffle_reply r;
    uint64_t at = 0;
    int fd = -1;
    enum rc rc;

    if ((rc = net_read_all(net, sock, in, sizeof in, tt_now(tt) + IDLE_MS, why)) != RC_OK ||
        (rc = shuffle_request_get(in, &q, why)) != RC_OK)
        return rc;
    look_up(tt, in, &q, &r, &at, &fd);
    if (r.status == SHUFFLE_OK)
        set_busy(c, true);              /* only who has the job's token */
    shuffle_reply_put(&r, out);
    rc = net_write(net, sock, out, sizeof out, tt_now(tt) + SEND_MS, why);
    if (rc == RC_OK && r.status == SHUFFLE_OK && r.bytes > q.offset) {
        rc = net->ops->send_file(net, sock, fd, at, r.bytes - q.offset, tt_now(tt) + SEND_MS, why);
        CRASH_POINT(tt_segment_served);
        metric_add(&tt->metrics.shuffle_serves, 1);
        metric_add(&tt->metrics.shuffle_sent_bytes, rc == RC_OK ? r.bytes - q.offset : 0);
    }
    if (fd >= 0)
        io_close(tt->w->io, fd);
    set_busy(c, false);
    if (rc == RC_OK && r.status == SHUFFLE_DENIED)
        return why_set(why, RC_NOT_AUTHORIZED, "a shuffle request for job %llu is not signed with its token",
                       (unsigned long long)q.job);
    return rc;
}

static void
conn_loop(void *arg)
{
    struct tt_conn *c = arg;
    struct tt *tt = c->tt;
    struct why why;
    enum rc rc;

    while ((rc = serve(c, &why)) == RC_OK)
        continue;
    if (rc != RC_CLOSED && rc != RC_TIMEOUT)
        log_info("shuffle_connection_ended", "why=%s", why.text);
    tt_lock(tt);
    crowd_remove(&tt->conns, &c->entry);
    tt_unlock(tt);
    net_close(tt->w->net, c->sock);
    mem_free(c);
    tt_thread_ended(tt);
}

/* Room for one more, at the cost of the connection that has waited longest for a request.  Under the lock. */
static bool
has_room(struct tt *tt)
{
    struct crowd_entry *e;

    if (tt->conns.count < CONNS_MAX)
        return true;
    if ((e = crowd_make_room(&tt->conns, tt_now(tt))) != NULL)
        net_shutdown(tt->w->net, e->sock);      /* its thread ends */
    return e != NULL;
}

static void
conn_start(struct tt *tt, int sock, const struct net_addr *peer)
{
    struct tt_conn *c = mem_zalloc(sizeof *c);
    struct thread *thread;
    struct why why;

    if (c == NULL) {
        net_close(tt->w->net, sock);
        return;
    }
    c->tt = tt;
    c->sock = c->entry.sock = sock;
    c->entry.peer = crowd_peer(peer->host, strlen(peer->host));
    tt_lock(tt);
    if (!has_room(tt) || tt->stopping ||
        thread_spawn(tt->w->threads, "tt-shuffle", conn_loop, c, &thread, &why) != RC_OK) {
        tt_unlock(tt);
        net_close(tt->w->net, sock);        /* the reduce asks again */
        mem_free(c);
        return;
    }
    tt->thread_count++;
    crowd_add(&tt->conns, &c->entry, tt_now(tt));
    tt_unlock(tt);
    thread_detach(tt->w->threads, thread);
}

static void
accept_loop(void *arg)
{
    struct tt *tt = arg;
    struct net_addr peer;
    struct why why;
    int sock;
    enum rc rc;

    for (;;) {
        rc = net_accept(tt->w->net, tt->listener, FOREVER, &sock, &peer, &why);
        tt_lock(tt);
        if (tt->stopping) {
            tt_unlock(tt);
            if (rc == RC_OK)
                net_close(tt->w->net, sock);
            return;
        }
        if (rc != RC_OK)
            (void)tt_wait(tt, tt_now(tt) + 100);    /* out of descriptors: some will be closed */
        tt_unlock(tt);
        if (rc == RC_OK)
            conn_start(tt, sock, &peer);
    }
}

enum rc
tt_shuffle_start(struct tt *tt, struct why *why)
{
    struct net_addr want;
    enum rc rc;

    tt->conns = (struct crowd){ .max = SIZE_MAX, .request_ms = FOREVER, .stall_ms = FOREVER };
    if ((rc = net_addr_parse(tt->conf.tt_bind, 50050, &want, why)) != RC_OK ||
        (rc = net_listen(tt->w->net, &want, &tt->listener, &tt->at, why)) != RC_OK)
        return why_prefix(why, "mapreduce.tasktracker.address");
    return thread_spawn(tt->w->threads, "tt-accept", accept_loop, tt, &tt->acceptor, why);
}

void
tt_shuffle_stop(struct tt *tt)
{
    if (tt->listener >= 0)
        net_shutdown(tt->w->net, tt->listener);
    if (tt->acceptor != NULL)
        thread_join(tt->w->threads, tt->acceptor);
    if (tt->listener >= 0)
        net_close(tt->w->net, tt->listener);
    tt->listener = -1;
    tt_lock(tt);
    for (struct crowd_entry *e = tt->conns.entries; e != NULL; e = e->next)
        net_shutdown(tt->w->net, e->sock);
    tt_unlock(tt);
}
