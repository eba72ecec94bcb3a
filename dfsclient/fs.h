/*
 * fs -- the HDFS client library: a filesystem as an open handle.
 *
 * Speaks ClientProtocol to the NameNode and DataTransferProtocol to DataNodes;
 * works against Millrace and against Hadoop.  Any thread may use a handle; a
 * stream belongs to one thread at a time.  Paths are absolute, "/a/b".  Failures
 * carry the server's sentence in why.  Names that came from the server are
 * copied into the caller's arena.
 */
#ifndef DFSCLIENT_FS_H
#define DFSCLIENT_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/rc.h"
#include "core/base/world.h"
#include "core/conf/conf.h"
#include "core/net/net.h"

struct fs;
struct fs_reader;
struct fs_writer;

/* Everything that getFileInfo says of a name. */
struct fs_status {
    char *path;                 /* full */
    char *owner, *group;
    uint64_t bytes;             /* 0 for a directory */
    uint64_t block_bytes;
    uint64_t mtime_ms, atime_ms;
    uint64_t inode;
    uint32_t replication;       /* 0 for a directory */
    uint32_t mode;              /* low 12 bits, sticky included */
    int32_t children;           /* -1 unknown */
    uint32_t flags;             /* HdfsFileStatusProto.Flags */
    bool is_dir;
};

struct fs_location {
    char *host;                 /* address to connect to, as the NameNode gives it */
    char *name;                 /* machine name for locality */
    char *node_uuid, *storage_uuid, *rack;
    uint32_t storage_type;      /* StorageTypeProto's number */
    uint16_t data_port, ipc_port, http_port;
};

/* What lets a client use a block where security is on; empty elsewhere. */
struct fs_token {
    uint8_t *identifier, *password;
    size_t identifier_n, password_n;
    char *kind, *service;
};

struct fs_block {
    uint64_t id, stamp;
    uint64_t offset, bytes;     /* in the file */
    struct fs_location *locations;
    size_t location_count;
    bool corrupt;
    bool open;                  /* still being written: bytes is what a new reader may see */
    char *pool;
    struct fs_token token;
};

/* conf's fs.defaultFS unless uri ("hdfs://host:port") is given.  user NULL: $HADOOP_USER_NAME, else the login name. */
enum rc fs_open(const struct world *w, const struct conf *conf, const char *uri, const char *user, struct fs **ret,
                struct why *why) MUST_CHECK;
void fs_close(struct fs *fs);   /* every stream must be closed */
const char *fs_user(const struct fs *fs);
const char *fs_uri(const struct fs *fs);        /* "hdfs://host:port" */

/* RC_NOT_FOUND when the path does not exist. */
enum rc fs_stat(struct fs *fs, const char *path, struct arena *a, struct fs_status *ret, struct why *why) MUST_CHECK;

/* Calls on_entry for each entry in name order, page by page; stops when it returns false.  A file lists itself. */
enum rc fs_list(struct fs *fs, const char *path, bool (*on_entry)(void *arg, const struct fs_status *st), void *arg,
                struct why *why) MUST_CHECK;

enum rc fs_mkdirs(struct fs *fs, const char *path, uint32_t mode, bool parents, struct why *why) MUST_CHECK;
enum rc fs_delete(struct fs *fs, const char *path, bool recursive, bool *ret_deleted, struct why *why) MUST_CHECK;
/* rename as FileSystem.rename (into a directory that exists), false when it did not happen. */
enum rc fs_rename(struct fs *fs, const char *from, const char *to, bool *ret_renamed, struct why *why) MUST_CHECK;
/* rename2: to is the new name; without overwrite RC_EXISTS when it is there. */
enum rc fs_rename_to(struct fs *fs, const char *from, const char *to, bool overwrite, struct why *why) MUST_CHECK;
enum rc fs_set_permission(struct fs *fs, const char *path, uint32_t mode, struct why *why) MUST_CHECK;
enum rc fs_set_owner(struct fs *fs, const char *path, const char *owner, const char *group, struct why *why) MUST_CHECK;
enum rc fs_set_times(struct fs *fs, const char *path, int64_t mtime_ms, int64_t atime_ms, struct why *why) MUST_CHECK;
enum rc fs_set_replication(struct fs *fs, const char *path, uint32_t replication, bool *ret_done, struct why *why) MUST_CHECK;

/* The blocks that overlap [offset, offset + bytes). */
enum rc fs_blocks(struct fs *fs, const char *path, uint64_t offset, uint64_t bytes, struct arena *a,
                  struct fs_block **ret, size_t *ret_n, uint64_t *ret_file_bytes, struct why *why) MUST_CHECK;

struct fs_summary {
    uint64_t bytes, files, dirs, space;     /* space: with replicas */
    int64_t quota, space_quota;             /* -1 none */
};
enum rc fs_summary(struct fs *fs, const char *path, struct fs_summary *ret, struct why *why) MUST_CHECK;

/* What the NameNode gives to new files and says of itself. */
struct fs_defaults {
    uint64_t block_bytes;
    uint64_t trash_interval_min;
    uint32_t replication, bytes_per_checksum, packet_bytes;
};
enum rc fs_defaults(struct fs *fs, struct fs_defaults *ret, struct why *why) MUST_CHECK;

