/* From files and options to a submitted job. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "dfsclient/fs.h"
#include "dfsclient/shell/glob.h"
#include "libmr/cmd.h"
#include "libmr/elf.h"
#include "libmr/task.h"

#define CODE_MAX (64 * MB)
#define HOSTS_MAX 5                 /* of one map */
#define SMALL_FILE (16 * MB)        /* smaller ones share a map */
#define PACK_MIN (1 * MB)
#define PACK_MAX (64 * MB)
#define PACK_FILES_MAX 1000

struct inputs {
    struct arena *a;
    struct mr_file *files;
    size_t n, cap;
    const char *dir;                /* being listed */
    bool whole;                     /* files are not to be cut */
    bool failed;
};

/* "/a/b" of "hdfs://host/a//b/" or of a path below the home directory. */
static char *
absolute(struct arena *a, const char *user, const char *path)
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

static bool
add_file(struct inputs *in, const char *path, uint64_t bytes, uint64_t block_bytes)
{
    if (!mem_room(&in->files, in->n, &in->cap, sizeof *in->files))
        return false;
    in->files[in->n++] = (struct mr_file){ path, bytes, block_bytes, in->whole };
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
    in->failed = path == NULL || !add_file(in, path, st->bytes, st->block_bytes);
    return !in->failed;
}

static enum rc
list_input(struct mr_cmd *c, struct fs *fs, struct inputs *in, const char *input, struct why *why)
{
    char *path = absolute(in->a, c->user, input);
    struct fs_status st;
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_stat(fs, path, in->a, &st, why)) == RC_NOT_FOUND)
        return why_set(why, RC_NOT_FOUND, "Input path does not exist: %s", path);
    if (rc != RC_OK)
        return rc;
    if (!st.is_dir)
        return add_file(in, path, st.bytes, st.block_bytes) ? RC_OK : why_rc(why, RC_NOMEM);
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
expand(struct mr_cmd *c, struct fs *fs, struct inputs *in, const char *base, const char *rest, size_t *ret_found,
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
        return rc == RC_OK ? list_input(c, fs, in, base, why) : rc;
    }
    if (word == NULL)
        return why_rc(why, RC_NOMEM);
    if (!glob_has_meta(word)) {
        path = arena_printf(in->a, "%s/%s", base, glob_unescape(word));
        return path ? expand(c, fs, in, path, rest + n, ret_found, why) : why_rc(why, RC_NOMEM);
    }
    if ((rc = fs_list(fs, *base ? base : "/", on_name, &names, why)) == RC_NOT_FOUND || rc == RC_NOT_DIR)
        return RC_OK;
    if (rc == RC_OK && names.failed)
        rc = why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < names.n && rc == RC_OK; i++)
        rc = (path = arena_printf(in->a, "%s/%s", base, names.rows[i])) == NULL ? why_rc(why, RC_NOMEM)
             : expand(c, fs, in, path, rest + n, ret_found, why);
    return rc;
}

