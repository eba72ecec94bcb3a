#include "tests/sim/jobs.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/io/thread.h"
#include "core/proto/jobtracker.pb-c.h"
#include "core/rpc/client.h"
#include "core/rpc/protocols.h"
#include "libmr/task.h"
#include "tests/sim/plan.h"

#define CALL_MS 20000
#define OUTPUT_MAX (4 * MB)

/* The thread of the client. */
struct asker {
    struct jobs *jobs;
    struct sim *s;
    const struct world *w;
    struct fs *fs;
    struct rpc_client *jt;
    struct rng_seeded rng;          /* of the job that is asked for */
};

/* Text of short words in lines, a function of its seed. */
static char *
input_text(const struct job_input *in)
{
    char *p = mem_alloc(in->bytes + 1);
    struct rng_seeded rng;

    if (p == NULL)
        return NULL;
    rng_seed(&rng, in->seed);
    for (uint32_t i = 0; i < in->bytes; i++) {
        uint64_t x = rng_below(&rng.rng, 64);

        p[i] = x < 3 ? '\n' : x < 10 ? ' ' : x == 10 ? '\t' : x == 11 ? '\r' : (char)('a' + x * x % 26);
    }
    return p;
}

static void
pause_ms(const struct asker *k, uint64_t ms)
{
    thread_sleep_until(k->w->threads, clock_deadline(k->w->clock, ms));
}

/* ---- input ---- */

static enum rc
input_try(struct asker *k, const struct job_input *in, struct why *why)
{
    struct fs_create_options o = { .replication = 2, .overwrite = true };
    char *text = input_text(in);
    struct fs_writer *wr;
    enum rc rc;

    if (text == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_create(k->fs, in->path, &o, &wr, why)) == RC_OK) {
        if ((rc = fs_write(wr, text, in->bytes, why)) != RC_OK)
            fs_abandon_write(wr);
        else
            rc = fs_close_write(wr, why);
    }
    mem_free(text);
    return rc;
}

static void
inputs_put(struct asker *k)
{
    struct rng_seeded seeded;
    struct rng *rng = &seeded.rng;
    struct why why;

    for (unsigned i = 0; i < JOBS_INPUTS; i++) {
        struct job_input *in = &k->jobs->inputs[i];

        rng_seed(&seeded, sim_plan(k->s)->seed * JOBS_INPUTS + i);        /* the same, whatever else is in the history */

        while (!in->is_there) {         /* each try under a name of its own: an older one may still be open */
            (void)snprintf(in->path, sizeof in->path, "/jobs/in%u.%u", i, in->tries++);
            in->seed = rng_u64(rng);
            in->bytes = 1 + (uint32_t)rng_below(rng, rng_below(rng, 3) == 0 ? 1000 : 3 * CLUSTER_BLOCK_BYTES);
            if (input_try(k, in, &why) == RC_OK)
                in->is_there = true;
            else
                pause_ms(k, 500);
        }
    }
}

/* ---- asking ---- */

/* Splits of some inputs; a map has one or several. */
static void
plan(struct asker *k, struct asked *j)
{
    struct rng *rng = &k->rng.rng;
    struct mr_file files[JOBS_INPUTS] = { { .path = NULL } };
    unsigned first = (unsigned)rng_below(rng, JOBS_INPUTS), count = 1 + (unsigned)rng_below(rng, 2), per_map;
    struct mr_split *splits;
    struct arena a;
    struct why why;
    size_t n;

    for (unsigned i = 0; i < count; i++) {
        const struct job_input *in = &k->jobs->inputs[(first + i) % JOBS_INPUTS];

        files[i].path = in->path;
        files[i].bytes = in->bytes;
        files[i].block_bytes = CLUSTER_BLOCK_BYTES;
    }
    arena_init(&a, 1 * MB);
    SIM_CHECK(k->s, mr_split_plan(files, count, 1, UINT64_MAX, &a, &splits, &n, &why) == RC_OK && n <= JOBS_SPLITS_MAX);
    per_map = 1 + (rng_below(rng, 4) == 0);
    for (size_t i = 0; i < n; i++)
        j->splits[j->split_count++] = (struct job_split){ (uint32_t)i / per_map, (first + splits[i].file) % JOBS_INPUTS,
                                                          (uint32_t)splits[i].start, (uint32_t)splits[i].bytes };
    j->maps = j->splits[n - 1].map + 1;
    arena_fini(&a);
}

