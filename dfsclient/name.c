/* Calls about names: one RPC each. */

#include "core/proto/hdfs.pb-c.h"
#include "dfsclient/fs_priv.h"
#include "dfsclient/located.h"

#define REPLY_MAX (64 * MB)

enum rc
fs_stat(struct fs *fs, const char *path, struct arena *a, struct fs_status *ret, struct why *why)
{
    GetFileInfoRequestProto req = GET_FILE_INFO_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    struct arena tmp;
    enum rc rc;

    arena_init(&tmp, REPLY_MAX);
    req.src = fs_bin(path);
    if ((rc = fs_call(fs, ROW_get_file_info, &req.base, &tmp, &reply, why)) == RC_OK) {
        const GetFileInfoResponseProto *r = reply;
        if (r->fs == NULL)
            rc = why_set(why, RC_NOT_FOUND, "File does not exist: %s", path);
        else
            rc = fs_take_status(r->fs, path, NULL, a, ret, why);
    }
    arena_fini(&tmp);
    return rc;
}

struct page {
    const char *path;
    bool (*on_entry)(void *arg, const struct fs_status *st);
    void *arg;
    bool more;
    uint8_t *after;         /* in the arena of the page before */
    size_t after_n;
};

static enum rc
list_page(struct fs *fs, struct page *p, struct arena *a, struct why *why)
{
    GetListingRequestProto req = GET_LISTING_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    const DirectoryListingProto *l;
    struct fs_status st;
    enum rc rc;

    req.src = fs_bin(p->path);
    req.startafter = fs_bin_n(p->after, p->after_n);
    if ((rc = fs_call(fs, ROW_get_listing, &req.base, a, &reply, why)) != RC_OK)
        return rc;
    if ((l = ((const GetListingResponseProto *)reply)->dirlist) == NULL) {
        if (p->after_n > 0) {
            p->more = false;
            return RC_OK;       /* deleted while we listed it */
        }
        return why_set(why, RC_NOT_FOUND, "File does not exist: %s", p->path);
    }
    p->more = l->remainingentries > 0 && l->n_partiallisting > 0;
    for (size_t i = 0; i < l->n_partiallisting; i++) {
        if ((rc = fs_take_status(l->partiallisting[i], p->path, p->path, a, &st, why)) != RC_OK)
            return rc;
        if (!p->on_entry(p->arg, &st)) {
            p->more = false;
            return RC_OK;
        }
        p->after = l->partiallisting[i]->path.data;
        p->after_n = l->partiallisting[i]->path.len;
    }
    return RC_OK;
}

enum rc
fs_list(struct fs *fs, const char *path, bool (*on_entry)(void *arg, const struct fs_status *st), void *arg,
        struct why *why)
{
    struct page p = { .path = path, .on_entry = on_entry, .arg = arg, .more = true };
    struct arena a[2];
    enum rc rc = RC_OK;

    arena_init(&a[0], FS_REPLY_MAX);
    arena_init(&a[1], FS_REPLY_MAX);
    for (unsigned i = 0; rc == RC_OK && p.more; i ^= 1) {
        arena_reset(&a[i]);
        rc = list_page(fs, &p, &a[i], why);
    }
    arena_fini(&a[0]);
    arena_fini(&a[1]);
    return rc;
}

/* One call whose answer says nothing, or one bool. */
static enum rc
simple(struct fs *fs, enum client_namenode_row m, const ProtobufCMessage *req, bool (*result)(const void *reply), bool *ret,
       struct why *why)
{
    const void *reply = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, REPLY_MAX);
    if ((rc = fs_call(fs, m, req, &a, &reply, why)) == RC_OK && result != NULL)
        *ret = result(reply);
    arena_fini(&a);
    return rc;
}

