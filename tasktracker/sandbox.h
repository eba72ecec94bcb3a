/*
 * sandbox -- what keeps a job's code away from everything that is not its own.
 *
 * Layers, in this order: namespaces (user, pid, mount, net, ipc, uts), a
 * read-only root with an empty /tmp, rlimits, no privileges, no_new_privs, Landlock,
 * a seccomp allow-list; only then is the job's code loaded.  Three tiers:
 *   root     a uid for each worker; all layers that the kernel grants
 *   userns   namespaces owned by the tracker's user
 *   plain    rlimits, no_new_privs, seccomp, and Landlock where it is; no namespaces
 * Called by the launcher and by workers, each a process of one thread.
 */
#ifndef TASKTRACKER_SANDBOX_H
#define TASKTRACKER_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/rc.h"

enum sandbox_tier { TIER_ROOT, TIER_USERNS, TIER_PLAIN };

#define SANDBOX_TEXT 160

struct sandbox {
    enum sandbox_tier tier;
    int namespaces;             /* CLONE_NEW... that the kernel grants */
    int landlock;               /* ABI, 0 without */
    uid_t uid;                  /* of the launcher: inside a new user namespace it no longer shows */
    gid_t gid;
    char text[SANDBOX_TEXT];    /* "root namespaces=user,pid landlock=3 seccomp" */
};

/* Find out what this kernel and this user allow.  Forks. */
void sandbox_probe(struct sandbox *ret);
const char *sandbox_tier_name(enum sandbox_tier tier);

/*
 * This process goes into a network namespace without a network, and what it forks needs none of its own: to make and
 * to end one takes longer than all else of a worker, and no worker may make a socket in it (seccomp).
 */
void sandbox_share(struct sandbox *s);

/* As fork, in new namespaces. */
pid_t sandbox_fork(const struct sandbox *s);
/* First thing in that child: maps, mounts. */
enum rc sandbox_enter(const struct sandbox *s, struct why *why) MUST_CHECK;
/* Last thing before a worker waits for work: rlimits, uid (root tier), no_new_privs, Landlock, seccomp. */
enum rc sandbox_lock(const struct sandbox *s, unsigned slot, struct why *why) MUST_CHECK;

#endif
