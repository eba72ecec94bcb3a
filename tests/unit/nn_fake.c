#include "tests/unit/nn_fake.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/io/queue.h"
#include "namenode/core.h"
#include "namenode/dispatch.h"
#include "namenode/periodic.h"

static uint64_t fake_mono_us(struct clock *c)
{
    return CONTAINER_OF(c, struct fake_nn, clock)->now_ms * 1000;
}

static uint64_t fake_wall_ms(struct clock *c)
{
    return CONTAINER_OF(c, struct fake_nn, clock)->now_ms + UINT64_C(1790000000000);
}

static void on_reply(struct rpc_call *call)
{
    struct fake_call *c = CONTAINER_OF(call, struct fake_call, call);

    ck_assert(!c->ended);
    c->ended = true;
}

static void on_encoded(struct rpc_call *call, const void *reply, size_t n)
{
    (void)reply, (void)n;
    on_reply(call);
}

static void on_fail(struct rpc_call *call, const struct why *why)
{
    struct fake_call *c = CONTAINER_OF(call, struct fake_call, call);

    ck_assert(!c->ended);
    c->ended = c->failed = true;
    c->why = *why;
}

static const struct nn_answer answers = { on_reply, on_encoded, on_fail };

static void open_nn(struct fake_nn *f)
{
    struct nn_options o = { .conf = &f->conf, .answer = &answers, .superuser = "root" };
    struct why why;

    ck_assert_msg(nn_open(&f->world, &o, &f->nn, &why) == RC_OK, "%s", why.text);
    ck_assert_msg(nn_reader_init(&f->reader, f->nn, &why) == RC_OK, "%s", why.text);
}

static void close_nn(struct fake_nn *f)
{
    nn_reader_fini(&f->reader);
    nn_free(f->nn);
    f->nn = NULL;
}

static enum rc pwrite_unless_full(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    if (CONTAINER_OF(io, struct fake_nn, io)->full)
        return why_set(why, RC_NO_SPACE, "disk made full");
    return io_pwrite(io_posix(), fd, p, n, at, why);
}

void fake_nn_init(struct fake_nn *f)
{
    struct why why;

    memset(f, 0, sizeof *f);
    world_posix(&f->world);
    f->io_ops = *f->world.io->ops;
    f->io_ops.pwrite = pwrite_unless_full;
    f->io.ops = &f->io_ops;
    f->world.io = &f->io;
    f->clock = (struct clock){ fake_mono_us, fake_wall_ms };
    f->world.clock = &f->clock;
    f->now_ms = 1000000;
    f->user = "root";
    snprintf(f->dir, sizeof f->dir, "/tmp/nn_fake.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    ck_assert_msg(conf_init(&f->conf, NN, &why) == RC_OK, "%s", why.text);
    ck_assert_int_eq(conf_set(&f->conf, "dfs.namenode.name.dir", f->dir, "test", &why), RC_OK);
    ck_assert_int_eq(conf_set(&f->conf, "dfs.namenode.fs-limits.min-block-size", "1024", "test", &why), RC_OK);
    open_nn(f);
}

void fake_nn_fini(struct fake_nn *f)
{
    struct why why;

    close_nn(f);
    conf_fini(&f->conf);
    ck_assert_int_eq(io_remove_tree(f->world.io, f->dir, &why), RC_OK);
}

void fake_nn_restart(struct fake_nn *f)
{
    close_nn(f);
    f->now_ms += 1000;
    open_nn(f);
}

void fake_nn_run(struct fake_nn *f, uint64_t ms)
{
    f->now_ms += ms;
    for (int i = 0; i < 50; i++) {
        struct nn_post *posts[16];
        bool due = false;
        size_t n = 0;

        if (queue_length(f->nn->core_queue) > 0)        /* calls handed in again */
            ck_assert_int_eq(queue_take_many(f->nn->core_queue, 0, (void **)posts, ARRAY_LEN(posts), &n), RC_OK);
        nn_core_group(f->nn->core, posts, n);
        due = queue_length(f->nn->core_queue) > 0;
        for (size_t k = 0; k < NN_PERIODIC_COUNT; k++)
            due = due || f->nn->core->due_us[k] <= f->now_ms * 1000;
        if (!due)
            return;
    }
    ck_abort_msg("something is always due");
}

/* The row of a method, in any protocol. */
static const struct rpc_method *find_method(const char *name, const struct rpc_protocol **ret_protocol, size_t *ret_index)
{
    for (size_t i = 0; i < NN_PROTOCOLS; i++)
        for (size_t k = 0; k < nn_protocols[i]->method_count; k++)
            if (strcmp(nn_protocols[i]->methods[k].name, name) == 0) {
                *ret_protocol = nn_protocols[i];
                *ret_index = k;
                return &nn_protocols[i]->methods[k];
            }
    ck_abort_msg("no method %s", name);
    return NULL;
}

struct fake_call *fake_start(struct fake_nn *f, const char *method, ProtobufCMessage *request)
{
    struct fake_call *c = mem_zalloc(sizeof *c);
    struct rpc_call *call = &c->call;
    const ProtobufCMethodDescriptor *messages;
    struct nn_post *post;

    ck_assert_ptr_nonnull(c);
    arena_init(&call->arena, 64 * MB);
    call->method = find_method(method, &call->protocol, &call->method_index);
    call->request = request;
    ck_assert_int_eq(rpc_method_messages(call->protocol, call->method_index, &messages, NULL), RC_OK);
    call->reply = arena_zalloc(&call->arena, messages->output->sizeof_message);
    ck_assert_ptr_nonnull(call->reply);
    protobuf_c_message_init(messages->output, call->reply);
    call->user = f->user;
    call->arrived_wall_ms = clock_wall_ms(&f->clock);
    call->arrived_mono_us = f->patient ? f->now_ms * 1000 : 0;
    snprintf(call->peer.host, sizeof call->peer.host, "10.0.0.1");
    if ((call->method->flags & RPC_READ) != 0) {
        nn_reader_batch(&f->reader, &call, 1);
        return c;
    }
    ck_assert_ptr_nonnull(post = arena_zalloc(&call->arena, sizeof *post));
    post->call = call;
    nn_core_group(f->nn->core, &post, 1);
    return c;
}

void fake_end(struct fake_call *c)
{
    ck_assert(c->ended);
    arena_fini(&c->call.arena);
    mem_free(c);
}