#define RESULT_OF(name, type) static bool name(const void *reply) { return ((const type *)reply)->result; }
RESULT_OF(mkdirs_result, MkdirsResponseProto)
RESULT_OF(delete_result, DeleteResponseProto)
RESULT_OF(rename_result, RenameResponseProto)
RESULT_OF(set_replication_result, SetReplicationResponseProto)
RESULT_OF(safe_mode_result, SetSafeModeResponseProto)
RESULT_OF(truncate_result, TruncateResponseProto)
RESULT_OF(is_closed_result, IsFileClosedResponseProto)
RESULT_OF(recover_result, RecoverLeaseResponseProto)

enum rc
fs_mkdirs(struct fs *fs, const char *path, uint32_t mode, bool parents, struct why *why)
{
    MkdirsRequestProto req = MKDIRS_REQUEST_PROTO__INIT;
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;
    bool done = false;
    enum rc rc;

    perm.perm = mode;
    req.src = fs_bin(path);
    req.masked = &perm;
    req.createparent = parents;
    if ((rc = simple(fs, ROW_mkdirs, &req.base, mkdirs_result, &done, why)) != RC_OK)
        return rc;
    return done ? RC_OK : why_set(why, RC_IO_EXCEPTION, "mkdir of %s was refused", path);
}

enum rc
fs_delete(struct fs *fs, const char *path, bool recursive, bool *ret_deleted, struct why *why)
{
    DeleteRequestProto req = DELETE_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    req.recursive = recursive;
    return simple(fs, ROW_delete, &req.base, delete_result, ret_deleted, why);
}

enum rc
fs_rename(struct fs *fs, const char *from, const char *to, bool *ret_renamed, struct why *why)
{
    RenameRequestProto req = RENAME_REQUEST_PROTO__INIT;

    req.src = fs_bin(from);
    req.dst = fs_bin(to);
    return simple(fs, ROW_rename, &req.base, rename_result, ret_renamed, why);
}

enum rc
fs_rename_to(struct fs *fs, const char *from, const char *to, bool overwrite, struct why *why)
{
    Rename2RequestProto req = RENAME2_REQUEST_PROTO__INIT;

    req.src = fs_bin(from);
    req.dst = fs_bin(to);
    req.overwritedest = overwrite;
    return simple(fs, ROW_rename2, &req.base, NULL, NULL, why);
}

enum rc
fs_set_permission(struct fs *fs, const char *path, uint32_t mode, struct why *why)
{
    SetPermissionRequestProto req = SET_PERMISSION_REQUEST_PROTO__INIT;
    FsPermissionProto perm = FS_PERMISSION_PROTO__INIT;

    perm.perm = mode;
    req.src = fs_bin(path);
    req.permission = &perm;
    return simple(fs, ROW_set_permission, &req.base, NULL, NULL, why);
}

enum rc
fs_set_owner(struct fs *fs, const char *path, const char *owner, const char *group, struct why *why)
{
    SetOwnerRequestProto req = SET_OWNER_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    if (owner != NULL) {
        req.has_username = true;
        req.username = fs_bin(owner);
    }
    if (group != NULL) {
        req.has_groupname = true;
        req.groupname = fs_bin(group);
    }
    return simple(fs, ROW_set_owner, &req.base, NULL, NULL, why);
}

enum rc
fs_set_times(struct fs *fs, const char *path, int64_t mtime_ms, int64_t atime_ms, struct why *why)
{
    SetTimesRequestProto req = SET_TIMES_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    req.mtime = (uint64_t)mtime_ms;
    req.atime = (uint64_t)atime_ms;
    return simple(fs, ROW_set_times, &req.base, NULL, NULL, why);
}

enum rc
fs_set_replication(struct fs *fs, const char *path, uint32_t replication, bool *ret_done, struct why *why)
{
    SetReplicationRequestProto req = SET_REPLICATION_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    req.replication = replication;
    return simple(fs, ROW_set_replication, &req.base, set_replication_result, ret_done, why);
}

