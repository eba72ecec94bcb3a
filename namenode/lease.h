/*
 * lease -- who may write which file.
 *
 * Owns: the table leases (holder, file), which is durable, and the time of each
 * holder's last renewal, which is not: a restart gives everyone a fresh soft
 * limit.  Core thread only.
 * Invariant: each open file is in exactly one lease.
 */
#ifndef NAMENODE_LEASE_H
#define NAMENODE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/rpc/server.h"
#include "namenode/inode.h"

struct nn_core;
struct nn_leases;

enum rc nn_leases_new(struct nn_core *core, struct nn_leases **ret, struct why *why) MUST_CHECK;
void nn_leases_free(struct nn_leases *l);
enum rc nn_leases_reload(struct nn_core *core, struct why *why) MUST_CHECK;    /* after a group was undone */

/* Note that holder is alive.  Memory only: never waits for a commit. */
enum rc nn_lease_renew(struct nn_core *core, struct span holder, struct why *why) MUST_CHECK;

/* As if each holder had renewed ms later. */
void nn_leases_forgive(struct nn_leases *l, uint64_t ms);

/* As nn_lease_renew if holder has an open file, else nothing. */
enum rc nn_lease_renew_known(struct nn_core *core, struct span holder, struct why *why) MUST_CHECK;

/* How long holder has not renewed; since the start at most. */
uint64_t nn_lease_idle_ms(const struct nn_core *core, struct span holder);

struct nn_lease {
    struct span holder, client_node;    /* in the arena */
};
enum rc nn_lease_find(struct nn_db *db, struct arena *arena, uint64_t inode, struct nn_lease *ret, bool *ret_found,
                      struct why *why) MUST_CHECK;

/*
 * The open file that holder writes: by file_id unless that is 0, else by path.
 * RC_NOT_FOUND, RC_LEASE_EXPIRED with HDFS's texts.  *ret_path is in the call's
 * arena and is where the file is now.
 */
enum rc nn_lease_check(struct nn_core *core, struct rpc_call *call, struct span src, uint64_t file_id, struct span holder,
                       struct nn_inode *ret_file, struct span *ret_path, struct why *why) MUST_CHECK;

/*
 * The file of p is to be written by holder, who called: nothing to do when it is
 * closed.  When its writer has been silent past the soft limit its lease is
 * ended: it is closed now, or its recovery begins in a group of its own.
 * RC_BEING_CREATED, RC_IN_RECOVERY with HDFS's texts; operation is "CREATE_FILE"
 * or the like.
 */
struct nn_path;
enum rc nn_lease_take_over(struct nn_core *core, struct rpc_call *call, const char *operation, const struct nn_path *p,
                           struct span holder, struct why *why) MUST_CHECK;

/* As nn_recovery_begin, in a group of its own; what becomes of it is not told.  Any thread. */
struct nn;
enum rc nn_lease_end_later(struct nn *nn, uint64_t inode, struct why *why) MUST_CHECK;

#endif
