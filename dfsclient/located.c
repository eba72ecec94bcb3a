#include "dfsclient/located.h"

#include <stdio.h>
#include <string.h>

static char *
take_text(struct arena *a, ProtobufCBinaryData b)
{
    return arena_strndup(a, b.data, b.len);
}

enum rc
fs_take_location(const DatanodeInfoProto *d, struct arena *a, struct fs_location *ret, struct why *why)
{
    const DatanodeIDProto *id = d->id;
    struct fs_location l = { .data_port = (uint16_t)id->xferport, .ipc_port = (uint16_t)id->ipcport,
                             .http_port = (uint16_t)id->infoport, .storage_type = STORAGE_TYPE_PROTO__DISK };

    if (id->xferport > UINT16_MAX || id->ipcport > UINT16_MAX || id->infoport > UINT16_MAX)
        return why_set(why, RC_BAD_MESSAGE, "a DataNode's port is out of range");
    if ((l.host = take_text(a, id->ipaddr)) == NULL || (l.name = take_text(a, id->hostname)) == NULL ||
        (l.node_uuid = take_text(a, id->datanodeuuid)) == NULL || (l.storage_uuid = arena_strdup(a, "")) == NULL ||
        (l.rack = d->has_location ? take_text(a, d->location) : arena_strdup(a, "/default-rack")) == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = l;
    return RC_OK;
}

enum rc
fs_take_token(const TokenProto *t, struct arena *a, struct fs_token *ret, struct why *why)
{
    struct fs_token k = { .identifier_n = t->identifier.len, .password_n = t->password.len };

    if ((k.identifier = (uint8_t *)take_text(a, t->identifier)) == NULL ||
        (k.password = (uint8_t *)take_text(a, t->password)) == NULL || (k.kind = take_text(a, t->kind)) == NULL ||
        (k.service = take_text(a, t->service)) == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = k;
    return RC_OK;
}

enum rc
fs_take_block(const LocatedBlockProto *b, struct arena *a, struct fs_block *ret, struct why *why)
{
    struct fs_block out = { .id = b->b->blockid, .stamp = b->b->generationstamp, .offset = b->offset,
                            .bytes = b->b->numbytes, .corrupt = b->corrupt, .location_count = b->n_locs };
    enum rc rc;

    if ((out.pool = take_text(a, b->b->poolid)) == NULL ||
        (out.locations = arena_calloc(a, b->n_locs + 1, sizeof *out.locations)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_take_token(b->blocktoken, a, &out.token, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < b->n_locs; i++) {
        if ((rc = fs_take_location(b->locs[i], a, &out.locations[i], why)) != RC_OK)
            return rc;
        if (i < b->n_storageids &&
            (out.locations[i].storage_uuid = take_text(a, b->storageids[i])) == NULL)
            return why_rc(why, RC_NOMEM);
        if (i < b->n_storagetypes)
            out.locations[i].storage_type = (uint32_t)b->storagetypes[i];
    }
    *ret = out;
    return RC_OK;
}

enum rc
fs_take_status(const HdfsFileStatusProto *s, const char *path, const char *dir, struct arena *a, struct fs_status *ret,
               struct why *why)
{
    struct fs_status out = {
        .bytes = s->length,
        .block_bytes = s->blocksize,
        .mtime_ms = s->modification_time,
        .atime_ms = s->access_time,
        .inode = s->fileid,
        .replication = s->block_replication,
        .mode = s->permission->perm & 07777,
        .children = s->childrennum,
        .flags = s->flags,
        .is_dir = s->filetype == HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR,
    };

    if (dir == NULL || s->path.len == 0)
        out.path = arena_strdup(a, path);
    else
        out.path = arena_printf(a, "%s%s%.*s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", (int)s->path.len,
                                (const char *)s->path.data);
    if (out.path == NULL || (out.owner = take_text(a, s->owner)) == NULL || (out.group = take_text(a, s->group)) == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = out;
    return RC_OK;
}

enum rc
fs_copy_location(const struct fs_location *l, struct arena *a, struct fs_location *ret, struct why *why)
{
    struct fs_location out = *l;

    if ((out.host = arena_strdup(a, l->host)) == NULL || (out.name = arena_strdup(a, l->name)) == NULL ||
        (out.node_uuid = arena_strdup(a, l->node_uuid)) == NULL ||
        (out.storage_uuid = arena_strdup(a, l->storage_uuid)) == NULL || (out.rack = arena_strdup(a, l->rack)) == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = out;
    return RC_OK;
}

enum rc
fs_copy_block(const struct fs_block *b, struct arena *a, struct fs_block *ret, struct why *why)
{
    struct fs_block out = *b;
    enum rc rc;

    if ((out.pool = arena_strdup(a, b->pool)) == NULL ||
        (out.token.identifier = (uint8_t *)arena_strndup(a, b->token.identifier, b->token.identifier_n)) == NULL ||
        (out.token.password = (uint8_t *)arena_strndup(a, b->token.password, b->token.password_n)) == NULL ||
        (out.token.kind = arena_strdup(a, b->token.kind)) == NULL ||
        (out.token.service = arena_strdup(a, b->token.service)) == NULL ||
        (out.locations = arena_calloc(a, b->location_count + 1, sizeof *out.locations)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < b->location_count; i++)
        if ((rc = fs_copy_location(&b->locations[i], a, &out.locations[i], why)) != RC_OK)
            return rc;
    *ret = out;
    return RC_OK;
}

static ProtobufCBinaryData
put_text(const char *s)
{
    return (ProtobufCBinaryData){ .len = strlen(s), .data = (uint8_t *)(uintptr_t)s };
}

ExtendedBlockProto *
fs_put_block(struct arena *a, const struct fs_block *b, uint64_t bytes)
{
    ExtendedBlockProto *e = arena_alloc(a, sizeof *e);

    if (e == NULL)
        return NULL;
    extended_block_proto__init(e);
    e->poolid = put_text(b->pool);
    e->blockid = b->id;
    e->generationstamp = b->stamp;
    e->has_numbytes = true;
    e->numbytes = bytes;
    return e;
}

DatanodeIDProto *
fs_put_node_id(struct arena *a, const struct fs_location *l)
{
    DatanodeIDProto *id = arena_alloc(a, sizeof *id);

    if (id == NULL)
        return NULL;
    datanode_idproto__init(id);
    id->ipaddr = put_text(l->host);
    id->hostname = put_text(l->name);
    id->datanodeuuid = put_text(l->node_uuid);
    id->xferport = l->data_port;
    id->infoport = l->http_port;
    id->ipcport = l->ipc_port;
    return id;
}

DatanodeInfoProto *
fs_put_node(struct arena *a, const struct fs_location *l)
{
    DatanodeInfoProto *d = arena_alloc(a, sizeof *d);

    if (d == NULL)
        return NULL;
    datanode_info_proto__init(d);
    if ((d->id = fs_put_node_id(a, l)) == NULL)
        return NULL;
    d->has_location = true;
    d->location = put_text(l->rack);
    return d;
}

DatanodeInfoProto **
fs_put_nodes(struct arena *a, const struct fs_location *l, size_t n)
{
    DatanodeInfoProto **d;

    if (n == 0 || (d = arena_calloc(a, n, sizeof(DatanodeInfoProto *))) == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if ((d[i] = fs_put_node(a, &l[i])) == NULL)
            return NULL;
    return d;
}

BaseHeaderProto *
fs_put_base_header(struct arena *a, const struct fs_block *b, uint64_t bytes)
{
    BaseHeaderProto *h = arena_alloc(a, sizeof *h);
    TokenProto *t = arena_alloc(a, sizeof *t);

    if (h == NULL || t == NULL)
        return NULL;
    token_proto__init(t);
    t->identifier = (ProtobufCBinaryData){ .len = b->token.identifier_n, .data = b->token.identifier };
    t->password = (ProtobufCBinaryData){ .len = b->token.password_n, .data = b->token.password };
    t->kind = put_text(b->token.kind);
    t->service = put_text(b->token.service);
    base_header_proto__init(h);
    h->token = t;
    return (h->block = fs_put_block(a, b, bytes)) == NULL ? NULL : h;
}

ClientOperationHeaderProto *
fs_put_header(struct arena *a, const struct fs_block *b, uint64_t bytes, const char *client_name)
{
    ClientOperationHeaderProto *h = arena_alloc(a, sizeof *h);

    if (h == NULL)
        return NULL;
    client_operation_header_proto__init(h);
    h->clientname = put_text(client_name);
    return (h->baseheader = fs_put_base_header(a, b, bytes)) == NULL ? NULL : h;
}

const char *
fs_location_text(const struct fs_location *l, char out[300])
{
    snprintf(out, 300, strchr(l->host, ':') != NULL ? "[%.255s]:%u" : "%.255s:%u", l->host, l->data_port);
    return out;
}

bool
fs_same_node(const struct fs_location *a, const struct fs_location *b)
{
    return strcmp(a->node_uuid, b->node_uuid) == 0 && a->data_port == b->data_port;
}
