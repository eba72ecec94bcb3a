/* Words into names: URIs, relative paths, globs, directories. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/io/thread.h"
#include "core/net/net.h"
#include "dfsclient/shell/glob.h"
#include "dfsclient/shell/shell.h"

#define BRACES_MAX 4096
#define PROBE_MS 2000

struct sh_handle {
    struct sh_handle *next;
    struct fs *fs;
    char uri[300];
};

void
item_list_init(struct item_list *l)
{
    *l = (struct item_list){ .n = 0 };
    arena_init(&l->arena, 4 * GB);
}

void
item_list_fini(struct item_list *l)
{
    mem_free(l->v);
    arena_fini(&l->arena);
    l->v = NULL;
}

enum rc
item_list_add(struct item_list *l, const struct item *it, struct why *why)
{
    if (!mem_room(&l->v, l->n, &l->cap, sizeof *l->v))
        return why_rc(why, RC_NOMEM);
    l->v[l->n++] = *it;
    return RC_OK;
}

/*
 * Is somebody there?  Calls are asked again for long while a NameNode restarts;
 * who types a command at a cluster that is not up wants to know that soon.
 */
static enum rc
probe(struct sh *sh, struct fs *fs, struct why *why)
{
    uint64_t deadline = clock_deadline(sh->w.clock, PROBE_MS);
    struct net_addr to;
    int sock;
    enum rc rc;

    if ((rc = net_addr_parse(fs_uri(fs) + 7, 0, &to, why)) != RC_OK)
        return rc;
    for (;;) {
        rc = net_connect(sh->w.net, &to, clock_deadline(sh->w.clock, sh->conf.rpc_connect_ms), &sock, why);
        if (rc == RC_OK)
            net_close(sh->w.net, sock);
        if (rc != RC_REFUSED)
            return rc;
        if (clock_mono_ms(sh->w.clock) >= deadline)
            return why_prefix(why, "no NameNode at %s (is it running? millrace ps DIR tells)", fs_uri(fs));
        thread_sleep_until(sh->w.threads, clock_deadline(sh->w.clock, 100));
    }
}

static enum rc
open_fs(struct sh *sh, const char *uri, struct fs **ret, struct why *why)
{
    struct fs *fs = NULL;
    enum rc rc = fs_open(&sh->w, &sh->conf, uri, NULL, &fs, why);

    if (rc == RC_OK && (rc = probe(sh, fs, why)) != RC_OK)
        fs_close(fs);
    if (rc == RC_OK)
        *ret = fs;
    return rc;
}

enum rc
sh_fs(struct sh *sh, struct fs **ret, struct why *why)
{
    enum rc rc = RC_OK;

    if (sh->fs == NULL)
        rc = open_fs(sh, NULL, &sh->fs, why);
    if (rc == RC_OK)
        *ret = sh->fs;
    return rc;
}

/* The handle for "hdfs://host:port". */
static enum rc
handle_of(struct sh *sh, const char *uri, size_t n, struct fs **ret, struct why *why)
{
    struct sh_handle *h;
    struct fs *fs = NULL;
    enum rc rc;

    if ((rc = sh_fs(sh, &fs, why)) != RC_OK)
        return rc;
    if (n <= 7 || (strlen(fs_uri(fs)) == n && memcmp(fs_uri(fs), uri, n) == 0)) {
        *ret = fs;
        return RC_OK;
    }
    for (h = sh->handles; h != NULL; h = h->next)
        if (strlen(h->uri) == n && memcmp(h->uri, uri, n) == 0) {
            *ret = h->fs;
            return RC_OK;
        }
    if (n >= sizeof h->uri || (h = arena_zalloc(&sh->arena, sizeof *h)) == NULL)
        return why_rc(why, RC_NOMEM);
    memcpy(h->uri, uri, n);
    if ((rc = open_fs(sh, h->uri, &h->fs, why)) != RC_OK)
        return rc;
    h->next = sh->handles;
    sh->handles = h;
    *ret = h->fs;
    return RC_OK;
}

