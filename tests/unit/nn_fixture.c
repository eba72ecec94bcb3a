#include "tests/unit/nn_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/io.h"
#include "core/net/net.h"
#include "namenode/core.h"
#include "namenode/txlog.h"
#include "namenode/verify.h"

static uint64_t
mono_us(struct clock *c)
{
    return ((struct fixture_clock *)c)->now_ms * 1000;
}

static uint64_t
wall_ms(struct clock *c)
{
    return 1700000000000 + ((struct fixture_clock *)c)->now_ms + ((struct fixture_clock *)c)->jump_ms;
}

static enum rc
pwrite_unless_full(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    if (CONTAINER_OF(io, struct nn_fixture, io)->full)
        return why_set(why, RC_NO_SPACE, "disk made full");
    return io_pwrite(io_posix(), fd, p, n, at, why);
}

static void
each_group(const struct nn_groups *g, const char *user, void (*on_group)(void *arg, const char *group), void *arg)
{
    (void)g;
    if (strcmp(user, "alice") == 0 || strcmp(user, "bob") == 0)
        on_group(arg, "staff");
    if (strcmp(user, "carol") == 0)
        on_group(arg, "supergroup");
}

static const struct nn_groups groups = { each_group };

static void
on_reply(struct rpc_call *call)
{
    struct test_call *t = (struct test_call *)call;

    ck_assert(!t->answered);
    t->answered = true;
    t->why.rc = RC_OK;
}

static void
on_encoded(struct rpc_call *call, const void *reply, size_t n)
{
    struct test_call *t = (struct test_call *)call;
    ProtobufCAllocator arena = arena_pb(&call->arena);

    ck_assert(!t->answered);
    t->answered = t->encoded = true;
    t->encoded_bytes = n;
    t->why.rc = RC_OK;
    call->reply = protobuf_c_message_unpack(call->reply->descriptor, &arena, n, reply);
    ck_assert_ptr_nonnull(call->reply);
}

static void
on_fail(struct rpc_call *call, const struct why *why)
{
    struct test_call *t = (struct test_call *)call;

    ck_assert(!t->answered);
    t->answered = true;
    t->why = *why;
}

static const struct nn_answer answer = { on_reply, on_encoded, on_fail };

ProtobufCBinaryData
text_of(const char *s)
{
    return (ProtobufCBinaryData){ .len = strlen(s), .data = (uint8_t *)s };
}

static void
open_nn(struct nn_fixture *f)
{
    struct nn_options o = { .conf = &f->conf, .groups = &groups, .answer = &answer, .superuser = "root" };
    struct why why = { 0 };

    if (nn_open(&f->world, &o, &f->nn, &why) != RC_OK)
        ck_abort_msg("nn_open: %s", why.text);
}

static void
no_log(void *arg, enum log_level level, const char *event, const char *text)
{
    (void)arg, (void)level, (void)event, (void)text;
}

