/* From files and options to a submitted job. */
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/io.h"
#include "dfsclient/fs.h"
#include "libmr/cmd.h"
#include "libmr/elf.h"
#include "libmr/plan.h"
#include "libmr/sample.h"
#include "libmr/task.h"

#define CODE_MAX (64 * MB)

#define SPLIT_LEAST (16 * MB)
#define DIGEST_BYTES 32

struct mr_session {
    struct mr_cmd *c;
    const char *job_path;
    uint8_t *code;
    size_t code_bytes;
    uint8_t digest[DIGEST_BYTES];   /* of the code, as the JobTracker says; it is worked out there */
    bool has_digest;
    uint8_t id[16];
    bool of_driver;                 /* more jobs may follow: workers wait for them */
    struct fs *fs;
    struct plan *plan;              /* of the last job */
};

enum rc
mr_session_open(struct mr_cmd *c, const char *job_path, bool of_driver, struct mr_session **ret, struct why *why)
{
    struct mr_session *s = mem_zalloc(sizeof *s);
    enum rc rc;

    if (s == NULL)
        return why_rc(why, RC_NOMEM);
    s->c = c;
    s->job_path = job_path;
    s->of_driver = of_driver;
    rng_bytes(c->w.rng, s->id, sizeof s->id);
    if ((rc = mr_note_check(c->w.io, job_path, why)) != RC_OK ||
        (rc = io_read_file(c->w.io, job_path, CODE_MAX, &s->code, &s->code_bytes, why)) != RC_OK ||
        (rc = fs_open(&c->w, &c->conf, NULL, c->user, &s->fs, why)) != RC_OK)
        goto out;
    *ret = s;
    return RC_OK;
out:
    mr_session_close(s);
    return rc;
}

void
mr_session_close(struct mr_session *s)
{
    if (s == NULL)
        return;
    plan_free(s->plan);
    if (s->fs != NULL)
        fs_close(s->fs);
    mem_free(s->code);
    mem_free(s);
}

struct fs *
mr_session_fs(struct mr_session *s)
{
    return s->fs;
}

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
fill_options(struct mr_cmd *c, const struct mr_order *order, struct arena *a, JtJobSpec *spec, struct why *why)
{
    struct option_list l = { a, NULL, 0 };

    conf_each_extra(&c->conf, on_option, &l);
    if ((l.rows = arena_calloc(a, l.n + order->option_count + 1, sizeof *l.rows)) == NULL)
        return why_rc(why, RC_NOMEM);
    l.n = 0;
    for (size_t i = 0; i < order->option_count; i++)    /* the last of a name counts: `mr run -D` */
        on_option(&l, order->options[i].key, order->options[i].value);
    conf_each_extra(&c->conf, on_option, &l);
    for (size_t i = 0; i < l.n; i++)
        if (l.rows[i] == NULL)
            return why_rc(why, RC_NOMEM);
    spec->options = l.rows;
    spec->n_options = l.n;
    return RC_OK;
}

