/* What the tracker answers to a worker. */
#include <inttypes.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "libmr/task.h"
#include "tasktracker/attempt.h"
#include "tasktracker/chan.h"

#define OPEN_PATIENCE_MS 30000       /* for a filesystem that takes no files for now */
#define OPEN_AGAIN_MS 500            /* at the longest */
#define FILES_MAX 1000          /* that one attempt may write: each is a descriptor here */

static bool
say(struct talk *k, const TkOrder *o, const int *fds, size_t n, enum rc *ret_rc, struct why *why)
{
    enum rc rc = chan_send(k->tt->crew->pipes, k->worker.sock, &o->base, fds, n, why);

    if (rc == RC_OK)
        return true;
    if (rc != RC_CLOSED)
        *ret_rc = rc;
    return rc == RC_CLOSED;             /* it died: the conversation finds out why */
}

static bool
refuse(struct talk *k, const struct why *reason, enum rc *ret_rc, struct why *why)
{
    TkOrder o = TK_ORDER__INIT;

    o.kind = TK_ORDER__KIND__REFUSED;
    o.text = (char *)reason->text;
    o.has_rc = true;
    o.rc = reason->rc;
    return say(k, &o, NULL, 0, ret_rc, why);
}

/* ---- input ---- */

static enum rc
start_feed(struct talk *k, struct talk_input *in, const JtSplit *split, uint64_t at, int *ret_fd, struct why *why)
{
    return feed_start(k->tt->w, k->tt->crew->pipes, k->a->job->fs, split->path, at, &in->feed, ret_fd, why);
}

static bool
answer_input(struct talk *k, const TkReport *r, enum rc *ret_rc, struct why *why)
{
    size_t i = r->split;
    const JtSplit *split = i >= k->input_count ? NULL : i < k->a->map->n_splits ? k->a->map->splits[i] : k->second;
    struct talk_input *in = split ? &k->inputs[i] : NULL;
    struct fs_local_block block;
    TkOrder o = TK_ORDER__INIT;
    struct why reason;
    int fds[2] = { -1, -1 };
    bool said;
    enum rc rc = RC_OK;

    if (split == NULL) {
        (void)why_set(&reason, RC_BAD_MESSAGE, "no split %u", r->split);
        return refuse(k, &reason, ret_rc, why);
    }
    if (in->feed != NULL) {
        rc = feed_stop(in->feed, &reason);
        in->feed = NULL;
    }
    if (rc == RC_OK && in->reader == NULL)
        rc = fs_open_read(k->a->job->fs, split->path, &in->reader, &reason);
    if (rc != RC_OK)
        return refuse(k, &reason, ret_rc, why);
    if (!r->avoid_local && k->tt->conf.short_circuit && fs_local_block(in->reader, r->at, &block, &reason) == RC_OK) {
        o.kind = TK_ORDER__KIND__BLOCK;
        o.has_offset = o.has_bytes = true;
        o.offset = block.offset;
        o.bytes = block.bytes;
        fds[0] = block.data_fd;
        fds[1] = block.meta_fd;
        said = say(k, &o, fds, 2, ret_rc, why);
        io_close(k->tt->w->io, block.data_fd);
        io_close(k->tt->w->io, block.meta_fd);
        return said;
    }
    if ((rc = start_feed(k, in, split, r->at, &fds[0], &reason)) != RC_OK)
        return refuse(k, &reason, ret_rc, why);
    o.kind = TK_ORDER__KIND__STREAM;
    said = say(k, &o, fds, 1, ret_rc, why);
    pipes_close(k->tt->crew->pipes, fds[0]);    /* the worker has it */
    return said;
}

