/*
 * cluster -- a NameNode, three DataNodes and a client machine in one simulated world.
 *
 * Owns: the nodes and what runs on them.  A daemon runs as its program's main
 * would run it; when it says that it has failed, or cannot start, its process
 * ends, and whoever supervises the cluster starts it again.
 */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/conf/conf.h"
#include "namenode/txlog.h"
#include "tests/sim/simworld.h"

#define CLUSTER_DATANODES 3
#define CLUSTER_BLOCK_BYTES 8192

struct cluster;

struct machine {
    struct cluster *cluster;
    struct sim_node *node;
    void (*run)(void *machine);
    char address[32];
    bool is_serving;        /* since its last boot */
    uint64_t crash_again_in;        /* switch points after its next boot; 0: no */
    uint64_t boot_at_us;    /* when the supervisor starts it again; 0: nobody has seen it down yet */
};

#define CLUSTER_MORE 4

struct cluster {
    struct sim *s;
    struct machine namenode, datanodes[CLUSTER_DATANODES], client;
    struct machine *more[CLUSTER_MORE];     /* others, after these; borrowed */
    unsigned more_count;
    bool has_two_volumes;   /* each DataNode, and goes on with one of them */
    bool has_copy;          /* the NameNode has a second name directory */
    bool wants_stop;        /* the NameNode is to end in good order */
    bool has_stopped;       /* it did, and its log gives its tables */
    bool is_damaged;        /* the NameNode's files were: it may refuse to start */
    bool has_refused;       /* it did */
    bool copy_ready;        /* when it was looked at last: the copy could replace the database */
    bool wants_recovery;    /* the next start is after --recover-from */
    unsigned restarts;
    void (*on_logged)(void *arg, uint64_t txid, const struct nn_txcall *call);      /* of the log, when all is over */
    void *on_logged_arg;
};

/* The machines, all up.  client_main runs on the client.  in_order: the NameNode serves before the others start. */
void cluster_init(struct cluster *c, struct sim *s, bool in_order, void (*client_main)(void *machine));
struct machine *cluster_machine(struct cluster *c, unsigned i);        /* 0 NameNode, DataNodes, client, more; else NULL */

/* One more: at 10.0.0.last_byte, or a process of on's machine.  m's memory is the caller's. */
void cluster_add(struct cluster *c, struct machine *m, const char *name, unsigned last_byte, struct machine *on,
                 void (*run)(void *machine));

/* From a fiber of the machine: its process ends here. */
void machine_end(struct machine *m, const char *what, const struct why *why) NORETURN;
void machine_sleep_ms(struct machine *m, uint64_t ms);

/* What every program of this cluster has in its configuration file. */
void cluster_conf(struct cluster *c, const struct machine *m, unsigned who, struct conf *ret);

/* Boot machines that have been down for long enough; all of them at once when at_once. */
void cluster_supervise(struct cluster *c, bool at_once);

#endif
