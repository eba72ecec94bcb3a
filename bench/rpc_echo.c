/*
 * rpc_echo -- calls a second of core/rpc over loopback.
 *
 *     bench/rpc_echo [SECONDS]
 *
 * A server that answers at once on its loop's thread, then one that hands calls
 * to a worker which takes and answers them in groups, as a NameNode does; one
 * client with 1, 8 and 64 callers.  Prints callers, calls a second, and the mean
 * time of a call.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/io/queue.h"
#include "core/io/thread.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "core/rpc/server.h"

#define CALLERS_MAX 64
#define GROUP_MAX 256

struct bench {
    struct world w;
    struct rpc_client *client;
    uint64_t until_ms;
    atomic_ulong calls, failed;
};

static void
answer(struct rpc_call *call)
{
    ((GetPreferredBlockSizeResponseProto *)call->reply)->bsize = 134217728;
    rpc_reply(call);
}

static void
submit_direct(void *arg, struct rpc_call *call)
{
    (void)arg;
    answer(call);
}

static void
submit_queued(void *arg, struct rpc_call *call)
{
    struct why why;
    enum rc rc = queue_put(arg, call);

    if (rc == RC_OK)
        return;
    why_rc(&why, rc);
    rpc_fail(call, &why);
}

static void
work(void *arg)
{
    void *group[GROUP_MAX];
    size_t n;

    while (queue_take_many(arg, FOREVER, group, GROUP_MAX, &n) == RC_OK)
        for (size_t i = 0; i < n; i++)
            answer(group[i]);
}

static void
call_until(void *arg)
{
    GetPreferredBlockSizeRequestProto request = GET_PREFERRED_BLOCK_SIZE_REQUEST_PROTO__INIT;
    const ProtobufCMessage *reply;
    struct bench *b = arg;
    unsigned long calls = 0;
    struct arena arena;
    struct why why;

    arena_init(&arena, 64 * KB);
    request.filename = (ProtobufCBinaryData){ 12, (uint8_t *)"/user/root/f" };
    while (clock_mono_ms(b->w.clock) < b->until_ms) {
        if (rpc_client_call(b->client, ROW_get_preferred_block_size, &request.base, &arena, 10000, &reply, &why) == RC_OK)
            calls++;
        else
            atomic_fetch_add(&b->failed, 1);
        arena_reset(&arena);
    }
    atomic_fetch_add(&b->calls, calls);
    arena_fini(&arena);
}

static enum rc
measure(struct bench *b, unsigned callers, unsigned seconds, struct why *why)
{
    struct thread *threads[CALLERS_MAX];
    enum rc rc;

    b->calls = b->failed = 0;
    b->until_ms = clock_mono_ms(b->w.clock) + seconds * 1000;
    for (unsigned i = 0; i < callers; i++)
        if ((rc = thread_spawn(b->w.threads, "caller", call_until, b, &threads[i], why)) != RC_OK)
            return rc;
    for (unsigned i = 0; i < callers; i++)
        thread_join(b->w.threads, threads[i]);
    printf("%3u callers %8lu calls/s %8.1f us/call %lu failed\n", callers, b->calls / seconds,
           (double)callers * seconds * 1e6 / (double)b->calls, b->failed);
    return RC_OK;
}

/* One server of service, measured with more and more callers. */
static enum rc
measure_server(struct bench *b, const struct rpc_service *service, unsigned seconds, struct why *why)
{
    struct rpc_server_options so = { .frame_max = 1 * MB, .conn_max = 200, .inflight_max = 100, .idle_ms = 60000 };
    struct rpc_client_options co = { .protocol = service->protocol, .user = "bench", .connect_ms = 5000 };
    struct rpc_server *server = NULL;
    enum rc rc;

    b->client = NULL;
    if ((rc = net_addr_parse("127.0.0.1:0", 0, &so.at, why)) != RC_OK ||
        (rc = rpc_server_start(&b->w, &so, service, 1, &server, why)) != RC_OK)
        return rc;
    co.to = *rpc_server_address(server);
    if ((rc = rpc_client_new(&b->w, &co, &b->client, why)) != RC_OK)
        goto out;
    for (unsigned callers = 1; callers <= CALLERS_MAX && rc == RC_OK; callers *= 8)
        rc = measure(b, callers, seconds, why);
out:
    rpc_client_free(b->client);
    rpc_server_free(server);
    return rc;
}

int
main(int argc, char **argv)
{
    struct rpc_service direct = { .protocol = &client_namenode_rpc, .submit = submit_direct }, queued;
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    struct thread *worker;
    struct queue *queue;
    struct bench b = { 0 };
    struct why why;
    enum rc rc;

    world_posix(&b.w);
    seconds = seconds > 0 ? seconds : 1;
    if ((rc = queue_new(b.w.threads, 10000, &queue)) != RC_OK) {
        fprintf(stderr, "rpc_echo: %s\n", rc_text(rc));
        return EXIT_FAILURE;
    }
    queued = (struct rpc_service){ .protocol = &client_namenode_rpc, .submit = submit_queued, .arg = queue };
    if ((rc = thread_spawn(b.w.threads, "work", work, queue, &worker, &why)) != RC_OK)
        goto out;
    printf("answered on the loop's thread\n");
    if ((rc = measure_server(&b, &direct, seconds, &why)) == RC_OK) {
        printf("answered by a worker\n");
        rc = measure_server(&b, &queued, seconds, &why);
    }
    queue_stop(queue);
    thread_join(b.w.threads, worker);
out:
    if (rc != RC_OK)
        fprintf(stderr, "rpc_echo: %s\n", why.text);
    queue_free(queue);
    return rc == RC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
