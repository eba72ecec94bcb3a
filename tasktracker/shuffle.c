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
    struct tt *tt;
    int sock;
    struct tt_conn *prev, *next;
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

/* One request; RC_CLOSED at the end of the connection. */
static enum rc
serve(struct tt *tt, int sock, struct why *why)
{
    struct net *net = tt->w->net;
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

    while ((rc = serve(tt, c->sock, &why)) == RC_OK)
        continue;
    if (rc != RC_CLOSED && rc != RC_TIMEOUT)
        log_info("shuffle_connection_ended", "why=%s", why.text);
    tt_lock(tt);
    DL_DELETE(tt->conns, c);
    tt_unlock(tt);
    net_close(tt->w->net, c->sock);
    mem_free(c);
    tt_thread_ended(tt);
}

static void
conn_start(struct tt *tt, int sock)
{
    struct tt_conn *c = mem_zalloc(sizeof *c);
    struct tt_conn *other;
    struct thread *thread;
    struct why why;
    size_t n;

    if (c == NULL) {
        net_close(tt->w->net, sock);
        return;
    }
    c->tt = tt;
    c->sock = sock;
    tt_lock(tt);
    DL_COUNT(tt->conns, other, n);
    if (n >= CONNS_MAX || tt->stopping ||
        thread_spawn(tt->w->threads, "tt-shuffle", conn_loop, c, &thread, &why) != RC_OK) {
        tt_unlock(tt);
        net_close(tt->w->net, sock);        /* the reduce asks again */
        mem_free(c);
        return;
    }
    tt->thread_count++;
    DL_APPEND(tt->conns, c);
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
            conn_start(tt, sock);
    }
}

enum rc
tt_shuffle_start(struct tt *tt, struct why *why)
{
    struct net_addr want;
    enum rc rc;

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
    for (struct tt_conn *c = tt->conns; c != NULL; c = c->next)
        net_shutdown(tt->w->net, c->sock);
    tt_unlock(tt);
}
