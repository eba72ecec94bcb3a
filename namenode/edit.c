#include "namenode/edit.h"

#include "core/base/faults.h"
#include "namenode/core.h"

static void
put_span(struct buf *b, struct span s)
{
    buf_varint(b, s.n);
    buf_put(b, s.p, s.n);
}

/* A field beyond the end is one that an older version did not write: zero. */
static uint64_t
get_u64(struct rd *r)
{
    return r->left == 0 ? 0 : rd_varint(r);
}

static struct span
get_span(struct rd *r)
{
    return r->left == 0 ? (struct span){ 0 } : rd_delimited(r);
}

/* One writer and one reader for each kind: docs/formats/namenode-log.md. */
#define U64(field) buf_varint(b, x->field);
#define BYTES(field) put_span(b, x->field);
#define EDIT(KIND, number, name, fields)                                \
    static void put_##name(struct buf *b, const struct nn_edit_##name *x) \
    {                                                                   \
        fields                                                          \
    }
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
#undef U64
#undef BYTES

#define U64(field) x->field = get_u64(r);
#define BYTES(field) x->field = get_span(r);
#define EDIT(KIND, number, name, fields)                                \
    static void get_##name(struct rd *r, struct nn_edit_##name *x)      \
    {                                                                   \
        fields                                                          \
    }
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
#undef U64
#undef BYTES

void
nn_edit_encode(const struct nn_edit *e, struct buf *b)
{
    buf_varint(b, e->kind);
    buf_varint(b, e->at_ms);
    switch (e->kind) {
#define EDIT(KIND, number, name, fields)        \
    case EDIT_##KIND:                           \
        put_##name(b, &e->name);                \
        break;
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
    }
}

enum rc
nn_edit_decode(struct nn_edit *e, const void *p, size_t n, struct why *why)
{
    struct rd r;
    uint64_t kind;

    *e = (struct nn_edit){ 0 };
    rd_init(&r, p, n);
    kind = rd_varint(&r);
    e->at_ms = rd_varint(&r);
    switch (kind) {
#define EDIT(KIND, number, name, fields)        \
    case EDIT_##KIND:                           \
        get_##name(&r, &e->name);               \
        break;
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
    default:
        return why_set(why, RC_BAD_FORMAT, "the log holds an edit of kind %llu, which this version does not know",
                       (unsigned long long)kind);
    }
    e->kind = (enum nn_edit_kind)kind;
    return rd_finish(&r, "edit", why);
}

enum rc
nn_edit_tables(struct nn_db *db, const struct nn_edit *e, struct why *why)
{
    switch (e->kind) {
#define EDIT(KIND, number, name, fields) \
    case EDIT_##KIND: return nn_apply_##name(db, &e->name, e->at_ms, why);
#include "namenode/edit.def"
#include "namenode/edit_blocks.def"
#undef EDIT
    }
    return why_set(why, RC_BUG, "edit of unknown kind %u", (unsigned)e->kind);
}

static enum rc
apply(struct nn_core *core, const struct nn_edit *e, bool last, struct why *why)
{
    enum rc rc;

    if ((rc = nn_group_open_call(core, last, why)) != RC_OK || (rc = nn_edit_tables(&core->db, e, why)) != RC_OK)
        return rc;
    nn_group_add(core, e);
    CRASH_POINT(nn_edit_applied);
    return RC_OK;
}

enum rc
nn_edit_apply(struct nn_core *core, const struct nn_edit *e, struct why *why)
{
    return apply(core, e, false, why);
}

enum rc
nn_edit_apply_last(struct nn_core *core, const struct nn_edit *e, struct why *why)
{
    return apply(core, e, true, why);
}
