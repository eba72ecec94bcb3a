#include "tasktracker/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/table.h"
#include "libmr/collect.h"
#include "libmr/task.h"
#include "tasktracker/chan.h"

#define SPEC_MAX (64 * MB)
#define COUNTERS_MAX 1000
#define ATTEMPT_ARENA (256 * MB)
#define OUTLETS_MAX 64
#define RESULT_MAX (16 * MB)
#define JOBS_KEPT 8                 /* jobs for which columns that none of them used stay mapped */

/* Where the bytes of one split come from just now. */
struct source {
    struct mr_block_file *block;
    int data_fd, meta_fd;           /* of the block, -1 none */
    uint64_t offset, bytes;         /* of the block in the file */
    int stream;                     /* -1 none */
    uint64_t at;                    /* of the stream's next byte in the file */
};

/* An output: the first is the main one, which has no name. */
struct outlet {
    char *name;
    int sink;                       /* -1 not open */
    uint64_t written;
};

/* A side file or data; stays mapped while the worker lives. */
struct side {
    char *name;
    struct mr_bytes bytes;
    struct side *next;
};

/* Columns from the tracker, mapped; kept for the job's and the driver's next attempts. */
struct kept {
    uint64_t id;
    const void *p;
    size_t n;
    uint64_t used_by;               /* last job */
    struct kept *next;
};

struct worker {
    struct mr_host host;            /* first */
    struct worker_self *self;
    struct pipes *pipes;            /* self's */
    int sock;
    const struct mr_job *job;       /* loaded once */
    /* Of the attempt: */
    TkSpec *spec;
    struct source *sources;
    struct mr_split *splits;
    struct mr_bytes *bounds;
    size_t source_count;            /* splits, and the second input */
    struct outlet outlets[OUTLETS_MAX];
    size_t outlet_count;
    struct buf result;              /* what a job with results emits last */
    uint64_t job_number;
    struct side *sides;             /* of the job */
    struct kept *kept;
    struct collect_memory memory;   /* of the job's maps */
    int fill_fd;                    /* of the split being kept; -1 none */
    uint32_t *filled;               /* splits; room for all */
    size_t filled_count;
};

static struct worker *
worker_of(struct mr_host *h)
{
    return CONTAINER_OF(h, struct worker, host);
}

/* ---- asking the tracker ---- */

static enum rc
tell(struct worker *k, const TkReport *r, struct why *why)
{
    return chan_send(k->pipes, k->sock, &r->base, NULL, 0, why);
}

/* Ask; the answer is of kind `want` with fd_count descriptors, or an error. */
static enum rc
ask(struct worker *k, const TkReport *r, TkOrder **ret, int fds[CHAN_FDS], size_t *ret_n, struct why *why)
{
    ProtobufCMessage *m;
    enum rc rc;

    if ((rc = tell(k, r, why)) != RC_OK ||
        (rc = chan_receive(k->pipes, k->sock, &tk_order__descriptor, &m, fds, ret_n, why)) != RC_OK)
        return rc;
    *ret = (TkOrder *)(void *)m;
    if ((*ret)->kind != TK_ORDER__KIND__REFUSED)
        return RC_OK;
    rc = (*ret)->has_rc && (*ret)->rc != 0 ? (enum rc)(*ret)->rc : RC_IO;
    (void)why_set(why, rc, "%s", (*ret)->text ? (*ret)->text : "");
    chan_free(m);
    return rc;
}

static enum rc
ask_file(struct worker *k, TkReport__Kind kind, const char *name, TkOrder__Kind want, int *ret_fd, struct why *why)
{
    TkReport r = TK_REPORT__INIT;
    TkOrder *o;
    int fds[CHAN_FDS];
    size_t n = 0;
    enum rc rc;

    r.kind = kind;
    r.name = (char *)name;
    if ((rc = ask(k, &r, &o, fds, &n, why)) != RC_OK)
        return rc;
    if (o->kind != want || n != 1)
        rc = why_set(why, RC_BUG, "the tracker answered something else");
    else
        *ret_fd = fds[0];
    chan_free(&o->base);
    return rc;
}

/* ---- input ---- */

static void
source_close(struct worker *k, struct source *s)
{
    int *fds[] = { &s->data_fd, &s->meta_fd, &s->stream };

    mr_block_free(s->block);
    s->block = NULL;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            pipes_close(k->pipes, *fds[i]);     /* only read from */
        *fds[i] = -1;
    }
}

