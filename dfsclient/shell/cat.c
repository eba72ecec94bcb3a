/* What prints or joins contents: cat, text, head, tail, checksum, getmerge, appendToFile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "dfsclient/shell/copy.h"

#define TAIL_BYTES 1024

static bool
is_file(struct sh *sh, const struct item *it)
{
    if (it->st.is_dir)
        sh_fail_path(sh, it->shown, "Is a directory");
    return !it->st.is_dir;
}

/* Bytes [from, from + n) of an open file to out, from a position that the source is at. */
static enum rc
print_range(struct source *s, uint64_t from, uint64_t n, FILE *out, uint64_t *ret_end, struct why *why)
{
    uint8_t *room = mem_alloc(COPY_BYTES);
    size_t got = 1;
    enum rc rc = RC_OK;

    if (room == NULL)
        return why_rc(why, RC_NOMEM);
    while (rc == RC_OK && n > 0 && got > 0) {
        size_t want = n < COPY_BYTES ? (size_t)n : COPY_BYTES;
        if ((rc = source_read(s, room, want, from, &got, why)) != RC_OK)
            break;
        if (fwrite(room, 1, got, out) != got)
            rc = why_errno(why, errno, "write");
        from += got;
        n -= got;
    }
    *ret_end = from;
    mem_free(room);
    return rc;
}

static void
print_file(struct sh *sh, struct item *it, uint64_t from, uint64_t n)
{
    struct source s;
    struct why why;
    uint64_t end;
    enum rc rc;

    if (!is_file(sh, it))
        return;
    if ((rc = source_open(it, &s, &why)) == RC_OK) {
        if (s.fd >= 0 && from > 0 && lseek(s.fd, (off_t)from, SEEK_SET) < 0)
            rc = why_errno(&why, errno, "%s", it->shown);
        if (rc == RC_OK)
            rc = print_range(&s, from, n, stdout, &end, &why);
        source_close(&s);
    }
    if (rc != RC_OK)
        sh_fail(sh, &why);
}

static void
print_all(struct sh *sh, struct item *it, void *arg)
{
    (void)arg;
    print_file(sh, it, 0, UINT64_MAX);
}

int
cmd_cat(struct sh *sh, int argc, char **argv)
{
    bool ignored = false;
    const struct option_row rows[] = { { "ignoreCrc", &ignored, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, print_all, NULL, NULL);
}

static void
print_head(struct sh *sh, struct item *it, void *arg)
{
    (void)arg;
    print_file(sh, it, 0, TAIL_BYTES);
}

int
cmd_head(struct sh *sh, int argc, char **argv)
{
    int exit_code = sh_options(sh, &argc, &argv, NULL, 0, 1, 1);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, print_head, NULL, NULL);
}

struct tail {
    bool follow;
    uint64_t every_ms;
};

static void
print_tail(struct sh *sh, struct item *it, void *arg)
{
    const struct tail *t = arg;
    uint64_t at = it->st.bytes;
    struct why why;

    print_file(sh, it, at > TAIL_BYTES ? at - TAIL_BYTES : 0, TAIL_BYTES);
    while (t->follow && sh->exit_code == EXIT_OK) {
        struct source s;
        fflush(stdout);
        thread_sleep_until(sh->w.threads, clock_deadline(sh->w.clock, t->every_ms));
        if (sh_stat(sh, it, &sh->arena, &why) != RC_OK || source_open(it, &s, &why) != RC_OK) {
            sh_fail(sh, &why);
            return;
        }
        uint64_t size = s.reader != NULL ? fs_reader_size(s.reader) : it->st.bytes;
        if (size < at)
            at = size;
        if (s.fd >= 0)
            (void)lseek(s.fd, (off_t)at, SEEK_SET);     /* a file: it can */
        if (print_range(&s, at, size - at, stdout, &at, &why) != RC_OK)
            sh_fail(sh, &why);
        source_close(&s);
    }
}

int
cmd_tail(struct sh *sh, int argc, char **argv)
{
    struct tail t = { .every_ms = 5000 };
    const char *interval = NULL;
    const struct option_row rows[] = { { "f", &t.follow, NULL }, { "s", NULL, &interval } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, 1);

    if (exit_code != 0)
        return exit_code;
    if (interval != NULL && (t.every_ms = strtoull(interval, NULL, 10)) == 0)
        return sh_usage(sh, "\"%s\" is no interval in milliseconds", interval);
    return sh_each(sh, argc, argv, print_tail, NULL, &t);
}

