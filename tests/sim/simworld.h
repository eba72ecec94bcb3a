/*
 * simworld -- machines, disks, a network and a clock inside one process.
 *
 * Threads are fibers, of which one runs at a time; which one is drawn from the
 * seed at every switch point, that is, at every call of any table of struct
 * world.  Simulated time moves only when all fibers wait.  The same seed gives
 * the same history, to the byte of its trace.  docs/SIMULATION.md tells how.
 *
 * Owns: everything below a struct sim.  Nothing here may be called by two
 * threads of the kernel.  A fiber must not spin without calling its world.
 */
#ifndef TESTS_SIM_SIMWORLD_H
#define TESTS_SIM_SIMWORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/attr.h"
#include "core/base/log.h"
#include "core/base/world.h"

struct plan;
struct sim;
struct sim_stacks;
struct sim_node;

/* Where a fiber can be when its node dies. */
enum sim_point {
    SIM_POINT_LOCK,         /* mutexes, conditions, threads, sleep */
    SIM_POINT_NET,
    SIM_POINT_READ,
    SIM_POINT_WRITE,        /* writes, truncations */
    SIM_POINT_SYNC,         /* of files and directories */
    SIM_POINT_NAME,         /* open, rename, link, unlink, mkdir */
    SIM_POINT_ANY,          /* not a kind: any of the above */
};
#define SIM_POINT_KINDS SIM_POINT_ANY
const char *sim_point_name(enum sim_point p);

enum sim_crash {
    SIM_KILL,       /* the process: what it wrote stays written, peers see its connections end */
    SIM_POWER,      /* the machine: what was not synced is kept, lost or torn; peers see silence */
};

struct sim_options {
    uint64_t seed;
    FILE *trace;            /* borrowed; NULL: no lines, only the fingerprint */
    enum log_level level;   /* of the lines that daemons log */
    uint64_t latency_us;    /* least time of a message; it may take up to eight times as long */
    uint32_t reset_ppm;     /* messages in a million that end their connection instead */
    uint64_t limit_ms;      /* a history that takes longer has failed */
    struct plan *plan;      /* borrowed; what is left out */
    struct sim_stacks *stacks;      /* borrowed; NULL: the history maps its own */
};

/* Stacks of fibers that have ended, for the histories that follow in the same process. */
struct sim_stacks *sim_stacks_new(void);
void sim_stacks_free(struct sim_stacks *k);

/* Once in a process, before SQLite is used: no threads, our heap. */
void sim_sqlite_set_up(void);

struct sim *sim_new(const struct sim_options *o);
void sim_free(struct sim *s);

/* Run fn on a node of its own, "driver", that never crashes, until it returns.  False: the history failed. */
bool sim_run(struct sim *s, void (*fn)(struct sim *s, void *arg), void *arg);
const char *sim_failure(const struct sim *s);           /* "" when it did not fail */

/* From a fiber: the history has failed; does not return. */
void sim_fail(struct sim *s, const char *fmt, ...) PRINTF(2, 3) NORETURN;
#define SIM_CHECK(s, x) ((x) ? (void)0 : sim_fail(s, "%s:%d: %s", __FILE__, __LINE__, #x))

/* A line of the trace, under the name of the node that runs. */
void sim_note(struct sim *s, const char *event, const char *fmt, ...) PRINTF(3, 4);

/* Every switch, message and line so far, as one number. */
uint64_t sim_fingerprint(const struct sim *s);
uint64_t sim_now_us(const struct sim *s);
uint64_t sim_steps(const struct sim *s);
struct rng *sim_rng(struct sim *s);                     /* for choices of the scenario */
struct plan *sim_plan(struct sim *s);
const struct world *sim_driver_world(const struct sim *s);
unsigned sim_warnings(const struct sim *s);             /* lines at warn and error so far */