/* What the split's columns are known by: who reads, how, and which bytes of which blocks. */
static char *
cache_key(struct talk *k, const JtSplit *split, const char *how, struct why *why)
{
    const struct tt_job *j = k->a->job;
    struct fs_block *blocks;
    uint64_t file_bytes;
    char *key = NULL;
    struct arena arena;
    struct buf b;
    size_t n;

    arena_init(&arena, 1 * MB);
    buf_init(&b, 64 * KB);
    /* The last line may end in the next block: one byte more names it. */
    if (fs_blocks(j->fs, split->path, split->start, split->bytes + 1, &arena, &blocks, &n, &file_bytes, why) == RC_OK) {
        buf_printf(&b, "%s %s %" PRIu64 "+%" PRIu64 "/%" PRIu64, j->reply->user, how, split->start, split->bytes, file_bytes);
        for (size_t i = 0; i < n; i++)
            buf_printf(&b, " %" PRIu64 ".%" PRIu64, blocks[i].id, blocks[i].stamp);
        key = buf_ok(&b) ? mem_strndup((const char *)b.p, b.n) : NULL;
    }
    buf_fini(&b);
    arena_fini(&arena);
    return key;
}

static bool
answer_cache(struct talk *k, const TkReport *r, enum rc *ret_rc, struct why *why)
{
    struct talk_input *in = k->a->map && r->split < k->a->map->n_splits ? &k->inputs[r->split] : NULL;
    char *key = in && !in->filling && r->name ? cache_key(k, k->a->map->splits[r->split], r->name, why) : NULL;
    TkOrder o = TK_ORDER__INIT;
    uint64_t bytes = 0, id = 0;
    bool said;
    int fd = -1;

    switch (key ? cache_look(k->tt->cache, key, &fd, &bytes, &id) : CACHE_NONE) {
    case CACHE_NONE:
        o.kind = TK_ORDER__KIND__NONE;      /* it reads the input */
        break;
    case CACHE_READY:
        o.kind = TK_ORDER__KIND__CACHED;
        o.has_bytes = o.has_at = true;
        o.bytes = bytes;
        o.at = id;
        break;
    case CACHE_FILL:
        o.kind = TK_ORDER__KIND__FILL;
        in->filling = key;
        key = NULL;
        break;
    }
    mem_free(key);
    said = say(k, &o, &fd, fd >= 0, ret_rc, why);
    if (fd >= 0)
        pipes_close(k->tt->crew->pipes, fd);    /* the worker has it */
    return said;
}

/* ---- files ---- */

static bool
answer_file(struct talk *k, bool is_output, enum rc *ret_rc, struct why *why)
{
    struct io *io = k->tt->w->io;
    char *path = mem_printf("%s/%s.%s", k->a->job->dir, k->a->id, is_output ? "out" : "spill");
    TkOrder o = TK_ORDER__INIT;
    struct why reason;
    bool said;
    int fd = -1;
    enum rc rc;

    if (k->file_count == FILES_MAX) {
        mem_free(path);
        *ret_rc = why_set(why, RC_NO_DESCRIPTORS, "asked for more than %d intermediate files", FILES_MAX);
        return false;
    }
    if (path == NULL || !mem_room(&k->files, k->file_count, &k->file_cap, sizeof *k->files)) {
        mem_free(path);
        (void)why_rc(&reason, RC_NOMEM);
        return refuse(k, &reason, ret_rc, why);
    }
    rc = io_open(io, path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNC | IO_PRIVATE, &fd, &reason);
    if (rc == RC_OK && !is_output)
        rc = io_unlink(io, path, &reason);      /* it goes with its last descriptor */
    if (rc == RC_OK && is_output) {
        mem_free(k->output_path);
        k->output_path = path;
        path = NULL;
    }
    mem_free(path);
    if (rc != RC_OK) {
        if (fd >= 0)
            io_close(io, fd);
        return refuse(k, &reason, ret_rc, why);
    }
    o.kind = TK_ORDER__KIND__FILE;
    said = say(k, &o, &fd, 1, ret_rc, why);
    k->files[k->file_count++] = fd;
    return said;
}