static void
draw(struct asker *k, struct asked *j, unsigned item)
{
    struct rng *rng = &k->rng.rng;

    memset(j, 0, sizeof *j);
    j->item = item;
    j->code = rng_below(rng, 12) == 0 && !k->jobs->is_healed ? JOBCODE_BAD : (enum jobcode)rng_below(rng, JOBCODE_BAD);
    rng_bytes(rng, j->submit_id, sizeof j->submit_id);
    (void)snprintf(j->output, sizeof j->output, "/jobs/out%u", k->jobs->count);
    j->reduces = jobcode_is_map_only(j->code) ? 0 : 1 + (uint32_t)rng_below(rng, 3);
    j->attempts = rng_below(rng, 3) == 0 ? 4 : 20;
    /* A small one makes maps spill; a fold that spills adds up in another order, which the reference does not know. */
    j->sort_bytes = rng_below(rng, 2) == 0 && j->code != JOBCODE_GROUP ? 64 * KB : 1 * MB;
    j->has_results = rng_below(rng, 4) == 0;
    j->must_succeed = k->jobs->is_healed && j->code != JOBCODE_BAD;
    plan(k, j);
}

/* Where the input of the map is. */
static enum rc
fill_hosts(struct asker *k, const struct asked *j, const JtSplit *s, struct arena *a, JtMap *m, struct why *why)
{
    struct fs_block *blocks;
    uint64_t bytes;
    size_t n;
    enum rc rc;

    if ((rc = fs_blocks(k->fs, s->path, s->start, s->bytes, a, &blocks, &n, &bytes, why)) != RC_OK)
        return rc;
    if (n == 0 || j->attempts == 4)
        return RC_OK;                   /* such a job does not say */
    m->hosts = arena_calloc(a, blocks[0].location_count + 1, sizeof *m->hosts);
    m->racks = arena_calloc(a, blocks[0].location_count + 1, sizeof *m->racks);
    if (m->hosts == NULL || m->racks == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < blocks[0].location_count; i++) {
        m->hosts[m->n_hosts++] = blocks[0].locations[i].name;
        m->racks[m->n_racks++] = blocks[0].locations[i].rack;
    }
    return RC_OK;
}

static enum rc
fill_maps(struct asker *k, const struct asked *j, struct arena *a, JtJobSpec *spec, struct why *why)
{
    enum rc rc;

    spec->maps = arena_calloc(a, j->maps, sizeof *spec->maps);
    for (unsigned i = 0; i < j->split_count; i++) {
        const struct job_input *in = &k->jobs->inputs[j->splits[i].input];
        JtSplit *s = arena_alloc(a, sizeof *s);
        JtMap *m;

        if (spec->maps == NULL || s == NULL)
            return why_rc(why, RC_NOMEM);
        jt_split__init(s);
        s->path = (char *)(uintptr_t)in->path;
        s->start = j->splits[i].start;
        s->bytes = j->splits[i].bytes;
        s->file_bytes = in->bytes;
        if ((m = spec->maps[j->splits[i].map]) == NULL) {
            if ((m = arena_alloc(a, sizeof *m)) == NULL)
                return why_rc(why, RC_NOMEM);
            jt_map__init(m);
            if ((rc = fill_hosts(k, j, s, a, m, why)) != RC_OK)
                return rc;
            if ((m->splits = arena_calloc(a, j->split_count, sizeof *m->splits)) == NULL)
                return why_rc(why, RC_NOMEM);
            spec->maps[spec->n_maps++] = m;
        }
        m->splits[m->n_splits++] = s;
    }
    return RC_OK;
}

