/* Jobs of which attempts run here, and the map outputs they left. */
#include <openssl/crypto.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "dfsclient/fs.h"
#include "tasktracker/chan.h"
#include "tasktracker/tt_priv.h"

#define REPLY_ARENA (256 * MB)
#define SIDE_CHUNK (1 * MB)
#define SESSION_IDLE_MS 10000       /* a driver's worker waits for its next job */
#define LIBRARIES_BYTES (512 * MB)  /* address space that every worker has anyway */
#define SIDES_STEP (64 * MB)        /* side files that change a little from job to job need no other worker */

struct tt_job *
tt_job_get(struct tt *tt, uint64_t number)
{
    struct tt_job *j;

    HASH_FIND(hh, tt->jobs, &number, sizeof number, j);
    if (j != NULL)
        return j;
    if ((j = mem_zalloc(sizeof *j)) == NULL)
        return NULL;
    j->number = number;
    (void)job_id_text(tt->created_ms, number, j->id);
    if ((j->dir = mem_printf("%s/jobs/%s", tt->dir, j->id)) == NULL) {
        mem_free(j);
        return NULL;
    }
    HASH_ADD(hh, tt->jobs, number, sizeof j->number, j);
    return j;
}

static void
location_free(struct tt_job *j, struct tt_location *l)
{
    HASH_DEL(j->locations, l);
    mem_free(l->host);
    mem_free(l);
}

static void
output_free(struct tt *tt, struct tt_job *j, struct tt_output *o)
{
    struct why why;

    HASH_DEL(j->outputs, o);
    if (io_unlink(tt->w->io, o->path, &why) != RC_OK)
        log_warn("map_output_left", "why=%s", why.text);
    mem_free(o->path);
    mem_free(o->at);
    mem_free(o->crc);
    mem_free(o);
}

/* [m] */
static void
idle_end(struct tt *tt, struct tt_idle *idle)
{
    DL_DELETE(tt->idle, idle);
    tt->idle_count--;
    crew_kill(tt->crew, &idle->w);
    crew_close(tt->crew, &idle->w);
    mem_free(idle->session);
    mem_free(idle);
}

void
tt_job_drop(struct tt *tt, struct tt_job *j)
{
    struct tt_idle *idle, *after;

    HASH_DEL(tt->jobs, j);
    DL_FOREACH_SAFE(tt->idle, idle, after)
        if (idle->job == j->number && idle->session == NULL)
            idle_end(tt, idle);
    LL_PREPEND(tt->doomed, j);
}

static void
reply_free(TtGetJobReply *r)
{
    if (r == NULL)
        return;
    OPENSSL_cleanse(r->token.data, r->token.len);
    chan_free(&r->base);
}

/* Free what load took. */
static void
unload(struct tt *tt, struct tt_job *j)
{
    if (j->code != NULL)
        tt_code_release(tt, j->code);
    for (size_t i = 0; j->sides != NULL && i < j->reply->spec->n_sides; i++)
        if (j->sides[i].fd >= 0)
            io_close(tt->w->io, j->sides[i].fd);
    mem_free(j->sides);
    if (j->fs != NULL)
        fs_close(j->fs);
    reply_free(j->reply);
    j->code = NULL;
    j->sides = NULL;
    j->side_bytes = 0;
    j->fs = NULL;
    j->reply = NULL;
}

/* All of it but its directory. */
static void
job_strip(struct tt *tt, struct tt_job *j)
{
    struct tt_location *l, *next_l;
    struct tt_output *o, *next_o;

    HASH_ITER(hh, j->locations, l, next_l)
        location_free(j, l);
    HASH_ITER(hh, j->outputs, o, next_o)
        output_free(tt, j, o);
    unload(tt, j);
}

static void
job_free(struct tt_job *j)
{
    reply_free(j->told);
    mem_free(j->dir);
    mem_free(j);
}

/* [m] Whether a job of j's number has come back: then the directory is that one's. */
static bool
is_back(const struct tt *tt, const struct tt_job *j)
{
    struct tt_job *other;

    HASH_FIND(hh, tt->jobs, &j->number, sizeof j->number, other);
    return other != NULL;
}

/* Of those that were dropped before now: one whose directory stays is tried again by the next call. */
void
tt_bury(struct tt *tt)
{
    struct tt_job *j, *failed = NULL, *after;
    struct why why;
    bool has_dir;

    for (;;) {
        tt_lock(tt);
        if ((j = tt->doomed) == NULL)
            break;
        LL_DELETE(tt->doomed, j);
        has_dir = !is_back(tt, j);
        tt_unlock(tt);
        if (!j->is_stripped)
            job_strip(tt, j);
        if (has_dir && io_remove_tree(tt->w->io, j->dir, &why) != RC_OK) {
            if (!j->is_stripped)
                log_warn("job_files_left", "next_try_ms=%u why=%s", (unsigned)tt->conf.heartbeat_ms, why.text);
            j->is_stripped = true;
            LL_PREPEND(failed, j);
        } else {
            if (j->is_stripped)
                log_info("job_files_gone", "job=%s", j->id);
            job_free(j);
        }
    }
    LL_FOREACH_SAFE(failed, j, after)
        if (tt->stopping)
            job_free(j);            /* the next run deletes what is there */
        else
            LL_PREPEND(tt->doomed, j);
    tt_unlock(tt);
}

