/* mr ps, status, kill, logs, counters, nodes. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libmr/cmd.h"

#define ARENA (256 * MB)

/* ---- for people ---- */

/* Counters of the group "time" (counters.def) fill a screen; `mr counters` and `mr report` show them. */
static bool
is_time(const JtCounter *c)
{
    static const char tail[] = "_MICROSECONDS";
    size_t n = strlen(c->name);

    return !c->user && n > sizeof tail && strcmp(c->name + n - (sizeof tail - 1), tail) == 0;
}

static void
print_counters(const JtJobStatus *s, bool with_time)
{
    for (size_t i = 0; i < s->n_counters; i++)
        if (with_time || !is_time(s->counters[i]))
            printf("  %s=%" PRId64 "\n", s->counters[i]->name, s->counters[i]->value);
}

/* The lines of a text, set in. */
static void
print_indented(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        fprintf(out, "    %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void
print_failure(FILE *out, const JtJobStatus *s)
{
    const JtAttemptStatus *f = s->first_failure;

    if (f == NULL)
        return;
    fprintf(out, "First failure: %s on %s: %s\n", f->id, f->node, f->reason);
    if (s->first_failure_log != NULL && s->first_failure_log[0] != '\0') {
        fprintf(out, "Its last lines:\n");
        print_indented(out, s->first_failure_log);
        fprintf(out, "All of it: mr logs %s %s, or %s on %s\n", s->id, f->id, f->log_path, f->node);
    } else {
        fprintf(out, "It printed nothing.\n");
    }
}

void
mr_print_end(const JtJobStatus *s)
{
    double seconds = (double)s->elapsed_ms / 1000;

    if (strcmp(s->state, "SUCCEEDED") == 0) {
        printf("%s %s in %.3f s, output in %s\n", s->id, s->state, seconds, s->output);
        print_counters(s, false);
        return;
    }
    (void)fflush(stdout);
    fprintf(stderr, "%s %s after %.3f s: %s\n", s->id, s->state, seconds, s->reason);
    print_failure(stderr, s);
}

static const char *
clock_text(uint64_t wall_ms, char out[24])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (wall_ms == 0)
        return "-";
    (void)localtime_r(&t, &tm);
    (void)strftime(out, 24, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

static bool
take_flag(int *argc, char **argv, const char *flag)
{
    for (int i = 0; i < *argc; i++)
        if (strcmp(argv[i], flag) == 0) {
            memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof *argv);
            (*argc)--;
            return true;
        }
    return false;
}

static int
print_json(json_t *j)
{
    int r = j == NULL ? -1 : json_dumpf(j, stdout, JSON_INDENT(2));

    if (j != NULL)
        json_decref(j);
    printf("\n");
    return r == 0 ? MR_DONE : MR_FAILED;
}

/* Refuse words that are options nobody knows, and too few or too many of the others. */
static int
check_words(int argc, char **argv, int min, int max, const char *what)
{
    for (int i = 0; i < argc; i++)
        if (argv[i][0] == '-')
            return mr_misused("no option %s", argv[i]);
    if (argc < min)
        return mr_misused("which job? give %s", what);
    if (argc > max)
        return mr_misused("%s is one word too many", argv[max]);
    return -1;
}

/* ---- ps ---- */

static json_t *
job_json(const JtJobStatus *s)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:s, s:{s:i, s:i, s:i, s:i}, s:{s:i, s:i, s:i, s:i},"
                     " s:f, s:f, s:f, s:f}",
                     "id", s->id, "name", s->name, "user", s->user, "state", s->state, "priority", s->priority,
                     "submitted_ms", (json_int_t)s->submitted_ms, "finished_ms", (json_int_t)s->finished_ms,
                     "elapsed_ms", (json_int_t)s->elapsed_ms, "output", s->output, "reason", s->reason,
                     "maps", "total", s->maps->total, "done", s->maps->done, "running", s->maps->running,
                     "failed_attempts", s->maps->failed_attempts,
                     "reduces", "total", s->reduces->total, "done", s->reduces->done, "running", s->reduces->running,
                     "failed_attempts", s->reduces->failed_attempts,
                     "map_fraction", s->map_fraction, "shuffle_fraction", s->shuffle_fraction,
                     "sort_fraction", s->sort_fraction, "reduce_fraction", s->reduce_fraction);
}

