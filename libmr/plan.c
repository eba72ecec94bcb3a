/*
 * plan -- from input paths to maps: which files, cut where, held by whom.
 */
#include "libmr/plan.h"

#include <string.h>

#include "core/base/mem.h"
#include "dfsclient/shell/glob.h"

#define HOSTS_MAX 5                 /* of one map */
#define SMALL_FILE (16 * MB)        /* smaller ones share a map */
#define PACK_MIN (1 * MB)
#define PACK_MAX (64 * MB)
#define PACK_FILES_MAX 1000
#define PLAN_ARENA (1 * GB)

char *
plan_absolute(struct arena *a, const char *user, const char *path)
{
    const char *p = strncmp(path, "hdfs://", 7) == 0 ? strchr(path + 7, '/') : path;
    char *out, *end;

    if (p == NULL)
        p = "/";
    out = *p == '/' ? arena_strdup(a, p) : arena_printf(a, "/user/%s/%s", user, p);
    if (out == NULL)
        return NULL;
    end = out;
    for (const char *s = out; *s != '\0'; s++)
        if (!(*s == '/' && s[1] == '/'))
            *end++ = *s;
    if (end > out + 1 && end[-1] == '/')
        end--;
    *end = '\0';
    return out;
}

/* What a file was when it was listed: as long as it is the same, its splits are. */
struct stamp {
    uint64_t inode, mtime_ms;
};

struct inputs {
    struct arena *a;
    const char *user;
    struct mr_file *files;
    struct stamp *stamps;
    size_t n, cap, stamp_cap;
    const char *dir;                /* being listed */
    bool whole;                     /* files are not to be cut */
    bool failed;
};

struct plan {
    struct arena arena;
    struct inputs in;
    uint64_t split_min, split_max;
    struct mr_split *splits;
    size_t split_count;
    JtMap **maps;
    size_t map_count;
};

static bool
add_file(struct inputs *in, const char *path, const struct fs_status *st)
{
    if (!mem_room(&in->files, in->n, &in->cap, sizeof *in->files) ||
        !mem_room(&in->stamps, in->n, &in->stamp_cap, sizeof *in->stamps))
        return false;
    in->stamps[in->n] = (struct stamp){ st->inode, st->mtime_ms };
    in->files[in->n++] = (struct mr_file){ path, st->bytes, st->block_bytes, in->whole };
    return true;
}

/* A directory's files; hidden ones and those with '_' first are not input, as in Hadoop. */
static bool
on_entry(void *arg, const struct fs_status *st)
{
    struct inputs *in = arg;
    const char *name = strrchr(st->path, '/');
    char *path;

    name = name ? name + 1 : st->path;
    if (st->is_dir || name[0] == '.' || name[0] == '_')
        return true;
    path = strcmp(in->dir, "/") == 0 ? arena_printf(in->a, "/%s", name) : arena_printf(in->a, "%s/%s", in->dir, name);
    in->failed = path == NULL || !add_file(in, path, st);
    return !in->failed;
}

static enum rc
list_input(struct fs *fs, struct inputs *in, const char *input, struct why *why)
{
    char *path = plan_absolute(in->a, in->user, input);
    struct fs_status st;
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_stat(fs, path, in->a, &st, why)) == RC_NOT_FOUND)
        return why_set(why, RC_NOT_FOUND, "Input path does not exist: %s", path);
    if (rc != RC_OK)
        return rc;
    if (!st.is_dir)
        return add_file(in, path, &st) ? RC_OK : why_rc(why, RC_NOMEM);
    in->dir = path;
    if ((rc = fs_list(fs, path, on_entry, in, why)) == RC_OK && in->failed)
        rc = why_rc(why, RC_NOMEM);
    return rc;
}

/* ---- patterns ---- */

#define BRACES_MAX 1000

struct names {
    struct arena *a;
    const char *pattern;
    char **rows;
    size_t n, cap;
    bool failed;
};

static bool
on_name(void *arg, const struct fs_status *st)
{
    struct names *l = arg;
    const char *slash = strrchr(st->path, '/'), *name = slash ? slash + 1 : st->path;

    if (name[0] == '.' || !glob_match(l->pattern, name))
        return true;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        char **rows = arena_calloc(l->a, cap, sizeof *rows);

        if (rows == NULL) {
            l->failed = true;
            return false;
        }
        if (l->n != 0)
            memcpy(rows, l->rows, l->n * sizeof *rows);
        l->rows = rows;
        l->cap = cap;
    }
    l->failed = (l->rows[l->n] = arena_strdup(l->a, name)) == NULL;
    l->n += !l->failed;
    return !l->failed;
}

/* What is at base (no pattern in it) followed by rest, "/b*" and so on; counts in *ret_found. */
static enum rc
expand(struct fs *fs, struct inputs *in, const char *base, const char *rest, size_t *ret_found,
       struct why *why)
{
    size_t n = strcspn(rest + (*rest == '/'), "/") + (*rest == '/');
    char *word = arena_strndup(in->a, rest + (*rest == '/'), n - (*rest == '/')), *path;
    struct names names = { .a = in->a, .pattern = word };
    struct fs_status st;
    enum rc rc;

