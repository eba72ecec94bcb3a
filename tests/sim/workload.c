#include "tests/sim/workload.h"

#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/io/thread.h"

#define FILE_BYTES_MAX (4 * CLUSTER_BLOCK_BYTES)

/* The byte of a file at an offset is a function of its seed, so that nothing has to be kept. */
static void
content(uint64_t seed, uint64_t at, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t x = (seed + (at + i) / 8) * UINT64_C(0x9e3779b97f4a7c15);

        x ^= x >> 32;
        x *= UINT64_C(0xd6e8feb86659fd93);
        p[i] = (uint8_t)(x >> (8 * ((at + i) % 8)));
    }
}

static struct name *
name_new(struct workload *wl, bool is_dir, struct rng *rng)
{
    struct name *n;

    if (wl->count == WORKLOAD_NAMES_MAX)
        return NULL;
    n = &wl->names[wl->count];
    *n = (struct name){ .state = NAME_CREATING, .is_dir = is_dir, .seed = rng_u64(rng) };
    (void)snprintf(n->path, sizeof n->path, "/work/%s%u", is_dir ? "d" : "f", wl->count);
    wl->count++;
    return n;
}

/* A name that is there, or NULL. */
static struct name *
name_drawn(struct workload *wl, struct rng *rng)
{
    for (int tries = 0; tries < 10 && wl->count > 0; tries++) {
        struct name *n = &wl->names[rng_below(rng, wl->count)];

        if (n->state == NAME_THERE)
            return n;
    }
    return NULL;
}

/* Failures that say that something happened which did not, or the other way round. */
static void
expect_no_lie(struct workload *wl, const struct name *n, const char *what, enum rc rc, const struct why *why)
{
    if (rc == RC_OK)
        return;
    wl->errors++;
    sim_note(wl->c->s, "operation_failed", "%s %s: %s: %s", what, n->path, rc_name(rc), why->text);
    if (rc == RC_NOT_FOUND || rc == RC_EXISTS || rc == RC_NOT_EMPTY || rc == RC_PARENT_NOT_DIR || rc == RC_BUG ||
        rc == RC_CORRUPT)
        sim_fail(wl->c->s, "%s %s: %s: %s", what, n->path, rc_name(rc), why->text);
}

static void
put(struct workload *wl, struct fs *fs, struct rng *rng)
{
    struct name *n = name_new(wl, false, rng);
    struct fs_create_options o = { .replication = 3 };
    struct fs_writer *wr;
    uint8_t part[6000];
    struct why why;
    uint64_t left;
    enum rc rc;

    if (n == NULL)
        return;
    n->bytes = rng_below(rng, 4) == 0 ? rng_below(rng, 100) : rng_below(rng, FILE_BYTES_MAX);
    if ((rc = fs_create(fs, n->path, &o, &wr, &why)) != RC_OK) {
        expect_no_lie(wl, n, "create", rc, &why);
        return;
    }
    for (left = n->bytes; left > 0;) {
        size_t k = 1 + rng_below(rng, sizeof part);

        k = k < left ? k : left;
        content(n->seed, n->bytes - left, part, k);
        if ((rc = fs_write(wr, part, k, &why)) != RC_OK)
            break;
        left -= k;
        if (rng_below(rng, 10) == 0 && (rc = fs_flush(wr, true, &why)) != RC_OK)
            break;
        if (rc == RC_OK && rng_below(rng, 10) == 0 && (rc = fs_flush(wr, true, &why)) == RC_OK)
            n->synced = n->bytes - left;
    }
    if (left > 0) {
        fs_abandon_write(wr);
        expect_no_lie(wl, n, "write", rc, &why);
        return;
    }
    if ((rc = fs_close_write(wr, &why)) == RC_OK)
        n->state = NAME_THERE;
    else
        expect_no_lie(wl, n, "close", rc, &why);
}

