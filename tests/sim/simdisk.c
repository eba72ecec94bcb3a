/*
 * simdisk -- struct io on a disk that forgets what was not synced.
 *
 * sync_dir makes names durable up to the last change of that directory.  At a
 * power cut each noted write is kept, lost or torn (some of its sectors), and of
 * the names either a prefix of the journal or an arbitrary part of it is kept,
 * as the seed says.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/table.h"
#include "tests/sim/sim_priv.h"
#include "tests/sim/simimage.h"

#define FD_FIRST 3

/* What struct io does.  Each call enters the world's heap. */

static struct sim_node *node_of(struct io *io) { return CONTAINER_OF(io, struct sim_node, io); }

/* A switch point, and the time and failure that the operation was given. */
static enum rc
disk_enter(struct sim_node *n, enum sim_point p, const char *what, struct why *why)
{
    struct sim *s = n->sim;
    struct sim_disk *d = n->disk;

    sim_point(s, p);
    s->now_us += p == SIM_POINT_READ ? 10 : 20;
    if (n->machine->disk_times > 1)
        (void)sim_wait(s, NULL, s->now_us + 20 * n->machine->disk_times, "slow disk");      /* only time ends it */
    if (p == SIM_POINT_SYNC) {
        uint64_t us = 50 + rng_below(&s->rng.rng, 2000);

        (void)sim_wait(s, NULL, s->now_us + us * (n->machine->disk_times > 4 ? n->machine->disk_times / 4 : 1), "sync");
    }
    if (d->fail_in > 0 && d->fail_point == p && --d->fail_in == 0) {
        sim_note(s, "disk_fails", "at=%s", sim_point_name(p));
        return why_set(why, RC_IO, "%s: simulated input/output error", what);
    }
    return RC_OK;
}

/* The directory that holds path's last name; *ret_name points into path. */
static struct inode *
walk_parent(struct sim_disk *d, const char *path, char *name, enum rc *ret_rc)
{
    struct inode *dir = d->root;
    const char *p = path;

    *ret_rc = RC_SYS_NOT_FOUND;
    for (;;) {
        size_t n;
        struct entry *e;

        p += strspn(p, "/");
        n = strcspn(p, "/");
        if (n >= 256)
            return NULL;
        memcpy(name, p, n);
        name[n] = '\0';
        p += n;
        if (p[strspn(p, "/")] == '\0')
            return dir;
        if ((e = sim_names_find(dir->names, name)) == NULL)
            return NULL;
        if (!e->inode->is_dir) {
            *ret_rc = RC_SYS_NOT_DIR;
            return NULL;
        }
        dir = e->inode;
    }
}

/* The file or directory at path. */
static struct inode *
walk(struct sim_disk *d, const char *path, enum rc *ret_rc)
{
    char name[256];
    struct inode *dir = walk_parent(d, path, name, ret_rc);
    struct entry *e;

    if (dir == NULL || name[0] == '\0')
        return dir;             /* "/" itself */
    *ret_rc = RC_SYS_NOT_FOUND;
    return (e = sim_names_find(dir->names, name)) != NULL ? e->inode : NULL;
}

static int
handle_new(struct sim_disk *d, struct inode *f, unsigned flags, struct sim_node *owner)
{
    size_t i;

    for (i = 0; i < d->handle_count && d->handles[i].inode != NULL; i++)
        ;
    if (i == d->handle_count) {
        d->handle_count = d->handle_count == 0 ? 16 : 2 * d->handle_count;
        d->handles = mem_realloc(d->handles, d->handle_count * sizeof *d->handles);
        CHECK(d->handles != NULL);
        memset(d->handles + i, 0, (d->handle_count - i) * sizeof *d->handles);
    }
    d->handles[i] = (struct handle){ f, flags, owner };
    f->opens++;
    return (int)i + FD_FIRST;
}

static struct inode *
inode_of(struct sim_disk *d, int fd)
{
    size_t i = (size_t)(fd - FD_FIRST);

    CHECK(fd >= FD_FIRST && i < d->handle_count && d->handles[i].inode != NULL);
    return d->handles[i].inode;
}