bool
talk_wrote_too_much(struct talk *k, struct why *why)
{
    uint64_t all = 0, limit = k->tt->conf.task_disk;
    struct io_stat st;

    for (size_t i = 0; i < k->file_count; i++)
        if (io_fstat(k->tt->w->io, k->files[i], &st, why) == RC_OK)     /* else it is not counted */
            all += st.size;
    if (all <= limit)
        return false;
    (void)why_set(why, RC_NO_SPACE, "wrote %llu bytes of intermediate files, more than %llu (millrace.task.local.bytes), and "
                  "was killed", (unsigned long long)all, (unsigned long long)limit);
    return true;
}

/* It becomes a part of a file's name: jobtracker/work.c knows the same ones. */
static bool
is_output_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return n > 0 && n <= 100 && name[n] == '\0' && name[0] != '_' && strcmp(name, "part") != 0;
}

/*
 * The directory of the attempt's further files, in the job's.  That must be there: once the job is over it is gone for
 * good, and what still runs here unknown to the JobTracker must not bring it back.
 */
static enum rc
make_more_dir(struct talk *k, struct why *why)
{
    const struct tt_job *j = k->a->job;
    char *dir = mem_printf("%s/%s.more", j->reply->work, k->a->id);
    enum rc rc = dir == NULL ? why_rc(why, RC_NOMEM) : RC_OK;

    if (rc == RC_OK && !k->has_more_dir)
        rc = fs_mkdirs(j->fs, dir, 0777 & ~j->reply->spec->umask, false, why);
    k->has_more_dir = rc == RC_OK;
    mem_free(dir);
    return rc;
}

/* An attempt that went out early may be there before its job's directory; that is seen once. */
static bool
has_place(struct talk *k)
{
    const struct tt_job *j = k->a->job;
    struct fs_status st;
    struct arena arena;
    struct why why;

    if (!k->is_early)
        return true;
    arena_init(&arena, 64 * KB);
    k->is_early = fs_stat(j->fs, j->reply->work, &arena, &st, &why) != RC_OK;
    arena_fini(&arena);
    return !k->is_early;
}

/*
 * While the filesystem takes no files for now (safe mode, a full disk), so for long as an attempt should wait for it.
 * And as long, whatever the reason, while the JobTracker has still to make the job's directory: if that cannot be made
 * it ends the job, or takes the attempt back.
 */
static enum rc
open_sink(struct talk *k, const char *path, bool is_more, const struct fs_create_options *as, int *ret_fd, struct why *why)
{
    uint64_t until = tt_now(k->tt) + OPEN_PATIENCE_MS, pause_ms = 1;
    bool killed, was_early;
    enum rc rc;

    for (;; pause_ms = pause_ms * 2 < OPEN_AGAIN_MS ? pause_ms * 2 : OPEN_AGAIN_MS) {
        was_early = k->is_early;
        if (!is_more || (rc = make_more_dir(k, why)) == RC_OK)
            rc = sink_start(k->tt->w, k->tt->crew->pipes, k->a->job->fs, path, as, &k->sinks[k->sink_count], ret_fd, why);
        tt_lock(k->tt);
        killed = k->a->killed;
        tt_unlock(k->tt);
        if (rc == RC_OK)
            k->is_early = false;
        k->no_place = rc != RC_OK && !has_place(k);
        if (rc == RC_OK || killed || tt_now(k->tt) >= until)
            return rc;
        if (was_early && !k->is_early)
            continue;                   /* it has come since */
        if (!k->is_early && rc_retry(rc) != RETRY_LATER)
            return rc;
        thread_sleep_until(k->tt->w->threads, tt_now(k->tt) + pause_ms);
    }
}

static void
part_options(const struct talk *k, struct fs_create_options *ret)
{
    const JtJobSpec *spec = k->a->job->reply->spec;

    *ret = (struct fs_create_options){ .replication = spec->replication, .mode = 0666 & ~spec->umask, .overwrite = true,
                                       .no_parents = true };
}

