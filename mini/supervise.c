#include "mini/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"

#define READY_MS    30000
#define STOP_MS     10000
#define RESTART_MS  1000
#define READY_FD    3

struct supervisor {
    struct cluster *c;
    const struct supervise_options *o;
    char bin[PATH_MAX];
    int control_fd, signal_fd;
    int parent_fd;              /* of the process that waits for --detach; -1 */
    sigset_t caught;
    bool stopping;
};

static uint64_t
now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* In the child: become the daemon. */
static void
exec_daemon(struct supervisor *s, const struct member *m, int ready_fd)
{
    char program[PATH_MAX + 32], conf[PATH_MAX], log[PATH_MAX], number[8];
    struct why why;
    int fd;

    (void)setsid();     /* Ctrl-C is for the supervisor, which stops daemons in order */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigprocmask(SIG_UNBLOCK, &s->caught, NULL);
    snprintf(program, sizeof program, "%s/%s", s->bin, member_program(m->kind));
    snprintf(number, sizeof number, "%d", READY_FD);
    if (cluster_path(s->c, conf, sizeof conf, &why, "conf/%s.conf", m->name) != RC_OK ||
        cluster_path(s->c, log, sizeof log, &why, "log/%s.log", m->name) != RC_OK)
        _exit(127);
    if ((fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644)) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    if ((fd = open("/dev/null", O_RDONLY)) < 0 || dup2(fd, 0) < 0)
        _exit(127);
    if (ready_fd != READY_FD && (dup2(ready_fd, READY_FD) < 0))
        _exit(127);
    (void)fcntl(READY_FD, F_SETFD, 0);
    execl(program, member_program(m->kind), "--config", conf, "--ready-fd", number, (char *)NULL);
    dprintf(2, "error exec program=%s: %s\n", program, strerror(errno));
    _exit(127);
}

/* The last line of the daemon's log, to explain why it did not start. */
static void
last_words(struct supervisor *s, const struct member *m, char *out, size_t cap)
{
    char path[PATH_MAX], tail[4096];
    ssize_t n = 0;
    char *line;
    int fd;

    snprintf(out, cap, "no message");
    if (cluster_path(s->c, path, sizeof path, NULL, "log/%s.log", m->name) != RC_OK || (fd = open(path, O_RDONLY)) < 0)
        return;
    if (lseek(fd, -(off_t)(sizeof tail - 1), SEEK_END) < 0)
        (void)lseek(fd, 0, SEEK_SET);
    n = read(fd, tail, sizeof tail - 1);
    (void)close(fd);
    if (n <= 0)
        return;
    while (n && tail[n - 1] == '\n')
        n--;
    tail[n] = 0;
    line = strrchr(tail, '\n');
    snprintf(out, cap, "%s", line ? line + 1 : tail);
}

static enum rc
spawn(struct supervisor *s, struct member *m, bool free_ports, int *ret_ready_fd, struct why *why)
{
    int fds[2];
    pid_t pid;
    enum rc rc;

    if ((rc = cluster_configure(s->c, m, free_ports, why)) != RC_OK)
        return rc;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return why_errno(why, errno, "pipe");
    if ((pid = fork()) < 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return why_errno(why, errno, "fork");
    }
    if (pid == 0)
        exec_daemon(s, m, fds[1]);
    (void)close(fds[1]);
    m->pid = pid;
    m->state = MEMBER_STARTING;
    *ret_ready_fd = fds[0];
    return RC_OK;
}

