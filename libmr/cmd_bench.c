/*
 * mr bench: a job on 1, 2, 4 ... nodes, how much faster it gets, and where the time goes.
 *
 * Each run is a process of its own, which does what `mr run` does, with an output
 * directory of its own; afterwards it asks the JobTracker when the attempts ran,
 * removes the directory, and gives what bench_parts makes of it to its parent.  The
 * parent opens no connection, so that it may fork.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "dfsclient/fs.h"
#include "libmr/bench_plot.h"
#include "libmr/cmd.h"
#include "libmr/plan.h"

#define ARENA (1 * GB)
#define COUNTS_MAX 32
#define ROUNDS_MAX 100
#define JOBS_MAX 10000
#define JOB_NAME 80

struct bench {
    struct mr_cmd *c;
    uint32_t nodes[COUNTS_MAX];
    size_t count;
    uint32_t rounds;
    bool json;
    const char *plot;
    char **words;                   /* for `mr run` */
    int word_count;                 /* two more have room */
};

/* What a run's process tells its parent. */
struct told_run {
    struct bench_run run;
    uint32_t slots[2];              /* of its nodes together, [is_map] */
    char name[JOB_NAME];            /* of its first job */
};

/* ---- a run, in its own process ---- */

struct job_ids {
    struct arena a;
    char *ids[JOBS_MAX];
    size_t n;
};

static void
on_submitted(void *arg, const char *job)
{
    struct job_ids *l = arg;

    if (l->n < JOBS_MAX && (l->ids[l->n] = arena_strdup(&l->a, job)) != NULL)
        l->n++;
}

static int
by_name(const void *x, const void *y)
{
    const JtTrackerStatus *a = *(JtTrackerStatus *const *)x, *b = *(JtTrackerStatus *const *)y;
    int c = strcmp(a->name, b->name);

    if (c == 0 && (c = strcmp(a->host, b->host)) == 0)
        c = (a->shuffle_port > b->shuffle_port) - (a->shuffle_port < b->shuffle_port);
    return c;
}

/* The slots of the nodes that a job on so many gets. */
static enum rc
ask_slots(struct mr_cmd *c, uint32_t nodes, struct arena *a, uint32_t ret[2], struct why *why)
{
    JtTrackersRequest req = JT_TRACKERS_REQUEST__INIT;
    const ProtobufCMessage *m;
    const JtTrackersReply *r;
    uint32_t live = 0;
    enum rc rc;

    if ((rc = mr_ask(c, ROW_job_trackers, &req.base, a, &m, why)) != RC_OK)
        return rc;
    r = (const JtTrackersReply *)(const void *)m;
    if (r->n_trackers > 0)
        qsort(r->trackers, r->n_trackers, sizeof *r->trackers, by_name);
    ret[0] = ret[1] = 0;
    for (size_t i = 0; i < r->n_trackers && live < nodes; i++)
        if (strcmp(r->trackers[i]->state, "ALIVE") == 0) {
            live++;
            ret[0] += r->trackers[i]->reduce_slots;
            ret[1] += r->trackers[i]->map_slots;
        }
    if (live < nodes)
        return why_set(why, RC_BAD_USAGE, "--nodes %u, but %u TaskTrackers are alive: `mr nodes` lists them", nodes, live);
    return RC_OK;
}

static enum rc
add_job(struct mr_cmd *c, char *id, struct arena *a, struct told_run *t, struct why *why)
{
    const JtAttemptsReply *r;
    const JtJobStatus *s;
    struct bench_attempt *list;
    struct bench_job j;
    enum rc rc;

    if ((rc = mr_ask_job(c, id, false, a, &s, &r, why)) != RC_OK)
        return rc;
    if ((list = arena_calloc(a, r->n_attempts + 1, sizeof *list)) == NULL)
        return why_rc(why, RC_NOMEM);
    for (size_t i = 0; i < r->n_attempts; i++) {
        const JtAttemptStatus *x = r->attempts[i];

        list[i] = (struct bench_attempt){ strstr(x->id, "_m_") != NULL, strcmp(x->state, "SUCCEEDED") == 0, x->id, x->node,
                                          x->started_ms, x->ended_ms, x->run_ms, x->shuffle_ms };
    }
    j = (struct bench_job){ s->submitted_ms, s->finished_ms, list, r->n_attempts, { t->slots[0], t->slots[1] } };
    if (t->name[0] == '\0')
        (void)snprintf(t->name, sizeof t->name, "%s", s->name);
    if ((rc = bench_add_job(&t->run, &j)) != RC_OK)
        return why_rc(why, rc);
    return RC_OK;
}

