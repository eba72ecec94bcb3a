/*
 * nn_load -- calls a second of a NameNode, ours or Hadoop's, over its own RPC.
 *
 *     bench/nn_load HOST:PORT CALLERS SECONDS DIRECTORY
 *
 * CALLERS threads, each with files of its own in DIRECTORY/<thread>: create, complete, stat, open (getBlockLocations),
 * rename, delete, one phase after the other; a phase takes SECONDS, the changing ones less if the files run out.
 * Prints "create 12345" (calls a second) and "create_us 80" (mean time of a call) for each.  HADOOP_USER_NAME is who asks.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"

#define CALLERS_MAX 256
#define CALL_MS 60000

struct caller {
    struct load *load;
    struct thread *thread;
    unsigned number;
    unsigned long files;            /* that it created */
    unsigned long calls;            /* of this phase */
    struct arena arena;
};

struct load {
    struct world w;
    struct rpc_client *client;
    const char *directory;
    enum client_namenode_row call;
    uint64_t until_ms;
    atomic_ulong failed;
    struct caller callers[CALLERS_MAX];
    char said[512];                 /* first failure; by whoever finds failed 0 */
};

static ProtobufCBinaryData
bytes(char *p)
{
    return (ProtobufCBinaryData){ p ? strlen(p) : 0, (uint8_t *)p };
}

static ProtobufCBinaryData
path_of(struct caller *c, char kind, unsigned long file)
{
    return bytes(arena_printf(&c->arena, "%s/%u/%c%lu", c->load->directory, c->number, kind, file));
}

static ProtobufCBinaryData
client_name(struct caller *c)
{
    return bytes(arena_printf(&c->arena, "nn_load-%u", c->number));
}

static bool
call(struct caller *c, enum client_namenode_row row, const ProtobufCMessage *request)
{
    const ProtobufCMessage *reply;
    struct why why;

    if (rpc_client_call(c->load->client, row, request, &c->arena, CALL_MS, &reply, &why) == RC_OK)
        return true;
    if (atomic_fetch_add(&c->load->failed, 1) == 0)
        (void)snprintf(c->load->said, sizeof c->load->said, "%s", why.text);
    return false;
}

static bool
create(struct caller *c, unsigned long file)
{
    CreateRequestProto r = CREATE_REQUEST_PROTO__INIT;
    FsPermissionProto mode = FS_PERMISSION_PROTO__INIT;

    mode.perm = 0644;
    r.src = path_of(c, 'f', file);
    r.masked = &mode;
    r.clientname = client_name(c);
    r.createflag = 1;
    r.createparent = true;
    r.replication = 1;
    r.blocksize = 128 * MB;
    return call(c, ROW_create, &r.base);
}

/* One call about the caller's file number `file`. */
static bool
about(struct caller *c, unsigned long file)
{
    CompleteRequestProto complete = COMPLETE_REQUEST_PROTO__INIT;
    GetFileInfoRequestProto stat = GET_FILE_INFO_REQUEST_PROTO__INIT;
    GetBlockLocationsRequestProto open = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    RenameRequestProto rename = RENAME_REQUEST_PROTO__INIT;
    DeleteRequestProto delete = DELETE_REQUEST_PROTO__INIT;
    ProtobufCBinaryData path = path_of(c, 'f', file);
    ProtobufCBinaryData other = path_of(c, 'g', file);

    switch ((int)c->load->call) {
    case ROW_create:
        return create(c, file);
    case ROW_complete:
        complete.src = path;
        complete.clientname = client_name(c);
        return call(c, ROW_complete, &complete.base);
    case ROW_get_file_info:
        stat.src = path;
        return call(c, ROW_get_file_info, &stat.base);
    case ROW_get_block_locations:
        open.src = path;
        open.length = 1 * MB;
        return call(c, ROW_get_block_locations, &open.base);
    case ROW_rename:
        rename.src = path;
        rename.dst = other;
        return call(c, ROW_rename, &rename.base);
    default:
        delete.src = other;
        return call(c, ROW_delete, &delete.base);
    }
}

static void
run_caller(void *arg)
{
    struct caller *c = arg;
    struct load *l = c->load;
    bool reads = l->call == ROW_get_file_info || l->call == ROW_get_block_locations;
    bool all = l->call == ROW_complete || l->call == ROW_rename;    /* what follows needs them */

    c->calls = 0;
    for (unsigned long i = 0; all || clock_mono_ms(l->w.clock) < l->until_ms; i++) {
        if (l->call != ROW_create && i == c->files) {
            if (!reads || c->files == 0)
                break;
            i = 0;
        }
        if (about(c, i)) {
            c->calls++;
            c->files += l->call == ROW_create;
        } else if (l->call == ROW_create) {
            break;
        }
        arena_reset(&c->arena);
    }
}

static enum rc
phase(struct load *l, const char *name, enum client_namenode_row row, unsigned callers, unsigned seconds, struct why *why)
{
    uint64_t began = clock_mono_ms(l->w.clock), ms;
    unsigned long calls = 0;
    enum rc rc;

    l->call = row;
    l->until_ms = began + seconds * 1000;
    for (unsigned i = 0; i < callers; i++)
        if ((rc = thread_spawn(l->w.threads, "caller", run_caller, &l->callers[i], &l->callers[i].thread, why)) != RC_OK)
            return rc;
    for (unsigned i = 0; i < callers; i++) {
        thread_join(l->w.threads, l->callers[i].thread);
        calls += l->callers[i].calls;
    }
    ms = clock_mono_ms(l->w.clock) - began;
    printf("%s %.0f\n%s_us %.1f\n", name, (double)calls * 1000 / (double)(ms ? ms : 1), name,
           calls ? (double)ms * 1000 * callers / (double)calls : 0.0);
    if (l->failed)
        return why_set(why, RC_IO, "%s: %lu calls failed, the first: %s", name, l->failed, l->said);
    return RC_OK;
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum client_namenode_row row;
    } phases[] = { { "create", ROW_create },        { "complete", ROW_complete },
                   { "stat", ROW_get_file_info },   { "open", ROW_get_block_locations },
                   { "rename", ROW_rename },        { "delete", ROW_delete } };
    struct rpc_client_options o = { .protocol = &client_namenode_rpc, .connect_ms = 5000 };
    unsigned callers = argc == 5 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned seconds = argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    static struct load l;
    struct why why;
    enum rc rc;

    if (callers == 0 || callers > CALLERS_MAX || seconds == 0) {
        fprintf(stderr, "usage: nn_load HOST:PORT CALLERS (1 .. %d) SECONDS DIRECTORY\n", CALLERS_MAX);
        return 2;
    }
    world_posix(&l.w);
    l.directory = argv[4];
    o.user = getenv("HADOOP_USER_NAME") ? getenv("HADOOP_USER_NAME") : "root";
    if ((rc = net_addr_parse(argv[1], 0, &o.to, &why)) == RC_OK)
        rc = rpc_client_new(&l.w, &o, &l.client, &why);
    for (unsigned i = 0; rc == RC_OK && i < callers; i++) {
        l.callers[i].load = &l;
        l.callers[i].number = i;
        arena_init(&l.callers[i].arena, 1 * MB);
    }
    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(phases); i++)
        rc = phase(&l, phases[i].name, phases[i].row, callers, seconds, &why);
    for (unsigned i = 0; i < callers; i++)
        arena_fini(&l.callers[i].arena);
    rpc_client_free(l.client);
    if (rc != RC_OK)
        fprintf(stderr, "nn_load: %s\n", why.text);
    return rc == RC_OK ? 0 : 1;
}
