/*
 * fuzz_rpc_frame -- any bytes to an RPC port.
 *
 * The input's first byte says how the rest is cut into reads, and whether the
 * connection is already past its context, so that mutations reach the calls.
 * What must hold: no call before the context, no memory beyond the limits, and
 * every method's request decodes or is refused with a text.
 */
#include "tests/fuzz/fuzz.h"

#include "core/proto/client_namenode.pb-c.h"
#include "core/rpc/decode.h"
#include "core/rpc/dispatch.h"
#include "core/rpc/frame.h"

#define FRAME_MAX (64 * KB)

static bool
may_proxy(void *arg, const char *real, const char *user, const struct net_addr *peer)
{
    (void)arg;
    (void)peer;
    return strlen(real) < FRAME_USER_MAX && strlen(user) < FRAME_USER_MAX && real[0] == 'r';
}

/* The request as the method of this name would read it, whatever it really is. */
static void
decode_call(const struct frame_call *call)
{
    const ProtobufCServiceDescriptor *service = &client_namenode_protocol__descriptor;
    const ProtobufCMethodDescriptor *m = NULL;
    ProtobufCMessage *request;
    struct arena arena;
    struct why why;
    char name[64];

    if (call->method.n > 0 && call->method.n < sizeof name) {
        memcpy(name, call->method.p, call->method.n);
        name[call->method.n] = '\0';
        m = protobuf_c_service_descriptor_get_method_by_name(service, name);
    }
    if (m == NULL)
        m = &service->methods[(uint32_t)call->call_id % service->n_methods];
    arena_init(&arena, 1 * MB + 2 * call->frame_bytes);
    if (rpc_decode(m->input, &arena, call->param.p, call->param.n, &request, &why) == RC_OK)
        CHECK(protobuf_c_message_check(request));
    else
        CHECK(strlen(why.text) > 0);
    CHECK(arena.used <= arena.limit);
    arena_fini(&arena);
}

static bool
drain(struct frame *f, struct arena *scratch, struct buf *out)
{
    enum frame_event event;
    struct frame_call call;

    while ((event = frame_next(f, scratch, out, &call)) == FRAME_CALL) {
        CHECK(f->state == FS_OPEN);
        CHECK(call.call_id >= 0);
        CHECK(f->user[0] != '\0');
        if (!call.param_missing)
            decode_call(&call);
    }
    return event == FRAME_MORE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct frame_options options = { .frame_max = FRAME_MAX, .may_proxy = may_proxy };
    struct net_addr peer = { .host = "127.0.0.1" };
    struct arena scratch;
    struct frame f;
    struct buf out;
    size_t step;

    if (n == 0)
        return 0;
    step = (size_t)(data[0] & 0x7f) + 1;
    arena_init(&scratch, 1 * MB);
    buf_init(&out, 1 * MB);
    frame_init(&f, &options, &peer);
    if (data[0] & 0x80) {
        f.state = FS_OPEN;
        memcpy(f.user, "root", 5);
    }
    for (size_t at = 1; at < n; at += step) {
        bool more;
        CHECK(frame_give(&f, data + at, n - at < step ? n - at : step) == RC_OK);
        more = drain(&f, &scratch, &out);
        CHECK(frame_keep(&f) == RC_OK);
        CHECK(frame_kept(&f) <= (f.state == FS_OPEN ? FRAME_MAX : FRAME_MAX_BEFORE_CONTEXT) + 4 || !more);
        if (!more)
            break;
    }
    frame_fini(&f);
    buf_fini(&out);
    arena_fini(&scratch);
    CHECK(mem_live() == 0);
    return 0;
}
