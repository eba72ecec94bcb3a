#include "tests/sim/calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/net/net.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"

#define LETTERS 3
#define DEPTH_MAX 3

struct calls_client {
    struct calls *calls;
    struct rpc_client *rpc;
    struct arena arena;
    uint8_t id[16];
    int32_t next_id;            /* as rpc_client_call counts them */
    char holder[32];
    uint64_t timeout_ms, block_bytes;
};

struct calls_client *
calls_client_new(struct calls *c, const struct world *w, const struct conf *conf, const char *name)
{
    struct calls_client *k = mem_zalloc(sizeof *k);
    struct rpc_client_options o = { .protocol = &client_namenode_rpc, .user = "root", .connect_ms = conf->rpc_connect_ms,
                                    .retry_ms = conf->client_retry_ms };
    struct why why;

    SIM_CHECK(c->s, k != NULL);
    k->calls = c;
    k->timeout_ms = conf->rpc_timeout_ms;
    k->block_bytes = conf->block_bytes;
    (void)snprintf(k->holder, sizeof k->holder, "%s", name);
    arena_init(&k->arena, 1 * MB);
    SIM_CHECK(c->s, net_addr_parse_hdfs(conf->fs_default, &o.to, &why) == RC_OK);
    SIM_CHECK(c->s, rpc_client_new(w, &o, &k->rpc, &why) == RC_OK);
    rpc_client_id(k->rpc, k->id);
    return k;
}

void
calls_client_free(struct calls_client *k)
{
    if (k == NULL)
        return;
    rpc_client_free(k->rpc);
    arena_fini(&k->arena);
    mem_free(k);
}

/* One RPC of this client. */
static enum rc
ask(struct calls_client *k, enum client_namenode_row row, const ProtobufCMessage *req, const void **ret, struct why *why)
{
    const ProtobufCMessage *reply = NULL;
    enum rc rc = rpc_client_call(k->rpc, row, req, &k->arena, k->timeout_ms, &reply, why);

    k->next_id++;
    *ret = reply;
    return rc;
}

static ProtobufCBinaryData
bytes_of(const char *s)
{
    return (ProtobufCBinaryData){ strlen(s), (uint8_t *)(uintptr_t)s };
}

static void
take_status(const HdfsFileStatusProto *st, struct model_reply *ret)
{
    if (st == NULL) {
        ret->verdict = MODEL_REFUSED;
        return;
    }
    ret->is_dir = st->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR;
    ret->file = st->fileid;
    ret->mode = st->permission->perm;
    ret->replication = st->block_replication;
}

static void
take_listing(struct calls *c, const DirectoryListingProto *l, struct model_reply *ret)
{
    if (l == NULL) {
        ret->verdict = MODEL_REFUSED;
        return;
    }
    ret->is_dir = !(l->n_partiallisting == 1 && l->partiallisting[0]->path.len == 0);
    for (size_t i = 0; ret->is_dir && i < l->n_partiallisting; i++) {
        SIM_CHECK(c->s, ret->count < MODEL_CHILDREN_MAX && l->partiallisting[i]->path.len < MODEL_NAME);
        memcpy(ret->names[ret->count++], l->partiallisting[i]->path.data, l->partiallisting[i]->path.len);
    }
}

static enum rc
ask_change(struct calls_client *k, const struct model_call *call, struct model_reply *ret, struct why *why)
{
    FsPermissionProto mode = FS_PERMISSION_PROTO__INIT;
    CreateRequestProto create = CREATE_REQUEST_PROTO__INIT;
    MkdirsRequestProto mkdirs = MKDIRS_REQUEST_PROTO__INIT;
    const void *reply;
    enum rc rc;

    if (call->kind == MODEL_CREATE) {
        mode.perm = 0644;
        create.src = bytes_of(call->path);
        create.masked = &mode;
        create.clientname = bytes_of(k->holder);
        create.createflag = call->flag ? 3 : 1;
        create.createparent = true;
        create.replication = 2;
        create.blocksize = k->block_bytes;
        if ((rc = ask(k, ROW_create, &create.base, &reply, why)) == RC_OK)
            take_status(((const CreateResponseProto *)reply)->fs, ret);
        return rc;
    }
    mode.perm = call->number;
    mkdirs.src = bytes_of(call->path);
    mkdirs.masked = &mode;
    mkdirs.createparent = true;
    if ((rc = ask(k, ROW_mkdirs, &mkdirs.base, &reply, why)) == RC_OK && !((const MkdirsResponseProto *)reply)->result)
        ret->verdict = MODEL_REFUSED;
    return rc;
}