static enum rc
fill_sides(struct mr_cmd *c, const struct mr_order *o, struct arena *a, JtJobSpec *spec, struct why *why)
{
    if ((spec->sides = arena_calloc(a, o->side_count + 1, sizeof *spec->sides)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < o->side_count; i++) {
        const struct mr_side *s = &o->sides[i];
        JtSide *row = arena_alloc(a, sizeof *row);

        if (row == NULL)
            return why_rc(why, RC_NOMEM);
        jt_side__init(row);
        row->name = (char *)s->name;
        row->has_data = s->path == NULL;
        if (s->path == NULL)
            row->data = (ProtobufCBinaryData){ s->bytes, (uint8_t *)(uintptr_t)s->data };
        else if ((row->path = plan_absolute(a, c->user, s->path)) == NULL)
            return why_rc(why, RC_NOMEM);
        spec->sides[spec->n_sides++] = row;
    }
    return RC_OK;
}

static enum rc
fill_numbers(const struct conf *conf, const struct mr_session *s, const struct mr_order *o, struct arena *a, JtJobSpec *spec,
             struct why *why)
{
    const char *name = strrchr(s->job_path, '/');

    name = name ? name + 1 : s->job_path;
    if ((spec->name = o->stage ? arena_printf(a, "%s:%s", name, o->stage) : (char *)name) == NULL)
        return why_rc(why, RC_NOMEM);
    spec->stage = (char *)o->stage;
    spec->has_session = s->of_driver;
    spec->session = (ProtobufCBinaryData){ sizeof s->id, (uint8_t *)s->id };
    spec->has_code_digest = s->has_digest;
    spec->code_digest = (ProtobufCBinaryData){ sizeof s->digest, (uint8_t *)s->digest };
    spec->priority = o->priority;
    spec->map_attempts = (uint32_t)conf->map_attempts;
    spec->reduce_attempts = (uint32_t)conf->reduce_attempts;
    spec->slowstart = conf->slowstart;
    spec->locality_wait_ms = conf->locality_wait_ms;
    spec->has_trackers_max = true;
    spec->trackers_max = (uint32_t)conf->trackers_max;
    spec->sort_bytes = conf->sort_bytes * MB;
    spec->sort_factor = (uint32_t)conf->sort_factor;
    spec->compress = conf->map_compress;
    spec->timeout_ms = conf->task_timeout_ms;
    spec->memory_bytes = conf->task_memory * MB;
    spec->parallel_copies = (uint32_t)conf->parallel_copies;
    spec->replication = (uint32_t)conf->replication;
    return fs_umask(conf, &spec->umask, why);
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

/* The file that the sampler reads just now. */
struct sampled {
    struct fs *fs;
    const char *path;
    struct fs_reader *reader;
};

static enum rc
sample_read(void *arg, const struct mr_split *s, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    struct sampled *f = arg;
    enum rc rc;

    if (f->reader == NULL || strcmp(f->path, s->path) != 0) {
        if (f->reader != NULL)
            fs_close_read(f->reader);
        f->reader = NULL;
        if ((rc = fs_open_read(f->fs, s->path, &f->reader, why)) != RC_OK)
            return rc;
        f->path = s->path;
    }
    return fs_pread(f->reader, p, cap, at, ret_n, why);
}

static enum rc
fill_bounds(struct mr_session *s, const struct mr_elf_job *job, struct arena *a, JtJobSpec *spec, struct why *why)
{
    struct sampled file = { .fs = s->fs };
    struct mr_sample m = { .w = &s->c->w, .reader = job->reader, .record_bytes = job->record_bytes,
                           .key_bytes = job->key_bytes, .reduces = spec->reduces, .read = sample_read, .arg = &file };
    struct mr_option *options;
    struct mr_bytes *bounds;
    size_t n = 0;
    enum rc rc;

    if (job->partition_by != MR_PART_RANGE || spec->reduces < 2)
        return RC_OK;
    if ((options = arena_calloc(a, spec->n_options + 1, sizeof *options)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < spec->n_options; i++)
        options[i] = (struct mr_option){ spec->options[i]->key, spec->options[i]->value };
    m.options = options;
    m.option_count = spec->n_options;
    plan_splits(s->plan, &m.splits, &m.split_count);
    rc = mr_sample_bounds(&m, a, &bounds, &n, why);
    if (file.reader != NULL)
        fs_close_read(file.reader);
    if (rc != RC_OK)
        return rc;
    if ((spec->bounds = arena_calloc(a, n + 1, sizeof *spec->bounds)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (spec->n_bounds = 0; spec->n_bounds < n; spec->n_bounds++)
        spec->bounds[spec->n_bounds] = (ProtobufCBinaryData){ bounds[spec->n_bounds].n,
                                                              (uint8_t *)(uintptr_t)bounds[spec->n_bounds].p };
    return RC_OK;
}

/*
 * Where every pair is kept, a map's input is to fit its memory with what that adds to it, so that its output is sorted
 * and written once.  Splits that are much smaller than usual are not worth it.
 */
static uint64_t
split_max(const struct conf *conf, const struct mr_elf_job *job)
{
    uint64_t fits = conf->sort_bytes * MB / 8 * 5;

    if (job->map_only || job->folds || conf->split_max <= fits)
        return conf->split_max;
    return fits < SPLIT_LEAST ? SPLIT_LEAST : fits;
}

static enum rc
fill_spec(struct mr_session *s, const struct mr_order *o, const struct mr_elf_job *job, struct arena *a, JtJobSpec *spec,
          struct why *why)
{
    struct mr_cmd *c = s->c;
    struct plan_request r = { c->user, o->inputs, o->input_count, mr_reader_takes_files(job->reader), c->conf.split_min,
                              split_max(&c->conf, job) };
    enum rc rc;

    spec->reduces = job->map_only ? 0 : o->reduces ? o->reduces : (uint32_t)c->conf.reduces;
    if (!job->map_only && spec->reduces == 0)
        return why_set(why, RC_BAD_USAGE, "mapreduce.job.reduces is 0, but the job is not map_only");
    if ((rc = fill_numbers(&c->conf, s, o, a, spec, why)) != RC_OK)
        return rc;
    spec->has_results = true;
    spec->results = o->output == NULL;
    if ((spec->output = o->output ? plan_absolute(a, c->user, o->output) : arena_strdup(a, "")) == NULL ||
        (o->second != NULL && (spec->second = plan_absolute(a, c->user, o->second)) == NULL))
        return why_rc(why, RC_NOMEM);
    if (o->overwrite && (rc = clear_output(c, s->fs, spec->output, a, why)) != RC_OK)
        return rc;
    if ((rc = plan_make(s->fs, &r, &s->plan, why)) != RC_OK || (rc = fill_sides(c, o, a, spec, why)) != RC_OK)
        return rc;
    plan_maps(s->plan, spec);
    if ((rc = fill_options(c, o, a, spec, why)) != RC_OK)
        return rc;
    return fill_bounds(s, job, a, spec, why);
}

enum rc
mr_submit(struct mr_session *s, const struct mr_order *o, struct arena *a, char **ret_id, size_t *ret_maps,
          uint32_t *ret_reduces, struct why *why)
{
    JtSubmitRequest req = JT_SUBMIT_REQUEST__INIT;
    JtJobSpec spec = JT_JOB_SPEC__INIT;
    const ProtobufCMessage *m;
    const JtSubmitReply *reply;
    uint8_t id[16];
    struct mr_elf_job job;
    enum rc rc;

    if ((rc = mr_elf_job(s->job_path, s->code, s->code_bytes, o->stage, &job, why)) != RC_OK ||
        (rc = fill_spec(s, o, &job, a, &spec, why)) != RC_OK)
        return rc;
    rng_bytes(s->c->w.rng, id, sizeof id);
    req.submit_id = (ProtobufCBinaryData){ sizeof id, id };
    req.spec = &spec;
    req.code = (ProtobufCBinaryData){ s->code_bytes, s->code };
    for (req.has_code = !s->has_digest;; req.has_code = true) {
        if ((rc = mr_ask(s->c, ROW_job_submit, &req.base, a, &m, why)) != RC_OK)
            return rc;
        reply = (const JtSubmitReply *)(const void *)m;
        if (!reply->need_code)
            break;
        if (req.has_code)
            return why_set(why, RC_BUG, "the JobTracker asks for the code that it was sent");
    }
    s->has_digest = reply->has_code_digest && reply->code_digest.len == sizeof s->digest;
    if (s->has_digest)
        memcpy(s->digest, reply->code_digest.data, sizeof s->digest);
    if (s->c->on_submitted != NULL)
        s->c->on_submitted(s->c->submitted_arg, reply->job);
    *ret_id = reply->job;
    *ret_maps = spec.n_maps;
    *ret_reduces = spec.reduces;
    return RC_OK;
}
