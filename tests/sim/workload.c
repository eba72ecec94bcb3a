#include "tests/sim/workload.h"

#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "tests/sim/plan.h"

#define FILE_BYTES_MAX (3 * CLUSTER_BLOCK_BYTES)

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

/* One thread of the client. */
struct worker {
    struct workload *wl;
    struct fs *fs;
    const struct world *w;
    unsigned number;
    struct rng_seeded rng;      /* of the operation */
};

static struct name *
name_new(struct worker *k, bool is_dir, struct rng *rng)
{
    struct workload *wl = k->wl;
    struct name *n;

    if (wl->count == WORKLOAD_NAMES_MAX)
        return NULL;
    n = &wl->names[wl->count];
    *n = (struct name){ .state = NAME_CREATING, .worker = k->number, .is_dir = is_dir, .seed = rng_u64(rng) };
    (void)snprintf(n->path, sizeof n->path, "/work/%s%u", is_dir ? "d" : "f", wl->count);
    wl->count++;
    return n;
}

/* A name of this worker that is there, or NULL. */
static struct name *
name_drawn(struct worker *k, struct rng *rng)
{
    for (int tries = 0; tries < 20 && k->wl->count > 0; tries++) {
        struct name *n = &k->wl->names[rng_below(rng, k->wl->count)];

        if (n->state == NAME_THERE && n->worker == k->number)
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

/* From now on its replicas are watched. */
static void
note_blocks(struct worker *k, const struct name *n)
{
    struct fs_block *blocks;
    struct arena a;
    struct why why;
    uint64_t bytes;
    size_t count;

    arena_init(&a, 1 * MB);
    if (k->wl->on_closed != NULL && fs_blocks(k->fs, n->path, 0, UINT32_MAX, &a, &blocks, &count, &bytes, &why) == RC_OK)
        k->wl->on_closed(k->wl->on_closed_arg, n, blocks, count);
    arena_fini(&a);
}

/* They change, or some of them go. */
static void
forget_blocks(struct worker *k, const struct name *n)
{
    if (k->wl->on_closed != NULL)
        k->wl->on_closed(k->wl->on_closed_arg, n, NULL, 0);
}

/* The bytes of n from `at` on, some of them flushed or synced on the way, and the end of the file. */
static void
write_rest(struct worker *k, struct name *n, struct fs_writer *wr, uint64_t at)
{
    struct rng *rng = &k->rng.rng;
    uint8_t part[3000];
    struct why why;
    bool is_sync;
    enum rc rc = RC_OK;

    while (at < n->bytes) {
        size_t part_n = 1 + rng_below(rng, sizeof part);

        part_n = part_n < n->bytes - at ? part_n : n->bytes - at;
        content(n->seed, at, part, part_n);
        if ((rc = fs_write(wr, part, part_n, &why)) != RC_OK)
            break;
        at += part_n;
        if (rng_below(rng, 5) != 0)
            continue;
        is_sync = rng_below(rng, 2) == 0;
        if ((rc = fs_flush(wr, is_sync, &why)) != RC_OK)
            break;
        if (is_sync)
            n->synced = at;
    }
    if (rc != RC_OK) {
        fs_abandon_write(wr);
        expect_no_lie(k->wl, n, "write", rc, &why);
        return;
    }
    if ((rc = fs_close_write(wr, &why)) == RC_OK) {
        n->state = NAME_THERE;
        note_blocks(k, n);
    } else {
        expect_no_lie(k->wl, n, "close", rc, &why);
    }
}

static void
put(struct worker *k)
{
    struct rng *rng = &k->rng.rng;
    struct name *n = name_new(k, false, rng);
    struct fs_create_options o = { .replication = 2 + (uint32_t)rng_below(rng, 2) };
    struct fs_writer *wr;
    struct why why;
    enum rc rc;

    if (n == NULL)
        return;
    n->replicas = n->next_replicas = n->least_replicas = o.replication;
    n->bytes = rng_below(rng, 4) == 0 ? rng_below(rng, 100) : rng_below(rng, FILE_BYTES_MAX);
    if ((rc = fs_create(k->fs, n->path, &o, &wr, &why)) == RC_OK)
        write_rest(k, n, wr, 0);
    else
        expect_no_lie(k->wl, n, "create", rc, &why);
}

/* Some records more, mostly less than a chunk of checksums; all that was acknowledged before stays. */
static void
append(struct worker *k)
{
    struct rng *rng = &k->rng.rng;
    struct name *n = name_drawn(k, rng);
    uint64_t had, more = 1 + rng_below(rng, rng_below(rng, 3) == 0 ? CLUSTER_BLOCK_BYTES : 300);
    bool new_block = rng_below(rng, 5) == 0;
    struct fs_writer *wr;
    struct why why;
    enum rc rc;

    if (n == NULL || n->is_dir)
        return;
    forget_blocks(k, n);
    had = n->synced = n->bytes;
    n->bytes += more;
    n->state = NAME_APPENDING;
    if ((rc = fs_append(k->fs, n->path, new_block, &wr, &why)) == RC_OK)
        write_rest(k, n, wr, had);
    else
        expect_no_lie(k->wl, n, "append", rc, &why);
}

static void
make_dir(struct worker *k)
{
    struct workload *wl = k->wl;
    struct fs *fs = k->fs;
    struct rng *rng = &k->rng.rng;
    struct name *n = name_new(k, true, rng);
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
move(struct worker *k)
{
    struct workload *wl = k->wl;
    struct fs *fs = k->fs;
    struct rng *rng = &k->rng.rng;
    struct name *n = name_drawn(k, rng);
    struct why why;
    bool moved = false;
    enum rc rc;

    if (n == NULL)
        return;
    (void)snprintf(n->next_path, sizeof n->next_path, "/work/m%u-%u", k->number, wl->operations);
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

/* What is acknowledged is done, though perhaps not yet: the file is used again once it is closed. */
static void
cut(struct worker *k)
{
    struct name *n = name_drawn(k, &k->rng.rng);
    struct why why;
    bool closed = false;
    enum rc rc;

    if (n == NULL || n->is_dir)
        return;
    n->next_bytes = rng_below(&k->rng.rng, n->bytes + 1);
    forget_blocks(k, n);
    n->seen = 0;
    n->state = NAME_CUTTING;
    n->cuts++;
    rc = fs_truncate(k->fs, n->path, n->next_bytes, &closed, &why);
    expect_no_lie(k->wl, n, "truncate", rc, &why);
    if (rc != RC_OK)
        return;
    n->bytes = n->next_bytes;
    for (int tries = 0; !closed && tries < 20; tries++) {
        thread_sleep_until(k->w->threads, clock_deadline(k->w->clock, 200));
        if (fs_is_closed(k->fs, n->path, &closed, &why) != RC_OK)
            closed = false;
    }
    if (closed)
        n->state = NAME_THERE;
    if (closed)
        note_blocks(k, n);
}

static void
set_replicas(struct worker *k)
{
    struct name *n = name_drawn(k, &k->rng.rng);
    struct why why;
    bool done = false;
    enum rc rc;

    if (n == NULL || n->is_dir)
        return;
    n->next_replicas = 5 - n->next_replicas;        /* 2 and 3 */
    n->least_replicas = 2;
    n->replicas_in_doubt = true;
    if ((rc = fs_set_replication(k->fs, n->path, n->next_replicas, &done, &why)) == RC_OK && !done)
        sim_fail(k->wl->c->s, "setReplication of %s was refused", n->path);
    expect_no_lie(k->wl, n, "setReplication", rc, &why);
    if (rc == RC_OK) {
        n->replicas = n->next_replicas;
        n->replicas_in_doubt = false;
    }
}

static void
delete(struct worker *k)
{
    struct workload *wl = k->wl;
    struct fs *fs = k->fs;
    struct rng *rng = &k->rng.rng;
    struct name *n = name_drawn(k, rng);
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
get(struct worker *k)
{
    struct workload *wl = k->wl;
    struct fs *fs = k->fs;
    struct rng *rng = &k->rng.rng;
    struct name *n = name_drawn(k, rng);
    struct why why;
    enum rc rc;

    if (n == NULL || n->is_dir)
        return;
    if ((rc = read_whole(wl, fs, n, n->path, n->bytes, &why)) == RC_CORRUPT)
        rc = RC_IO;             /* no replica left that can be reached now; the end of the history asks again */
    expect_no_lie(wl, n, "read", rc, &why);
}

/* What may have taken bytes away that were not synced. */
static uint64_t
harms(const struct workload *wl)
{
    return sim_happened(wl->c->s, SIM_CRASHED) + sim_happened(wl->c->s, SIM_DISK_FAILED);
}

/* A file that another worker writes: a reader sees at least what was synced, and nothing but its bytes. */
static void
peek(struct worker *k)
{
    struct name *n = &k->wl->names[rng_below(&k->rng.rng, k->wl->count + 1)];
    uint64_t synced, seen, at = 0;
    uint8_t got[5000], want[5000];
    struct fs_reader *r;
    struct why why;
    uint64_t harmed;
    unsigned cuts;
    size_t part;

    if (n >= &k->wl->names[k->wl->count] || n->is_dir ||
        (n->state != NAME_CREATING && n->state != NAME_APPENDING))
        return;
    synced = n->synced;
    seen = n->seen;
    harmed = n->seen_harms;
    cuts = n->cuts;
    if (fs_open_read(k->fs, n->path, &r, &why) != RC_OK)
        return;                 /* not there yet, or nobody can be asked */
    if (n->cuts != cuts) {      /* it may have been opened before or after */
        fs_close_read(r);
        return;
    }
    if (fs_reader_size(r) < seen && harmed == harms(k->wl))
        sim_fail(k->wl->c->s, "%s is seen with %llu bytes, and was with %llu", n->path, (unsigned long long)fs_reader_size(r),
                 (unsigned long long)seen);
    n->seen = fs_reader_size(r);
    n->seen_harms = harms(k->wl);
    if (fs_reader_size(r) < synced || fs_reader_size(r) > n->bytes)
        sim_fail(k->wl->c->s, "%s is seen with %llu bytes, %llu of %llu were synced", n->path,
                 (unsigned long long)fs_reader_size(r), (unsigned long long)synced, (unsigned long long)n->bytes);
    while (at < fs_reader_size(r) && fs_pread(r, got, sizeof got, at, &part, &why) == RC_OK && part > 0) {
        content(n->seed, at, want, part);
        if (memcmp(got, want, part) != 0)
            sim_fail(k->wl->c->s, "%s is seen with wrong bytes after %llu", n->path, (unsigned long long)at);
        at += part;
    }
    fs_close_read(r);
}

static void
operation(struct worker *k)
{
    static void (*const all[])(struct worker *k) = {
        put, put, put, put, make_dir, move, move, delete, set_replicas, get, cut, append, append, peek,
    };

    all[rng_below(&k->rng.rng, ARRAY_LEN(all))](k);
}

static void
work(void *arg)
{
    struct worker *k = arg;
    struct workload *wl = k->wl;

    while (wl->operations < wl->target) {
        unsigned i = wl->operations++;

        if (plan_take(sim_plan(wl->c->s), PLAN_OPERATIONS, i, &k->rng))
            operation(k);
        thread_sleep_until(k->w->threads, clock_deadline(k->w->clock, rng_below(&k->rng.rng, 100)));
    }
}

/* One thread with calls on few names. */
static void
call(void *arg)
{
    struct worker *k = arg;
    struct workload *wl = k->wl;
    struct calls_client *client;
    struct conf conf;
    char name[32];

    cluster_conf(wl->c, NULL, CL, &conf);
    (void)snprintf(name, sizeof name, "caller-%u-%u", k->number, wl->starts);
    client = calls_client_new(&wl->calls, k->w, &conf, name);
    while (wl->called < wl->to_call) {
        unsigned i = wl->called++;

        if (plan_take(sim_plan(wl->c->s), PLAN_CALLS, i, &k->rng))
            calls_make(client, &k->rng.rng);
        thread_sleep_until(k->w->threads, clock_deadline(k->w->clock, rng_below(&k->rng.rng, 100)));
    }
    calls_client_free(client);
    conf_fini(&conf);
}

void
workload_run(struct workload *wl, struct machine *m)
{
    const struct world *w = sim_node_world(m->node);
    struct worker workers[WORKLOAD_WORKERS + CALLS_CLIENTS];
    struct thread *threads[WORKLOAD_WORKERS + CALLS_CLIENTS];
    struct conf conf;
    struct why why;
    struct fs *fs;

    wl->starts++;
    cluster_conf(wl->c, m, CL, &conf);
    if (fs_open(w, &conf, NULL, "root", &fs, &why) != RC_OK)
        sim_fail(wl->c->s, "client: %s", why.text);
    while (fs_mkdirs(fs, "/work", 0755, true, &why) != RC_OK) {
        sim_note(wl->c->s, "waiting", "%s", why.text);
        thread_sleep_until(w->threads, clock_deadline(w->clock, 200));
    }
    for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
        workers[i] = (struct worker){ .wl = wl, .fs = fs, .w = w, .number = i };
        SIM_CHECK(wl->c->s, thread_spawn(w->threads, i < WORKLOAD_WORKERS ? "worker" : "caller",
                                         i < WORKLOAD_WORKERS ? work : call, &workers[i], &threads[i], &why) == RC_OK);
    }
    for (unsigned i = 0; i < ARRAY_LEN(workers); i++)
        thread_join(w->threads, threads[i]);
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

/* RC_BUSY until every block of the file has as many replicas as it should. */
static enum rc
check_replicas(struct fs *fs, const char *path, uint32_t replicas, struct why *why)
{
    struct fs_block *blocks;
    struct arena a;
    uint64_t bytes;
    size_t n;
    enum rc rc;

    arena_init(&a, 1 * MB);
    if ((rc = fs_blocks(fs, path, 0, UINT32_MAX, &a, &blocks, &n, &bytes, why)) != RC_OK)
        goto out;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        if (blocks[i].location_count != replicas || blocks[i].corrupt)
            rc = why_set(why, RC_BUSY, "block %llu of %s has %zu replicas%s", (unsigned long long)blocks[i].id, path,
                         blocks[i].location_count, blocks[i].corrupt ? ", all corrupt" : "");
out:
    arena_fini(&a);
    return rc;
}

static enum rc
check_at(struct workload *wl, struct fs *fs, const struct name *n, const char *path, const struct fs_status *st,
         bool is_closed, struct why *why)
{
    enum rc rc;

    if (st->is_dir != n->is_dir)
        sim_fail(wl->c->s, "%s is of another kind", path);
    if (n->is_dir)
        return RC_OK;
    if (st->replication != n->replicas && !(n->replicas_in_doubt && st->replication == 5 - n->replicas))
        sim_fail(wl->c->s, "%s has a replication of %u, not %u", path, st->replication, n->replicas);
    if (!is_closed)
        return why_set(why, RC_BUSY, "%s is still open: its writer is gone, or it is being cut", path);
    if (n->state == NAME_CUTTING && (st->bytes == n->bytes || st->bytes == n->next_bytes))
        return (rc = check_replicas(fs, path, st->replication, why)) != RC_OK ? rc : read_whole(wl, fs, n, path, st->bytes, why);
    if (n->state != NAME_CREATING && n->state != NAME_APPENDING)
        return (rc = check_replicas(fs, path, st->replication, why)) != RC_OK ? rc : read_whole(wl, fs, n, path, n->bytes, why);
    if (st->bytes > n->bytes || st->bytes < n->synced)
        sim_fail(wl->c->s, "%s was cut to %llu of %llu bytes, %llu were synced", path, (unsigned long long)st->bytes,
                 (unsigned long long)n->bytes, (unsigned long long)n->synced);
    if ((rc = check_replicas(fs, path, st->replication, why)) != RC_OK)
        return rc;
    return read_whole(wl, fs, n, path, st->bytes, why);
}

static enum rc
check_name(struct workload *wl, struct fs *fs, const struct name *n, struct arena *a, struct why *why)
{
    struct fs_status st, next;
    bool there, there_next = false, is_closed = true;
    enum rc rc;

    /* Asked before its size is: then a closed file's size is the last. */
    if ((n->state == NAME_CREATING || n->state == NAME_APPENDING || n->state == NAME_CUTTING) && !n->is_dir &&
        (rc = fs_is_closed(fs, n->path, &is_closed, why)) != RC_OK) {
        if (rc == RC_NOT_FOUND && n->state == NAME_APPENDING)
            sim_fail(wl->c->s, "%s was appended to and is not there", n->path);
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    }
    if (n->state == NAME_MOVING) {
        if ((rc = look(fs, n->next_path, a, &there_next, &next, why)) != RC_OK)
            return rc;
        if (there_next && (rc = check_at(wl, fs, n, n->next_path, &next, true, why)) != RC_OK)
            return rc;
    }
    if ((rc = look(fs, n->path, a, &there, &st, why)) != RC_OK)
        return rc;
    if ((n->state == NAME_THERE || n->state == NAME_APPENDING) && !there)
        sim_fail(wl->c->s, "%s was acknowledged and is not there", n->path);
    if (n->state == NAME_GONE && there)
        sim_fail(wl->c->s, "%s was deleted and is there", n->path);
    if (n->state == NAME_MOVING && there == there_next)
        sim_fail(wl->c->s, "%s is %s %s", n->path, there ? "also" : "neither there nor", n->next_path);
    return there ? check_at(wl, fs, n, n->path, &st, is_closed, why) : RC_OK;
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
