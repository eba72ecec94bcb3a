#include "tasktracker/fetch.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "tasktracker/shuffle.h"

#define THREADS_MAX 64
#define CONNECT_MS 5000
#define READ_MS 30000
#define CHUNK (256 * KB)
#define BACKOFF_MS 200
#define BACKOFF_MAX_MS 5000

enum map_state { MAP_WANTED, MAP_IN_FLIGHT, MAP_FETCHED };

struct map {
    enum map_state state;
    uint32_t failures;
    uint64_t next_ms;               /* not before */
};

/* One thread, with the connection that it keeps and the file that it fills. */
struct fetcher {
    struct fetch *f;
    struct thread *thread;
    int sock;                       /* -1 none; changed under the lock, so that fetch_stop may shut it down */
    struct net_addr to;
    int fd;                         /* -1 none yet; has no name */
    uint64_t at;
    uint8_t *chunk;
};

struct fetch {
    struct tt_attempt *a;
    struct tt *tt;
    uint32_t map_count, done, taken;    /* [m] */
    struct map *maps;               /* [m] */
    struct fetched *ready;          /* [m] */
    bool stop;                      /* [m] */
    enum rc rc;                     /* [m] no going on */
    struct why why;
    uint32_t thread_count;
    struct fetcher threads[THREADS_MAX];
};

/* A wanted map whose output is somewhere; best one where the connection leads.  [m] */
static struct tt_location *
choose(const struct fetcher *t, uint64_t *ret_wake_ms)
{
    struct fetch *f = t->f;
    struct tt_location *l, *after, *best = NULL;
    uint64_t now = tt_now(f->tt);

    *ret_wake_ms = FOREVER;
    HASH_ITER(hh, f->a->job->locations, l, after) {
        struct map *m = &f->maps[l->map < f->map_count ? l->map : 0];

        if (l->map >= f->map_count || m->state != MAP_WANTED)
            continue;
        if (m->next_ms > now) {
            if (m->next_ms < *ret_wake_ms)
                *ret_wake_ms = m->next_ms;
            continue;
        }
        if (t->sock >= 0 && l->port == t->to.port && strcmp(l->host, t->to.host) == 0)
            return l;
        if (best == NULL)
            best = l;
    }
    return best;
}

static void
hang_up(struct fetcher *t)
{
    struct tt *tt = t->f->tt;
    int sock;

    tt_lock(tt);
    sock = t->sock;
    t->sock = -1;
    tt_unlock(tt);
    if (sock >= 0)
        net_close(tt->w->net, sock);
}

static enum rc
connect_to(struct fetcher *t, const struct net_addr *to, struct why *why)
{
    struct tt *tt = t->f->tt;
    int sock;
    enum rc rc;

    if (t->sock >= 0 && to->port == t->to.port && strcmp(to->host, t->to.host) == 0)
        return RC_OK;
    hang_up(t);
    t->to = *to;
    if ((rc = net_connect(tt->w->net, to, tt_now(tt) + CONNECT_MS, &sock, why)) != RC_OK)
        return rc;
    tt_lock(tt);
    t->sock = sock;
    tt_unlock(tt);
    return RC_OK;
}

static enum rc
open_file(struct fetcher *t, struct why *why)
{
    struct tt *tt = t->f->tt;
    char *path;
    enum rc rc;

    if (t->fd >= 0)
        return RC_OK;
    if ((path = mem_printf("%s/%s.%u", t->f->a->job->dir, t->f->a->id, (unsigned)(t - t->f->threads))) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_open(tt->w->io, path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNC | IO_PRIVATE, &t->fd, why)) != RC_OK)
        t->fd = -1;
    else
        rc = io_unlink(tt->w->io, path, why);
    mem_free(path);
    return rc;
}

/* Bytes of one segment to the end of the thread's file. */
static enum rc
copy(struct fetcher *t, const struct shuffle_reply *r, bool *ret_ours, struct why *why)
{
    struct tt *tt = t->f->tt;
    uint32_t crc = 0;
    enum rc rc;

    for (uint64_t done = 0; done < r->bytes;) {
        size_t want = r->bytes - done < CHUNK ? (size_t)(r->bytes - done) : CHUNK, n = 0;

        if ((rc = tt->w->net->ops->read(tt->w->net, t->sock, t->chunk, want, tt_now(tt) + READ_MS, &n, why)) != RC_OK)
            return rc;
        if ((rc = io_pwrite(tt->w->io, t->fd, t->chunk, n, t->at + done, why)) != RC_OK) {
            *ret_ours = true;
            return rc;
        }
        crc = crc32c(crc, t->chunk, n);
        done += n;
    }
    if (crc != r->crc)
        return why_set(why, RC_CORRUPT, "a map output arrived damaged");
    return RC_OK;
}