static enum rc
d_open(struct io *io, const char *path, unsigned flags, int *ret_fd, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct sim_disk *d = n->disk;
    struct mem_heap *was;
    struct inode *dir, *f = NULL;
    struct entry *e;
    char name[256];
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_NAME, path, why)) != RC_OK)
        return rc;
    was = sim_heap_enter();
    if ((dir = walk_parent(d, path, name, &rc)) == NULL)
        goto out;
    rc = RC_OK;
    if (name[0] == '\0')
        f = dir;
    else if ((e = sim_names_find(dir->names, name)) != NULL)
        f = e->inode;
    if (f == NULL && (flags & IO_CREATE) != 0) {
        f = sim_inode_new(d, false, (flags & IO_PRIVATE) != 0 ? 0600 : 0644);
        f->mtime_ms = clock_wall_ms(&n->clock);
        sim_change_add(d, NULL, NULL, dir, name, f);
    } else if (f == NULL) {
        rc = RC_SYS_NOT_FOUND;
    } else if ((flags & IO_CREATE) != 0 && (flags & IO_EXCL) != 0) {
        rc = RC_SYS_EXISTS;
    } else if (f->is_dir && (flags & IO_WRITE) != 0) {
        rc = RC_IO;
    } else if ((flags & IO_TRUNC) != 0 && f->seen.n > 0) {
        sim_note_add(f, true, NULL, 0, 0);
    }
    if (rc == RC_OK)
        *ret_fd = handle_new(d, f, flags, n);
out:
    sim_heap_leave(was);
    return rc == RC_OK ? RC_OK : why_set(why, rc, "%s: %s", path, rc_text(rc));
}

static void
handle_free(struct sim_disk *d, size_t i)
{
    struct inode *f = d->handles[i].inode;

    if (f->locked_by == (int)i + FD_FIRST + 1)
        f->locked_by = 0;
    d->handles[i].inode = NULL;
    f->opens--;
}

static void
d_close(struct io *io, int fd)
{
    struct sim_node *n = node_of(io);

    (void)inode_of(n->disk, fd);        /* checks the number */
    handle_free(n->disk, (size_t)(fd - FD_FIRST));
    sim_point(n->sim, SIM_POINT_LOCK);
}

int
sim_disk_dup(struct sim_node *n, int fd)
{
    struct mem_heap *was = sim_heap_enter();
    struct inode *f = inode_of(n->disk, fd);
    int copy = handle_new(n->disk, f, n->disk->handles[fd - FD_FIRST].flags, NULL);

    sim_heap_leave(was);
    return copy;
}

void
sim_disk_take(struct sim_node *n, int fd)
{
    (void)inode_of(n->disk, fd);        /* checks the number */
    n->disk->handles[fd - FD_FIRST].owner = n;
}

void
sim_disk_close(struct sim_node *n, int fd)
{
    (void)inode_of(n->disk, fd);        /* checks the number */
    handle_free(n->disk, (size_t)(fd - FD_FIRST));
}

int
sim_disk_memory_file(struct sim_node *n, const void *p, size_t bytes)
{
    struct mem_heap *was = sim_heap_enter();
    struct inode *f = sim_inode_new(n->disk, false, 0600);
    int fd = handle_new(n->disk, f, IO_READ | IO_WRITE, n);

    f->is_memory = true;
    sim_note_add(f, false, p, bytes, 0);
    sim_heap_leave(was);
    return fd;
}

size_t
sim_disk_contents(struct sim_node *n, int fd, const uint8_t **ret)
{
    const struct inode *f = inode_of(n->disk, fd);

    *ret = f->seen.p;
    return f->seen.n;
}

unsigned
sim_disk_open_count(const struct sim_node *n)
{
    unsigned count = 0;

    for (size_t i = 0; i < n->disk->handle_count; i++)
        count += n->disk->handles[i].inode != NULL && n->disk->handles[i].owner == n;
    return count;
}

static enum rc
d_dup(struct io *io, int fd, int *ret_fd, struct why *why UNUSED)
{
    struct sim_node *n = node_of(io);

    sim_point(n->sim, SIM_POINT_LOCK);
    *ret_fd = sim_disk_dup(n, fd);
    sim_disk_take(n, *ret_fd);
    return RC_OK;
}

static enum rc
d_pread(struct io *io, int fd, void *p, size_t n_bytes, uint64_t at, size_t *ret_n, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct inode *f;
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_READ, "read", why)) != RC_OK)
        return rc;
    f = inode_of(n->disk, fd);
    *ret_n = at >= f->seen.n ? 0 : f->seen.n - at < n_bytes ? f->seen.n - at : n_bytes;
    if (*ret_n > 0)
        memcpy(p, f->seen.p + at, *ret_n);
    return RC_OK;
}