/* The directory below the home directory in which the run's output goes, made with nothing in it. */
static enum rc
make_place(struct mr_cmd *c, struct fs *fs, const char *name, struct arena *a, char **ret, struct why *why)
{
    char *path = plan_absolute(a, c->user, name);
    enum rc rc;

    if (path == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = fs_mkdirs(fs, path, 0700, true, why)) == RC_OK)
        *ret = path;
    return rc;
}

/* `mr run` with the words of bench and this output. */
static int
run_once(const struct bench *b, const char *output, struct job_ids *ids, double *ret_ms)
{
    uint64_t began = clock_mono_us(b->c->w.clock);
    int status;

    b->c->on_submitted = on_submitted;
    b->c->submitted_arg = ids;
    b->words[b->word_count] = (char *)(uintptr_t)"-output";
    b->words[b->word_count + 1] = (char *)(uintptr_t)output;
    status = mr_cmd_run(b->c, b->word_count + 2, b->words);
    b->c->on_submitted = NULL;
    *ret_ms = (double)(clock_mono_us(b->c->w.clock) - began) / 1000;
    return status;
}

/* One run on so many nodes; the exit status. */
static int
child(const struct bench *b, uint32_t nodes, const char *name, struct told_run *t)
{
    struct mr_cmd *c = b->c;
    struct job_ids *ids = mem_zalloc(sizeof *ids);
    struct fs *fs = NULL;
    char *place = NULL, *output;
    struct why why;
    bool deleted;
    double ms = 0;
    int status = MR_FAILED;
    enum rc rc;

    if (ids == NULL)
        return MR_FAILED;
    arena_init(&ids->a, ARENA);
    c->conf.trackers_max = nodes;
    if ((rc = ask_slots(c, nodes, &ids->a, t->slots, &why)) != RC_OK ||
        (rc = fs_open(&c->w, &c->conf, NULL, c->user, &fs, &why)) != RC_OK ||
        (rc = make_place(c, fs, name, &ids->a, &place, &why)) != RC_OK) {
        status = mr_complain(&why);
        goto out;
    }
    if (place == NULL || (output = arena_printf(&ids->a, "%s/out", place)) == NULL || (status = run_once(b, output, ids, &ms)) != MR_DONE)
        goto out;
    for (size_t i = 0; i < ids->n && rc == RC_OK; i++)
        rc = add_job(c, ids->ids[i], &ids->a, t, &why);
    if (ids->n > 1)
        t->name[strcspn(t->name, ":")] = '\0';     /* a driver's: the job, not its first stage */
    bench_end(&t->run, ms);
    status = rc == RC_OK ? MR_DONE : mr_complain(&why);
out:
    if (place != NULL && fs_delete(fs, place, true, &deleted, &why) != RC_OK) {
        fprintf(stderr, "mr: %s is left\n", place);
        status = mr_complain(&why);
    }
    if (fs != NULL)
        fs_close(fs);
    arena_fini(&ids->a);
    mem_free(ids);
    return status;
}

/* ---- the parent ---- */

static void
copy_out(FILE *from, FILE *to)
{
    char block[4096];
    size_t n;

    rewind(from);
    while ((n = fread(block, 1, sizeof block, from)) > 0)
        (void)fwrite(block, 1, n, to);  /* what it said of its failure: nobody is left to tell that this failed too */
}

