/*
 * repl -- what to do about the replicas of one block.
 *
 * A plain function of what is known of one block: which copies to make, which
 * replicas may be dropped, how the block is counted.
 * Invariants (INV-5 of docs/ARCHITECTURE.md): a replica is dropped only when
 * enough others are good, that is, finalized, of the block's stamp and length, on a live node, and confirmed by
 * a report in this run; so the last good one is never dropped.  What is known
 * only from the database (provisional) neither justifies a drop nor a copy.
 */
#ifndef NAMENODE_REPL_H
#define NAMENODE_REPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "namenode/node.h"
#include "namenode/replica.h"

struct nn_repl_block {
    uint64_t stamp, bytes;
    unsigned wanted;            /* replicas */
    bool complete;              /* not under construction */
};

/* One replica and where it is. */
struct nn_repl_copy {
    const struct nn_replica *r;
    const struct nn_storage *s;     /* NULL: a storage that is not known any more */
    bool going;                     /* its deletion has been ordered */
    bool expected;                  /* it is being written, by a pipeline that just ended or by a copy */
};

struct nn_repl_count {
    unsigned good;              /* confirmed, on live nodes that stay, each node counted once */
    unsigned leaving;           /* as good, but on decommissioning nodes */
    unsigned provisional;       /* looks good in the database, not yet reported in this run; on distinct nodes */
    unsigned suspect;           /* could not be read, may be good, on live nodes */
    unsigned corrupt;           /* corrupt or of the wrong length, on live nodes */
    unsigned outdated;          /* of an older stamp or left half written, on live nodes */
    unsigned writing;
    unsigned surplus;           /* good ones that are too many */
};

struct nn_repl_plan {
    struct nn_repl_count count;
    unsigned copies;            /* to make, beyond the pending ones */
    size_t drop_count;
    const struct nn_repl_copy *drop[NN_REPLICAS_MAX];
};

void nn_repl_count(const struct nn_repl_block *b, const struct nn_repl_copy *copies, size_t n, struct nn_repl_count *ret);

/*
 * pending: copies that are on their way.  no_room: no node is left that could
 * take a copy, so that a bad replica may make room as soon as one good one is
 * there.
 */
void nn_repl_plan(const struct nn_repl_block *b, const struct nn_repl_copy *copies, size_t n, unsigned pending,
                  bool no_room, struct nn_repl_plan *ret);

/* Is this replica good: finalized, of the block's stamp and length? */
bool nn_replica_is_good(const struct nn_repl_block *b, const struct nn_replica *r);

#endif
