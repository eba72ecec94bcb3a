/*
 * do_cluster -- questions about the cluster: DataNodes, space, blocks that miss replicas, open files.
 */
#include <stdlib.h>
#include <string.h>

#include "namenode/block.h"
#include "namenode/dispatch.h"
#include "namenode/located.h"
#include "namenode/nodes_view.h"
#include "namenode/reader.h"
#include "namenode/resolve.h"
#include "namenode/snapshot.h"

#define SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))

enum rc nn_do_get_fs_stats(struct nn_reader *r, struct rpc_call *call, const GetFsStatusRequestProto *req,
                           GetFsStatsResponseProto *ret, struct why *why)
{
    const struct nn_nodes_view *v = r->snap->nodes;

    (void)call, (void)req, (void)why;
    for (size_t i = 0; i < v->node_count; i++) {
        if (!nn_view_node_is_live(&v->nodes[i]))
            continue;
        ret->capacity += v->nodes[i].space.capacity;
        ret->used += v->nodes[i].space.dfs_used;
        ret->remaining += v->nodes[i].space.remaining;
    }
    ret->under_replicated = v->counts.low;
    ret->corrupt_blocks = v->counts.corrupt;
    ret->missing_blocks = v->counts.missing;
    SET(ret, missing_repl_one_blocks, v->counts.missing_one);
    SET(ret, blocks_in_future, 0);
    SET(ret, pending_deletion_blocks, v->counts.deleting);
    return RC_OK;
}

enum rc nn_do_get_fs_replicated_block_stats(struct nn_reader *r, struct rpc_call *call,
                                            const GetFsReplicatedBlockStatsRequestProto *req,
                                            GetFsReplicatedBlockStatsResponseProto *ret, struct why *why)
{
    const struct nn_nodes_view *v = r->snap->nodes;

    (void)call, (void)req, (void)why;
    ret->low_redundancy = v->counts.low;
    ret->corrupt_blocks = v->counts.corrupt;
    ret->missing_blocks = v->counts.missing;
    ret->missing_repl_one_blocks = v->counts.missing_one;
    ret->pending_deletion_blocks = v->counts.deleting;
    SET(ret, highest_prio_low_redundancy_blocks, v->counts.urgent);
    return RC_OK;
}

enum rc nn_do_get_fs_ec_block_group_stats(struct nn_reader *r, struct rpc_call *call, const GetFsECBlockGroupStatsRequestProto *req,
                                         GetFsECBlockGroupStatsResponseProto *ret, struct why *why)
{
    (void)r, (void)call, (void)req, (void)why;
    SET(ret, highest_prio_low_redundancy_blocks, 0);    /* there are no erasure-coded blocks */
    return RC_OK;
}

/* ---- DataNodes ---- */

static bool is_of_type(const struct nn_view_node *n, DatanodeReportTypeProto type)
{
    switch (type) {
    case DATANODE_REPORT_TYPE_PROTO__ALL: return true;
    case DATANODE_REPORT_TYPE_PROTO__LIVE: return nn_view_node_is_live(n);
    case DATANODE_REPORT_TYPE_PROTO__DEAD: return !nn_view_node_is_live(n);
    case DATANODE_REPORT_TYPE_PROTO__DECOMMISSIONING: return nn_view_node_is_live(n) && n->admin == NN_DECOMMISSIONING;
    case DATANODE_REPORT_TYPE_PROTO__ENTERING_MAINTENANCE:
    case DATANODE_REPORT_TYPE_PROTO__IN_MAINTENANCE:
    case _DATANODE_REPORT_TYPE_PROTO_IS_INT_SIZE: break;
    }
    return false;
}

enum rc nn_do_get_datanode_report(struct nn_reader *r, struct rpc_call *call, const GetDatanodeReportRequestProto *req,
                                  GetDatanodeReportResponseProto *ret, struct why *why)
{
    const struct nn_nodes_view *v = r->snap->nodes;

    if ((ret->di = arena_calloc(&call->arena, v->node_count + 1, sizeof(DatanodeInfoProto *))) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < v->node_count; i++) {
        if (!is_of_type(&v->nodes[i], req->type))
            continue;
        if ((ret->di[ret->n_di] = nn_located_node(&call->arena, &v->nodes[i])) == NULL)
            return why_rc(why, RC_NOMEM);
        ret->n_di++;
    }
    return RC_OK;
}