enum rc
fs_truncate(struct fs *fs, const char *path, uint64_t bytes, bool *ret_done, struct why *why)
{
    TruncateRequestProto req = TRUNCATE_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    req.newlength = bytes;
    req.clientname = fs_bin(fs->client_name);
    return simple(fs, ROW_truncate, &req.base, truncate_result, ret_done, why);
}

enum rc
fs_is_closed(struct fs *fs, const char *path, bool *ret_closed, struct why *why)
{
    IsFileClosedRequestProto req = IS_FILE_CLOSED_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    return simple(fs, ROW_is_file_closed, &req.base, is_closed_result, ret_closed, why);
}

enum rc
fs_recover_lease(struct fs *fs, const char *path, bool *ret_closed, struct why *why)
{
    RecoverLeaseRequestProto req = RECOVER_LEASE_REQUEST_PROTO__INIT;

    req.src = fs_bin(path);
    req.clientname = fs_bin(fs->client_name);
    return simple(fs, ROW_recover_lease, &req.base, recover_result, ret_closed, why);
}

enum rc
fs_access(struct fs *fs, const char *path, unsigned access, struct why *why)
{
    CheckAccessRequestProto req = CHECK_ACCESS_REQUEST_PROTO__INIT;

    req.path = fs_bin(path);
    req.mode = (AclEntryProto__FsActionProto)access;
    return simple(fs, ROW_check_access, &req.base, NULL, NULL, why);
}

enum rc
fs_safe_mode(struct fs *fs, enum fs_safe_mode what, bool *ret_on, struct why *why)
{
    SetSafeModeRequestProto req = SET_SAFE_MODE_REQUEST_PROTO__INIT;

    req.action = (SafeModeActionProto)what;
    return simple(fs, ROW_set_safe_mode, &req.base, safe_mode_result, ret_on, why);
}

enum rc
fs_blocks(struct fs *fs, const char *path, uint64_t offset, uint64_t bytes, struct arena *a, struct fs_block **ret,
          size_t *ret_n, uint64_t *ret_file_bytes, struct why *why)
{
    GetBlockLocationsRequestProto req = GET_BLOCK_LOCATIONS_REQUEST_PROTO__INIT;
    const LocatedBlocksProto *l;
    const void *reply = NULL;
    struct fs_block *out;
    struct arena tmp;
    enum rc rc;

    arena_init(&tmp, FS_REPLY_MAX);
    req.src = fs_bin(path);
    req.offset = offset;
    req.length = bytes > INT64_MAX ? INT64_MAX : bytes;
    if ((rc = fs_call(fs, ROW_get_block_locations, &req.base, &tmp, &reply, why)) != RC_OK)
        goto out;
    if ((l = ((const GetBlockLocationsResponseProto *)reply)->locations) == NULL) {
        rc = why_set(why, RC_NOT_FOUND, "File does not exist: %s", path);
        goto out;
    }
    if ((out = arena_calloc(a, l->n_blocks + 2, sizeof *out)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    size_t n = 0;
    for (; n < l->n_blocks; n++)
        if ((rc = fs_take_block(l->blocks[n], a, &out[n], why)) != RC_OK)
            goto out;
    if (l->lastblock != NULL && !l->islastblockcomplete && l->lastblock->offset <= offset + req.length) {
        /* The tail that is being written; it may or may not be among the blocks. */
        if (n == 0 || out[n - 1].id != l->lastblock->b->blockid) {
            if ((rc = fs_take_block(l->lastblock, a, &out[n], why)) != RC_OK)
                goto out;
            n++;
        }
        out[n - 1].open = true;
    }
    *ret = out;
    *ret_n = n;
    *ret_file_bytes = l->filelength;
out:
    arena_fini(&tmp);
    return rc;
}

enum rc
fs_summary(struct fs *fs, const char *path, struct fs_summary *ret, struct why *why)
{
    GetContentSummaryRequestProto req = GET_CONTENT_SUMMARY_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, REPLY_MAX);
    req.path = fs_bin(path);
    if ((rc = fs_call(fs, ROW_get_content_summary, &req.base, &a, &reply, why)) == RC_OK) {
        const ContentSummaryProto *s = ((const GetContentSummaryResponseProto *)reply)->summary;
        *ret = (struct fs_summary){ .bytes = s->length, .files = s->filecount, .dirs = s->directorycount,
                                    .space = s->spaceconsumed, .quota = (int64_t)s->quota,
                                    .space_quota = (int64_t)s->spacequota };
    }
    arena_fini(&a);
    return rc;
}

enum rc
fs_usage(struct fs *fs, struct fs_usage *ret, struct why *why)
{
    GetFsStatusRequestProto req = GET_FS_STATUS_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, REPLY_MAX);
    if ((rc = fs_call(fs, ROW_get_fs_stats, &req.base, &a, &reply, why)) == RC_OK) {
        const GetFsStatsResponseProto *s = reply;
        *ret = (struct fs_usage){ .capacity = s->capacity, .used = s->used, .remaining = s->remaining,
                                  .under_replicated = s->under_replicated, .corrupt = s->corrupt_blocks,
                                  .missing = s->missing_blocks, .missing_single = s->missing_repl_one_blocks,
                                  .pending_deletion = s->pending_deletion_blocks };
    }
    arena_fini(&a);
    return rc;
}

