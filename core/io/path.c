#include "core/io/io.h"

#include <string.h>

#include "core/base/mem.h"

/* The directory that path's last name is in; caller frees. */
static char *
parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_strdup(".");
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static enum rc
sync_parent(struct io *io, const char *path, struct why *why)
{
    char *parent = parent_of(path);
    enum rc rc;

    if (parent == NULL)
        return why_rc(why, RC_NOMEM);
    rc = io_sync_dir(io, parent, why);
    mem_free(parent);
    return rc;
}

/* One level: path is a directory afterwards, and its name is durable. */
static enum rc
mkdir_if_missing(struct io *io, const char *path, uint32_t mode, struct why *why)
{
    struct io_stat st;
    enum rc rc;

    if ((rc = io_stat(io, path, &st, why)) == RC_OK)
        return st.is_dir ? RC_OK : why_set(why, RC_SYS_NOT_DIR, "%s is not a directory", path);
    if (rc != RC_SYS_NOT_FOUND)
        return rc;
    if ((rc = io_mkdir(io, path, mode, why)) != RC_OK && rc != RC_SYS_EXISTS)
        return rc;
    return sync_parent(io, path, why);
}

enum rc
io_mkdirs(struct io *io, const char *path, uint32_t mode, struct why *why)
{
    char *walk = mem_strdup(path);
    enum rc rc = RC_OK;
    char *slash, *end;

    if (walk == NULL)
        return why_rc(why, RC_NOMEM);
    for (end = walk + strlen(walk); end > walk + 1 && end[-1] == '/'; end--)
        end[-1] = '\0';
    for (slash = strchr(walk + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if ((rc = mkdir_if_missing(io, walk, mode, why)) != RC_OK)
            goto out;
        *slash = '/';
    }
    rc = mkdir_if_missing(io, walk, mode, why);
out:
    mem_free(walk);
    return rc;
}

struct removal {
    struct io *io;
    const char *path;
    struct why *why;
    enum rc rc;
};

static bool
remove_entry(void *arg, const char *name)
{
    struct removal *r = arg;
    char *path = mem_printf("%s/%s", r->path, name);

    r->rc = path != NULL ? io_remove_tree(r->io, path, r->why) : why_rc(r->why, RC_NOMEM);
    mem_free(path);
    return r->rc == RC_OK;
}

enum rc
io_remove_tree(struct io *io, const char *path, struct why *why)
{
    struct removal r = { .io = io, .path = path, .why = why };
    struct io_stat st;
    struct why not_looked;
    enum rc rc, rc_unlink;

    /* Deleting first: a link is deleted, never followed. */
    if ((rc_unlink = io_unlink(io, path, why)) == RC_OK || rc_unlink == RC_SYS_NOT_FOUND)
        return RC_OK;
    if ((rc = io_stat(io, path, &st, &not_looked)) == RC_SYS_NOT_FOUND)
        return RC_OK;
    if (rc != RC_OK)                /* "is a directory" would hide what went wrong */
        return why_set(why, rc, "%s", not_looked.text);
    if (!st.is_dir)
        return rc_unlink;
    if ((rc = io_list(io, path, remove_entry, &r, why)) != RC_OK || (rc = r.rc) != RC_OK)
        return rc;
    return io_rmdir(io, path, why);
}

enum rc
io_read_file(struct io *io, const char *path, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why)
{
    uint8_t *p = NULL;
    struct io_stat st;
    size_t got;
    enum rc rc;
    int fd;

    if ((rc = io_open(io, path, IO_READ, &fd, why)) != RC_OK)
        return rc;
    if ((rc = io_fstat(io, fd, &st, why)) != RC_OK)
        goto out;
    if (st.size > limit) {
        rc = why_set(why, RC_BAD_FORMAT, "%s is larger than %zu bytes", path, limit);
        goto out;
    }
    if ((p = mem_alloc((size_t)st.size + 1)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if ((rc = io_pread(io, fd, p, (size_t)st.size, 0, &got, why)) != RC_OK) {
        why_prefix(why, "%s", path);
        goto out;
    }
    p[got] = '\0';
    *ret = p;
    *ret_n = got;
    p = NULL;
out:
    mem_free(p);
    io_close(io, fd);
    return rc;
}

enum rc
io_write_file(struct io *io, const char *path, const void *p, size_t n, struct why *why)
{
    char *fresh = mem_printf("%s.tmp", path);
    enum rc rc;
    int fd = -1;

    if (fresh == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_open(io, fresh, IO_WRITE | IO_CREATE | IO_TRUNC, &fd, why)) != RC_OK)
        goto out;
    if ((rc = io_pwrite(io, fd, p, n, 0, why)) == RC_OK)
        rc = io_sync(io, fd, why);
    io_close(io, fd);
    if (rc != RC_OK || (rc = io_rename(io, fresh, path, why)) != RC_OK) {
        (void)io_unlink(io, fresh, NULL);   /* a leftover is replaced by the next write */
        goto out;
    }
    rc = sync_parent(io, path, why);
out:
    mem_free(fresh);
    return rc;
}