static int
print_jobs(const JtListReply *r, bool json)
{
    json_t *list = json ? json_array() : NULL;

    if (!json)
        printf("%-24s %-12s %-11s %9s %9s %9s  %s\n", "JOB", "USER", "STATE", "MAPS", "REDUCES", "SECONDS", "NAME");
    for (size_t i = 0; i < r->n_jobs; i++) {
        const JtJobStatus *s = r->jobs[i];
        char maps[32], reduces[32];

        if (json) {
            (void)json_array_append_new(list, job_json(s));
            continue;
        }
        (void)snprintf(maps, sizeof maps, "%u/%u", s->maps->done, s->maps->total);
        (void)snprintf(reduces, sizeof reduces, "%u/%u", s->reduces->done, s->reduces->total);
        printf("%-24s %-12s %-11s %9s %9s %9.1f  %s\n", s->id, s->user, s->state, maps, reduces,
               (double)s->elapsed_ms / 1000, s->name);
    }
    return json ? print_json(list) : MR_DONE;
}

int
mr_cmd_ps(struct mr_cmd *c, int argc, char **argv)
{
    JtListRequest req = JT_LIST_REQUEST__INIT;
    bool json = take_flag(&argc, argv, "--json"), all = take_flag(&argc, argv, "--all");
    const ProtobufCMessage *m;
    struct arena a;
    struct why why;
    int status = check_words(argc, argv, 0, 0, "");

    if (status != -1)
        return status;
    arena_init(&a, ARENA);
    req.all = all;
    status = mr_ask(c, ROW_job_list, &req.base, &a, &m, &why) != RC_OK
             ? mr_complain(&why) : print_jobs((const JtListReply *)(const void *)m, json);
    arena_fini(&a);
    return status;
}

/* ---- status, counters ---- */

static enum rc
ask_status(struct mr_cmd *c, const char *id, struct arena *a, const JtJobStatus **ret, struct why *why)
{
    JtStatusRequest req = JT_STATUS_REQUEST__INIT;
    const ProtobufCMessage *m;
    enum rc rc;

    req.job = (char *)id;
    if ((rc = mr_ask(c, ROW_job_status, &req.base, a, &m, why)) == RC_OK)
        *ret = ((const JtStatusReply *)(const void *)m)->status;
    return rc;
}

static json_t *
attempts_json(const JtAttemptsReply *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_attempts; i++) {
        const JtAttemptStatus *t = r->attempts[i];

        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:s, s:s, s:s}", "id", t->id,
            "state", t->state, "node", t->node, "locality", t->locality, "started_ms", (json_int_t)t->started_ms,
            "ended_ms", (json_int_t)t->ended_ms, "run_ms", (json_int_t)t->run_ms, "shuffle_ms", (json_int_t)t->shuffle_ms,
            "fraction", t->fraction, "phase", t->phase, "reason", t->reason, "log_path", t->log_path));
    }
    return list;
}

