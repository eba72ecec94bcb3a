/* The workers of load: each a thread with a client of its own. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "dfsclient/fs.h"
#include "tests/cluster/load.h"

#define WORKERS_MAX 60
#define PIECE (64 * KB)
#define SMALL_MAX 3000
#define BLOCK (1 * MB)
#define DONE_MAX 4096           /* files that readers choose from */

struct load {
    const struct world *w;
    const struct conf *conf;
    const char *dir;
    int journal;
    uint64_t seed, big;
    atomic_bool stop;
    atomic_uint wrong;
    struct mutex *mu;           /* below */
    struct { char path[LOAD_PATH_MAX]; uint64_t seed, bytes; } done[DONE_MAX];      /* closed, never touched again */
    size_t done_n;
};

struct worker {
    struct load *l;
    unsigned id;
    struct fs *fs;
    struct rng_seeded rng;
    struct thread *thread;
    void (*turn)(struct worker *w);
    unsigned made;
    uint64_t began_ms;
    char op;
    char own[LOAD_PATH_MAX];    /* appender: its file */
    uint64_t own_bytes;
};

/* ---- the journal ---- */

static void say(struct worker *w, const char *fmt, ...) PRINTF(2, 3);

static void
say(struct worker *w, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    int n = snprintf(line, sizeof line, "%u ", w->id), k;

    va_start(ap, fmt);
    k = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    n = n + k > (int)sizeof line - 2 ? (int)sizeof line - 2 : n + k;
    line[n++] = '\n';
    while (write(w->l->journal, line, (size_t)n) < 0)
        if (errno != EINTR)
            abort();            /* without its journal the run says nothing */
}

static uint64_t
now_ms(const struct worker *w)
{
    return clock_mono_ms(w->l->w->clock);
}

/* Write down what is about to be called. */
static void
intend(struct worker *w, enum load_op op, const char *path, const char *fmt, ...)
{
    char rest[LOAD_PATH_MAX + 64];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(rest, sizeof rest, fmt, ap);
    va_end(ap);
    w->op = (char)op;
    w->began_ms = now_ms(w);
    say(w, "? %c %s %s", w->op, path, rest);
}

/* Write down how it ended; true when it succeeded. */
static bool
ended(struct worker *w, enum rc rc, const struct why *why, uint64_t number)
{
    char text[256];

    if (rc == RC_OK) {
        say(w, "+ %c %" PRIu64 " %" PRIu64 " %" PRIu64, w->op, w->began_ms, now_ms(w), number);
        return true;
    }
    (void)snprintf(text, sizeof text, "%s", why->text);
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\n')
            *p = ' ';
    say(w, "! %c %" PRIu64 " %" PRIu64 " %s %s", w->op, w->began_ms, now_ms(w), rc_name(rc), text);
    return false;
}

/* ---- writing ---- */

/* Bytes [from, to) of path's content into wr, synced or flushed now and then. */
static enum rc
write_bytes(struct worker *w, struct fs_writer *wr, const char *path, uint64_t seed, uint64_t from, uint64_t to,
            struct why *why)
{
    uint8_t piece[PIECE];
    enum rc rc = RC_OK;

    while (from < to && rc == RC_OK) {
        size_t n = to - from < sizeof piece ? (size_t)(to - from) : sizeof piece;
        bool sync = rng_below(&w->rng.rng, 2) == 0;

        load_fill(seed, from, piece, n);
        if ((rc = fs_write(wr, piece, n, why)) != RC_OK)
            break;
        from += n;
        if (rng_below(&w->rng.rng, 8) != 0)
            continue;
        intend(w, sync ? LOAD_SYNC : LOAD_FLUSH, path, "%" PRIu64, from);
        rc = fs_flush(wr, sync, why);
        (void)ended(w, rc, why, from);
        if (rc != RC_OK)
            fs_abandon_write(wr);
        if (rc != RC_OK)
            return rc;
    }
    if (rc != RC_OK) {          /* the write itself: an operation that nobody wrote down */
        fs_abandon_write(wr);
        intend(w, LOAD_FLUSH, path, "%" PRIu64, from);
        (void)ended(w, rc, why, 0);
    }
    return rc;
}

static bool
close_file(struct worker *w, struct fs_writer *wr, const char *path, uint64_t bytes)
{
    struct why why;

    intend(w, LOAD_CLOSE, path, "%" PRIu64, bytes);
    return ended(w, fs_close_write(wr, &why), &why, bytes);
}

