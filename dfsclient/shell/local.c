/* The local disk as items: what file:// names. */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dfsclient/shell/shell.h"

static char *
owner_name(uid_t uid, struct arena *a)
{
    struct passwd pw, *found = NULL;
    char room[4096];

    if (getpwuid_r(uid, &pw, room, sizeof room, &found) == 0 && found != NULL)
        return arena_strdup(a, pw.pw_name);
    return arena_printf(a, "%u", (unsigned)uid);
}

static char *
group_name(gid_t gid, struct arena *a)
{
    struct group gr, *found = NULL;
    char room[4096];

    if (getgrgid_r(gid, &gr, room, sizeof room, &found) == 0 && found != NULL)
        return arena_strdup(a, gr.gr_name);
    return arena_printf(a, "%u", (unsigned)gid);
}

enum rc
local_stat(const char *path, struct arena *a, struct item *it, struct why *why)
{
    struct stat st;

    it->exists = false;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return RC_OK;
        return why_errno(why, errno, "%s", path);
    }
    it->st = (struct fs_status){
        .path = it->path,
        .bytes = (uint64_t)st.st_size,
        .block_bytes = (uint64_t)32 * MB,
        .mtime_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000,
        .atime_ms = (uint64_t)st.st_atim.tv_sec * 1000 + (uint64_t)st.st_atim.tv_nsec / 1000000,
        .mode = st.st_mode & 01777,
        .replication = S_ISDIR(st.st_mode) ? 0 : 1,
        .is_dir = S_ISDIR(st.st_mode),
        .owner = owner_name(st.st_uid, a),
        .group = group_name(st.st_gid, a),
    };
    if (it->st.owner == NULL || it->st.group == NULL)
        return why_rc(why, RC_NOMEM);
    it->exists = true;
    return RC_OK;
}

static int
by_name(const void *p, const void *q)
{
    const struct item *a = p, *b = q;

    return strcmp(a->path, b->path);
}

enum rc
local_list(const struct item *dir, struct item_list *ret, struct why *why)
{
    DIR *d = opendir(dir->path);
    struct dirent *e;
    struct item it;
    enum rc rc = RC_OK;

    if (d == NULL)
        return why_errno(why, errno, "%s", dir->path);
    while (rc == RC_OK && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if ((rc = sh_child(dir, e->d_name, &ret->arena, &it, why)) == RC_OK &&
            (rc = local_stat(it.path, &ret->arena, &it, why)) == RC_OK && it.exists)
            rc = item_list_add(ret, &it, why);
    }
    closedir(d);
    if (rc == RC_OK && ret->n > 0)
        qsort(ret->v, ret->n, sizeof *ret->v, by_name);
    return rc;
}
