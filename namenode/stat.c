/*
 * stat -- what files and directories are: getFileInfo, getListing and their kin.
 */
#include <string.h>

#include "core/proto/ids.h"
#include "namenode/blocks.h"
#include "namenode/dispatch.h"
#include "namenode/reader.h"
#include "namenode/resolve.h"
#include "namenode/status.h"

#define REMAINING_MAX 10000         /* entries counted beyond the last one of a listing */

static enum rc
file_info(struct nn_reader *r, struct rpc_call *call, ProtobufCBinaryData src, bool locations, HdfsFileStatusProto **ret,
          struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve(&caller, &r->db, pb_span(src), NN_TO_INFORM, &p, why)) != RC_OK || !nn_path_exists(&p))
        return rc;
    if (locations && nn_path_last(&p)->type == NN_FILE &&
        (rc = nn_may(&caller, &r->db, &p, p.depth, MAY_READ, why)) != RC_OK)
        return rc;
    if ((rc = nn_status(&r->db, &call->arena, nn_path_last(&p), span_of("", 0), ret, why)) != RC_OK)
        return rc;
    if (!locations || nn_path_last(&p)->type != NN_FILE)
        return RC_OK;
    return nn_blocks_locate_all(r, call, nn_path_last(&p), &(*ret)->locations, why);
}

enum rc
nn_do_get_file_info(struct nn_reader *r, struct rpc_call *call, const GetFileInfoRequestProto *req,
                    GetFileInfoResponseProto *ret, struct why *why)
{
    return file_info(r, call, req->src, false, &ret->fs, why);
}

enum rc
nn_do_get_file_link_info(struct nn_reader *r, struct rpc_call *call, const GetFileLinkInfoRequestProto *req,
                         GetFileLinkInfoResponseProto *ret, struct why *why)
{
    return file_info(r, call, req->src, false, &ret->fs, why);
}

enum rc
nn_do_get_located_file_info(struct nn_reader *r, struct rpc_call *call, const GetLocatedFileInfoRequestProto *req,
                            GetLocatedFileInfoResponseProto *ret, struct why *why)
{
    return file_info(r, call, req->src, true, &ret->fs, why);
}

/* ---- listings ---- */

struct listing {
    struct nn_reader *r;
    struct rpc_call *call;
    DirectoryListingProto *list;
    struct nn_inode *inodes;        /* of the entries, for their locations */
    size_t cap;
};

static enum rc
add_entry(void *arg, const struct nn_inode *inode, struct span name, struct why *why)
{
    struct listing *l = arg;
    size_t n = l->list->n_partiallisting;
    enum rc rc;

    if ((rc = nn_status(&l->r->db, &l->call->arena, inode, name, &l->list->partiallisting[n], why)) != RC_OK)
        return rc;
    l->inodes[n] = *inode;
    l->list->n_partiallisting++;
    return RC_OK;
}

/* startAfter: a name, or "/.reserved/.inodes/<id>", the entry with that number. */
static enum rc
start_after(struct nn_reader *r, struct rpc_call *call, struct span after, struct span *ret, struct why *why)
{
    static const char by_id[] = "/.reserved/.inodes/";
    struct nn_path p;

    *ret = after;
    if (after.n < sizeof by_id - 1 || memcmp(after.p, by_id, sizeof by_id - 1) != 0)
        return RC_OK;
    if (nn_path_lookup(&r->db, &call->arena, after, &p, why) != RC_OK || !nn_path_exists(&p) || p.depth == 0)
        return why_set(why, RC_START_AFTER_GONE, "Can't find startAfter %.*s", (int)after.n, (const char *)after.p);
    *ret = p.names[p.depth];
    return RC_OK;
}

static enum rc
count_after(struct nn_reader *r, uint64_t dir, struct span after, uint32_t *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&r->db, SQL_INODE_COUNT_AFTER, why);
    bool row;
    enum rc rc;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, dir);
    nn_bind_span(st, 2, after);
    nn_bind_u64(st, 3, REMAINING_MAX);
    if ((rc = nn_step(&r->db, st, &row, why)) != RC_OK)
        return rc;
    *ret = row ? (uint32_t)nn_column_u64(st, 0) : 0;
    nn_done(st);
    return RC_OK;
}

