/* ls */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dfsclient/shell/format.h"
#include "dfsclient/shell/shell.h"

#define HAS_ACL 1

struct ls {
    bool only_paths, dirs_as_such, human, recursive, by_time, by_size, reverse, access_time, policies, question;
    int width_replicas, width_owner, width_group, width_policy, width_bytes;
};

static uint64_t
time_of(const struct ls *ls, const struct item *it)
{
    return ls->access_time ? it->st.atime_ms : it->st.mtime_ms;
}

static int
compare(const void *p, const void *q, void *arg)
{
    const struct item *a = p, *b = q;
    const struct ls *ls = arg;
    int d;

    if (ls->by_time)
        d = (time_of(ls, a) < time_of(ls, b)) - (time_of(ls, a) > time_of(ls, b));
    else if (ls->by_size)
        d = (a->st.bytes < b->st.bytes) - (a->st.bytes > b->st.bytes);
    else
        d = strcmp(a->path, b->path);
    if (d != 0 || (!ls->by_time && !ls->by_size))
        return ls->reverse ? -d : d;
    return strcmp(a->path, b->path);
}

static void
widen(int *width, size_t n)
{
    if ((int)n > *width)
        *width = (int)n;
}

/* Columns grow to fit what is listed, and stay so. */
static void
fit(struct ls *ls, const struct item *v, size_t n)
{
    char room[FORMAT_ROOM];

    for (size_t i = 0; i < n; i++) {
        const struct fs_status *st = &v[i].st;
        snprintf(room, sizeof room, "%u", st->replication);
        widen(&ls->width_replicas, strlen(room));
        widen(&ls->width_owner, strlen(st->owner));
        widen(&ls->width_group, strlen(st->group));
        widen(&ls->width_bytes, strlen(format_bytes(st->bytes, ls->human, room)));
        if (!st->is_dir)
            widen(&ls->width_policy, strlen("Replicated"));
    }
}

static void
print_path(const struct ls *ls, const char *path)
{
    if (!ls->question) {
        puts(path);
        return;
    }
    for (; *path != '\0'; path++)
        putchar(iscntrl((unsigned char)*path) ? '?' : *path);
    putchar('\n');
}

static void
print_one(const struct ls *ls, const struct item *it)
{
    const struct fs_status *st = &it->st;
    char mode[10], bytes[FORMAT_ROOM], when[FORMAT_ROOM], replicas[16];

    if (ls->only_paths) {
        print_path(ls, it->shown);
        return;
    }
    if (st->is_dir)
        snprintf(replicas, sizeof replicas, "-");
    else
        snprintf(replicas, sizeof replicas, "%u", st->replication);
    printf("%c%s%c%*s %-*s %-*s ", st->is_dir ? 'd' : '-', format_mode(st->mode, mode),
           (st->flags & HAS_ACL) != 0 ? '+' : ' ', ls->width_replicas, replicas, ls->width_owner, st->owner,
           ls->width_group, st->group);
    if (ls->policies)
        printf("%-*s ", ls->width_policy, st->is_dir ? "" : "Replicated");
    printf("%*s %s ", ls->width_bytes, format_bytes(st->bytes, ls->human, bytes),
           format_time(time_of(ls, it), false, "%Y-%m-%d %H:%M", when));
    print_path(ls, it->shown);
}

static void
list_dir(struct sh *sh, struct ls *ls, const struct item *dir)
{
    struct item_list l;
    struct why why;

    item_list_init(&l);
    if (sh_children(sh, dir, &l, &why) != RC_OK) {
        if (why.rc == RC_NOT_FOUND)
            sh_fail_missing(sh, dir);
        else
            sh_fail(sh, &why);
        item_list_fini(&l);
        return;
    }
    if (l.n > 0)
        qsort_r(l.v, l.n, sizeof *l.v, compare, ls);
    fit(ls, l.v, l.n);
    if (!ls->recursive && !ls->only_paths && l.n > 0)
        printf("Found %zu items\n", l.n);
    for (size_t i = 0; i < l.n; i++) {
        print_one(ls, &l.v[i]);
        if (ls->recursive && l.v[i].st.is_dir)
            list_dir(sh, ls, &l.v[i]);
    }
    item_list_fini(&l);
}

static void
list_argument(struct sh *sh, struct item *it, void *arg)
{
    struct ls *ls = arg;

    if (it->st.is_dir && !ls->dirs_as_such) {
        list_dir(sh, ls, it);
        return;
    }
    fit(ls, it, 1);
    print_one(ls, it);
}

static int
run(struct sh *sh, struct ls *ls, int argc, char **argv)
{
    char here[] = ".";
    char *current[1] = { here };
    const struct option_row rows[] = {
        { "C", &ls->only_paths, NULL }, { "d", &ls->dirs_as_such, NULL }, { "h", &ls->human, NULL },
        { "q", &ls->question, NULL },   { "R", &ls->recursive, NULL },    { "t", &ls->by_time, NULL },
        { "S", &ls->by_size, NULL },    { "r", &ls->reverse, NULL },      { "u", &ls->access_time, NULL },
        { "e", &ls->policies, NULL },
    };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 0, INT32_MAX);

    if (exit_code != 0)
        return exit_code;
    ls->width_replicas = 3;
    ls->width_bytes = 10;
    if (ls->dirs_as_such)
        ls->recursive = false;
    return sh_each(sh, argc > 0 ? argc : 1, argc > 0 ? argv : current, list_argument, NULL, ls);
}

int
cmd_ls(struct sh *sh, int argc, char **argv)
{
    struct ls ls = { .recursive = false };

    return run(sh, &ls, argc, argv);
}

int
cmd_lsr(struct sh *sh, int argc, char **argv)
{
    struct ls ls = { .recursive = true };

    return run(sh, &ls, argc, argv);
}
