#include "core/rpc/decode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"

#define DEPTH_MAX 32
#define NAMES_MAX 1024      /* bytes of field names in an error */
#define WALK_MAX (64 * KB)  /* larger messages are not looked into: an error must stay cheap */

static void *
pb_alloc(void *arg, size_t n)
{
    return arena_alloc(arg, n);
}

static void
pb_free(void *arg, void *p)
{
    (void)arg;
    (void)p;        /* with the arena */
}

ProtobufCAllocator
arena_pb(struct arena *a)
{
    return (ProtobufCAllocator){ .alloc = pb_alloc, .free = pb_free, .allocator_data = a };
}

ProtobufCBinaryData
rpc_text(struct arena *a, const char *s)
{
    char *copy = arena_strdup(a, s);

    return (ProtobufCBinaryData){ .len = copy != NULL ? strlen(copy) : 0, .data = (uint8_t *)copy };
}

/* An allocator that remembers being asked in vain. */
struct noted {
    struct arena *arena;
    bool failed;
};

static void *
noted_alloc(void *arg, size_t n)
{
    struct noted *noted = arg;
    void *p = arena_alloc(noted->arena, n);

    noted->failed = noted->failed || p == NULL;
    return p;
}

static const ProtobufCFieldDescriptor *
field_find(const ProtobufCMessageDescriptor *d, uint64_t id)
{
    return id <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(d, (unsigned)id) : NULL;
}

/* Skip one value; its bytes when it is length-delimited. */
static struct span
value_skip(struct rd *r, unsigned wire_type)
{
    struct span none = { NULL, 0 };

    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        rd_varint(r);
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        rd_bytes(r, 8);
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return rd_delimited(r);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        rd_bytes(r, 4);
        break;
    default:
        r->bad = true;
        break;
    }
    return none;
}

/* How often field id occurs; r is a copy. */
static size_t
field_count(struct rd r, uint32_t id)
{
    size_t count = 0;

    while (r.left > 0 && !r.bad) {
        uint64_t tag = rd_varint(&r);
        value_skip(&r, tag & 7);
        count += tag >> 3 == id && !r.bad;
    }
    return count;
}

static void
name_put(struct buf *names, const char *prefix, const char *name)
{
    if (names->n > 0)
        buf_put_str(names, ", ");
    buf_put_str(names, prefix);
    buf_put_str(names, name);
}

/*
 * Names of required fields that message d in r lacks: its own first, then those
 * of the messages inside, as Hadoop orders them.  False when r is no message.
 */
static bool
missing_find(const ProtobufCMessageDescriptor *d, struct rd r, const char *prefix, unsigned depth, struct buf *names)
{
    char inner[256];
    size_t seen = 0;    /* of the repeated field that the walk is in */
    uint64_t seen_id = 0;

    if (depth > DEPTH_MAX)
        return false;
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && field_count(r, d->fields[i].id) == 0)
            name_put(names, prefix, d->fields[i].name);
    while (r.left > 0 && !r.bad) {
        uint64_t tag = rd_varint(&r);
        const ProtobufCFieldDescriptor *f = field_find(d, tag >> 3);
        struct span s = value_skip(&r, tag & 7);
        struct rd in;
        if (r.bad || (tag >> 3) == 0)
            return false;
        seen = tag >> 3 == seen_id ? seen + 1 : 0;
        seen_id = tag >> 3;
        if (f == NULL || f->type != PROTOBUF_C_TYPE_MESSAGE || (tag & 7) != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            snprintf(inner, sizeof inner, "%s%s[%zu].", prefix, f->name, seen);
        else
            snprintf(inner, sizeof inner, "%s%s.", prefix, f->name);
        rd_init(&in, s.p, s.n);
        if (!missing_find(f->descriptor, in, inner, depth + 1, names))
            return false;
    }
    return !r.bad;
}

static enum rc
why_not(const ProtobufCMessageDescriptor *d, const void *p, size_t n, struct why *why)
{
    struct buf names;
    struct rd r;

    buf_init(&names, NAMES_MAX);
    rd_init(&r, p, n);
    if (n <= WALK_MAX && missing_find(d, r, "", 0, &names) && names.n > 0)
        why_set(why, RC_BAD_MESSAGE, "Message missing required fields: %.*s", (int)names.n, (const char *)names.p);
    else
        why_set(why, RC_BAD_MESSAGE, "Protocol message %s is malformed: its bytes do not form fields of their length",
                d->short_name);
    buf_fini(&names);
    return RC_BAD_MESSAGE;
}

enum rc
rpc_decode(const ProtobufCMessageDescriptor *d, struct arena *a, const void *p, size_t n, ProtobufCMessage **ret,
           struct why *why)
{
    struct noted noted = { .arena = a };
    ProtobufCAllocator allocator = { .alloc = noted_alloc, .free = pb_free, .allocator_data = &noted };
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &allocator, n, p);

    if (m != NULL) {
        *ret = m;
        return RC_OK;
    }
    if (noted.failed)
        return why_set(why, RC_BAD_MESSAGE, "Protocol message %s was too large: it needs more than %zu bytes decoded",
                       d->short_name, a->limit);
    return why_not(d, p, n, why);
}
