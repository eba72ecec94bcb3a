/*
 * crew -- the worker processes, as the tracker holds them.
 *
 * struct crew is the table through which it has them: launch.c is the kernel's,
 * in the simulator a worker is a fiber with a heap of its own.
 */
#ifndef TASKTRACKER_CREW_H
#define TASKTRACKER_CREW_H

#include <stdbool.h>

#include "core/base/rc.h"
#include "tasktracker/pipes.h"

/* A process of user code. */
struct launched {
    int sock;                       /* chan */
    int warden, status;             /* the table's own; -1 none */
};

struct crew;

struct crew_ops {
    /* Take a worker; sending to it does not wait for ever.  RC_CLOSED: there will be none any more. */
    enum rc (*take)(struct crew *c, struct launched *ret, struct why *why);
    /* Kill it and all it started, now. */
    void (*kill)(struct crew *c, const struct launched *w);
    /* How it ended, as a wait status: waits at most timeout_ms for it; false when it has not ended. */
    bool (*wait)(struct crew *c, const struct launched *w, int timeout_ms, int *ret_status);
    /* Let go of it: a worker whose socket is closed ends. */
    void (*close)(struct crew *c, struct launched *w);
    void (*stop)(struct crew *c);   /* workers die with it */
    /* Most memory that it had at a time, in bytes, once wait has said how it ended; 0: unknown.  NULL: always. */
    uint64_t (*peak)(struct crew *c, const struct launched *w);
};

struct crew {
    const struct crew_ops *ops;
    struct pipes *pipes;
    const char *text;               /* how well they are locked in, for logs and pages */
    bool plain;                     /* badly */
};

static inline enum rc crew_take(struct crew *c, struct launched *ret, struct why *why) { return c->ops->take(c, ret, why); }
static inline void crew_kill(struct crew *c, const struct launched *w) { c->ops->kill(c, w); }
static inline bool crew_wait(struct crew *c, const struct launched *w, int timeout_ms, int *ret_status)
{
    return c->ops->wait(c, w, timeout_ms, ret_status);
}
static inline uint64_t crew_peak(struct crew *c, const struct launched *w)
{
    return c->ops->peak != NULL ? c->ops->peak(c, w) : 0;
}
static inline void crew_close(struct crew *c, struct launched *w) { c->ops->close(c, w); }
static inline void crew_stop(struct crew *c) { c->ops->stop(c); }

#endif