void
tt_job_unref(struct tt *tt, struct tt_job *j)
{
    if (--j->refs == 0 && j->forgotten)
        tt_job_drop(tt, j);
}

void
tt_job_forget(struct tt *tt, struct tt_job *j)
{
    struct tt_attempt *a;

    j->forgotten = true;
    DL_FOREACH(tt->attempts, a)
        if (a->job == j)
            tt_attempt_kill(a);
    if (j->refs == 0)
        tt_job_drop(tt, j);
}

/* ---- loading ---- */

/* A description that outlives the call it came with. */
static enum rc
copy_reply(const ProtobufCMessage *m, TtGetJobReply **ret, struct why *why)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *packed = mem_alloc(n + 1);
    enum rc rc = RC_OK;

    if (packed == NULL)
        return why_rc(why, RC_NOMEM);
    (void)protobuf_c_message_pack(m, packed);
    if ((*ret = (TtGetJobReply *)(void *)chan_unpack(&tt_get_job_reply__descriptor, packed, n)) == NULL)
        rc = why_rc(why, RC_NOMEM);
    else if ((*ret)->token.len != TOKEN_BYTES)
        rc = why_set(why, RC_BAD_MESSAGE, "the job's token has %zu bytes", (*ret)->token.len);
    mem_free(packed);
    return rc;
}

void
tt_job_tell(struct tt_job *j, const TtGetJobReply *about)
{
    struct why why;

    if (j->told != NULL || j->state != TT_JOB_NEW || copy_reply(&about->base, &j->told, &why) == RC_OK)
        return;
    reply_free(j->told);                /* it is asked for then */
    j->told = NULL;
}

static enum rc
fetch(struct tt *tt, struct tt_job *j, bool with_code, TtGetJobReply **ret, struct why *why)
{
    TtGetJobRequest req = TT_GET_JOB_REQUEST__INIT;
    const ProtobufCMessage *m;
    struct arena arena;
    enum rc rc;

    arena_init(&arena, REPLY_ARENA);
    req.uuid = tt->uuid;
    req.job = j->number;
    if (with_code) {
        req.n_have = 0;
    } else if ((rc = tt_code_list(tt, &arena, &req.have, &req.n_have)) != RC_OK) {
        (void)why_rc(why, rc);
        goto out;
    }
    if ((rc = tt_call(tt, ROW_tt_get_job, &req.base, &req.epoch, &arena, &m, why)) == RC_OK)
        rc = copy_reply(m, ret, why);
out:
    arena_fini(&arena);
    return rc;
}

/* A file of the filesystem into the open one of ours. */
static enum rc
copy_side(struct tt *tt, struct tt_job *j, const char *path, int fd, uint64_t *ret_bytes, struct why *why)
{
    struct fs_reader *r = NULL;
    uint8_t *chunk = mem_alloc(SIDE_CHUNK);
    uint64_t at = 0;
    size_t n;
    enum rc rc;

    if (chunk == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_open_read(j->fs, path, &r, why)) != RC_OK)
        goto out;
    while ((rc = fs_pread(r, chunk, SIDE_CHUNK, at, &n, why)) == RC_OK && n > 0) {
        if ((rc = io_pwrite(tt->w->io, fd, chunk, n, at, why)) != RC_OK)
            break;
        at += n;
    }
    *ret_bytes = at;
out:
    if (r != NULL)
        fs_close_read(r);
    mem_free(chunk);
    return rc == RC_OK ? RC_OK : why_prefix(why, "side file %s", path);
}

static enum rc
open_side(struct tt *tt, struct tt_job *j, const JtSide *s, struct tt_side *side, struct why *why)
{
    struct io *io = tt->w->io;
    char *path;
    enum rc rc;

    if (s->path == NULL) {
        side->bytes = s->data.len;
        return pipes_memory_file(tt->crew->pipes, "side", s->data.data, s->data.len, &side->fd, why);
    }
    if ((path = mem_printf("%s/side", j->dir)) == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = io_open(io, path, IO_READ | IO_WRITE | IO_CREATE | IO_TRUNC | IO_PRIVATE, &side->fd, why)) == RC_OK &&
        (rc = io_unlink(io, path, why)) == RC_OK)       /* it goes with its last descriptor */
        rc = copy_side(tt, j, s->path, side->fd, &side->bytes, why);
    mem_free(path);
    return rc;
}

