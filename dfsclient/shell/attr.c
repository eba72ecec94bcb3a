/* What changes a name's attributes: chmod, chown, chgrp, setrep, touch, touchz, truncate. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/io/thread.h"
#include "dfsclient/shell/format.h"
#include "dfsclient/shell/shell.h"

struct change {
    bool recursive;
    const char *mode;
    char *owner, *group;
    uint32_t replication;
    bool wait;
    struct item_list waiting;
};

static bool
on_cluster(struct sh *sh, const struct item *it)
{
    if (it->fs == NULL)
        sh_fail_path(sh, it->shown, "Not on a cluster");
    return it->fs != NULL;
}

static void
each_below(struct sh *sh, struct item *it, void (*fn)(struct sh *sh, struct item *it, void *arg), struct change *c)
{
    if (c->recursive)
        sh_walk(sh, it, fn, c);
    else
        fn(sh, it, c);
}

static void
change_mode(struct sh *sh, struct item *it, void *arg)
{
    const struct change *c = arg;
    uint32_t mode = 0;
    struct why why;

    if (!on_cluster(sh, it))
        return;
    if (format_parse_mode(c->mode, it->st.is_dir, it->st.mode, &mode, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (mode != it->st.mode && fs_set_permission(it->fs, it->path, mode, &why) != RC_OK)
        sh_fail_text(sh, "changing permissions of '%s': %.*s", it->shown, (int)strcspn(why.text, "\n"), why.text);
}

static void
chmod_one(struct sh *sh, struct item *it, void *arg)
{
    each_below(sh, it, change_mode, arg);
}

int
cmd_chmod(struct sh *sh, int argc, char **argv)
{
    struct change c = { .recursive = false };
    uint32_t mode;
    struct why why;
    int min = 2;

    if (argc > 0 && strcmp(argv[0], "-R") == 0) {
        c.recursive = true;
        argc--;
        argv++;
    }
    if (argc > 0 && strcmp(argv[0], "--") == 0) {
        argc--;
        argv++;
    }
    if (argc < min)
        return sh_usage(sh, "Not enough arguments: expected %d but got %d", min, argc);
    c.mode = argv[0];       /* "-w" is a mode, not an option */
    if (format_parse_mode(c.mode, false, 0, &mode, &why) != RC_OK)
        return sh_usage(sh, "%s", why.text);
    return sh_each(sh, argc - 1, argv + 1, chmod_one, NULL, &c);
}

static void
change_owner(struct sh *sh, struct item *it, void *arg)
{
    const struct change *c = arg;
    const char *owner = c->owner != NULL && strcmp(c->owner, it->st.owner) != 0 ? c->owner : NULL;
    const char *group = c->group != NULL && strcmp(c->group, it->st.group) != 0 ? c->group : NULL;
    struct why why;

    if (!on_cluster(sh, it) || (owner == NULL && group == NULL))
        return;
    if (fs_set_owner(it->fs, it->path, owner, group, &why) != RC_OK)
        sh_fail_text(sh, "changing ownership of '%s': %.*s", it->shown, (int)strcspn(why.text, "\n"), why.text);
}

static void
chown_one(struct sh *sh, struct item *it, void *arg)
{
    each_below(sh, it, change_owner, arg);
}

/* Letters, digits and -_./@ with an inner @ only in owners as in "user@REALM". */
static bool
is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && strchr("-_./@ ", s[i]) == NULL && (unsigned char)s[i] < 0x80)
            return false;
    return true;
}

