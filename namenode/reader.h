/*
 * reader -- threads that answer calls which change nothing.
 *
 * Each has a reading connection.  It takes some queued calls as one batch, and
 * its read transaction begins after all of them arrived; so a client reads its
 * own writes.  A read never waits for a commit; its reply waits until what it saw
 * is on the disk (settle.h).
 */
#ifndef NAMENODE_READER_H
#define NAMENODE_READER_H

#include "core/rpc/server.h"
#include "namenode/db.h"
#include "namenode/nn.h"

struct nn_snapshot;

struct nn_reader {
    struct nn *nn;
    struct nn_db db;
    const struct nn_snapshot *snap;     /* during a batch */
    uint64_t seen;                      /* replies wait until this transaction is on the disk; 0: for none */
    struct thread *thread;
};

enum rc nn_reader_init(struct nn_reader *r, struct nn *nn, struct why *why) MUST_CHECK;
void nn_reader_fini(struct nn_reader *r);
void nn_reader_run(void *reader);       /* the thread; until nn->read_queue is stopped and empty */

/* Answer calls[0..n), which are ended. */
void nn_reader_batch(struct nn_reader *r, struct rpc_call **calls, size_t n);

/* Long reads: end the read transaction and begin a new one once 5 ms have passed since begun_us (mono), so
 * that the log can be checkpointed.  Statements must be reset first; go on from a key. */
enum rc nn_reader_pause(struct nn_reader *r, uint64_t *begun_us, struct why *why) MUST_CHECK;

#endif
