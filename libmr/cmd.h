/*
 * cmd -- the commands of `mr`.
 *
 * A command is a row of the table in mr_main.c: its name, its line of help, its
 * function, which gets the words after its name and returns the exit status (0 done,
 * 1 failed, 2 used wrongly).  Results go to stdout, everything else to stderr.
 */
#ifndef LIBMR_CMD_H
#define LIBMR_CMD_H

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/proto/jobtracker.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "libmr/mr.h"

enum { MR_DONE = 0, MR_FAILED = 1, MR_USAGE = 2 };

struct mr_cmd {
    struct world w;
    struct conf conf;
    struct rpc_client *jt;          /* opened by the first call */
    char *user;
    void (*on_submitted)(void *arg, const char *job);   /* of each job that the JobTracker took; or NULL */
    void *submitted_arg;
};

int mr_cmd_run(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_new(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_ps(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_status(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_kill(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_logs(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_counters(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_nodes(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_report(struct mr_cmd *c, int argc, char **argv);
int mr_cmd_bench(struct mr_cmd *c, int argc, char **argv);

/* Call the JobTracker; the reply is in the arena. */
enum rc mr_ask(struct mr_cmd *c, enum job_client_row call, const ProtobufCMessage *req, struct arena *a,
               const ProtobufCMessage **ret, struct why *why) MUST_CHECK;
/* A job's status and attempts, with counters if asked for, both in the arena; errors as mr_ask. */
enum rc mr_ask_job(struct mr_cmd *c, char *job, bool counters, struct arena *a, const JtJobStatus **ret,
                   const JtAttemptsReply **ret_attempts, struct why *why) MUST_CHECK;
void mr_cmd_fini(struct mr_cmd *c);

/* Print why and return the status for it. */
int mr_complain(const struct why *why);
int mr_misused(const char *fmt, const char *word);

/* A job's end, for people: its time and counters, or its first failure. */
void mr_print_end(const JtJobStatus *s);

/* Set key=value from "-D", "key=value" or "-Dkey=value" at argv[*i], moving *i; false if it is no -D. */
bool mr_take_option(struct mr_cmd *c, int argc, char **argv, int *i, int *ret_status);

/* ---- what a job is made of (submit.c) ---- */

struct mr_order {
    const char *stage;              /* NULL: MR_JOB's */
    const char *const *inputs;
    size_t input_count;
    const char *output;             /* NULL: its pairs stay with the JobTracker */
    const char *second;
    uint32_t reduces;               /* 0: as configured */
    const struct mr_side *sides;
    size_t side_count;
    const struct mr_pairopt *options;
    size_t option_count;
    bool overwrite;
    int32_t priority;
};

/* A shared object of which jobs are submitted, one after the other: it travels once, its input is cut once unless it
 * changes.  Borrows c and job_path. */
struct mr_session;
enum rc mr_session_open(struct mr_cmd *c, const char *job_path, bool of_driver, struct mr_session **ret,
                        struct why *why) MUST_CHECK;
void mr_session_close(struct mr_session *s);
struct fs *mr_session_fs(struct mr_session *s);

/* Splits, options, code: submit.  *ret_id is in the arena. */
enum rc mr_submit(struct mr_session *s, const struct mr_order *o, struct arena *a, char **ret_id, size_t *ret_maps,
                  uint32_t *ret_reduces, struct why *why) MUST_CHECK;

/* Run the driver of a .so; returns the exit status.  order: what `mr run` was given. */
int mr_run_driver(struct mr_cmd *c, const char *job_path, const struct mr_order *order, bool local);

#endif