/* Read the line that a daemon writes when it serves; an end without one means that it died. */
static enum rc
await_ready(struct supervisor *s, struct member *m, int fd, struct why *why)
{
    char line[1024], words[1024];
    size_t n = 0;
    uint64_t end = now_ms() + READY_MS;
    json_t *j;
    int status = 0;

    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        uint64_t now = now_ms();
        ssize_t k;

        if (now >= end || poll(&p, 1, (int)(end - now)) == 0)
            break;
        if ((k = read(fd, line + n, sizeof line - 1 - n)) < 0 && errno == EINTR)
            continue;
        if (k <= 0 || (n += (size_t)k) == sizeof line - 1 || line[n - 1] == '\n')
            break;      /* the line is what counts: a child of the daemon may keep the pipe open */
    }
    (void)close(fd);
    line[n] = 0;
    if ((j = json_loads(line, 0, NULL)) != NULL) {
        snprintf(m->address.rpc, sizeof m->address.rpc, "%s", json_string_value(json_object_get(j, "rpc")));
        snprintf(m->address.http, sizeof m->address.http, "%s", json_string_value(json_object_get(j, "http")));
        json_decref(j);
        m->state = MEMBER_RUNNING;
        return RC_OK;
    }
    (void)kill(m->pid, SIGKILL);
    (void)waitpid(m->pid, &status, 0);
    m->pid = 0;
    m->state = MEMBER_DIED;
    m->exit_status = status;
    last_words(s, m, words, sizeof words);
    return why_set(why, RC_IO, "%s did not start (log %s/log/%s.log): %s", m->name, s->c->dir, m->name, words);
}

/* Start one daemon and wait until it serves; if its last ports are taken, on free ones. */
static enum rc
start_member(struct supervisor *s, struct member *m, struct why *why)
{
    enum rc rc = RC_OK;
    int fd = -1;

    for (int round = 0; round < 2; round++) {
        if ((rc = spawn(s, m, round > 0, &fd, why)) != RC_OK || (rc = await_ready(s, m, fd, why)) == RC_OK)
            break;
        if (strstr(why->text, "in use") == NULL)
            break;
    }
    return rc;
}

/* Start several that do not need each other at the same time. */
static enum rc
start_kind(struct supervisor *s, enum member_kind kind, struct why *why)
{
    int fds[NODES_MAX + 1];
    size_t n = 0;
    enum rc rc = RC_OK;
    struct why first;

    for (size_t i = 0; i < s->c->member_count; i++)
        if (s->c->members[i].kind == kind && rc == RC_OK)
            rc = spawn(s, &s->c->members[i], false, &fds[n++], why);
    n = 0;
    for (size_t i = 0; i < s->c->member_count && rc == RC_OK; i++) {
        struct member *m = &s->c->members[i];

        if (m->kind != kind)
            continue;
        if (await_ready(s, m, fds[n++], &first) == RC_OK)
            continue;
        if (strstr(first.text, "in use") != NULL)
            rc = start_member(s, m, why);
        else
            rc = why_set(why, first.rc, "%s", first.text);
    }
    return rc;
}

static void
stop_member(struct supervisor *s, struct member *m)
{
    uint64_t end = now_ms() + STOP_MS;
    int status;

    (void)s;
    if (m->pid == 0)
        return;
    (void)kill(m->pid, SIGTERM);
    (void)kill(m->pid, SIGCONT);
    while (waitpid(m->pid, &status, WNOHANG) == 0) {
        struct timespec tick = { 0, 5000000 };

        if (now_ms() >= end)
            (void)kill(m->pid, SIGKILL);
        (void)nanosleep(&tick, NULL);
    }
    m->pid = 0;
    m->state = MEMBER_STOPPED;
}

static void
stop_all(struct supervisor *s)
{
    s->stopping = true;
    for (size_t i = s->c->member_count; i-- > 0;)
        stop_member(s, &s->c->members[i]);
}

static enum rc
start_all(struct supervisor *s, struct why *why)
{
    enum rc rc;

    if ((rc = start_kind(s, MEMBER_NN, why)) != RC_OK || (rc = start_kind(s, MEMBER_DN, why)) != RC_OK ||
        (rc = start_kind(s, MEMBER_JT, why)) != RC_OK || (rc = start_kind(s, MEMBER_TT, why)) != RC_OK ||
        (rc = cluster_save(s->c, why)) != RC_OK || (rc = cluster_configure_clients(s->c, why)) != RC_OK)
        return rc;
    return cluster_wait_ready(s->c, READY_MS, why);
}

