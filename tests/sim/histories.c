#include "tests/sim/histories.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64
#define BATCH 40            /* histories of one child */
#define LIST_MAX 400
#define SIGNATURE 128
#define TRIES_MAX 500
#define PLAN_UNKNOWN 128    /* items of a history that did not live to say how many */

/* What a child tells its parent of each history. */
struct outcome {
    bool held;
    uint64_t fingerprint, steps, simulated_us;
    uint64_t happened[SIM_HAPPENINGS];
    size_t used[PLAN_PARTS];
    char failure[1024];
};

/* A history: a seed, and what is left out (NULL: nothing). */
struct item {
    uint64_t seed;
    const char *without;
};

static bool
history_run(const struct history *h, const struct item *item, FILE *trace, enum log_level level, struct outcome *ret)
{
    struct sim_options o = h->options;
    struct plan plan;
    struct sim *s;

    *ret = (struct outcome){ .held = false };
    if (!plan_init(&plan, item->seed, item->without)) {
        (void)snprintf(ret->failure, sizeof ret->failure, "not a list of what is left out: %s", item->without);
        return false;
    }
    o.seed = item->seed;
    o.plan = &plan;
    o.trace = trace;
    o.level = level;
    s = sim_new(&o);
    ret->held = sim_run(s, h->fn, h->arg);
    memcpy(ret->used, plan.used, sizeof ret->used);
    ret->fingerprint = sim_fingerprint(s);
    ret->steps = sim_steps(s);
    for (unsigned i = 0; i < SIM_HAPPENINGS; i++)
        ret->happened[i] = sim_happened(s, i);
    ret->simulated_us = sim_now_us(s);
    (void)snprintf(ret->failure, sizeof ret->failure, "%s", sim_failure(s));
    sim_free(s);
    return ret->held;
}

static int
one(const struct history *h, const struct item *item, enum log_level level)
{
    struct outcome out;
    uint64_t seed = item->seed;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);     /* a crash must not lose the last lines */
    if (!history_run(h, item, stdout, level, &out))
        printf("seed %" PRIu64 " FAILED: %s\n", seed, out.failure);
    else
        printf("seed %" PRIu64 " held: %" PRIu64 " switch points, %" PRIu64 " simulated ms, fingerprint %016" PRIx64 "\n",
               seed, out.steps, out.simulated_us / 1000, out.fingerprint);
    return out.held ? 0 : 1;
}

static double
seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);   /* cannot fail */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Histories to run, each perhaps twice. */
struct batch {
    const struct item *items;
    size_t count;
    bool is_twice;
};

/* One process that runs histories, one after the other, and tells the outcome of each. */
struct child {
    pid_t pid;              /* 0: none */
    int pipe;
    struct batch batch;
    size_t done;            /* of the batch */
};

static void
child_main(const struct history *h, const struct batch *b, int to)
{
    const struct itimerval limit = { .it_value.tv_sec = h->child_s };
    struct history mine = *h;
    struct outcome out, again;

    /* What one history gives back the next one takes: no system calls for memory. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);       /* 0: then it is slower */
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_TOP_PAD, 16 << 20);
    mine.options.stacks = sim_stacks_new();
    for (size_t i = 0; i < b->count; i++) {
        (void)setitimer(ITIMER_PROF, &limit, NULL); /* of CPU: others may use the machine too */
        if (history_run(&mine, &b->items[i], NULL, LOG_INFO, &out) && b->is_twice) {
            (void)history_run(&mine, &b->items[i], NULL, LOG_INFO, &again);      /* only its fingerprint counts */
            if (again.fingerprint != out.fingerprint) {
                out.held = false;
                (void)snprintf(out.failure, sizeof out.failure, "two runs differ: %016" PRIx64 ", %016" PRIx64,
                               out.fingerprint, again.fingerprint);
            }
        }
        if (write(to, &out, sizeof out) != (ssize_t)sizeof out)
            _exit(1);
    }
    _exit(0);
}

