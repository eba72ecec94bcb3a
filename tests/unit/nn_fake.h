/*
 * nn_fake -- a NameNode without threads, clients or DataNodes: a test hands it
 * calls, sets the clock, and looks at the answers.
 */
#ifndef TESTS_UNIT_NN_FAKE_H
#define TESTS_UNIT_NN_FAKE_H

#include <stdbool.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/world.h"
#include "core/io/io.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/proto/datanode.pb-c.h"
#include "core/rpc/server.h"
#include "namenode/nn.h"
#include "namenode/reader.h"

/* One call and what became of it. */
struct fake_call {
    struct rpc_call call;
    bool ended, failed;
    struct why why;
};

struct fake_nn {
    struct world world;
    struct clock clock;             /* shows now_ms */
    uint64_t now_ms;
    struct conf conf;
    char dir[64];
    const char *user;
    struct io io;
    struct io_ops io_ops;
    bool full;                      /* the disk has no room for another write */
    bool patient;                   /* calls arrive now, not long ago: they may wait for safe mode to end */
    struct nn *nn;
    struct nn_reader reader;
};

/* A NameNode in a new folder, with the clock at 1,000 s and blocks of 1 KB allowed. */
void fake_nn_init(struct fake_nn *f);
void fake_nn_fini(struct fake_nn *f);
void fake_nn_restart(struct fake_nn *f);    /* with what f->conf says now */

/* ms pass; then groups run until nothing is due. */
void fake_nn_run(struct fake_nn *f, uint64_t ms);

/* Hand over a call and run one group, or one reader's batch.  The request is borrowed until the call has ended. */
struct fake_call *fake_start(struct fake_nn *f, const char *method, ProtobufCMessage *request);
void fake_end(struct fake_call *c);

static inline ProtobufCBinaryData fake_text(const char *s)
{
    return (ProtobufCBinaryData){ .len = strlen(s), .data = (uint8_t *)(uintptr_t)s };
}

#endif
