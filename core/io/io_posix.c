#include "core/io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/mem.h"

static enum rc
px_open(struct io *io, const char *path, unsigned flags, int *ret_fd, struct why *why)
{
    int how = O_CLOEXEC, fd;

    (void)io;
    how |= (flags & IO_WRITE) ? (flags & IO_READ) ? O_RDWR : O_WRONLY : O_RDONLY;
    how |= (flags & IO_CREATE) ? O_CREAT : 0;
    how |= (flags & IO_EXCL) ? O_EXCL : 0;
    how |= (flags & IO_TRUNC) ? O_TRUNC : 0;
    how |= (flags & IO_NOFOLLOW) ? O_NOFOLLOW : 0;
    do {
        fd = open(path, how, (flags & IO_PRIVATE) ? 0600 : 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return why_errno(why, errno, "open %s", path);
    *ret_fd = fd;
    return RC_OK;
}

static void
px_close(struct io *io, int fd)
{
    (void)io;
    (void)close(fd);    /* the descriptor is gone whatever it says; what must last was synced before */
}

static enum rc
px_dup(struct io *io, int fd, int *ret_fd, struct why *why)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    (void)io;
    if (copy < 0)
        return errno == EMFILE ? why_set(why, RC_NO_DESCRIPTORS, "too many open files") : why_errno(why, errno, "dup");
    *ret_fd = copy;
    return RC_OK;
}

static enum rc
px_pread(struct io *io, int fd, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why)
{
    uint8_t *to = p;
    size_t done = 0;

    (void)io;
    while (done < n) {
        ssize_t got = pread(fd, to + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return why_errno(why, errno, "read of descriptor %d at %llu", fd, (unsigned long long)(at + done));
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_n = done;
    return RC_OK;
}

static enum rc
px_pwrite(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    const uint8_t *from = p;
    size_t done = 0;

    (void)io;
    while (done < n) {
        ssize_t put = pwrite(fd, from + done, n - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return why_errno(why, errno, "write to descriptor %d at %llu", fd, (unsigned long long)(at + done));
        done += (size_t)put;
    }
    return RC_OK;
}

static enum rc
px_truncate(struct io *io, int fd, uint64_t size, struct why *why)
{
    int r;

    (void)io;
    do {
        r = ftruncate(fd, (off_t)size);
    } while (r < 0 && errno == EINTR);
    return r == 0 ? RC_OK : why_errno(why, errno, "truncate descriptor %d to %llu", fd, (unsigned long long)size);
}

static enum rc
px_allocate(struct io *io, int fd, uint64_t size, struct why *why)
{
    int r;

    (void)io;
    if (size == 0)
        return RC_OK;
    do {
        r = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
    } while (r < 0 && errno == EINTR);
    if (r == 0 || errno == EOPNOTSUPP)  /* a filesystem without it: a write may then meet a full disk */
        return RC_OK;
    return why_errno(why, errno, "allocate %llu bytes for descriptor %d", (unsigned long long)size, fd);
}

static enum rc
px_sync(struct io *io, int fd, struct why *why)
{
    (void)io;
    /* Never repeated, not even after EINTR: a second sync may report what the first lost as written. */
    return fdatasync(fd) == 0 ? RC_OK : why_errno(why, errno, "sync of descriptor %d", fd);
}

static enum rc
px_sync_dir(struct io *io, const char *path, struct why *why)
{
    enum rc rc = RC_OK;
    int fd;

    (void)io;
    do {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return why_errno(why, errno, "open directory %s", path);
    if (fsync(fd) != 0)
        rc = why_errno(why, errno, "sync of directory %s", path);
    (void)close(fd);    /* only read from */
    return rc;
}

static void
stat_fill(const struct stat *st, struct io_stat *ret)
{
    ret->size = (uint64_t)st->st_size;
    ret->mtime_ms = (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;
    ret->inode = st->st_ino;
    ret->mode = st->st_mode & 07777;
    ret->uid = st->st_uid;
    ret->gid = st->st_gid;
    ret->is_dir = S_ISDIR(st->st_mode);
    ret->is_file = S_ISREG(st->st_mode);
}

static enum rc
px_fstat(struct io *io, int fd, struct io_stat *ret, struct why *why)
{
    struct stat st;

    (void)io;
    if (fstat(fd, &st) != 0)
        return why_errno(why, errno, "stat of descriptor %d", fd);
    stat_fill(&st, ret);
    return RC_OK;
}

static enum rc
px_stat(struct io *io, const char *path, struct io_stat *ret, struct why *why)
{
    struct stat st;

    (void)io;
    if (stat(path, &st) != 0)
        return why_errno(why, errno, "stat %s", path);
    stat_fill(&st, ret);
    return RC_OK;
}

static enum rc
px_rename(struct io *io, const char *from, const char *to, struct why *why)
{
    (void)io;
    return rename(from, to) == 0 ? RC_OK : why_errno(why, errno, "rename %s to %s", from, to);
}

static enum rc
px_link(struct io *io, const char *from, const char *to, struct why *why)
{
    (void)io;
    return link(from, to) == 0 ? RC_OK : why_errno(why, errno, "link %s to %s", to, from);
}

static enum rc
px_unlink(struct io *io, const char *path, struct why *why)
{
    (void)io;
    return unlink(path) == 0 ? RC_OK : why_errno(why, errno, "delete %s", path);
}

static enum rc
px_mkdir(struct io *io, const char *path, uint32_t mode, struct why *why)
{
    (void)io;
    return mkdir(path, (mode_t)mode) == 0 ? RC_OK : why_errno(why, errno, "make directory %s", path);
}

static enum rc
px_rmdir(struct io *io, const char *path, struct why *why)
{
    (void)io;
    return rmdir(path) == 0 ? RC_OK : why_errno(why, errno, "remove directory %s", path);
}

struct names {
    char **at;
    size_t n, cap;
};

static void
names_fini(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        mem_free(names->at[i]);
    mem_free(names->at);
}

static enum rc
names_add(struct names *names, const char *name, struct why *why)
{
    if (!mem_room(&names->at, names->n, &names->cap, sizeof *names->at) ||
        (names->at[names->n] = mem_strdup(name)) == NULL)
        return why_rc(why, RC_NOMEM);
    names->n++;
    return RC_OK;
}

static int
names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum rc
names_read(struct names *names, DIR *dir, const char *path, struct why *why)
{
    struct dirent *entry;
    enum rc rc;

    for (;;) {
        errno = 0;
        if ((entry = readdir(dir)) == NULL)
            return errno == 0 ? RC_OK : why_errno(why, errno, "list %s", path);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((rc = names_add(names, entry->d_name, why)) != RC_OK)
            return rc;
    }
}

static enum rc
px_list(struct io *io, const char *path, bool (*on_name)(void *arg, const char *name), void *arg,
        struct why *why)
{
    struct names names = { 0 };
    DIR *dir = opendir(path);
    enum rc rc;

    (void)io;
    if (dir == NULL)
        return why_errno(why, errno, "list %s", path);
    if ((rc = names_read(&names, dir, path, why)) != RC_OK)
        goto out;
    if (names.n > 0)
        qsort(names.at, names.n, sizeof *names.at, names_compare);
    for (size_t i = 0; i < names.n; i++)
        if (!on_name(arg, names.at[i]))
            break;
out:
    (void)closedir(dir);    /* only read from */
    names_fini(&names);
    return rc;
}

static enum rc
px_space(struct io *io, const char *path, struct io_space *ret, struct why *why)
{
    struct statvfs vfs;

    (void)io;
    if (statvfs(path, &vfs) != 0)
        return why_errno(why, errno, "space of %s", path);
    ret->capacity = (uint64_t)vfs.f_blocks * vfs.f_frsize;
    ret->free = (uint64_t)vfs.f_bfree * vfs.f_frsize;
    ret->available = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return RC_OK;
}

static enum rc
px_lock(struct io *io, int fd, struct why *why)
{
    int r;

    (void)io;
    do {
        r = flock(fd, LOCK_EX | LOCK_NB);
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        return RC_OK;
    if (errno == EWOULDBLOCK)
        return why_set(why, RC_BUSY, "another process has the lock");
    return why_errno(why, errno, "lock of descriptor %d", fd);
}

static void
px_write_behind(struct io *io, int fd, uint64_t at, uint64_t n)
{
    (void)io;
    (void)sync_file_range(fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);     /* what fails here, the next sync says */
}

static void
px_drop_cache(struct io *io, int fd)
{
    (void)io;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);     /* advice: nothing to do when it is not taken */
}

static const struct io_ops px_ops = {
    .open = px_open, .close = px_close, .dup = px_dup, .pread = px_pread, .pwrite = px_pwrite, .truncate = px_truncate,
    .allocate = px_allocate, .sync = px_sync, .sync_dir = px_sync_dir, .fstat = px_fstat, .stat = px_stat,
    .rename = px_rename, .link = px_link, .unlink = px_unlink, .mkdir = px_mkdir, .rmdir = px_rmdir,
    .list = px_list, .space = px_space, .lock = px_lock,
    .write_behind = px_write_behind, .drop_cache = px_drop_cache,
};

static const struct io px_io = { &px_ops };

struct io *
io_posix(void)
{
    return (struct io *)&px_io;     /* never written to */
}