struct fs_usage {
    uint64_t capacity, used, remaining;
    uint64_t under_replicated, corrupt, missing, missing_single, pending_deletion;     /* blocks */
};
enum rc fs_usage(struct fs *fs, struct fs_usage *ret, struct why *why) MUST_CHECK;

/* One DataNode as `dfs admin -report` shows it. */
struct fs_node {
    struct fs_location at;
    uint64_t capacity, used, remaining, non_dfs_used, pool_used, cache_capacity, cache_used;
    uint64_t last_contact_wall_ms, last_report_wall_ms;
    uint32_t transfers, blocks;
    uint32_t admin_state;       /* DatanodeInfoProto.AdminState */
};
enum fs_nodes { FS_NODES_ALL = 1, FS_NODES_LIVE, FS_NODES_DEAD, FS_NODES_DECOMMISSIONING, FS_NODES_ENTERING_MAINTENANCE,
                FS_NODES_IN_MAINTENANCE };
enum rc fs_nodes(struct fs *fs, enum fs_nodes which, struct arena *a, struct fs_node **ret, size_t *ret_n,
                 struct why *why) MUST_CHECK;

enum fs_safe_mode { FS_SAFE_MODE_LEAVE = 1, FS_SAFE_MODE_ENTER, FS_SAFE_MODE_GET, FS_SAFE_MODE_FORCE_EXIT };
enum rc fs_safe_mode(struct fs *fs, enum fs_safe_mode what, bool *ret_on, struct why *why) MUST_CHECK;

/* RC_OK when the caller may do all of access (4 read, 2 write, 1 execute), RC_DENIED when not. */
enum rc fs_access(struct fs *fs, const char *path, unsigned access, struct why *why) MUST_CHECK;

/* Write on behind what a closed file has; with new_block not into its last block, also when that is not full. */
enum rc fs_append(struct fs *fs, const char *path, bool new_block, struct fs_writer **ret, struct why *why) MUST_CHECK;
/* *ret_done false: the file is cut when its last block was recovered; poll fs_is_closed. */
enum rc fs_truncate(struct fs *fs, const char *path, uint64_t bytes, bool *ret_done, struct why *why) MUST_CHECK;
enum rc fs_is_closed(struct fs *fs, const char *path, bool *ret_closed, struct why *why) MUST_CHECK;
/* True when the file is closed; false: its recovery has begun. */
enum rc fs_recover_lease(struct fs *fs, const char *path, bool *ret_closed, struct why *why) MUST_CHECK;

/*
 * Reading.  Bytes are verified; a replica that fails is left for another and
 * reported; RC_CORRUPT or RC_IO only when none is left.
 */
enum rc fs_open_read(struct fs *fs, const char *path, struct fs_reader **ret, struct why *why) MUST_CHECK;
uint64_t fs_reader_size(const struct fs_reader *r);
/* Up to n bytes from `at`; fewer only at the end of the file (0 there).  Sequential calls stream. */
enum rc fs_pread(struct fs_reader *r, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why) MUST_CHECK;
void fs_close_read(struct fs_reader *r);

/*
 * A local block's files, by descriptor, so that a worker can scan them: data and
 * meta of the block that covers `at`.  RC_UNSUPPORTED or RC_NOT_FOUND when the block has
 * no replica on this machine or no Unix socket leads to it.  Caller closes both (io_close).
 */
struct fs_local_block {
    int data_fd, meta_fd;
    uint64_t offset, bytes;     /* of the block in the file */
};
enum rc fs_local_block(struct fs_reader *r, uint64_t at, struct fs_local_block *ret, struct why *why) MUST_CHECK;

/* What new files and directories lack of 0666 and 0777, or that conf has no number there. */
enum rc fs_umask(const struct conf *conf, uint32_t *ret, struct why *why) MUST_CHECK;

struct fs_create_options {
    uint32_t replication;       /* 0: conf's */
    uint64_t block_bytes;       /* 0: conf's */
    uint32_t mode;              /* 0: 0666 less the umask */
    bool overwrite;
    bool no_parents;            /* fail when the parent is missing */
};

/* Writing: a pipeline that survives DataNodes that die in it. */
enum rc fs_create(struct fs *fs, const char *path, const struct fs_create_options *o, struct fs_writer **ret,
                  struct why *why) MUST_CHECK;
enum rc fs_write(struct fs_writer *wr, const void *p, size_t n, struct why *why) MUST_CHECK;
enum rc fs_flush(struct fs_writer *wr, bool sync, struct why *why) MUST_CHECK;  /* hflush; sync: hsync */
/* Everything durable and the file closed, or an error.  The handle is gone in both cases. */
enum rc fs_close_write(struct fs_writer *wr, struct why *why) MUST_CHECK;
void fs_abandon_write(struct fs_writer *wr);    /* give up; the file stays open until its lease ends */

/* The file checksum as text, "MD5-of-0MD5-of-512CRC32C", and its hex digits as Hadoop prints them. */
enum rc fs_checksum(struct fs *fs, const char *path, struct arena *a, char **ret_algorithm, char **ret_hex,
                    struct why *why) MUST_CHECK;

#endif