static enum rc
source_open(struct worker *k, size_t split, uint64_t at, bool avoid_local, struct why *why)
{
    struct source *s = &k->sources[split];
    TkReport r = TK_REPORT__INIT;
    TkOrder *o;
    int fds[CHAN_FDS];
    size_t n = 0;
    enum rc rc;

    source_close(k, s);
    r.kind = TK_REPORT__KIND__INPUT;
    r.has_split = r.has_at = true;
    r.split = (uint32_t)split;
    r.at = at;
    r.has_avoid_local = true;
    r.avoid_local = avoid_local;
    if ((rc = ask(k, &r, &o, fds, &n, why)) != RC_OK)
        return rc;
    if (o->kind == TK_ORDER__KIND__BLOCK && n == 2) {
        s->data_fd = fds[0];
        s->meta_fd = fds[1];
        s->offset = o->offset;
        s->bytes = o->bytes;
        rc = mr_block_open(k->self->io, fds[0], fds[1], &s->block, why);
    } else if (o->kind == TK_ORDER__KIND__STREAM && n == 1) {
        s->stream = fds[0];
        s->at = at;
    } else {
        rc = why_set(why, RC_BUG, "the tracker answered something else");
    }
    chan_free(&o->base);
    return rc;
}

static enum rc
stream_read(struct worker *k, struct source *s, void *p, size_t cap, size_t *ret_n, struct why *why)
{
    enum rc rc = pipes_read(k->pipes, s->stream, p, cap, ret_n, why);

    if (rc == RC_CLOSED)
        return RC_OK;                   /* *ret_n stays 0 */
    if (rc == RC_OK)
        s->at += (uint64_t)*ret_n;
    return rc;
}

static enum rc
host_read(struct mr_host *h, size_t split, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    struct worker *k = worker_of(h);
    struct source *s = &k->sources[split];
    bool avoid_local = false;
    enum rc rc;

    if (at >= k->splits[split].file_bytes) {
        *ret_n = 0;
        return RC_OK;
    }
    for (int tries = 0;; tries++) {
        *ret_n = 0;
        rc = RC_OK;
        if (s->block != NULL && at >= s->offset && at - s->offset < s->bytes) {
            size_t left = s->bytes - (at - s->offset) < cap ? (size_t)(s->bytes - (at - s->offset)) : cap;

            rc = mr_block_read(s->block, p, left, at - s->offset, ret_n, why);
        } else if (s->stream >= 0 && s->at == at) {
            rc = stream_read(k, s, p, cap, ret_n, why);
        }
        avoid_local = rc == RC_CORRUPT && s->block != NULL;     /* there are other replicas */
        if ((rc != RC_OK && !avoid_local) || *ret_n != 0)
            return rc;
        if (tries == 2)
            return why_set(why, RC_IO, "%s ends at %" PRIu64 ", but has %" PRIu64 " bytes", k->splits[split].path, at,
                           k->splits[split].file_bytes);
        /* Nothing open covers `at`, or a stream broke off: the tracker then knows why. */
        if ((rc = source_open(k, split, at, avoid_local, why)) != RC_OK)
            return rc;
    }
}

/* ---- files, segments, output ---- */

static enum rc
host_scratch(struct mr_host *h, int *ret_fd, struct why *why)
{
    return ask_file(worker_of(h), TK_REPORT__KIND__SCRATCH, NULL, TK_ORDER__KIND__FILE, ret_fd, why);
}

static enum rc
host_map_output(struct mr_host *h, int *ret_fd, struct why *why)
{
    return ask_file(worker_of(h), TK_REPORT__KIND__MAP_OUTPUT, NULL, TK_ORDER__KIND__FILE, ret_fd, why);
}

static enum rc
host_next_segment(struct mr_host *h, struct mr_segment *ret, bool *ret_more, struct why *why)
{
    struct worker *k = worker_of(h);
    TkReport r = TK_REPORT__INIT;
    TkOrder *o;
    int fds[CHAN_FDS];
    size_t n = 0;
    enum rc rc;

    r.kind = TK_REPORT__KIND__NEXT_SEGMENT;
    if ((rc = ask(k, &r, &o, fds, &n, why)) != RC_OK)
        return rc;
    *ret_more = o->kind == TK_ORDER__KIND__SEGMENT;
    if (*ret_more && n == 1)
        *ret = (struct mr_segment){ o->map, fds[0], o->at, o->bytes };
    else if (o->kind != TK_ORDER__KIND__NO_MORE)
        rc = why_set(why, RC_BUG, "the tracker answered something else");
    chan_free(&o->base);
    return rc;
}