    if (*rest == '\0') {
        if ((rc = fs_stat(fs, base, in->a, &st, why)) == RC_NOT_FOUND)
            return RC_OK;
        (*ret_found)++;
        return rc == RC_OK ? list_input(fs, in, base, why) : rc;
    }
    if (word == NULL)
        return why_rc(why, RC_NOMEM);
    if (!glob_has_meta(word)) {
        path = arena_printf(in->a, "%s/%s", base, glob_unescape(word));
        return path ? expand(fs, in, path, rest + n, ret_found, why) : why_rc(why, RC_NOMEM);
    }
    if ((rc = fs_list(fs, *base ? base : "/", on_name, &names, why)) == RC_NOT_FOUND || rc == RC_NOT_DIR)
        return RC_OK;
    if (rc == RC_OK && names.failed)
        rc = why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < names.n && rc == RC_OK; i++)
        rc = (path = arena_printf(in->a, "%s/%s", base, names.rows[i])) == NULL ? why_rc(why, RC_NOMEM)
             : expand(fs, in, path, rest + n, ret_found, why);
    return rc;
}

static enum rc
add_input(struct fs *fs, struct inputs *in, const char *input, struct why *why)
{
    char *path = plan_absolute(in->a, in->user, input), **patterns;
    size_t n = 0, found = 0;
    enum rc rc = RC_OK;

    if (path == NULL || (patterns = arena_calloc(in->a, BRACES_MAX, sizeof *patterns)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (!glob_has_meta(path))
        return list_input(fs, in, path, why);
    if (!glob_braces(path, in->a, patterns, BRACES_MAX, &n))
        return why_set(why, RC_BAD_USAGE, "the braces of %s do not match, or stand for too much", path);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = expand(fs, in, "", patterns[i], &found, why);
    if (rc == RC_OK && found == 0)
        rc = why_set(why, RC_NOT_FOUND, "Input Pattern %s matches 0 files", path);
    return rc;
}

/* ---- where the splits are ---- */

struct weight {
    const char *name, *rack;
    uint64_t bytes;
};

struct homes {
    struct weight w[64];
    size_t n;
};

static void
weigh(struct homes *h, const struct fs_location *l, uint64_t bytes)
{
    const char *name = l->name && *l->name ? l->name : l->host;

    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->w[i].name, name) == 0) {
            h->w[i].bytes += bytes;
            return;
        }
    if (h->n < ARRAY_LEN(h->w))
        h->w[h->n++] = (struct weight){ name, l->rack ? l->rack : "", bytes };
}

static void
weigh_split(struct homes *h, const struct mr_split *s, const struct fs_block *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t from = blocks[i].offset > s->start ? blocks[i].offset : s->start;
        uint64_t end = blocks[i].offset + blocks[i].bytes, split_end = s->start + s->bytes;

        if (split_end < end)
            end = split_end;
        for (size_t k = 0; end > from && k < blocks[i].location_count; k++)
            weigh(h, &blocks[i].locations[k], end - from);
    }
}

/* Machines that hold at least half as much of the map's input as the best one, best first. */
static enum rc
fill_hosts(const struct homes *h, struct arena *a, JtMap *m)
{
    bool used[64] = { false };
    uint64_t best = 0;

    if ((m->hosts = arena_calloc(a, HOSTS_MAX, sizeof *m->hosts)) == NULL ||
        (m->racks = arena_calloc(a, HOSTS_MAX, sizeof *m->racks)) == NULL)
        return RC_NOMEM;
    while (m->n_hosts < HOSTS_MAX) {
        size_t at = h->n;

        for (size_t i = 0; i < h->n; i++)
            if (!used[i] && (at == h->n || h->w[i].bytes > h->w[at].bytes))
                at = i;
        if (at == h->n || h->w[at].bytes < best / 2)
            break;
        if (best == 0)
            best = h->w[at].bytes;
        used[at] = true;
        m->hosts[m->n_hosts] = (char *)h->w[at].name;
        m->racks[m->n_hosts++] = (char *)h->w[at].rack;
    }
    m->n_racks = m->n_hosts;
    return RC_OK;
}

struct located {
    const char *path;               /* of the blocks below */
    struct fs_block *blocks;
    size_t n;
};

static enum rc
locate(struct fs *fs, struct located *l, const struct mr_split *s, struct arena *a, struct why *why)
{
    uint64_t bytes;
    enum rc rc = RC_OK;

    if (l->path == s->path)
        return RC_OK;
    l->n = 0;
    if (s->file_bytes > 0)
        rc = fs_blocks(fs, s->path, 0, s->file_bytes, a, &l->blocks, &l->n, &bytes, why);
    l->path = s->path;
    return rc;
}