/* In the new process: what the job prints is kept for the case that it fails; then the end. */
static _Noreturn void
be_child(const struct bench *b, uint32_t nodes, const char *place, FILE *said, FILE *told)
{
    struct told_run t = { .name = "" };
    int status = MR_FAILED;

    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (dup2(fileno(said), STDOUT_FILENO) >= 0 && dup2(fileno(said), STDERR_FILENO) >= 0 &&
        (status = child(b, nodes, place, &t)) == MR_DONE &&
        (fwrite(&t, sizeof t, 1, told) != 1 || fflush(told) != 0))
        status = MR_FAILED;
    (void)fflush(stdout);
    mr_cmd_fini(b->c);
    _exit(status);
}

/* What a run left that was ended by a signal, in a process of its own for the same reason as the run. */
static void
clean_up(const struct bench *b, const char *place)
{
    struct mr_cmd *c = b->c;
    struct fs *fs = NULL;
    struct arena a;
    struct why why;
    bool deleted;
    char *path;
    pid_t pid = fork();

    if (pid != 0) {
        (void)waitpid(pid, NULL, 0);    /* what it could not do it said itself */
        return;
    }
    arena_init(&a, ARENA);
    if ((path = plan_absolute(&a, c->user, place)) == NULL || fs_open(&c->w, &c->conf, NULL, c->user, &fs, &why) != RC_OK ||
        fs_delete(fs, path, true, &deleted, &why) != RC_OK)
        fprintf(stderr, "mr: %s is left in your home directory\n", place);
    _exit(0);
}

static int
run_child(const struct bench *b, uint32_t nodes, struct told_run *ret)
{
    FILE *said = tmpfile(), *told = tmpfile();
    int status = MR_FAILED, how;
    char place[40];
    pid_t pid;

    (void)snprintf(place, sizeof place, ".mr-bench-%016llx", (unsigned long long)rng_u64(b->c->w.rng));

    if (said == NULL || told == NULL) {
        fprintf(stderr, "mr: no temporary file can be made\n");
        goto out;
    }
    (void)fflush(NULL);                 /* or the child writes it too */
    (void)signal(SIGINT, SIG_IGN);      /* a signal ends the run; what it leaves is removed here */
    (void)signal(SIGTERM, SIG_IGN);
    if ((pid = fork()) == 0)
        be_child(b, nodes, place, said, told);
    if (pid < 0 || waitpid(pid, &how, 0) != pid) {
        fprintf(stderr, "mr: no process can be started\n");
        goto out;
    }
    status = WIFEXITED(how) ? WEXITSTATUS(how) : MR_FAILED;
    if (!WIFEXITED(how))
        clean_up(b, place);
    rewind(told);
    if (status == MR_DONE && fread(ret, sizeof *ret, 1, told) != 1)
        status = MR_FAILED;
    if (status != MR_DONE) {
        copy_out(said, stderr);
        fprintf(stderr, "mr: bench: the run with --nodes %u has failed\n", nodes);
    }
out:
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (said != NULL)
        (void)fclose(said);             /* it goes with its last descriptor */
    if (told != NULL)
        (void)fclose(told);
    return status;
}

/* ---- what is said ---- */

struct result {
    uint32_t nodes;
    struct told_run *rounds;        /* as they came */
    struct bench_run *sorted;
    const struct bench_run *median;
    double speed_up;
};

static void
print_table(const struct bench *b, const struct result *r)
{
    printf("%s: median of %u rounds; seconds, and the parts of them\n\n%5s %9s %8s", r[0].rounds[0].name, b->rounds, "NODES",
           "SECONDS", "SPEED-UP");
    for (int i = 0; i < BENCH_PARTS; i++)
        printf(" %9s", bench_part_names[i]);
    printf("\n");
    for (size_t k = 0; k < b->count; k++) {
        printf("%5u %9.3f %8.2f", r[k].nodes, r[k].median->total_ms / 1000, r[k].speed_up);
        for (int i = 0; i < BENCH_PARTS; i++)
            printf(" %9.3f", r[k].median->part_ms[i] / 1000);
        printf("\n");
    }
    printf("\n");
    for (size_t k = 0; k < b->count; k++) {
        const struct bench_straggler *s = &r[k].median->straggler;

        if (s->id[0] == '\0')
            printf("%u node%s: nothing waited for a straggler\n", r[k].nodes, r[k].nodes == 1 ? "" : "s");
        else
            printf("%u node%s: straggler %s on %s took %.3f s, the median %s %.3f s; the wait for it cost %.3f s\n", r[k].nodes,
                   r[k].nodes == 1 ? "" : "s", s->id, s->node, s->ms / 1000, s->is_map ? "map" : "reduce", s->median_ms / 1000, s->cost_ms / 1000);
    }
}