void
fixture_open(struct nn_fixture *f)
{
    struct why why = { 0 };

    *f = (struct nn_fixture){ .clock = { .clock = { mono_us, wall_ms }, .now_ms = 1000 } };
    world_posix(&f->world);
    f->world.clock = &f->clock.clock;
    f->io_ops = *io_posix()->ops;
    f->io_ops.pwrite = pwrite_unless_full;
    f->io.ops = &f->io_ops;
    f->world.io = &f->io;
    log_set_sink(no_log, NULL);
    snprintf(f->dir, sizeof f->dir, "/tmp/millrace-nn-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    ck_assert_int_eq(conf_init(&f->conf, NN, &why), RC_OK);
    ck_assert_int_eq(conf_set(&f->conf, "dfs.namenode.name.dir", f->dir, "test", &why), RC_OK);
    ck_assert_int_eq(conf_set(&f->conf, "dfs.namenode.fs-limits.min-block-size", "1024", "test", &why), RC_OK);
    open_nn(f);
}

static void
stop_reading(struct nn_fixture *f)
{
    if (f->reading)
        nn_reader_fini(&f->reader);
    f->reading = false;
}

void
fixture_reopen(struct nn_fixture *f)
{
    stop_reading(f);
    nn_free(f->nn);
    open_nn(f);
}

void
fixture_close(struct nn_fixture *f)
{
    struct why why = { 0 };

    stop_reading(f);
    nn_free(f->nn);
    conf_fini(&f->conf);
    ck_assert_int_eq(io_remove_tree(f->world.io, f->dir, &why), RC_OK);
}

struct test_call *
fixture_call(struct nn_fixture *f, const char *user, const char *method, const ProtobufCMessage *request)
{
    struct test_call *t = mem_zalloc(sizeof *t);
    const struct rpc_protocol *p = nn_protocols[0];
    const ProtobufCMethodDescriptor *messages;
    struct rpc_call *c = &t->call;

    arena_init(&c->arena, 64 * MB);
    c->protocol = p;
    for (c->method_index = 0; c->method_index < p->method_count; c->method_index++)
        if (strcmp(p->methods[c->method_index].name, method) == 0)
            break;
    ck_assert_uint_lt(c->method_index, p->method_count);
    c->method = &p->methods[c->method_index];
    ck_assert_int_eq(rpc_method_messages(p, c->method_index, &messages, &t->why), RC_OK);
    ck_assert_ptr_eq(messages->input, request->descriptor);
    c->request = (ProtobufCMessage *)request;
    c->reply = arena_zalloc(&c->arena, messages->output->sizeof_message);
    protobuf_c_message_init(messages->output, c->reply);
    c->user = user;
    c->arrived_wall_ms = clock_wall_ms(f->world.clock);
    snprintf(c->peer.host, sizeof c->peer.host, "10.0.0.1");
    return t;
}

void
fixture_call_free(struct test_call *t)
{
    arena_fini(&t->call.arena);
    mem_free(t);
}

void
fixture_group(struct nn_fixture *f, struct test_call **calls, size_t n)
{
    struct nn_post posts[32], *list[32];

    ck_assert_uint_le(n, 32);
    for (size_t i = 0; i < n; i++) {
        posts[i] = (struct nn_post){ .call = &calls[i]->call };
        list[i] = &posts[i];
    }
    nn_core_group(f->nn->core, list, n);
}

enum rc
fixture_run(struct nn_fixture *f, struct test_call *t)
{
    struct rpc_call *call = &t->call;
    struct why why = { 0 };

    if ((call->method->flags & RPC_READ) == 0) {
        fixture_group(f, &t, 1);
    } else {
        if (!f->reading)
            ck_assert_int_eq(nn_reader_init(&f->reader, f->nn, &why), RC_OK);
        f->reading = true;
        nn_reader_batch(&f->reader, &call, 1);
    }
    ck_assert(t->answered || nn_has_failed(f->nn));
    return t->why.rc;
}

static enum rc
run_and_free(struct nn_fixture *f, struct test_call *t, struct why *why)
{
    enum rc rc = fixture_run(f, t);

    if (rc != RC_OK && why != NULL)
        *why = t->why;
    fixture_call_free(t);
    return rc;
}

enum rc
fixture_mkdirs(struct nn_fixture *f, const char *user, const char *path, uint32_t perm, struct why *why)
{
    MkdirsRequestProto q = MKDIRS_REQUEST_PROTO__INIT;
    FsPermissionProto p = FS_PERMISSION_PROTO__INIT;

    p.perm = perm;
    q.src = text_of(path);
    q.masked = &p;
    q.createparent = true;
    return run_and_free(f, fixture_call(f, user, "mkdirs", &q.base), why);
}

enum rc
fixture_create(struct nn_fixture *f, const char *user, const char *path, const char *client, unsigned flags, struct why *why)
{
    CreateRequestProto q = CREATE_REQUEST_PROTO__INIT;
    FsPermissionProto p = FS_PERMISSION_PROTO__INIT;

    p.perm = 0644;
    q.src = text_of(path);
    q.masked = &p;
    q.clientname = text_of(client);
    q.createflag = flags;
    q.createparent = true;
    q.replication = 3;
    q.blocksize = 1024;
    return run_and_free(f, fixture_call(f, user, "create", &q.base), why);
}

enum rc
fixture_delete(struct nn_fixture *f, const char *user, const char *path, bool recursive, bool *ret, struct why *why)
{
    DeleteRequestProto q = DELETE_REQUEST_PROTO__INIT;
    struct test_call *t;
    enum rc rc;

    q.src = text_of(path);
    q.recursive = recursive;
    t = fixture_call(f, user, "delete", &q.base);
    if ((rc = fixture_run(f, t)) == RC_OK)
        *ret = ((DeleteResponseProto *)(void *)t->call.reply)->result;
    else if (why != NULL)
        *why = t->why;
    fixture_call_free(t);
    return rc;
}

bool
fixture_exists(struct nn_fixture *f, const char *path)
{
    GetFileInfoRequestProto q = GET_FILE_INFO_REQUEST_PROTO__INIT;
    struct test_call *t;
    bool exists;

    q.src = text_of(path);
    t = fixture_call(f, "root", "getFileInfo", &q.base);
    ck_assert_int_eq(fixture_run(f, t), RC_OK);
    exists = ((GetFileInfoResponseProto *)(void *)t->call.reply)->fs != NULL;
    fixture_call_free(t);
    return exists;
}

void
fixture_check_replay(struct nn_fixture *f)
{
    char path[128];
    struct nn_db copy;
    struct why why = { 0 };

    snprintf(path, sizeof path, "%s/replayed.db", f->dir);
    ck_assert_int_eq(nn_db_open(&copy, f->nn->vfs, path, true, &f->conf, &why), RC_OK);
    if (nn_txlog_replay(&f->nn->core->db, &copy, &why) != RC_OK)
        ck_abort_msg("replay: %s", why.text);
    if (nn_txlog_compare(&f->nn->core->db, &copy, &why) != RC_OK)
        ck_abort_msg("compare: %s", why.text);
    if (nn_verify(&f->nn->core->db, &why) != RC_OK)
        ck_abort_msg("verify: %s", why.text);
    nn_db_fini(&copy);
}
