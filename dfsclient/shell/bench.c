/*
 * dfs bench: how fast this cluster is for this machine.
 *
 * Threads of one process do one operation each, over and over, on names of their
 * own in a new directory; phase follows phase, and each gives a rate and times.
 * What is read is compared with what was written.  The directory goes at the end,
 * also after a failure and on Ctrl-C.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "dfsclient/shell/format.h"
#include "dfsclient/shell/shell.h"

#define THREADS_MAX 256
#define CALL_BYTES (1 * MB)         /* of one write or read of a stream */
#define COUNT_MAX 10000000
#define SMALL_BYTES_MAX (1 * MB)

struct bench;
struct phase;

struct worker {
    struct bench *b;
    const struct phase *phase;      /* that it runs */
    struct thread *thread;
    unsigned number;
    uint64_t operations;            /* of this phase, to do */
    uint64_t done;
    uint32_t *took_us;              /* one an operation */
    uint8_t *block;                 /* read into */
    struct why why;
    enum rc rc;
};

struct bench {
    struct sh *sh;
    struct fs *fs;
    const char *dir;                /* ours, absolute */
    uint8_t *pattern;               /* CALL_BYTES that every stream and small file is made of */
    uint64_t threads, files, small_bytes, stream_bytes, replication;
    bool json, wants[3];            /* of enum part */
    bool printed;                   /* a row of JSON */
    struct table table;
    struct worker *workers;
};

enum part { PART_STREAM, PART_SMALL, PART_META };
static const char *const part_names[] = { "stream", "small", "meta" };

/* One phase: what a thread does once.  A stream's operations are calls of CALL_BYTES. */
struct phase {
    const char *name;
    enum part part;
    bool is_stream;
    enum rc (*run)(struct worker *x, struct why *why);      /* all of a thread's operations */
};

typedef char bench_path[512];

static void
name_of(const struct worker *x, const char *kind, uint64_t i, bench_path out)
{
    snprintf(out, sizeof(bench_path), "%s/%u/%s%llu", x->b->dir, x->number, kind, (unsigned long long)i);
}

