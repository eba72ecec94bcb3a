#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "libmr/cmd.h"
#include "libmr/elf.h"
#include "libmr/local.h"

#define ARENA (1 * GB)
#define STATUS_ARENA (16 * MB)
#define WAIT_MS 10000
#define CODE_MAX (64 * MB)

/* ---- progress ---- */

struct shown {
    bool terminal;
    char last[160];
    int tens;                       /* what a log was told last, in tenths */
};

static int
percent(double f)
{
    return (int)(f * 100 + 1e-9);
}

static void
describe(const JtJobStatus *s, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "map %3d%% (%u/%u)", percent(s->map_fraction), s->maps->done, s->maps->total);

    if (s->reduces->total == 0) {
        (void)snprintf(out + n, cap - n, "%s", strcmp(s->state, "COMMITTING") == 0 ? "  committing" : "");
        return;
    }
    n += (size_t)snprintf(out + n, cap - n, "  shuffle %3d%%  sort %3d%%  reduce %3d%% (%u/%u)", percent(s->shuffle_fraction),
                          percent(s->sort_fraction), percent(s->reduce_fraction), s->reduces->done, s->reduces->total);
    if (strcmp(s->state, "COMMITTING") == 0)
        (void)snprintf(out + n, cap - n, "  committing");
    else if (s->maps->done < s->maps->total && s->reduces->running > 0)
        (void)snprintf(out + n, cap - n, "  waiting for maps %u/%u", s->maps->done, s->maps->total);
}

static void
show(struct shown *w, const JtJobStatus *s)
{
    char line[160];
    int tens = percent(s->map_fraction) / 10 + percent(s->shuffle_fraction) / 10 + percent(s->sort_fraction) / 10 +
               percent(s->reduce_fraction) / 10;

    describe(s, line, sizeof line);
    if (strcmp(line, w->last) == 0 || (!w->terminal && tens == w->tens))
        return;
    if (w->terminal)
        fprintf(stderr, "\r\033[K%s", line);
    else
        fprintf(stderr, "%s\n", line);
    (void)snprintf(w->last, sizeof w->last, "%s", line);
    w->tens = tens;
}

static bool
is_over(const JtJobStatus *s)
{
    return strcmp(s->state, "RUNNING") != 0 && strcmp(s->state, "COMMITTING") != 0;
}

static int
wait_for_end(struct mr_cmd *c, const char *id)
{
    struct shown shown = { .terminal = isatty(STDERR_FILENO) != 0, .tens = -1 };
    JtStatusRequest req = JT_STATUS_REQUEST__INIT;
    const ProtobufCMessage *m;
    const JtJobStatus *s;
    struct arena a;
    struct why why;
    int status = MR_FAILED;

    arena_init(&a, STATUS_ARENA);
    req.job = (char *)id;
    for (;;) {
        arena_reset(&a);
        if (mr_ask(c, ROW_job_status, &req.base, &a, &m, &why) != RC_OK) {
            fprintf(stderr, "\n");
            status = mr_complain(&why);
            fprintf(stderr, "mr: %s may still be running: `mr status %s`\n", id, id);
            break;
        }
        s = ((const JtStatusReply *)(const void *)m)->status;
        show(&shown, s);
        if (is_over(s)) {
            if (shown.terminal)
                fprintf(stderr, "\n");
            mr_print_end(s);
            status = strcmp(s->state, "SUCCEEDED") == 0 ? MR_DONE : MR_FAILED;
            break;
        }
        req.has_version = req.has_max_wait_ms = true;
        req.version = s->version;
        req.max_wait_ms = WAIT_MS;
    }
    arena_fini(&a);
    return status;
}

/* ---- in this process ---- */

static void
on_attempt(void *arg, bool is_map, uint32_t index, uint32_t count)
{
    if (*(bool *)arg)
        fprintf(stderr, "\r\033[K%s %u/%u", is_map ? "map" : "reduce", index + 1, count);
}