/* Submit; asked again with the same submit_id it must give the same job. */
static enum rc
submit(struct asker *k, struct asked *j, struct why *why)
{
    JtSubmitRequest req = JT_SUBMIT_REQUEST__INIT;
    JtJobSpec spec = JT_JOB_SPEC__INIT;
    const char *code = jobcode_name(j->code);
    const ProtobufCMessage *m = NULL;
    uint8_t digest[32];
    struct arena a;
    enum rc rc;

    arena_init(&a, 4 * MB);
    spec.name = spec.output = j->output;
    if (j->has_results) {
        spec.output = (char *)(uintptr_t)"";
        spec.has_results = spec.results = true;
    }
    spec.reduces = j->reduces;
    spec.map_attempts = spec.reduce_attempts = j->attempts;
    spec.slowstart = 0.05;
    spec.locality_wait_ms = 1000;
    spec.sort_bytes = j->sort_bytes;
    spec.sort_factor = 4;
    spec.timeout_ms = 20000;
    spec.memory_bytes = 64 * MB;
    spec.parallel_copies = 2;
    spec.replication = 2;
    spec.umask = 022;
    req.submit_id = (ProtobufCBinaryData){ sizeof j->submit_id, j->submit_id };
    req.spec = &spec;
    req.code = (ProtobufCBinaryData){ strlen(code), (uint8_t *)(uintptr_t)code };
    spec.has_code_digest = EVP_Digest(code, strlen(code), digest, NULL, EVP_sha256(), NULL) == 1;
    spec.code_digest = (ProtobufCBinaryData){ sizeof digest, digest };
    req.has_code = rng_below(&k->rng.rng, 2) == 0;      /* perhaps it is there from an earlier job */
    if ((rc = fill_maps(k, j, &a, &spec, why)) == RC_OK)
        rc = rpc_client_call(k->jt, ROW_job_submit, &req.base, &a, CALL_MS, &m, why);
    if (rc == RC_OK && ((const JtSubmitReply *)(const void *)m)->need_code) {
        req.has_code = true;
        rc = rpc_client_call(k->jt, ROW_job_submit, &req.base, &a, CALL_MS, &m, why);
    }
    if (rc == RC_OK) {
        const char *id = ((const JtSubmitReply *)(const void *)m)->job;

        if (j->state != ASKED_DRAWN && strcmp(j->id, id) != 0)
            sim_fail(k->s, "submitted twice, %s became %s", j->id, id);
        (void)snprintf(j->id, sizeof j->id, "%s", id);
        j->state = j->state == ASKED_DRAWN ? ASKED_TAKEN : j->state;
    }
    arena_fini(&a);
    return rc;
}

/* ---- waiting ---- */

static bool
is_end(const char *state)
{
    return strcmp(state, "SUCCEEDED") == 0 || strcmp(state, "FAILED") == 0 || strcmp(state, "KILLED") == 0;
}

/*
 * Volumes that failed are not looked at again until somebody has their DataNode start: while the NameNode says that a block
 * has no other replica, a job that reads it is right to fail.  Another one is asked for when the block is there.
 */
static bool
is_input_missing(const struct jobs *jobs, struct fs *fs)
{
    struct fs_usage usage;

    return jobs->e->c->has_two_volumes && fs_usage(fs, &usage, NULL) == RC_OK && usage.missing > 0;
}

/* What the JobTracker says of a job that has ended must be what it said before. */
static void
take_end(struct jobs *jobs, struct fs *fs, struct asked *j, const JtJobStatus *st)
{
    struct sim *s = jobs->e->c->s;

    if (!is_end(st->state)) {
        if (j->state == ASKED_OVER)
            sim_fail(s, "%s was %s and is %s", j->id, j->end, st->state);
        return;
    }
    if (j->state == ASKED_OVER && strcmp(j->end, st->state) != 0)
        sim_fail(s, "%s was %s and is %s", j->id, j->end, st->state);
    if (j->state == ASKED_OVER)
        return;
    sim_note(s, "job_over", "job=%s code=%s state=%s maps=%u+%u failed=%u+%u killed=%u+%u reason=%s", j->id,
             jobcode_name(j->code), st->state, st->maps->total, st->reduces->total, st->maps->failed_attempts,
             st->reduces->failed_attempts, st->maps->killed_attempts, st->reduces->killed_attempts, st->reason);
    if (strcmp(st->state, "KILLED") == 0 && !j->was_killed)
        sim_fail(s, "%s was killed, and nobody asked for it", j->id);
    if (strcmp(st->state, "SUCCEEDED") == 0 && j->code == JOBCODE_BAD)
        sim_fail(s, "%s cannot have succeeded", j->id);
    j->lacked_input = strcmp(st->state, "FAILED") == 0 && j->must_succeed && is_input_missing(jobs, fs);
    if (strcmp(st->state, "FAILED") == 0 && j->must_succeed && !j->lacked_input)
        sim_fail(s, "%s failed, with nothing in its way: %s", j->id, st->reason);
    (void)snprintf(j->end, sizeof j->end, "%s", st->state);
    j->state = ASKED_OVER;
}