static void
child_start(const struct history *h, struct child *c)
{
    int pipes[2];

    if (pipe(pipes) != 0 || (c->pid = fork()) < 0) {
        perror("fork");
        exit(1);
    }
    if (c->pid == 0) {
        (void)close(pipes[0]);      /* the parent's */
        child_main(h, &c->batch, pipes[1]);
    }
    (void)close(pipes[1]);          /* the child's */
    c->pipe = pipes[0];
    c->done = 0;
}

struct tally {
    const struct history *h;
    const char *program;
    unsigned jobs;
    bool is_quiet;
    struct outcome *last;       /* NULL: nobody asks for it */
    uint64_t runs, failed, steps, simulated_us, happened[SIM_HAPPENINGS];
};

static void
tally_outcome(struct tally *t, const struct item *item, const struct outcome *out)
{
    t->runs++;
    if (t->last != NULL)
        *t->last = *out;
    t->simulated_us += out->simulated_us;
    t->steps += out->steps;
    for (unsigned i = 0; i < SIM_HAPPENINGS; i++)
        t->happened[i] += out->happened[i];
    if (out->held)
        return;
    t->failed++;
    if (t->is_quiet)
        return;
    printf("seed %" PRIu64 " FAILED: %s\n    replay: %s%s%s %" PRIu64 "\n", item->seed, out->failure, t->program,
           item->without != NULL ? " --without " : "", item->without != NULL ? item->without : "", item->seed);
    (void)fflush(stdout);       /* somebody may be watching */
}

/* The child ended: the seed that it was at has failed, those behind it go to the next child. */
static void
child_end(struct tally *t, struct child *c)
{
    struct outcome out = { .held = false };
    int status = 0;

    (void)close(c->pipe);       /* was only read */
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    c->pid = 0;
    if (c->done < c->batch.count) {
        (void)snprintf(out.failure, sizeof out.failure, "the child ended with %s %d",
                       WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        tally_outcome(t, &c->batch.items[c->done++], &out);
    }
    c->batch.items += c->done;
    c->batch.count -= c->done;
}

static void
child_read(struct tally *t, struct child *c)
{
    struct outcome out;
    ssize_t n;

    do
        n = read(c->pipe, &out, sizeof out);        /* whole: it fits in what a pipe takes at once */
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof out && c->done < c->batch.count)
        tally_outcome(t, &c->batch.items[c->done++], &out);
    else
        child_end(t, c);
}

/* All seeds, in so many processes at once. */
static void
run_all(struct tally *t, struct batch all)
{
    struct child children[JOBS_MAX] = { { .pid = 0 } };
    struct pollfd polls[JOBS_MAX];
    unsigned running;

    do {
        running = 0;
        for (unsigned i = 0; i < t->jobs; i++) {
            struct child *c = &children[i];

            if (c->pid == 0 && c->batch.count == 0 && all.count > 0) {
                c->batch = (struct batch){ all.items, all.count < BATCH ? all.count : BATCH, all.is_twice };
                all.items += c->batch.count;
                all.count -= c->batch.count;
            }
            if (c->pid == 0 && c->batch.count > 0)
                child_start(t->h, c);
            polls[i] = (struct pollfd){ .fd = c->pid != 0 ? c->pipe : -1, .events = POLLIN };
            running += c->pid != 0;
        }
        if (running > 0 && poll(polls, t->jobs, -1) < 0)
            continue;               /* a signal */
        for (unsigned i = 0; i < t->jobs; i++)
            if (polls[i].fd >= 0 && polls[i].revents != 0)
                child_read(t, &children[i]);
    } while (running > 0);
}

static void
run_range(struct tally *t, uint64_t first, uint64_t last, bool is_twice)
{
    uint64_t count = first <= last ? last - first + 1 : 0;
    struct item *items = calloc(count + 1, sizeof *items);

    if (items == NULL) {
        perror("seeds");
        exit(1);
    }
    for (uint64_t i = 0; i < count; i++)
        items[i].seed = first + i;
    run_all(t, (struct batch){ items, count, is_twice });
    free(items);
}

