/* rm, the trash, expunge, undelete */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "dfsclient/shell/format.h"
#include "dfsclient/shell/shell.h"

struct rm {
    bool force, trees, skip_trash, safely;
    int has_trash;              /* -1 not asked yet */
};

static char *
trash_root(const struct item *it, struct arena *a)
{
    return arena_printf(a, "/user/%s/.Trash", fs_user(it->fs));
}

static bool
has_trash(struct sh *sh, struct rm *rm, struct fs *fs, struct why *why)
{
    struct fs_defaults d;

    if (rm->has_trash < 0) {
        if (fs_defaults(fs, &d, why) != RC_OK)
            return false;
        rm->has_trash = d.trash_interval_min > 0 || sh->conf.trash_interval_min > 0;
    }
    (void)why_set(why, RC_OK, "%s", "");
    return rm->has_trash > 0;
}

/* A name below Current for path that is not taken. */
static enum rc
free_name(struct sh *sh, struct fs *fs, char **name, struct arena *a, struct why *why)
{
    struct fs_status st;
    char *first = *name;
    enum rc rc;

    while ((rc = fs_stat(fs, *name, a, &st, why)) == RC_OK)
        if ((*name = arena_printf(a, "%s%llu", first, (unsigned long long)clock_wall_ms(sh->w.clock))) == NULL)
            return why_rc(why, RC_NOMEM);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc
move_to_trash(struct sh *sh, struct item *it, const char *root, struct why *why)
{
    struct arena *a = &sh->arena;
    const char *uri = fs_uri(it->fs);
    char *to = arena_printf(a, "%s/Current%s", root, it->path), *dir;
    enum rc rc;

    if (to == NULL || (dir = arena_strndup(a, to, (size_t)(strrchr(to, '/') - to))) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_mkdirs(it->fs, dir, 0700, true, why)) == RC_OK && (rc = free_name(sh, it->fs, &to, a, why)) == RC_OK &&
        (rc = fs_rename_to(it->fs, it->path, to, false, why)) == RC_OK) {
        fflush(stdout);
        fprintf(stderr, "Moved: '%s%s' to trash at: %s%s\n", uri, it->path, uri, to);
        return RC_OK;
    }
    return why_prefix(why, "Failed to move %s%s to trash %s%s", uri, it->path, uri, to);
}

/* True when the item went to the trash, or when trying that failed. */
static bool
try_trash(struct sh *sh, struct rm *rm, struct item *it)
{
    char *root = trash_root(it, &sh->arena);
    struct why why = { .rc = RC_OK };

    if (root == NULL)
        return true;
    if (!has_trash(sh, rm, it->fs, &why)) {
        if (why.rc != RC_OK)
            sh_fail(sh, &why);
        return why.rc != RC_OK;
    }
    if (sh_is_under(it->path, root))
        return false;
    if (sh_is_under(root, it->path))
        sh_fail_text(sh, "Cannot move \"%s%s\" to the trash, as it contains the trash. Consider using -skipTrash option",
                     fs_uri(it->fs), it->path);
    else if (move_to_trash(sh, it, root, &why) != RC_OK)
        sh_fail(sh, &why);
    return true;
}

/* rm -safely asks before it deletes much. */
static bool
may_delete(struct sh *sh, const struct rm *rm, const struct item *it)
{
    struct fs_summary s;
    struct why why;
    int answer;

    if (!rm->safely || !it->st.is_dir)
        return true;
    if (fs_summary(it->fs, it->path, &s, &why) != RC_OK) {
        sh_fail(sh, &why);
        return false;
    }
    if (s.files <= sh->conf.safe_delete_max)
        return true;
    fprintf(stderr, "Proceed deleting %llu files? (Y or N) ", (unsigned long long)s.files);
    answer = getchar();
    if (answer == 'y' || answer == 'Y')
        return true;
    fprintf(stderr, "Delete aborted at user request.\n\n");
    return false;
}