/* "/a//b/./c/../d/" to "/a/b/d", in a. */
static char *
normal_path(const char *path, struct arena *a)
{
    char *out = arena_alloc(a, strlen(path) + 2), *to = out;

    if (out == NULL)
        return NULL;
    while (*path != '\0') {
        size_t n;
        path += strspn(path, "/");
        n = strcspn(path, "/");
        if (n == 0)
            break;
        if (n == 2 && memcmp(path, "..", 2) == 0) {
            while (to > out && *--to != '/')
                continue;
        } else if (n != 1 || *path != '.') {
            *to++ = '/';
            memcpy(to, path, n);
            to += n;
        }
        path += n;
    }
    if (to == out)
        *to++ = '/';
    *to = '\0';
    return out;
}

/* The scheme and authority of a word, "" when it has none; *ret_rest is the path behind it. */
static size_t
uri_prefix(const char *word, const char **ret_rest)
{
    const char *p = strstr(word, "://"), *slash = strchr(word, '/');
    size_t n = 0;

    *ret_rest = word;
    if (p != NULL && slash == p + 1 && p > word) {
        *ret_rest = p + 3 + strcspn(p + 3, "/");
        n = (size_t)(*ret_rest - word);
    } else if (strncmp(word, "file:/", 6) == 0) {
        n = 5;
        *ret_rest = word + 5;
    }
    return n;
}

static char *
absolute(struct sh *sh, const char *rest, bool local, struct arena *a)
{
    char cwd[4096], *joined;
    struct fs *fs = sh->fs;

    if (rest[0] == '/')
        return normal_path(rest, a);
    if (local)
        joined = getcwd(cwd, sizeof cwd) == NULL ? NULL : arena_printf(a, "%s/%s", cwd, rest);
    else
        joined = arena_printf(a, "/user/%s/%s", fs_user(fs), rest);
    return joined == NULL ? NULL : normal_path(joined, a);
}

enum rc
sh_item(struct sh *sh, const char *word, struct arena *a, struct item *ret, struct why *why)
{
    const char *rest;
    size_t n = uri_prefix(word, &rest);
    struct item it = { .exists = false };
    bool local = n >= 5 && strncmp(word, "file:", 5) == 0;
    enum rc rc;

    if (word[0] == '\0')
        return why_set(why, RC_BAD_USAGE, "Can not create a Path from an empty string");
    if (n > 0 && !local && strncmp(word, "hdfs://", 7) != 0)
        return why_set(why, RC_ILLEGAL_ARGUMENT, "No FileSystem for scheme \"%.*s\"", (int)strcspn(word, ":"), word);
    if (!local && (rc = handle_of(sh, word, n, &it.fs, why)) != RC_OK)
        return rc;
    if (rest[0] == '\0')
        rest = n > 0 ? "/" : ".";
    if ((it.path = absolute(sh, rest, local, a)) == NULL || (it.shown = arena_strdup(a, word)) == NULL)
        return why_rc(why, RC_NOMEM);
    /* Trailing slashes say nothing, but for the root's own. */
    for (size_t len = strlen(it.shown); len > n + 1 && it.shown[len - 1] == '/'; len--)
        it.shown[len - 1] = '\0';
    *ret = it;
    return RC_OK;
}