static int
change_ownership(struct sh *sh, int argc, char **argv, bool only_group)
{
    struct change c = { .recursive = false };
    const struct option_row rows[] = { { "R", &c.recursive, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 2, INT32_MAX);
    const char *colon;
    size_t n;

    if (exit_code != 0)
        return exit_code;
    if (only_group) {
        if (argv[0][0] == '\0' || !is_name(argv[0], strlen(argv[0])))
            return sh_usage(sh, "'%s' does not match expected pattern for group", argv[0]);
        c.group = argv[0];
    } else {
        colon = strchr(argv[0], ':');
        n = colon != NULL ? (size_t)(colon - argv[0]) : strlen(argv[0]);
        if (!is_name(argv[0], n) || (colon != NULL && !is_name(colon + 1, strlen(colon + 1))) || argv[0][0] == '\0')
            return sh_usage(sh, "'%s' does not match expected pattern for [owner][:group].", argv[0]);
        if (n > 0 && (c.owner = arena_strndup(&sh->arena, argv[0], n)) == NULL)
            return EXIT_FAILED;
        if (colon != NULL && colon[1] != '\0')
            c.group = argv[0] + n + 1;
    }
    return sh_each(sh, argc - 1, argv + 1, chown_one, NULL, &c);
}

int
cmd_chown(struct sh *sh, int argc, char **argv)
{
    return change_ownership(sh, argc, argv, false);
}

int
cmd_chgrp(struct sh *sh, int argc, char **argv)
{
    return change_ownership(sh, argc, argv, true);
}

static void
set_replication(struct sh *sh, struct item *it, void *arg)
{
    struct change *c = arg;
    bool done = false;
    struct why why;

    if (it->st.is_dir || !on_cluster(sh, it))
        return;
    if (fs_set_replication(it->fs, it->path, c->replication, &done, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    if (!done) {
        sh_fail_text(sh, "Could not set replication for: %s", it->shown);
        return;
    }
    printf("Replication %u set: %s\n", c->replication, it->shown);
    if (c->wait && sh_item(sh, it->shown, &c->waiting.arena, it, &why) == RC_OK &&
        item_list_add(&c->waiting, it, &why) != RC_OK)
        sh_fail(sh, &why);
}

static void
setrep_one(struct sh *sh, struct item *it, void *arg)
{
    sh_walk(sh, it, set_replication, arg);
}

static void
wait_for(struct sh *sh, const struct change *c, const struct item *it)
{
    bool warned = false, ready = false;
    struct fs_block *blocks;
    struct arena a;
    uint64_t bytes;
    struct why why;
    size_t n;

    arena_init(&a, 256 * MB);
    printf("Waiting for %s ...", it->shown);
    fflush(stdout);
    while (!ready) {
        arena_reset(&a);
        if (fs_blocks(it->fs, it->path, 0, INT64_MAX, &a, &blocks, &n, &bytes, &why) != RC_OK) {
            sh_fail(sh, &why);
            break;
        }
        ready = true;
        for (size_t i = 0; i < n; i++) {
            ready = ready && blocks[i].location_count == c->replication;
            if (!warned && blocks[i].location_count > c->replication) {
                warned = true;
                printf("\nWARNING: the waiting time may be long for DECREASING the number of replications.\n");
            }
        }
        if (!ready) {
            printf(".");
            fflush(stdout);
            thread_sleep_until(sh->w.threads, clock_deadline(sh->w.clock, 1000));
        }
    }
    if (ready)
        printf(" done\n");
    arena_fini(&a);
}

int
cmd_setrep(struct sh *sh, int argc, char **argv)
{
    struct change c = { .recursive = false };
    const struct option_row rows[] = { { "R", &c.recursive, NULL }, { "w", &c.wait, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 2, INT32_MAX);
    char *end;
    long n;

    if (exit_code != 0)
        return exit_code;
    n = strtol(argv[0], &end, 10);
    if (*end != '\0' || end == argv[0] || n > 32767 || n < -32768) {
        fprintf(stderr, "%s: Illegal replication, a positive integer expected\n", sh->cmd->name);
        return sh_usage(sh, "For input string: \"%s\"", argv[0]);
    }
    if (n < 1)
        return sh_usage(sh, "replication must be >= 1");
    c.replication = (uint32_t)n;
    item_list_init(&c.waiting);
    exit_code = sh_each(sh, argc - 1, argv + 1, setrep_one, NULL, &c);
    for (size_t i = 0; i < c.waiting.n; i++)
        wait_for(sh, &c, &c.waiting.v[i]);
    item_list_fini(&c.waiting);
    return sh->exit_code;
}

/* Make an empty file, in a directory that must be there. */
static void
make_empty(struct sh *sh, struct item *it)
{
    struct fs_writer *wr = NULL;
    struct item parent;
    struct why why;
    enum rc rc = RC_OK;
    char *uri;

    if (!on_cluster(sh, it))
        return;
    if (sh_parent(it, &sh->arena, &parent)) {
        if ((rc = sh_stat(sh, &parent, &sh->arena, &why)) == RC_OK && !parent.exists) {
            uri = sh_uri(it, &sh->arena);
            sh_fail_text(sh, "`%s': No such file or directory: `%s'", it->shown, uri != NULL ? uri : it->path);
            return;
        }
    }
    if (rc == RC_OK && (rc = fs_create(it->fs, it->path, NULL, &wr, &why)) == RC_OK)
        rc = fs_close_write(wr, &why);
    if (rc != RC_OK)
        sh_fail(sh, &why);
}

static void
touchz_there(struct sh *sh, struct item *it, void *arg)
{
    struct fs_create_options o = { .overwrite = true };
    struct fs_writer *wr = NULL;
    struct why why;
    enum rc rc;

    (void)arg;
    if (it->st.is_dir)
        sh_fail_path(sh, it->shown, "Is a directory");
    else if (it->st.bytes > 0)
        sh_fail_path(sh, it->shown, "Not a zero-length file");
    else if (on_cluster(sh, it)) {
        if ((rc = fs_create(it->fs, it->path, &o, &wr, &why)) == RC_OK)
            rc = fs_close_write(wr, &why);
        if (rc != RC_OK)
            sh_fail(sh, &why);
    }
}

static void
touchz_missing(struct sh *sh, struct item *it, void *arg)
{
    (void)arg;
    make_empty(sh, it);
}

int
cmd_touchz(struct sh *sh, int argc, char **argv)
{
    int exit_code = sh_options(sh, &argc, &argv, NULL, 0, 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, touchz_there, touchz_missing, NULL);
}

struct touch {
    bool access, modify, no_create;
    int64_t at_ms;
};

static void
set_times(struct sh *sh, struct item *it, void *arg)
{
    const struct touch *t = arg;
    bool both = t->access == t->modify;
    struct why why;

    if (on_cluster(sh, it) &&
        fs_set_times(it->fs, it->path, both || t->modify ? t->at_ms : -1, both || t->access ? t->at_ms : -1, &why) != RC_OK)
        sh_fail(sh, &why);
}

static void
touch_missing(struct sh *sh, struct item *it, void *arg)
{
    const struct touch *t = arg;

    if (t->no_create)
        return;
    make_empty(sh, it);
    if (sh->exit_code == EXIT_OK)
        set_times(sh, it, arg);
}

int
cmd_touch(struct sh *sh, int argc, char **argv)
{
    struct touch t = { .at_ms = (int64_t)clock_wall_ms(sh->w.clock) };
    const char *when = NULL, *end;
    const struct option_row rows[] = { { "a", &t.access, NULL }, { "m", &t.modify, NULL }, { "t", NULL, &when },
                                       { "c", &t.no_create, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);
    struct tm tm = { .tm_isdst = -1 };

    if (exit_code != 0)
        return exit_code;
    if (when != NULL) {
        end = strptime(when, "%Y%m%d:%H%M%S", &tm);
        if (end == NULL || *end != '\0' || strlen(when) != 15)
            return sh_usage(sh, "Unable to parse the specified timestamp %s. The expected format is yyyyMMdd:HHmmss", when);
        t.at_ms = (int64_t)mktime(&tm) * 1000;
    }
    return sh_each(sh, argc, argv, set_times, touch_missing, &t);
}

struct truncate {
    uint64_t bytes;
    bool wait;
};

static void
truncate_one(struct sh *sh, struct item *it, void *arg)
{
    const struct truncate *t = arg;
    bool done = false;
    struct why why;

    if (it->st.is_dir) {
        sh_fail_path(sh, it->shown, "Is a directory");
        return;
    }
    if (!on_cluster(sh, it))
        return;
    if (t->bytes > it->st.bytes) {
        sh->exit_code = sh_usage(sh, "Cannot truncate to a larger file size. Current size: %llu, truncate size: %llu.",
                                 (unsigned long long)it->st.bytes, (unsigned long long)t->bytes);
        return;
    }
    if (fs_truncate(it->fs, it->path, t->bytes, &done, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    if (!done && !t->wait) {
        printf("Truncating %s to length: %llu. Wait for block recovery to complete before further updating this file.\n",
               it->shown, (unsigned long long)t->bytes);
        return;
    }
    if (!done)
        printf("Waiting for %s ...\n", it->shown);
    while (!done) {
        thread_sleep_until(sh->w.threads, clock_deadline(sh->w.clock, 500));
        if (fs_is_closed(it->fs, it->path, &done, &why) != RC_OK) {
            sh_fail(sh, &why);
            return;
        }
    }
    printf("Truncated %s to length: %llu\n", it->shown, (unsigned long long)t->bytes);
}

int
cmd_truncate(struct sh *sh, int argc, char **argv)
{
    struct truncate t = { .wait = false };
    const struct option_row rows[] = { { "w", &t.wait, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 2, INT32_MAX);
    char *end;

    if (exit_code != 0)
        return exit_code;
    t.bytes = strtoull(argv[0], &end, 10);
    if (*end != '\0' || end == argv[0]) {
        fprintf(stderr, "%s: Illegal length, a non-negative integer expected\n", sh->cmd->name);
        return sh_usage(sh, "For input string: \"%s\"", argv[0]);
    }
    return sh_each(sh, argc - 1, argv + 1, truncate_one, NULL, &t);
}