static enum rc
disk_room(struct sim_disk *d, struct inode *f, uint64_t size, struct why *why)
{
    if (size <= f->seen.n || (d->used <= d->limit && size - f->seen.n <= d->limit - d->used))
        return RC_OK;
    sim_disk_sweep(d);
    if (d->used <= d->limit && size - f->seen.n <= d->limit - d->used)
        return RC_OK;
    return why_set(why, RC_NO_SPACE, "simulated disk of %llu bytes is full", (unsigned long long)d->limit);
}

static enum rc
d_pwrite(struct io *io, int fd, const void *p, size_t n_bytes, uint64_t at, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct mem_heap *was;
    struct inode *f;
    size_t before;
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_WRITE, "write", why)) != RC_OK)
        return rc;
    f = inode_of(n->disk, fd);
    CHECK((n->disk->handles[fd - FD_FIRST].flags & IO_WRITE) != 0);
    was = sim_heap_enter();
    if ((rc = disk_room(n->disk, f, at + n_bytes, why)) == RC_OK) {
        before = f->seen.n;
        sim_note_add(f, false, p, n_bytes, at);
        n->disk->used += f->seen.n - before;
        f->mtime_ms = clock_wall_ms(&n->clock);
    }
    sim_heap_leave(was);
    return rc;
}

static enum rc
d_truncate(struct io *io, int fd, uint64_t size, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct mem_heap *was;
    struct inode *f;
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_WRITE, "truncate", why)) != RC_OK)
        return rc;
    was = sim_heap_enter();
    f = inode_of(n->disk, fd);
    if ((rc = disk_room(n->disk, f, size, why)) == RC_OK) {
        sim_note_add(f, true, NULL, size, 0);
        sim_disk_sweep(n->disk);
    }
    sim_heap_leave(was);
    return rc;
}

static enum rc
d_allocate(struct io *io, int fd, uint64_t size, struct why *why)
{
    struct sim_node *n = node_of(io);
    enum rc rc = disk_enter(n, SIM_POINT_WRITE, "allocate", why);

    return rc != RC_OK ? rc : disk_room(n->disk, inode_of(n->disk, fd), size, why);
}

static enum rc
d_sync(struct io *io, int fd, struct why *why)
{
    struct sim_node *n = node_of(io);
    enum rc rc = disk_enter(n, SIM_POINT_SYNC, "sync", why);
    struct inode *f = inode_of(n->disk, fd);
    struct mem_heap *was = sim_heap_enter();

    if (rc == RC_OK)
        for (struct note *note = f->notes; note != NULL; note = note->next)
            sim_note_apply(&f->durable, note);
    sim_notes_drop(f);      /* after a failure too: the kernel thinks the pages clean, the next sync succeeds, the disk is old */
    sim_heap_leave(was);
    return rc;
}

static enum rc
d_sync_dir(struct io *io, const char *path, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct sim_disk *d = n->disk;
    struct mem_heap *was;
    struct inode *dir;
    enum rc rc;
    size_t last = 0, i = 0;

    if ((rc = disk_enter(n, SIM_POINT_SYNC, path, why)) != RC_OK)
        return rc;
    if ((dir = walk(d, path, &rc)) == NULL || !dir->is_dir)
        return why_set(why, dir == NULL ? rc : RC_SYS_NOT_DIR, "%s: cannot sync directory", path);
    was = sim_heap_enter();
    for (struct change *c = d->changes; c != NULL; c = c->next) {
        i++;
        if (c->from == dir || c->to == dir)
            last = i;
    }
    for (; last > 0; last--)
        sim_change_take(d, true);
    sim_heap_leave(was);
    return RC_OK;
}

static void
stat_fill(const struct inode *f, struct io_stat *ret)
{
    *ret = (struct io_stat){ .size = f->seen.n, .mtime_ms = f->mtime_ms, .inode = f->id, .mode = f->mode,
                             .is_dir = f->is_dir, .is_file = !f->is_dir };
}

static enum rc
d_fstat(struct io *io, int fd, struct io_stat *ret, struct why *why UNUSED)
{
    sim_point(node_of(io)->sim, SIM_POINT_LOCK);
    stat_fill(inode_of(node_of(io)->disk, fd), ret);
    return RC_OK;
}