static enum rc
list_dir(struct listing *l, const struct nn_inode *dir, struct span after, struct why *why)
{
    DirectoryListingProto *list = l->list;
    struct span last;
    enum rc rc;

    if ((rc = start_after(l->r, l->call, after, &after, why)) != RC_OK ||
        (rc = nn_inode_list(&l->r->db, dir->id, after, l->cap, add_entry, l, why)) != RC_OK)
        return rc;
    if (list->n_partiallisting < l->cap)
        return RC_OK;
    last = pb_span(list->partiallisting[list->n_partiallisting - 1]->path);
    return count_after(l->r, dir->id, last, &list->remainingentries, why);
}

/* Locations of the entries that are files; fewer entries when there would be more than `cap` replicas to name. */
static enum rc
add_locations(struct listing *l, const struct nn_inode *dir, struct why *why)
{
    DirectoryListingProto *list = l->list;
    size_t replicas = 0;
    enum rc rc;

    for (size_t i = 0; i < list->n_partiallisting; i++) {
        HdfsFileStatusProto *s = list->partiallisting[i];

        if (replicas >= l->cap) {
            list->n_partiallisting = i;
            return count_after(l->r, dir->id, pb_span(list->partiallisting[i - 1]->path), &list->remainingentries, why);
        }
        if (l->inodes[i].type != NN_FILE)
            continue;
        if ((rc = nn_blocks_locate_all(l->r, l->call, &l->inodes[i], &s->locations, why)) != RC_OK)
            return rc;
        replicas += s->locations->n_blocks * l->inodes[i].replication;
    }
    return RC_OK;
}

static bool
is_snapshot_dir(const struct nn_path *p)
{
    return p->found + 1 == p->depth && p->names[p->depth].n == 9 && memcmp(p->names[p->depth].p, ".snapshot", 9) == 0;
}

enum rc
nn_do_get_listing(struct nn_reader *r, struct rpc_call *call, const GetListingRequestProto *req,
                  GetListingResponseProto *ret, struct why *why)
{
    struct listing l = { .r = r, .call = call, .cap = r->nn->conf.list_limit };
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve(&caller, &r->db, pb_span(req->src), NN_TO_USE, &p, why)) != RC_OK)
        return rc;
    if (!nn_path_exists(&p)) {
        if (!is_snapshot_dir(&p))
            return RC_OK;
        return why_set(why, RC_SNAPSHOT, "Directory is not a snapshottable directory: %s",
                       nn_path_prefix(&call->arena, &p, p.found));
    }
    if ((l.list = arena_alloc(&call->arena, sizeof *l.list)) == NULL)
        return why_rc(why, RC_NOMEM);
    directory_listing_proto__init(l.list);
    if ((l.list->partiallisting = arena_calloc(&call->arena, l.cap, sizeof *l.list->partiallisting)) == NULL ||
        (l.inodes = arena_calloc(&call->arena, l.cap, sizeof *l.inodes)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (nn_path_last(&p)->type == NN_FILE) {
        rc = add_entry(&l, nn_path_last(&p), span_of("", 0), why);
    } else {
        if ((rc = nn_may(&caller, &r->db, &p, p.depth, MAY_READ | MAY_EXECUTE, why)) == RC_OK)
            rc = list_dir(&l, nn_path_last(&p), pb_span(req->startafter), why);
    }
    if (rc == RC_OK && req->needlocation)
        rc = add_locations(&l, nn_path_last(&p), why);
    ret->dirlist = l.list;
    return rc;
}

/* ---- one fact about a path ---- */

enum rc
nn_do_is_file_closed(struct nn_reader *r, struct rpc_call *call, const IsFileClosedRequestProto *req,
                     IsFileClosedResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve_file(&caller, &r->db, pb_span(req->src), &p, why)) == RC_OK)
        ret->result = !nn_path_last(&p)->open;
    return rc;
}

enum rc
nn_do_get_preferred_block_size(struct nn_reader *r, struct rpc_call *call, const GetPreferredBlockSizeRequestProto *req,
                               GetPreferredBlockSizeResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    nn_caller_init(&caller, r->nn, call);
    if ((rc = nn_resolve_file(&caller, &r->db, pb_span(req->filename), &p, why)) == RC_OK)
        ret->bsize = nn_path_last(&p)->block_size;
    return rc;
}

/* The path, which must exist; text is what the refusal begins with. */
static enum rc
resolve_existing(struct nn_reader *r, struct rpc_call *call, ProtobufCBinaryData src, const char *text,
                 struct nn_caller *caller, struct nn_path *ret, struct why *why)
{
    enum rc rc;

