/*
 * driver -- the engine's side of mr_driver.h: a .so's own program that runs its jobs.
 *
 * It runs in this process.  Jobs go to the cluster through one session, or with
 * --local run here; files are the filesystem's or local ones accordingly.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "dfsclient/fs.h"
#include "libmr/cmd.h"
#include "libmr/local.h"
#include "libmr/plan.h"

#define ARENA (1 * GB)
#define WAIT_MS 10000
#define READ_MAX (64 * MB)
#define RESULT_MAX (16 * MB)
#define UNIT 8

struct driver {
    struct mr_driver d;             /* first: what the job is given */
    struct mr_cmd *c;
    const char *job_path;
    const struct mr_order *given;
    bool local;
    struct mr_session *session;     /* NULL with local */
    struct arena arena;             /* of the last run */
    struct buf results;             /* its pairs: struct mr_pair, value, key, each padded to UNIT */
    size_t result_at;
    struct { const char *name; int64_t value; } *counters;      /* in arena */
    size_t counter_count;
    double seconds;
    uint8_t *file;                  /* of the last mr_read */
};

static struct driver *
driver_of(struct mr_driver *d)
{
    return (struct driver *)(void *)d;
}

static int
complain(const struct why *why)
{
    (void)mr_complain(why);
    return -1;
}

/* ---- a run ---- */

static size_t
padded(size_t n)
{
    return (n + UNIT - 1) / UNIT * UNIT;
}

/* A run of pairs as a task gives it back, to where the driver walks it. */
static enum rc
add_results(struct driver *v, const uint8_t *p, size_t n, struct why *why)
{
    static const uint8_t zero[UNIT];
    struct mr_pair head;

    for (size_t at = 0; at < n; at += sizeof head + head.key_len + head.value_len) {
        const uint8_t *key = p + at + sizeof head;

        if (n - at < sizeof head)
            return why_set(why, RC_BAD_MESSAGE, "the job's results end in the middle of a pair");
        memcpy(&head, p + at, sizeof head);
        if (head.key_len > n - at - sizeof head || head.value_len > n - at - sizeof head - head.key_len)
            return why_set(why, RC_BAD_MESSAGE, "the job's results end in the middle of a pair");
        buf_put(&v->results, &head, sizeof head);
        buf_put(&v->results, key + head.key_len, head.value_len);
        buf_put(&v->results, zero, padded(head.value_len) - head.value_len);
        buf_put(&v->results, key, head.key_len);
        buf_put(&v->results, zero, padded(head.key_len) - head.key_len);
    }
    return buf_ok(&v->results) ? RC_OK : why_rc(why, RC_NOMEM);
}

static enum rc
counters_room(struct driver *v, size_t n, struct why *why)
{
    v->counter_count = 0;
    v->counters = arena_calloc(&v->arena, n + 1, sizeof *v->counters);
    return v->counters ? RC_OK : why_rc(why, RC_NOMEM);
}

static void
add_counter(struct driver *v, const char *name, int64_t value)
{
    v->counters[v->counter_count].name = name;
    v->counters[v->counter_count++].value = value;
}

static enum rc
run_local(struct driver *v, const struct mr_order *o, struct why *why)
{
    struct mr_local l = { .w = &v->c->w, .conf = &v->c->conf, .job_path = v->job_path, .stage = o->stage, .inputs = o->inputs,
                          .input_count = o->input_count, .output = o->output, .second = o->second, .reduces = o->reduces,
                          .sides = o->sides, .side_count = o->side_count, .options = o->options,
                          .option_count = o->option_count, .overwrite = o->overwrite };
    struct mr_progress p;
    struct buf pairs;
    enum rc rc;

    buf_init(&pairs, RESULT_MAX);
    l.results = &pairs;
    if ((rc = mr_local_run(&l, &v->arena, &p, why)) != RC_OK || (rc = add_results(v, pairs.p, pairs.n, why)) != RC_OK ||
        (rc = counters_room(v, MRC_COUNT + p.user_count, why)) != RC_OK)
        goto out;
    for (int i = 0; i < MRC_COUNT; i++)
        add_counter(v, mr_counter_name((enum mr_counter)i), p.counters[i]);
    for (size_t i = 0; i < p.user_count; i++)
        add_counter(v, p.user[i].name, p.user[i].value);
out:
    buf_fini(&pairs);
    return rc;
}