static enum rc
d_stat(struct io *io, const char *path, struct io_stat *ret, struct why *why)
{
    struct inode *f;
    enum rc rc;

    if ((rc = disk_enter(node_of(io), SIM_POINT_NAME, path, why)) != RC_OK)
        return rc;
    if ((f = walk(node_of(io)->disk, path, &rc)) == NULL)
        return why_set(why, rc, "%s: %s", path, rc_text(rc));
    stat_fill(f, ret);
    return RC_OK;
}

/* rename (unlinks `from`) and link. */
static enum rc
disk_move(struct io *io, const char *from, const char *to, bool keep, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct sim_disk *d = n->disk;
    char from_name[256], to_name[256];
    struct inode *from_dir, *to_dir;
    struct entry *e, *old;
    struct mem_heap *was;
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_NAME, from, why)) != RC_OK)
        return rc;
    from_dir = walk_parent(d, from, from_name, &rc);
    e = from_dir != NULL ? sim_names_find(from_dir->names, from_name) : NULL;
    if (e == NULL)
        return why_set(why, RC_SYS_NOT_FOUND, "%s: no such file", from);
    if ((to_dir = walk_parent(d, to, to_name, &rc)) == NULL)
        return why_set(why, rc, "%s: %s", to, rc_text(rc));
    old = sim_names_find(to_dir->names, to_name);
    if (old != NULL && (keep || old->inode->is_dir))
        return why_set(why, keep ? RC_SYS_EXISTS : RC_SYS_NOT_EMPTY, "%s: exists", to);
    if (old != NULL && old->inode == e->inode)
        return RC_OK;
    if (!keep && n->sim->on_name_gone != NULL)
        n->sim->on_name_gone(n->sim->on_name_gone_arg, n, from, to);
    was = sim_heap_enter();
    sim_change_add(d, keep ? NULL : from_dir, keep ? NULL : from_name, to_dir, to_name, e->inode);
    sim_heap_leave(was);
    return RC_OK;
}

static enum rc
d_rename(struct io *io, const char *from, const char *to, struct why *why)
{
    return disk_move(io, from, to, false, why);
}

static enum rc
d_link(struct io *io, const char *from, const char *to, struct why *why)
{
    return disk_move(io, from, to, true, why);
}

static enum rc
disk_remove(struct io *io, const char *path, bool is_dir, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct mem_heap *was;
    struct inode *dir;
    struct entry *e;
    char name[256];
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_NAME, path, why)) != RC_OK)
        return rc;
    dir = walk_parent(n->disk, path, name, &rc);
    e = dir != NULL ? sim_names_find(dir->names, name) : NULL;
    if (e == NULL)
        return why_set(why, RC_SYS_NOT_FOUND, "%s: no such file", path);
    if (e->inode->is_dir != is_dir)
        return why_set(why, is_dir ? RC_SYS_NOT_DIR : RC_IO, "%s: wrong kind", path);
    if (is_dir && e->inode->names != NULL)
        return why_set(why, RC_SYS_NOT_EMPTY, "%s: not empty", path);
    if (n->sim->on_name_gone != NULL)
        n->sim->on_name_gone(n->sim->on_name_gone_arg, n, path, NULL);
    was = sim_heap_enter();
    sim_change_add(n->disk, dir, name, NULL, NULL, e->inode);
    sim_disk_sweep(n->disk);
    sim_heap_leave(was);
    return RC_OK;
}

static enum rc
d_unlink(struct io *io, const char *path, struct why *why)
{
    return disk_remove(io, path, false, why);
}

static enum rc
d_rmdir(struct io *io, const char *path, struct why *why)
{
    return disk_remove(io, path, true, why);
}

static enum rc
d_mkdir(struct io *io, const char *path, uint32_t mode, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct mem_heap *was;
    struct inode *dir;
    char name[256];
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_NAME, path, why)) != RC_OK)
        return rc;
    if ((dir = walk_parent(n->disk, path, name, &rc)) == NULL)
        return why_set(why, rc, "%s: %s", path, rc_text(rc));
    if (name[0] == '\0' || sim_names_find(dir->names, name) != NULL)
        return why_set(why, RC_SYS_EXISTS, "%s: exists", path);
    was = sim_heap_enter();
    sim_change_add(n->disk, NULL, NULL, dir, name, sim_inode_new(n->disk, true, mode));
    sim_heap_leave(was);
    return RC_OK;
}

