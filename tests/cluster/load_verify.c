/* Compares a filesystem with the journal of a load. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "dfsclient/fs.h"
#include "tests/cluster/load.h"

#define THREADS 8
#define PIECE (256 * KB)
#define CLOSE_MS 60000      /* for the recovery of a lease */
#define SAID_MAX 20

struct verify {
    const struct world *w;
    const struct conf *conf;
    bool power, recover;
    struct load_file *files;
    size_t n, cap;
    struct mutex *mu;       /* below */
    size_t next;
    uint64_t names, gone, open, bytes, unknown, lost_names, lost_bytes, risen, wrong, unreadable;
};

struct reader {
    struct verify *v;
    struct fs *fs;
    struct thread *thread;
};

static void
keep(void *arg, struct load_file *f)
{
    struct verify *v = arg;

    if (v->n == v->cap) {
        v->cap = v->cap * 2 + 1024;
        if ((v->files = mem_realloc(v->files, v->cap * sizeof *v->files)) == NULL)
            check_failed(__FILE__, __LINE__, "memory");
    }
    v->files[v->n++] = *f;
}

static void
complain(struct verify *v, const struct load_file *f, uint64_t *count, uint64_t by, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    mutex_lock(v->w->threads, v->mu);
    *count += by;
    if (v->lost_names + v->risen + v->wrong + v->unreadable + (v->lost_bytes > 0) <= SAID_MAX)
        fprintf(stderr, "%s: %s\n", f->path, text);
    mutex_unlock(v->w->threads, v->mu);
}

static void
count(struct verify *v, uint64_t *number, uint64_t by)
{
    mutex_lock(v->w->threads, v->mu);
    *number += by;
    mutex_unlock(v->w->threads, v->mu);
}

static bool
exists(struct reader *r, const char *path, struct fs_status *ret, enum rc *ret_rc)
{
    struct arena a;
    struct why why;

    arena_init(&a, 1 * MB);
    *ret_rc = fs_stat(r->fs, path, &a, ret, &why);
    if (*ret_rc != RC_OK && *ret_rc != RC_NOT_FOUND)
        fprintf(stderr, "%s: %s\n", path, why.text);
    arena_fini(&a);
    return *ret_rc == RC_OK;
}

/* A file that its writer left open: closed by the recovery of its lease. */
static void
close_now(struct reader *r, const struct load_file *f)
{
    struct verify *v = r->v;
    uint64_t deadline_ms = clock_deadline(v->w->clock, CLOSE_MS);
    struct why why;
    bool closed = false;
    enum rc rc;

    while ((rc = fs_recover_lease(r->fs, f->path, &closed, &why)) == RC_OK && !closed &&
           clock_mono_ms(v->w->clock) < deadline_ms)
        thread_sleep_until(v->w->threads, clock_deadline(v->w->clock, 200));
    if (!closed)
        complain(v, f, &v->unreadable, 1, "its lease is not recovered: %s", rc == RC_OK ? "time is up" : why.text);
}

static void
check_bytes(struct reader *r, const struct load_file *f)
{
    struct verify *v = r->v;
    uint64_t at = 0, least = f->bytes_min;
    struct fs_reader *in = NULL;
    uint8_t *piece = mem_alloc(PIECE);
    struct why why;
    size_t n = 0, good = 0;
    enum rc rc = RC_NOMEM;

    if (!v->power && f->flushed > least)
        least = f->flushed;
    if (piece == NULL || (rc = fs_open_read(r->fs, f->path, &in, &why)) != RC_OK)
        goto out;
    do {
        rc = fs_pread(in, piece, PIECE, at, &n, &why);
        if (rc == RC_OK && (good = load_compare(f->seed, at, piece, n)) < n) {
            complain(v, f, &v->wrong, 1, "byte %" PRIu64 " is wrong", at + good);
            break;
        }
        at += rc == RC_OK ? n : 0;
    } while (rc == RC_OK && n > 0);
    fs_close_read(in);
    count(v, &v->bytes, at);
    if (rc == RC_OK && good == n && at < least)
        complain(v, f, &v->lost_bytes, least - at, "%" PRIu64 " bytes, %" PRIu64 " were acknowledged (%s)", at, least,
                 f->closed ? "closed" : f->bytes_min == least ? "hsync" : "hflush");
    if (rc == RC_OK && at > f->bytes_max)
        complain(v, f, &v->wrong, 1, "%" PRIu64 " bytes, only %" PRIu64 " were ever written", at, f->bytes_max);
out:
    /* An open file of which nothing was acknowledged may have only damaged replicas, until its lease is recovered. */
    if (rc != RC_OK && (f->closed || least > 0 || v->recover))
        complain(v, f, &v->unreadable, 1, "cannot be read from %" PRIu64 " (%" PRIu64 " acknowledged): %s", at, least,
                 piece == NULL ? "no memory" : why.text);
    mem_free(piece);
}

