#include "core/io/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/mem.h"

struct thread {
    pthread_t id;
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
    char name[16];      /* as long as the kernel keeps */
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

static enum rc
px_spawn(struct threads *t, const char *name, void (*fn)(void *arg), void *arg, struct thread **ret,
         struct why *why)
{
    struct thread *thread = mem_zalloc(sizeof *thread);
    struct start *start = mem_zalloc(sizeof *start);
    sigset_t all, before;
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

    /* Signals of the process are for the thread that started it; faults stay with whoever causes them. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    err = pthread_create(&thread->id, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0) {
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
