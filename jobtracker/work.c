#include "jobtracker/work.h"

#include <string.h>

#include "core/base/arena.h"
#include "core/base/faults.h"
#include "core/base/mem.h"
#include "dfsclient/fs.h"

#define WORK_ARENA (64 * MB)

void
jt_hand_fini(struct jt_hand *h)
{
    if (h->fs != NULL)
        fs_close(h->fs);
    mem_free(h->user);
    h->fs = NULL;
    h->user = NULL;
}

static enum rc
be(struct jt_hand *h, const char *user, struct why *why)
{
    enum rc rc;

    if (h->fs != NULL && strcmp(h->user, user) == 0)
        return RC_OK;
    jt_hand_fini(h);
    if ((h->user = mem_strdup(user)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_open(h->w, h->conf, NULL, user, &h->fs, why)) != RC_OK)
        h->fs = NULL;
    return rc;
}

enum rc
jt_work_check(struct jt_hand *h, const char *user, const char *output, struct why *why)
{
    struct fs_status st;
    struct arena a;
    enum rc rc;

    if ((rc = be(h, user, why)) != RC_OK)
        return rc;
    arena_init(&a, 1 * MB);
    rc = fs_stat(h->fs, output, &a, &st, why);
    arena_fini(&a);
    if (rc == RC_OK)
        return why_set(why, RC_EXISTS, "Output directory %s already exists: nothing was started.  Give another -output, "
                       "delete it with `dfs rm -r %s`, or run with --overwrite", output, output);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* Does the output hold this job's _SUCCESS?  Then an earlier commit got that far. */
static enum rc
is_committed(struct jt_hand *h, const struct jt_work *w, struct arena *a, bool *ret, struct why *why)
{
    char *path = arena_printf(a, "%s/_SUCCESS", w->output), text[JOB_ID_TEXT + 1];
    struct fs_reader *r;
    size_t n = 0;
    enum rc rc;

    *ret = false;
    if (old_bug(OLD_BUG_COMMITTED_AGAIN))
        return RC_OK;
    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_open_read(h->fs, path, &r, why)) == RC_NOT_FOUND)
        return RC_OK;
    if (rc != RC_OK)
        return rc;
    rc = fs_pread(r, text, sizeof text, 0, &n, why);
    fs_close_read(r);
    *ret = rc == RC_OK && n >= strlen(w->id) && memcmp(text, w->id, strlen(w->id)) == 0;
    return rc;
}

/* One winner's file into the directory that becomes the output, as name; it may be there from an earlier try. */
static enum rc
gather(struct jt_hand *h, const struct jt_work *w, const char *file, const char *name, struct arena *a, struct why *why)
{
    char *from = arena_printf(a, "%s/%s", w->work, file);
    char *to = arena_printf(a, "%s/out/%s", w->work, name);
    struct fs_status st;
    struct why first;
    enum rc rc;

    if (from == NULL || to == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_rename_to(h->fs, from, to, false, &first)) == RC_OK)
        return RC_OK;
    if (fs_stat(h->fs, to, a, &st, why) == RC_OK && fs_stat(h->fs, from, a, &st, why) == RC_NOT_FOUND)
        return RC_OK;
    return why_set(why, rc, "%s", first.text);
}

/* The names of the winner's further files. */
struct further {
    struct arena *a;
    char **names;
    size_t n, cap;
    bool failed;
};

static bool
on_further(void *arg, const struct fs_status *st)
{
    struct further *f = arg;
    const char *name = strrchr(st->path, '/');

    f->failed = !mem_room(&f->names, f->n, &f->cap, sizeof *f->names) ||
                (f->names[f->n] = arena_strdup(f->a, name ? name + 1 : st->path)) == NULL;
    f->n += !f->failed;
    return !f->failed;
}

/* What the winner wrote beside its part: mr_write. */
static enum rc
gather_more(struct jt_hand *h, const struct jt_work *w, size_t i, struct arena *a, struct why *why)
{
    char *dir = arena_printf(a, "%s/%s.more", w->work, w->parts[i]), *file;
    struct further f = { .a = a };
    enum rc rc;

    if (dir == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_list(h->fs, dir, on_further, &f, why)) == RC_OK && f.failed)
        rc = why_rc(why, RC_NOMEM);
    for (size_t k = 0; k < f.n && rc == RC_OK; k++)
        if ((file = arena_printf(a, "%s.more/%s", w->parts[i], f.names[k])) == NULL)
            rc = why_rc(why, RC_NOMEM);
        else
            rc = gather(h, w, file, f.names[k], a, why);
    mem_free(f.names);
    return rc;
}

