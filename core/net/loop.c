#include "core/net/loop.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "core/net/net.h"

#define BATCH 64

struct watch {
    int sock;
    void (*fn)(void *arg, unsigned events);
    void *arg;
};

struct loop_timer {
    uint64_t at_us;
    uint64_t order;         /* timers of one moment run in the order in which they were added */
    size_t place;           /* in the heap */
    void (*fn)(void *arg);
    void *arg;
};

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct world w;
    struct net_poller *poller;
    struct watch **by_sock;
    size_t sock_cap;
    struct net_ready ready[BATCH];      /* the batch under way: entries of a removed watch have tag NULL */
    size_t ready_n, ready_at;
    struct loop_timer **heap;
    size_t timer_n, timer_cap;
    uint64_t timer_order;

    struct mutex *mutex;                /* guards what follows */
    struct post *first, **last;
    bool stop, ended;
    bool asleep;                        /* waits, or is about to: a post has to wake it */
};

enum rc
loop_new(const struct world *w, struct loop **ret, struct why *why)
{
    struct loop *l = mem_zalloc(sizeof *l);
    enum rc rc;

    if (l == NULL)
        return why_rc(why, RC_NOMEM);
    l->w = *w;
    l->last = &l->first;
    if ((l->mutex = mutex_new(w->threads)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = w->net->ops->poller_new(w->net, &l->poller, why)) != RC_OK)
        goto out;
    *ret = l;
    l = NULL;
out:
    loop_free(l);
    return rc;
}

void
loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->sock_cap; i++)
        mem_free(l->by_sock[i]);
    mem_free(l->by_sock);
    for (size_t i = 0; i < l->timer_n; i++)
        mem_free(l->heap[i]);
    mem_free(l->heap);
    while (l->first != NULL) {
        struct post *p = l->first;
        l->first = p->next;
        mem_free(p);
    }
    if (l->poller != NULL)
        l->w.net->ops->poller_free(l->w.net, l->poller);
    if (l->mutex != NULL)
        mutex_free(l->w.threads, l->mutex);
    mem_free(l);
}

/* The watch of sock goes away: what is left of the batch must not reach it. */
static void
watch_drop(struct loop *l, int sock)
{
    struct watch *watch = l->by_sock[sock];

    for (size_t i = l->ready_at; i < l->ready_n; i++)
        if (l->ready[i].tag == watch)
            l->ready[i].tag = NULL;
    l->by_sock[sock] = NULL;
    mem_free(watch);
}

enum rc
loop_watch(struct loop *l, int sock, unsigned events, void (*fn)(void *arg, unsigned events), void *arg,
           struct why *why)
{
    struct watch *watch, **more;
    size_t cap = (size_t)sock + 64;
    bool fresh;
    enum rc rc;

    CHECK(sock >= 0);
    if (events == 0 && ((size_t)sock >= l->sock_cap || l->by_sock[sock] == NULL))
        return RC_OK;
    if ((size_t)sock >= l->sock_cap) {
        if ((more = mem_realloc(l->by_sock, cap * sizeof(*more))) == NULL)
            return why_rc(why, RC_NOMEM);
        memset(more + l->sock_cap, 0, (cap - l->sock_cap) * sizeof *more);
        l->by_sock = more;
        l->sock_cap = cap;
    }
    watch = l->by_sock[sock];
    fresh = watch == NULL;
    if (fresh && (watch = l->by_sock[sock] = mem_zalloc(sizeof *watch)) == NULL)
        return why_rc(why, RC_NOMEM);
    *watch = (struct watch){ .sock = sock, .fn = fn, .arg = arg };
    rc = l->w.net->ops->poller_set(l->w.net, l->poller, sock, events, watch, why);
    if (events == 0 || (rc != RC_OK && fresh))
        watch_drop(l, sock);
    return rc;
}

static bool
timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void
heap_put(struct loop *l, size_t place, struct loop_timer *t)
{
    l->heap[place] = t;
    t->place = place;
}