/* The histories that once found something: a seed first on each line, perhaps "-" and what is left out, then what it found. */
static bool
run_list(struct tally *t, const char *path)
{
    static char without[LIST_MAX][512];     /* large */
    struct item items[LIST_MAX];
    FILE *f = fopen(path, "r");
    char line[1024];
    size_t count = 0;

    if (f == NULL) {
        perror(path);
        return false;
    }
    while (count < LIST_MAX && fgets(line, sizeof line, f) != NULL) {
        int got = sscanf(line, "%" SCNu64 " -%511s", &items[count].seed, without[count]);

        items[count].without = got == 2 ? without[count] : NULL;
        count += got >= 1;
    }
    (void)fclose(f);            /* was only read */
    run_all(t, (struct batch){ items, count, false });
    return true;
}

/* What failed, without its numbers and names: two histories that differ in these alone fail the same way. */
static void
signature(const char *failure, char out[SIGNATURE])
{
    size_t n = 0;
    int depth = 0;

    while (*failure != '\0' && n + 1 < SIGNATURE) {
        size_t word = strcspn(failure, " ");
        bool is_name = strcspn(failure, "/0123456789") < word;

        depth += *failure == '(';
        if (!is_name && depth == 0) {
            if (word > SIGNATURE - 1 - n)
                word = SIGNATURE - 1 - n;
            memcpy(out + n, failure, word);
            n += word;
            if (n + 1 < SIGNATURE)
                out[n++] = ' ';
        }
        depth -= depth > 0 && word > 0 && failure[word - 1] == ')';
        failure += word;
        failure += strspn(failure, " ");
    }
    out[n] = '\0';
}

struct shrinker {
    struct tally tally;
    struct plan plan;               /* out: what the history fails without */
    char signature[SIGNATURE];
    unsigned tries;
};

static void
try_plan(struct shrinker *k, const struct plan *plan, struct outcome *ret)
{
    char text[PLAN_TEXT];
    struct item item = { plan->seed, text };

    plan_text(plan, text);
    k->tally.last = ret;
    k->tries++;
    run_all(&k->tally, (struct batch){ &item, 1, false });
}

/* Leave out chunks of one part, ever smaller ones, as long as the rest fails in the same way. */
static bool
shrink_part(struct shrinker *k, enum plan_part part, size_t used)
{
    bool has_shrunk = false;

    for (size_t chunk = used; chunk > 0; chunk /= 2)
        for (size_t at = 0; at < used && at < PLAN_ITEMS_MAX && k->tries < TRIES_MAX; at += chunk) {
            struct plan without = k->plan;
            char got[SIGNATURE];
            struct outcome out;
            bool is_new = false;

            for (size_t i = at; i < at + chunk && i < used && i < PLAN_ITEMS_MAX; i++) {
                is_new = is_new || !without.out[part][i];
                without.out[part][i] = true;
            }
            if (!is_new)
                continue;
            try_plan(k, &without, &out);
            signature(out.failure, got);
            if (out.held || strcmp(got, k->signature) != 0)
                continue;
            k->plan = without;
            has_shrunk = true;
        }
    return has_shrunk;
}

/* The least of a failing history that fails in the same way; its trace, and its line for the list. */
static int
shrink(const struct history *h, const char *program, uint64_t seed, const char *without)
{
    struct shrinker k = { .tally = { .h = h, .program = program, .jobs = 1, .is_quiet = true } };
    struct outcome out;
    char text[PLAN_TEXT];
    bool goes_on, is_known = false;

    if (!plan_init(&k.plan, seed, without)) {
        fprintf(stderr, "%s: not a list: %s\n", program, without);
        return 2;
    }
    try_plan(&k, &k.plan, &out);
    if (out.held) {
        printf("seed %" PRIu64 " holds\n", seed);
        return 0;
    }
    signature(out.failure, k.signature);
    for (size_t part = 0; part < PLAN_PARTS; part++)
        is_known = is_known || out.used[part] > 0;
    do {
        goes_on = false;
        for (size_t part = 0; part < PLAN_PARTS; part++)
            goes_on = shrink_part(&k, part, is_known ? out.used[part] : PLAN_UNKNOWN) || goes_on;
    } while (goes_on);
    plan_text(&k.plan, text);
    (void)one(h, &(struct item){ seed, text }, LOG_INFO);       /* it fails, as the last try did */
    printf("shrunk in %u tries; for the list:\n%" PRIu64 " -%s %s\n", k.tries, seed, text, k.signature);
    return 1;
}