static void
print_status(const JtJobStatus *s, const JtAttemptsReply *r)
{
    char began[24], ended[24];

    printf("%s  %s  by %s\n", s->id, s->name, s->user);
    printf("  %s, began %s, ended %s, %.3f s\n", s->state, clock_text(s->submitted_ms, began),
           clock_text(s->finished_ms, ended), (double)s->elapsed_ms / 1000);
    printf("  output %s\n", s->output);
    if (s->reason[0] != '\0')
        printf("  reason: %s\n", s->reason);
    printf("  map %.0f%%, %u of %u done, %u running\n", s->map_fraction * 100, s->maps->done, s->maps->total, s->maps->running);
    if (s->reduces->total != 0)
        printf("  shuffle %.0f%%, sort %.0f%%, reduce %.0f%%, %u of %u done, %u running\n", s->shuffle_fraction * 100,
               s->sort_fraction * 100, s->reduce_fraction * 100, s->reduces->done, s->reduces->total, s->reduces->running);
    print_failure(stdout, s);
    printf("\n%-42s %-10s %-16s %-5s %9s  %s\n", "ATTEMPT", "STATE", "NODE", "INPUT", "SECONDS", "");
    for (size_t i = 0; i < r->n_attempts; i++) {
        const JtAttemptStatus *t = r->attempts[i];
        uint64_t end = t->ended_ms ? t->ended_ms : s->submitted_ms + s->elapsed_ms;

        printf("%-42s %-10s %-16s %-5s %9.3f  %s%s%s\n", t->id, t->state, t->node, t->locality,
               end > t->started_ms ? (double)(end - t->started_ms) / 1000 : 0, t->phase, t->phase[0] ? " " : "", t->reason);
    }
}

int
mr_cmd_status(struct mr_cmd *c, int argc, char **argv)
{
    JtAttemptsRequest req = JT_ATTEMPTS_REQUEST__INIT;
    bool json = take_flag(&argc, argv, "--json");
    const ProtobufCMessage *m;
    const JtJobStatus *s;
    struct arena a;
    struct why why;
    json_t *j;
    int status = check_words(argc, argv, 1, 1, "its id; `mr ps` lists them");

    if (status != -1)
        return status;
    arena_init(&a, ARENA);
    req.job = argv[0];
    if (ask_status(c, argv[0], &a, &s, &why) != RC_OK ||
        mr_ask(c, ROW_job_attempts, &req.base, &a, &m, &why) != RC_OK) {
        status = mr_complain(&why);
    } else if (json) {
        if ((j = job_json(s)) != NULL)
            (void)json_object_set_new(j, "attempts", attempts_json((const JtAttemptsReply *)(const void *)m));
        status = print_json(j);
    } else {
        print_status(s, (const JtAttemptsReply *)(const void *)m);
        status = MR_DONE;
    }
    arena_fini(&a);
    return status;
}

int
mr_cmd_counters(struct mr_cmd *c, int argc, char **argv)
{
    bool json = take_flag(&argc, argv, "--json");
    const JtJobStatus *s;
    struct arena a;
    struct why why;
    int status = check_words(argc, argv, 1, 1, "its id; `mr ps --all` lists them");

    if (status != -1)
        return status;
    arena_init(&a, ARENA);
    if (ask_status(c, argv[0], &a, &s, &why) != RC_OK) {
        status = mr_complain(&why);
    } else if (json) {
        json_t *j = json_object();

        for (size_t i = 0; i < s->n_counters; i++)
            (void)json_object_set_new(j, s->counters[i]->name, json_integer((json_int_t)s->counters[i]->value));
        status = print_json(j);
    } else {
        print_counters(s, true);
        status = MR_DONE;
    }
    arena_fini(&a);
    return status;
}

/* ---- kill, logs ---- */

int
mr_cmd_kill(struct mr_cmd *c, int argc, char **argv)
{
    int status = check_words(argc, argv, 1, 1000, "its id; `mr ps` lists them");
    const ProtobufCMessage *m;
    struct arena a;
    struct why why;

    if (status != -1)
        return status;
    arena_init(&a, ARENA);
    status = MR_DONE;
    for (int i = 0; i < argc; i++) {
        JtKillRequest req = JT_KILL_REQUEST__INIT;

        req.job = argv[i];
        if (mr_ask(c, ROW_job_kill, &req.base, &a, &m, &why) != RC_OK)
            status = mr_complain(&why);
        else if (((const JtKillReply *)(const void *)m)->killed)
            printf("%s killed\n", argv[i]);
        else
            printf("%s has ended already, or is putting its output in place\n", argv[i]);
    }
    arena_fini(&a);
    return status;
}