static enum rc
ask_move(struct calls_client *k, const struct model_call *call, struct model_reply *ret, struct why *why)
{
    RenameRequestProto rename = RENAME_REQUEST_PROTO__INIT;
    Rename2RequestProto rename2 = RENAME2_REQUEST_PROTO__INIT;
    DeleteRequestProto delete = DELETE_REQUEST_PROTO__INIT;
    const void *reply;
    enum rc rc;

    if (call->kind == MODEL_RENAME) {
        rename.src = bytes_of(call->path);
        rename.dst = bytes_of(call->to);
        if ((rc = ask(k, ROW_rename, &rename.base, &reply, why)) == RC_OK && !((const RenameResponseProto *)reply)->result)
            ret->verdict = MODEL_REFUSED;
        return rc;
    }
    if (call->kind == MODEL_RENAME2) {
        rename2.src = bytes_of(call->path);
        rename2.dst = bytes_of(call->to);
        rename2.overwritedest = call->flag;
        return ask(k, ROW_rename2, &rename2.base, &reply, why);
    }
    delete.src = bytes_of(call->path);
    delete.recursive = call->flag;
    if ((rc = ask(k, ROW_delete, &delete.base, &reply, why)) == RC_OK && !((const DeleteResponseProto *)reply)->result)
        ret->verdict = MODEL_REFUSED;
    return rc;
}

static enum rc
ask_set(struct calls_client *k, const struct model_call *call, struct model_reply *ret, struct why *why)
{
    FsPermissionProto mode = FS_PERMISSION_PROTO__INIT;
    SetPermissionRequestProto perm = SET_PERMISSION_REQUEST_PROTO__INIT;
    SetReplicationRequestProto repl = SET_REPLICATION_REQUEST_PROTO__INIT;
    const void *reply;
    enum rc rc;

    if (call->kind == MODEL_SET_PERMISSION) {
        mode.perm = call->number;
        perm.src = bytes_of(call->path);
        perm.permission = &mode;
        return ask(k, ROW_set_permission, &perm.base, &reply, why);
    }
    repl.src = bytes_of(call->path);
    repl.replication = call->number;
    if ((rc = ask(k, ROW_set_replication, &repl.base, &reply, why)) == RC_OK &&
        !((const SetReplicationResponseProto *)reply)->result)
        ret->verdict = MODEL_REFUSED;
    return rc;
}

static enum rc
ask_read(struct calls_client *k, const struct model_call *call, struct model_reply *ret, struct why *why)
{
    GetFileInfoRequestProto stat = GET_FILE_INFO_REQUEST_PROTO__INIT;
    GetListingRequestProto list = GET_LISTING_REQUEST_PROTO__INIT;
    const void *reply;
    enum rc rc;

    if (call->kind == MODEL_STAT) {
        stat.src = bytes_of(call->path);
        if ((rc = ask(k, ROW_get_file_info, &stat.base, &reply, why)) == RC_OK)
            take_status(((const GetFileInfoResponseProto *)reply)->fs, ret);
        return rc;
    }
    list.src = bytes_of(call->path);
    list.startafter = bytes_of("");
    if ((rc = ask(k, ROW_get_listing, &list.base, &reply, why)) == RC_OK)
        take_listing(k->calls, ((const GetListingResponseProto *)reply)->dirlist, ret);
    return rc;
}

