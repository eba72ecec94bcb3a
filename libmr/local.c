#include "libmr/local.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/rng.h"
#include "dfsclient/fs.h"
#include "libmr/sample.h"

#define SIDE_FILE_MAX ((size_t)16 * GB)

/* One input file: a local one has fd >= 0, a cluster's has a reader. */
struct input {
    int fd;
    struct fs *fs;
    struct fs_reader *reader;
};

/* A file of final output; the main one has no name. */
struct outlet {
    const char *name;
    int fd;
    uint64_t at;
};

struct local {
    struct mr_host host;                /* first */
    const struct mr_local *l;
    struct arena *arena;
    const struct mr_job *job;
    struct mr_file *files;
    struct input *inputs;
    size_t file_count, file_cap, input_cap;
    const struct mr_split *splits;
    size_t split_count;
    char *temp;                         /* output directory while the job runs */
    int scratch_count;
    struct mr_map_index *index;         /* of each map's output, file temp/map-N */
    uint32_t map;                       /* running map, or partition of the running reduce */
    uint32_t next;                      /* next segment of the running reduce */
    struct outlet *outlets;             /* of the running attempt, or NULL */
    size_t outlet_count, outlet_cap;
    bool is_map;
    int second_fd;                      /* -1 none */
    struct mr_bytes *sides;             /* read when first asked for */
    struct mr_option *options;
    size_t option_count;
    struct mr_bytes *bounds;            /* MR_PART_RANGE */
    size_t bound_count;
    struct mr_progress *total;
    struct mr_user_counter *user;
};

static enum rc
read_file(struct local *c, const struct mr_split *s, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    for (size_t i = 0; i < c->file_count; i++) {
        if (c->files[i].path != s->path)
            continue;
        if (c->inputs[i].reader)
            return fs_pread(c->inputs[i].reader, p, cap, at, ret_n, why);
        return io_pread(c->l->w->io, c->inputs[i].fd, p, cap, at, ret_n, why);
    }
    return why_set(why, RC_BUG, "split of a file that is not input: %s", s->path);
}

static enum rc
host_read(struct mr_host *h, size_t split, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    struct local *c = (struct local *)h;

    return read_file(c, &c->splits[c->map + split], p, cap, at, ret_n, why);
}

static enum rc
open_temp(struct local *c, const char *kind, uint32_t n, int *ret_fd, struct why *why)
{
    char *path = arena_printf(c->arena, "%s/%s-%u", c->temp, kind, n);

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    return io_open(c->l->w->io, path, IO_READ | IO_WRITE | IO_CREATE, ret_fd, why);
}

static enum rc
host_scratch(struct mr_host *h, int *ret_fd, struct why *why)
{
    struct local *c = (struct local *)h;

    return open_temp(c, "spill", (uint32_t)c->scratch_count++, ret_fd, why);
}

static enum rc
host_map_output(struct mr_host *h, int *ret_fd, struct why *why)
{
    struct local *c = (struct local *)h;

    return open_temp(c, "map", c->map, ret_fd, why);
}

static enum rc
host_next_segment(struct mr_host *h, struct mr_segment *ret, bool *ret_more, struct why *why)
{
    struct local *c = (struct local *)h;
    const struct mr_map_index *ix;

    if ((*ret_more = c->next < c->split_count) == false)
        return RC_OK;
    ix = &c->index[c->next];
    ret->map = c->next;
    ret->at = ix->at[c->map];
    ret->bytes = ix->at[c->map + 1] - ret->at;
    return open_temp(c, "map", c->next++, &ret->fd, why);
}

static enum rc
open_outlet(struct local *c, const char *name, struct outlet **ret, struct why *why)
{
    char *copy = name ? arena_strdup(c->arena, name) : NULL, *path;
    struct outlet *o;
    enum rc rc;

    for (size_t i = 0; i < c->outlet_count; i++)
        if (name == NULL ? c->outlets[i].name == NULL : c->outlets[i].name && strcmp(c->outlets[i].name, name) == 0) {
            *ret = &c->outlets[i];
            return RC_OK;
        }
    path = arena_printf(c->arena, "%s/%s-%c-%05u", c->temp, name ? name : "part", c->is_map ? 'm' : 'r', c->map);
    if (path == NULL || (name != NULL && copy == NULL) || !mem_room(&c->outlets, c->outlet_count, &c->outlet_cap, sizeof *o))
        return why_rc(why, RC_NOMEM);
    o = &c->outlets[c->outlet_count];
    *o = (struct outlet){ copy, -1, 0 };
    if ((rc = io_open(c->l->w->io, path, IO_WRITE | IO_CREATE | IO_EXCL, &o->fd, why)) != RC_OK)
        return rc;
    c->outlet_count++;
    *ret = o;
    return RC_OK;
}