static enum rc
fetch_remote(struct fetcher *t, const struct shuffle_request *q, const struct net_addr *from, struct fetched *ret,
             bool *ret_gone, bool *ret_ours, struct why *why)
{
    struct tt *tt = t->f->tt;
    uint8_t out[SHUFFLE_REQUEST_BYTES], in[SHUFFLE_REPLY_BYTES];
    struct shuffle_reply r;
    enum rc rc;

    if ((rc = open_file(t, why)) != RC_OK) {
        *ret_ours = true;
        return rc;
    }
    shuffle_request_put(q, t->f->a->job->reply->token.data, out);
    if ((rc = connect_to(t, from, why)) != RC_OK ||
        (rc = net_write(tt->w->net, t->sock, out, sizeof out, tt_now(tt) + READ_MS, why)) != RC_OK ||
        (rc = net_read_all(tt->w->net, t->sock, in, sizeof in, tt_now(tt) + READ_MS, why)) != RC_OK ||
        (rc = shuffle_reply_get(in, &r, why)) != RC_OK)
        goto out;
    if (r.status != SHUFFLE_OK) {
        *ret_gone = true;
        return why_set(why, RC_NOT_FOUND, "the tracker at %s:%u %s", from->host, from->port,
                       r.status == SHUFFLE_GONE ? "does not have it" : "refused the request");
    }
    if ((rc = copy(t, &r, ret_ours, why)) != RC_OK)
        goto out;
    ret->at = t->at;
    ret->bytes = r.bytes;
    t->at += r.bytes;
    if ((rc = io_dup(tt->w->io, t->fd, &ret->fd, why)) == RC_OK)
        return RC_OK;
    *ret_ours = true;
out:
    hang_up(t);
    return rc;
}

static enum rc
fetch_here(struct fetcher *t, const struct shuffle_request *q, struct fetched *ret, bool *ret_gone, struct why *why)
{
    struct tt *tt = t->f->tt;
    struct tt_output *o;
    char *path = NULL;
    enum rc rc;

    tt_lock(tt);
    if ((o = tt_output_find(t->f->a->job, q->map, q->attempt)) != NULL && q->part < o->parts) {
        ret->at = o->at[q->part];
        ret->bytes = o->at[q->part + 1] - o->at[q->part];
        path = mem_strdup(o->path);
    }
    tt_unlock(tt);
    if (path == NULL) {
        *ret_gone = true;
        return why_set(why, RC_NOT_FOUND, "it is not here any more");
    }
    rc = io_open(tt->w->io, path, IO_READ, &ret->fd, why);
    mem_free(path);
    *ret_gone = rc == RC_SYS_NOT_FOUND;
    return rc;
}

static void
report(struct fetch *f, const struct shuffle_request *q, bool gone, const char *reason)
{
    TtOutputLostRequest req = TT_OUTPUT_LOST_REQUEST__INIT;
    JtAttemptId id = JT_ATTEMPT_ID__INIT;
    const ProtobufCMessage *reply;
    struct arena arena;
    struct why why;

    id.job = q->job;
    id.index = f->a->index;
    id.attempt = f->a->number;
    req.uuid = f->tt->uuid;
    req.reduce = &id;
    req.map = q->map;
    req.attempt = q->attempt;
    req.gone = gone;
    req.reason = (char *)reason;
    arena_init(&arena, 64 * KB);
    if (tt_call(f->tt, ROW_tt_output_lost, &req.base, &req.epoch, &arena, &reply, &why) != RC_OK)
        log_warn("output_lost_not_reported", "attempt=%s map=%u why=%s", f->a->id, q->map, why.text);
    arena_fini(&arena);
}

/* After a failure: tell, and do not try again at once.  [m] on entry and return. */
static void
failed(struct fetch *f, const struct shuffle_request *q, bool gone, bool ours, const struct why *why)
{
    struct map *m = &f->maps[q->map];
    uint64_t wait;

    m->state = MAP_WANTED;
    if (ours) {
        f->rc = why->rc;
        f->why = *why;
        tt_wake(f->a);
        return;
    }
    wait = (uint64_t)BACKOFF_MS << (m->failures < 5 ? m->failures : 5);
    m->failures++;
    m->next_ms = tt_now(f->tt) + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
    if (gone)
        tt_location_lost(f->a->job, q->map, q->attempt);
    tt_unlock(f->tt);
    log_info("fetch_failed", "attempt=%s map=%u of=%u why=%s", f->a->id, q->map, q->attempt, why->text);
    report(f, q, gone, why->text);
    tt_lock(f->tt);
}

