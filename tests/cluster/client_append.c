/*
 * One file that is written, appended to and read by commands on standard input, for tests that kill daemons in between.
 *
 *     client_append hdfs://host:port [KEY=VALUE ...]
 *
 *     create PATH, append PATH, write BYTES, hflush, hsync, close, drop       the writer
 *     read PATH       a new reader: all bytes of the file, each compared
 *
 * The byte at offset i of every file is a function of i.  Each command is answered by "ok BYTES MS" (bytes of the file so
 * far, or read; milliseconds that it took) or "failed RC TEXT".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/net.h"
#include "dfsclient/fs.h"

struct test {
    struct world w;
    struct fs *fs;
    struct fs_writer *wr;
    uint64_t bytes;         /* of the writer's file */
};

static void
content(uint64_t at, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t x = ((at + i) / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);

        x ^= x >> 29;
        p[i] = (uint8_t)(x >> (8 * ((at + i) % 8)));
    }
}

static enum rc
open_writer(struct test *t, const char *path, bool appending, struct why *why)
{
    struct fs_status st;
    struct arena a;
    enum rc rc;

    if (t->wr != NULL)
        return why_set(why, RC_BUG, "a file is open");
    if (!appending) {
        t->bytes = 0;
        return fs_create(t->fs, path, NULL, &t->wr, why);
    }
    arena_init(&a, MB);
    if ((rc = fs_append(t->fs, path, false, &t->wr, why)) == RC_OK && (rc = fs_stat(t->fs, path, &a, &st, why)) == RC_OK)
        t->bytes = st.bytes;
    arena_fini(&a);
    return rc;
}

static enum rc
write_bytes(struct test *t, uint64_t n, struct why *why)
{
    uint8_t p[8192];
    enum rc rc = RC_OK;

    while (n > 0 && rc == RC_OK) {
        size_t part = n < sizeof p ? (size_t)n : sizeof p;

        content(t->bytes, p, part);
        if ((rc = fs_write(t->wr, p, part, why)) == RC_OK)
            t->bytes += part;
        n -= part;
    }
    return rc;
}

static enum rc
read_all(struct test *t, const char *path, uint64_t *ret, struct why *why)
{
    uint8_t got[8192], want[sizeof got];
    struct fs_reader *r;
    uint64_t at = 0, size;
    size_t n = 1;
    enum rc rc;

    if ((rc = fs_open_read(t->fs, path, &r, why)) != RC_OK)
        return rc;
    size = fs_reader_size(r);
    for (; n > 0; at += n) {
        if ((rc = fs_pread(r, got, sizeof got, at, &n, why)) != RC_OK)
            goto out;
        content(at, want, n);
        for (size_t i = 0; i < n; i++)
            if (got[i] != want[i]) {
                rc = why_set(why, RC_CORRUPT, "byte %llu of %s is wrong", (unsigned long long)(at + i), path);
                goto out;
            }
    }
    if (at != size)
        rc = why_set(why, RC_CORRUPT, "%s ends at %llu of %llu", path, (unsigned long long)at, (unsigned long long)size);
    *ret = at;
out:
    fs_close_read(r);
    return rc;
}

static enum rc
run(struct test *t, const char *what, const char *arg, uint64_t *ret, struct why *why)
{
    struct fs_writer *wr = t->wr;
    enum rc rc;

    if (strcmp(what, "read") == 0)
        return read_all(t, arg, ret, why);
    if (strcmp(what, "create") == 0 || strcmp(what, "append") == 0)
        rc = open_writer(t, arg, what[0] == 'a', why);
    else if (wr == NULL)
        rc = why_set(why, RC_BUG, "no file is open");
    else if (strcmp(what, "write") == 0)
        rc = write_bytes(t, strtoull(arg, NULL, 10), why);
    else if (strcmp(what, "hflush") == 0 || strcmp(what, "hsync") == 0)
        rc = fs_flush(wr, what[1] == 's', why);
    else if (strcmp(what, "close") == 0)
        rc = (t->wr = NULL, fs_close_write(wr, why));
    else if (strcmp(what, "drop") == 0)
        rc = (t->wr = NULL, fs_abandon_write(wr), RC_OK);
    else
        rc = why_set(why, RC_BUG, "unknown command");
    *ret = t->bytes;
    return rc;
}

int
main(int argc, char **argv)
{
    struct test t = { .bytes = 0 };
    char line[400], what[20], arg[300];
    struct why why = { .text = "" };
    struct conf c;

    world_posix(&t.w);
    if (argc < 2 || conf_init(&c, CL, &why) != RC_OK) {
        fprintf(stderr, "usage: client_append hdfs://host:port [KEY=VALUE ...]\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        if (conf_set_pair(&c, argv[i], "command line", &why) != RC_OK) {
            fprintf(stderr, "%s: %s\n", argv[i], why.text);
            return 2;
        }
    if (fs_open(&t.w, &c, argv[1], NULL, &t.fs, &why) != RC_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        uint64_t start = clock_mono_ms(t.w.clock), bytes = 0;
        enum rc rc;

        arg[0] = '\0';
        if (sscanf(line, "%19s %299s", what, arg) < 1)
            continue;
        if ((rc = run(&t, what, arg, &bytes, &why)) == RC_OK)
            printf("ok %llu %llu\n", (unsigned long long)bytes, (unsigned long long)(clock_mono_ms(t.w.clock) - start));
        else
            printf("failed %s %s\n", rc_name(rc), why.text);
        fflush(stdout);
    }
    fs_abandon_write(t.wr);
    fs_close(t.fs);
    conf_fini(&c);
    return 0;
}