/* The bytes of the job's inputs, and its splits in them. */
static void
splits_get(const struct jobs *jobs, const struct asked *j, char *texts[JOBS_INPUTS],
           struct jobcode_split splits[JOBS_SPLITS_MAX])
{
    for (unsigned i = 0; i < JOBS_INPUTS; i++)
        SIM_CHECK(jobs->e->c->s, (texts[i] = input_text(&jobs->inputs[i])) != NULL);
    for (unsigned i = 0; i < j->split_count; i++) {
        const struct job_split *s = &j->splits[i];

        splits[i] = (struct jobcode_split){ s->map, texts[s->input], jobs->inputs[s->input].bytes, s->start, s->bytes };
    }
}

static uint32_t
part_count(const struct asked *j)
{
    return j->reduces != 0 ? j->reduces : j->maps;
}

static void
texts_free(char *texts[JOBS_INPUTS])
{
    for (unsigned i = 0; i < JOBS_INPUTS; i++)
        mem_free(texts[i]);
}

/* What the job gave back. */
static void
check_results(struct jobs *jobs, const struct asked *j, const JtStatusReply *reply)
{
    struct jobcode_split splits[JOBS_SPLITS_MAX];
    char *texts[JOBS_INPUTS];

    if (reply->n_results != part_count(j))
        sim_fail(jobs->e->c->s, "%s gave back %zu results, not %u", j->id, reply->n_results, part_count(j));
    splits_get(jobs, j, texts, splits);
    for (uint32_t i = 0; i < part_count(j); i++) {
        const ProtobufCBinaryData *got = &reply->results[i];
        struct buf want;

        jobcode_reference(j->code, splits, j->split_count, i, part_count(j), true, &want);
        if (got->len != want.n || (want.n > 0 && memcmp(got->data, want.p, want.n) != 0))
            sim_fail(jobs->e->c->s, "%s (%s): result %u is wrong: %zu bytes, not %zu", j->id, jobcode_name(j->code), i,
                     got->len, want.n);
        buf_fini(&want);
    }
    texts_free(texts);
}

static enum rc
ask_status(struct rpc_client *jt, struct fs *fs, struct jobs *jobs, struct asked *j, uint64_t *version, struct why *why)
{
    JtStatusRequest req = JT_STATUS_REQUEST__INIT;
    const ProtobufCMessage *m;
    struct arena a;
    enum rc rc;

    req.job = j->id;
    req.has_version = req.has_max_wait_ms = version != NULL;
    req.version = version != NULL ? *version : 0;
    req.max_wait_ms = 3000;
    req.has_results = req.results = j->has_results;
    arena_init(&a, 4 * MB);
    if ((rc = rpc_client_call(jt, ROW_job_status, &req.base, &a, CALL_MS, &m, why)) == RC_OK) {
        const JtStatusReply *reply = (const JtStatusReply *)(const void *)m;
        const JtJobStatus *st = reply->status;

        take_end(jobs, fs, j, st);
        if (j->has_results && strcmp(st->state, "SUCCEEDED") == 0)
            check_results(jobs, j, reply);
        if (version != NULL)
            *version = st->version;
    } else if (rc == RC_JOB_NOT_FOUND) {
        sim_fail(jobs->e->c->s, "%s was acknowledged and is not there", j->id);
    }
    arena_fini(&a);
    return rc;
}

static void
kill_job(struct asker *k, struct asked *j)
{
    JtKillRequest req = JT_KILL_REQUEST__INIT;
    const ProtobufCMessage *m;
    struct arena a;
    struct why why;

    req.job = j->id;
    j->was_killed = true;
    arena_init(&a, 1 * MB);
    if (rpc_client_call(k->jt, ROW_job_kill, &req.base, &a, CALL_MS, &m, &why) != RC_OK)
        sim_note(k->s, "kill_unknown", "job=%s why=%s", j->id, why.text);
    else
        sim_note(k->s, "kill_asked", "job=%s killed=%d", j->id, ((const JtKillReply *)(const void *)m)->killed);
    arena_fini(&a);
}