struct orders {
    unsigned jobs;
    const char *without;
    uint64_t first, last, twice_until;  /* seeds before the last are run twice */
    const char *list;
};

static int
many(const struct history *h, const char *program, const struct orders *o)
{
    struct tally t = { .h = h, .program = program, .jobs = o->jobs };
    double start = seconds(), took;

    if (o->list != NULL && !run_list(&t, o->list))
        return 1;
    if (o->twice_until > o->first)
        run_range(&t, o->first, o->twice_until - 1, true);
    run_range(&t, o->twice_until > o->first ? o->twice_until : o->first, o->last, false);
    took = seconds() - start;
    for (unsigned i = 0; i < SIM_HAPPENINGS; i++)
        printf("%s%" PRIu64 " %s", i > 0 ? ", " : "", t.happened[i], sim_happenings[i]);
    (void)putchar('\n');       /* to stdout; the next printf tells */
    printf("%" PRIu64 " histories in %.1f s (%.1f a second; %.0f simulated s, %.1f M switch points), %" PRIu64 " failed\n",
           t.runs, took, (double)t.runs / took, (double)t.simulated_us / 1e6, (double)t.steps / 1e6, t.failed);
    return t.failed == 0 ? 0 : 1;
}

static int
usage(const char *program)
{
    fprintf(stderr, "usage: %s [--debug] [--without LIST] SEED\n       %s --shrink SEED\n       %s [--jobs N] [--list | --seeds A-B | --twice A-B]\n", program, program, program);
    return 2;
}

int
histories_main(int argc, char **argv, const struct history *h)
{
    enum log_level level = LOG_INFO;
    struct orders o = { .jobs = 1, .first = h->first_seed, .last = h->last_seed, .twice_until = h->first_seed + 10, .list = h->list };
    const char *program = argv[0];
    uint64_t seed = 0;
    char end;

    sim_sqlite_set_up();
    for (argc--, argv++; argc > 0; argc--, argv++) {
        if (strcmp(argv[0], "--debug") == 0) {
            level = LOG_DEBUG;
        } else if (argc == 1 && sscanf(argv[0], "%" SCNu64 "%c", &seed, &end) == 1) {
            return one(h, &(struct item){ seed, o.without }, level);
        } else if (argc == 2 && strcmp(argv[0], "--shrink") == 0 && sscanf(argv[1], "%" SCNu64 "%c", &seed, &end) == 1) {
            return shrink(h, program, seed, o.without);
        } else if (argc > 1 && strcmp(argv[0], "--without") == 0) {
            o.without = argv[1];
            argc--, argv++;
        } else if (strcmp(argv[0], "--list") == 0) {
            o.first = 1;
            o.last = o.twice_until = 0;
        } else if (argc > 1 && strcmp(argv[0], "--jobs") == 0 && sscanf(argv[1], "%u%c", &o.jobs, &end) == 1 &&
                   o.jobs >= 1 && o.jobs <= JOBS_MAX) {
            argc--, argv++;
        } else if (argc > 1 && (strcmp(argv[0], "--seeds") == 0 || strcmp(argv[0], "--twice") == 0) &&
                   sscanf(argv[1], "%" SCNu64 "-%" SCNu64 "%c", &o.first, &o.last, &end) == 2 && o.first > 0) {
            o.twice_until = strcmp(argv[0], "--twice") == 0 ? o.last + 1 : o.first;
            o.list = NULL;
            argc--, argv++;
        } else {
            return usage(program);
        }
    }
    return many(h, program, &o);
}