void
talk_ahead(struct talk *k)
{
    const struct tt_job *j = k->a->job;
    const JtJobSpec *spec = j->reply->spec;
    struct fs_create_options as;
    struct why why;
    char *path;

    if (!k->a->is_map || spec->has_session)     /* a driver's maps find what they read in memory */
        return;
    if (k->a->map->n_splits > 0 &&
        fs_open_read(j->fs, k->a->map->splits[0]->path, &k->inputs[0].reader, &why) != RC_OK)
        k->inputs[0].reader = NULL;
    if (spec->reduces != 0 || spec->results || (path = mem_printf("%s/%s", j->reply->work, k->a->id)) == NULL)
        return;
    part_options(k, &as);
    if (sink_start(k->tt->w, k->tt->crew->pipes, j->fs, path, &as, &k->part, &k->part_fd, &why) != RC_OK)
        k->part = NULL;
    mem_free(path);
}

/* The part, if it is open already. */
static bool
take_part(struct talk *k, int *ret_fd)
{
    if (k->part == NULL)
        return false;
    k->sinks[k->sink_count] = k->part;
    *ret_fd = k->part_fd;
    k->part = NULL;
    k->is_early = false;
    return true;
}

static bool
answer_output(struct talk *k, const TkReport *r, enum rc *ret_rc, struct why *why)
{
    struct tt_attempt *a = k->a;
    char *path = r->name == NULL ? mem_printf("%s/%s", a->job->reply->work, a->id)
                 : mem_printf("%s/%s.more/%s-%c-%05u", a->job->reply->work, a->id, r->name, a->is_map ? 'm' : 'r', a->index);
    const JtJobSpec *spec = a->job->reply->spec;
    struct fs_create_options as;
    TkOrder o = TK_ORDER__INIT;
    struct why reason;
    int fd = -1;
    bool said;
    enum rc rc;

    part_options(k, &as);
    if (path == NULL)
        rc = why_rc(&reason, RC_NOMEM);
    else if (r->name != NULL && !is_output_name(r->name))
        rc = why_set(&reason, RC_JOB_FAILED, "\"%s\" is no name for an output: letters, digits and '_', not \"part\"", r->name);
    else if (k->sink_count == TALK_SINKS_MAX || spec->results)
        rc = why_set(&reason, RC_BAD_MESSAGE, "there are too many outputs");
    else if (r->name == NULL && take_part(k, &fd))
        rc = RC_OK;
    else
        rc = open_sink(k, path, r->name != NULL, &as, &fd, &reason);
    k->sink_count += rc == RC_OK;
    mem_free(path);
    if (rc != RC_OK)
        return refuse(k, &reason, ret_rc, why);
    o.kind = TK_ORDER__KIND__SINK;
    said = say(k, &o, &fd, 1, ret_rc, why);
    pipes_close(k->tt->crew->pipes, fd);        /* the worker has it */
    return said;
}

static bool
answer_side(struct talk *k, const TkReport *r, enum rc *ret_rc, struct why *why)
{
    const struct tt_job *j = k->a->job;
    TkOrder o = TK_ORDER__INIT;

    o.kind = TK_ORDER__KIND__NONE;
    for (size_t i = 0; r->name != NULL && i < j->reply->spec->n_sides; i++)
        if (strcmp(j->sides[i].name, r->name) == 0) {
            o.kind = TK_ORDER__KIND__FILE;
            o.has_bytes = true;
            o.bytes = j->sides[i].bytes;
            return say(k, &o, &j->sides[i].fd, 1, ret_rc, why);
        }
    return say(k, &o, NULL, 0, ret_rc, why);
}

/* ---- segments ---- */

bool
talk_segment(struct talk *k, enum rc *ret_rc, struct why *why)
{
    TkOrder o = TK_ORDER__INIT;
    struct fetched *got = NULL;
    struct why reason;
    bool said;
    enum rc rc;

    if (!k->waits_for_segment || !fetch_next(k->fetch, &got, &rc, &reason))
        return true;
    k->waits_for_segment = false;
    if (rc != RC_OK)
        return refuse(k, &reason, ret_rc, why);
    o.kind = TK_ORDER__KIND__NO_MORE;
    if (got == NULL)
        return say(k, &o, NULL, 0, ret_rc, why);
    o.kind = TK_ORDER__KIND__SEGMENT;
    o.has_map = o.has_at = o.has_bytes = true;
    o.map = got->map;
    o.at = got->at;
    o.bytes = got->bytes;
    said = say(k, &o, &got->fd, 1, ret_rc, why);
    io_close(k->tt->w->io, got->fd);            /* the worker has it */
    mem_free(got);
    return said;
}

