/*
 * retry -- replies kept for calls that are asked again.
 *
 * A client that lost the reply to an at-most-once call repeats it with the same
 * client id and call id; it then gets the reply of the first.  Only successes
 * are kept, for conf's retry_cache_ms and within a bound on their number.  Core thread only.  In memory; what the
 * log holds of the last minutes is read back at start.
 */
#ifndef NAMENODE_RETRY_H
#define NAMENODE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

struct nn_db;
struct nn_retry;

enum rc nn_retry_new(uint64_t keep_ms, struct nn_retry **ret, struct why *why) MUST_CHECK;
void nn_retry_free(struct nn_retry *r);

/*
 * Read the log back: replies of the last keep_ms, the last 64 MB of rows at most; they are kept as if given at now_ms
 * (monotonic).  The rows' times are of a wall clock that may have jumped, so neither it nor a row's distance to the
 * present is believed: the age of a row is the sum of the steps between the rows after it, a minute at most each.
 */
enum rc nn_retry_load(struct nn_retry *r, struct nn_db *db, uint64_t now_ms, struct why *why) MUST_CHECK;

/* The reply of the first, or false.  Good until the next call on r. */
bool nn_retry_find(const struct nn_retry *r, const uint8_t client_id[16], int32_t call_id, struct span *ret_reply);

/* Keep a reply (copied), given at at_ms (monotonic).  It belongs to the open group until nn_retry_commit; nn_retry_rollback forgets it. */
enum rc nn_retry_add(struct nn_retry *r, const uint8_t client_id[16], int32_t call_id, uint64_t at_ms,
                     struct span reply, struct why *why) MUST_CHECK;
void nn_retry_commit(struct nn_retry *r);
void nn_retry_rollback(struct nn_retry *r);

void nn_retry_expire(struct nn_retry *r, uint64_t now_ms);
size_t nn_retry_count(const struct nn_retry *r);

#endif
