/*
 * daemon -- how every daemon starts and stops.
 *
 *     PROGRAM [--config FILE] [--set KEY=VALUE] [--check] [--print-config] [--ready-fd N] [--insecure]
 *
 * Options are read, limits and addresses checked (off loopback needs --insecure),
 * signals set up; then the daemon's start function runs, and after SIGTERM or
 * SIGINT its stop function.  --ready-fd N: one line of JSON with the bound
 * addresses, {"rpc": "...", "http": "..."}, is written to that descriptor once
 * the daemon serves.
 *
 * SIGHUP reads the configuration again and takes the LIVE options, in place:
 * the struct conf that start was given stays good until stop has returned.
 * Signals are blocked in every thread that start makes.  What prepare forks
 * still has the signal mask and actions that the process was started with.
 */
#ifndef CORE_CONF_DAEMON_H
#define CORE_CONF_DAEMON_H

#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/net/net.h"

struct daemon_address {
    char rpc[NET_ADDR_TEXT];        /* the main port: RPC, or data transfer of a DataNode */
    char http[NET_ADDR_TEXT];
};

/* Something that a daemon's program does instead of serving: --NAME ARGUMENT.  It prints what it did. */
struct daemon_errand {
    const char *name;               /* "recover-from" */
    const char *argument;           /* "DIR" */
    const char *about;              /* one line for --help */
    enum rc (*run)(const struct world *w, const struct conf *c, const char *argument, struct why *why);
};

struct daemon_spec {
    const char *name;               /* "namenode" */
    const char *about;              /* one line for --help */
    unsigned who;                   /* enum conf_who */
    /* Before any thread exists; may fork (the TaskTracker's launcher). NULL: nothing. */
    enum rc (*prepare)(const struct conf *c, void **ret_prepared, struct why *why);
    enum rc (*start)(const struct world *w, const struct conf *c, void *prepared, void **ret_self,
                     struct daemon_address *ret_address, struct why *why);
    void (*stop)(void *self);
    /* True once the daemon has ended by itself (a failed COMMIT): the process exits with 1. NULL: never. */
    bool (*has_failed)(void *self);
    /* After LIVE options were taken over: read again what they point to (a file of hosts).  NULL: nothing. */
    void (*reload)(void *self);
    const struct daemon_errand *errand;     /* NULL: none */
    const char *const *bind_keys;   /* keys whose addresses are refused off loopback without --insecure; NULL-terminated */
};

/*
 * RC_BAD_CONFIG unless the address under each of keys is a loopback address or c->insecure is set; names the key, the
 * address and what to do.  For programs that are not daemon_main.
 */
enum rc daemon_check_addresses(const struct conf *c, const char *const *keys, struct why *why) MUST_CHECK;

/* The whole of a daemon's main: returns the exit status (0 done, 1 failed, 2 used wrongly). */
int daemon_main(int argc, char **argv, const struct daemon_spec *spec);

#endif
