#include "tests/sim/histories.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a child tells its parent. */
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

/* The history in a child, so that an abort in it is one failed seed. */
static struct outcome
in_child(const struct history *h, uint64_t seed)
{
    struct outcome out = { .held = false };
    int pipes[2], status = 0;
    pid_t pid;
    ssize_t n;

    if (pipe(pipes) != 0 || (pid = fork()) < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        (void)close(pipes[0]);      /* the parent's */
        (void)alarm(h->child_s);    /* nothing was set before */
        (void)history_run(h, seed, NULL, LOG_INFO, &out);       /* the outcome says it too */
        _exit(write(pipes[1], &out, sizeof out) == (ssize_t)sizeof out ? 0 : 1);
    }
    (void)close(pipes[1]);          /* the child's */
    do
        n = read(pipes[0], &out, sizeof out);
    while (n < 0 && errno == EINTR);
    (void)close(pipes[0]);          /* was only read */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof out || status != 0) {
        out.held = false;
        (void)snprintf(out.failure, sizeof out.failure, "the child ended with %s %d",
                       WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    return out;
}

static double
seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);   /* cannot fail */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct tally {
    uint64_t runs, failed, steps, simulated_us;
};

static void
run_one(const struct history *h, const char *program, uint64_t seed, bool is_twice, struct tally *t)
{
    struct outcome out = in_child(h, seed), again;

    t->runs++;
    t->simulated_us += out.simulated_us;
    t->steps += out.steps;
    if (out.held && is_twice) {
        again = in_child(h, seed);
        t->runs++;
        if (again.fingerprint != out.fingerprint) {
            out.held = false;
            (void)snprintf(out.failure, sizeof out.failure, "two runs differ: %016" PRIx64 ", %016" PRIx64,
                           out.fingerprint, again.fingerprint);
        }
    }
    if (out.held)
        return;
    t->failed++;
    printf("seed %" PRIu64 " FAILED: %s\n    replay: %s %" PRIu64 "\n", seed, out.failure, program, seed);
    (void)fflush(stdout);       /* somebody may be watching */
}

/* The seeds that once found something: a number first on each line, then what it found. */
static bool
run_list(const struct history *h, const char *program, const char *path, struct tally *t)
{
    FILE *f = fopen(path, "r");
    char line[512];
    uint64_t seed;

    if (f == NULL) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%" SCNu64, &seed) == 1)
            run_one(h, program, seed, false, t);
    (void)fclose(f);            /* was only read */
    return true;
}

static int
many(const struct history *h, const char *program, uint64_t first, uint64_t last, uint64_t twice_until, const char *list)
{
    struct tally t = { 0 };
    double start = seconds(), took;

    if (list != NULL && !run_list(h, program, list, &t))
        return 1;
    for (uint64_t seed = first; seed <= last; seed++)
        run_one(h, program, seed, seed < twice_until, &t);
    took = seconds() - start;
    printf("%" PRIu64 " histories in %.1f s (%.1f a second; %.0f simulated s, %.1f M switch points), %" PRIu64 " failed\n",
           t.runs, took, (double)t.runs / took, (double)t.simulated_us / 1e6, (double)t.steps / 1e6, t.failed);
    return t.failed == 0 ? 0 : 1;
}

static int
usage(const char *program)
{
    fprintf(stderr, "usage: %s [--debug] [SEED | --seeds A-B | --twice A-B]\n", program);
    return 2;
}

int
histories_main(int argc, char **argv, const struct history *h)
{
    enum log_level level = LOG_INFO;
    uint64_t a = 0, b = 0;
    const char *program = argv[0];
    char end;

    sim_sqlite_set_up();
    if (argc > 1 && strcmp(argv[1], "--debug") == 0) {
        level = LOG_DEBUG;
        argc--;
        argv++;
    }
    if (argc == 1)
        return many(h, program, h->first_seed, h->last_seed, h->first_seed + 10, h->list);
    if (argc == 2 && sscanf(argv[1], "%" SCNu64 "%c", &a, &end) == 1)
        return one(h, a, level);
    if (argc == 3 && sscanf(argv[2], "%" SCNu64 "-%" SCNu64 "%c", &a, &b, &end) == 2) {
        if (strcmp(argv[1], "--seeds") == 0)
            return many(h, program, a, b, a, NULL);
        if (strcmp(argv[1], "--twice") == 0)
            return many(h, program, a, b, b + 1, NULL);
    }
    return usage(program);
}
