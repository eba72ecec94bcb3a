#include "dfsclient/shell/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "dfsclient/shell/glob.h"

#define PROGRESS_BYTES (16 * MB)    /* smaller files show no progress */
#define PROGRESS_MS 200

enum rc
source_open(const struct item *it, struct source *ret, struct why *why)
{
    struct source s = { .fd = -1, .bytes = it->exists ? it->st.bytes : 0 };
    enum rc rc = RC_OK;

    if (it->fs != NULL)
        rc = fs_open_read(it->fs, it->path, &s.reader, why);
    else if ((s.fd = open(it->path, O_RDONLY | O_CLOEXEC)) < 0)
        rc = why_errno(why, errno, "%s", it->shown);
    if (rc == RC_OK)
        *ret = s;
    return rc;
}

enum rc
source_read(struct source *s, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why)
{
    size_t done = 0;

    if (s->reader != NULL)
        return fs_pread(s->reader, p, n, at, ret_n, why);
    while (done < n) {
        ssize_t got = read(s->fd, (char *)p + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return why_errno(why, errno, "read");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_n = done;
    return RC_OK;
}

void
source_close(struct source *s)
{
    fs_close_read(s->reader);
    if (s->fd > STDIN_FILENO)
        close(s->fd);
}

enum rc
copy_local_item(struct sh *sh, const char *word, struct arena *a, struct item *ret, struct why *why)
{
    char cwd[4096];
    enum rc rc;

    if (strstr(word, "://") != NULL || strncmp(word, "file:", 5) == 0 || word[0] == '\0')
        rc = sh_item(sh, word, a, ret, why);
    else {
        *ret = (struct item){ .fs = NULL };
        if (word[0] == '/')
            ret->path = arena_strdup(a, word);
        else if (getcwd(cwd, sizeof cwd) != NULL)
            ret->path = arena_printf(a, "%s/%s", cwd, word);
        for (size_t n = ret->path != NULL ? strlen(ret->path) : 0; n > 1 && ret->path[n - 1] == '/'; n--)
            ret->path[n - 1] = '\0';
        ret->shown = arena_strdup(a, word);
        rc = ret->path == NULL || ret->shown == NULL ? why_rc(why, RC_NOMEM) : RC_OK;
    }
    return rc != RC_OK ? rc : sh_stat(sh, ret, a, why);
}

void
copy_init(struct copy *c)
{
    *c = (struct copy){ .overwrite = false };
    item_list_init(&c->sources);
    item_list_init(&c->place);
}

void
copy_fini(struct copy *c)
{
    item_list_fini(&c->sources);
    item_list_fini(&c->place);
}

bool
copy_destination(struct sh *sh, struct copy *c, const char *word, bool local)
{
    struct why why;

    if (local) {
        if (copy_local_item(sh, word, &c->place.arena, &c->dst, &why) == RC_OK)
            return true;
        sh_fail(sh, &why);
        return false;
    }
    if (sh_expand(sh, word, &c->place, &why) != RC_OK) {
        sh_fail(sh, &why);
        return false;
    }
    c->dst = c->place.v[0];
    if (c->place.n > 1)
        sh_fail_path(sh, word, "Too many matches");
    else if (!c->dst.exists && glob_has_meta(word))
        sh_fail_path(sh, word, "No such file or directory");
    else
        return true;
    return false;
}

bool
copy_sources(struct sh *sh, struct copy *c, int argc, char **argv, bool local)
{
    struct item it;
    struct why why;
    enum rc rc;

    for (int i = 0; i < argc; i++) {
        size_t before = c->sources.n;
        if (!local)
            rc = sh_expand(sh, argv[i], &c->sources, &why);
        else if ((rc = copy_local_item(sh, argv[i], &c->sources.arena, &it, &why)) == RC_OK)
            rc = item_list_add(&c->sources, &it, &why);
        if (rc != RC_OK) {
            c->sources.n = before;
            sh_fail(sh, &why);
        }
    }
    return c->sources.n > 0;
}

bool
copy_check(struct sh *sh, struct copy *c)
{
    struct arena *a = &c->place.arena;
    struct item parent;
    struct why why;
    char *uri;

    if (c->sources.n > 1) {
        if (!c->dst.exists)
            sh_fail_missing(sh, &c->dst);
        else if (!c->dst.st.is_dir)
            sh_fail_path(sh, c->dst.shown, "Is not a directory");
        else
            return true;
        return false;
    }
    if (c->dst.exists) {
        if (c->dst.st.is_dir || c->overwrite)
            return true;
        sh_fail_path(sh, c->dst.shown, "File exists");
        return false;
    }
    if (!sh_parent(&c->dst, a, &parent))
        return true;
    if (sh_stat(sh, &parent, a, &why) != RC_OK) {
        sh_fail(sh, &why);
        return false;
    }
    if (parent.exists)
        return true;
    uri = sh_uri(&c->dst, a);
    sh_fail_text(sh, "`%s': No such file or directory: `%s'", c->dst.shown, uri != NULL ? uri : c->dst.path);
    return false;
}

enum rc
copy_target(struct sh *sh, const struct copy *c, const struct item *src, struct arena *a, struct item *ret, struct why *why)
{
    size_t n = strlen(c->dst.shown);
    enum rc rc;

    if ((c->dst.exists && c->dst.st.is_dir) || (n > 1 && c->dst.shown[n - 1] == '/')) {
        if ((rc = sh_child(&c->dst, sh_base_name(src->path), a, ret, why)) != RC_OK)
            return rc;
        return sh_stat(sh, ret, a, why);
    }
    *ret = c->dst;
    return RC_OK;
}

bool
copy_into_itself(struct sh *sh, const struct item *src, const struct item *target)
{
    if (!src->st.is_dir || src->fs != target->fs || !sh_is_under(target->path, src->path))
        return false;
    if (strcmp(src->path, target->path) == 0)
        sh_fail_text(sh, "`%s' to `%s': are identical", src->shown, target->shown);
    else
        sh_fail_text(sh, "`%s' to `%s': is a subdirectory of itself", src->shown, target->shown);
    return true;
}

/* An open file to write. */
struct sink {
    struct fs_writer *writer;
    int fd;
};

static enum rc
sink_write(struct sink *s, const void *p, size_t n, struct why *why)
{
    const char *from = p;

    if (s->writer != NULL)
        return fs_write(s->writer, p, n, why);
    while (n > 0) {
        ssize_t put = write(s->fd, from, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return why_errno(why, errno, "write");
        from += put;
        n -= (size_t)put;
    }
    return RC_OK;
}

struct progress {
    bool shown;
    uint64_t next_ms, began_ms;
};

/* A bar on the terminal; nothing elsewhere. */
static void
show_progress(struct sh *sh, struct progress *p, const char *name, uint64_t done, uint64_t all, bool one_by_one)
{
    uint64_t now = clock_mono_ms(sh->w.clock), ms;
    unsigned percent, bars;

    if (p->next_ms == 0) {
        p->began_ms = now;
        p->next_ms = one_by_one && all >= PROGRESS_BYTES && isatty(STDERR_FILENO) ? now + PROGRESS_MS : UINT64_MAX;
    }
    if (now < p->next_ms)
        return;
    p->shown = true;
    p->next_ms = now + PROGRESS_MS;
    percent = (unsigned)(done * 100 / all);
    bars = percent * 30 / 100;
    ms = now - p->began_ms + 1;
    fprintf(stderr, "\r%.40s [%.*s%*s] %3u%% %.1f MB/s", name, (int)bars, "##############################", (int)(30 - bars), "",
            percent, (double)done / 1048576.0 * 1000.0 / (double)ms);
}

static void
end_progress(const struct progress *p)
{
    if (p->shown)
        fprintf(stderr, "\r\033[K");
}

static enum rc
pour(struct sh *sh, const struct copy *c, struct source *from, struct sink *to, const char *name, struct why *why)
{
    struct progress p = { .shown = false };
    uint8_t *room = mem_alloc(COPY_BYTES);
    uint64_t at = 0;
    size_t n = 1;
    enum rc rc = RC_OK;

    if (room == NULL)
        return why_rc(why, RC_NOMEM);
    while (rc == RC_OK && n > 0) {
        if ((rc = source_read(from, room, COPY_BYTES, at, &n, why)) != RC_OK)
            break;
        rc = sink_write(to, room, n, why);
        at += n;
        if (from->bytes > 0)
            show_progress(sh, &p, name, at, from->bytes, c->pool == NULL);
    }
    end_progress(&p);
    mem_free(room);
    return rc;
}

static enum rc
rename_into_place(const struct item *temp, const struct item *target, bool overwrite, struct why *why)
{
    if (target->fs != NULL)
        return fs_rename_to(target->fs, temp->path, target->path, overwrite, why);
    if (rename(temp->path, target->path) != 0)
        return why_errno(why, errno, "%s", target->shown);
    return RC_OK;
}

static void
remove_temp(const struct item *temp)
{
    bool deleted;

    if (temp->fs != NULL) {
        enum rc ignored = fs_delete(temp->fs, temp->path, false, &deleted, NULL);
        (void)ignored;      /* it stays, under a name that says what it is */
    } else {
        (void)unlink(temp->path);       /* as above */
    }
}

static enum rc
open_sink(const struct copy *c, const struct item *temp, struct sink *ret, struct why *why)
{
    struct fs_create_options o = { .overwrite = true, .replication = c->lazy ? 1 : 0 };

    *ret = (struct sink){ .fd = -1 };
    if (temp->fs != NULL)
        return fs_create(temp->fs, temp->path, &o, &ret->writer, why);
    if ((ret->fd = open(temp->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
        return why_errno(why, errno, "%s", temp->shown);
    return RC_OK;
}

static enum rc
close_sink(struct sink *s, enum rc rc, struct why *why)
{
    if (s->writer != NULL && rc == RC_OK)
        return fs_close_write(s->writer, why);
    fs_abandon_write(s->writer);
    if (s->fd >= 0 && close(s->fd) != 0 && rc == RC_OK)
        return why_errno(why, errno, "close");
    return rc;
}

/* A stream into target, by way of target._COPYING_. */
static enum rc
copy_stream(struct sh *sh, const struct copy *c, struct source *from, const struct item *target, struct arena *a,
            struct why *why)
{
    struct item temp = *target;
    struct sink to;
    enum rc rc;

    if (!c->direct && ((temp.path = arena_printf(a, "%s._COPYING_", target->path)) == NULL ||
                       (temp.shown = arena_printf(a, "%s._COPYING_", target->shown)) == NULL))
        return why_rc(why, RC_NOMEM);
    if ((rc = open_sink(c, &temp, &to, why)) != RC_OK)
        return rc;
    struct sh_temp_file half = { .fs = temp.fs, .path = temp.path };
    sh_temp_enter(sh, &half);
    rc = pour(sh, c, from, &to, target->shown, why);
    if ((rc = close_sink(&to, rc, why)) == RC_OK && !c->direct)
        rc = rename_into_place(&temp, target, c->overwrite, why);
    if (rc != RC_OK)
        remove_temp(&temp);
    sh_temp_leave(sh, &half);
    return rc;
}

static enum rc
keep_attributes(const struct copy *c, const struct item *src, const struct item *target, struct why *why)
{
    const struct fs_status *st = &src->st;
    enum rc rc = RC_OK;

    if (target->fs != NULL) {
        if (c->keep_owner)
            rc = fs_set_owner(target->fs, target->path, st->owner, st->group, why);
        if (rc == RC_OK && c->keep_mode)
            rc = fs_set_permission(target->fs, target->path, st->mode, why);
        if (rc == RC_OK && c->keep_times)
            rc = fs_set_times(target->fs, target->path, (int64_t)st->mtime_ms,
                              st->is_dir ? -1 : (int64_t)st->atime_ms, why);
        return rc;
    }
    struct timespec times[2] = {
        { .tv_sec = (time_t)(st->atime_ms / 1000), .tv_nsec = (long)(st->atime_ms % 1000) * 1000000 },
        { .tv_sec = (time_t)(st->mtime_ms / 1000), .tv_nsec = (long)(st->mtime_ms % 1000) * 1000000 },
    };
    if (c->keep_mode && chmod(target->path, st->mode) != 0)
        return why_errno(why, errno, "%s", target->shown);
    if (c->keep_times && utimensat(AT_FDCWD, target->path, times, 0) != 0)
        return why_errno(why, errno, "%s", target->shown);
    return RC_OK;       /* the owner on this machine is who copies */
}

void
copy_file(struct sh *sh, const struct copy *c, const struct item *src, const struct item *target, struct arena *a)
{
    struct source from;
    struct why why;
    enum rc rc;

    if (target->exists && (target->st.is_dir || !c->overwrite)) {
        sh_fail_path(sh, target->shown, "File exists");
        return;
    }
    if ((rc = source_open(src, &from, &why)) == RC_OK) {
        rc = copy_stream(sh, c, &from, target, a, &why);
        source_close(&from);
    }
    if (rc == RC_OK)
        rc = keep_attributes(c, src, target, &why);
    if (rc == RC_OK && c->delete_source && unlink(src->path) != 0)
        rc = why_errno(&why, errno, "%s", src->shown);
    if (rc != RC_OK)
        sh_fail(sh, &why);
}

static enum rc
make_dir(const struct item *dir, struct why *why)
{
    if (dir->fs != NULL)
        return fs_mkdirs(dir->fs, dir->path, 0755, true, why);
    if (mkdir(dir->path, 0777) != 0)
        return why_errno(why, errno, "%s", dir->shown);
    return RC_OK;
}

static void copy_path(struct sh *sh, struct copy *c, const struct item *src, struct arena *a);

static void
copy_dir(struct sh *sh, struct copy *c, const struct item *src, const struct item *target)
{
    struct item saved = c->dst;
    struct item_list l;
    struct why why;
    enum rc rc = RC_OK;

    item_list_init(&l);
    c->dst = *target;
    if (target->exists && !target->st.is_dir) {
        sh_fail_path(sh, target->shown, "Is not a directory");
        goto out;
    }
    if ((!target->exists && ((rc = make_dir(target, &why)) != RC_OK ||
                             (rc = sh_stat(sh, &c->dst, &l.arena, &why)) != RC_OK)) ||
        (rc = sh_children(sh, src, &l, &why)) != RC_OK) {
        sh_fail(sh, &why);
        goto out;
    }
    for (size_t i = 0; i < l.n; i++)
        copy_path(sh, c, &l.v[i], &l.arena);
    if ((c->keep_times || c->keep_owner || c->keep_mode) && keep_attributes(c, src, target, &why) != RC_OK)
        sh_fail(sh, &why);
    if (c->delete_source && rmdir(src->path) != 0)
        sh_fail_text(sh, "%s: %s", src->shown, strerror(errno));
out:
    c->dst = saved;
    item_list_fini(&l);
}

static void
copy_path(struct sh *sh, struct copy *c, const struct item *src, struct arena *a)
{
    struct item target;
    struct why why;

    if (copy_target(sh, c, src, a, &target, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (copy_into_itself(sh, src, &target))
        return;
    else if (src->st.is_dir)
        copy_dir(sh, c, src, &target);
    else if (c->pool == NULL)
        copy_file(sh, c, src, &target, a);
    else if (copy_pool_add(c->pool, src, &target, &why) != RC_OK)
        sh_fail(sh, &why);
}

/* "-t 4 -q 100", or nothing.  Directories whose times or sources follow their files are copied by one thread. */
static bool
start_pool(struct sh *sh, struct copy *c, const char *threads, const char *queue)
{
    size_t n = threads != NULL ? strtoul(threads, NULL, 10) : 1, waiting = queue != NULL ? strtoul(queue, NULL, 10) : 1024;
    struct why why;

    if (n <= 1 || c->keep_times || c->delete_source)
        return true;
    if (copy_pool_new(sh, c, n, waiting > 0 ? waiting : 1, &c->pool, &why) == RC_OK)
        return true;
    sh_fail(sh, &why);
    return false;
}

static int
copy_all(struct sh *sh, struct copy *c, const char *threads, const char *queue)
{
    if (copy_check(sh, c) && start_pool(sh, c, threads, queue))
        for (size_t i = 0; i < c->sources.n; i++) {
            if (c->sources.v[i].exists)
                copy_path(sh, c, &c->sources.v[i], &c->sources.arena);
            else
                sh_fail_missing(sh, &c->sources.v[i]);
        }
    copy_pool_finish(c->pool);
    return sh->exit_code;
}

/* `put -`: standard input is the file. */
static int
put_stdin(struct sh *sh, struct copy *c)
{
    struct source from = { .fd = STDIN_FILENO };
    struct item self = { .path = (char *)(uintptr_t)"/-", .shown = (char *)(uintptr_t)"-" }, target;
    struct why why;

    if (copy_target(sh, c, &self, &c->place.arena, &target, &why) != RC_OK)
        sh_fail(sh, &why);
    else if (target.exists && (target.st.is_dir || !c->overwrite))
        sh_fail_path(sh, target.shown, "File exists");
    else if (copy_stream(sh, c, &from, &target, &c->place.arena, &why) != RC_OK)
        sh_fail(sh, &why);
    return sh->exit_code;
}

static int
put(struct sh *sh, int argc, char **argv, bool delete_source)
{
    char here[] = ".";
    bool preserve = false;
    const char *threads = NULL, *queue = NULL;
    struct copy c;
    int exit_code;

    copy_init(&c);
    const struct option_row rows[] = { { "f", &c.overwrite, NULL }, { "p", &preserve, NULL },    { "l", &c.lazy, NULL },
                                       { "d", &c.direct, NULL },    { "t", NULL, &threads },     { "q", NULL, &queue } };
    if ((exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX)) == 0) {
        char *dst = argc > 1 ? argv[argc - 1] : here;
        int n = argc > 1 ? argc - 1 : 1;
        c.keep_times = c.keep_owner = c.keep_mode = preserve;
        c.delete_source = delete_source;
        if (!copy_destination(sh, &c, dst, false))
            exit_code = sh->exit_code;
        else if (n == 1 && strcmp(argv[0], "-") == 0)
            exit_code = put_stdin(sh, &c);
        else if (copy_sources(sh, &c, n, argv, true))
            exit_code = copy_all(sh, &c, threads, queue);
        else
            exit_code = sh->exit_code;
    }
    copy_fini(&c);
    return exit_code;
}

int
cmd_put(struct sh *sh, int argc, char **argv)
{
    return put(sh, argc, argv, false);
}

int
cmd_move_from_local(struct sh *sh, int argc, char **argv)
{
    return put(sh, argc, argv, true);
}

int
cmd_move_to_local(struct sh *sh, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    sh_fail_text(sh, "Option '-moveToLocal' is not implemented yet.");
    return sh->exit_code;
}

int
cmd_get(struct sh *sh, int argc, char **argv)
{
    char here[] = ".";
    bool preserve = false, crc = false, no_crc = false;
    const char *threads = NULL, *queue = NULL;
    struct copy c;
    int exit_code;

    copy_init(&c);
    const struct option_row rows[] = { { "f", &c.overwrite, NULL }, { "p", &preserve, NULL }, { "crc", &crc, NULL },
                                       { "ignoreCrc", &no_crc, NULL }, { "t", NULL, &threads }, { "q", NULL, &queue } };
    if ((exit_code = sh_options(sh, &argc, &argv, rows, ARRAY_LEN(rows), 1, INT32_MAX)) == 0) {
        char *dst = argc > 1 ? argv[argc - 1] : here;
        c.keep_times = c.keep_mode = preserve;
        if (argc > 1 && strcmp(dst, "-") == 0) {
            /* To standard output, as cat. */
            exit_code = cmd_cat(sh, argc - 1, argv);
        } else if (copy_destination(sh, &c, dst, true) && copy_sources(sh, &c, argc > 1 ? argc - 1 : 1, argv, false)) {
            exit_code = copy_all(sh, &c, threads, queue);
        } else {
            exit_code = sh->exit_code;
        }
    }
    copy_fini(&c);
    return exit_code;
}

/* "-p" keeps times, owner and mode; "-ptopax" keeps what its letters say. */
static int
take_preserve(struct sh *sh, struct copy *c, const char *letters)
{
    if (*letters == '\0')
        c->keep_times = c->keep_owner = c->keep_mode = true;
    for (; *letters != '\0'; letters++) {
        if (*letters == 't')
            c->keep_times = true;
        else if (*letters == 'o')
            c->keep_owner = true;
        else if (*letters == 'p')
            c->keep_mode = true;
        else if (*letters != 'a' && *letters != 'x')
            return sh_usage(sh, "No attribute for %c", *letters);
    }
    return 0;
}

int
cmd_cp(struct sh *sh, int argc, char **argv)
{
    const char *threads = NULL, *queue = NULL;
    char **words = arena_calloc(&sh->arena, (size_t)argc + 1, sizeof *words), **rest = words;
    int n = 0, exit_code = 0;
    struct copy c;

    if (words == NULL)
        return EXIT_FAILED;
    copy_init(&c);
    for (int i = 0; i < argc && exit_code == 0; i++) {
        if (strncmp(argv[i], "-p", 2) == 0 && n == i)
            exit_code = take_preserve(sh, &c, argv[i] + 2);
        if (strncmp(argv[i], "-p", 2) != 0 || argv[i][0] != '-')
            words[n++] = argv[i];
    }
    const struct option_row rows[] = { { "f", &c.overwrite, NULL }, { "d", &c.direct, NULL }, { "t", NULL, &threads },
                                       { "q", NULL, &queue } };
    if (exit_code == 0 && (exit_code = sh_options(sh, &n, &rest, rows, ARRAY_LEN(rows), 2, INT32_MAX)) == 0) {
        if (copy_destination(sh, &c, rest[n - 1], false) && copy_sources(sh, &c, n - 1, rest, false))
            exit_code = copy_all(sh, &c, threads, queue);
        else
            exit_code = sh->exit_code;
    }
    copy_fini(&c);
    return exit_code;
}