static enum rc
host_write(struct mr_host *h, const char *output, const void *p, size_t n, struct why *why)
{
    struct local *c = (struct local *)h;
    struct outlet *o;
    enum rc rc;

    if (c->l->output == NULL) {
        buf_put(c->l->results, p, n);
        return buf_ok(c->l->results) ? RC_OK : why_set(why, RC_JOB_FAILED, "the job gives back more than 16 MB: give it an "
                                                       "output");
    }
    if ((rc = open_outlet(c, output, &o, why)) != RC_OK || (rc = io_pwrite(c->l->w->io, o->fd, p, n, o->at, why)) != RC_OK)
        return rc;
    o->at += n;
    return RC_OK;
}

static void
close_outlets(struct local *c)
{
    for (size_t i = 0; i < c->outlet_count; i++)
        io_close(c->l->w->io, c->outlets[i].fd);
    c->outlet_count = 0;
}

static enum rc
host_side(struct mr_host *h, const char *name, struct mr_bytes *ret, struct why *why)
{
    struct local *c = (struct local *)h;

    *ret = (struct mr_bytes){ NULL, 0 };
    for (size_t i = 0; i < c->l->side_count; i++) {
        const struct mr_side *s = &c->l->sides[i];
        uint8_t *p = NULL;
        enum rc rc;

        if (strcmp(s->name, name) != 0)
            continue;
        if (c->sides[i].p == NULL && s->path == NULL) {
            if ((p = mem_alloc(s->bytes + 1)) == NULL)
                return why_rc(why, RC_NOMEM);
            if (s->bytes)
                memcpy(p, s->data, s->bytes);
            c->sides[i] = (struct mr_bytes){ (char *)p, s->bytes };
        } else if (c->sides[i].p == NULL) {
            size_t n;

            if ((rc = io_read_file(c->l->w->io, s->path, SIDE_FILE_MAX, &p, &n, why)) != RC_OK)
                return why_prefix(why, "side file %s", s->path);
            c->sides[i] = (struct mr_bytes){ (char *)p, n };
        }
        *ret = c->sides[i];
        break;
    }
    return RC_OK;
}

static enum rc
host_second(struct mr_host *h, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    struct local *c = (struct local *)h;
    char *path;
    enum rc rc;

    if (c->second_fd < 0) {
        if ((path = arena_printf(c->arena, "%s/part-m-%05u", c->l->second, c->map)) == NULL)
            return why_rc(why, RC_NOMEM);
        if ((rc = io_open(c->l->w->io, path, IO_READ, &c->second_fd, why)) != RC_OK)
            return why_prefix(why, "second input %s", path);
    }
    return io_pread(c->l->w->io, c->second_fd, p, cap, at, ret_n, why);
}

static void
host_progress(struct mr_host *h, const struct mr_progress *p)
{
    (void)h;    /* on_attempt tells enough: each attempt is short here */
    (void)p;
}

static const struct mr_host_ops host_ops = {
    host_read, host_scratch, host_map_output, host_next_segment, host_write, host_progress,
    host_side, host_second, NULL, NULL,     /* nothing is kept in memory */
};

static enum rc
add_input(struct local *c, const char *path, uint64_t bytes, uint64_t block_bytes, struct input in, struct why *why)
{
    if (!mem_room(&c->files, c->file_count, &c->file_cap, sizeof *c->files) ||
        !mem_room(&c->inputs, c->file_count, &c->input_cap, sizeof *c->inputs))
        return why_rc(why, RC_NOMEM);
    c->files[c->file_count] = (struct mr_file){ path, bytes, block_bytes, mr_reader_takes_files(c->job->reader) };
    c->inputs[c->file_count++] = in;
    return RC_OK;
}

/* A directory's entries, without hidden ones and those that begin with '_', as Hadoop leaves them out. */
struct listing {
    struct local *c;
    const char *dir;
    char **paths;
    size_t n, cap;
};

