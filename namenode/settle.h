/*
 * settle -- a group that was committed reaches the disk, and then its calls are answered.
 *
 * While a thread of its own syncs the WAL the core runs the next group: its COMMIT has only written.  Groups settle in
 * their order, and one sync does for all that wait.  What a reply rests on is on the disk before it leaves: the core's
 * calls wait here with their group, a reader asks for what it saw (nn_settle_until).  When nothing else is to be done, and
 * with further name directories (a copy may be one group ahead of the database, not two), the core syncs itself.
 *
 * Owns: struct nn_settle with a lock; what is in it changes under the lock.
 */
#ifndef NAMENODE_SETTLE_H
#define NAMENODE_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/rpc/server.h"

struct nn;
struct nn_settle;

/* How a call ends once its group has settled; call->app points to it, in the call's arena.  NULL: out of memory. */
struct nn_outcome {
    enum { ANSWER_REPLY, ANSWER_ENCODED, ANSWER_FAIL } kind;
    struct span encoded;
    struct why *why;
};

struct nn_outcome *nn_outcome_failed(struct rpc_call *call, const struct why *why);

/* Calls in the order in which they are answered, linked by next. */
struct nn_calls {
    struct rpc_call *first, **last;
};

void nn_calls_init(struct nn_calls *c);
void nn_calls_add(struct nn_calls *c, struct rpc_call *call, struct nn_outcome *o);

/* End all of them, each with its own outcome, or with why; the list is empty then. */
void nn_calls_answer(struct nn *nn, struct nn_calls *c);
void nn_calls_fail(struct nn *nn, struct nn_calls *c, const struct why *why);

enum rc nn_settle_new(struct nn *nn, struct nn_settle **ret, struct why *why) MUST_CHECK;
void nn_settle_free(struct nn_settle *s);       /* NULL is fine */

/* Before the core's thread runs: from now on its COMMITs do not sync.  Until then they do, and groups settle at once. */
enum rc nn_settle_start(struct nn_settle *s, uint64_t txid, struct why *why) MUST_CHECK;

/* After the core's thread has ended: what was handed over settles. */
void nn_settle_stop(struct nn_settle *s);

/* The core, before a COMMIT: readers may see transaction txid from now on. */
void nn_settle_committing(struct nn_settle *s, uint64_t txid);

/*
 * The core, after a COMMIT that wrote something or not, txid being the last transaction, or after it was undone: answer
 * calls when everything before is on the disk.  Takes the calls.  After a failed sync nobody is answered (nn_set_failed).
 */
void nn_settle_group(struct nn_settle *s, struct nn_calls *calls, uint64_t txid, bool wrote);

/* The core, before it takes calls: wait until no group waits behind the one that is being synced. */
void nn_settle_ready(struct nn_settle *s);

/* Any thread.  Could a transaction that is visible be not on the disk yet? */
bool nn_settle_is_behind(struct nn_settle *s);

/* Any thread: wait until transaction txid, or when it is later all that can be seen now, is on the disk.  false: it will
 * not be, the NameNode ends. */
bool nn_settle_until(struct nn_settle *s, uint64_t txid) MUST_CHECK;

/* A reader: nn_settle_until was false, so nobody answers this call.  Takes it. */
void nn_settle_leave(struct nn_settle *s, struct rpc_call *call);

/* End the calls that a failed sync left, once nobody can hear of them. */
void nn_settle_abandon(struct nn_settle *s, const struct why *why);

#endif
