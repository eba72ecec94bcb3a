/* A job that does what -D how= says, to see what becomes of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mr.h"

static int is(const char *how, const char *what)
{
    return strcmp(how, what) == 0;
}

static void sleep_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
}

static void *thread(void *arg)
{
    *(int *)arg = 42;
    return arg;
}

/* Each line says whether the sandbox let something through. */
static void try_everything(struct mr_task *t)
{
    const char *secret = mr_option(t, "secret", "/etc/shadow");
    pthread_t id;
    int got = 0;

    fprintf(stderr, "fork %s\n", fork() < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "socket %s\n", socket(AF_INET, SOCK_STREAM, 0) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "unix-socket %s\n", socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "read %s\n", open(secret, O_RDONLY) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "passwd %s\n", open("/etc/passwd", O_RDONLY) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "write-tmp %s\n", open("/tmp/escaped", O_WRONLY | O_CREAT, 0644) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "write-usr %s\n", open("/usr/escaped", O_WRONLY | O_CREAT, 0644) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "exec %s\n", execl("/bin/true", "true", (char *)NULL) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "kill %s\n", kill(getppid() ? getppid() : 1, SIGKILL) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "ptrace %s\n", ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "setuid %s\n", setuid(0) < 0 ? "refused" : "ALLOWED");
    fprintf(stderr, "thread %s\n",
            pthread_create(&id, NULL, thread, &got) == 0 && pthread_join(id, NULL) == 0 && got == 42 ? "works" : "BROKEN");
}

static void misbehave(struct mr_task *t, const char *how)
{
    if (is(how, "segv"))
        raise(SIGSEGV), *(volatile int *)0 = 1;
    else if (is(how, "abort"))
        abort();
    else if (is(how, "exit"))
        exit(3);
    else if (is(how, "fail"))
        mr_fail(t, "this input is not right");
    else if (is(how, "loop"))
        for (;;)
            __asm__ volatile("");
    else if (is(how, "memory"))
        for (char *p; (p = malloc(1 << 20)) != NULL || (abort(), 0);)
            memset(p, 1, 1 << 20);
    else if (is(how, "print"))
        for (int i = 0; i < 400000; i++)
            puts("much ado about nothing, and then more of the same");
    else if (is(how, "escape"))
        try_everything(t);
}

static void map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    const char *how = mr_option(t, "how", "");

    if (!t->state) {
        t->state = (void *)1;
        fprintf(stderr, "about to %s, map %u attempt %u\n", how, mr_number(t, MR_TASK_INDEX), mr_number(t, MR_ATTEMPT));
        if (!is(mr_option(t, "when", "always"), "first") || mr_number(t, MR_ATTEMPT) == 0)
            misbehave(t, how);
        sleep_ms(strtol(mr_option(t, "sleep.ms", "0"), NULL, 10));
    }
    for (size_t i = 0; i < n; i++) {
        const char *p = rec[i].value, *end = p + rec[i].value_len;
        struct mr_bytes w;

        while (mr_word(&p, end, &w))
            mr_emit_i64(t, w.p, w.n, 1);
    }
    mr_count(t, "lines.seen", (int64_t)n);
}

static void reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    int64_t sum = 0, v;
    char text[32];

    if (!t->state) {
        t->state = (void *)1;
        sleep_ms(strtol(mr_option(t, "reduce.sleep.ms", "0"), NULL, 10));
    }
    while (mr_next_i64(t, values, &v))
        sum += v;
    mr_emit(t, key.p, key.n, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)sum));
}

static void setup(struct mr_task *t)
{
    t->state = NULL;
}

MR_JOB(.map = map, .reduce = reduce, .setup = setup, .fold = MR_FOLD_SUM_I64)
