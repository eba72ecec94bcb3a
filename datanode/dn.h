/*
 * dn -- a DataNode: keeps replicas, moves them, and answers to a NameNode.
 *
 * All state hangs off struct dn; a process may run several.  Threads: one accepts
 * connections, one a connection (and a second while it answers for packets), one
 * keeps the registration and heartbeats, one takes orders, one reports changes, one
 * scans, one does periodic work.
 */
#ifndef DATANODE_DN_H
#define DATANODE_DN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/conf/metrics.h"
#include "core/io/thread.h"
#include "core/net/crowd.h"
#include "core/net/dtp_io.h"
#include "core/net/idle.h"
#include "datanode/store.h"

struct dn_ipc;
struct dn_link;
struct dn_scan;
struct http_server;


/* A connection that is shut down when the DataNode stops. */
struct dn_wire {
    struct dtp_conn *conn;
    struct dn_wire *prev, *next;
};

struct dn {
    struct world w;
    struct conf conf;
    struct dn_store *store;
    struct dtp_idle *kept;          /* connections to other nodes, for the next block */
    uint64_t started_ms;            /* mono */
    struct dn_metrics metrics;

    struct mutex *mu;               /* guards the fields up to `idle` */
    bool stop;
    struct dn_wire *wires;          /* connections in use */
    struct crowd crowd;             /* connections of clients: who waits, who is served */
    unsigned session_count;         /* threads that serve connections or orders */
    unsigned resting_count;         /* of these, that wait for an operation */
    struct cond *idle;              /* session_count fell */

    int listener, local_listener;   /* -1: none; local: Unix socket */
    struct net_addr data_at, local_at, ipc_at, http_at;
    struct thread *acceptor, *local_acceptor;
    struct dn_link *link;
    struct dn_scan *scan;
    struct dn_ipc *ipc;
    struct http_server *http;
};

/*
 * Open the storage and get ready; then serve: data port, registration, orders.  The simulator does the same; HTTP is
 * started by main alone (pages.h), before dn_serve, which tells the NameNode its port.
 */
enum rc dn_open(const struct world *w, const struct conf *c, struct dn **ret, struct why *why) MUST_CHECK;
enum rc dn_serve(struct dn *dn, struct why *why) MUST_CHECK;
void dn_close(struct dn *dn);           /* stops, waits for every thread, frees */
bool dn_has_failed(void *dn);           /* more volumes are lost than is tolerated */

bool dn_is_stopping(struct dn *dn);
/* Count one more thread that uses dn; RC_BUSY at the limit, RC_STOPPED. */
enum rc dn_enter(struct dn *dn) MUST_CHECK;
void dn_leave(struct dn *dn);
unsigned dn_transfers(struct dn *dn);       /* under way */
/* conn is open from now on and until dn_wire_remove; RC_STOPPED when it is of no use any more. */
enum rc dn_wire_add(struct dn *dn, struct dn_wire *wire, struct dtp_conn *conn) MUST_CHECK;
void dn_wire_remove(struct dn *dn, struct dn_wire *wire);     /* fine for one that was not added */

#endif