enum rc
sh_stat(struct sh *sh, struct item *it, struct arena *a, struct why *why)
{
    enum rc rc;

    (void)sh;
    it->exists = false;
    if (it->fs == NULL)
        return local_stat(it->path, a, it, why);
    rc = fs_stat(it->fs, it->path, a, &it->st, why);
    it->exists = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc
sh_child(const struct item *dir, const char *name, struct arena *a, struct item *ret, struct why *why)
{
    size_t n = strlen(dir->shown);
    struct item it = { .fs = dir->fs };

    it.path = arena_printf(a, "%s%s%s", dir->path, strcmp(dir->path, "/") == 0 ? "" : "/", name);
    if (n == 0 || strcmp(dir->shown, ".") == 0)
        it.shown = arena_strdup(a, name);
    else
        it.shown = arena_printf(a, "%s%s%s", dir->shown, dir->shown[n - 1] == '/' ? "" : "/", name);
    if (it.path == NULL || it.shown == NULL)
        return why_rc(why, RC_NOMEM);
    *ret = it;
    return RC_OK;
}

struct gather {
    const struct item *dir;
    struct item_list *list;
    struct why *why;
    enum rc rc;
};

static bool
gather_one(void *arg, const struct fs_status *st)
{
    struct gather *g = arg;
    struct arena *a = &g->list->arena;
    struct item it;

    if ((g->rc = sh_child(g->dir, sh_base_name(st->path), a, &it, g->why)) != RC_OK)
        return false;
    it.exists = true;
    it.st = *st;
    it.st.path = it.path;
    if ((it.st.owner = arena_strdup(a, st->owner)) == NULL || (it.st.group = arena_strdup(a, st->group)) == NULL)
        g->rc = why_rc(g->why, RC_NOMEM);
    else
        g->rc = item_list_add(g->list, &it, g->why);
    return g->rc == RC_OK;
}

enum rc
sh_children(struct sh *sh, const struct item *dir, struct item_list *ret, struct why *why)
{
    struct gather g = { .dir = dir, .list = ret, .why = why, .rc = RC_OK };
    enum rc rc;

    (void)sh;
    if (dir->fs == NULL)
        return local_list(dir, ret, why);
    rc = fs_list(dir->fs, dir->path, gather_one, &g, why);
    return rc != RC_OK ? rc : g.rc;
}

/* Add to list what pattern matches below base: its first component, then the rest. */
static enum rc
match_below(struct sh *sh, const struct item *base, const char *pattern, struct item_list *ret, struct why *why)
{
    struct item_list dir;
    struct item it;
    char *name;
    size_t n;
    enum rc rc;

    pattern += strspn(pattern, "/");
    n = strcspn(pattern, "/");
    const char *rest = pattern + n;
    if (n == 0) {
        it = *base;
        if ((rc = sh_stat(sh, &it, &ret->arena, why)) == RC_OK && it.exists)
            rc = item_list_add(ret, &it, why);
        return rc;
    }
    if ((name = arena_strndup(&ret->arena, pattern, n)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (!glob_has_meta(name)) {
        if ((rc = sh_child(base, glob_unescape(name), &ret->arena, &it, why)) != RC_OK)
            return rc;
        return match_below(sh, &it, rest, ret, why);
    }
    item_list_init(&dir);
    it = *base;
    if ((rc = sh_stat(sh, &it, &ret->arena, why)) == RC_OK && it.exists && it.st.is_dir)
        rc = sh_children(sh, &it, &dir, why);
    for (size_t i = 0; rc == RC_OK && i < dir.n; i++) {
        if (!glob_match(name, sh_base_name(dir.v[i].path)))
            continue;
        if ((rc = sh_child(base, sh_base_name(dir.v[i].path), &ret->arena, &it, why)) == RC_OK &&
            (rest[0] == '\0' || dir.v[i].st.is_dir))
            rc = match_below(sh, &it, rest, ret, why);
    }
    item_list_fini(&dir);
    return rc;
}

static int
by_path(const void *p, const void *q)
{
    return strcmp(((const struct item *)p)->path, ((const struct item *)q)->path);
}

static enum rc
expand_glob(struct sh *sh, const char *word, struct item_list *ret, struct why *why)
{
    const char *rest;
    size_t prefix = uri_prefix(word, &rest), n = 0;
    char **patterns = arena_calloc(&sh->arena, BRACES_MAX, sizeof *patterns);
    struct item base;
    char *start;
    enum rc rc = RC_OK;

    if (patterns == NULL)
        return why_rc(why, RC_NOMEM);
    if (!glob_braces(rest, &sh->arena, patterns, BRACES_MAX, &n))
        return why_set(why, RC_BAD_USAGE, "Illegal file pattern: %s", rest);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        bool relative = patterns[i][0] != '/';
        start = arena_printf(&ret->arena, "%.*s%s", (int)prefix, word, relative ? "." : "/");
        if (start == NULL)
            return why_rc(why, RC_NOMEM);
        if ((rc = sh_item(sh, start, &ret->arena, &base, why)) == RC_OK)
            rc = match_below(sh, &base, patterns[i], ret, why);
    }
    if (rc == RC_OK && ret->n > 0)
        qsort(ret->v, ret->n, sizeof *ret->v, by_path);
    return rc;
}

enum rc
sh_expand(struct sh *sh, const char *word, struct item_list *ret, struct why *why)
{
    struct item it;
    char *plain;
    enum rc rc;

    if (glob_has_meta(word)) {
        if ((rc = expand_glob(sh, word, ret, why)) != RC_OK || ret->n > 0)
            return rc;
    }
    if ((plain = arena_strdup(&ret->arena, word)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = sh_item(sh, glob_unescape(plain), &ret->arena, &it, why)) != RC_OK)
        return rc;
    if (!glob_has_meta(word) && (rc = sh_stat(sh, &it, &ret->arena, why)) != RC_OK)
        return rc;
    return item_list_add(ret, &it, why);
}

char *
sh_uri(const struct item *it, struct arena *a)
{
    return arena_printf(a, "%s%s", it->fs != NULL ? fs_uri(it->fs) : "file://", it->path);
}

const char *
sh_base_name(const char *path)
{
    const char *p = strrchr(path, '/');

    return p == NULL ? path : p + 1;
}

bool
sh_parent(const struct item *it, struct arena *a, struct item *ret)
{
    const char *p = strrchr(it->path, '/'), *s = strrchr(it->shown, '/');

    if (p == NULL || strcmp(it->path, "/") == 0)
        return false;
    *ret = (struct item){ .fs = it->fs };
    ret->path = p == it->path ? arena_strdup(a, "/") : arena_strndup(a, it->path, (size_t)(p - it->path));
    ret->shown = s == NULL ? arena_strdup(a, ".") : arena_strndup(a, it->shown, s == it->shown ? 1 : (size_t)(s - it->shown));
    return ret->path != NULL && ret->shown != NULL;
}

bool
sh_is_under(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return true;
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

int
sh_each(struct sh *sh, int argc, char **argv, void (*fn)(struct sh *sh, struct item *it, void *arg),
        void (*missing)(struct sh *sh, struct item *it, void *arg), void *arg)
{
    struct item_list l;
    struct why why;

    item_list_init(&l);
    for (int i = 0; i < argc; i++) {
        size_t before = l.n;
        if (sh_expand(sh, argv[i], &l, &why) != RC_OK) {
            l.n = before;
            sh_fail(sh, &why);
            if (why.rc == RC_BAD_USAGE)
                break;
        }
    }
    for (size_t i = 0; i < l.n && sh->exit_code != EXIT_USAGE; i++) {
        if (l.v[i].exists)
            fn(sh, &l.v[i], arg);
        else if (missing != NULL)
            missing(sh, &l.v[i], arg);
        else
            sh_fail_missing(sh, &l.v[i]);
    }
    item_list_fini(&l);
    return sh->exit_code;
}

void
sh_walk(struct sh *sh, struct item *it, void (*fn)(struct sh *sh, struct item *it, void *arg), void *arg)
{
    struct item_list l;
    struct why why;

    fn(sh, it, arg);
    if (!it->st.is_dir)
        return;
    item_list_init(&l);
    if (sh_children(sh, it, &l, &why) != RC_OK)
        sh_fail(sh, &why);
    else
        for (size_t i = 0; i < l.n; i++)
            sh_walk(sh, &l.v[i], fn, arg);
    item_list_fini(&l);
}

void
sh_close(struct sh *sh)
{
    for (struct sh_handle *h = sh->handles; h != NULL; h = h->next)
        fs_close(h->fs);
    sh->handles = NULL;
    fs_close(sh->fs);
    sh->fs = NULL;
}