static enum rc
open_outlet(struct worker *k, const char *name, struct outlet **ret, struct why *why)
{
    struct outlet *o;
    enum rc rc;

    for (size_t i = 0; i < k->outlet_count; i++) {
        o = &k->outlets[i];
        if (o->name == NULL ? name == NULL : name != NULL && strcmp(o->name, name) == 0) {
            *ret = o;
            return RC_OK;
        }
    }
    if (k->outlet_count == OUTLETS_MAX)
        return why_set(why, RC_JOB_FAILED, "output \"%s\" is one too many: at most %d", name, OUTLETS_MAX);
    o = &k->outlets[k->outlet_count];
    *o = (struct outlet){ name ? mem_strdup(name) : NULL, -1, 0 };
    if (name != NULL && o->name == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = ask_file(k, TK_REPORT__KIND__OUTPUT, name, TK_ORDER__KIND__SINK, &o->sink, why)) != RC_OK) {
        mem_free(o->name);
        return rc;
    }
    k->outlet_count++;
    *ret = o;
    return RC_OK;
}

static enum rc
host_write(struct mr_host *h, const char *output, const void *p, size_t n, struct why *why)
{
    struct worker *k = worker_of(h);
    struct outlet *o;
    enum rc rc;

    if (k->spec->results) {
        buf_put(&k->result, p, n);
        return buf_ok(&k->result) ? RC_OK : why_set(why, RC_JOB_FAILED, "the task gives back more than %zu MB: give the job "
                                                    "an output", (size_t)(RESULT_MAX / MB));
    }
    if ((rc = open_outlet(k, output, &o, why)) != RC_OK)
        return rc;
    if ((rc = pipes_write(k->pipes, o->sink, p, n, why)) != RC_OK)
        return why_set(why, RC_IO, "the output broke off");     /* the tracker knows better, and says so */
    o->written += n;
    return RC_OK;
}

/* ---- side files ---- */

static enum rc
open_side(struct worker *k, struct side *s, int fd, uint64_t bytes, struct why *why)
{
    const void *p = "";
    uint8_t *copy;
    size_t n = 0;
    enum rc rc;

    if (bytes > 0 && k->self->ops->map != NULL) {
        if ((rc = k->self->ops->map(k->self, fd, bytes, &p, why)) != RC_OK)
            return rc;
    } else if (bytes > 0) {
        if ((copy = mem_alloc(bytes)) == NULL)
            return why_rc(why, RC_NOMEM);
        if ((rc = io_pread(k->self->io, fd, copy, bytes, 0, &n, why)) == RC_OK && n != bytes)
            rc = why_set(why, RC_IO, "side file %s is shorter than it was", s->name);
        if (rc != RC_OK) {
            mem_free(copy);
            return rc;
        }
        p = copy;
    }
    s->bytes = (struct mr_bytes){ p, bytes };
    return RC_OK;
}