/* How often something of each kind has happened to this world. */
enum sim_happening {
    SIM_CRASHED, SIM_WAS_CUT, SIM_WAS_RESET, SIM_REPLY_LOST, SIM_CLOCK_JUMPED, SIM_DISK_FAILED, SIM_DISK_SMALL, SIM_HAPPENINGS
};
extern const char *const sim_happenings[SIM_HAPPENINGS];       /* names of sim_note, as the trace has them */
uint64_t sim_happened(const struct sim *s, enum sim_happening kind);

/* A machine with an empty disk.  name and address are copied.  It is up. */
struct sim_node *sim_node_new(struct sim *s, const char *name, const char *address);
/* One more process of machine: the disk, the address and the power are the machine's.  With a parent it is not up and
 * dies with its parent; without one it is up. */
struct sim_node *sim_node_new_on(struct sim_node *machine, struct sim_node *parent, const char *name);
const char *sim_node_name(const struct sim_node *n);
const struct world *sim_node_world(const struct sim_node *n);
bool sim_node_is_up(const struct sim_node *n);
unsigned sim_node_boots(const struct sim_node *n);      /* so far; from 1 on once it is up */
uint64_t sim_node_points(const struct sim_node *n, enum sim_point p);   /* passed since it was booted */

/* Run fn on node n, on its heap.  arg is borrowed and must not be on that heap. */
void sim_node_spawn(struct sim_node *n, const char *name, void (*fn)(void *arg), void *arg);

/* From a fiber of another node: n is gone now.  Nothing happens when it is down already. */
void sim_node_crash(struct sim_node *n, enum sim_crash how);
/* The nth switch point of kind p from now (0: never) is n's last. */
void sim_node_crash_at(struct sim_node *n, enum sim_point p, uint64_t nth, enum sim_crash how);
/* n's threads stand still for a while; its kernel does not: connections live, messages arrive. */
void sim_node_pause(struct sim_node *n, uint64_t ms);
void sim_node_boot(struct sim_node *n);                 /* up again, with the disk as it is */

/* Network: messages between a and b, or from one to the other, wait; connections cannot be made. */
void sim_partition(struct sim_node *a, struct sim_node *b, bool cut);
void sim_cut_way(struct sim_node *from, struct sim_node *to, bool cut);
void sim_set_reset_ppm(struct sim *s, uint32_t ppm);
void sim_set_stall_ppm(struct sim *s, uint32_t ppm);    /* messages in a million that take seconds, and may end in a reset */
/* The nth message from now (0: none) that n sends to `to` (NULL: anybody), who connected to it, is lost with the connection:
 * what it answers was done.  n dies right after it when dies. */
void sim_lose_reply(struct sim_node *n, const struct sim_node *to, uint64_t nth, bool dies);

/* n's wall clock jumps; its monotonic one does not. */
void sim_clock_jump(struct sim_node *n, int64_t ms);
/* Operations of n's disk and messages to and from n take so many times as long; 1: as they are. */
void sim_node_slow(struct sim_node *n, unsigned disk_times, unsigned net_times);

/* Disk: capacity in bytes; and the nth operation from now of kind p (READ, WRITE, SYNC) fails with RC_IO. */
void sim_disk_limit(struct sim_node *n, uint64_t bytes);
void sim_disk_fail(struct sim_node *n, enum sim_point p, uint64_t nth);
uint64_t sim_disk_used(struct sim_node *n);
/* fn is called before a name goes away: by unlink, or by rename (to: the new path; NULL: unlinked).  It must not switch. */
void sim_on_name_gone(struct sim *s, void (*fn)(void *arg, struct sim_node *n, const char *path, const char *to), void *arg);
/* Bytes of the file at path as n's processes see them; false: there is none. */
bool sim_disk_bytes(struct sim_node *n, const char *path, const uint8_t **ret_p, uint64_t *ret_n);
bool sim_disk_is_rotten(struct sim_node *n, const char *path);     /* a bit of it was flipped */
/* Flip one bit of a file, past the cache and below any checksum.  False: no such file or byte. */
bool sim_disk_flip(struct sim_node *n, const char *path, uint64_t at, unsigned bit);
/* Flip a drawn bit of a drawn file whose name begins with prefix. */
bool sim_disk_flip_any(struct sim_node *n, const char *prefix);

#endif