static void
print_checksum(struct sh *sh, struct item *it, void *arg)
{
    const bool *verbose = arg;
    char *algorithm, *hex;
    struct why why;

    if (!is_file(sh, it))
        return;
    if (it->fs == NULL) {
        printf("%s\tNONE\t\n", it->shown);
        return;
    }
    if (fs_checksum(it->fs, it->path, &sh->arena, &algorithm, &hex, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (*verbose)
        printf("%s\t%s\t%s\tBlockSize=%llu\n", it->shown, algorithm, hex, (unsigned long long)it->st.block_bytes);
    else
        printf("%s\t%s\t%s\n", it->shown, algorithm, hex);
}

int
cmd_checksum(struct sh *sh, int argc, char **argv)
{
    bool verbose = false;
    const struct option_row rows[] = { { "v", &verbose, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, print_checksum, NULL, &verbose);
}

struct merge {
    FILE *out;
    bool newline, skip_empty;
};

static void
merge_file(struct sh *sh, const struct merge *m, const struct item *it)
{
    struct source s;
    struct why why;
    uint64_t end;

    if (it->st.bytes == 0 && m->skip_empty)
        return;
    if (source_open(it, &s, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    if (print_range(&s, 0, UINT64_MAX, m->out, &end, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (m->newline)
        fputc('\n', m->out);
    source_close(&s);
}

static void
merge_one(struct sh *sh, struct item *it, void *arg)
{
    struct item_list l;
    struct why why;

    if (!it->st.is_dir) {
        merge_file(sh, arg, it);
        return;
    }
    item_list_init(&l);
    if (sh_children(sh, it, &l, &why) != RC_OK)
        sh_fail(sh, &why);
    for (size_t i = 0; i < l.n; i++)
        if (!l.v[i].st.is_dir)
            merge_file(sh, arg, &l.v[i]);
    item_list_fini(&l);
}

int
cmd_getmerge(struct sh *sh, int argc, char **argv)
{
    struct merge m = { .newline = false };
    const struct option_row rows[] = { { "nl", &m.newline, NULL }, { "skip-empty-file", &m.skip_empty, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 2, INT32_MAX);
    struct item dst;
    struct why why;

    if (exit_code != 0)
        return exit_code;
    if (copy_local_item(sh, argv[argc - 1], &sh->arena, &dst, &why) != RC_OK) {
        sh_fail(sh, &why);
        return sh->exit_code;
    }
    if (dst.exists && dst.st.is_dir) {
        sh_fail_path(sh, dst.shown, "Is a directory");
        return sh->exit_code;
    }
    if ((m.out = fopen(dst.path, "we")) == NULL) {
        sh_fail_text(sh, "%s: %s", dst.shown, strerror(errno));
        return sh->exit_code;
    }
    exit_code = sh_each(sh, argc - 1, argv, merge_one, NULL, &m);
    if (fclose(m.out) != 0)
        sh_fail_text(sh, "%s: %s", dst.shown, strerror(errno));
    return sh->exit_code;
}

/* One local file, or standard input, behind what the writer has. */
static enum rc
append_from(struct sh *sh, const char *word, struct fs_writer *wr, struct why *why)
{
    uint8_t *room = mem_alloc(COPY_BYTES);
    struct source s = { .fd = STDIN_FILENO };
    struct item it;
    size_t n = 1;
    enum rc rc = RC_OK;

    if (room == NULL)
        return why_rc(why, RC_NOMEM);
    if (strcmp(word, "-") != 0 && (rc = copy_local_item(sh, word, &sh->arena, &it, why)) == RC_OK)
        rc = source_open(&it, &s, why);
    if (rc == RC_OK) {
        for (uint64_t at = 0; rc == RC_OK && n > 0; at += n)
            if ((rc = source_read(&s, room, COPY_BYTES, at, &n, why)) == RC_OK)
                rc = fs_write(wr, room, n, why);
        source_close(&s);
    }
    mem_free(room);
    return rc;
}

int
cmd_append(struct sh *sh, int argc, char **argv)
{
    bool new_block = false;
    const struct option_row rows[] = { { "n", &new_block, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);
    struct fs_writer *wr = NULL;
    struct item dst, src;
    struct why why;
    enum rc rc = RC_OK;

    if (exit_code != 0)
        return exit_code;
    if (argc < 2) {
        sh_fail_text(sh, "missing destination argument");
        return sh->exit_code;
    }
    for (int i = 0; i + 1 < argc && rc == RC_OK; i++)
        if (strcmp(argv[i], "-") != 0 && (rc = copy_local_item(sh, argv[i], &sh->arena, &src, &why)) == RC_OK && !src.exists)
            rc = why_set(&why, RC_SYS_NOT_FOUND, "%s", argv[i]);
    if (rc == RC_OK && (rc = sh_item(sh, argv[argc - 1], &sh->arena, &dst, &why)) == RC_OK && dst.fs == NULL)
        rc = why_set(&why, RC_UNSUPPORTED, "`%s': not on a cluster", dst.shown);
    if (rc == RC_OK && (rc = sh_stat(sh, &dst, &sh->arena, &why)) == RC_OK)
        rc = dst.exists ? fs_append(dst.fs, dst.path, new_block, &wr, &why) : fs_create(dst.fs, dst.path, NULL, &wr, &why);
    for (int i = 0; i + 1 < argc && rc == RC_OK; i++)
        rc = append_from(sh, argv[i], wr, &why);
    if (rc == RC_OK)
        rc = fs_close_write(wr, &why);
    else
        fs_abandon_write(wr);
    if (rc != RC_OK)
        sh_fail(sh, &why);
    return sh->exit_code;
}