/* Children that ended by themselves. */
static void
reap(struct supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < s->c->member_count; i++) {
            struct member *m = &s->c->members[i];
            char words[1024];

            if (m->pid != pid)
                continue;
            m->pid = 0;
            m->state = MEMBER_DIED;
            m->exit_status = status;
            last_words(s, m, words, sizeof words);
            if (WIFSIGNALED(status))
                fprintf(stderr, "millrace: %s died by signal %d (%s)%s\n", m->name, WTERMSIG(status),
                        strsignal(WTERMSIG(status)), s->o->restart ? "; starting it again" : "");
            else
                fprintf(stderr, "millrace: %s ended with status %d: %s%s\n", m->name, WEXITSTATUS(status), words,
                        s->o->restart ? "; starting it again" : "");
        }
}

static void
restart_dead(struct supervisor *s)
{
    struct why why;

    for (size_t i = 0; i < s->c->member_count; i++) {
        struct member *m = &s->c->members[i];

        if (m->state == MEMBER_DIED && start_member(s, m, &why) != RC_OK)
            fprintf(stderr, "millrace: %s\n", why.text);
    }
}

static json_t *
describe(const struct member *m)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "name", m->name, "state", member_state_name(m->state), "rpc",
                          m->address.rpc, "http", m->address.http);

    json_object_set_new(j, "pid", m->pid ? json_integer(m->pid) : json_null());
    return j;
}

/* One request of the control socket.  Returns the answer. */
static json_t *
handle(struct supervisor *s, const char *line)
{
    struct why why;
    struct member *m;
    json_t *list;

    if (strcmp(line, "ps") == 0) {
        list = json_array();
        for (size_t i = 0; i < s->c->member_count; i++)
            json_array_append_new(list, describe(&s->c->members[i]));
        return list;
    }
    if (strcmp(line, "stop") == 0) {
        stop_all(s);
        return json_object();
    }
    if (strncmp(line, "stop ", 5) == 0 && (m = cluster_find(s->c, line + 5)) != NULL) {
        stop_member(s, m);
        m->state = MEMBER_STOPPED;
        return json_object();
    }
    if (strncmp(line, "start ", 6) == 0 && (m = cluster_find(s->c, line + 6)) != NULL) {
        if (m->pid)
            return json_pack("{s:s+}", "error", m->name, " is running already");
        if (start_member(s, m, &why) != RC_OK || cluster_save(s->c, &why) != RC_OK ||
            cluster_configure_clients(s->c, &why) != RC_OK)
            return json_pack("{s:s}", "error", why.text);
        return json_object();
    }
    return json_pack("{s:s+}", "error", line, ": no such daemon; `millrace ps` lists them");
}

static void
serve_control(struct supervisor *s)
{
    struct timeval limit = { 2, 0 };
    char line[256];
    size_t n = 0;
    int fd = accept4(s->control_fd, NULL, NULL, SOCK_CLOEXEC);
    json_t *answer;

    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (n < sizeof line - 1 && memchr(line, '\n', n) == NULL) {
        ssize_t k = read(fd, line + n, sizeof line - 1 - n);

        if (k <= 0)
            break;
        n += (size_t)k;
    }
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    answer = handle(s, line);
    if (json_dumpfd(answer, fd, JSON_COMPACT) == 0)
        dprintf(fd, "\n");
    json_decref(answer);
    (void)close(fd);
}