static void
make_dir(struct workload *wl, struct fs *fs, struct rng *rng)
{
    struct name *n = name_new(wl, true, rng);
    struct why why;
    enum rc rc;

    if (n == NULL)
        return;
    if ((rc = fs_mkdirs(fs, n->path, 0755, false, &why)) == RC_OK)
        n->state = NAME_THERE;
    else
        expect_no_lie(wl, n, "mkdir", rc, &why);
}

static void
move(struct workload *wl, struct fs *fs, struct rng *rng)
{
    struct name *n = name_drawn(wl, rng);
    struct why why;
    bool moved = false;
    enum rc rc;

    if (n == NULL)
        return;
    (void)snprintf(n->next_path, sizeof n->next_path, "/work/m%u", wl->operations);
    n->state = NAME_MOVING;
    if (rng_below(rng, 2) == 0) {
        rc = fs_rename_to(fs, n->path, n->next_path, false, &why);
    } else if ((rc = fs_rename(fs, n->path, n->next_path, &moved, &why)) == RC_OK && !moved) {
        sim_fail(wl->c->s, "rename of %s was refused", n->path);
    }
    expect_no_lie(wl, n, "rename", rc, &why);
    if (rc == RC_OK) {
        memcpy(n->path, n->next_path, sizeof n->path);
        n->state = NAME_THERE;
    }
}

static void
delete(struct workload *wl, struct fs *fs, struct rng *rng)
{
    struct name *n = name_drawn(wl, rng);
    bool deleted = false;
    struct why why;
    enum rc rc;

    if (n == NULL)
        return;
    n->state = NAME_DELETING;
    if ((rc = fs_delete(fs, n->path, true, &deleted, &why)) == RC_OK && !deleted)
        sim_fail(wl->c->s, "%s was there and was not deleted", n->path);
    expect_no_lie(wl, n, "delete", rc, &why);
    if (rc == RC_OK)
        n->state = NAME_GONE;
}

/* The first `bytes` bytes of the file are the name's. */
static enum rc
read_whole(struct workload *wl, struct fs *fs, const struct name *n, const char *path, uint64_t bytes, struct why *why)
{
    struct fs_reader *r;
    uint8_t got[5000], want[5000];
    uint64_t at = 0;
    size_t k;
    enum rc rc;

    if ((rc = fs_open_read(fs, path, &r, why)) != RC_OK)
        return rc;
    if (fs_reader_size(r) != bytes)
        sim_fail(wl->c->s, "%s has %llu bytes, not %llu", path, (unsigned long long)fs_reader_size(r),
                 (unsigned long long)bytes);
    while (at < bytes) {
        if ((rc = fs_pread(r, got, sizeof got, at, &k, why)) != RC_OK)
            goto out;
        if (k == 0)
            sim_fail(wl->c->s, "%s ends at %llu of %llu bytes", path, (unsigned long long)at, (unsigned long long)bytes);
        content(n->seed, at, want, k);
        if (memcmp(got, want, k) != 0)
            sim_fail(wl->c->s, "%s has wrong bytes after %llu", path, (unsigned long long)at);
        at += k;
    }
out:
    fs_close_read(r);
    return rc;
}

static void
get(struct workload *wl, struct fs *fs, struct rng *rng)
{
    struct name *n = name_drawn(wl, rng);
    struct why why;
    enum rc rc;

    if (n == NULL || n->is_dir)
        return;
    if ((rc = read_whole(wl, fs, n, n->path, n->bytes, &why)) == RC_CORRUPT)
        rc = RC_IO;             /* no replica left that can be reached now; the end of the history asks again */
    expect_no_lie(wl, n, "read", rc, &why);
}