static int
print_logs(const JtLogsReply *r, bool headed)
{
    for (size_t i = 0; i < r->n_logs; i++) {
        const JtLog *l = r->logs[i];

        if (headed)
            printf("%s==> %s on %s (%s) <==\n", i ? "\n" : "", l->attempt, l->node, l->path);
        (void)fwrite(l->text.data, 1, l->text.len, stdout);     /* a full pipe shows at the flush */
    }
    if (r->n_logs == 0)
        fprintf(stderr, "mr: nothing was printed by attempts that have ended\n");
    return fflush(stdout) == 0 ? MR_DONE : MR_FAILED;
}

int
mr_cmd_logs(struct mr_cmd *c, int argc, char **argv)
{
    JtLogsRequest req = JT_LOGS_REQUEST__INIT;
    int status = check_words(argc, argv, 1, 2, "its id; `mr ps --all` lists them");
    const ProtobufCMessage *m;
    struct arena a;
    struct why why;

    if (status != -1)
        return status;
    arena_init(&a, ARENA);
    req.job = argv[0];
    req.attempt = argc == 2 ? argv[1] : (char *)"";
    status = mr_ask(c, ROW_job_logs, &req.base, &a, &m, &why) != RC_OK
             ? mr_complain(&why) : print_logs((const JtLogsReply *)(const void *)m, argc == 1);
    arena_fini(&a);
    return status;
}

/* ---- nodes ---- */

static int
print_nodes(const JtTrackersReply *r, bool json)
{
    json_t *list = json ? json_array() : NULL;

    if (!json)
        printf("%-20s %-22s %-8s %7s %7s %9s  %s\n", "NODE", "ADDRESS", "STATE", "MAPS", "REDUCES", "SEEN", "SANDBOX");
    for (size_t i = 0; i < r->n_trackers; i++) {
        const JtTrackerStatus *t = r->trackers[i];
        char address[300], maps[32], reduces[32];

        (void)snprintf(address, sizeof address, "%s:%u", t->host, t->shuffle_port);
        if (json) {
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:s, s:I}", "name", t->name,
                "address", address, "state", t->state, "map_slots", t->map_slots, "maps_running", t->maps_running,
                "reduce_slots", t->reduce_slots, "reduces_running", t->reduces_running, "seen_ms_ago",
                (json_int_t)t->seen_ms_ago, "sandbox", t->tier, "failures", (json_int_t)t->failures));
            continue;
        }
        (void)snprintf(maps, sizeof maps, "%u/%u", t->maps_running, t->map_slots);
        (void)snprintf(reduces, sizeof reduces, "%u/%u", t->reduces_running, t->reduce_slots);
        printf("%-20s %-22s %-8s %7s %7s %8.1fs  %s\n", t->name, address, t->state, maps, reduces,
               (double)t->seen_ms_ago / 1000, t->tier);
    }
    return json ? print_json(list) : MR_DONE;
}

int
mr_cmd_nodes(struct mr_cmd *c, int argc, char **argv)
{
    JtTrackersRequest req = JT_TRACKERS_REQUEST__INIT;
    bool json = take_flag(&argc, argv, "--json");
    const ProtobufCMessage *m;
    struct arena a;
    struct why why;
    int status = check_words(argc, argv, 0, 0, "");

    if (status != -1)
        return status;
    arena_init(&a, ARENA);
    status = mr_ask(c, ROW_job_trackers, &req.base, &a, &m, &why) != RC_OK
             ? mr_complain(&why) : print_nodes((const JtTrackersReply *)(const void *)m, json);
    arena_fini(&a);
    return status;
}
