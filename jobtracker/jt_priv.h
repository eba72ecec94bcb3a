/*
 * jt_priv -- the inside of struct jt, for the files that handle its calls.
 */
#ifndef JOBTRACKER_JT_PRIV_H
#define JOBTRACKER_JT_PRIV_H

#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/io/queue.h"
#include "core/io/sqlvfs.h"
#include "core/io/thread.h"
#include "core/rpc/server.h"
#include "jobtracker/core.h"
#include "jobtracker/jt.h"
#include "jobtracker/work.h"

#define JT_WORKERS 2

/* What the core thread is handed. */
enum jt_item_kind { ITEM_CALL, ITEM_CHECKED, ITEM_WORKED };

struct jt_item {
    enum jt_item_kind kind;
    struct rpc_call *call;          /* CALL, CHECKED */
    struct jt_work *work;           /* WORKED */
    enum rc rc;                     /* CHECKED, WORKED: how it went */
    struct why why;
};

/* A call that waits for something to happen; in the call's arena, call->app. */
struct jt_wait {
    struct rpc_call *call;
    uint64_t deadline_ms;           /* mono */
    uint64_t job, version;          /* status */
    bool until_over;                /* status: the end is all that counts */
    uint64_t not_before_ms;         /* status, while the job runs: nobody watches faster */
    char uuid[37];                  /* waitOrders */
    uint64_t epoch, last_seq;
    struct jt_wait *prev, *next;
};

/* An answer that waits for the commit; in the call's arena. */
struct jt_answer {
    struct rpc_call *call;
    const uint8_t *reply;           /* encoded; NULL: fail with why */
    size_t n;
    const struct why *why;
    struct jt_answer *next;
};

struct jt {
    const struct world *w;
    struct conf conf;
    char *superuser;
    struct sqlvfs *vfs;
    int lock_fd;
    struct jt_core core;
    struct rpc_server *server;
    struct queue *queue;            /* struct jt_item */
    struct queue *jobs;             /* struct jt_item to the work threads: CHECKED and WORKED to be */
    struct thread *core_thread, *workers[JT_WORKERS];
    struct jt_wait *order_waits, *status_waits;
    struct jt_answer *answers;      /* of this group, newest first */
    struct jt_now now;              /* of this group */
    bool failed;                    /* read by any thread, atomically */
};

/* End a call after the commit: its reply as it stands now, or why. */
void jt_answer(struct jt *jt, struct rpc_call *call, enum rc rc, const struct why *why);
/* Hand an item to the work threads; takes it. */
void jt_give_work(struct jt *jt, struct jt_item *item);

/* A handler fills reply, or fails, or keeps the call for later (*ret_held). */
typedef enum rc jt_handler_fn(struct jt *jt, struct rpc_call *call, bool *ret_held, struct why *why);

#define RPC(method, wire, Request, Reply, flags)                                                             \
    enum rc jt_do_##method(struct jt *jt, struct rpc_call *call, const Request *req, Reply *ret, bool *ret_held, \
                           struct why *why);
#include "core/proto/jobclient.def"
#include "core/proto/tracker.def"
#undef RPC

/* Those that a JobTracker answers (dispatch.c). */
#define JT_PROTOCOLS 2
extern const struct rpc_protocol *const jt_protocols[JT_PROTOCOLS];
enum rc jt_dispatch(struct jt *jt, struct rpc_call *call, bool *ret_held, struct why *why) MUST_CHECK;

/* The submission whose output was checked, with this outcome; what it was refused for is in why. */
enum rc jt_submit_checked(struct jt *jt, struct rpc_call *call, enum rc checked, struct why *why) MUST_CHECK;
/* Answer waits whose time has come (after the commit). */
void jt_serve_order_waits(struct jt *jt);
void jt_serve_status_waits(struct jt *jt);
/* When the next wait ends by itself (mono). */
uint64_t jt_waits_next_ms(const struct jt *jt);
void jt_end_waits(struct jt *jt);       /* all of them, as the daemon stops */

#endif