static enum rc
ask_any(struct calls_client *k, const struct model_call *call, struct model_reply *ret, struct why *why)
{
    *ret = (struct model_reply){ .verdict = MODEL_CHANGED };
    if (call->kind == MODEL_MKDIRS || call->kind == MODEL_CREATE)
        return ask_change(k, call, ret, why);
    if (call->kind == MODEL_RENAME || call->kind == MODEL_RENAME2 || call->kind == MODEL_DELETE)
        return ask_move(k, call, ret, why);
    if (call->kind == MODEL_SET_PERMISSION || call->kind == MODEL_SET_REPLICATION)
        return ask_set(k, call, ret, why);
    return ask_read(k, call, ret, why);
}

static bool
is_read(const struct model_call *call)
{
    return call->kind == MODEL_STAT || call->kind == MODEL_LIST;
}

/* What a failure says of the call. */
static enum call_outcome
outcome_of(struct calls *c, const struct call_record *r, enum rc rc, const struct why *why)
{
    char text[128];

    switch ((int)rc) {
    case RC_OK:
    case RC_NOT_FOUND:
    case RC_DENIED:                 /* "is not a directory", for a path through a file */
    case RC_EXISTS:
    case RC_PARENT_NOT_DIR:
    case RC_NOT_EMPTY:
    case RC_NOT_DIR:
    case RC_BEING_CREATED:
    case RC_IN_RECOVERY:
        return CALL_ANSWERED;
    case RC_IO_EXCEPTION:           /* rename2's refusals, or what a disk that fails is to a client */
        return is_read(&r->call) || strstr(why->text, "simulated") != NULL ? CALL_UNKNOWN : CALL_ANSWERED;
    case RC_SAFE_MODE:
    case RC_BUSY:
        return CALL_NOT_DONE;
    case RC_TIMEOUT:
    case RC_CLOSED:
    case RC_REFUSED:
    case RC_UNREACHABLE:
    case RC_MAYBE_DONE:
    case RC_IO:
    case RC_NO_SPACE:
        return CALL_UNKNOWN;
    default:
        model_describe(&r->call, text, sizeof text);
        sim_fail(c->s, "%s: %s: %s", text, rc_name(rc), why->text);
    }
}

static enum rc
record(struct calls_client *k, const struct model_call *call, struct call_record **ret, struct why *why)
{
    struct calls *c = k->calls;
    struct call_record *r = &c->records[c->count];
    char text[128];
    enum rc rc;

    SIM_CHECK(c->s, c->count < CALLS_MAX);
    c->count++;
    *r = (struct call_record){ .call = *call, .id = k->next_id, .start_us = sim_now_us(c->s), .end_us = FOREVER };
    memcpy(r->client, k->id, sizeof r->client);
    arena_reset(&k->arena);
    rc = ask_any(k, call, &r->reply, why);
    r->outcome = outcome_of(c, r, rc, why);
    if (rc != RC_OK)
        r->reply = (struct model_reply){ .verdict = MODEL_REFUSED };
    if (r->outcome != CALL_UNKNOWN)
        r->end_us = sim_now_us(c->s);
    model_describe(call, text, sizeof text);
    sim_note(c->s, "call", "%zu %s: %s%s", (size_t)(r - c->records), text,
             rc != RC_OK ? rc_name(rc) : r->reply.verdict == MODEL_REFUSED ? "false" : "ok", is_read(call) ? " (read)" : "");
    *ret = r;
    return rc;
}

static void
path_draw(struct rng *rng, char path[MODEL_PATH])
{
    size_t n = 2, depth = 1 + rng_below(rng, DEPTH_MAX);

    memcpy(path, "/m", 3);
    for (size_t i = 0; i < depth; i++) {
        path[n++] = '/';
        path[n++] = (char)('a' + rng_below(rng, LETTERS));
    }
    path[n] = '\0';
}

