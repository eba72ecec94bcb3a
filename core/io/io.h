/*
 * io -- files and directories.
 *
 * struct io is the table through which every file is reached: io_posix is the
 * kernel's, the simulator's disk is another.  Descriptors are ints of that
 * table (the kernel's own in io_posix, so that they can be passed to a worker).
 * Every call blocks; every call may be a switch point of the simulator.
 *
 * Paths are absolute.  Failures: RC_SYS_NOT_FOUND only for a verified ENOENT,
 * RC_SYS_EXISTS, RC_NO_SPACE (also quota), RC_IO, RC_NO_DESCRIPTORS, RC_NOMEM,
 * RC_SYS_DENIED, RC_SYS_NOT_EMPTY, RC_SYS_NOT_DIR; why names path and reason.
 * After RC_IO from a write or a sync the data on disk is unknown: never sync
 * again, fence the volume (rule 3 of docs/RELIABILITY.md).
 */
#ifndef CORE_IO_IO_H
#define CORE_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

enum io_flags {
    IO_READ = 1,
    IO_WRITE = 2,
    IO_CREATE = 4,      /* create if missing, mode 0644 unless IO_PRIVATE */
    IO_EXCL = 8,        /* with IO_CREATE: RC_SYS_EXISTS if it is there */
    IO_TRUNC = 16,
    IO_PRIVATE = 32,    /* with IO_CREATE: mode 0600 */
    IO_NOFOLLOW = 64,
};

struct io_stat {
    uint64_t size;      /* bytes */
    uint64_t mtime_ms;  /* wall */
    uint64_t inode;
    uint32_t mode;      /* permission bits */
    uint32_t uid, gid;
    bool is_dir, is_file;
};

struct io_space {
    uint64_t capacity, free, available;     /* bytes of the filesystem; available: for us */
};

struct io;

struct io_ops {
    enum rc (*open)(struct io *io, const char *path, unsigned flags, int *ret_fd, struct why *why);
    void (*close)(struct io *io, int fd);
    enum rc (*dup)(struct io *io, int fd, int *ret_fd, struct why *why);        /* another descriptor of the same open file */
    /* Reads up to n bytes; fewer only at the end of the file. */
    enum rc (*pread)(struct io *io, int fd, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why);
    /* Writes all n bytes or fails. */
    enum rc (*pwrite)(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why);
    enum rc (*truncate)(struct io *io, int fd, uint64_t size, struct why *why);
    enum rc (*allocate)(struct io *io, int fd, uint64_t size, struct why *why);    /* blocks for [0, size); size kept */
    enum rc (*sync)(struct io *io, int fd, struct why *why);       /* fdatasync: contents and length */
    enum rc (*sync_dir)(struct io *io, const char *path, struct why *why);  /* names in this directory */
    enum rc (*fstat)(struct io *io, int fd, struct io_stat *ret, struct why *why);
    enum rc (*stat)(struct io *io, const char *path, struct io_stat *ret, struct why *why);
    enum rc (*rename)(struct io *io, const char *from, const char *to, struct why *why);  /* replaces */
    enum rc (*link)(struct io *io, const char *from, const char *to, struct why *why);
    enum rc (*unlink)(struct io *io, const char *path, struct why *why);
    enum rc (*mkdir)(struct io *io, const char *path, uint32_t mode, struct why *why);    /* one level */
    enum rc (*rmdir)(struct io *io, const char *path, struct why *why);
    /* Calls on_name for each entry but "." and ".." in byte order of the names; stops when it returns false. */
    enum rc (*list)(struct io *io, const char *path, bool (*on_name)(void *arg, const char *name), void *arg,
                    struct why *why);
    enum rc (*space)(struct io *io, const char *path, struct io_space *ret, struct why *why);
    /* Exclusive advisory lock on the whole file until close; RC_BUSY when another process has it. */
    enum rc (*lock)(struct io *io, int fd, struct why *why);
    /* Begin to write these bytes to the disk, without waiting: a later sync has less to wait for.  A hint; says nothing. */
    void (*write_behind)(struct io *io, int fd, uint64_t at, uint64_t n);
    /* Forget cached pages, so that the next read sees the disk. */
    void (*drop_cache)(struct io *io, int fd);
};

