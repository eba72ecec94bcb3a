/*
 * summary -- how much a tree holds: getContentSummary, getQuotaUsage.
 *
 * The walk is cut into read transactions of a few milliseconds: a large tree is
 * not seen as of one moment, and the log can be checkpointed meanwhile.
 */
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "namenode/dispatch.h"
#include "namenode/reader.h"
#include "namenode/resolve.h"

#define BATCH 500               /* entries between two looks at the clock */
#define PENDING_BYTES (64 * MB)

struct sum {
    uint64_t bytes, space, files, dirs;
    struct buf pending;         /* inodes of directories still to be read */
    struct buf last;            /* name of the last entry read */
    size_t entries;
};

static enum rc
add(void *arg, const struct nn_inode *inode, struct span name, struct why *why)
{
    struct sum *s = arg;

    s->entries++;
    buf_clear(&s->last);
    buf_put(&s->last, name.p, name.n);
    if (inode->type == NN_DIR) {
        s->dirs++;
        buf_put(&s->pending, inode, sizeof *inode);
    } else {
        s->files++;
        s->bytes += inode->length;
        s->space += inode->length * inode->replication;
    }
    return buf_ok(&s->pending) && buf_ok(&s->last) ? RC_OK : why_rc(why, RC_BUSY);
}

/* READ and EXECUTE on a directory; the path for the refusal is looked up only then. */
static enum rc
may_read_dir(struct nn_reader *r, struct nn_caller *caller, struct nn_inode *dir, struct why *why)
{
    struct nn_path p = { .inodes = dir };
    struct span text;
    bool found;
    enum rc rc;

    if (caller->super)
        return RC_OK;
    p.names = &text;
    if (nn_may(caller, &r->db, &p, 0, MAY_READ | MAY_EXECUTE, why) == RC_OK)
        return RC_OK;
    if ((rc = nn_inode_path(&r->db, &caller->call->arena, dir->id, &text, &found, why)) != RC_OK || !found ||
        (rc = nn_path_lookup(&r->db, &caller->call->arena, text, &p, why)) != RC_OK)
        return rc;
    return nn_may(caller, &r->db, &p, p.found, MAY_READ | MAY_EXECUTE, why);
}

static enum rc
sum_dir(struct nn_reader *r, struct nn_caller *caller, struct nn_inode *dir, struct sum *s, uint64_t *begun_us,
        struct why *why)
{
    enum rc rc;

    if ((rc = may_read_dir(r, caller, dir, why)) != RC_OK)
        return rc;
    buf_clear(&s->last);
    do {
        s->entries = 0;
        if ((rc = nn_inode_list(&r->db, dir->id, span_of(s->last.p, s->last.n), BATCH, add, s, why)) != RC_OK ||
            (rc = nn_reader_pause(r, begun_us, why)) != RC_OK)
            return rc;
    } while (s->entries == BATCH);
    return RC_OK;
}

/* The tree at p. */
static enum rc
sum_tree(struct nn_reader *r, struct nn_caller *caller, const struct nn_path *p, struct sum *s, struct why *why)
{
    uint64_t begun_us = clock_mono_us(r->nn->world->clock);
    struct nn_inode dir;
    enum rc rc = RC_OK;

    *s = (struct sum){ 0 };
    buf_init(&s->pending, PENDING_BYTES);
    buf_init(&s->last, 64 * KB);
    if ((rc = add(s, nn_path_last(p), span_of("", 0), why)) != RC_OK)
        goto out;
    while (rc == RC_OK && s->pending.n > 0) {
        s->pending.n -= sizeof dir;
        memcpy(&dir, s->pending.p + s->pending.n, sizeof dir);
        rc = sum_dir(r, caller, &dir, s, &begun_us, why);
    }
out:
    buf_fini(&s->pending);
    buf_fini(&s->last);
    return rc;
}

/* The sums of what a path names; kind is what it is called when it is not there. */
static enum rc
sum_path(struct nn_reader *r, struct rpc_call *call, struct span path, const char *kind, struct nn_path *p, struct sum *s,
         struct why *why)
{
    struct nn_caller caller;
    enum rc rc;

    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve(&caller, &r->db, path, NN_TO_USE, p, why)) != RC_OK)
        return rc;
    if (!nn_path_exists(p))
        return why_set(why, RC_NOT_FOUND, "%s does not exist: %s", kind, (const char *)p->text.p);
    return sum_tree(r, &caller, p, s, why);
}

enum rc
nn_do_get_content_summary(struct nn_reader *r, struct rpc_call *call, const GetContentSummaryRequestProto *req,
                          GetContentSummaryResponseProto *ret, struct why *why)
{
    ContentSummaryProto *c = arena_alloc(&call->arena, sizeof *c);
    struct nn_path p;
    struct sum s;
    enum rc rc;

    if (c == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = sum_path(r, call, pb_span(req->path), "File", &p, &s, why)) != RC_OK)
        return rc;
    content_summary_proto__init(c);
    c->length = s.bytes;
    c->filecount = s.files;
    c->directorycount = s.dirs;
    c->quota = c->spacequota = UINT64_MAX;      /* none */
    c->spaceconsumed = s.space;
    c->has_snapshotlength = c->has_snapshotfilecount = c->has_snapshotdirectorycount = c->has_snapshotspaceconsumed = true;
    c->has_erasurecodingpolicy = true;
    c->erasurecodingpolicy = rpc_text(&call->arena, nn_path_last(&p)->type == NN_FILE ? "Replicated" : "");
    ret->summary = c;
    return RC_OK;
}

enum rc
nn_do_get_quota_usage(struct nn_reader *r, struct rpc_call *call, const GetQuotaUsageRequestProto *req,
                      GetQuotaUsageResponseProto *ret, struct why *why)
{
    QuotaUsageProto *q = arena_alloc(&call->arena, sizeof *q);
    struct nn_path p;
    struct sum s;
    enum rc rc;

    if (q == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = sum_path(r, call, pb_span(req->path), "File/Directory", &p, &s, why)) != RC_OK)
        return rc;
    quota_usage_proto__init(q);
    q->fileanddirectorycount = s.files + s.dirs;
    q->quota = q->spacequota = UINT64_MAX;      /* none */
    q->spaceconsumed = s.space;
    ret->usage = q;
    return RC_OK;
}
