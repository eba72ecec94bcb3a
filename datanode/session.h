/*
 * session -- one connection to the data port, and the operations on it.
 *
 * A session has a thread of its own.  Each operation is done by one function that
 * returns true when another may follow on the connection.
 */
#ifndef DATANODE_SESSION_H
#define DATANODE_SESSION_H

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/net/dtp_io.h"
#include "datanode/dn.h"

struct dn_session {
    struct dn *dn;
    struct dtp_conn conn;
    bool local;                     /* over the Unix socket */
    struct net_addr peer;
    struct arena arena;             /* of the operation */
    struct dn_wire wire;
    struct crowd_entry entry;
};

/* Listen on the data port and, if there is a path for it, on the Unix socket. */
enum rc dn_sessions_start(struct dn *dn, struct why *why) MUST_CHECK;
void dn_sessions_stop(struct dn *dn);   /* closes everything and waits for the threads */

/* Send an answer without more than a status and a text. */
enum rc dn_answer(struct dtp_conn *c, Status status, const char *first_bad_link, const char *message,
                  struct why *why);
/* "CLASS: text", as HDFS's clients are used to see a failure. */
const char *dn_answer_text(struct arena *a, const char *op, const ExtendedBlockProto *b, const struct why *why);

bool dn_op_write(struct dn_session *s, OpWriteBlockProto *op);
bool dn_op_read(struct dn_session *s, const OpReadBlockProto *op);
bool dn_op_checksum(struct dn_session *s, const OpBlockChecksumProto *op);
bool dn_op_transfer(struct dn_session *s, const OpTransferBlockProto *op);
bool dn_op_descriptors(struct dn_session *s, const OpRequestShortCircuitAccessProto *op);

#endif