static enum rc
write_success(struct jt_hand *h, const struct jt_work *w, struct arena *a, struct why *why)
{
    struct fs_create_options o = { .overwrite = true, .mode = 0666 & ~w->umask };
    char *path = arena_printf(a, "%s/out/_SUCCESS", w->work), *text = arena_printf(a, "%s\n", w->id);
    struct fs_writer *wr;
    enum rc rc;

    if (path == NULL || text == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_create(h->fs, path, &o, &wr, why)) != RC_OK)
        return rc;
    if ((rc = fs_write(wr, text, strlen(text), why)) != RC_OK) {
        fs_abandon_write(wr);
        return rc;
    }
    return fs_close_write(wr, why);
}

static enum rc
make_out(struct jt_hand *h, const struct jt_work *w, struct arena *a, struct why *why)
{
    char *out = arena_printf(a, "%s/out", w->work);

    return out == NULL ? why_rc(why, RC_NOMEM) : fs_mkdirs(h->fs, out, 0777 & ~w->umask, true, why);
}

/* Unless it is there whole from an earlier try. */
static enum rc
mark_out(struct jt_hand *h, const struct jt_work *w, struct arena *a, struct why *why)
{
    char *success = arena_printf(a, "%s/out/_SUCCESS", w->work);
    struct fs_status st;
    enum rc rc;

    if (success == NULL)
        return why_rc(why, RC_NOMEM);
    if (!w->is_first) {
        if ((rc = fs_stat(h->fs, success, a, &st, why)) == RC_OK && st.bytes == strlen(w->id) + 1)
            return RC_OK;
        if (rc != RC_OK && rc != RC_NOT_FOUND)
            return rc;
    }
    if ((rc = write_success(h, w, a, why)) != RC_NOT_FOUND)
        return rc;
    return (rc = make_out(h, w, a, why)) != RC_OK ? rc : write_success(h, w, a, why);
}

/* step, as the job's user. */
static enum rc
do_step(struct jt_hand *h, const struct jt_work *w,
        enum rc (*step)(struct jt_hand *h, const struct jt_work *w, struct arena *a, struct why *why), struct why *why)
{
    struct arena a;
    enum rc rc;

    if ((rc = be(h, w->user, why)) != RC_OK)
        return rc;
    arena_init(&a, 1 * MB);
    rc = step(h, w, &a, why);
    arena_fini(&a);
    return rc;
}

enum rc
jt_work_prepare(struct jt_hand *h, const struct jt_work *w, struct why *why)
{
    return do_step(h, w, make_out, why);
}

enum rc
jt_work_mark(struct jt_hand *h, const struct jt_work *w, struct why *why)
{
    enum rc rc = do_step(h, w, mark_out, why);

    CRASH_POINT(jt_prepared);
    return rc;
}

/* The winners' files and _SUCCESS, by one rename, as the output. */
static enum rc
put_in_place(struct jt_hand *h, const struct jt_work *w, struct arena *a, struct why *why)
{
    char *out = arena_printf(a, "%s/out", w->work), *name;
    enum rc rc;

    if (out == NULL)
        return why_rc(why, RC_NOMEM);
    if (!w->is_first && (rc = mark_out(h, w, a, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < w->part_count; i++) {
        if ((name = arena_printf(a, "part-%c-%05zu", w->kind_letter, i)) == NULL)
            return why_rc(why, RC_NOMEM);
        if ((rc = gather(h, w, w->parts[i], name, a, why)) != RC_OK ||
            (w->more[i] && (rc = gather_more(h, w, i, a, why)) != RC_OK))
            return rc;
        CRASH_POINT(jt_gathered);
    }
    CRASH_POINT(jt_before_rename);
    if ((rc = fs_rename_to(h->fs, out, w->output, old_bug(OLD_BUG_OUTPUT_OVERWRITTEN), why)) == RC_EXISTS)
        rc = why_set(why, RC_EXISTS, "%s was made by somebody else while the job ran", w->output);
    CRASH_POINT(jt_after_rename);
    return rc;
}

enum rc
jt_work_commit(struct jt_hand *h, const struct jt_work *w, struct why *why)
{
    struct why ignored;
    struct arena a;
    bool done = false;
    enum rc rc;

    if ((rc = be(h, w->user, why)) != RC_OK)
        return rc;
    arena_init(&a, WORK_ARENA);
    CRASH_POINT(jt_committing);
    if (w->is_first || ((rc = is_committed(h, w, &a, &done, why)) == RC_OK && !done))
        rc = put_in_place(h, w, &a, why);
    /* A rename of an earlier try may have had its effect after we looked: its reply was lost, or its JobTracker. */
    if ((rc == RC_EXISTS || rc == RC_NOT_FOUND) && is_committed(h, w, &a, &done, &ignored) == RC_OK && done)
        rc = RC_OK;
    arena_fini(&a);
    return rc;
}

enum rc
jt_work_clean(struct jt_hand *h, const struct jt_work *w, struct why *why)
{
    bool deleted;
    enum rc rc;

    if ((rc = be(h, w->user, why)) != RC_OK)
        return rc;
    rc = fs_delete(h->fs, w->work, true, &deleted, why);
    CRASH_POINT(jt_cleaned);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