static enum rc
wait_for_end(struct driver *v, char *id, const JtStatusReply **ret, struct why *why)
{
    JtStatusRequest req = JT_STATUS_REQUEST__INIT;
    const ProtobufCMessage *m;
    const char *state;
    enum rc rc;

    req.job = id;
    req.has_max_wait_ms = req.has_until_over = req.has_results = true;
    req.until_over = req.results = true;
    req.max_wait_ms = WAIT_MS;
    do {
        if ((rc = mr_ask(v->c, ROW_job_status, &req.base, &v->arena, &m, why)) != RC_OK)
            return rc;
        *ret = (const JtStatusReply *)(const void *)m;
        state = (*ret)->status->state;
    } while (strcmp(state, "RUNNING") == 0 || strcmp(state, "COMMITTING") == 0);
    return RC_OK;
}

static enum rc
run_remote(struct driver *v, const struct mr_order *o, struct why *why)
{
    const JtStatusReply *reply;
    const JtJobStatus *s;
    uint32_t reduces;
    size_t maps;
    char *id;
    enum rc rc;

    if ((rc = mr_submit(v->session, o, &v->arena, &id, &maps, &reduces, why)) != RC_OK ||
        (rc = wait_for_end(v, id, &reply, why)) != RC_OK)
        return rc;
    s = reply->status;
    if (strcmp(s->state, "SUCCEEDED") != 0) {
        mr_print_end(s);
        return why_set(why, RC_JOB_FAILED, "%s %s", s->id, strcmp(s->state, "KILLED") == 0 ? "was killed" : "failed");
    }
    for (size_t i = 0; i < reply->n_results; i++)
        if ((rc = add_results(v, reply->results[i].data, reply->results[i].len, why)) != RC_OK)
            return rc;
    if ((rc = counters_room(v, s->n_counters, why)) != RC_OK)
        return rc;
    for (size_t i = 0; i < s->n_counters; i++)
        add_counter(v, s->counters[i]->name, s->counters[i]->value);
    return RC_OK;
}

static int
api_run(struct mr_driver *d, const struct mr_run *r)
{
    struct driver *v = driver_of(d);
    struct mr_order o = { .stage = r->stage, .inputs = v->given->inputs, .input_count = v->given->input_count,
                          .output = r->output, .second = r->second, .reduces = r->reduces, .sides = r->sides,
                          .side_count = r->side_count, .options = r->options, .option_count = r->option_count,
                          .overwrite = v->given->overwrite && r->output, .priority = v->given->priority };
    uint64_t began = clock_mono_us(v->c->w.clock);
    struct why why;
    enum rc rc;

    if (r->inputs != NULL) {
        o.inputs = r->inputs;
        for (o.input_count = 0; r->inputs[o.input_count] != NULL;)
            o.input_count++;
    }
    arena_reset(&v->arena);
    buf_clear(&v->results);
    v->result_at = v->counter_count = 0;
    if (o.input_count == 0)
        rc = why_set(&why, RC_BAD_USAGE, "this job needs -input PATH");
    else
        rc = v->local ? run_local(v, &o, &why) : run_remote(v, &o, &why);
    v->seconds = (double)(clock_mono_us(v->c->w.clock) - began) / 1e6;
    return rc == RC_OK ? 0 : complain(&why);
}

static int
api_result(struct mr_driver *d, struct mr_bytes *key, struct mr_bytes *value)
{
    struct driver *v = driver_of(d);
    struct mr_pair head;
    const char *p;

    if (v->result_at == v->results.n)
        return 0;
    p = (const char *)v->results.p + v->result_at;
    memcpy(&head, p, sizeof head);
    *value = (struct mr_bytes){ p + sizeof head, head.value_len };
    *key = (struct mr_bytes){ value->p + padded(head.value_len), head.key_len };
    v->result_at += sizeof head + padded(head.value_len) + padded(head.key_len);
    return 1;
}

static int64_t
api_counter(struct mr_driver *d, const char *name)
{
    const struct driver *v = driver_of(d);

    for (size_t i = 0; i < v->counter_count; i++)
        if (strcmp(v->counters[i].name, name) == 0)
            return v->counters[i].value;
    return 0;
}