static json_t *
row_json(const struct bench *b, const struct result *r)
{
    const struct bench_straggler *s = &r->median->straggler;
    json_t *parts = json_object(), *rounds = json_array(), *row;

    for (int i = 0; i < BENCH_PARTS; i++)
        (void)json_object_set_new(parts, bench_part_names[i], json_real(r->median->part_ms[i] / 1000));
    for (uint32_t i = 0; i < b->rounds; i++)
        (void)json_array_append_new(rounds, json_real(r->rounds[i].run.total_ms / 1000));
    row = json_pack("{s:i, s:f, s:f, s:o, s:o, s:i, s:i, s:i, s:i}", "nodes", (int)r->nodes, "seconds",
                    r->median->total_ms / 1000, "speed_up", r->speed_up, "parts", parts, "rounds", rounds, "map_slots",
                    (int)r->rounds[0].slots[1], "reduce_slots", (int)r->rounds[0].slots[0], "jobs", (int)r->median->jobs,
                    "attempts", (int)r->median->attempts);
    if (row != NULL && s->id[0] != '\0')
        (void)json_object_set_new(row, "straggler", json_pack("{s:s, s:s, s:f, s:f, s:f}", "attempt", s->id, "node", s->node,
            "seconds", s->ms / 1000, "median_seconds", s->median_ms / 1000, "cost_seconds", s->cost_ms / 1000));
    return row;
}

static int
print_json(const struct bench *b, const struct result *r)
{
    json_t *list = json_array(), *all;
    int status = MR_DONE;

    for (size_t k = 0; k < b->count; k++)
        (void)json_array_append_new(list, row_json(b, &r[k]));
    all = json_pack("{s:s, s:o}", "job", r[0].rounds[0].name, "runs", list);
    if (all == NULL || json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0 || printf("\n") < 0)
        status = MR_FAILED;
    json_decref(all);
    return status;
}

static int
write_plot(const struct bench *b, const struct result *r)
{
    struct bench_row rows[COUNTS_MAX];
    char title[JOB_NAME + 40];
    FILE *f = fopen(b->plot, "w");
    bool bad;

    for (size_t k = 0; k < b->count; k++)
        rows[k] = (struct bench_row){ r[k].nodes, r[k].median, r[k].speed_up };
    (void)snprintf(title, sizeof title, "%s, median of %u rounds", r[0].rounds[0].name, b->rounds);
    if (f != NULL)
        bench_plot_write(f, title, rows, b->count);
    bad = f == NULL || ferror(f);
    if ((f != NULL && fclose(f) != 0) || bad) {
        fprintf(stderr, "mr: %s cannot be written\n", b->plot);
        return MR_FAILED;
    }
    if (!b->json)
        printf("plot in %s\n", b->plot);
    return MR_DONE;
}

static int
say(const struct bench *b, struct result *r)
{
    int status = MR_DONE;

    for (size_t k = 0; k < b->count; k++) {
        for (uint32_t i = 0; i < b->rounds; i++)
            r[k].sorted[i] = r[k].rounds[i].run;
        r[k].median = bench_median(r[k].sorted, b->rounds);
        r[k].speed_up = r[k].median->total_ms > 0 ? r[0].median->total_ms / r[k].median->total_ms : 1;
    }
    if (b->json)
        status = print_json(b, r);
    else
        print_table(b, r);
    if (status == MR_DONE && b->plot != NULL)
        status = write_plot(b, r);
    return fflush(stdout) == 0 ? status : MR_FAILED;
}

