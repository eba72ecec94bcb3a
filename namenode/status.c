#include "namenode/status.h"


#include "core/rpc/server.h"

enum rc
nn_status(struct nn_db *db, struct arena *arena, const struct nn_inode *inode, struct span path,
          HdfsFileStatusProto **ret, struct why *why)
{
    HdfsFileStatusProto *s = arena_alloc(arena, sizeof *s);
    FsPermissionProto *perm = arena_alloc(arena, sizeof *perm);
    char *name = arena_strndup(arena, path.n == 0 ? (const void *)"" : path.p, path.n);
    const char *owner, *group;
    enum rc rc;

    if (s == NULL || perm == NULL || name == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = nn_name_text(db, inode->owner, &owner, why)) != RC_OK ||
        (rc = nn_name_text(db, inode->group, &group, why)) != RC_OK)
        return rc;
    hdfs_file_status_proto__init(s);
    fs_permission_proto__init(perm);
    perm->perm = inode->perm;
    s->filetype = inode->type == NN_DIR ? HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_DIR
                                        : HDFS_FILE_STATUS_PROTO__FILE_TYPE__IS_FILE;
    s->path = (ProtobufCBinaryData){ .len = path.n, .data = (uint8_t *)name };
    s->length = inode->length;
    s->permission = perm;
    s->owner = rpc_text(arena, owner);
    s->group = rpc_text(arena, group);
    s->modification_time = inode->mtime;
    s->access_time = inode->atime;
    s->has_block_replication = s->has_blocksize = s->has_fileid = s->has_childrennum = true;
    s->has_storagepolicy = s->has_flags = true;
    s->block_replication = inode->replication;
    s->blocksize = inode->block_size;
    s->fileid = inode->id;
    s->childrennum = inode->type == NN_DIR ? (int32_t)inode->children : 0;
    s->storagepolicy = inode->policy;
    *ret = s;
    return RC_OK;
}
