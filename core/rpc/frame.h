/*
 * frame -- what the bytes of a connection mean, on the answering side
 * (docs/formats/rpc.md).
 *
 * A plain function of bytes, without sockets, threads or clock: takes what came
 * in, yields the calls in it, and writes the answers that need no handler
 * (SASL, refusals).  Owns the bytes of a frame that is not complete yet and the
 * names of the user.
 * Invariant: before the connection context is accepted no call is yielded and
 * no frame of more than 4 KB is kept.
 */
#ifndef CORE_RPC_FRAME_H
#define CORE_RPC_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/net/net.h"

#define FRAME_MAX_BEFORE_CONTEXT (4 * KB)
#define FRAME_USER_MAX 256

enum frame_state {
    FS_PREAMBLE,        /* 7 bytes */
    FS_SASL,            /* the peer wants to negotiate */
    FS_CONTEXT,         /* who is it? */
    FS_OPEN,            /* calls */
    FS_CLOSED,          /* the answer that is out is the last */
};

enum frame_event {
    FRAME_MORE,         /* the input is used up */
    FRAME_CALL,
    FRAME_CLOSE,        /* send what was written to out, then close */
};

struct frame_options {
    size_t frame_max;
    /* NULL allows no impersonation. */
    bool (*may_proxy)(void *arg, const char *real, const char *user, const struct net_addr *peer);
    void *proxy_arg;
};

/* One call, not yet decoded.  The spans are good until the next frame_next, frame_give or frame_keep. */
struct frame_call {
    int32_t call_id;
    int32_t retry_count;
    struct span client_id, protocol, method, param;
    uint64_t version;
    bool param_missing;     /* the frame ends before or inside the parameter */
    size_t frame_bytes;
};

struct frame {
    const struct frame_options *o;
    const struct net_addr *peer;
    enum frame_state state;
    bool negotiated;                    /* NEGOTIATE was answered */
    char user[FRAME_USER_MAX];
    char real_user[FRAME_USER_MAX];     /* empty unless proxied */
    struct rd in;                       /* what is to be read: kept, or the caller's bytes */
    bool in_is_kept;
    struct buf kept;
};

/* o and peer are borrowed for the life of f. */
void frame_init(struct frame *f, const struct frame_options *o, const struct net_addr *peer);
void frame_fini(struct frame *f);

/* Bytes arrived.  They are borrowed until frame_keep, which takes a copy of what is left of them. */
enum rc frame_give(struct frame *f, const void *p, size_t n) MUST_CHECK;
enum rc frame_keep(struct frame *f) MUST_CHECK;
static inline size_t frame_kept(const struct frame *f) { return f->kept.n; }

/* The next event.  scratch is reset; answers are appended to out. */
enum frame_event frame_next(struct frame *f, struct arena *scratch, struct buf *out, struct frame_call *ret);

/* What the header of an answer repeats. */
struct frame_reply {
    int32_t call_id;
    int32_t retry_count;
    struct span client_id;
};

/* A complete frame with a successful reply, on the heap (mem_free); NULL when memory is short. */
uint8_t *frame_reply_new(const struct frame_reply *r, const ProtobufCMessage *reply, size_t *ret_n);
uint8_t *frame_reply_encoded_new(const struct frame_reply *r, const void *reply, size_t n, size_t *ret_n);

/* A complete frame with an error that leaves the connection open. */
uint8_t *frame_error_new(const struct frame_reply *r, const struct why *why, size_t *ret_n);

#endif