enum rc
fs_defaults(struct fs *fs, struct fs_defaults *ret, struct why *why)
{
    GetServerDefaultsRequestProto req = GET_SERVER_DEFAULTS_REQUEST_PROTO__INIT;
    const void *reply = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, REPLY_MAX);
    if ((rc = fs_call(fs, ROW_get_server_defaults, &req.base, &a, &reply, why)) == RC_OK) {
        const FsServerDefaultsProto *d = ((const GetServerDefaultsResponseProto *)reply)->serverdefaults;
        *ret = (struct fs_defaults){ .block_bytes = d->blocksize, .trash_interval_min = d->trashinterval,
                                     .replication = d->replication, .bytes_per_checksum = d->bytesperchecksum,
                                     .packet_bytes = d->writepacketsize };
    }
    arena_fini(&a);
    return rc;
}

enum rc
fs_nodes(struct fs *fs, enum fs_nodes which, struct arena *a, struct fs_node **ret, size_t *ret_n, struct why *why)
{
    GetDatanodeReportRequestProto req = GET_DATANODE_REPORT_REQUEST_PROTO__INIT;
    const GetDatanodeReportResponseProto *r;
    const void *reply = NULL;
    struct fs_node *out;
    struct arena tmp;
    enum rc rc;

    arena_init(&tmp, FS_REPLY_MAX);
    req.type = (DatanodeReportTypeProto)which;
    if ((rc = fs_call(fs, ROW_get_datanode_report, &req.base, &tmp, &reply, why)) != RC_OK)
        goto out;
    r = reply;
    if ((out = arena_calloc(a, r->n_di + 1, sizeof *out)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    for (size_t i = 0; i < r->n_di; i++) {
        const DatanodeInfoProto *d = r->di[i];
        out[i] = (struct fs_node){
            .capacity = d->capacity, .used = d->dfsused, .remaining = d->remaining, .pool_used = d->blockpoolused,
            .non_dfs_used = d->nondfsused, .cache_capacity = d->cachecapacity, .cache_used = d->cacheused,
            .last_contact_wall_ms = d->lastupdate, .last_report_wall_ms = d->lastblockreporttime,
            .transfers = d->xceivercount, .blocks = d->numblocks, .admin_state = (uint32_t)d->adminstate,
        };
        if (!d->has_nondfsused && d->capacity > d->dfsused + d->remaining)
            out[i].non_dfs_used = d->capacity - d->dfsused - d->remaining;
        if ((rc = fs_take_location(d, a, &out[i].at, why)) != RC_OK)
            goto out;
    }
    *ret = out;
    *ret_n = r->n_di;
out:
    arena_fini(&tmp);
    return rc;
}
