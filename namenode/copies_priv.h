/*
 * copies_priv -- what copies.c (the log) and backup.c share.
 */
#ifndef NAMENODE_COPIES_PRIV_H
#define NAMENODE_COPIES_PRIV_H

#include "core/io/thread.h"
#include "namenode/copies.h"
#include "namenode/logcopy.h"

/* Bytes to append, shared by the threads of all copies. */
struct nn_copy_order {
    unsigned refs;              /* under the set's lock */
    enum nn_logcopy_kind kind;
    uint64_t txid;
    struct buf bytes;
};

/*
 * What a copy is worth.  All changes are under the set's lock.
 *   SEEDING  gets the log; has no backup from which it goes on
 *   READY    gets the log and could replace the database
 *   DROPPED  gets nothing any more
 */
enum nn_copy_worth { NN_COPY_SEEDING, NN_COPY_READY, NN_COPY_DROPPED };

struct nn_copy {
    struct nn_copies *set;
    char *dir;
    int lock_fd;                        /* -1: none */
    struct nn_logcopy_state found;      /* at start */

    /* Under the set's lock. */
    enum nn_copy_worth worth;
    struct nn_copy_order *order;        /* to be written; NULL: nothing */
    bool is_writing, has_ended;
    bool wants_roll;                    /* the next group begins a segment */
    char *path;                         /* of the segment that is written */
    uint64_t inode;                     /* of that file */
    uint64_t backup;                    /* transaction of its newest backup */
    uint64_t backup_ms;                 /* mono: when that was, or was last tried */
    bool backup_failed;                 /* the last try */

    /* Its own thread's, once there is one. */
    struct thread *thread;
    int fd;                             /* -1: none */
    uint64_t bytes;                     /* of the segment */
};

struct nn_copies {
    struct nn *nn;
    struct nn_logcopy_id id;            /* known after nn_copies_settle */
    struct mutex *lock;
    struct cond *changed;               /* orders, and what became of them */
    struct cond *stopping;              /* for the backup thread */
    struct nn_copy *list;
    size_t count;
    struct thread *backup_thread;
    bool backup_ended;                  /* under lock */
    bool stop;                          /* under lock */
    uint64_t txid;                      /* committed last; under lock */
    struct nn_copy_order *open;         /* the core's: between begin and wait or undo */
    size_t open_count;                  /* copies that it was given to */
};

/* Under the lock.  Nobody waits for it any more. */
void nn_copy_drop(struct nn_copy *c, const struct why *why);

void nn_copies_count(struct nn_copies *set);    /* into the metrics; under the lock */

void nn_backup_run(void *set);          /* the backup thread */

/* Make dir's backup from the database now; *ret_txid: its last transaction.  Stops early with RC_STOPPED. */
enum rc nn_backup_make(struct nn_copies *set, const char *dir, uint64_t *ret_txid, struct why *why) MUST_CHECK;

#endif
