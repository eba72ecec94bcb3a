#include "core/io/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/mem.h"

/* Of a pool the fields behind id: what runs, or ran. */
struct thread {
    pthread_t id;
    struct pool *pool;
    void (*fn)(void *arg);
    void *arg;
    char name[16];              /* as long as the kernel keeps */
    bool ended, detached;
    pthread_cond_t end;         /* of one that is joined */
};

struct mutex {
    pthread_mutex_t m;
};

struct cond {
    pthread_cond_t c;
};

/* What a new thread runs; it frees this itself. */
struct start {
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

static void *
thread_main(void *arg)
{
    struct start start = *(struct start *)arg;

    mem_free(arg);
    (void)pthread_setname_np(pthread_self(), start.name);   /* only for ps and gdb */
    start.fn(start.arg);
    return NULL;
}

/* Signals of the process are for the thread that started it; faults stay with whoever causes them. */
static int
create(pthread_t *ret, void *(*main)(void *arg), void *arg)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    err = pthread_create(ret, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

static enum rc
px_spawn(struct threads *t, const char *name, void (*fn)(void *arg), void *arg, struct thread **ret,
         struct why *why)
{
    struct thread *thread = mem_zalloc(sizeof *thread);
    struct start *start = mem_zalloc(sizeof *start);
    enum rc rc;
    int err;

    (void)t;
    if (thread == NULL || start == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    start->fn = fn;
    start->arg = arg;
    snprintf(start->name, sizeof start->name, "%s", name);
    if ((err = create(&thread->id, thread_main, start)) != 0) {
        rc = why_errno(why, err, "start thread %s", name);
        goto out;
    }
    start = NULL;       /* the thread's */
    *ret = thread;
    thread = NULL;
    rc = RC_OK;
out:
    mem_free(start);
    mem_free(thread);
    return rc;
}

static void
px_join(struct threads *t, struct thread *thread)
{
    (void)t;
    CHECK(pthread_join(thread->id, NULL) == 0);
    mem_free(thread);
}

static void
px_detach(struct threads *t, struct thread *thread)
{
    (void)t;
    CHECK(pthread_detach(thread->id) == 0);
    mem_free(thread);
}

static struct mutex *
px_mutex_new(struct threads *t)
{
    struct mutex *m = mem_zalloc(sizeof *m);

    (void)t;
    if (m != NULL)
        CHECK(pthread_mutex_init(&m->m, NULL) == 0);
    return m;
}

static void
px_mutex_free(struct threads *t, struct mutex *m)
{
    (void)t;
    if (m != NULL)
        CHECK(pthread_mutex_destroy(&m->m) == 0);
    mem_free(m);
}

static void
px_lock(struct threads *t, struct mutex *m)
{
    (void)t;
    CHECK(pthread_mutex_lock(&m->m) == 0);
}

static void
px_unlock(struct threads *t, struct mutex *m)
{
    (void)t;
    CHECK(pthread_mutex_unlock(&m->m) == 0);
}

static struct cond *
px_cond_new(struct threads *t)
{
    struct cond *c = mem_zalloc(sizeof *c);
    pthread_condattr_t attr;

    (void)t;
    if (c == NULL)
        return NULL;
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&c->c, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    return c;
}

static void
px_cond_free(struct threads *t, struct cond *c)
{
    (void)t;
    if (c != NULL)
        CHECK(pthread_cond_destroy(&c->c) == 0);
    mem_free(c);
}

static struct timespec
at_ms(uint64_t deadline_ms)
{
    return (struct timespec){ .tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
}

static bool
px_wait(struct threads *t, struct cond *c, struct mutex *m, uint64_t deadline_ms)
{
    struct timespec at;
    int err;

    (void)t;
    if (deadline_ms == FOREVER) {
        CHECK(pthread_cond_wait(&c->c, &m->m) == 0);
        return true;
    }
    at = at_ms(deadline_ms);
    err = pthread_cond_timedwait(&c->c, &m->m, &at);
    CHECK(err == 0 || err == ETIMEDOUT);
    return err == 0;
}

static void
px_signal(struct threads *t, struct cond *c)
{
    (void)t;
    CHECK(pthread_cond_signal(&c->c) == 0);
}

static void
px_broadcast(struct threads *t, struct cond *c)
{
    (void)t;
    CHECK(pthread_cond_broadcast(&c->c) == 0);
}

static void
px_sleep_until(struct threads *t, uint64_t deadline_ms)
{
    struct timespec at = at_ms(deadline_ms);

    (void)t;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

static void
px_yield(struct threads *t)
{
    (void)t;
    sched_yield();
}

static const struct threads_ops px_ops = {
    .spawn = px_spawn, .join = px_join, .detach = px_detach, .mutex_new = px_mutex_new, .mutex_free = px_mutex_free,
    .lock = px_lock, .unlock = px_unlock, .cond_new = px_cond_new, .cond_free = px_cond_free, .wait = px_wait,
    .signal = px_signal, .broadcast = px_broadcast, .sleep_until = px_sleep_until, .yield = px_yield,
};

static const struct threads px_threads = { &px_ops };

struct threads *
threads_posix(void)
{
    return (struct threads *)&px_threads;   /* never written to */
}

/* ---- threads that are used again ---- */

/* One that runs what it is given, or waits for it. */
struct hand {
    struct pool *pool;
    struct thread *thread;      /* to run; NULL while it waits */
    pthread_cond_t wake;
    struct hand *next;          /* in pool->idle */
};

struct pool {
    struct threads threads;     /* first */
    pthread_mutex_t m;
    pthread_cond_t gone;        /* hand_count fell */
    struct hand *idle;          /* the one that waited least first: its stack is warm */
    size_t idle_count, idle_max, hand_count;
    bool stopping;
};

/* pool->m held: the thread is over. */
static void
end_thread(struct thread *thread)
{
    if (thread->detached) {
        CHECK(pthread_cond_destroy(&thread->end) == 0);
        mem_free(thread);
        return;
    }
    thread->ended = true;
    CHECK(pthread_cond_signal(&thread->end) == 0);
}

static void *
hand_main(void *arg)
{
    struct hand *h = arg;
    struct pool *pool = h->pool;

    CHECK(pthread_mutex_lock(&pool->m) == 0);
    while (h->thread != NULL) {
        struct thread *thread = h->thread;

        CHECK(pthread_mutex_unlock(&pool->m) == 0);
        (void)pthread_setname_np(pthread_self(), thread->name);     /* only for ps and gdb */
        thread->fn(thread->arg);
        CHECK(pthread_mutex_lock(&pool->m) == 0);
        end_thread(thread);
        h->thread = NULL;
        if (pool->stopping || pool->idle_count == pool->idle_max)
            break;
        h->next = pool->idle;
        pool->idle = h;
        pool->idle_count++;
        while (h->thread == NULL && !pool->stopping)
            CHECK(pthread_cond_wait(&h->wake, &pool->m) == 0);
    }
    CHECK(pthread_cond_destroy(&h->wake) == 0);
    mem_free(h);
    pool->hand_count--;
    CHECK(pthread_cond_signal(&pool->gone) == 0);
    CHECK(pthread_mutex_unlock(&pool->m) == 0);
    return NULL;
}

/* pool->m held: a new hand for the thread. */
static enum rc
add_hand(struct pool *pool, struct thread *thread, struct why *why)
{
    struct hand *h = mem_zalloc(sizeof *h);
    int err;

    if (h == NULL)
        return why_rc(why, RC_NOMEM);
    h->pool = pool;
    h->thread = thread;
    CHECK(pthread_cond_init(&h->wake, NULL) == 0);
    if ((err = create(&thread->id, hand_main, h)) != 0) {
        CHECK(pthread_cond_destroy(&h->wake) == 0);
        mem_free(h);
        return why_errno(why, err, "start thread %s", thread->name);
    }
    CHECK(pthread_detach(thread->id) == 0);
    pool->hand_count++;
    return RC_OK;
}

static enum rc
pool_spawn(struct threads *t, const char *name, void (*fn)(void *arg), void *arg, struct thread **ret, struct why *why)
{
    struct pool *pool = (struct pool *)t;
    struct thread *thread = mem_zalloc(sizeof *thread);
    struct hand *h;
    enum rc rc = RC_OK;

    if (thread == NULL)
        return why_rc(why, RC_NOMEM);
    thread->pool = pool;
    thread->fn = fn;
    thread->arg = arg;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    CHECK(pthread_cond_init(&thread->end, NULL) == 0);
    CHECK(pthread_mutex_lock(&pool->m) == 0);
    if ((h = pool->idle) != NULL) {
        pool->idle = h->next;
        pool->idle_count--;
        h->thread = thread;
        CHECK(pthread_cond_signal(&h->wake) == 0);
    } else {
        rc = add_hand(pool, thread, why);
    }
    CHECK(pthread_mutex_unlock(&pool->m) == 0);
    if (rc == RC_OK) {
        *ret = thread;
    } else {
        CHECK(pthread_cond_destroy(&thread->end) == 0);
        mem_free(thread);
    }
    return rc;
}

static void
pool_join(struct threads *t, struct thread *thread)
{
    struct pool *pool = (struct pool *)t;

    CHECK(pthread_mutex_lock(&pool->m) == 0);
    while (!thread->ended)
        CHECK(pthread_cond_wait(&thread->end, &pool->m) == 0);
    thread->detached = true;
    end_thread(thread);
    CHECK(pthread_mutex_unlock(&pool->m) == 0);
}

static void
pool_detach(struct threads *t, struct thread *thread)
{
    struct pool *pool = (struct pool *)t;

    CHECK(pthread_mutex_lock(&pool->m) == 0);
    thread->detached = true;
    if (thread->ended)
        end_thread(thread);
    CHECK(pthread_mutex_unlock(&pool->m) == 0);
}

static const struct threads_ops pool_ops = {
    .spawn = pool_spawn, .join = pool_join, .detach = pool_detach, .mutex_new = px_mutex_new, .mutex_free = px_mutex_free,
    .lock = px_lock, .unlock = px_unlock, .cond_new = px_cond_new, .cond_free = px_cond_free, .wait = px_wait,
    .signal = px_signal, .broadcast = px_broadcast, .sleep_until = px_sleep_until, .yield = px_yield,
};

struct threads *
threads_pool_new(size_t idle_max)
{
    struct pool *pool = mem_zalloc(sizeof *pool);

    if (pool == NULL)
        return NULL;
    pool->threads.ops = &pool_ops;
    pool->idle_max = idle_max;
    CHECK(pthread_mutex_init(&pool->m, NULL) == 0);
    CHECK(pthread_cond_init(&pool->gone, NULL) == 0);
    return &pool->threads;
}

void
threads_pool_free(struct threads *t)
{
    struct pool *pool = (struct pool *)t;

    if (pool == NULL)
        return;
    CHECK(pthread_mutex_lock(&pool->m) == 0);
    pool->stopping = true;
    for (struct hand *h = pool->idle; h != NULL; h = h->next)
        CHECK(pthread_cond_signal(&h->wake) == 0);
    while (pool->hand_count > 0)
        CHECK(pthread_cond_wait(&pool->gone, &pool->m) == 0);
    CHECK(pthread_mutex_unlock(&pool->m) == 0);
    CHECK(pthread_cond_destroy(&pool->gone) == 0);
    CHECK(pthread_mutex_destroy(&pool->m) == 0);
    mem_free(pool);
}
