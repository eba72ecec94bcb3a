/*
 * queue -- how threads hand things to each other.
 *
 * A bounded first-in first-out queue of pointers.  Any number of threads may
 * put, any number may take.  The queue borrows what is in it: whoever takes an
 * item owns it.
 */
#ifndef CORE_IO_QUEUE_H
#define CORE_IO_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/io/thread.h"

struct queue;

enum rc queue_new(struct threads *t, size_t limit, struct queue **ret) MUST_CHECK;
void queue_free(struct queue *q);       /* nobody may be waiting; items left are the caller's loss */

/* RC_BUSY when full, RC_STOPPED after queue_stop. */
enum rc queue_put(struct queue *q, void *item) MUST_CHECK;
/* As queue_put, but waits for room until the deadline (mono ms): RC_TIMEOUT. */
enum rc queue_put_wait(struct queue *q, void *item, uint64_t deadline_ms) MUST_CHECK;

/* Wait for an item: RC_TIMEOUT at the deadline (mono ms), RC_STOPPED when stopped and empty. */
enum rc queue_take(struct queue *q, uint64_t deadline_ms, void **ret_item) MUST_CHECK;

/* Wait for at least one item, then take up to max of what is there, in order: a group. */
enum rc queue_take_many(struct queue *q, uint64_t deadline_ms, void **ret_items, size_t max, size_t *ret_n) MUST_CHECK;

size_t queue_length(struct queue *q);
void queue_stop(struct queue *q);       /* nothing more may be put; takers drain, then get RC_STOPPED */

#endif