static bool
make_file(struct worker *w, const char *path, uint64_t bytes)
{
    struct fs_create_options o = { .block_bytes = BLOCK, .replication = 3 };
    uint64_t seed = load_seed_of(path);
    struct fs_writer *wr;
    struct why why;
    enum rc rc;

    intend(w, LOAD_CREATE, path, "%" PRIu64 " %" PRIu64, seed, bytes);
    rc = fs_create(w->fs, path, &o, &wr, &why);
    if (!ended(w, rc, &why, 0) || write_bytes(w, wr, path, seed, 0, bytes, &why) != RC_OK)
        return false;
    return close_file(w, wr, path, bytes);
}

/* Readers may choose it from now on. */
static void
publish(struct worker *w, const char *path, uint64_t seed, uint64_t bytes)
{
    struct load *l = w->l;

    mutex_lock(l->w->threads, l->mu);
    if (l->done_n < DONE_MAX) {
        (void)snprintf(l->done[l->done_n].path, LOAD_PATH_MAX, "%s", path);
        l->done[l->done_n].seed = seed;
        l->done[l->done_n].bytes = bytes;
        l->done_n++;
    }
    mutex_unlock(l->w->threads, l->mu);
}

/* ---- what the workers do, over and over ---- */

static void
name_next(struct worker *w, const char *kind, char path[LOAD_PATH_MAX])
{
    (void)snprintf(path, LOAD_PATH_MAX, "%s/%s%u-%u", w->l->dir, kind, w->id, w->made++);
}

static bool
make_dir(struct worker *w, const char *path)
{
    struct why why;

    intend(w, LOAD_MKDIR, path, "-");
    return ended(w, fs_mkdirs(w->fs, path, 0755, true, &why), &why, 0);
}

static bool
delete_path(struct worker *w, const char *path)
{
    struct why why;
    bool deleted;

    intend(w, LOAD_DELETE, path, "-");
    return ended(w, fs_delete(w->fs, path, true, &deleted, &why), &why, 0);
}

/* A small file that stays, or is renamed, or is deleted; now and then a directory with some, deleted whole. */
static void
create_turn(struct worker *w)
{
    uint64_t what = rng_below(&w->rng.rng, 10), bytes = rng_below(&w->rng.rng, SMALL_MAX);
    char path[LOAD_PATH_MAX], to[LOAD_PATH_MAX + 8], below[LOAD_PATH_MAX + 8];
    struct why why;

    name_next(w, "small", path);
    if (what == 0) {
        if (!make_dir(w, path))
            return;
        for (int i = 0; i < 3; i++) {
            (void)snprintf(below, sizeof below, "%s/%d", path, i);
            if (!make_file(w, below, bytes))
                return;
        }
        if (rng_below(&w->rng.rng, 2) == 0)
            (void)delete_path(w, path);     /* written down either way */
        return;
    }
    if (!make_file(w, path, what == 1 ? 0 : bytes))
        return;
    if (what == 2) {
        (void)snprintf(to, sizeof to, "%s.moved", path);
        intend(w, LOAD_RENAME, path, "%s", to);
        (void)ended(w, fs_rename_to(w->fs, path, to, false, &why), &why, 0);
    } else if (what == 3) {
        (void)delete_path(w, path);
    } else {
        publish(w, path, load_seed_of(path), what == 1 ? 0 : bytes);
    }
}

/* A file of some blocks, flushed and synced on the way. */
static void
put_turn(struct worker *w)
{
    uint64_t bytes = w->l->big / 2 + rng_below(&w->rng.rng, w->l->big / 2 + 1);
    char path[LOAD_PATH_MAX];

    name_next(w, "big", path);
    if (make_file(w, path, bytes))
        publish(w, path, load_seed_of(path), bytes);
}

/* Opens one file again and again and writes at its end. */
static void
append_turn(struct worker *w)
{
    uint64_t seed = load_seed_of(w->own), more = 1 + rng_below(&w->rng.rng, 200000);
    struct fs_writer *wr;
    struct why why;
    enum rc rc;

    if (w->own[0] == '\0' || w->own_bytes > 4 * w->l->big) {
        name_next(w, "log", w->own);
        w->own_bytes = rng_below(&w->rng.rng, 2000);
        if (!make_file(w, w->own, w->own_bytes))
            w->own[0] = '\0';
        return;
    }
    intend(w, LOAD_APPEND, w->own, "%" PRIu64 " %" PRIu64, w->own_bytes, w->own_bytes + more);
    rc = fs_append(w->fs, w->own, rng_below(&w->rng.rng, 4) == 0, &wr, &why);
    if (!ended(w, rc, &why, w->own_bytes) ||
        write_bytes(w, wr, w->own, seed, w->own_bytes, w->own_bytes + more, &why) != RC_OK ||
        !close_file(w, wr, w->own, w->own_bytes + more))
        w->own[0] = '\0';       /* its length is not known: another one */
    else
        w->own_bytes += more;
}