static double
api_seconds(struct mr_driver *d)
{
    return driver_of(d)->seconds;
}

/* ---- small files ---- */

static enum rc
read_remote(struct driver *v, const char *path, uint8_t **ret, size_t *ret_n, struct why *why)
{
    struct fs *fs = mr_session_fs(v->session);
    struct fs_reader *r = NULL;
    struct fs_status st;
    struct arena a;
    uint8_t *p = NULL;
    char *full;
    size_t at = 0, n = 1;
    enum rc rc = RC_NOMEM;

    arena_init(&a, ARENA);
    if ((full = plan_absolute(&a, v->c->user, path)) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = fs_stat(fs, full, &a, &st, why)) != RC_OK)
        goto out;
    if (st.bytes > READ_MAX) {
        rc = why_set(why, RC_BAD_USAGE, "%s has %" PRIu64 " bytes: a driver reads at most 64 MB", full, st.bytes);
        goto out;
    }
    if ((p = mem_alloc(st.bytes + 1)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    if (st.bytes > 0 && (rc = fs_open_read(fs, full, &r, why)) != RC_OK)
        goto out;
    while (at < st.bytes && n > 0) {
        if ((rc = fs_pread(r, p + at, st.bytes - at, at, &n, why)) != RC_OK)
            goto out;
        at += n;
    }
    *ret = p;
    *ret_n = at;
    p = NULL;
out:
    if (r != NULL)
        fs_close_read(r);
    mem_free(p);
    arena_fini(&a);
    return rc;
}

static int
api_read(struct mr_driver *d, const char *path, struct mr_bytes *ret)
{
    struct driver *v = driver_of(d);
    uint8_t *p = NULL;
    struct why why;
    size_t n = 0;
    enum rc rc;

    rc = v->local ? io_read_file(v->c->w.io, path, READ_MAX, &p, &n, &why) : read_remote(v, path, &p, &n, &why);
    if (rc == RC_NOT_FOUND || rc == RC_SYS_NOT_FOUND)
        return 0;
    if (rc != RC_OK)
        return complain(&why);
    mem_free(v->file);
    v->file = p;
    *ret = (struct mr_bytes){ (char *)p, n };
    return 1;
}

/* Beside its place, then there in one step. */
static enum rc
write_remote(struct driver *v, const char *path, const void *p, size_t n, struct why *why)
{
    struct fs *fs = mr_session_fs(v->session);
    struct fs_create_options as = { .replication = (uint32_t)v->c->conf.replication, .overwrite = true };
    struct fs_writer *w;
    struct arena a;
    char *full, *base, *temp;
    uint32_t umask;
    enum rc rc = RC_NOMEM;

    arena_init(&a, ARENA);
    if ((full = plan_absolute(&a, v->c->user, path)) == NULL || (base = strrchr(full, '/') + 1) == NULL ||
        (temp = arena_printf(&a, "%.*s.%s.%016" PRIx64, (int)(base - full), full, base, rng_u64(v->c->w.rng))) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = fs_umask(&v->c->conf, &umask, why)) != RC_OK)
        goto out;
    as.mode = 0666 & ~umask;
    if ((rc = fs_create(fs, temp, &as, &w, why)) != RC_OK)
        goto out;
    if ((rc = fs_write(w, p, n, why)) != RC_OK)
        fs_abandon_write(w);
    else if ((rc = fs_close_write(w, why)) == RC_OK)
        rc = fs_rename_to(fs, temp, full, true, why);
out:
    arena_fini(&a);
    return rc;
}

static int
api_write_file(struct mr_driver *d, const char *path, const void *p, size_t n)
{
    struct driver *v = driver_of(d);
    struct why why;
    enum rc rc;

    rc = v->local ? io_write_file(v->c->w.io, path, p, n, &why) : write_remote(v, path, p, n, &why);
    return rc == RC_OK ? 0 : complain(&why);
}

enum file_op { FILE_REMOVE, FILE_EXISTS, FILE_MKDIRS };