void
workload_run(struct workload *wl, struct machine *m)
{
    const struct world *w = sim_node_world(m->node);
    struct conf conf;
    struct why why;
    struct fs *fs;
    enum rc rc;

    cluster_conf(wl->c, m, CL, &conf);
    if ((rc = fs_open(w, &conf, NULL, "root", &fs, &why)) != RC_OK)
        sim_fail(wl->c->s, "client: %s", why.text);
    while ((rc = fs_mkdirs(fs, "/work", 0755, true, &why)) != RC_OK) {
        sim_note(wl->c->s, "waiting", "%s", why.text);
        thread_sleep_until(w->threads, clock_deadline(w->clock, 200));
    }
    while (wl->operations < wl->target) {
        uint64_t what = rng_below(w->rng, 10);

        wl->operations++;
        if (what < 4)
            put(wl, fs, w->rng);
        else if (what < 5)
            make_dir(wl, fs, w->rng);
        else if (what < 7)
            move(wl, fs, w->rng);
        else if (what < 8)
            delete(wl, fs, w->rng);
        else
            get(wl, fs, w->rng);
        thread_sleep_until(w->threads, clock_deadline(w->clock, rng_below(w->rng, 200)));
    }
    fs_close(fs);
    conf_fini(&conf);
    wl->is_done = true;
}

/* What is at path: RC_NOT_FOUND, or its status. */
static enum rc
look(struct fs *fs, const char *path, struct arena *a, bool *ret_there, struct fs_status *ret, struct why *why)
{
    enum rc rc;

    arena_reset(a);
    rc = fs_stat(fs, path, a, ret, why);
    *ret_there = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc
check_at(struct workload *wl, struct fs *fs, const struct name *n, const char *path, const struct fs_status *st,
         struct why *why)
{
    bool is_closed = true;
    enum rc rc;

    if (st->is_dir != n->is_dir)
        sim_fail(wl->c->s, "%s is of another kind", path);
    if (n->is_dir)
        return RC_OK;
    if (n->state != NAME_CREATING)
        return read_whole(wl, fs, n, path, n->bytes, why);
    if ((rc = fs_is_closed(fs, path, &is_closed, why)) != RC_OK)
        return rc;
    if (!is_closed)
        return RC_OK;           /* its writer died and its lease has not ended yet */
    if (st->bytes > n->bytes || st->bytes < n->synced)
        sim_fail(wl->c->s, "%s was cut to %llu of %llu bytes, %llu were synced", path, (unsigned long long)st->bytes,
                 (unsigned long long)n->bytes, (unsigned long long)n->synced);
    return read_whole(wl, fs, n, path, st->bytes, why);
}

static enum rc
check_name(struct workload *wl, struct fs *fs, const struct name *n, struct arena *a, struct why *why)
{
    struct fs_status st, next;
    bool there, there_next = false;
    enum rc rc;

    if (n->state == NAME_MOVING) {
        if ((rc = look(fs, n->next_path, a, &there_next, &next, why)) != RC_OK)
            return rc;
        if (there_next && (rc = check_at(wl, fs, n, n->next_path, &next, why)) != RC_OK)
            return rc;
    }
    if ((rc = look(fs, n->path, a, &there, &st, why)) != RC_OK)
        return rc;
    if (n->state == NAME_THERE && !there)
        sim_fail(wl->c->s, "%s was acknowledged and is not there", n->path);
    if (n->state == NAME_GONE && there)
        sim_fail(wl->c->s, "%s was deleted and is there", n->path);
    if (n->state == NAME_MOVING && there == there_next)
        sim_fail(wl->c->s, "%s is %s %s", n->path, there ? "also" : "neither there nor", n->next_path);
    return there ? check_at(wl, fs, n, n->path, &st, why) : RC_OK;
}

enum rc
workload_check(struct workload *wl, struct fs *fs, struct why *why)
{
    struct arena a;
    enum rc rc = RC_OK;

    arena_init(&a, 1 * MB);
    for (unsigned i = 0; i < wl->count && rc == RC_OK; i++)
        rc = check_name(wl, fs, &wl->names[i], &a, why);
    arena_fini(&a);
    return rc;
}