struct io {
    const struct io_ops *ops;
};

/* The kernel's.  One for the whole process; stateless, any thread. */
struct io *io_posix(void);

static inline enum rc io_open(struct io *io, const char *path, unsigned flags, int *ret_fd, struct why *why)
{
    return io->ops->open(io, path, flags, ret_fd, why);
}
static inline void io_close(struct io *io, int fd) { io->ops->close(io, fd); }
static inline enum rc io_dup(struct io *io, int fd, int *ret_fd, struct why *why) { return io->ops->dup(io, fd, ret_fd, why); }
static inline enum rc io_pread(struct io *io, int fd, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why)
{
    return io->ops->pread(io, fd, p, n, at, ret_n, why);
}
static inline enum rc io_pwrite(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    return io->ops->pwrite(io, fd, p, n, at, why);
}
static inline enum rc io_truncate(struct io *io, int fd, uint64_t size, struct why *why)
{
    return io->ops->truncate(io, fd, size, why);
}
static inline enum rc io_allocate(struct io *io, int fd, uint64_t size, struct why *why)
{
    return io->ops->allocate(io, fd, size, why);
}
static inline enum rc io_sync(struct io *io, int fd, struct why *why) { return io->ops->sync(io, fd, why); }
static inline enum rc io_sync_dir(struct io *io, const char *path, struct why *why)
{
    return io->ops->sync_dir(io, path, why);
}
static inline enum rc io_fstat(struct io *io, int fd, struct io_stat *ret, struct why *why)
{
    return io->ops->fstat(io, fd, ret, why);
}
static inline enum rc io_stat(struct io *io, const char *path, struct io_stat *ret, struct why *why)
{
    return io->ops->stat(io, path, ret, why);
}
static inline enum rc io_rename(struct io *io, const char *from, const char *to, struct why *why)
{
    return io->ops->rename(io, from, to, why);
}
static inline enum rc io_link(struct io *io, const char *from, const char *to, struct why *why)
{
    return io->ops->link(io, from, to, why);
}
static inline enum rc io_unlink(struct io *io, const char *path, struct why *why)
{
    return io->ops->unlink(io, path, why);
}
static inline enum rc io_mkdir(struct io *io, const char *path, uint32_t mode, struct why *why)
{
    return io->ops->mkdir(io, path, mode, why);
}
static inline enum rc io_rmdir(struct io *io, const char *path, struct why *why)
{
    return io->ops->rmdir(io, path, why);
}
static inline enum rc io_list(struct io *io, const char *path, bool (*on_name)(void *arg, const char *name), void *arg,
                              struct why *why)
{
    return io->ops->list(io, path, on_name, arg, why);
}
static inline enum rc io_space(struct io *io, const char *path, struct io_space *ret, struct why *why)
{
    return io->ops->space(io, path, ret, why);
}
static inline enum rc io_lock(struct io *io, int fd, struct why *why) { return io->ops->lock(io, fd, why); }
static inline void io_write_behind(struct io *io, int fd, uint64_t at, uint64_t n) { io->ops->write_behind(io, fd, at, n); }
static inline void io_drop_cache(struct io *io, int fd) { io->ops->drop_cache(io, fd); }

/* Built from the calls above (core/io/path.c). */

/* Make path and its missing parents, syncing each parent that gained a name. */
enum rc io_mkdirs(struct io *io, const char *path, uint32_t mode, struct why *why) MUST_CHECK;
/* Delete the tree at path, if it is there. */
enum rc io_remove_tree(struct io *io, const char *path, struct why *why) MUST_CHECK;
/* The whole file, at most limit bytes; caller frees *ret (mem_free); a NUL follows the last byte. */
enum rc io_read_file(struct io *io, const char *path, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why) MUST_CHECK;
/* Durable replacement: write path.tmp, sync it, rename it over path, sync the directory. */
enum rc io_write_file(struct io *io, const char *path, const void *p, size_t n, struct why *why) MUST_CHECK;

#endif
