/*
 * txlog -- rows of the table log: what each group did.
 *
 * A row holds, for each call of the group that changed something, who asked
 * (user, client id, call id, method), its edits, and its encoded reply if it is
 * an at-most-once call; so the log is the retry cache, the audit trail and what
 * a copy of the namespace is made from.  Layout: docs/formats/namenode-log.md.
 */
#ifndef NAMENODE_TXLOG_H
#define NAMENODE_TXLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "namenode/db.h"

#define NN_TXLOG_BYTES_MAX (256 * MB)

struct nn_txcall {
    bool has_client_id;
    uint8_t client_id[16];
    int32_t call_id;
    uint64_t at_ms;             /* wall */
    struct span method;         /* wire name; empty: the NameNode itself */
    struct span user;
    bool has_reply;
    struct span reply;
    uint64_t edit_count;
    struct span edits;          /* edit_count times: varint length, edit */
};

void nn_txlog_begin(struct buf *row);
void nn_txlog_add(struct buf *row, const struct nn_txcall *call);

/* Read a row: calls on_call for each of its calls in order, stops at the first failure. */
enum rc nn_txlog_read(struct span row, enum rc (*on_call)(void *arg, const struct nn_txcall *call, struct why *why),
                      void *arg, struct why *why) MUST_CHECK;

/* Inside the open transaction of db: apply the edits of one row and add it to the log. */
enum rc nn_txlog_apply(struct nn_db *db, uint64_t txid, uint64_t at_ms, struct span row, struct why *why) MUST_CHECK;

/* The number of the last row; 0: none. */
enum rc nn_txlog_last(struct nn_db *db, uint64_t *ret_txid, struct why *why) MUST_CHECK;

/* Apply all edits of the log of `from` to the empty database `to` (which gets its tables here). */
enum rc nn_txlog_replay(struct nn_db *from, struct nn_db *to, struct why *why) MUST_CHECK;

/* RC_CORRUPT when a table of nn_schema_tables differs; why names it and the first row that does. */
enum rc nn_txlog_compare(struct nn_db *a, struct nn_db *b, struct why *why) MUST_CHECK;

#endif
