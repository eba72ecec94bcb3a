/*
 * fuzz_request -- every request message of every RPC protocol.
 *
 * The first byte picks the row, counted through the protocols in the order of
 * tables[]; the rest is the parameter of the call, decoded as the server does.
 * What must hold: the arena keeps its limit, what was decoded is whole, packs
 * again into something equal, and a refusal has a text.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/arena.h"
#include "core/base/attr.h"
#include "core/rpc/decode.h"
#include "core/rpc/protocols.h"

#define ARENA_BASE (16 * MB)    /* as core/rpc/call.c */

static const struct rpc_protocol *const tables[] = {
    &client_namenode_rpc, &client_datanode_rpc, &datanode_rpc, &ha_service_rpc, &user_mappings_rpc, &job_client_rpc,
    &tracker_rpc,
};

static const ProtobufCMessageDescriptor *
request_of(size_t row)
{
    const ProtobufCMethodDescriptor *m;
    size_t all = 0;
    struct why why;

    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        all += tables[i]->method_count;
    row %= all;
    for (size_t i = 0;; row -= tables[i++]->method_count)
        if (row < tables[i]->method_count) {
            CHECK(rpc_method_messages(tables[i], row, &m, &why) == RC_OK);
            return m->input;
        }
}

static void
check_packs_again(const ProtobufCMessageDescriptor *d, const ProtobufCMessage *m, struct arena *a)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = mem_alloc(n + 1), *again = mem_alloc(n + 1);
    ProtobufCMessage *copy;
    struct why why;

    CHECK(bytes != NULL);
    CHECK(again != NULL);
    CHECK(protobuf_c_message_pack(m, bytes) == n);
    if (rpc_decode(d, a, bytes, n, &copy, &why) == RC_OK) {     /* else the arena is full */
        CHECK(protobuf_c_message_get_packed_size(copy) == n);
        CHECK(protobuf_c_message_pack(copy, again) == n);
        CHECK(memcmp(bytes, again, n) == 0);
    }
    mem_free(bytes);
    mem_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const ProtobufCMessageDescriptor *d;
    ProtobufCMessage *request;
    struct arena a;
    struct why why;

    if (n == 0)
        return 0;
    d = request_of(data[0]);
    arena_init(&a, ARENA_BASE + 2 * n);
    if (rpc_decode(d, &a, data + 1, n - 1, &request, &why) == RC_OK) {
        CHECK(protobuf_c_message_check(request));
        check_packs_again(d, request, &a);
    } else {
        CHECK(why.rc == RC_BAD_MESSAGE);
        CHECK(strlen(why.text) > 0);
    }
    CHECK(a.used <= a.limit);
    arena_fini(&a);
    CHECK(mem_live() == 0);
    return 0;
}