static int
run_local(struct mr_cmd *c, const char *job_path, const struct mr_order *o)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    struct mr_local l = { .w = &c->w, .conf = &c->conf, .job_path = job_path, .stage = o->stage, .inputs = o->inputs,
                          .input_count = o->input_count, .output = o->output, .second = o->second, .sides = o->sides,
                          .side_count = o->side_count, .overwrite = o->overwrite, .on_attempt = on_attempt, .arg = &terminal };
    uint64_t began = clock_mono_ms(c->w.clock);
    struct mr_progress p;
    struct arena a;
    struct why why;
    enum rc rc;

    memset(&p, 0, sizeof p);
    arena_init(&a, ARENA);
    rc = mr_local_run(&l, &a, &p, &why);
    if (terminal)
        fprintf(stderr, "\n");
    if (rc == RC_OK) {
        printf("%s: done in %.3f s, output in %s\n", job_path, (double)(clock_mono_ms(c->w.clock) - began) / 1000,
               o->output);
        for (int i = 0; i < MRC_COUNT; i++)
            if (p.counters[i] != 0)
                printf("  %s=%" PRId64 "\n", mr_counter_name((enum mr_counter)i), p.counters[i]);
        for (size_t i = 0; i < p.user_count; i++)
            printf("  %s=%" PRId64 "\n", p.user[i].name, p.user[i].value);
    }
    arena_fini(&a);
    return rc == RC_OK ? MR_DONE : mr_complain(&why);
}

/* ---- the command ---- */

static bool
is_word(const char *arg, const char *word)
{
    return strcmp(arg, word) == 0 || (arg[0] == '-' && strcmp(arg + 1, word) == 0);
}

/* What `mr run` was told. */
struct told {
    struct mr_order o;
    const char **inputs;            /* o.inputs, writable */
    struct mr_side *sides;          /* o.sides, writable; their names are heap */
    const char *job_path;
    bool local;
};

/* NAME=PATH; false when it is not that. */
static bool
add_side(struct told *t, const char *text)
{
    const char *equals = strchr(text, '=');
    char *name = equals != NULL && equals > text ? mem_strndup(text, (size_t)(equals - text)) : NULL;

    if (name == NULL)
        return false;
    t->sides[t->o.side_count++] = (struct mr_side){ .name = name, .path = equals + 1 };
    return true;
}

/* Words into t; -1, or the exit status. */
static int
parse(struct mr_cmd *c, int argc, char **argv, struct told *t)
{
    int status = -1;

    for (int i = 0; i < argc && status == -1; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = is_word(argv[i], "-input") || is_word(argv[i], "-output") || is_word(argv[i], "-priority") ||
                     is_word(argv[i], "-stage") || is_word(argv[i], "-side") || is_word(argv[i], "-second");

        if (mr_take_option(c, argc, argv, &i, &status))
            continue;
        if (takes && value == NULL)
            return mr_misused("%s needs a value", argv[i]);
        if (is_word(argv[i], "-input"))
            t->inputs[t->o.input_count++] = value;
        else if (is_word(argv[i], "-output"))
            t->o.output = value;
        else if (is_word(argv[i], "-stage"))
            t->o.stage = value;
        else if (is_word(argv[i], "-second"))
            t->o.second = value;
        else if (is_word(argv[i], "-side"))
            status = add_side(t, value) ? -1 : mr_misused("-side takes NAME=PATH, not %s", value);
        else if (is_word(argv[i], "-priority"))
            t->o.priority = (int32_t)strtol(value, NULL, 10);
        else if (is_word(argv[i], "-local"))
            t->local = true;
        else if (is_word(argv[i], "-overwrite"))
            t->o.overwrite = true;
        else if (argv[i][0] == '-')
            return mr_misused("no option %s", argv[i]);
        else if (t->job_path != NULL)
            return mr_misused("one job at a time: %s is one too many", argv[i]);
        else
            t->job_path = argv[i];
        i += takes;
    }
    if (status == -1 && t->job_path == NULL)
        return mr_misused("%s: which job? give a .so", "run");
    return status;
}