static void
check(struct reader *r, const struct load_file *f)
{
    struct verify *v = r->v;
    struct fs_status st, other;
    enum rc rc, other_rc = RC_OK;
    bool there = exists(r, f->path, &st, &rc);

    if (!there && rc != RC_NOT_FOUND) {
        complain(v, f, &v->unreadable, 1, "cannot be looked up");
        return;
    }
    if (f->state == LOAD_GONE) {
        count(v, &v->gone, 1);
        if (there)
            complain(v, f, &v->risen, 1, "was deleted or renamed, and that was acknowledged; it is there");
        return;
    }
    if (f->state == LOAD_MAYBE) {
        count(v, &v->unknown, 1);
        if (f->partner[0] != '\0' && there == exists(r, f->partner, &other, &other_rc))
            complain(v, f, &v->lost_names, 1, "a rename to or from %s: %s", f->partner, there ? "both are there" : "neither is there");
        if (!there)
            return;
    }
    if (!there) {
        complain(v, f, &v->lost_names, 1, "was acknowledged; it is not there");
        return;
    }
    count(v, &v->names, 1);
    if (f->is_dir)
        return;
    if (!f->closed) {
        count(v, &v->open, 1);
        if (v->recover)
            close_now(r, f);
    }
    check_bytes(r, f);
}

static void
run(void *arg)
{
    struct reader *r = arg;
    struct verify *v = r->v;
    size_t i;

    for (;;) {
        mutex_lock(v->w->threads, v->mu);
        i = v->next++;
        mutex_unlock(v->w->threads, v->mu);
        if (i >= v->n)
            return;
        check(r, &v->files[i]);
    }
}

static bool
run_all(struct verify *v)
{
    struct reader readers[THREADS] = { { .v = NULL } };
    bool good = true;
    struct why why;

    for (size_t i = 0; i < THREADS && good; i++) {
        readers[i].v = v;
        good = fs_open(v->w, v->conf, NULL, NULL, &readers[i].fs, &why) == RC_OK &&
               thread_spawn(v->w->threads, "verify", run, &readers[i], &readers[i].thread, &why) == RC_OK;
        if (!good)
            fprintf(stderr, "load: %s\n", why.text);
    }
    for (size_t i = 0; i < THREADS; i++) {
        if (readers[i].thread != NULL)
            thread_join(v->w->threads, readers[i].thread);
        if (readers[i].fs != NULL)
            fs_close(readers[i].fs);
    }
    return good;
}

int
load_verify(const struct world *w, const struct conf *conf, int argc, char **argv)
{
    struct verify v = { .w = w, .conf = conf };
    bool good;

    for (int i = 1; i < argc; i++) {
        v.power |= strcmp(argv[i], "power") == 0;
        v.recover |= strcmp(argv[i], "recover") == 0;
    }
    if ((v.mu = mutex_new(w->threads)) == NULL)
        return 2;
    if ((good = load_replay(argv[0], keep, &v)))
        good = run_all(&v);
    printf("{\"names\": %" PRIu64 ", \"gone\": %" PRIu64 ", \"open\": %" PRIu64 ", \"unknown\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"lost_names\": %" PRIu64 ", \"lost_bytes\": %" PRIu64 ", \"risen\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"unreadable\": %" PRIu64 "}\n", v.names, v.gone, v.open, v.unknown, v.bytes, v.lost_names, v.lost_bytes,
           v.risen, v.wrong, v.unreadable);
    mem_free(v.files);
    mutex_free(w->threads, v.mu);
    if (!good)
        return 2;
    return v.lost_names + v.lost_bytes + v.risen + v.wrong + v.unreadable == 0 ? 0 : 1;
}