static void
print_ready(const struct supervisor *s)
{
    const struct member *nn = &s->c->members[0], *jt = &s->c->members[s->c->nodes + 1];
    const char *dir = s->o->shown_dir;

    printf("Millrace runs with %u node%s; everything is under %s\n\n", s->c->nodes, s->c->nodes == 1 ? "" : "s", s->c->dir);
    printf("  filesystem  hdfs://%-24s status page http://%s/\n", nn->address.rpc, nn->address.http);
    printf("  jobs               %-24s status page http://%s/\n\n", jt->address.rpc, jt->address.http);
    printf("Try next%s:\n", s->o->detach ? "" : ", in another terminal");
    printf("  eval \"$(%s/millrace env %s)\"\n", s->bin, dir);
    printf("  dfs put /etc/services /services\n");
    printf("  mr run wordcount -input /services -output /counts && dfs cat '/counts/part-*'\n\n");
    if (s->o->detach)
        printf("Stop it with: %s/millrace stop %s\n", s->bin, dir);
    else
        printf("Ctrl-C stops everything.\n");
    (void)fflush(stdout);
}

/* --detach: the caller may go; what is said from now on goes to a log. */
static void
release_parent(struct supervisor *s)
{
    char path[PATH_MAX];
    int fd, null = open("/dev/null", O_RDONLY);

    if (s->parent_fd < 0)
        return;
    if (cluster_path(s->c, path, sizeof path, NULL, "log/mini.log") == RC_OK &&
        (fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644)) >= 0) {
        (void)dup2(fd, 1);
        (void)dup2(fd, 2);
        (void)close(fd);
    }
    if (null >= 0)
        (void)dup2(null, 0);
    (void)!write(s->parent_fd, "", 1);      /* if the parent is gone, nobody waits */
    (void)close(s->parent_fd);
    s->parent_fd = -1;
}

static void
watch(struct supervisor *s)
{
    uint64_t restart_at = 0;

    while (!s->stopping) {
        struct pollfd p[2] = { { s->control_fd, POLLIN, 0 }, { s->signal_fd, POLLIN, 0 } };
        int n = poll(p, 2, s->o->restart ? RESTART_MS : -1);
        struct signalfd_siginfo info;

        if (n > 0 && (p[1].revents & POLLIN) && read(s->signal_fd, &info, sizeof info) == sizeof info) {
            if (info.ssi_signo == SIGCHLD)
                reap(s);
            else
                stop_all(s);
        }
        if (n > 0 && (p[0].revents & POLLIN))
            serve_control(s);
        if (s->o->restart && !s->stopping && now_ms() >= restart_at) {
            restart_dead(s);
            restart_at = now_ms() + RESTART_MS;
        }
    }
}

static int
run(struct supervisor *s)
{
    struct why why;

    if (bin_dir(s->bin, sizeof s->bin, &why) != RC_OK || control_listen(s->c, &s->control_fd, &why) != RC_OK) {
        fprintf(stderr, "millrace: %s\n", why.text);
        return 1;
    }
    (void)sigemptyset(&s->caught);
    (void)sigaddset(&s->caught, SIGCHLD);
    (void)sigaddset(&s->caught, SIGTERM);
    (void)sigaddset(&s->caught, SIGINT);
    (void)sigaddset(&s->caught, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &s->caught, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &s->caught, SFD_CLOEXEC);
    if (s->signal_fd < 0 || start_all(s, &why) != RC_OK) {
        stop_all(s);
        fprintf(stderr, "millrace: %s\n", s->signal_fd < 0 ? strerror(errno) : why.text);
        return 1;
    }
    print_ready(s);
    release_parent(s);
    watch(s);
    return 0;
}

int
supervise(struct cluster *c, const struct supervise_options *o)
{
    struct supervisor s = { .c = c, .o = o, .control_fd = -1, .signal_fd = -1, .parent_fd = -1 };
    char ready;
    int fds[2];
    pid_t pid;

    if (!o->detach)
        return run(&s);
    if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        fprintf(stderr, "millrace: %s\n", strerror(errno));
        return 1;
    }
    if (pid == 0) {
        (void)close(fds[0]);
        (void)setsid();
        s.parent_fd = fds[1];
        _exit(run(&s));
    }
    (void)close(fds[1]);
    return read(fds[0], &ready, 1) == 1 ? 0 : 1;    /* the end without a byte: it failed and said why */
}