/* One map output.  [m] on entry and return. */
static void
fetch_one(struct fetcher *t, const struct tt_location *l)
{
    struct fetch *f = t->f;
    struct shuffle_request q = { f->a->job->number, l->map, l->attempt, f->a->index, 0 };
    struct fetched *got = mem_zalloc(sizeof *got);
    struct net_addr from = { .port = l->port };
    bool here = l->port == f->tt->at.port && strcmp(l->host, f->tt->host) == 0, gone = false, ours = got == NULL;
    struct why why;
    enum rc rc = RC_NOMEM;

    (void)why_rc(&why, rc);
    memcpy(from.host, l->host, strlen(l->host) < sizeof from.host ? strlen(l->host) + 1 : 0);
    f->maps[l->map].state = MAP_IN_FLIGHT;
    tt_unlock(f->tt);
    if (got != NULL)
        rc = here ? fetch_here(t, &q, got, &gone, &why) : fetch_remote(t, &q, &from, got, &gone, &ours, &why);
    tt_lock(f->tt);
    if (rc != RC_OK) {
        mem_free(got);
        failed(f, &q, gone, ours, &why);
        return;
    }
    got->map = q.map;
    f->maps[q.map].state = MAP_FETCHED;
    f->done++;
    LL_APPEND(f->ready, got);
    tt_wake(f->a);
    if (f->done == f->map_count)
        tt_changed(f->tt);              /* the other threads may end */
}

static void
fetch_loop(void *arg)
{
    struct fetcher *t = arg;
    struct fetch *f = t->f;
    struct tt *tt = f->tt;

    tt_lock(tt);
    while (!f->stop && f->rc == RC_OK && f->done < f->map_count) {
        uint64_t wake_ms;
        struct tt_location *l = choose(t, &wake_ms);

        if (l == NULL)
            (void)tt_wait(tt, wake_ms);
        else
            fetch_one(t, l);
    }
    tt_unlock(tt);
    hang_up(t);
    if (t->fd >= 0)
        io_close(tt->w->io, t->fd);     /* segments that are under way have their own descriptor */
}

enum rc
fetch_start(struct tt_attempt *a, uint32_t map_count, uint32_t threads, struct fetch **ret, struct why *why)
{
    struct fetch *f = mem_zalloc(sizeof *f);
    enum rc rc = RC_NOMEM;

    if (f == NULL || (f->maps = mem_calloc((size_t)map_count + 1, sizeof *f->maps)) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    f->a = a;
    f->tt = a->tt;
    f->map_count = map_count;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    if (threads > map_count)
        threads = map_count;
    for (uint32_t i = 0; i < threads; i++) {
        struct fetcher *t = &f->threads[i];

        t->f = f;
        t->sock = t->fd = -1;
        if ((t->chunk = mem_alloc(CHUNK)) == NULL) {
            rc = why_rc(why, RC_NOMEM);
            goto out;
        }
        if ((rc = thread_spawn(f->tt->w->threads, "tt-fetch", fetch_loop, t, &t->thread, why)) != RC_OK) {
            mem_free(t->chunk);
            goto out;
        }
        f->thread_count++;
    }
    *ret = f;
    return RC_OK;
out:
    fetch_stop(f);
    return rc;
}

void
fetch_stop(struct fetch *f)
{
    if (f == NULL)
        return;
    if (f->tt != NULL) {
        tt_lock(f->tt);
        f->stop = true;
        tt_changed(f->tt);
        for (uint32_t i = 0; i < f->thread_count; i++)
            if (f->threads[i].sock >= 0)
                net_shutdown(f->tt->w->net, f->threads[i].sock);
        tt_unlock(f->tt);
    }
    for (uint32_t i = 0; i < f->thread_count; i++) {
        thread_join(f->tt->w->threads, f->threads[i].thread);
        mem_free(f->threads[i].chunk);
    }
    while (f->ready != NULL) {
        struct fetched *got = f->ready;

        f->ready = got->next;
        io_close(f->tt->w->io, got->fd);        /* nobody wants it now */
        mem_free(got);
    }
    mem_free(f->maps);
    mem_free(f);
}

bool
fetch_next(struct fetch *f, struct fetched **ret, enum rc *ret_rc, struct why *why)
{
    bool known = true;

    tt_lock(f->tt);
    *ret_rc = f->rc;
    if (f->rc != RC_OK) {
        (void)why_set(why, f->rc, "shuffle: %s", f->why.text);
    } else if (f->ready != NULL) {
        *ret = f->ready;
        f->ready = (*ret)->next;
        f->taken++;
    } else if (f->taken == f->map_count) {
        *ret = NULL;
    } else {
        known = false;
    }
    tt_unlock(f->tt);
    return known;
}