    nn_caller_init(caller, r->nn, call);
    if ((rc = nn_resolve(caller, &r->db, pb_span(src), NN_TO_USE, ret, why)) != RC_OK || nn_path_exists(ret))
        return rc;
    return why_set(why, RC_NOT_FOUND, "%s%s", text, (const char *)ret->text.p);
}

enum rc
nn_do_check_access(struct nn_reader *r, struct rpc_call *call, const CheckAccessRequestProto *req,
                   CheckAccessResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    (void)ret;
    if ((rc = resolve_existing(r, call, req->path, "Path not found: ", &caller, &p, why)) != RC_OK)
        return rc;
    return nn_may(&caller, &r->db, &p, p.depth, (unsigned)req->mode & MAY_ALL, why);
}

enum rc
nn_do_get_acl_status(struct nn_reader *r, struct rpc_call *call, const GetAclStatusRequestProto *req,
                     GetAclStatusResponseProto *ret, struct why *why)
{
    AclStatusProto *acl = arena_alloc(&call->arena, sizeof *acl);
    FsPermissionProto *perm = arena_alloc(&call->arena, sizeof *perm);
    const char *owner, *group;
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    if (acl == NULL || perm == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = resolve_existing(r, call, req->src, "cannot find ", &caller, &p, why)) != RC_OK ||
        (rc = nn_name_text(&r->db, nn_path_last(&p)->owner, &owner, why)) != RC_OK ||
        (rc = nn_name_text(&r->db, nn_path_last(&p)->group, &group, why)) != RC_OK)
        return rc;
    acl_status_proto__init(acl);
    fs_permission_proto__init(perm);
    perm->perm = nn_path_last(&p)->perm;
    acl->owner = rpc_text(&call->arena, owner);
    acl->group = rpc_text(&call->arena, group);
    acl->sticky = (perm->perm & 01000) != 0;
    acl->permission = perm;
    ret->result = acl;
    return RC_OK;
}

/* No file has extended attributes yet: none are listed, and one asked for by name is not there. */
enum rc
nn_do_list_xattrs(struct nn_reader *r, struct rpc_call *call, const ListXAttrsRequestProto *req,
                  ListXAttrsResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;

    (void)ret;
    return resolve_existing(r, call, req->src, "cannot find ", &caller, &p, why);
}

enum rc
nn_do_get_xattrs(struct nn_reader *r, struct rpc_call *call, const GetXAttrsRequestProto *req, GetXAttrsResponseProto *ret,
                 struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;
    enum rc rc;

    (void)ret;
    if ((rc = resolve_existing(r, call, req->src, "cannot find ", &caller, &p, why)) != RC_OK ||
        (rc = nn_may(&caller, &r->db, &p, p.depth, MAY_READ, why)) != RC_OK || req->n_xattrs == 0)
        return rc;
    return why_set(why, RC_XATTR_NOT_FOUND, "At least one of the attributes provided was not found.");
}

enum rc
nn_do_get_erasure_coding_policy(struct nn_reader *r, struct rpc_call *call, const GetErasureCodingPolicyRequestProto *req,
                                GetErasureCodingPolicyResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;

    (void)ret;                      /* no policy: plain replicas */
    return resolve_existing(r, call, req->src, "Path not found: ", &caller, &p, why);
}

enum rc
nn_do_get_ez_for_path(struct nn_reader *r, struct rpc_call *call, const GetEZForPathRequestProto *req,
                      GetEZForPathResponseProto *ret, struct why *why)
{
    struct nn_caller caller;
    struct nn_path p;

    (void)ret;                      /* there are no encryption zones */
    nn_caller_init(&caller, r->nn, call);
    return nn_resolve(&caller, &r->db, pb_span(req->src), NN_TO_USE, &p, why);
}

enum rc
nn_do_get_enclosing_root(struct nn_reader *r, struct rpc_call *call, const GetEnclosingRootRequestProto *req,
                         GetEnclosingRootResponseProto *ret, struct why *why)
{
    (void)r, (void)req, (void)why;
    ret->has_enclosingrootpath = true;      /* without encryption zones everything lies in one */
    ret->enclosingrootpath = rpc_text(&call->arena, "/");
    return RC_OK;
}