/* An empty file is closed, or left to its lease. */
static void
complete(struct calls_client *k, const struct call_record *r)
{
    CompleteRequestProto req = COMPLETE_REQUEST_PROTO__INIT;
    const void *reply;
    struct why why;

    req.src = bytes_of(r->call.path);
    req.clientname = bytes_of(k->holder);
    req.has_fileid = true;
    req.fileid = r->reply.file;
    (void)ask(k, ROW_complete, &req.base, &reply, &why);    /* it may be gone, or its lease be over */
}

void
calls_make(struct calls_client *k, struct rng *rng)
{
    static const enum model_kind kinds[] = {
        MODEL_MKDIRS, MODEL_MKDIRS, MODEL_CREATE, MODEL_CREATE, MODEL_RENAME, MODEL_RENAME, MODEL_RENAME2, MODEL_RENAME2,
        MODEL_DELETE, MODEL_SET_PERMISSION, MODEL_SET_REPLICATION, MODEL_STAT, MODEL_STAT, MODEL_LIST,
    };
    struct model_call call = { .kind = kinds[rng_below(rng, ARRAY_LEN(kinds))] };
    struct call_record *r;
    struct why why;
    bool is_move = call.kind == MODEL_RENAME || call.kind == MODEL_RENAME2;

    path_draw(rng, call.path);
    call.flag = !is_read(&call) && call.kind != MODEL_MKDIRS && rng_below(rng, 2) == 0;
    call.number = call.kind == MODEL_SET_REPLICATION ? 1 + (uint32_t)rng_below(rng, 3) : 0700 + (uint32_t)rng_below(rng, 0100);
    do
        path_draw(rng, call.to);
    while (is_move && strcmp(call.path, call.to) == 0);
    if (!is_move)
        call.to[0] = '\0';
    if (record(k, &call, &r, &why) == RC_OK && call.kind == MODEL_CREATE && rng_below(rng, 4) != 0)
        complete(k, r);
}