static bool
on_name(void *arg, const char *name)
{
    struct listing *l = arg;

    if (name[0] == '.' || name[0] == '_')
        return true;
    if (!mem_room(&l->paths, l->n, &l->cap, sizeof *l->paths) ||
        (l->paths[l->n] = arena_printf(l->c->arena, "%s/%s", l->dir, name)) == NULL)
        return false;
    l->n++;
    return true;
}

static enum rc
open_local(struct local *c, const char *path, bool listed, struct why *why)
{
    struct io *io = c->l->w->io;
    struct listing names = { .c = c, .dir = path };
    struct input in = { .fd = -1 };
    struct io_stat st;
    enum rc rc;

    if ((rc = io_stat(io, path, &st, why)) != RC_OK)
        return rc;
    if (st.is_dir && listed)
        return RC_OK;       /* directories inside a directory are left out */
    if (st.is_dir) {
        rc = io_list(io, path, on_name, &names, why);
        for (size_t i = 0; rc == RC_OK && i < names.n; i++)
            rc = open_local(c, names.paths[i], true, why);
        mem_free(names.paths);
        return rc;
    }
    if ((rc = io_open(io, path, IO_READ, &in.fd, why)) != RC_OK)
        return rc;
    if ((rc = add_input(c, path, st.size, c->l->conf->block_bytes, in, why)) != RC_OK)
        io_close(io, in.fd);
    return rc;
}

/* hdfs://host:port/path, one file. */
static enum rc
open_cluster(struct local *c, const char *uri, struct why *why)
{
    const char *path = strchr(uri + strlen("hdfs://"), '/');
    struct input in = { .fd = -1 };
    struct fs_status st;
    char *base;
    enum rc rc;

    if (path == NULL)
        return why_set(why, RC_BAD_USAGE, "%s has no path: give hdfs://HOST:PORT/PATH", uri);
    if ((base = arena_strndup(c->arena, uri, (size_t)(path - uri))) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_open(c->l->w, c->l->conf, base, NULL, &in.fs, why)) != RC_OK)
        return rc;
    if ((rc = fs_stat(in.fs, path, c->arena, &st, why)) == RC_OK && st.is_dir)
        rc = why_set(why, RC_BAD_USAGE, "%s is a directory: with --local give files of a cluster one by one", uri);
    if (rc == RC_OK)
        rc = fs_open_read(in.fs, path, &in.reader, why);
    if (rc == RC_OK && (rc = add_input(c, uri, st.bytes, st.block_bytes, in, why)) != RC_OK)
        fs_close_read(in.reader);
    if (rc != RC_OK)
        fs_close(in.fs);
    return rc;
}

static void
on_extra(void *arg, const char *key, const char *value)
{
    struct local *c = arg;

    if (c->options)
        c->options[c->option_count] = (struct mr_option){ key, value };
    c->option_count++;
}

