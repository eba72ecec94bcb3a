/*
 * nn_fixture -- a NameNode without threads or sockets, in a folder of its own,
 * with a clock that stands still until it is told to go.
 */
#ifndef TESTS_UNIT_NN_FIXTURE_H
#define TESTS_UNIT_NN_FIXTURE_H

#include "core/base/clock.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/io/io.h"
#include "core/rpc/server.h"
#include "namenode/dispatch.h"
#include "namenode/nn.h"
#include "namenode/reader.h"

struct fixture_clock {
    struct clock clock;
    uint64_t now_ms;
    uint64_t jump_ms;           /* of the wall clock alone */
};

struct nn_fixture {
    struct world world;
    struct io io;               /* the kernel's, but no write finds room while full */
    struct io_ops io_ops;
    bool full;
    struct fixture_clock clock;
    struct conf conf;
    char dir[64];
    struct nn *nn;
    struct nn_reader reader;
    bool reading;
};

/* One call, made by hand. */
struct test_call {
    struct rpc_call call;
    bool answered, encoded;
    size_t encoded_bytes;
    struct why why;             /* why.rc is RC_OK when it succeeded */
};

void fixture_open(struct nn_fixture *f);        /* a new folder */
void fixture_reopen(struct nn_fixture *f);      /* as after a restart */
void fixture_close(struct nn_fixture *f);       /* and delete the folder */

/* The superuser is "root"; "alice" and "bob" are in the group "staff". */
struct test_call *fixture_call(struct nn_fixture *f, const char *user, const char *method, const ProtobufCMessage *request);
void fixture_call_free(struct test_call *t);

/* Run calls of the core as one group. */
void fixture_group(struct nn_fixture *f, struct test_call **calls, size_t n);
/* One call, by its flags on the core in a group of its own, or on a reader. */
enum rc fixture_run(struct nn_fixture *f, struct test_call *t);

/* Shorthands that free their call; the text of the last failure stays in *why. */
enum rc fixture_mkdirs(struct nn_fixture *f, const char *user, const char *path, uint32_t perm, struct why *why);
enum rc fixture_create(struct nn_fixture *f, const char *user, const char *path, const char *client, unsigned flags,
                       struct why *why);
enum rc fixture_delete(struct nn_fixture *f, const char *user, const char *path, bool recursive, bool *ret, struct why *why);
bool fixture_exists(struct nn_fixture *f, const char *path);

ProtobufCBinaryData text_of(const char *s);

/* Apply the log to an empty database, compare the tables, verify them: fails the test when something is not right. */
void fixture_check_replay(struct nn_fixture *f);

#endif