static int
name_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum rc
d_list(struct io *io, const char *path, bool (*on_name)(void *arg, const char *name), void *arg, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct inode *dir;
    struct entry *e, *next;
    char **names;
    size_t count = 0, i;
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_NAME, path, why)) != RC_OK)
        return rc;
    if ((dir = walk(n->disk, path, &rc)) == NULL || !dir->is_dir)
        return why_set(why, dir == NULL ? rc : RC_SYS_NOT_DIR, "%s: cannot list", path);
    /* On the node's heap: on_name may switch, and the node may die there. */
    if ((names = mem_calloc(HASH_COUNT(dir->names) + 1, sizeof *names)) == NULL)
        return why_rc(why, RC_NOMEM);
    HASH_ITER(hh, dir->names, e, next)
        if ((names[count++] = mem_strdup(e->name)) == NULL) {
            rc = why_rc(why, RC_NOMEM);
            count--;
            goto out;
        }
    qsort(names, count, sizeof *names, name_order);
    rc = RC_OK;
    for (i = 0; i < count; i++)
        if (!on_name(arg, names[i]))
            break;
out:
    for (i = 0; i < count; i++)
        mem_free(names[i]);
    mem_free(names);
    return rc;
}

static enum rc
d_space(struct io *io, const char *path, struct io_space *ret, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct mem_heap *was;
    uint64_t left;
    enum rc rc;

    if ((rc = disk_enter(n, SIM_POINT_NAME, path, why)) != RC_OK)
        return rc;
    was = sim_heap_enter();
    sim_disk_sweep(n->disk);
    sim_heap_leave(was);
    left = n->disk->used >= n->disk->limit ? 0 : n->disk->limit - n->disk->used;
    *ret = (struct io_space){ n->disk->limit, left, left };
    return RC_OK;
}

static enum rc
d_lock(struct io *io, int fd, struct why *why)
{
    struct sim_node *n = node_of(io);
    struct inode *f;

    sim_point(n->sim, SIM_POINT_LOCK);
    f = inode_of(n->disk, fd);
    if (f->locked_by != 0 && f->locked_by != fd + 1)
        return why_set(why, RC_BUSY, "locked by another descriptor");
    f->locked_by = fd + 1;
    return RC_OK;
}

/* Unsynced writes reach the disk at moments of its own choice anyway. */
static void
d_write_behind(struct io *io, int fd, uint64_t at, uint64_t n)
{
    (void)io;
    (void)fd;
    (void)at;
    (void)n;
}

/* What processes see becomes what the disk has, with the writes still on their way there. */
static void
d_drop_cache(struct io *io, int fd)
{
    struct inode *f = inode_of(node_of(io)->disk, fd);
    struct mem_heap *was = sim_heap_enter();

    sim_image_copy(&f->seen, &f->durable);
    for (struct note *note = f->notes; note != NULL; note = note->next)
        sim_note_apply(&f->seen, note);
    sim_heap_leave(was);
}

static const struct io_ops sim_io_ops = {
    .open = d_open,
    .close = d_close,
    .dup = d_dup,
    .pread = d_pread,
    .pwrite = d_pwrite,
    .truncate = d_truncate,
    .allocate = d_allocate,
    .sync = d_sync,
    .sync_dir = d_sync_dir,
    .fstat = d_fstat,
    .stat = d_stat,
    .rename = d_rename,
    .link = d_link,
    .unlink = d_unlink,
    .mkdir = d_mkdir,
    .rmdir = d_rmdir,
    .list = d_list,
    .space = d_space,
    .lock = d_lock,
    .write_behind = d_write_behind,
    .drop_cache = d_drop_cache,
};

void
sim_disk_init(struct sim_node *n)
{
    struct sim_disk *d;

    n->io.ops = &sim_io_ops;
    if (n->machine != n) {
        n->disk = n->machine->disk;
        return;
    }
    d = sim_alloc(sizeof *d);
    n->disk = d;
    d->changes_end = &d->changes;
    d->root = sim_inode_new(d, true, 0755);
    d->limit = 4 * GB;
}