static enum rc
collect_options(struct local *c, struct why *why)
{
    conf_each_extra(c->l->conf, on_extra, c);
    if ((c->options = arena_calloc(c->arena, c->l->option_count + c->option_count + 1, sizeof *c->options)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (c->option_count = 0; c->option_count < c->l->option_count; c->option_count++)
        c->options[c->option_count] = (struct mr_option){ c->l->options[c->option_count].key,
                                                          c->l->options[c->option_count].value };
    conf_each_extra(c->l->conf, on_extra, c);
    return RC_OK;
}

/* Add one attempt's counters to the job's. */
static enum rc
add_counters(struct local *c, const struct mr_progress *p, struct why *why)
{
    for (int i = 0; i < MRC_COUNT; i++)
        c->total->counters[i] += p->counters[i];
    for (size_t i = 0; i < p->user_count; i++) {
        size_t k = 0;

        while (k < c->total->user_count && strcmp(c->user[k].name, p->user[i].name) != 0)
            k++;
        if (k == c->total->user_count) {
            struct mr_user_counter *v = arena_calloc(c->arena, k + 1, sizeof *v);

            if (v == NULL)
                return why_rc(why, RC_NOMEM);
            if (k)
                memcpy(v, c->user, k * sizeof *v);
            v[k].name = p->user[i].name;
            c->user = v;
            c->total->user = v;
            c->total->user_count++;
        }
        c->user[k].value += p->user[i].value;
    }
    return RC_OK;
}

static enum rc
run_attempt(struct local *c, bool is_map, uint32_t i, uint32_t reduces, struct why *why)
{
    const struct conf *conf = c->l->conf;
    struct mr_spec spec = {
        .is_map = is_map, .index = i, .map_count = (uint32_t)c->split_count, .reduce_count = reduces,
        .splits = is_map ? &c->splits[i] : NULL, .split_count = is_map,
        .sort_bytes = conf->sort_bytes * MB, .sort_factor = (uint32_t)conf->sort_factor, .compress = conf->map_compress,
        .options = c->options, .option_count = c->option_count, .bounds = c->bounds, .bound_count = c->bound_count,
        .results = c->l->output == NULL && (!is_map || reduces == 0), .second = is_map && c->l->second != NULL,
    };
    struct mr_progress p;
    struct outlet *o;
    enum rc rc = RC_OK;

    c->map = i;
    c->next = 0;
    c->is_map = is_map;
    if (c->l->output != NULL && (!is_map || reduces == 0))
        rc = open_outlet(c, NULL, &o, why);         /* an empty file is output too */
    if (rc == RC_OK)
        rc = mr_attempt_run(&spec, c->job, &c->host, c->l->w->io, c->l->w->clock, c->arena, &p,
                        is_map && reduces ? &c->index[i] : NULL, why);
    close_outlets(c);
    if (c->second_fd >= 0)
        io_close(c->l->w->io, c->second_fd);
    c->second_fd = -1;
    if (rc != RC_OK)
        return why_prefix(why, "%s %u", is_map ? "map" : "reduce", i);
    return add_counters(c, &p, why);
}

/* Remove what only the run needed; what is left is the output. */
static enum rc
drop_scratch(struct local *c, struct why *why)
{
    struct io *io = c->l->w->io;
    char *path;
    enum rc rc = RC_OK;

    for (uint32_t i = 0; rc == RC_OK && i < c->split_count && c->index; i++)
        if ((path = arena_printf(c->arena, "%s/map-%u", c->temp, i)) == NULL)
            rc = why_rc(why, RC_NOMEM);
        else
            rc = io_unlink(io, path, why);
    for (int i = 0; rc == RC_OK && i < c->scratch_count; i++)
        if ((path = arena_printf(c->arena, "%s/spill-%d", c->temp, i)) == NULL)
            rc = why_rc(why, RC_NOMEM);
        else
            rc = io_unlink(io, path, why);
    return rc;
}

static enum rc
sample_read(void *arg, const struct mr_split *s, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    return read_file(arg, s, p, cap, at, ret_n, why);
}

static enum rc
find_bounds(struct local *c, uint32_t reduces, struct why *why)
{
    struct mr_sample s = { .w = c->l->w, .reader = c->job->reader,
                           .record_bytes = c->job->record_bytes, .key_bytes = c->job->key_bytes, .splits = c->splits, .split_count = c->split_count,
                           .options = c->options, .option_count = c->option_count, .reduces = reduces, .read = sample_read,
                           .arg = c };

    if (c->job->partition_by != MR_PART_RANGE || c->job->partition != NULL || reduces < 2)
        return RC_OK;
    return mr_sample_bounds(&s, c->arena, &c->bounds, &c->bound_count, why);
}

static enum rc
run_all(struct local *c, struct why *why)
{
    const struct mr_local *l = c->l;
    uint32_t reduces = c->job->map_only ? 0 : l->reduces ? l->reduces : (uint32_t)l->conf->reduces;
    char *success;
    enum rc rc;

    if (!c->job->map_only && reduces == 0)
        return why_set(why, RC_BAD_USAGE, "mapreduce.job.reduces is 0, but the job is not map_only");
    if ((rc = find_bounds(c, reduces, why)) != RC_OK)
        return rc;
    if (reduces && (c->index = mem_calloc(c->split_count + 1, sizeof *c->index)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (uint32_t i = 0; i < c->split_count; i++) {
        if ((rc = run_attempt(c, true, i, reduces, why)) != RC_OK)
            return rc;
        if (l->on_attempt)
            l->on_attempt(l->arg, true, i, (uint32_t)c->split_count);
    }
    for (uint32_t i = 0; i < reduces; i++) {
        if ((rc = run_attempt(c, false, i, reduces, why)) != RC_OK)
            return rc;
        if (l->on_attempt)
            l->on_attempt(l->arg, false, i, reduces);
    }
    if ((rc = drop_scratch(c, why)) != RC_OK)
        return rc;
    if (l->output == NULL)
        return io_remove_tree(l->w->io, c->temp, why);
    if ((success = arena_printf(c->arena, "%s/_SUCCESS", c->temp)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_write_file(l->w->io, success, "", 0, why)) != RC_OK)
        return rc;
    return io_rename(l->w->io, c->temp, l->output, why);
}

/* The output must not exist; with overwrite what a job made, which has _SUCCESS in it, may. */
static enum rc
clear_output(const struct mr_local *l, struct why *why)
{
    char *success = mem_printf("%s/_SUCCESS", l->output);
    struct io_stat st;
    enum rc rc;

    if (success == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_stat(l->w->io, l->output, &st, NULL)) == RC_SYS_NOT_FOUND)
        rc = RC_OK;
    else if (rc != RC_OK)
        rc = why_set(why, rc, "output %s: %s", l->output, rc_text(rc));
    else if (l->overwrite && io_stat(l->w->io, success, &st, NULL) == RC_OK)
        rc = io_remove_tree(l->w->io, l->output, why);
    else
        rc = why_set(why, RC_EXISTS, "output %s exists already: remove it or give another", l->output);
    mem_free(success);
    return rc;
}

static enum rc
prepare(struct local *c, struct why *why)
{
    const struct mr_local *l = c->l;
    struct mr_split *splits;
    enum rc rc;

    if (l->output != NULL && (rc = clear_output(l, why)) != RC_OK)
        return rc;
    if ((rc = mr_note_check(l->w->io, l->job_path, why)) != RC_OK || (rc = mr_job_load(l->job_path, l->stage, &c->job, why)) != RC_OK ||
        (rc = collect_options(c, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < l->input_count; i++) {
        bool far = strncmp(l->inputs[i], "hdfs://", 7) == 0;

        if ((rc = far ? open_cluster(c, l->inputs[i], why) : open_local(c, l->inputs[i], false, why)) != RC_OK)
            return rc;
    }
    if ((rc = mr_split_plan(c->files, c->file_count, l->conf->split_min, l->conf->split_max, c->arena, &splits,
                            &c->split_count, why)) != RC_OK)
        return rc;
    c->splits = splits;
    if ((c->sides = mem_calloc(l->side_count + 1, sizeof *c->sides)) == NULL ||
        (c->temp = l->output ? arena_printf(c->arena, "%s._temporary", l->output)
                             : arena_printf(c->arena, "/tmp/mr-local-%016llx", (unsigned long long)rng_u64(l->w->rng))) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_remove_tree(l->w->io, c->temp, why)) != RC_OK)
        return rc;
    return io_mkdirs(l->w->io, c->temp, 0755, why);
}

enum rc
mr_local_run(const struct mr_local *l, struct arena *arena, struct mr_progress *ret, struct why *why)
{
    struct local c = { .host = { &host_ops }, .l = l, .arena = arena, .total = ret, .second_fd = -1 };
    enum rc rc;

    memset(ret, 0, sizeof *ret);
    if ((rc = prepare(&c, why)) == RC_OK)
        rc = run_all(&c, why);
    if (rc != RC_OK && c.temp)
        (void)!io_remove_tree(l->w->io, c.temp, NULL);  /* the failure is what matters */
    for (size_t i = 0; i < c.file_count; i++) {
        if (c.inputs[i].reader) {
            fs_close_read(c.inputs[i].reader);
            fs_close(c.inputs[i].fs);
        } else {
            io_close(l->w->io, c.inputs[i].fd);
        }
    }
    for (size_t i = 0; c.index && i < c.split_count; i++) {
        mem_free(c.index[i].at);
        mem_free(c.index[i].crc);
    }
    mem_free(c.index);
    mem_free(c.outlets);
    for (size_t i = 0; c.sides && i < l->side_count; i++)
        mem_free((char *)(uintptr_t)c.sides[i].p);
    mem_free(c.sides);
    mem_free(c.files);
    mem_free(c.inputs);
    return rc;
}