static void
note(struct worker *x, uint64_t began_us)
{
    uint64_t us = clock_mono_us(x->b->sh->w.clock) - began_us;

    x->took_us[x->done++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static enum rc
write_file(struct worker *x, const char *path, uint64_t bytes, bool timed, struct why *why)
{
    struct fs_create_options o = { .replication = (uint32_t)x->b->replication, .no_parents = true };
    struct fs_writer *wr = NULL;
    uint64_t began;
    enum rc rc;

    if ((rc = fs_create(x->b->fs, path, &o, &wr, why)) != RC_OK)
        return rc;
    for (uint64_t at = 0; at < bytes && rc == RC_OK; at += CALL_BYTES) {
        began = clock_mono_us(x->b->sh->w.clock);
        rc = fs_write(wr, x->b->pattern, bytes - at < CALL_BYTES ? (size_t)(bytes - at) : CALL_BYTES, why);
        if (timed && rc == RC_OK)
            note(x, began);
    }
    if (rc == RC_OK)
        return fs_close_write(wr, why);
    fs_abandon_write(wr);
    return rc;
}

static enum rc
read_file(struct worker *x, const char *path, uint64_t bytes, bool timed, struct why *why)
{
    struct fs_reader *r = NULL;
    uint64_t began;
    size_t got = 0, want;
    enum rc rc;

    if ((rc = fs_open_read(x->b->fs, path, &r, why)) != RC_OK)
        return rc;
    for (uint64_t at = 0; at < bytes && rc == RC_OK; at += CALL_BYTES) {
        want = bytes - at < CALL_BYTES ? (size_t)(bytes - at) : CALL_BYTES;
        began = clock_mono_us(x->b->sh->w.clock);
        rc = fs_pread(r, x->block, want, at, &got, why);
        if (timed && rc == RC_OK)
            note(x, began);
        if (rc == RC_OK && (got != want || memcmp(x->block, x->b->pattern, want) != 0))
            rc = why_set(why, RC_CORRUPT, "%s: what was read at %llu is not what was written", path, (unsigned long long)at);
    }
    fs_close_read(r);
    return rc;
}

/* --- The phases. */

static enum rc
do_write(struct worker *x, struct why *why)
{
    bench_path path;

    name_of(x, "stream", 0, path);
    return write_file(x, path, x->b->stream_bytes, true, why);
}

static enum rc
do_read(struct worker *x, struct why *why)
{
    bench_path path;

    name_of(x, "stream", 0, path);
    return read_file(x, path, x->b->stream_bytes, true, why);
}

static enum rc
each(struct worker *x, const char *kind, enum rc (*once)(struct worker *x, uint64_t i, const char *path, struct why *why),
     struct why *why)
{
    bench_path path;
    uint64_t began;
    enum rc rc;

    for (uint64_t i = 0; i < x->operations; i++) {
        name_of(x, kind, i, path);
        began = clock_mono_us(x->b->sh->w.clock);
        if ((rc = once(x, i, path, why)) != RC_OK)
            return rc;
        note(x, began);
    }
    return RC_OK;
}

static enum rc
once_put(struct worker *x, uint64_t i, const char *path, struct why *why)
{
    (void)i;
    return write_file(x, path, x->b->small_bytes, false, why);
}

static enum rc
once_get(struct worker *x, uint64_t i, const char *path, struct why *why)
{
    (void)i;
    return read_file(x, path, x->b->small_bytes, false, why);
}

static enum rc
once_mkdir(struct worker *x, uint64_t i, const char *path, struct why *why)
{
    (void)i;
    return fs_mkdirs(x->b->fs, path, 0700, false, why);
}

static enum rc
once_stat(struct worker *x, uint64_t i, const char *path, struct why *why)
{
    struct fs_status st;
    struct arena a;
    enum rc rc;

    (void)i;
    arena_init(&a, 64 * KB);
    rc = fs_stat(x->b->fs, path, &a, &st, why);
    arena_fini(&a);
    return rc;
}

static enum rc
once_rename(struct worker *x, uint64_t i, const char *path, struct why *why)
{
    bench_path to;

    name_of(x, "renamed", i, to);
    return fs_rename_to(x->b->fs, path, to, false, why);
}

static enum rc
once_delete(struct worker *x, uint64_t i, const char *path, struct why *why)
{
    bool deleted = false;
    enum rc rc = fs_delete(x->b->fs, path, false, &deleted, why);

    (void)i;
    return rc == RC_OK && !deleted ? why_set(why, RC_NOT_FOUND, "%s: it was not there to delete", path) : rc;
}

static enum rc do_put(struct worker *x, struct why *why) { return each(x, "small", once_put, why); }
static enum rc do_get(struct worker *x, struct why *why) { return each(x, "small", once_get, why); }
static enum rc do_mkdir(struct worker *x, struct why *why) { return each(x, "dir", once_mkdir, why); }
static enum rc do_stat(struct worker *x, struct why *why) { return each(x, "dir", once_stat, why); }
static enum rc do_rename(struct worker *x, struct why *why) { return each(x, "dir", once_rename, why); }
static enum rc do_delete(struct worker *x, struct why *why) { return each(x, "renamed", once_delete, why); }

static const struct phase phases[] = {
    { "write", PART_STREAM, true, do_write },    { "read", PART_STREAM, true, do_read },
    { "put", PART_SMALL, false, do_put },        { "get", PART_SMALL, false, do_get },
    { "mkdir", PART_META, false, do_mkdir },     { "stat", PART_META, false, do_stat },
    { "rename", PART_META, false, do_rename },   { "delete", PART_META, false, do_delete },
};

/* --- Running one, and what comes of it. */

static void
run_worker(void *arg)
{
    struct worker *x = arg;

    x->rc = x->phase->run(x, &x->why);
}

static int
by_time(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double
at_percent(const uint32_t *us, uint64_t n, unsigned percent)
{
    return n == 0 ? 0 : (double)us[(n - 1) * percent / 100] / 1000;
}

static void
say(struct bench *b, const struct phase *p, uint64_t bytes, uint64_t us, uint32_t *took, uint64_t n)
{
    double seconds = (double)(us ? us : 1) / 1e6, rate = (double)n / seconds, mb = (double)bytes / 1e6 / seconds;
    char text[7][32];

    qsort(took, n, sizeof *took, by_time);
    if (b->json) {
        printf("%s\n  {\"name\": \"%s\", \"threads\": %llu, \"operations\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, "
               "\"mb_per_second\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}", b->printed ? "," : "", p->name,
               (unsigned long long)b->threads, (unsigned long long)n, (unsigned long long)bytes, seconds, rate, mb,
               at_percent(took, n, 50), at_percent(took, n, 99), at_percent(took, n, 100));
        b->printed = true;
        return;
    }
    snprintf(text[0], sizeof text[0], "%llu", (unsigned long long)n);
    snprintf(text[1], sizeof text[1], "%.2f", seconds);
    snprintf(text[2], sizeof text[2], "%.0f", rate);
    snprintf(text[3], sizeof text[3], "%.1f", mb);
    for (unsigned i = 0; i < 3; i++)
        snprintf(text[4 + i], sizeof text[4], "%.2f", at_percent(took, n, (const unsigned[]){ 50, 99, 100 }[i]));
    table_add(&b->table, (const char *const[]){ p->name, text[0], text[1], text[2], p->part == PART_META ? "" : text[3], text[4],
                                               text[5], text[6] });
}

static uint64_t
operations_of(const struct bench *b, const struct phase *p)
{
    return p->is_stream ? (b->stream_bytes + CALL_BYTES - 1) / CALL_BYTES : (b->files + b->threads - 1) / b->threads;
}

/* All threads, from the first one's start to the last one's end. */
static enum rc
run_phase(struct bench *b, const struct phase *p, struct why *why)
{
    uint64_t each_n = operations_of(b, p), began, us, n = 0, bytes;
    uint32_t *took = mem_calloc(b->threads * each_n, sizeof *took);
    struct threads *t = b->sh->w.threads;
    enum rc rc = RC_OK;

    if (took == NULL)
        return why_rc(why, RC_NOMEM);
    began = clock_mono_us(b->sh->w.clock);
    for (uint64_t i = 0; i < b->threads; i++) {
        struct worker *x = &b->workers[i];

        x->phase = p;
        x->thread = NULL;
        x->operations = each_n;
        x->done = 0;
        x->rc = RC_OK;
        x->took_us = took + i * each_n;
        if (rc == RC_OK)
            rc = thread_spawn(t, "bench", run_worker, x, &x->thread, why);
    }
    for (uint64_t i = 0; i < b->threads; i++)
        if (b->workers[i].thread != NULL)
            thread_join(t, b->workers[i].thread);
    us = clock_mono_us(b->sh->w.clock) - began;
    for (uint64_t i = 0; i < b->threads; i++) {
        if (rc == RC_OK && (rc = b->workers[i].rc) != RC_OK)
            *why = b->workers[i].why;
        n += b->workers[i].done;
    }
    bytes = p->is_stream ? b->stream_bytes * b->threads : p->part == PART_SMALL ? n * b->small_bytes : 0;
    if (rc == RC_OK)
        say(b, p, bytes, us, took, n);
    mem_free(took);
    return rc;
}

static enum rc
run_phases(struct bench *b, struct why *why)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < ARRAY_LEN(phases) && rc == RC_OK; i++)
        if (b->wants[phases[i].part])
            rc = run_phase(b, &phases[i], why);
    return rc;
}

/* --- The command. */

static enum rc
prepare(struct bench *b, struct why *why)
{
    char path[600];
    enum rc rc = RC_OK;

    if ((b->workers = mem_calloc(b->threads, sizeof *b->workers)) == NULL || (b->pattern = mem_alloc(CALL_BYTES)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < CALL_BYTES; i += 8) {
        uint64_t word = rng_u64(b->sh->w.rng);
        memcpy(b->pattern + i, &word, 8);
    }
    for (uint64_t i = 0; i < b->threads && rc == RC_OK; i++) {
        struct worker *x = &b->workers[i];

        x->b = b;
        x->number = (unsigned)i;
        if ((x->block = mem_zalloc(CALL_BYTES)) == NULL)
            return why_rc(why, RC_NOMEM);
        snprintf(path, sizeof path, "%s/%u", b->dir, x->number);
        rc = fs_mkdirs(b->fs, path, 0755, i == 0, why);     /* a home directory, too, when there is none */
    }
    return rc;
}

static void
run_bench(struct bench *b)
{
    struct sh_temp_file ours = { .fs = b->fs, .path = b->dir, .tree = true };
    struct why why;
    bool deleted;
    enum rc rc;

    table_init(&b->table, 8, 0xfe);
    table_add(&b->table, (const char *const[]){ "", "times", "seconds", "a second", "MB/s", "p50 ms", "p99 ms", "max ms" });
    sh_temp_enter(b->sh, &ours);
    if (b->json)
        printf("[");
    if ((rc = prepare(b, &why)) != RC_OK || (rc = run_phases(b, &why)) != RC_OK)
        sh_fail(b->sh, &why);
    if (b->json)
        printf("\n]\n");
    else
        table_print(&b->table, stdout);
    if (fs_delete(b->fs, b->dir, true, &deleted, &why) != RC_OK)
        sh_fail(b->sh, &why);
    sh_temp_leave(b->sh, &ours);
    for (uint64_t i = 0; b->workers != NULL && i < b->threads; i++)
        mem_free(b->workers[i].block);
    mem_free(b->workers);
    mem_free(b->pattern);
    table_fini(&b->table);
}

/* "64", "4k", "256m", "2g" from 1 to max; NULL leaves *ret as it is. */
static bool
parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    static const char units[] = "kmg";
    unsigned long long n;
    const char *unit;
    char *end;

    if (text == NULL)
        return true;
    n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || n == 0 || n > max)
        return false;
    if (*end != '\0') {
        if ((unit = strchr(units, *end)) == NULL || end[1] != '\0')
            return false;
        for (const char *u = units; u <= unit; u++)
            n *= n <= max ? 1024 : 1;
    }
    *ret = n;
    return n <= max;
}