static int
run_remote(struct mr_cmd *c, const char *job_path, const struct mr_order *o)
{
    struct mr_session *session;
    struct arena a;
    struct why why;
    size_t maps = 0;
    uint32_t reduces = 0;
    char *id;
    int status;

    if (mr_session_open(c, job_path, false, &session, &why) != RC_OK)
        return mr_complain(&why);
    arena_init(&a, ARENA);
    if (mr_submit(session, o, &a, &id, &maps, &reduces, &why) != RC_OK) {
        status = mr_complain(&why);
    } else {
        fprintf(stderr, "%s: %zu maps, %u reduces\n", id, maps, reduces);
        status = wait_for_end(c, id);
    }
    arena_fini(&a);
    mr_session_close(session);
    return status;
}

static bool
has_driver(struct mr_cmd *c, const char *path)
{
    uint8_t *p = NULL;
    struct why why;
    size_t n;
    bool has;

    if (io_read_file(c->w.io, path, CODE_MAX, &p, &n, &why) != RC_OK)
        return false;                   /* whoever needs the file says so */
    has = mr_elf_exports(p, n, MR_DRIVER_SYMBOL);
    mem_free(p);
    return has;
}

/* "wordcount" is the installed job of that name, or the one built beside this program. */
static char *
find_job(struct mr_cmd *c, const char *name)
{
    char self[4096] = "", *path = NULL, *slash;
    struct io_stat st;
    ssize_t n;

    if (strchr(name, '/') != NULL || strstr(name, ".so") != NULL)
        return NULL;
    if ((n = readlink("/proc/self/exe", self, sizeof self - 1)) > 0 && (slash = strrchr(self, '/')) != NULL)
        *slash = '\0';
    for (int i = 0; i < 3; i++) {
        path = i == 0 ? mem_printf("%s/../lib/millrace/jobs/%s.so", self, name)
               : i == 1 ? mem_printf("%s/../jobs/%s.so", self, name)
                        : mem_printf("%s/millrace/jobs/%s.so", MILLRACE_LIBDIR, name);
        if (path != NULL && io_stat(c->w.io, path, &st, NULL) == RC_OK)
            return path;
        mem_free(path);
    }
    return NULL;
}

static int
run_told(struct mr_cmd *c, const struct told *t)
{
    if (t->o.stage == NULL && has_driver(c, t->job_path))
        return mr_run_driver(c, t->job_path, &t->o, t->local);
    if (t->o.input_count == 0)
        return mr_misused("%s: give -input PATH", "run");
    if (t->o.output == NULL)
        return mr_misused("%s: give -output PATH", "run");
    return t->local ? run_local(c, t->job_path, &t->o) : run_remote(c, t->job_path, &t->o);
}

int
mr_cmd_run(struct mr_cmd *c, int argc, char **argv)
{
    struct told t = { .inputs = mem_calloc((size_t)argc + 1, sizeof *t.inputs),
                      .sides = mem_calloc((size_t)argc + 1, sizeof *t.sides) };
    char *found = NULL;
    int status;

    t.o.inputs = t.inputs;
    t.o.sides = t.sides;
    if (t.inputs == NULL || t.sides == NULL)
        status = MR_FAILED;
    else if ((status = parse(c, argc, argv, &t)) == -1) {
        if ((found = find_job(c, t.job_path)) != NULL)
            t.job_path = found;
        status = run_told(c, &t);
    }
    for (size_t i = 0; i < t.o.side_count; i++)
        mem_free((char *)(uintptr_t)t.sides[i].name);
    mem_free(found);
    mem_free(t.sides);
    mem_free(t.inputs);
    return status;
}

int
mr_cmd_new(struct mr_cmd *c, int argc, char **argv)
{
    struct why why;

    if (argc != 1)
        return mr_misused("%s needs a name for the job", "new");
    if (mr_new(&c->w, argv[0], &why) != RC_OK)
        return mr_complain(&why);
    printf("%s.c is written: mrcc %s.c && mr run %s.so -input PATH -output PATH\n", argv[0], argv[0], argv[0]);
    return MR_DONE;
}