/* t, which belongs near place, goes where the heap wants it. */
static void
heap_settle(struct loop *l, size_t place, struct loop_timer *t)
{
    while (place > 0 && timer_before(t, l->heap[(place - 1) / 2])) {
        heap_put(l, place, l->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        size_t child = place * 2 + 1;
        if (child + 1 < l->timer_n && timer_before(l->heap[child + 1], l->heap[child]))
            child++;
        if (child >= l->timer_n || !timer_before(l->heap[child], t))
            break;
        heap_put(l, place, l->heap[child]);
        place = child;
    }
    heap_put(l, place, t);
}

static void
heap_remove(struct loop *l, struct loop_timer *t)
{
    struct loop_timer *last = l->heap[--l->timer_n];

    if (last != t)
        heap_settle(l, t->place, last);
}

enum rc
loop_timer_add(struct loop *l, uint64_t delay_ms, void (*fn)(void *arg), void *arg, struct loop_timer **ret)
{
    struct loop_timer *t;

    if (!mem_room(&l->heap, l->timer_n, &l->timer_cap, sizeof(*l->heap)) || (t = mem_zalloc(sizeof *t)) == NULL)
        return RC_NOMEM;
    t->at_us = clock_mono_us(l->w.clock) + delay_ms * 1000;
    t->order = l->timer_order++;
    t->fn = fn;
    t->arg = arg;
    l->timer_n++;
    heap_settle(l, l->timer_n - 1, t);
    *ret = t;
    return RC_OK;
}

void
loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
    heap_remove(l, t);
    mem_free(t);
}

enum rc
loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct post *p = mem_zalloc(sizeof *p);
    bool was_empty;

    if (p == NULL)
        return RC_NOMEM;
    p->fn = fn;
    p->arg = arg;
    mutex_lock(l->w.threads, l->mutex);
    if (l->ended) {
        mutex_unlock(l->w.threads, l->mutex);
        mem_free(p);
        return RC_STOPPED;
    }
    was_empty = l->first == NULL;
    *l->last = p;
    l->last = &p->next;
    if (was_empty && l->asleep)     /* inside the lock: the loop cannot end, and be freed, in between */
        l->w.net->ops->poller_wake(l->w.net, l->poller);
    mutex_unlock(l->w.threads, l->mutex);
    return RC_OK;
}

void
loop_stop(struct loop *l)
{
    mutex_lock(l->w.threads, l->mutex);
    l->stop = true;
    l->w.net->ops->poller_wake(l->w.net, l->poller);
    mutex_unlock(l->w.threads, l->mutex);
}

/* Run what was posted; true when it is time to end: stopped, and nothing was left. */
static bool
run_posts(struct loop *l)
{
    struct post *p, *next;
    bool end;

    mutex_lock(l->w.threads, l->mutex);
    p = l->first;
    l->first = NULL;
    l->last = &l->first;
    end = l->stop && p == NULL;
    l->ended = end;
    mutex_unlock(l->w.threads, l->mutex);
    for (; p != NULL; p = next) {
        next = p->next;
        p->fn(p->arg);
        mem_free(p);
    }
    return end;
}

static void
run_timers(struct loop *l)
{
    uint64_t now = clock_mono_us(l->w.clock);

    while (l->timer_n > 0 && l->heap[0]->at_us <= now) {
        struct loop_timer *t = l->heap[0];
        heap_remove(l, t);
        t->fn(t->arg);
        mem_free(t);
    }
}

/* About to wait (or back): true when nothing was posted since run_posts, so that waiting is right. */
static bool
set_asleep(struct loop *l, bool asleep)
{
    bool idle;

    mutex_lock(l->w.threads, l->mutex);
    idle = l->first == NULL;
    l->asleep = asleep && idle;
    mutex_unlock(l->w.threads, l->mutex);
    return idle;
}

void
loop_run(struct loop *l)
{
    struct why why;

    while (!run_posts(l)) {
        uint64_t deadline_ms = !set_asleep(l, true) ? 0 : l->timer_n > 0 ? (l->heap[0]->at_us + 999) / 1000 : FOREVER;
        size_t n = 0;

        /* A poller that cannot wait is a broken process: there is nobody to serve. */
        CHECK(l->w.net->ops->poller_wait(l->w.net, l->poller, deadline_ms, l->ready, BATCH, &n, &why) == RC_OK);
        (void)set_asleep(l, false);     /* what was posted meanwhile is run after the batch */
        l->ready_n = n;
        for (l->ready_at = 0; l->ready_at < l->ready_n; ) {
            struct net_ready *ready = &l->ready[l->ready_at++];
            struct watch *watch = ready->tag;
            if (watch != NULL)
                watch->fn(watch->arg, ready->events);
        }
        run_timers(l);
    }
}
