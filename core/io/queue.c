#include "core/io/queue.h"

#include "core/base/mem.h"

/*
 * A ring that grows up to its limit.  The mutex guards everything; items waits
 * for an item, room for a place.
 */
struct queue {
    struct threads *threads;
    struct mutex *mutex;
    struct cond *items, *room;
    void **ring;
    size_t cap, first, n;
    size_t limit;
    size_t takers, putters;     /* threads that wait */
    bool waking;                /* a taker was signalled and is on its way: it will see what is put meanwhile */
    bool stopped;
};

enum rc
queue_new(struct threads *t, size_t limit, struct queue **ret)
{
    struct queue *q = mem_zalloc(sizeof *q);

    if (q == NULL)
        return RC_NOMEM;
    q->threads = t;
    q->limit = limit;
    q->mutex = mutex_new(t);
    q->items = cond_new(t);
    q->room = cond_new(t);
    if (q->mutex == NULL || q->items == NULL || q->room == NULL) {
        queue_free(q);
        return RC_NOMEM;
    }
    *ret = q;
    return RC_OK;
}

void
queue_free(struct queue *q)
{
    if (q == NULL)
        return;
    if (q->room != NULL)
        cond_free(q->threads, q->room);
    if (q->items != NULL)
        cond_free(q->threads, q->items);
    if (q->mutex != NULL)
        mutex_free(q->threads, q->mutex);
    mem_free(q->ring);
    mem_free(q);
}

static enum rc
ring_grow(struct queue *q)
{
    size_t cap = q->cap == 0 ? 16 : q->cap * 2;
    void **ring;

    if (cap > q->limit)
        cap = q->limit;
    if ((ring = mem_calloc(cap, sizeof *ring)) == NULL)
        return RC_NOMEM;
    for (size_t i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->first + i) % q->cap];
    mem_free(q->ring);
    q->ring = ring;
    q->cap = cap;
    q->first = 0;
    return RC_OK;
}

/* With the mutex held.  One taker at a time is woken; it wakes the next when it leaves something behind. */
static void
wake_taker(struct queue *q)
{
    if (q->n == 0 || q->takers == 0 || q->waking)
        return;
    q->waking = true;
    cond_signal(q->threads, q->items);
}

/* With the mutex held. */
static enum rc
put_locked(struct queue *q, void *item)
{
    if (q->stopped)
        return RC_STOPPED;
    if (q->n >= q->limit)
        return RC_BUSY;
    if (q->n == q->cap && ring_grow(q) != RC_OK)
        return RC_NOMEM;
    q->ring[(q->first + q->n) % q->cap] = item;
    q->n++;
    wake_taker(q);
    return RC_OK;
}

enum rc
queue_put(struct queue *q, void *item)
{
    enum rc rc;

    mutex_lock(q->threads, q->mutex);
    rc = put_locked(q, item);
    mutex_unlock(q->threads, q->mutex);
    return rc;
}

enum rc
queue_put_wait(struct queue *q, void *item, uint64_t deadline_ms)
{
    bool in_time = true;
    enum rc rc;

    mutex_lock(q->threads, q->mutex);
    while ((rc = put_locked(q, item)) == RC_BUSY && in_time) {
        q->putters++;
        in_time = cond_wait(q->threads, q->room, q->mutex, deadline_ms);
        q->putters--;
    }
    mutex_unlock(q->threads, q->mutex);
    return rc == RC_BUSY ? RC_TIMEOUT : rc;
}

enum rc
queue_take_many(struct queue *q, uint64_t deadline_ms, void **ret_items, size_t max, size_t *ret_n)
{
    bool in_time = true;
    enum rc rc = RC_OK;
    size_t n;

    mutex_lock(q->threads, q->mutex);
    while (q->n == 0 && !q->stopped && in_time) {
        q->takers++;
        in_time = cond_wait(q->threads, q->items, q->mutex, deadline_ms);
        q->takers--;
        q->waking = false;
    }
    if (q->n == 0) {
        rc = q->stopped ? RC_STOPPED : RC_TIMEOUT;
        goto out;
    }
    for (n = 0; n < max && q->n > 0; n++, q->n--) {
        ret_items[n] = q->ring[q->first];
        q->first = (q->first + 1) % q->cap;
    }
    *ret_n = n;
    if (q->putters > 0)
        cond_broadcast(q->threads, q->room);
    wake_taker(q);
out:
    mutex_unlock(q->threads, q->mutex);
    return rc;
}

enum rc
queue_take(struct queue *q, uint64_t deadline_ms, void **ret_item)
{
    size_t n;

    return queue_take_many(q, deadline_ms, ret_item, 1, &n);
}

size_t
queue_length(struct queue *q)
{
    size_t n;

    mutex_lock(q->threads, q->mutex);
    n = q->n;
    mutex_unlock(q->threads, q->mutex);
    return n;
}

void
queue_stop(struct queue *q)
{
    mutex_lock(q->threads, q->mutex);
    q->stopped = true;
    cond_broadcast(q->threads, q->items);
    cond_broadcast(q->threads, q->room);
    mutex_unlock(q->threads, q->mutex);
}