static int
choose_parts(struct sh *sh, int argc, char **argv, struct bench *b)
{
    for (size_t k = 0; argc == 0 && k < ARRAY_LEN(part_names); k++)
        b->wants[k] = true;
    for (int i = 0; i < argc; i++) {
        size_t k = 0;

        while (k < ARRAY_LEN(part_names) && strcmp(argv[i], part_names[k]) != 0)
            k++;
        if (k == ARRAY_LEN(part_names))
            return sh_usage(sh, "\"%s\" is not stream, small or meta", argv[i]);
        b->wants[k] = true;
    }
    return 0;
}

int
cmd_bench(struct sh *sh, int argc, char **argv)
{
    struct bench b = { .sh = sh, .threads = 4, .files = 1000, .small_bytes = 4 * KB, .stream_bytes = 256 * MB };
    const char *threads = NULL, *size = NULL, *files = NULL, *small = NULL, *replicas = NULL, *under = NULL;
    const struct option_row rows[] = { { "t", NULL, &threads },    { "size", NULL, &size },  { "files", NULL, &files },
                                       { "small", NULL, &small },  { "rep", NULL, &replicas }, { "dir", NULL, &under },
                                       { "json", &b.json, NULL } };
    struct item it;
    struct why why;
    char *word;
    int code;

    if ((code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 0, 3)) != 0 || (code = choose_parts(sh, argc, argv, &b)) != 0)
        return code;
    if (!parse_number(threads, THREADS_MAX, &b.threads) || !parse_number(size, 1024 * GB, &b.stream_bytes) ||
        !parse_number(files, COUNT_MAX, &b.files) || !parse_number(small, SMALL_BYTES_MAX, &b.small_bytes) ||
        !parse_number(replicas, UINT16_MAX, &b.replication))
        return sh_usage(sh, "a number is missing, 0 or too large");
    word = arena_printf(&sh->arena, "%s%s.dfs-bench-%016llx", under != NULL ? under : "", under != NULL ? "/" : "",
                        (unsigned long long)rng_u64(sh->w.rng));
    if (word == NULL || sh_item(sh, word, &sh->arena, &it, &why) != RC_OK) {
        sh_fail_text(sh, "%s", word != NULL ? why.text : "no memory");
        return sh->exit_code;
    }
    if (it.fs == NULL || strlen(it.path) > 400)
        return sh_usage(sh, "%s: not a directory of a filesystem, or too long", under != NULL ? under : it.path);
    b.fs = it.fs;
    b.dir = it.path;
    run_bench(&b);
    return sh->exit_code;
}