static StorageReportProto *storage_message(struct arena *a, const struct nn_view_storage *s)
{
    StorageReportProto *m = arena_alloc(a, sizeof *m);
    DatanodeStorageProto *d = arena_alloc(a, sizeof *d);

    if (m == NULL || d == NULL)
        return NULL;
    storage_report_proto__init(m);
    datanode_storage_proto__init(d);
    d->storageuuid = m->storageuuid = rpc_text(a, s->uuid);
    SET(d, state, DATANODE_STORAGE_PROTO__STORAGE_STATE__NORMAL);
    SET(d, storagetype, STORAGE_TYPE_PROTO__DISK);
    m->storage = d;
    SET(m, failed, s->failed);
    SET(m, capacity, s->capacity);
    SET(m, dfsused, s->dfs_used);
    SET(m, remaining, s->remaining);
    SET(m, blockpoolused, s->dfs_used);
    SET(m, nondfsused, s->capacity > s->dfs_used + s->remaining ? s->capacity - s->dfs_used - s->remaining : 0);
    m->has_mount = true;
    m->mount = rpc_text(a, "");
    return m;
}

static DatanodeStorageReportProto *report_message(struct arena *a, const struct nn_nodes_view *v, const struct nn_view_node *n)
{
    DatanodeStorageReportProto *m = arena_alloc(a, sizeof *m);
    size_t count = 0;

    for (size_t i = 0; i < v->storage_count; i++)
        count += v->storages[i].node == n;
    if (m == NULL)
        return NULL;
    datanode_storage_report_proto__init(m);
    if ((m->datanodeinfo = nn_located_node(a, n)) == NULL ||
        (m->storagereports = arena_calloc(a, count + 1, sizeof(StorageReportProto *))) == NULL)
        return NULL;
    for (size_t i = 0; i < v->storage_count; i++)
        if (v->storages[i].node == n) {
            if ((m->storagereports[m->n_storagereports] = storage_message(a, &v->storages[i])) == NULL)
                return NULL;
            m->n_storagereports++;
        }
    return m;
}

enum rc nn_do_get_datanode_storage_report(struct nn_reader *r, struct rpc_call *call,
                                          const GetDatanodeStorageReportRequestProto *req,
                                          GetDatanodeStorageReportResponseProto *ret, struct why *why)
{
    const struct nn_nodes_view *v = r->snap->nodes;

    if ((ret->datanodestoragereports = arena_calloc(&call->arena, v->node_count + 1, sizeof(DatanodeStorageReportProto *))) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < v->node_count; i++) {
        DatanodeStorageReportProto *m;

        if (!is_of_type(&v->nodes[i], req->type))
            continue;
        if ((m = report_message(&call->arena, v, &v->nodes[i])) == NULL)
            return why_rc(why, RC_NOMEM);
        ret->datanodestoragereports[ret->n_datanodestoragereports++] = m;
    }
    return RC_OK;
}

/* ---- corrupt and open files ---- */

/* Is path below dir, or dir itself? */
static bool is_below(struct span path, struct span dir)
{
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    if (dir.n == 1)
        return true;
    return path.n >= dir.n && memcmp(path.p, dir.p, dir.n) == 0 && (path.n == dir.n || path.p[dir.n] == '/');
}

#define CORRUPT_PER_REPLY 100