static void
remove_one(struct sh *sh, struct item *it, void *arg)
{
    struct rm *rm = arg;
    bool deleted = false;
    struct why why;

    if (it->fs == NULL) {
        sh_fail_path(sh, it->shown, "Delete local files with rm");
        return;
    }
    if (it->st.is_dir && !rm->trees) {
        sh_fail_path(sh, it->shown, "Is a directory");
        return;
    }
    if ((!rm->skip_trash && try_trash(sh, rm, it)) || !may_delete(sh, rm, it))
        return;
    if (fs_delete(it->fs, it->path, rm->trees, &deleted, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (!deleted)
        sh_fail_path(sh, it->shown, "Input/output error");
    else
        printf("Deleted %s\n", it->shown);
}

static void
not_there(struct sh *sh, struct item *it, void *arg)
{
    const struct rm *rm = arg;

    if (!rm->force)
        sh_fail_missing(sh, it);
}

static int
run(struct sh *sh, struct rm *rm, int argc, char **argv)
{
    const struct option_row rows[] = { { "f", &rm->force, NULL },           { "r", &rm->trees, NULL },
                                       { "R", &rm->trees, NULL },           { "skipTrash", &rm->skip_trash, NULL },
                                       { "safely", &rm->safely, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, remove_one, not_there, rm);
}

int
cmd_rm(struct sh *sh, int argc, char **argv)
{
    struct rm rm = { .has_trash = -1 };

    return run(sh, &rm, argc, argv);
}

int
cmd_rmr(struct sh *sh, int argc, char **argv)
{
    struct rm rm = { .has_trash = -1, .trees = true };

    return run(sh, &rm, argc, argv);
}

/* Delete checkpoints (named by the time they were made) older than the interval, or all; then Current becomes one. */
int
cmd_expunge(struct sh *sh, int argc, char **argv)
{
    bool immediate = false, deleted;
    const char *where = NULL;
    const struct option_row rows[] = { { "immediate", &immediate, NULL }, { "fs", NULL, &where } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 0, 0);
    struct item_list l;
    struct item root;
    struct why why;
    char now[FORMAT_ROOM], old[FORMAT_ROOM], *word, *to;
    uint64_t wall_ms = clock_wall_ms(sh->w.clock), keep_ms = sh->conf.trash_interval_min * 60000;
    enum rc rc;

    if (exit_code != 0)
        return exit_code;
    item_list_init(&l);
    if ((rc = sh_item(sh, where != NULL ? where : "/", &sh->arena, &root, &why)) == RC_OK) {
        rc = (word = trash_root(&root, &sh->arena)) == NULL ? why_rc(&why, RC_NOMEM) : RC_OK;
        if (rc == RC_OK) {
            root.path = root.shown = word;
            rc = sh_stat(sh, &root, &sh->arena, &why);
        }
    }
    if (rc == RC_OK && root.exists)
        rc = sh_children(sh, &root, &l, &why);
    format_time(wall_ms, false, "%y%m%d%H%M%S", now);
    format_time(wall_ms > keep_ms ? wall_ms - keep_ms : 0, false, "%y%m%d%H%M%S", old);
    for (size_t i = 0; rc == RC_OK && i < l.n; i++) {
        const char *name = sh_base_name(l.v[i].path);
        if (strcmp(name, "Current") != 0) {
            if (immediate || (strspn(name, "0123456789") == strlen(name) && strcmp(name, old) < 0))
                rc = fs_delete(root.fs, l.v[i].path, true, &deleted, &why);
        } else if (immediate) {
            rc = fs_delete(root.fs, l.v[i].path, true, &deleted, &why);
        } else if ((to = arena_printf(&sh->arena, "%s/%s", root.path, now)) == NULL) {
            rc = why_rc(&why, RC_NOMEM);
        } else {
            rc = fs_rename_to(root.fs, l.v[i].path, to, false, &why);
        }
    }
    if (rc != RC_OK)
        sh_fail(sh, &why);
    item_list_fini(&l);
    return sh->exit_code;
}

static void
in_the_way(struct sh *sh, struct item *it, void *arg)
{
    (void)arg;
    sh_fail_path(sh, it->shown, "File exists");
}

static void
take_back(struct sh *sh, struct item *it, void *arg)
{
    char *root, *from;
    struct fs_status st;
    struct why why;

    (void)arg;
    if (it->fs == NULL || (root = trash_root(it, &sh->arena)) == NULL ||
        (from = arena_printf(&sh->arena, "%s/Current%s", root, it->path)) == NULL) {
        sh_fail_missing(sh, it);
        return;
    }
    if (fs_stat(it->fs, from, &sh->arena, &st, &why) != RC_OK) {
        if (why.rc == RC_NOT_FOUND)
            sh_fail_path(sh, it->shown, "Not in the trash");
        else
            sh_fail(sh, &why);
        return;
    }
    if (fs_rename_to(it->fs, from, it->path, false, &why) != RC_OK)
        sh_fail(sh, &why);
    else
        printf("Restored %s\n", it->shown);
}

int
cmd_undelete(struct sh *sh, int argc, char **argv)
{
    int exit_code = sh_options(sh, &argc, &argv, NULL, 0, 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, in_the_way, take_back, NULL);
}