static bool
answer_segment(struct talk *k, enum rc *ret_rc, struct why *why)
{
    struct why reason;

    if (k->fetch == NULL) {
        (void)why_set(&reason, RC_BAD_MESSAGE, "a map has no segments to fetch");
        return refuse(k, &reason, ret_rc, why);
    }
    k->waits_for_segment = true;
    return talk_segment(k, ret_rc, why);
}

/* ---- progress ---- */

/* Takes r. */
static void
take_progress(struct talk *k, TkReport *r)
{
    struct tt_attempt *a = k->a;
    TkReport *old;

    tt_lock(k->tt);
    old = a->progress.last;
    a->progress.last = r;
    a->progress.phase = r->phase;
    a->progress.fraction = r->fraction;
    tt_unlock(k->tt);
    chan_free(old ? &old->base : NULL);
}

bool
talk_answer(struct talk *k, TkReport *r, enum rc *ret_rc, struct why *why)
{
    bool go_on = true;

    switch (r->kind) {
    case TK_REPORT__KIND__INPUT:
        go_on = answer_input(k, r, ret_rc, why);
        break;
    case TK_REPORT__KIND__SCRATCH:
        go_on = answer_file(k, false, ret_rc, why);
        break;
    case TK_REPORT__KIND__MAP_OUTPUT:
        go_on = answer_file(k, true, ret_rc, why);
        break;
    case TK_REPORT__KIND__NEXT_SEGMENT:
        go_on = answer_segment(k, ret_rc, why);
        break;
    case TK_REPORT__KIND__OUTPUT:
        go_on = answer_output(k, r, ret_rc, why);
        break;
    case TK_REPORT__KIND__CACHE:
        go_on = answer_cache(k, r, ret_rc, why);
        break;
    case TK_REPORT__KIND__SIDE:
        go_on = answer_side(k, r, ret_rc, why);
        break;
    case TK_REPORT__KIND__PROGRESS:
        take_progress(k, r);
        return true;
    case TK_REPORT__KIND__DONE:
    case TK_REPORT__KIND__FAILED:
        k->end = r;
        return false;
    case _TK_REPORT__KIND_IS_INT_SIZE:
        break;
    }
    chan_free(&r->base);
    return go_on;
}

void
talk_end_cache(struct talk *k, bool succeeded)
{
    for (size_t i = 0; k->inputs != NULL && i < k->input_count; i++) {
        bool whole = false;

        if (k->inputs[i].filling == NULL)
            continue;
        for (size_t f = 0; succeeded && k->end != NULL && f < k->end->n_filled; f++)
            whole = whole || k->end->filled[f] == i;
        cache_end(k->tt->cache, k->inputs[i].filling, whole);
        mem_free(k->inputs[i].filling);
        k->inputs[i].filling = NULL;
    }
}

void
talk_fini(struct talk *k)
{
    struct why why;

    for (size_t i = 0; k->inputs != NULL && i < k->input_count; i++) {
        if (k->inputs[i].feed != NULL && feed_stop(k->inputs[i].feed, &why) != RC_OK)
            log_debug("feed_ended", "why=%s", why.text);        /* nobody reads it any more */
        if (k->inputs[i].reader != NULL)
            fs_close_read(k->inputs[i].reader);
    }
    mem_free(k->inputs);
    k->inputs = NULL;
    chan_free(k->second ? &k->second->base : NULL);
    k->second = NULL;
    while (k->file_count > 0)
        io_close(k->tt->w->io, k->files[--k->file_count]);
    mem_free(k->files);
    k->files = NULL;
    fetch_stop(k->fetch);
    k->fetch = NULL;
}