static enum rc
file_local(struct driver *v, enum file_op op, const char *path, struct why *why)
{
    struct io *io = v->c->w.io;
    struct io_stat st;

    switch (op) {
    case FILE_REMOVE:
        if (io_stat(io, path, &st, why) == RC_OK && st.is_file)
            return io_unlink(io, path, why);
        return io_remove_tree(io, path, why);
    case FILE_EXISTS:
        return io_stat(io, path, &st, why);
    case FILE_MKDIRS:
        return io_mkdirs(io, path, 0755, why);
    }
    return RC_OK;
}

static enum rc
file_remote(struct driver *v, enum file_op op, const char *path, struct why *why)
{
    struct fs *fs = mr_session_fs(v->session);
    struct fs_status st;
    struct arena a;
    uint32_t umask;
    char *full;
    bool done;
    enum rc rc;

    arena_init(&a, 1 * MB);
    if ((full = plan_absolute(&a, v->c->user, path)) == NULL)
        rc = why_rc(why, RC_NOMEM);
    else if (op == FILE_REMOVE)
        rc = fs_delete(fs, full, true, &done, why);
    else if (op == FILE_EXISTS)
        rc = fs_stat(fs, full, &a, &st, why);
    else if ((rc = fs_umask(&v->c->conf, &umask, why)) == RC_OK)
        rc = fs_mkdirs(fs, full, 0777 & ~umask, true, why);
    arena_fini(&a);
    return rc;
}

/* 1: done, or there; 0: not there; -1 after saying why. */
static int
file_op(struct mr_driver *d, enum file_op op, const char *path)
{
    struct driver *v = driver_of(d);
    struct why why;
    enum rc rc = v->local ? file_local(v, op, path, &why) : file_remote(v, op, path, &why);

    if (rc == RC_NOT_FOUND || rc == RC_SYS_NOT_FOUND)
        return 0;
    return rc == RC_OK ? 1 : complain(&why);
}

static int api_exists(struct mr_driver *d, const char *path) { return file_op(d, FILE_EXISTS, path); }
static int api_remove(struct mr_driver *d, const char *path) { return file_op(d, FILE_REMOVE, path) < 0 ? -1 : 0; }
static int api_mkdirs(struct mr_driver *d, const char *path) { return file_op(d, FILE_MKDIRS, path) < 0 ? -1 : 0; }

/* ---- what it was given ---- */

struct wanted {
    const char *key, *value;
};

static void
on_option(void *arg, const char *key, const char *value)
{
    struct wanted *w = arg;

    if (strcmp(key, w->key) == 0)
        w->value = value;
}

static const char *
api_option(struct mr_driver *d, const char *key)
{
    struct wanted w = { key, NULL };

    conf_each_extra(&driver_of(d)->c->conf, on_option, &w);
    return w.value;
}

static const char *
api_input(struct mr_driver *d, size_t i)
{
    const struct mr_order *o = driver_of(d)->given;

    return i < o->input_count ? o->inputs[i] : NULL;
}

static const char *
api_output(struct mr_driver *d)
{
    return driver_of(d)->given->output;
}

static const struct mr_driver_api api = {
    .abi = MR_ABI,
    .size = sizeof(struct mr_driver_api),
    .run = api_run,
    .result = api_result,
    .counter = api_counter,
    .seconds = api_seconds,
    .read = api_read,
    .write_file = api_write_file,
    .remove = api_remove,
    .exists = api_exists,
    .mkdirs = api_mkdirs,
    .option = api_option,
    .input = api_input,
    .output = api_output,
};

int
mr_run_driver(struct mr_cmd *c, const char *job_path, const struct mr_order *order, bool local)
{
    struct driver v = { .d = { &api }, .c = c, .job_path = job_path, .given = order, .local = local };
    const struct mr_driver_entry *entry;
    struct why why;
    int status;

    if (mr_note_check(c->w.io, job_path, &why) != RC_OK || mr_driver_load(job_path, &entry, &why) != RC_OK ||
        (!local && mr_session_open(c, job_path, true, &v.session, &why) != RC_OK))
        return mr_complain(&why);
    arena_init(&v.arena, ARENA);
    buf_init(&v.results, 4 * RESULT_MAX);
    status = entry->run(&v.d);
    (void)fflush(stdout);               /* main's return does it again */
    arena_fini(&v.arena);
    buf_fini(&v.results);
    mem_free(v.file);
    mr_session_close(v.session);
    return status;
}