static enum rc
host_side(struct mr_host *h, const char *name, struct mr_bytes *ret, struct why *why)
{
    struct worker *k = worker_of(h);
    TkReport r = TK_REPORT__INIT;
    struct side *s;
    TkOrder *o;
    int fds[CHAN_FDS];
    size_t n = 0;
    enum rc rc = RC_OK;

    for (s = k->sides; s != NULL && strcmp(s->name, name) != 0; s = s->next)
        continue;
    if (s != NULL) {
        *ret = s->bytes;
        return RC_OK;
    }
    r.kind = TK_REPORT__KIND__SIDE;
    r.name = (char *)name;
    if ((rc = ask(k, &r, &o, fds, &n, why)) != RC_OK)
        return rc;
    if (o->kind == TK_ORDER__KIND__NONE) {
        *ret = (struct mr_bytes){ NULL, 0 };
    } else if (o->kind != TK_ORDER__KIND__FILE || n != 1) {
        rc = why_set(why, RC_BUG, "the tracker answered something else");
    } else if ((s = mem_zalloc(sizeof *s)) == NULL || (s->name = mem_strdup(name)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        mem_free(s);
    } else if ((rc = open_side(k, s, fds[0], o->bytes, why)) != RC_OK) {
        mem_free(s->name);
        mem_free(s);
    } else {
        LL_PREPEND(k->sides, s);
        *ret = s->bytes;
    }
    if (n == 1)
        pipes_close(k->pipes, fds[0]);
    chan_free(&o->base);
    return rc;
}

/* ---- columns in memory ---- */

static enum rc
take_kept(struct worker *k, uint64_t id, int fd, uint64_t bytes, struct mr_cached *ret, struct why *why)
{
    struct kept *c;
    enum rc rc;

    for (c = k->kept; c != NULL && c->id != id; c = c->next)
        continue;
    if (c == NULL) {
        if ((c = mem_zalloc(sizeof *c)) == NULL)
            return why_rc(why, RC_NOMEM);
        if ((rc = k->self->ops->map(k->self, fd, bytes, &c->p, why)) != RC_OK) {
            mem_free(c);
            return rc;
        }
        c->id = id;
        c->n = bytes;
        LL_PREPEND(k->kept, c);
    }
    c->used_by = k->job_number;
    ret->p = c->p;
    ret->n = c->n;
    return RC_OK;
}

static enum rc
host_cached(struct mr_host *h, size_t split, const char *how, struct mr_cached *ret, struct why *why)
{
    struct worker *k = worker_of(h);
    TkReport r = TK_REPORT__INIT;
    TkOrder *o;
    int fds[CHAN_FDS];
    size_t n = 0;
    enum rc rc;

    *ret = (struct mr_cached){ .fd = -1 };
    if (k->self->ops->map == NULL)
        return RC_OK;
    r.kind = TK_REPORT__KIND__CACHE;
    r.has_split = true;
    r.split = (uint32_t)split;
    r.name = (char *)how;
    if ((rc = ask(k, &r, &o, fds, &n, why)) != RC_OK)
        return rc;
    if (o->kind == TK_ORDER__KIND__CACHED && n == 1 && o->bytes > 0) {
        rc = take_kept(k, o->at, fds[0], o->bytes, ret, why);
        pipes_close(k->pipes, fds[0]);
    } else if (o->kind == TK_ORDER__KIND__FILL && n == 1) {
        ret->fd = k->fill_fd = fds[0];
    } else if (o->kind == TK_ORDER__KIND__CACHED && n == 1) {
        pipes_close(k->pipes, fds[0]);      /* a split without rows: reading it is as good */
    } else if (o->kind != TK_ORDER__KIND__NONE) {
        rc = why_set(why, RC_BUG, "the tracker answered something else");
    }
    chan_free(&o->base);
    return rc;
}

static void
host_filled(struct mr_host *h, size_t split)
{
    struct worker *k = worker_of(h);

    k->filled[k->filled_count++] = (uint32_t)split;
    pipes_close(k->pipes, k->fill_fd);
    k->fill_fd = -1;
}

/* Another job begins: what only the last ones had goes. */
static void
forget_job(struct worker *k)
{
    struct side *s;
    struct kept *c, *after;

    while ((s = k->sides) != NULL) {
        LL_DELETE(k->sides, s);
        if (s->bytes.n > 0 && k->self->ops->map != NULL)
            k->self->ops->unmap(k->self, s->bytes.p, s->bytes.n);
        else if (s->bytes.n > 0)
            mem_free((char *)(uintptr_t)s->bytes.p);
        mem_free(s->name);
        mem_free(s);
    }
    LL_FOREACH_SAFE(k->kept, c, after)
        if (k->job_number - c->used_by >= JOBS_KEPT) {
            LL_DELETE(k->kept, c);
            k->self->ops->unmap(k->self, c->p, c->n);
            mem_free(c);
        }
    collect_memory_fini(&k->memory);
    k->job = NULL;                      /* perhaps another stage of the shared object */
}

static enum rc
host_second(struct mr_host *h, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    return host_read(h, worker_of(h)->spec->n_splits, p, cap, at, ret_n, why);
}

/* ---- progress ---- */

static size_t
fill_counters(const struct mr_progress *p, JtCounter *rows, JtCounter **ptrs)
{
    size_t n = 0;

    for (size_t i = 0; i < MRC_COUNT + p->user_count && n < MRC_COUNT + COUNTERS_MAX; i++) {
        bool user = i >= MRC_COUNT;
        int64_t value = user ? p->user[i - MRC_COUNT].value : p->counters[i];

        if (value == 0)
            continue;
        jt_counter__init(&rows[n]);
        rows[n].name = user ? p->user[i - MRC_COUNT].name : (char *)mr_counter_name((enum mr_counter)i);
        rows[n].value = value;
        rows[n].has_user = true;
        rows[n].user = user;
        ptrs[n] = &rows[n];
        n++;
    }
    return n;
}

static enum rc
report_counters(struct worker *k, TkReport *r, const struct mr_progress *p, struct why *why)
{
    size_t cap = MRC_COUNT + (p->user_count < COUNTERS_MAX ? p->user_count : COUNTERS_MAX);
    JtCounter *rows = mem_calloc(cap, sizeof *rows), **ptrs = mem_calloc(cap, sizeof *ptrs);
    enum rc rc = RC_NOMEM;

    if (rows == NULL || ptrs == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    r->counters = ptrs;
    r->n_counters = fill_counters(p, rows, ptrs);
    rc = tell(k, r, why);
out:
    mem_free(rows);
    mem_free(ptrs);
    return rc;
}

static void
host_progress(struct mr_host *h, const struct mr_progress *p)
{
    TkReport r = TK_REPORT__INIT;
    struct why why;

    r.kind = TK_REPORT__KIND__PROGRESS;
    r.has_phase = r.has_fraction = true;
    r.phase = p->phase;
    r.fraction = p->fraction;
    r.status = (char *)p->status;
    if (report_counters(worker_of(h), &r, p, &why) == RC_CLOSED)
        worker_of(h)->self->ops->leave(worker_of(h)->self, 1);  /* nobody wants the result */
}

static const struct mr_host_ops host_ops = {
    host_read, host_scratch, host_map_output, host_next_segment, host_write, host_progress,
    host_side, host_second, host_cached, host_filled,
};

/* ---- an attempt ---- */

static void
fill_spec(const struct worker *k, struct mr_option *options, struct mr_spec *ret)
{
    const TkSpec *s = k->spec;

    for (size_t i = 0; i < s->n_splits; i++)
        k->splits[i] = (struct mr_split){ s->splits[i]->path, s->splits[i]->start, s->splits[i]->bytes,
                                          s->splits[i]->file_bytes, s->splits[i]->file };
    if (s->second != NULL)
        k->splits[s->n_splits] = (struct mr_split){ s->second->path, 0, s->second->bytes, s->second->bytes, 0 };
    for (size_t i = 0; i < s->n_bounds; i++)
        k->bounds[i] = (struct mr_bytes){ (const char *)s->bounds[i].data, s->bounds[i].len };
    for (size_t i = 0; i < s->n_options; i++)
        options[i] = (struct mr_option){ s->options[i]->key, s->options[i]->value };
    *ret = (struct mr_spec){
        .is_map = s->id->is_map, .index = s->id->index, .attempt = s->id->attempt, .map_count = s->map_count,
        .reduce_count = s->reduce_count, .splits = k->splits, .split_count = s->n_splits, .sort_bytes = s->sort_bytes,
        .sort_factor = s->sort_factor, .compress = s->compress, .options = options, .option_count = s->n_options,
        .results = s->results, .bounds = k->bounds, .bound_count = s->n_bounds, .second = s->second != NULL,
    };
}

static enum rc
run(struct worker *k, struct arena *a, struct mr_option *options, struct why *why)
{
    struct mr_map_index index = { 0 };
    struct mr_progress end;
    struct mr_spec spec;
    uint64_t written[OUTLETS_MAX];
    struct outlet *o;
    TkReport r = TK_REPORT__INIT;
    enum rc rc;

    memset(&end, 0, sizeof end);
    fill_spec(k, options, &spec);
    if ((rc = mr_attempt_run(&spec, k->job, &k->host, k->self->io, k->self->clock, a, &end,
                             spec.is_map && spec.reduce_count != 0 ? &index : NULL, why)) != RC_OK)
        goto out;
    if (k->spec->final_output && (rc = open_outlet(k, NULL, &o, why)) != RC_OK)    /* an empty file is output too */
        goto out;
    k->self->ops->flush(k->self);
    r.kind = TK_REPORT__KIND__DONE;
    for (size_t i = 0; i < k->outlet_count; i++) {
        pipes_close(k->pipes, k->outlets[i].sink);      /* the tracker counts what came */
        k->outlets[i].sink = -1;
        written[r.n_written++] = k->outlets[i].written;
    }
    r.written = written;
    r.filled = k->filled;
    r.n_filled = k->filled_count;
    r.has_result = k->spec->results;
    r.result = (ProtobufCBinaryData){ k->result.n, k->result.p };
    r.index = index.at;
    r.n_index = index.at ? (size_t)index.parts + 1 : 0;
    r.crc = index.crc;
    r.n_crc = index.crc ? index.parts : 0;
    rc = report_counters(k, &r, &end, why);
out:
    mem_free(index.at);
    mem_free(index.crc);
    return rc;
}

static void
attempt_fini(struct worker *k)
{
    for (size_t i = 0; k->sources != NULL && i < k->source_count; i++)
        source_close(k, &k->sources[i]);
    for (size_t i = 0; i < k->outlet_count; i++) {
        if (k->outlets[i].sink >= 0)
            pipes_close(k->pipes, k->outlets[i].sink);  /* the attempt failed */
        mem_free(k->outlets[i].name);
    }
    k->outlet_count = 0;
    buf_fini(&k->result);
    mem_free(k->bounds);
    k->bounds = NULL;
    mem_free(k->sources);
    mem_free(k->splits);
    if (k->fill_fd >= 0)
        pipes_close(k->pipes, k->fill_fd);
    k->fill_fd = -1;
    mem_free(k->filled);
    k->filled = NULL;
    k->filled_count = 0;
    chan_free(k->spec ? &k->spec->base : NULL);
    k->sources = NULL;
    k->splits = NULL;
    k->spec = NULL;
}

static enum rc
serve_start(struct worker *k, const int fds[CHAN_FDS], struct why *why)
{
    uint8_t *bytes;
    size_t n;
    struct mr_option *options = NULL;
    struct arena a;
    enum rc rc;

    arena_init(&a, ATTEMPT_ARENA);
    if ((rc = pipes_memory_read(k->pipes, fds[1], SPEC_MAX, &bytes, &n, why)) != RC_OK)
        goto out;
    k->spec = (TkSpec *)(void *)chan_unpack(&tk_spec__descriptor, bytes, n);
    mem_free(bytes);
    if (k->spec == NULL) {
        rc = why_set(why, RC_BAD_MESSAGE, "the attempt's description cannot be decoded");
        goto out;
    }
    rc = RC_NOMEM;
    k->source_count = k->spec->n_splits + (k->spec->second != NULL);
    if ((k->sources = mem_calloc(k->spec->n_splits + 1, sizeof *k->sources)) == NULL ||
        (k->bounds = mem_calloc(k->spec->n_bounds + 1, sizeof *k->bounds)) == NULL ||
        (k->splits = mem_calloc(k->spec->n_splits + 1, sizeof *k->splits)) == NULL ||
        (k->filled = mem_calloc(k->spec->n_splits + 1, sizeof *k->filled)) == NULL ||
        (options = mem_calloc(k->spec->n_options + 1, sizeof *options)) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    for (size_t i = 0; i < k->source_count; i++)
        k->sources[i].data_fd = k->sources[i].meta_fd = k->sources[i].stream = -1;
    buf_init(&k->result, RESULT_MAX);
    if (k->spec->id->job != k->job_number)
        forget_job(k);
    k->job_number = k->spec->id->job;
    if ((rc = k->self->ops->prepare(k->self, k->spec, fds[0], fds[2], &k->job, why)) == RC_OK)
        rc = run(k, &a, options, why);
out:
    mem_free(options);
    arena_fini(&a);
    return rc;
}

void
worker_refuse(struct pipes *p, int sock, const struct why *why)
{
    TkReport r = TK_REPORT__INIT;
    struct why ignored;

    r.kind = TK_REPORT__KIND__FAILED;
    r.has_rc = true;
    r.rc = why->rc;
    r.text = (char *)why->text;
    if (chan_send(p, sock, &r.base, NULL, 0, &ignored) != RC_OK)
        return;                         /* the tracker is gone: nobody needs to know */
}

void
worker_main(struct worker_self *self, int sock)
{
    struct worker k = { .host = { &host_ops, &k.memory }, .self = self, .pipes = self->pipes, .sock = sock, .fill_fd = -1 };
    ProtobufCMessage *m;
    int fds[CHAN_FDS];
    size_t n;
    struct why why;

    while (chan_receive(k.pipes, sock, &tk_order__descriptor, &m, fds, &n, &why) == RC_OK) {
        bool is_start = ((TkOrder *)(void *)m)->kind == TK_ORDER__KIND__START && n == 3;
        enum rc rc;

        chan_free(m);
        if (!is_start)
            break;
        rc = serve_start(&k, fds, &why);
        for (size_t i = 0; i < n; i++)
            pipes_close(k.pipes, fds[i]);   /* read; the job stays mapped */
        if (rc == RC_OK) {
            attempt_fini(&k);
            continue;
        }
        self->ops->flush(self);
        worker_refuse(k.pipes, sock, &why);
        break;
    }
    self->ops->leave(self, 0);
}