static enum rc
read_below(struct calls_client *k, const char *path, struct why *why)
{
    struct model_call stat = { .kind = MODEL_STAT }, list = { .kind = MODEL_LIST };
    struct call_record *r;
    enum rc rc;

    if (strlen(path) + MODEL_NAME >= MODEL_PATH)
        return RC_OK;
    (void)snprintf(stat.path, sizeof stat.path, "%s", path);
    (void)snprintf(list.path, sizeof list.path, "%s", path);
    if ((rc = record(k, &stat, &r, why)) != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    if (r->reply.verdict == MODEL_REFUSED || !r->reply.is_dir)
        return RC_OK;
    if ((rc = record(k, &list, &r, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < r->reply.count; i++) {
        char below[MODEL_PATH];

        (void)snprintf(below, sizeof below, "%s/%s", path, r->reply.names[i]);
        if ((rc = read_below(k, below, why)) != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc
calls_read_all(struct calls_client *k, struct why *why)
{
    return read_below(k, "/m", why);
}

/* Afterwards. */

static bool
may_run_twice(const struct model_call *call)
{
    return call->kind == MODEL_MKDIRS || call->kind == MODEL_SET_PERMISSION || call->kind == MODEL_SET_REPLICATION;
}

static void
fail_at(struct calls *c, const struct call_record *r, const char *what)
{
    char text[128];

    model_describe(&r->call, text, sizeof text);
    sim_fail(c->s, "call %zu (%s) %s", (size_t)(r - c->records), text, what);
}

void
calls_logged(struct calls *c, uint64_t txid, const struct nn_txcall *call)
{
    static const char *const others[] = { "complete" };

    if (!call->has_client_id)
        return;
    for (size_t i = 0; i < c->count; i++) {
        struct call_record *r = &c->records[i];

        if (r->id != call->call_id || memcmp(r->client, call->client_id, sizeof r->client) != 0)
            continue;
        if (r->times > 0 && !may_run_twice(&r->call))
            fail_at(c, r, "is in the log twice");
        SIM_CHECK(c->s, c->logged_count < CALLS_LOGGED_MAX);
        if (r->times++ == 0)
            r->first = c->logged_count;
        c->logged[c->logged_count++] = (struct call_logged){ i, txid };
        return;
    }
    for (size_t i = 0; i < c->count; i++)
        if (memcmp(c->records[i].client, call->client_id, sizeof call->client_id) == 0 &&
            (call->method.n != strlen(others[0]) || memcmp(call->method.p, others[0], call->method.n) != 0))
            sim_fail(c->s, "the log has call %d of a client that never made it, in transaction %" PRIu64, call->call_id, txid);
}

/* The model goes along the log; each answer is its answer. */
static void
check_logged(struct calls *c)
{
    uint64_t latest_us = 0;
    struct model_reply said;
    struct model m;

    model_init(&m);
    for (size_t i = 0; i < c->logged_count; i++) {
        struct call_record *r = &c->records[c->logged[i].record];
        bool is_first = r->first == i;

        model_apply(&m, &r->call, r->outcome == CALL_ANSWERED ? r->reply.file : 0, &said);
        if (said.verdict == MODEL_REFUSED)
            fail_at(c, r, "is in the log where the model refuses it");
        if (r->outcome == CALL_NOT_DONE && !may_run_twice(&r->call))
            fail_at(c, r, "was not to be done and is in the log");
        if (r->outcome == CALL_ANSWERED && !may_run_twice(&r->call) && !model_agrees(&r->call, &said, &r->reply))
            fail_at(c, r, "was refused and is in the log");
        if (is_first && r->end_us < latest_us)
            fail_at(c, r, "was over before a call began that the log has before it");
        latest_us = r->start_us > latest_us ? r->start_us : latest_us;
    }
}

/* Reads, refusals, and what changed nothing: they have no place in the log. */
static bool
has_to_fit(const struct call_record *r)
{
    return r->outcome == CALL_ANSWERED && r->times == 0;
}

/* States that r may have seen: after `least` calls of the log, at most after `most`. */
static void
window(const struct calls *c, const struct call_record *r, size_t *ret_least, size_t *ret_most)
{
    *ret_least = 0;
    *ret_most = c->logged_count;
    for (size_t i = 0; i < c->count; i++) {
        const struct call_record *o = &c->records[i];

        if (o->times > 0 && o->end_us < r->start_us && o->first + 1 > *ret_least)
            *ret_least = o->first + 1;
        if (o->times > 0 && o->start_us > r->end_us && o->first < *ret_most)
            *ret_most = o->first;
        if (has_to_fit(o) && o->end_us < r->start_us && o->fits > *ret_least)
            *ret_least = o->fits;           /* records are in the order of their starts: o has its place already */
    }
}

static bool
fits_at(const struct model *m, const struct call_record *r)
{
    struct model_reply said;

    model_ask(m, &r->call, &said);
    if (said.verdict == MODEL_CHANGED)
        return false;           /* then it would be in the log */
    return model_agrees(&r->call, &said, &r->reply);
}

static void
check_unlogged(struct calls *c, struct model *states)
{
    for (size_t i = 0; i < c->count; i++) {
        struct call_record *r = &c->records[i];
        size_t least, most;

        if (!has_to_fit(r))
            continue;
        window(c, r, &least, &most);
        for (r->fits = least; r->fits <= most && !fits_at(&states[r->fits], r); r->fits++)
            ;
        if (r->fits > most)
            fail_at(c, r, r->reply.verdict == MODEL_REFUSED ? "was refused, which fits nowhere in the log"
                                                            : "was answered, which fits nowhere in the log");
    }
}

void
calls_check(struct calls *c)
{
    struct model *states = mem_calloc(c->logged_count + 1, sizeof *states);
    struct model_reply said;

    SIM_CHECK(c->s, states != NULL);
    check_logged(c);
    model_init(&states[0]);
    for (size_t i = 0; i < c->logged_count; i++) {
        const struct call_record *r = &c->records[c->logged[i].record];

        states[i + 1] = states[i];
        model_apply(&states[i + 1], &r->call, r->outcome == CALL_ANSWERED ? r->reply.file : 0, &said);
    }
    check_unlogged(c, states);
    mem_free(states);
}