static enum rc
open_sides(struct tt *tt, struct tt_job *j, struct why *why)
{
    const JtJobSpec *spec = j->reply->spec;
    enum rc rc = RC_OK;

    if ((j->sides = mem_calloc(spec->n_sides + 1, sizeof *j->sides)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < spec->n_sides; i++)
        j->sides[i] = (struct tt_side){ spec->sides[i]->name, -1, 0 };
    for (size_t i = 0; i < spec->n_sides && rc == RC_OK; i++) {
        rc = open_side(tt, j, spec->sides[i], &j->sides[i], why);
        j->side_bytes += j->sides[i].bytes;
    }
    return rc;
}

static enum rc
load(struct tt *tt, struct tt_job *j, struct why *why)
{
    enum rc rc;

    tt_lock(tt);
    j->reply = j->told;
    j->told = NULL;
    tt_unlock(tt);
    if (j->reply == NULL && (rc = fetch(tt, j, false, &j->reply, why)) != RC_OK)
        return rc;
    if ((rc = tt_code_take(tt, j->reply, &j->code, why)) == RC_NOT_FOUND) {     /* new here, or dropped while we asked */
        reply_free(j->reply);
        j->reply = NULL;
        if ((rc = fetch(tt, j, true, &j->reply, why)) == RC_OK)
            rc = tt_code_take(tt, j->reply, &j->code, why);
    }
    if (rc != RC_OK || ((rc = io_mkdir(tt->w->io, j->dir, 0700, why)) != RC_OK && rc != RC_SYS_EXISTS) ||
        (rc = fs_open(tt->w, &tt->conf, NULL, j->reply->user, &j->fs, why)) != RC_OK)
        return rc;
    return open_sides(tt, j, why);
}

enum rc
tt_job_load(struct tt *tt, struct tt_job *j, struct why *why)
{
    enum rc rc;

    tt_lock(tt);
    while (j->state == TT_JOB_LOADING)
        (void)tt_wait(tt, FOREVER);
    if (j->state == TT_JOB_READY) {
        tt_unlock(tt);
        return RC_OK;
    }
    j->state = TT_JOB_LOADING;
    tt_unlock(tt);
    if ((rc = load(tt, j, why)) != RC_OK)
        unload(tt, j);
    tt_lock(tt);
    j->state = rc == RC_OK ? TT_JOB_READY : TT_JOB_NEW;
    tt_changed(tt);
    tt_unlock(tt);
    return rc;
}

/* ---- where map outputs are ---- */

void
tt_location_set(struct tt_job *j, const TtMapOutput *o)
{
    struct tt_location *l;
    char *host = mem_strdup(o->host);

    HASH_FIND(hh, j->locations, &o->map, sizeof l->map, l);
    if (l == NULL && (l = mem_zalloc(sizeof *l)) != NULL) {
        l->map = o->map;
        HASH_ADD(hh, j->locations, map, sizeof l->map, l);
    }
    if (l == NULL || host == NULL) {
        mem_free(host);
        return;                     /* the reduce times out and runs again */
    }
    mem_free(l->host);
    l->host = host;
    l->port = (uint16_t)o->port;
    l->attempt = o->attempt;
}

void
tt_location_lost(struct tt_job *j, uint32_t map, uint32_t attempt)
{
    struct tt_location *l;

    HASH_FIND(hh, j->locations, &map, sizeof map, l);
    if (l != NULL && l->attempt == attempt)
        location_free(j, l);
}

/* ---- map outputs here ---- */

struct tt_output *
tt_output_find(struct tt_job *j, uint32_t map, uint32_t attempt)
{
    uint64_t key = (uint64_t)map << 32 | attempt;
    struct tt_output *o;

    HASH_FIND(hh, j->outputs, &key, sizeof key, o);
    return o;
}

enum rc
tt_output_add(struct tt *tt, struct tt_job *j, uint32_t map, uint32_t attempt, char *path, const uint64_t *at,
              const uint32_t *crc, uint32_t parts, struct why *why)
{
    struct tt_output *o = mem_zalloc(sizeof *o);
    struct io_stat st;
    enum rc rc = RC_NOMEM;

    if (o == NULL || (o->at = mem_calloc((size_t)parts + 1, sizeof *o->at)) == NULL ||
        (o->crc = mem_calloc((size_t)parts + 1, sizeof *o->crc)) == NULL) {
        (void)why_rc(why, rc);
        goto out;
    }
    memcpy(o->at, at, ((size_t)parts + 1) * sizeof *at);
    o->parts = parts;
    o->path = path;
    for (uint32_t i = 0; i < parts; i++)
        if (at[i] > at[i + 1]) {
            rc = why_set(why, RC_BAD_MESSAGE, "the map's index goes back");
            goto out;
        }
    memcpy(o->crc, crc, parts * sizeof *crc);
    if ((rc = io_stat(tt->w->io, path, &st, why)) != RC_OK)
        goto out;
    if (st.size < at[parts]) {
        rc = why_set(why, RC_CORRUPT, "the map's output ends at %" PRIu64, st.size);
        goto out;
    }
    o->key = (uint64_t)map << 32 | attempt;
    tt_lock(tt);
    HASH_ADD(hh, j->outputs, key, sizeof o->key, o);
    tt_unlock(tt);
    return RC_OK;
out:
    if (o != NULL) {
        mem_free(o->at);
        mem_free(o->crc);
        mem_free(o);
    }
    mem_free(path);
    return rc;
}

void
tt_output_drop(struct tt *tt, struct tt_job *j, uint32_t map, uint32_t attempt)
{
    struct tt_output *o = tt_output_find(j, map, attempt);

    if (o != NULL)
        output_free(tt, j, o);
}

/* ---- workers ---- */

uint64_t
tt_memory_limit(const struct tt *tt, const struct tt_job *j)
{
    const JtJobSpec *spec = j->reply->spec;
    uint64_t sides = (j->side_bytes + SIDES_STEP - 1) / SIDES_STEP * SIDES_STEP;

    /* A driver's workers keep the columns of their splits mapped. */
    return LIBRARIES_BYTES + spec->memory_bytes + 4 * spec->sort_bytes + sides + (spec->has_session ? tt->conf.tt_cache_bytes : 0);
}

/* Who, which driver and which shared object: what a worker may serve further jobs of.  NULL: it serves one only. */
static char *
session_of(const struct tt_job *j)
{
    const JtJobSpec *spec = j->reply->spec;
    struct buf b;
    char *text;

    if (!spec->has_session)
        return NULL;
    buf_init(&b, 4 * KB);
    buf_printf(&b, "%s ", j->reply->user);
    for (size_t i = 0; i < spec->session.len; i++)
        buf_printf(&b, "%02x", spec->session.data[i]);
    for (size_t i = 0; i < TT_DIGEST_BYTES; i++)
        buf_printf(&b, "%02x", j->code->digest[i]);
    text = buf_ok(&b) ? mem_strndup((const char *)b.p, b.n) : NULL;
    buf_fini(&b);
    return text;
}

enum rc
tt_worker_take(struct tt *tt, struct tt_job *j, struct launched *ret, struct why *why)
{
    uint64_t need = tt_memory_limit(tt, j);
    char *session = session_of(j);
    struct tt_idle *idle, *found = NULL;
    enum rc rc;

    tt_lock(tt);
    DL_FOREACH(tt->idle, idle)          /* the last one that waits: its memory is warm */
        if (idle->job == j->number ||
            (session != NULL && idle->session != NULL && strcmp(idle->session, session) == 0 && idle->memory_bytes >= need))
            found = idle;
    if (found != NULL) {
        DL_DELETE(tt->idle, found);
        tt->idle_count--;
    }
    tt_unlock(tt);
    mem_free(session);
    if (found != NULL) {
        *ret = found->w;
        mem_free(found->session);
        mem_free(found);
        return RC_OK;
    }
    mutex_lock(tt->w->threads, tt->launch);
    rc = crew_take(tt->crew, ret, why);
    mutex_unlock(tt->w->threads, tt->launch);
    if (rc == RC_CLOSED)
        tt_fail(tt);                /* without its launcher this process is of no use */
    return rc;
}

void
tt_worker_keep(struct tt *tt, struct tt_job *j, struct launched *w)
{
    struct tt_idle *idle;
    bool kept = false;

    tt_lock(tt);
    if (!j->forgotten && !tt->stopping && (idle = mem_zalloc(sizeof *idle)) != NULL) {
        if (tt->idle_count >= tt->conf.map_slots + tt->conf.reduce_slots)
            idle_end(tt, tt->idle);
        idle->w = *w;
        idle->job = j->number;
        idle->session = session_of(j);
        idle->memory_bytes = tt_memory_limit(tt, j);
        idle->since_ms = tt_now(tt);
        DL_APPEND(tt->idle, idle);
        tt->idle_count++;
        kept = true;
    }
    tt_unlock(tt);
    if (!kept) {
        crew_kill(tt->crew, w);
        crew_close(tt->crew, w);
    }
}

void
tt_workers_reap(struct tt *tt, bool all)
{
    struct tt_idle *idle, *after;

    tt_lock(tt);
    DL_FOREACH_SAFE(tt->idle, idle, after)
        if (all || (idle->session != NULL && tt_now(tt) - idle->since_ms >= SESSION_IDLE_MS))
            idle_end(tt, idle);
    tt_unlock(tt);
}
