/*
 * cluster -- a whole cluster on loopback, as a folder describes it.
 *
 *     DIR/cluster.json        nodes, settings of -D, the ports of the last start
 *     DIR/conf/NAME.conf      what each daemon is started with; millrace.conf is the clients'
 *     DIR/NAME/               its state
 *     DIR/log/NAME.log        what it says
 *     DIR/run/                control socket; what is there dies with the cluster
 *
 * Daemons are nn, jt, and for each node i a DataNode dni and a TaskTracker tti.
 */
#ifndef MINI_CLUSTER_H
#define MINI_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/rc.h"
#include "core/conf/daemon.h"

#define NODES_MAX 64

enum member_kind { MEMBER_NN, MEMBER_JT, MEMBER_DN, MEMBER_TT };
enum member_state { MEMBER_STOPPED, MEMBER_STARTING, MEMBER_RUNNING, MEMBER_DIED };

struct member {
    enum member_kind kind;
    unsigned node;                  /* from 1; 0 for nn and jt */
    char name[16];                  /* "dn2" */
    enum member_state state;
    pid_t pid;                      /* 0 when there is no process */
    struct daemon_address address;  /* as bound, kept from the last start */
    int exit_status;                /* of waitpid, when it died */
};

struct cluster {
    char *dir;                      /* absolute */
    unsigned nodes;
    char **settings;                /* "key=value", NULL-terminated */
    size_t setting_count;
    struct member *members;
    size_t member_count;
};

/*
 * The cluster in dir.  create makes it if it is missing (nodes of it, 3 if 0); settings are added to those it has.
 * Refuses a folder that holds other things, a number of nodes other than it has, and unknown keys.
 */
enum rc cluster_open(const char *dir, bool create, unsigned nodes, char *const *settings, size_t setting_count,
                     struct cluster *ret, struct why *why) MUST_CHECK;
void cluster_fini(struct cluster *c);

/* Write DIR/cluster.json with the addresses as they are now. */
enum rc cluster_save(const struct cluster *c, struct why *why) MUST_CHECK;

/* Write the member's configuration; free_ports asks for any free port instead of the last one. */
enum rc cluster_configure(const struct cluster *c, const struct member *m, bool free_ports, struct why *why) MUST_CHECK;

/* Write the clients' DIR/conf/millrace.conf. */
enum rc cluster_configure_clients(const struct cluster *c, struct why *why) MUST_CHECK;

struct member *cluster_find(struct cluster *c, const char *name);   /* NULL */
const char *member_program(enum member_kind kind);                  /* "datanode" */
const char *member_state_name(enum member_state state);

/* DIR/rest, in a static-size buffer of the caller's. */
enum rc cluster_path(const struct cluster *c, char *out, size_t cap, struct why *why, const char *fmt, ...) PRINTF(5, 6);

/* The folder of this program's executable. */
enum rc bin_dir(char *out, size_t cap, struct why *why) MUST_CHECK;

#endif
