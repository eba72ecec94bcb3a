/*
 * sim_priv -- what the parts of the simulated world share: simsched.c (nodes,
 * fibers, order, trace), simthread.c, simdisk.c, simimage.c, simnet.c and simpoller.c.
 *
 * Memory of the world is on the ordinary heap, of a node on the node's: code
 * that allocates for the world does so between sim_heap_enter and _leave.
 */
#ifndef TESTS_SIM_SIM_PRIV_H
#define TESTS_SIM_SIM_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "core/io/thread.h"
#include "core/net/net.h"
#include "tasktracker/pipes.h"
#include "tests/sim/simcontext.h"
#include "tests/sim/simworld.h"

/* Fibers that wait for one thing. */
struct sim_waitq {
    struct thread *head;
};

enum fiber_state { FIBER_READY, FIBER_WAITING, FIBER_DONE };

struct thread {
    struct sim_node *node;
    char name[32];
    uint64_t id;
    struct sim_context context;
    void *stack;
    void *fake_stack;               /* AddressSanitizer's */
    void (*fn)(void *arg);
    void *arg;
    enum fiber_state state;
    struct sim_waitq *on;           /* what it waits for; NULL: time only */
    struct thread *q_prev, *q_next;
    struct thread *all_prev, *all_next;
    uint64_t deadline_us;           /* FOREVER: none */
    bool timed_out;
    bool is_detached;
    struct sim_waitq joiners;
    const char *doing;              /* for the dump of a deadlock */
    size_t ready_at;                /* its place among the ready */
};

struct sim_event {
    uint64_t at_us, seq;
    void (*fn)(struct sim *s, void *arg);
    void *arg;
};

struct sim_disk;
struct sim_sock;
struct net_poller;

#define SIM_NODES_MAX 32

struct sim_node {
    struct sim *sim;
    struct sim_node *next;
    char name[32];
    char address[64];
    unsigned index;
    struct sim_node *machine;       /* whose disk, address and power it has; itself mostly */
    struct sim_node *parent;        /* dies with it; NULL none */
    struct world world;
    struct clock clock;
    struct rng_seeded rng;
    struct io io;
    struct threads threads;
    struct net net;
    struct pipes pipes;
    uint64_t mono_offset_us;
    int64_t wall_offset_ms;
    unsigned disk_times, net_times; /* slower than others; 0 and 1: not */
    uint64_t lose_reply_in;         /* 0: no */
    const struct sim_node *lose_reply_to;
    bool lose_reply_dies;
    struct mem_heap *heap;
    bool is_up, lost_power;
    uint64_t paused_until_us;       /* its fibers do not run before */
    unsigned incarnation;           /* boots */
    uint64_t points[SIM_POINT_KINDS];
    enum sim_point crash_point;
    uint64_t crash_in;              /* 0: no */
    enum sim_crash crash_how;
    struct sim_disk *disk;          /* the machine's */
    struct sim_pipe_fd *pipe_fds;   /* of the machine's processes, by number */
    size_t pipe_fd_count;
    struct sim_sock **socks;        /* by number */
    size_t sock_count;
    struct net_poller *pollers;
    uint16_t next_port;
};

struct sim {
    struct sim_options options;
    struct rng_seeded rng;
    uint64_t now_us, steps, seq;
    uint64_t fingerprint;
    unsigned warnings;
    uint64_t happened[SIM_HAPPENINGS];
    struct sim_node *nodes;
    unsigned node_count;
    struct sim_node *driver;
    uint32_t cuts[SIM_NODES_MAX];   /* bit b of a: what a sends does not reach b */
    uint32_t stall_ppm;
    void (*on_name_gone)(void *arg, struct sim_node *n, const char *path, const char *to);
    void *on_name_gone_arg;
    struct thread *fibers;
    struct thread **ready;
    size_t ready_count, ready_cap;
    uint64_t next_deadline_us;      /* no fiber's deadline is before */
    uint64_t paused_until_us;       /* the latest of any node */
    struct sim_event *events;       /* a binary heap */
    size_t event_count, event_cap;
    struct thread *running;         /* NULL: the loop in sim_run */
    struct sim_context loop;
    void *loop_fake_stack;
    const void *loop_stack;
    size_t loop_stack_bytes;
    struct thread *ended;           /* for the loop to free */
    struct sim_node *dying;         /* for the loop to drop */
    enum sim_crash dying_how;
    struct sim_stacks *stacks;      /* to be used again; ours when options have none */
    bool is_over, has_failed;
    char failure[4096];
};

static inline struct mem_heap *sim_heap_enter(void) { return mem_heap_use(NULL); }
static inline void sim_heap_leave(struct mem_heap *was) { (void)mem_heap_use(was); }
void *sim_alloc(size_t n);          /* zeroed, on the ordinary heap; never NULL */
void *sim_grow(void *p, size_t count, size_t *cap, size_t size);    /* room for count + 1 */

/* A switch point of kind p on the running fiber's node: it may die here, others may run. */
void sim_point(struct sim *s, enum sim_point p);
void sim_mix(struct sim *s, uint64_t v);

/* Wait for a wake of q (NULL: none comes) or until the time.  False: the time came. */
bool sim_wait(struct sim *s, struct sim_waitq *q, uint64_t deadline_us, const char *doing);
void sim_wake_one(struct sim *s, struct sim_waitq *q);
void sim_wake_all(struct sim *s, struct sim_waitq *q);

struct thread *sim_fiber_new(struct sim_node *n, const char *name, void (*fn)(void *arg), void *arg);    /* ready */
void sim_fiber_free(struct sim *s, struct thread *t);   /* one that does not run */
void sim_reschedule(struct sim *s);     /* let others run; the running fiber is ready or waiting */

void sim_after(struct sim *s, uint64_t delay_us, void (*fn)(struct sim *s, void *arg), void *arg);

/* A deadline of n's clock in simulated time. */
uint64_t sim_deadline(const struct sim_node *n, uint64_t mono_ms);

extern const struct threads_ops sim_threads_ops;
uint64_t sim_clock_mono(struct clock *c);
uint64_t sim_clock_wall(struct clock *c);

void sim_disk_init(struct sim_node *n);
void sim_disk_crash(struct sim_node *n);        /* its descriptors are closed */
void sim_disk_fini(struct sim_node *n);
int sim_disk_dup(struct sim_node *n, int fd);   /* of no process, until one takes it */
void sim_disk_take(struct sim_node *n, int fd); /* n's from now on */
int sim_disk_memory_file(struct sim_node *n, const void *p, size_t bytes);     /* without a name; n's */
size_t sim_disk_contents(struct sim_node *n, int fd, const uint8_t **ret);
void sim_disk_close(struct sim_node *n, int fd);
void sim_disk_lose(struct sim_node *machine);   /* a power cut, once no process has anything open */
unsigned sim_disk_open_count(const struct sim_node *n);         /* descriptors that n has */

void sim_pipes_init(struct sim_node *n);
void sim_pipes_crash(struct sim_node *n);
void sim_pipes_fini(struct sim_node *machine);
unsigned sim_pipes_open_count(const struct sim_node *n);

void sim_net_init(struct sim_node *n);
void sim_net_crash(struct sim_node *n, enum sim_crash how);
bool sim_is_cut(const struct sim *s, const struct sim_node *from, const struct sim_node *to);

#endif
