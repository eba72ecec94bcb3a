/* mv, mkdir, rmdir */
#include <stdlib.h>

#include "dfsclient/shell/copy.h"

static void
move_one(struct sh *sh, struct copy *c, const struct item *src)
{
    struct item target;
    struct why why;
    bool done = false;

    if (copy_target(sh, c, src, &c->sources.arena, &target, &why) != RC_OK) {
        sh_fail(sh, &why);
        return;
    }
    if (copy_into_itself(sh, src, &target))
        return;
    if (src->fs != target.fs || src->fs == NULL)
        sh_fail_path(sh, src->shown, "Does not match target filesystem");
    else if (target.exists)
        sh_fail_path(sh, target.shown, "File exists");
    else if (fs_rename(src->fs, src->path, target.path, &done, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (!done)
        sh_fail_path(sh, src->shown, "Input/output error");
}

int
cmd_mv(struct sh *sh, int argc, char **argv)
{
    struct copy c;
    int exit_code = sh_options(sh, &argc, &argv, NULL, 0, 2, INT32_MAX);

    if (exit_code != 0)
        return exit_code;
    copy_init(&c);
    if (copy_destination(sh, &c, argv[argc - 1], false) && copy_sources(sh, &c, argc - 1, argv, false) &&
        copy_check(sh, &c))
        for (size_t i = 0; i < c.sources.n; i++) {
            if (c.sources.v[i].exists)
                move_one(sh, &c, &c.sources.v[i]);
            else
                sh_fail_missing(sh, &c.sources.v[i]);
        }
    copy_fini(&c);
    return sh->exit_code;
}

struct mkdir {
    bool parents;
};

static void
is_there(struct sh *sh, struct item *it, void *arg)
{
    const struct mkdir *m = arg;

    if (!it->st.is_dir)
        sh_fail_path(sh, it->shown, "Is not a directory");
    else if (!m->parents)
        sh_fail_path(sh, it->shown, "File exists");
}

static void
make(struct sh *sh, struct item *it, void *arg)
{
    unsigned long umask = strtoul(sh->conf.umask, NULL, 8);
    const struct mkdir *m = arg;
    struct item parent;
    struct why why;
    char *uri;

    if (it->fs == NULL) {
        sh_fail_path(sh, it->shown, "Make local directories with mkdir");
        return;
    }
    if (!m->parents && sh_parent(it, &sh->arena, &parent)) {
        if (sh_stat(sh, &parent, &sh->arena, &why) != RC_OK) {
            sh_fail(sh, &why);
            return;
        }
        if (!parent.exists) {
            uri = sh_uri(&parent, &sh->arena);
            sh_fail_path(sh, uri != NULL ? uri : parent.path, "No such file or directory");
            return;
        }
    }
    if (fs_mkdirs(it->fs, it->path, 0777 & ~(uint32_t)umask, true, &why) != RC_OK)
        sh_fail(sh, &why);
}

int
cmd_mkdir(struct sh *sh, int argc, char **argv)
{
    struct mkdir m = { .parents = false };
    const struct option_row rows[] = { { "p", &m.parents, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, is_there, make, &m);
}

static void
remove_dir(struct sh *sh, struct item *it, void *arg)
{
    const bool *ignore = arg;
    bool deleted = false;
    struct item_list l;
    struct why why;

    if (!it->st.is_dir) {
        sh_fail_path(sh, it->shown, "Is not a directory");
        return;
    }
    if (it->fs == NULL) {
        sh_fail_path(sh, it->shown, "Delete local directories with rmdir");
        return;
    }
    item_list_init(&l);
    if (sh_children(sh, it, &l, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (l.n > 0 && !*ignore)
        sh_fail_path(sh, it->shown, "Directory is not empty");
    else if (l.n == 0 && fs_delete(it->fs, it->path, false, &deleted, &why) != RC_OK)
        sh_fail(sh, &why);
    item_list_fini(&l);
}

int
cmd_rmdir(struct sh *sh, int argc, char **argv)
{
    bool ignore = false;
    const struct option_row rows[] = { { "-ignore-fail-on-non-empty", &ignore, NULL } };
    int exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX);

    return exit_code != 0 ? exit_code : sh_each(sh, argc, argv, remove_dir, NULL, &ignore);
}
