/*
 * calls -- clients that change and read few names at the same time, and what the
 * NameNode's log says of it afterwards.
 *
 * Owns: the record of every call, outside the simulated world: when it was made
 * and answered, what was answered, and under which client id and call id the
 * log knows it.  After the history the log's calls, in the order of the log, are
 * put to the model:
 *
 * - what was acknowledged is in the log, once; what was refused is not;
 * - each answer is the model's at its place; a read, a refusal and a success
 *   that changed nothing fit somewhere;
 * - a call that ended before another began has the earlier place.
 */
#ifndef TESTS_SIM_CALLS_H
#define TESTS_SIM_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "namenode/txlog.h"
#include "tests/sim/model.h"
#include "tests/sim/simworld.h"

#define CALLS_MAX 500
#define CALLS_LOGGED_MAX 1000
#define CALLS_CLIENTS 2         /* threads */

enum call_outcome {
    CALL_UNKNOWN,               /* under way, or its answer was lost */
    CALL_ANSWERED,
    CALL_NOT_DONE,              /* the NameNode said that it does nothing now */
};

struct call_record {
    struct model_call call;
    uint8_t client[16];
    int32_t id;
    uint64_t start_us, end_us;  /* FOREVER: no answer */
    enum call_outcome outcome;
    struct model_reply reply;
    size_t first, times;        /* in the log */
    size_t fits;                /* state of the namespace that a read saw */
};

struct call_logged {
    size_t record;
    uint64_t txid;
};

struct calls {
    struct sim *s;
    struct call_record records[CALLS_MAX];
    size_t count;
    struct call_logged logged[CALLS_LOGGED_MAX];
    size_t logged_count;
};

struct calls_client;

/* The client's memory is on its node; name becomes the holder of its leases.  The history fails without memory. */
struct calls_client *calls_client_new(struct calls *c, const struct world *w, const struct conf *conf, const char *name);
void calls_client_free(struct calls_client *k);

/* One drawn call. */
void calls_make(struct calls_client *k, struct rng *rng);

/* List all names there are and look at each: RC_OK when every call was answered. */
enum rc calls_read_all(struct calls_client *k, struct why *why) MUST_CHECK;

/* A call of the log, in order.  The history fails when it is one that nobody made. */
void calls_logged(struct calls *c, uint64_t txid, const struct nn_txcall *call);

/* All of the log has been shown.  The history fails unless everything above holds. */
void calls_check(struct calls *c);

#endif