/* One of the closed files, whole. */
static void
read_turn(struct worker *w)
{
    struct load *l = w->l;
    char path[LOAD_PATH_MAX] = "";
    uint64_t seed = 0, bytes = 0, at = 0;
    uint8_t piece[PIECE];
    struct fs_reader *r;
    struct why why;
    size_t n = 0, good, i;
    enum rc rc;

    mutex_lock(l->w->threads, l->mu);
    if (l->done_n > 0) {
        i = (size_t)rng_below(&w->rng.rng, l->done_n);
        memcpy(path, l->done[i].path, sizeof path);
        seed = l->done[i].seed;
        bytes = l->done[i].bytes;
    }
    mutex_unlock(l->w->threads, l->mu);
    if (path[0] == '\0') {
        thread_sleep_until(l->w->threads, now_ms(w) + 20);
        return;
    }
    w->op = LOAD_READ;
    w->began_ms = now_ms(w);
    if ((rc = fs_open_read(w->fs, path, &r, &why)) == RC_OK) {
        do {
            rc = fs_pread(r, piece, sizeof piece, at, &n, &why);
            if (rc == RC_OK && (good = load_compare(seed, at, piece, n)) < n) {
                say(w, "X %s: wrong byte at %" PRIu64, path, at + good);
                atomic_fetch_add(&l->wrong, 1);
            }
            at += n;
        } while (rc == RC_OK && n > 0);
        fs_close_read(r);
    }
    if (rc == RC_NOT_FOUND || (rc == RC_OK && at != bytes)) {
        say(w, "X %s: %s, %" PRIu64 " of %" PRIu64 " bytes", path, rc == RC_OK ? "too short" : why.text, at, bytes);
        atomic_fetch_add(&l->wrong, 1);
    }
    (void)ended(w, rc, &why, at);
}

static void
work(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load(&w->l->stop))
        w->turn(w);
}

/* ---- the run ---- */

static uint64_t
number(int argc, char **argv, const char *name, uint64_t dflt)
{
    size_t n = strlen(name);

    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return strtoull(argv[i] + n + 1, NULL, 10);
    return dflt;
}

static bool
start_kind(struct load *l, struct worker *all, size_t *n, uint64_t count, void (*turn)(struct worker *w))
{
    struct why why;

    for (; count > 0 && *n < WORKERS_MAX; count--) {
        struct worker *w = &all[*n];

        w->l = l;
        w->id = (unsigned)*n;
        w->turn = turn;
        rng_seed(&w->rng, l->seed * 1000 + *n);
        if (fs_open(l->w, l->conf, NULL, NULL, &w->fs, &why) != RC_OK)
            goto out;
        ++*n;
        if (thread_spawn(l->w->threads, "load", work, w, &w->thread, &why) != RC_OK)
            goto out;
    }
    return true;
out:
    fprintf(stderr, "load: %s\n", why.text);
    return false;
}

static void
wait_for_end(uint64_t seconds)
{
    char byte;

    if (seconds > 0) {
        (void)sleep((unsigned)seconds);
        return;
    }
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

int
load_run(const struct world *w, const struct conf *conf, int argc, char **argv)
{
    struct load *l = mem_zalloc(sizeof *l);
    struct worker *all = mem_calloc(WORKERS_MAX, sizeof *all);
    size_t n = 0;
    bool good;

    if (l == NULL || all == NULL || (l->mu = mutex_new(w->threads)) == NULL)
        abort();
    l->w = w;
    l->conf = conf;
    l->dir = argv[0];
    l->seed = number(argc, argv, "seed", 1);
    l->big = number(argc, argv, "big", 3000000);
    if ((l->journal = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0) {
        fprintf(stderr, "load: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    good = start_kind(l, all, &n, number(argc, argv, "creators", 8), create_turn) &&
           start_kind(l, all, &n, number(argc, argv, "putters", 2), put_turn) &&
           start_kind(l, all, &n, number(argc, argv, "appenders", 1), append_turn) &&
           start_kind(l, all, &n, number(argc, argv, "getters", 2), read_turn);
    if (good)
        wait_for_end(number(argc, argv, "seconds", 0));
    atomic_store(&l->stop, true);
    for (size_t i = 0; i < n; i++) {
        if (all[i].thread != NULL)
            thread_join(w->threads, all[i].thread);
        fs_close(all[i].fs);
    }
    good = good && atomic_load(&l->wrong) == 0;
    (void)close(l->journal);    /* each line is there */
    mutex_free(w->threads, l->mu);
    mem_free(all);
    mem_free(l);
    return good ? 0 : 1;
}
