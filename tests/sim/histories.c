#include "tests/sim/histories.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64
#define BATCH 40            /* histories of one child */
#define LIST_MAX 400

/* What a child tells its parent of each history. */
struct outcome {
    bool held;
    uint64_t fingerprint, steps, simulated_us;
    char failure[1024];
};

static bool
history_run(const struct history *h, uint64_t seed, FILE *trace, enum log_level level, struct outcome *ret)
{
    struct sim_options o = h->options;
    struct sim *s;

    o.seed = seed;
    o.trace = trace;
    o.level = level;
    s = sim_new(&o);
    *ret = (struct outcome){ .held = sim_run(s, h->fn, h->arg) };
    ret->fingerprint = sim_fingerprint(s);
    ret->steps = sim_steps(s);
    ret->simulated_us = sim_now_us(s);
    (void)snprintf(ret->failure, sizeof ret->failure, "%s", sim_failure(s));
    sim_free(s);
    return ret->held;
}

static int
one(const struct history *h, uint64_t seed, enum log_level level)
{
    struct outcome out;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);     /* a crash must not lose the last lines */
    if (!history_run(h, seed, stdout, level, &out))
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

/* Seeds to run, each perhaps twice. */
struct batch {
    const uint64_t *seeds;
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
    struct history mine = *h;
    struct outcome out, again;

    /* What one history gives back the next one takes: no system calls for memory. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);       /* 0: then it is slower */
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_TOP_PAD, 16 << 20);
    mine.options.stacks = sim_stacks_new();
    for (size_t i = 0; i < b->count; i++) {
        (void)alarm(h->child_s);                    /* nothing that matters was set before */
        if (history_run(&mine, b->seeds[i], NULL, LOG_INFO, &out) && b->is_twice) {
            (void)history_run(&mine, b->seeds[i], NULL, LOG_INFO, &again);      /* only its fingerprint counts */
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
    uint64_t runs, failed, steps, simulated_us;
};

static void
tally_outcome(struct tally *t, uint64_t seed, const struct outcome *out)
{
    t->runs++;
    t->simulated_us += out->simulated_us;
    t->steps += out->steps;
    if (out->held)
        return;
    t->failed++;
    printf("seed %" PRIu64 " FAILED: %s\n    replay: %s %" PRIu64 "\n", seed, out->failure, t->program, seed);
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
        tally_outcome(t, c->batch.seeds[c->done++], &out);
    }
    c->batch.seeds += c->done;
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
        tally_outcome(t, c->batch.seeds[c->done++], &out);
    else
        child_end(t, c);
}

/* All seeds, in so many processes at once. */
static void
run_seeds(struct tally *t, struct batch all)
{
    struct child children[JOBS_MAX] = { { .pid = 0 } };
    struct pollfd polls[JOBS_MAX];
    unsigned running;

    do {
        running = 0;
        for (unsigned i = 0; i < t->jobs; i++) {
            struct child *c = &children[i];

            if (c->pid == 0 && c->batch.count == 0 && all.count > 0) {
                c->batch = (struct batch){ all.seeds, all.count < BATCH ? all.count : BATCH, all.is_twice };
                all.seeds += c->batch.count;
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
    uint64_t *seeds = calloc(count + 1, sizeof *seeds);

    if (seeds == NULL) {
        perror("seeds");
        exit(1);
    }
    for (uint64_t i = 0; i < count; i++)
        seeds[i] = first + i;
    run_seeds(t, (struct batch){ seeds, count, is_twice });
    free(seeds);
}

/* The seeds that once found something: a number first on each line, then what it found. */
static bool
run_list(struct tally *t, const char *path)
{
    FILE *f = fopen(path, "r");
    uint64_t seeds[LIST_MAX];
    char line[512];
    size_t count = 0;

    if (f == NULL) {
        perror(path);
        return false;
    }
    while (count < LIST_MAX && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%" SCNu64, &seeds[count]) == 1)
            count++;
    (void)fclose(f);            /* was only read */
    run_seeds(t, (struct batch){ seeds, count, false });
    return true;
}

struct orders {
    unsigned jobs;
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
    printf("%" PRIu64 " histories in %.1f s (%.1f a second; %.0f simulated s, %.1f M switch points), %" PRIu64 " failed\n",
           t.runs, took, (double)t.runs / took, (double)t.simulated_us / 1e6, (double)t.steps / 1e6, t.failed);
    return t.failed == 0 ? 0 : 1;
}

static int
usage(const char *program)
{
    fprintf(stderr, "usage: %s [--debug] SEED\n       %s [--jobs N] [--list | --seeds A-B | --twice A-B]\n", program, program);
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
            return one(h, seed, level);
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