static void
follow(struct asker *k, struct asked *j)
{
    struct rng *rng = &k->rng.rng;
    uint64_t version = 0;
    struct why why;

    while (j->state == ASKED_DRAWN) {
        enum rc rc = submit(k, j, &why);

        if (rc == RC_OK)
            break;
        sim_note(k->s, "submit_failed", "output=%s why=%s", j->output, why.text);
        if (rc == RC_EXISTS || rc == RC_BAD_JOB || rc == RC_BUG)
            sim_fail(k->s, "a job was refused: %s", why.text);
        pause_ms(k, rng_below(rng, 2000));
    }
    sim_note(k->s, "job_taken", "job=%s code=%s output=%s maps=%u reduces=%u", j->id, jobcode_name(j->code), j->output,
             j->maps, j->reduces);
    if (rng_below(rng, 8) == 0 && submit(k, j, &why) != RC_OK)
        sim_note(k->s, "submit_failed", "output=%s why=%s", j->output, why.text);
    if (rng_below(rng, 6) == 0 && !j->must_succeed) {
        pause_ms(k, rng_below(rng, 4000));
        kill_job(k, j);
    }
    while (j->state != ASKED_OVER)
        if (ask_status(k->jt, k->fs, k->jobs, j, &version, &why) != RC_OK)
            pause_ms(k, 500);
}

void
jobs_run(struct jobs *jobs, struct machine *client)
{
    struct asker k = { .jobs = jobs, .s = jobs->e->c->s, .w = sim_node_world(client->node) };
    struct rpc_client_options o = { .protocol = &job_client_rpc, .user = "root", .connect_ms = 2000, .retry_ms = 10000 };
    struct conf conf;
    struct why why;

    cluster_conf(jobs->e->c, client, CL, &conf);
    SIM_CHECK(k.s, net_addr_parse("10.0.0.2:8021", 8021, &o.to, &why) == RC_OK);
    SIM_CHECK(k.s, fs_open(k.w, &conf, NULL, "root", &k.fs, &why) == RC_OK);
    SIM_CHECK(k.s, rpc_client_new(k.w, &o, &k.jt, &why) == RC_OK);
    inputs_put(&k);
    for (unsigned i = 0; i < jobs->count; i++)
        if (jobs->list[i].state != ASKED_OVER) {
            (void)plan_take(sim_plan(k.s), PLAN_JOBS, jobs->list[i].item, &k.rng);     /* it is in */
            follow(&k, &jobs->list[i]);
        }
    while (jobs->count < jobs->target) {
        struct asked *j = &jobs->list[jobs->count];
        unsigned item = jobs->taken++;

        if (!plan_take(sim_plan(k.s), PLAN_JOBS, item, &k.rng)) {
            jobs->target--;
            continue;
        }
        draw(&k, j, item);
        jobs->count++;
        follow(&k, j);
        if (j->lacked_input) {
            sim_note(k.s, "job_lacked_input", "job=%s", j->id);
            while (is_input_missing(jobs, k.fs))
                pause_ms(&k, 500);
            SIM_CHECK(k.s, jobs->count < JOBS_MAX);
            jobs->target++;
        }
        pause_ms(&k, rng_below(&k.rng.rng, 3000));
    }
    rpc_client_free(k.jt);
    fs_close(k.fs);
    conf_fini(&conf);
    jobs->is_done = true;
}

/* ---- what there must be ---- */

/* The whole file. */
static enum rc
read_file(struct fs *fs, const char *path, struct buf *ret, struct why *why)
{
    struct fs_reader *r;
    uint8_t part[4096];
    size_t n = 0;
    enum rc rc;

    buf_init(ret, OUTPUT_MAX);
    if ((rc = fs_open_read(fs, path, &r, why)) != RC_OK)
        return rc;
    while ((rc = fs_pread(r, part, sizeof part, ret->n, &n, why)) == RC_OK && n > 0)
        buf_put(ret, part, n);
    fs_close_read(r);
    return rc;
}

static enum rc
check_file(struct jobs *jobs, struct fs *fs, const struct asked *j, const char *name, const void *want, size_t n,
           struct why *why)
{
    char path[64];
    struct buf got;
    enum rc rc;

    (void)snprintf(path, sizeof path, "%s/%s", j->output, name);
    if ((rc = read_file(fs, path, &got, why)) == RC_OK &&
        (got.n != n || (n > 0 && memcmp(got.p, want, n) != 0)))
        sim_fail(jobs->e->c->s, "%s (%s): %s is wrong: %zu bytes, not %zu", j->id, jobcode_name(j->code), path, got.n, n);
    buf_fini(&got);
    if (rc == RC_NOT_FOUND)
        sim_fail(jobs->e->c->s, "%s succeeded, but %s is not there", j->id, path);
    return rc;
}