enum rc nn_do_list_corrupt_file_blocks(struct nn_reader *r, struct rpc_call *call, const ListCorruptFileBlocksRequestProto *req,
                                       ListCorruptFileBlocksResponseProto *ret, struct why *why)
{
    const struct nn_nodes_view *v = r->snap->nodes;
    CorruptFileBlocksProto *out = arena_alloc(&call->arena, sizeof *out);
    const char *cookie = arena_strndup(&call->arena, req->cookie.data, req->has_cookie ? req->cookie.len : 0);
    size_t at = cookie == NULL ? 0 : strtoul(cookie, NULL, 10);
    enum rc rc;

    if (out == NULL || cookie == NULL)
        return why_rc(why, RC_NOMEM);
    if (!nn_is_superuser(r->nn, call->user))
        return why_set(why, RC_DENIED, "Access denied for user %s. Superuser privilege is required for operation "
                       "listCorruptFileBlocks", call->user);
    corrupt_file_blocks_proto__init(out);
    if ((out->files = arena_calloc(&call->arena, CORRUPT_PER_REPLY, sizeof *out->files)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (; at < v->missing_count && out->n_files < CORRUPT_PER_REPLY; at++) {
        struct nn_block b;
        struct span path;
        bool found;

        if ((rc = nn_block_find(&r->db, v->missing[at], &b, &found, why)) != RC_OK ||
            (found && (rc = nn_inode_path(&r->db, &call->arena, b.inode, &path, &found, why)) != RC_OK))
            return rc;
        if (found && is_below(path, pb_span(req->path)))
            out->files[out->n_files++] = (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)path.p, .len = path.n };
    }
    out->cookie = rpc_text(&call->arena, arena_printf(&call->arena, "%zu", at));
    ret->corrupt = out;
    return RC_OK;
}

#define OPEN_PER_REPLY 1000

static ProtobufCBinaryData copied(struct arena *a, struct span s)
{
    char *p = arena_strndup(a, s.p, s.n);

    return (ProtobufCBinaryData){ .data = (uint8_t *)p, .len = p == NULL ? 0 : s.n };
}

/* Rows of leases after id `from`. */
static enum rc read_open(struct nn_reader *r, struct arena *a, uint64_t from, ListOpenFilesResponseProto *ret, struct why *why)
{
    sqlite3_stmt *st = nn_sql(&r->db, SQL_LEASE_FROM, why);
    enum rc rc;
    bool row;

    if (st == NULL)
        return why->rc;
    nn_bind_u64(st, 1, from);
    nn_bind_u64(st, 2, OPEN_PER_REPLY);
    while ((rc = nn_step(&r->db, st, &row, why)) == RC_OK && row) {
        OpenFilesBatchResponseProto *e = arena_alloc(a, sizeof *e);

        if (e == NULL) {
            nn_done(st);
            return why_rc(why, RC_NOMEM);
        }
        open_files_batch_response_proto__init(e);
        e->id = (int64_t)nn_column_u64(st, 0);
        e->clientname = copied(a, nn_column_span(st, 1));
        e->clientmachine = copied(a, nn_column_span(st, 2));
        ret->entries[ret->n_entries++] = e;
    }
    return rc;
}

enum rc nn_do_list_open_files(struct nn_reader *r, struct rpc_call *call, const ListOpenFilesRequestProto *req,
                              ListOpenFilesResponseProto *ret, struct why *why)
{
    struct span below = req->has_path ? pb_span(req->path) : span_of("/", 1);
    size_t kept = 0;
    enum rc rc;

    if (!nn_is_superuser(r->nn, call->user))
        return why_set(why, RC_DENIED, "Access denied for user %s. Superuser privilege is required for operation listOpenFiles",
                       call->user);
    if (below.n == 0 || below.p[0] != '/')
        return why_set(why, RC_ASSERTION, "Absolute path required, but got '%.*s'", (int)below.n, (const char *)below.p);
    if ((ret->entries = arena_calloc(&call->arena, OPEN_PER_REPLY, sizeof(OpenFilesBatchResponseProto *))) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = read_open(r, &call->arena, req->id < 0 ? 0 : (uint64_t)req->id, ret, why)) != RC_OK)
        return rc;
    ret->hasmore = ret->n_entries == OPEN_PER_REPLY;
    for (size_t i = 0; i < ret->n_entries; i++) {
        struct span path;
        bool found;

        if ((rc = nn_inode_path(&r->db, &call->arena, (uint64_t)ret->entries[i]->id, &path, &found, why)) != RC_OK)
            return rc;
        if (!found || !is_below(path, below))
            continue;
        ret->entries[i]->path = (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)path.p, .len = path.n };
        ret->entries[kept++] = ret->entries[i];
    }
    ret->n_entries = kept;
    ret->n_types = req->n_types;
    ret->types = req->types;
    return RC_OK;
}
