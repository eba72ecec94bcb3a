/*
 * nn_first -- when a NameNode that is starting answers its first read.
 *
 *     bench/nn_first HOST:PORT PATH
 *
 * Asks for the status of PATH until there is an answer and prints "answered SECONDS" of the monotonic clock; then asks
 * 1,000 times more and prints "then_us" a call.  HADOOP_USER_NAME is who asks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/io/thread.h"
#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"

#define TRY_MS 300000
#define PAUSE_MS 1
#define THEN 1000

static enum rc
ask(struct rpc_client *c, const char *path, bool *ret_there, struct why *why)
{
    GetFileInfoRequestProto r = GET_FILE_INFO_REQUEST_PROTO__INIT;
    const ProtobufCMessage *reply;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, 1 * MB);
    r.src = (ProtobufCBinaryData){ strlen(path), (uint8_t *)path };
    if ((rc = rpc_client_call(c, ROW_get_file_info, &r.base, &arena, 60000, &reply, why)) == RC_OK)
        *ret_there = ((const GetFileInfoResponseProto *)(const void *)reply)->fs != NULL;
    arena_fini(&arena);
    return rc;
}

int
main(int argc, char **argv)
{
    struct rpc_client_options o = { .protocol = &client_namenode_rpc, .connect_ms = 1000 };
    struct rpc_client *client = NULL;
    uint64_t began_ms, at_us;
    struct world w;
    struct why why;
    bool there = false;
    enum rc rc;

    if (argc != 3) {
        fprintf(stderr, "usage: nn_first HOST:PORT PATH\n");
        return 2;
    }
    world_posix(&w);
    o.user = getenv("HADOOP_USER_NAME") ? getenv("HADOOP_USER_NAME") : "root";
    began_ms = clock_mono_ms(w.clock);
    if ((rc = net_addr_parse(argv[1], 0, &o.to, &why)) != RC_OK || (rc = rpc_client_new(&w, &o, &client, &why)) != RC_OK)
        goto out;
    while ((rc = ask(client, argv[2], &there, &why)) != RC_OK && clock_mono_ms(w.clock) - began_ms < TRY_MS)
        thread_sleep_until(w.threads, clock_mono_ms(w.clock) + PAUSE_MS);
    if (rc != RC_OK)
        goto out;
    at_us = clock_mono_us(w.clock);
    printf("answered %.6f\n", (double)at_us / 1e6);
    if (!there)
        rc = why_set(&why, RC_NOT_FOUND, "there is no %s", argv[2]);
    for (int i = 0; i < THEN && rc == RC_OK; i++)
        rc = ask(client, argv[2], &there, &why);
    printf("then_us %.1f\n", (double)(clock_mono_us(w.clock) - at_us) / THEN);
out:
    rpc_client_free(client);
    if (rc != RC_OK)
        fprintf(stderr, "nn_first: %s\n", why.text);
    return rc == RC_OK ? 0 : 1;
}