void
sim_disk_crash(struct sim_node *n)
{
    struct sim_disk *d = n->disk;
    struct mem_heap *was = sim_heap_enter();

    for (size_t i = 0; i < d->handle_count; i++)
        if (d->handles[i].inode != NULL && d->handles[i].owner == n)
            handle_free(d, i);
    if (n->parent == NULL)
        d->fail_in = 0;
    sim_disk_sweep(d);
    sim_heap_leave(was);
}

void
sim_disk_lose(struct sim_node *machine)
{
    struct sim_disk *d = machine->disk;
    struct mem_heap *was = sim_heap_enter();

    for (size_t i = 0; i < d->handle_count; i++)
        if (d->handles[i].inode != NULL)
            handle_free(d, i);          /* was on its way between two processes */
    for (struct inode *f = d->inodes; f != NULL; f = f->next)
        sim_file_lose(machine->sim, f);
    sim_names_lose(machine->sim, d);
    sim_disk_sweep(d);
    sim_heap_leave(was);
}

void
sim_disk_fini(struct sim_node *n)
{
    struct sim_disk *d = n->disk;
    struct inode *f;

    if (n->machine != n)
        return;
    while (d->changes != NULL)
        sim_change_take(d, false);
    while ((f = d->inodes) != NULL) {
        d->inodes = f->next;
        sim_inode_free(f);
    }
    mem_free(d->handles);
    mem_free(d);
    n->disk = NULL;
}

void sim_disk_limit(struct sim_node *n, uint64_t bytes) { n->disk->limit = bytes; }

void
sim_disk_fail(struct sim_node *n, enum sim_point p, uint64_t nth)
{
    n->disk->fail_point = p;
    n->disk->fail_in = nth;
}

uint64_t
sim_disk_used(struct sim_node *n)
{
    struct mem_heap *was = sim_heap_enter();

    sim_disk_sweep(n->disk);
    sim_heap_leave(was);
    return n->disk->used;
}

static void
inode_flip(struct inode *f, uint64_t at, unsigned bit)
{
    f->is_rotten = true;
    f->seen.p[at] ^= (uint8_t)(1u << bit);
    if (at < f->durable.n)
        f->durable.p[at] ^= (uint8_t)(1u << bit);
}

bool
sim_disk_flip_any(struct sim_node *n, const char *prefix)
{
    struct rng *rng = &n->sim->rng.rng;
    struct inode *chosen = NULL;
    char name[256] = "";
    struct entry *e, *next;
    uint64_t count = 0, at;

    for (struct inode *dir = n->disk->inodes; dir != NULL; dir = dir->next)
        HASH_ITER(hh, dir->names, e, next)
            if (!e->inode->is_dir && e->inode->seen.n > 0 && strncmp(e->name, prefix, strlen(prefix)) == 0 &&
                rng_below(rng, ++count) == 0) {
                chosen = e->inode;
                (void)snprintf(name, sizeof name, "%s", e->name);
            }
    if (chosen == NULL)
        return false;
    at = rng_below(rng, chosen->seen.n);
    sim_note(n->sim, "bit_flipped", "node=%s file=%s at=%llu of=%llu", n->name, name, (unsigned long long)at,
             (unsigned long long)chosen->seen.n);
    inode_flip(chosen, at, (unsigned)rng_below(rng, 8));
    return true;
}

void
sim_on_name_gone(struct sim *s, void (*fn)(void *arg, struct sim_node *n, const char *path, const char *to), void *arg)
{
    s->on_name_gone = fn;
    s->on_name_gone_arg = arg;
}

bool
sim_disk_is_rotten(struct sim_node *n, const char *path)
{
    enum rc rc;
    const struct inode *f = walk(n->disk, path, &rc);

    return f != NULL && f->is_rotten;
}

bool
sim_disk_bytes(struct sim_node *n, const char *path, const uint8_t **ret_p, uint64_t *ret_n)
{
    enum rc rc;
    const struct inode *f = walk(n->disk, path, &rc);

    if (f == NULL || f->is_dir)
        return false;
    *ret_p = f->seen.p;
    *ret_n = f->seen.n;
    return true;
}

bool
sim_disk_flip(struct sim_node *n, const char *path, uint64_t at, unsigned bit)
{
    enum rc rc;
    struct inode *f = walk(n->disk, path, &rc);

    if (f == NULL || f->is_dir || at >= f->seen.n)
        return false;
    inode_flip(f, at, bit);
    return true;
}
