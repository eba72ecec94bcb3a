/*
 * recovery -- what the write pipeline decides: what an ack means, whom to blame,
 * whether a node is replaced, how the pipeline is set up again.
 *
 * Pure functions; pipeline.c carries out what they say.
 */
#ifndef DFSCLIENT_RECOVERY_H
#define DFSCLIENT_RECOVERY_H

#include "core/proto/dtp.h"
#include "dfsclient/fs.h"

#define RECOVERY_MAX 5          /* times that one packet may be sent again */

enum ack_meaning {
    ACK_PACKET,         /* the oldest packet is on every node */
    ACK_HEARTBEAT,
    ACK_BAD,            /* node `bad` failed */
};

struct ack_verdict {
    enum ack_meaning meaning;
    size_t bad;
};

/*
 * What an ack says when head_seqno is the oldest packet that is not acked (any_sent
 * false: there is none).  A bad status counts before the sequence number, as nodes
 * report a failure behind them with a number of its own.
 */
struct ack_verdict recovery_judge_ack(const struct dtp_ack *a, bool any_sent, int64_t head_seqno, size_t node_count);

/* Which node's fault a refused set-up was: the one that first_bad_link names, else the first. */
size_t recovery_blame_setup(const char *first_bad_link, const struct fs_location *nodes, size_t node_count);

/*
 * Whom to leave out when a pipeline of n nodes broke.  bad: the node that seems to have failed.  sure: a node before it
 * said so; otherwise silence or a lost connection points at it, and that may be the fault of any behind it.  answers[i]:
 * node i was asked and answered.  again: the node before bad has accused one in this block before, wrongly or not; when
 * the accused answers, its accuser is the one with a fault.
 */
size_t recovery_blame(size_t bad, bool sure, bool again, const bool *answers, size_t n);

enum replace_policy { REPLACE_DEFAULT, REPLACE_ALWAYS, REPLACE_NEVER };
bool replace_policy_parse(const char *text, enum replace_policy *ret);

/*
 * Whether to ask for another node when good_count are left.  DEFAULT: files with 3
 * replicas or more, when at most half are left, or any is missing and somebody relies on
 * what was flushed.
 */
bool recovery_wants_node(enum replace_policy policy, uint32_t replication, size_t good_count, bool flushed);

/* How the pipeline is set up again: only the last, empty packet is not acked, or some data. */
enum dtp_stage recovery_stage(bool appending, bool only_last_left);

/* Counts the tries for one packet; false when it is time to give up. */
struct recovery_count {
    int64_t seqno;
    unsigned tries;
};
bool recovery_try(struct recovery_count *c, int64_t head_seqno);

#endif