/* Round by round, so that what changes meanwhile meets every number of nodes alike. */
static int
run_all(const struct bench *b)
{
    struct result r[COUNTS_MAX] = { 0 };
    int status = MR_DONE;

    for (size_t k = 0; k < b->count; k++) {
        r[k].nodes = b->nodes[k];
        r[k].rounds = mem_calloc(b->rounds, sizeof *r[k].rounds);
        r[k].sorted = mem_calloc(b->rounds, sizeof *r[k].sorted);
        if (r[k].rounds == NULL || r[k].sorted == NULL)
            status = MR_FAILED;
    }
    for (uint32_t i = 0; i < b->rounds; i++)
        for (size_t k = 0; k < b->count && status == MR_DONE; k++)
            if ((status = run_child(b, r[k].nodes, &r[k].rounds[i])) == MR_DONE && isatty(STDERR_FILENO))
                fprintf(stderr, "round %u, %u nodes: %.3f s\n", i + 1, r[k].nodes, r[k].rounds[i].run.total_ms / 1000);
    if (status == MR_DONE)
        status = say(b, r);
    for (size_t k = 0; k < b->count; k++) {
        mem_free(r[k].rounds);
        mem_free(r[k].sorted);
    }
    return status;
}

/* ---- the words ---- */

/* "1,2,4": growing. */
static bool
take_nodes(struct bench *b, const char *text)
{
    for (b->count = 0; *text != '\0'; b->count++) {
        char *end;
        unsigned long n = strtoul(text, &end, 10);

        if (*text < '0' || *text > '9' || n == 0 || n > 100000 || (*end != ',' && *end != '\0') || b->count == COUNTS_MAX ||
            (b->count > 0 && n <= b->nodes[b->count - 1]))
            return false;
        b->nodes[b->count] = (uint32_t)n;
        text = end + (*end == ',');
    }
    return b->count > 0;
}

static bool
take_rounds(struct bench *b, const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    b->rounds = (uint32_t)n;
    return *text >= '0' && *text <= '9' && *end == '\0' && n > 0 && n <= ROUNDS_MAX;
}

static bool
is_word(const char *arg, const char *word)
{
    return strcmp(arg, word) == 0 || (arg[0] == '-' && strcmp(arg + 1, word) == 0);
}

/* -1, or the exit status. */
static int
parse(struct bench *b, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = is_word(argv[i], "-nodes") || is_word(argv[i], "-rounds") || is_word(argv[i], "-plot");

        if (takes && value == NULL)
            return mr_misused("%s needs a value", argv[i]);
        if (is_word(argv[i], "-output") || is_word(argv[i], "-local") || is_word(argv[i], "-overwrite"))
            return mr_misused("bench takes no %s: it runs on the cluster, with outputs of its own", argv[i]);
        if (is_word(argv[i], "-nodes") && !take_nodes(b, value))
            return mr_misused("--nodes takes growing numbers like 1,2,4, not %s", value);
        if (is_word(argv[i], "-rounds") && !take_rounds(b, value))
            return mr_misused("--rounds takes a number from 1 to 100, not %s", value);
        if (is_word(argv[i], "-plot"))
            b->plot = value;
        else if (is_word(argv[i], "-json"))
            b->json = true;
        else if (!takes)
            b->words[b->word_count++] = argv[i];
        i += takes;
    }
    return b->count > 0 ? -1 : mr_misused("%s needs --nodes, as in --nodes 1,2,4", "bench");
}

int
mr_cmd_bench(struct mr_cmd *c, int argc, char **argv)
{
    struct bench b = { .c = c, .rounds = 3, .words = mem_calloc((size_t)argc + 3, sizeof *b.words) };
    int status;

    if (b.words == NULL)
        return MR_FAILED;
    if ((status = parse(&b, argc, argv)) == -1)
        status = run_all(&b);
    mem_free(b.words);
    return status;
}