static enum rc
add_input(struct mr_cmd *c, struct fs *fs, struct inputs *in, const char *input, struct why *why)
{
    char *path = absolute(in->a, c->user, input), **patterns;
    size_t n = 0, found = 0;
    enum rc rc = RC_OK;

    if (path == NULL || (patterns = arena_calloc(in->a, BRACES_MAX, sizeof *patterns)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (!glob_has_meta(path))
        return list_input(c, fs, in, path, why);
    if (!glob_braces(path, in->a, patterns, BRACES_MAX, &n))
        return why_set(why, RC_BAD_USAGE, "the braces of %s do not match, or stand for too much", path);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = expand(c, fs, in, "", patterns[i], &found, why);
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
fill_maps(struct fs *fs, const struct mr_split *splits, size_t n, struct arena *a, JtJobSpec *spec, struct why *why)
{
    uint64_t pack = pack_bytes(splits, n);
    struct located where = { NULL, NULL, 0 };
    enum rc rc;

    if ((spec->maps = arena_calloc(a, n + 1, sizeof *spec->maps)) == NULL)
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
        spec->maps[spec->n_maps++] = m;
    }
    return RC_OK;
}

/* ---- the rest of the job ---- */

struct option_list {
    struct arena *a;
    JtOption **rows;
    size_t n;
};

static void
on_option(void *arg, const char *key, const char *value)
{
    struct option_list *l = arg;
    JtOption *o;

    if (l->rows != NULL) {
        if ((o = arena_alloc(l->a, sizeof *o)) == NULL)
            return;
        jt_option__init(o);
        o->key = (char *)key;
        o->value = (char *)value;
        l->rows[l->n] = o;
    }
    l->n++;
}

static enum rc
fill_options(struct mr_cmd *c, struct arena *a, JtJobSpec *spec, struct why *why)
{
    struct option_list l = { a, NULL, 0 };

    conf_each_extra(&c->conf, on_option, &l);
    if ((l.rows = arena_calloc(a, l.n + 1, sizeof *l.rows)) == NULL)
        return why_rc(why, RC_NOMEM);
    l.n = 0;
    conf_each_extra(&c->conf, on_option, &l);
    for (size_t i = 0; i < l.n; i++)
        if (l.rows[i] == NULL)
            return why_rc(why, RC_NOMEM);
    spec->options = l.rows;
    spec->n_options = l.n;
    return RC_OK;
}

static void
fill_numbers(const struct conf *conf, const struct mr_order *o, JtJobSpec *spec)
{
    const char *name = strrchr(o->job_path, '/');

    spec->name = (char *)(name ? name + 1 : o->job_path);
    spec->priority = o->priority;
    spec->map_attempts = (uint32_t)conf->map_attempts;
    spec->reduce_attempts = (uint32_t)conf->reduce_attempts;
    spec->slowstart = conf->slowstart;
    spec->locality_wait_ms = conf->locality_wait_ms;
    spec->sort_bytes = conf->sort_bytes * MB;
    spec->sort_factor = (uint32_t)conf->sort_factor;
    spec->compress = conf->map_compress;
    spec->timeout_ms = conf->task_timeout_ms;
    spec->memory_bytes = conf->task_memory * MB;
    spec->parallel_copies = (uint32_t)conf->parallel_copies;
    spec->replication = (uint32_t)conf->replication;
}

/* The old output goes where deleted files go. */
static enum rc
clear_output(struct mr_cmd *c, struct fs *fs, const char *output, struct arena *a, struct why *why)
{
    struct fs_status st;
    char *trash, *dir;
    bool deleted;
    enum rc rc;

    if ((rc = fs_stat(fs, output, a, &st, why)) == RC_NOT_FOUND)
        return RC_OK;
    if (rc != RC_OK)
        return rc;
    if (c->conf.trash_interval_min == 0)
        return fs_delete(fs, output, true, &deleted, why);
    trash = arena_printf(a, "/user/%s/.Trash/Current%s.%llu", c->user, output,
                         (unsigned long long)clock_wall_ms(c->w.clock));
    if (trash == NULL || (dir = arena_strndup(a, trash, (size_t)(strrchr(trash, '/') - trash))) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_mkdirs(fs, dir, 0700, true, why)) != RC_OK)
        return rc;
    return fs_rename_to(fs, output, trash, false, why);
}

static enum rc
fill_spec(struct mr_cmd *c, const struct mr_order *o, const struct mr_elf_job *job, struct fs *fs, struct arena *a,
          JtJobSpec *spec, struct why *why)
{
    struct inputs in = { .a = a, .whole = mr_reader_takes_files(job->reader) };
    struct mr_split *splits = NULL;
    size_t n = 0;
    enum rc rc = RC_OK;

    fill_numbers(&c->conf, o, spec);
    if ((spec->output = absolute(a, c->user, o->output)) == NULL)
        return why_rc(why, RC_NOMEM);
    if (o->overwrite && (rc = clear_output(c, fs, spec->output, a, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < o->input_count && rc == RC_OK; i++)
        rc = add_input(c, fs, &in, o->inputs[i], why);
    if (rc == RC_OK)
        rc = mr_split_plan(in.files, in.n, c->conf.split_min, c->conf.split_max, a, &splits, &n, why);
    if (rc == RC_OK)
        rc = fill_maps(fs, splits, n, a, spec, why);
    mem_free(in.files);
    return rc == RC_OK ? fill_options(c, a, spec, why) : rc;
}

enum rc
mr_submit(struct mr_cmd *c, const struct mr_order *o, struct arena *a, char **ret_id, size_t *ret_maps,
          uint32_t *ret_reduces, struct why *why)
{
    JtSubmitRequest req = JT_SUBMIT_REQUEST__INIT;
    JtJobSpec spec = JT_JOB_SPEC__INIT;
    const ProtobufCMessage *reply;
    uint8_t *code = NULL, id[16];
    struct mr_elf_job job;
    struct fs *fs = NULL;
    size_t n = 0;
    enum rc rc;

    if ((rc = mr_note_check(c->w.io, o->job_path, why)) != RC_OK ||
        (rc = io_read_file(c->w.io, o->job_path, CODE_MAX, &code, &n, why)) != RC_OK ||
        (rc = mr_elf_job(o->job_path, code, n, o->stage, &job, why)) != RC_OK)
        goto out;
    spec.reduces = job.map_only ? 0 : (uint32_t)c->conf.reduces;
    if (!job.map_only && spec.reduces == 0) {
        rc = why_set(why, RC_BAD_USAGE, "mapreduce.job.reduces is 0, but the job is not map_only");
        goto out;
    }
    if ((rc = fs_open(&c->w, &c->conf, NULL, c->user, &fs, why)) != RC_OK ||
        (rc = fs_umask(&c->conf, &spec.umask, why)) != RC_OK || (rc = fill_spec(c, o, &job, fs, a, &spec, why)) != RC_OK)
        goto out;
    rng_bytes(c->w.rng, id, sizeof id);
    req.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    req.spec = &spec;
    req.code = (ProtobufCBinaryData){ n, code };
    if ((rc = mr_ask(c, ROW_job_submit, &req.base, a, &reply, why)) != RC_OK)
        goto out;
    *ret_id = ((const JtSubmitReply *)(const void *)reply)->job;
    *ret_maps = spec.n_maps;
    *ret_reduces = spec.reduces;
out:
    if (fs != NULL)
        fs_close(fs);
    mem_free(code);
    return rc;
}