static JtSplit *
copy_split(struct arena *a, const struct mr_split *s)
{
    JtSplit *p = arena_alloc(a, sizeof *p);

    if (p == NULL)
        return NULL;
    jt_split__init(p);
    p->path = (char *)s->path;
    p->start = s->start;
    p->bytes = s->bytes;
    p->file_bytes = s->file_bytes;
    p->has_file = true;
    p->file = s->file;
    return p;
}

static bool
is_small(const struct mr_split *s)
{
    return s->start == 0 && s->bytes == s->file_bytes && s->bytes < SMALL_FILE;
}

/* Small files share maps, of a size that leaves something for everybody. */
static uint64_t
pack_bytes(const struct mr_split *splits, size_t n)
{
    uint64_t small = 0;

    for (size_t i = 0; i < n; i++)
        if (is_small(&splits[i]))
            small += splits[i].bytes;
    small /= 16;
    return small < PACK_MIN ? PACK_MIN : small > PACK_MAX ? PACK_MAX : small;
}

static enum rc
fill_maps(struct fs *fs, const struct mr_split *splits, size_t n, struct arena *a, struct plan *plan, struct why *why)
{
    uint64_t pack = pack_bytes(splits, n);
    struct located where = { NULL, NULL, 0 };
    enum rc rc;

    if ((plan->maps = arena_calloc(a, n + 1, sizeof *plan->maps)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0, next; i < n; i = next) {
        struct homes homes = { .n = 0 };
        uint64_t bytes = splits[i].bytes;
        JtMap *m = arena_alloc(a, sizeof *m);

        for (next = i + 1; next < n && next - i < PACK_FILES_MAX && is_small(&splits[i]) && is_small(&splits[next]) &&
             bytes + splits[next].bytes <= pack; next++)
            bytes += splits[next].bytes;
        if (m == NULL)
            return why_rc(why, RC_NOMEM);
        jt_map__init(m);
        if ((m->splits = arena_calloc(a, next - i, sizeof *m->splits)) == NULL)
            return why_rc(why, RC_NOMEM);
        for (size_t k = i; k < next; k++) {
            if ((m->splits[m->n_splits++] = copy_split(a, &splits[k])) == NULL)
                return why_rc(why, RC_NOMEM);
            if ((rc = locate(fs, &where, &splits[k], a, why)) != RC_OK)
                return rc;
            weigh_split(&homes, &splits[k], where.blocks, where.n);
        }
        if (fill_hosts(&homes, a, m) != RC_OK)
            return why_rc(why, RC_NOMEM);
        plan->maps[plan->map_count++] = m;
    }
    return RC_OK;
}

/* ---- plans ---- */

void
plan_free(struct plan *p)
{
    if (p == NULL)
        return;
    mem_free(p->in.files);
    mem_free(p->in.stamps);
    arena_fini(&p->arena);
    mem_free(p);
}

/* Would p come out the same as old? */
static bool
is_same(const struct plan *p, const struct plan *old)
{
    if (p->in.n != old->in.n || p->in.whole != old->in.whole || p->split_min != old->split_min || p->split_max != old->split_max)
        return false;
    for (size_t i = 0; i < p->in.n; i++) {
        const struct mr_file *f = &p->in.files[i], *g = &old->in.files[i];

        if (f->bytes != g->bytes || f->block_bytes != g->block_bytes || strcmp(f->path, g->path) != 0 ||
            p->in.stamps[i].inode != old->in.stamps[i].inode || p->in.stamps[i].mtime_ms != old->in.stamps[i].mtime_ms)
            return false;
    }
    return true;
}

enum rc
plan_make(struct fs *fs, const struct plan_request *r, struct plan **plan, struct why *why)
{
    struct plan *p = mem_zalloc(sizeof *p);
    enum rc rc = RC_OK;

    if (p == NULL)
        return why_rc(why, RC_NOMEM);
    arena_init(&p->arena, PLAN_ARENA);
    p->in.a = &p->arena;
    p->in.user = r->user;
    p->in.whole = r->whole;
    p->split_min = r->split_min;
    p->split_max = r->split_max;
    for (size_t i = 0; i < r->input_count && rc == RC_OK; i++)
        rc = add_input(fs, &p->in, r->inputs[i], why);
    if (rc == RC_OK && *plan != NULL && is_same(p, *plan))
        goto out;
    if (rc != RC_OK ||
        (rc = mr_split_plan(p->in.files, p->in.n, r->split_min, r->split_max, &p->arena, &p->splits, &p->split_count, why)) !=
            RC_OK ||
        (rc = fill_maps(fs, p->splits, p->split_count, &p->arena, p, why)) != RC_OK)
        goto out;
    plan_free(*plan);
    *plan = p;
    p = NULL;
out:
    plan_free(p);
    return rc;
}

void
plan_maps(const struct plan *p, JtJobSpec *spec)
{
    spec->maps = p->maps;
    spec->n_maps = p->map_count;
}

void
plan_splits(const struct plan *p, const struct mr_split **ret, size_t *ret_n)
{
    *ret = p->splits;
    *ret_n = p->split_count;
}
