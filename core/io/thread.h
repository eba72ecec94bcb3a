/*
 * thread -- threads, mutexes, conditions, sleep.
 *
 * struct threads is a table: threads_posix is pthreads, the simulator's are
 * fibers of which one runs at a time.  So no code may keep state in thread-local
 * variables or spin.  Mutexes and conditions belong inside queues and other
 * small meeting points; daemon state has one owning thread and needs none.
 */
#ifndef CORE_IO_THREAD_H
#define CORE_IO_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/rc.h"

struct threads;
struct thread;          /* each table defines its own */
struct mutex;
struct cond;

struct threads_ops {
    enum rc (*spawn)(struct threads *t, const char *name, void (*fn)(void *arg), void *arg,
                     struct thread **ret, struct why *why);
    void (*join)(struct threads *t, struct thread *thread);        /* waits for the end, frees */
    void (*detach)(struct threads *t, struct thread *thread);      /* frees itself at its end */
    struct mutex *(*mutex_new)(struct threads *t);                 /* NULL: no memory */
    void (*mutex_free)(struct threads *t, struct mutex *m);
    void (*lock)(struct threads *t, struct mutex *m);
    void (*unlock)(struct threads *t, struct mutex *m);
    struct cond *(*cond_new)(struct threads *t);
    void (*cond_free)(struct threads *t, struct cond *c);
    /* false when the deadline (mono ms, FOREVER) passed; may also wake for no reason. */
    bool (*wait)(struct threads *t, struct cond *c, struct mutex *m, uint64_t deadline_ms);
    void (*signal)(struct threads *t, struct cond *c);
    void (*broadcast)(struct threads *t, struct cond *c);
    void (*sleep_until)(struct threads *t, uint64_t deadline_ms);  /* mono ms */
    void (*yield)(struct threads *t);
};

struct threads {
    const struct threads_ops *ops;
};

struct threads *threads_posix(void);

/*
 * The same, but a thread that ends waits, up to idle_max of them, for the next function to run: waking one costs less than
 * starting one, much less on a busy machine.  NULL without memory.  Free it when the threads that were started are joined or
 * have ended, or never.
 */
struct threads *threads_pool_new(size_t idle_max);
void threads_pool_free(struct threads *pool);

static inline enum rc thread_spawn(struct threads *t, const char *name, void (*fn)(void *arg), void *arg,
                                   struct thread **ret, struct why *why)
{
    return t->ops->spawn(t, name, fn, arg, ret, why);
}
static inline void thread_join(struct threads *t, struct thread *th) { t->ops->join(t, th); }
static inline void thread_detach(struct threads *t, struct thread *th) { t->ops->detach(t, th); }
static inline struct mutex *mutex_new(struct threads *t) { return t->ops->mutex_new(t); }
static inline void mutex_free(struct threads *t, struct mutex *m) { t->ops->mutex_free(t, m); }
static inline void mutex_lock(struct threads *t, struct mutex *m) { t->ops->lock(t, m); }
static inline void mutex_unlock(struct threads *t, struct mutex *m) { t->ops->unlock(t, m); }
static inline struct cond *cond_new(struct threads *t) { return t->ops->cond_new(t); }
static inline void cond_free(struct threads *t, struct cond *c) { t->ops->cond_free(t, c); }
static inline bool cond_wait(struct threads *t, struct cond *c, struct mutex *m, uint64_t deadline_ms)
{
    return t->ops->wait(t, c, m, deadline_ms);
}
static inline void cond_signal(struct threads *t, struct cond *c) { t->ops->signal(t, c); }
static inline void cond_broadcast(struct threads *t, struct cond *c) { t->ops->broadcast(t, c); }
static inline void thread_sleep_until(struct threads *t, uint64_t deadline_ms) { t->ops->sleep_until(t, deadline_ms); }
static inline void thread_yield(struct threads *t) { t->ops->yield(t); }

#endif