struct listing {
    struct sim *s;
    const struct asked *j;
    unsigned count;
};

static bool
on_output(void *arg, const struct fs_status *st UNUSED)
{
    ((struct listing *)arg)->count++;
    return true;
}

static enum rc
check_output(struct jobs *jobs, struct fs *fs, const struct asked *j, struct why *why)
{
    uint32_t parts = part_count(j);
    struct jobcode_split splits[JOBS_SPLITS_MAX];
    char *texts[JOBS_INPUTS], name[32], success[JOB_ID_TEXT + 2];
    struct listing l = { jobs->e->c->s, j, 0 };
    enum rc rc = RC_OK;

    splits_get(jobs, j, texts, splits);
    for (uint32_t i = 0; i < parts && rc == RC_OK; i++) {
        struct buf want;

        jobcode_reference(j->code, splits, j->split_count, i, parts, false, &want);
        (void)snprintf(name, sizeof name, "part-%c-%05u", j->reduces != 0 ? 'r' : 'm', i);
        rc = check_file(jobs, fs, j, name, want.p, want.n, why);
        buf_fini(&want);
    }
    texts_free(texts);
    (void)snprintf(success, sizeof success, "%s\n", j->id);
    if (rc != RC_OK || (rc = check_file(jobs, fs, j, "_SUCCESS", success, strlen(success), why)) != RC_OK ||
        (rc = fs_list(fs, j->output, on_output, &l, why)) != RC_OK)
        return rc;
    if (l.count != parts + 1)
        sim_fail(jobs->e->c->s, "%s has %u files, not %u", j->output, l.count, parts + 1);
    return RC_OK;
}

/* The output is there exactly when the job succeeded, and is never made twice; its work directory is gone. */
static enum rc
check_end(struct jobs *jobs, struct fs *fs, struct asked *j, struct why *why)
{
    struct sim *s = jobs->e->c->s;
    bool succeeded = strcmp(j->end, "SUCCEEDED") == 0 && !j->has_results;
    struct fs_status st;
    char work[96];
    struct arena a;
    enum rc rc;

    arena_init(&a, 1 * MB);
    rc = fs_stat(fs, j->output, &a, &st, why);
    if (rc == RC_OK && !succeeded)
        sim_fail(s, "%s is %s, and left %s", j->id, j->end, j->output);
    if (rc == RC_NOT_FOUND && succeeded)
        sim_fail(s, "%s succeeded, and %s is not there", j->id, j->output);
    if (rc == RC_OK && j->output_inode != 0 && j->output_inode != st.inode)
        sim_fail(s, "%s was made twice", j->output);
    if (rc == RC_OK) {
        j->output_inode = st.inode;
        rc = check_output(jobs, fs, j, why);
    } else if (rc == RC_NOT_FOUND) {
        rc = RC_OK;
    }
    (void)snprintf(work, sizeof work, "/jobs/.%s.%s", j->output + strlen("/jobs/"), j->id);
    if (rc == RC_OK && (rc = fs_stat(fs, work, &a, &st, why)) == RC_OK)
        rc = why_set(why, RC_BUSY, "%s is still there", work);
    else if (rc == RC_NOT_FOUND)
        rc = RC_OK;
    arena_fini(&a);
    return rc;
}

enum rc
jobs_check(struct jobs *jobs, struct fs *fs, struct why *why)
{
    struct rpc_client_options o = { .protocol = &job_client_rpc, .user = "root", .connect_ms = 2000 };
    const struct world *w = sim_driver_world(jobs->e->c->s);
    struct rpc_client *jt;
    enum rc rc;

    if (!jobs->is_done)
        return why_set(why, RC_BUSY, "the client waits for its jobs");
    if ((rc = net_addr_parse("10.0.0.2:8021", 8021, &o.to, why)) != RC_OK || (rc = rpc_client_new(w, &o, &jt, why)) != RC_OK)
        return rc;
    for (unsigned i = 0; i < jobs->count && rc == RC_OK; i++)
        if ((rc = ask_status(jt, fs, jobs, &jobs->list[i], NULL, why)) == RC_OK)
            rc = check_end(jobs, fs, &jobs->list[i], why);
    rpc_client_free(jt);
    return rc == RC_OK ? engine_is_idle(jobs->e, why) : rc;
}
