#include "tasktracker/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/proto/task.pb-c.h"
#include "tasktracker/chan.h"
#include "tasktracker/worker.h"

#define WARM_MAX 64
#define SEND_SECONDS 5
#define REFILL_MS 20                /* after a worker was taken, unless one has ended before or none is left */
#define REFILL_AGAIN_MS 1000
#define SLOTS 256                   /* uids in the root tier */

/* What a warden tells of its worker: one write, so that who has read the status does not wait for the rest. */
struct worker_end {
    int status;                     /* as of wait */
    uint32_t peak_kb;
};

struct warm {
    struct launched w;
    pid_t warden;
};

struct helper {
    struct sandbox box;
    int sock, signals;
    struct warm warm[WARM_MAX];
    unsigned warm_count, warm_max;
    uint64_t refill_ms;             /* mono: not before */
    pid_t slots[SLOTS];             /* warden that has the slot, 0 free */
};

/* ---- in the warden and the worker ---- */

static void
reset_signals(void)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    sigset_t none;

    /* A sanitizer catches these; a job's crash is to show as what it is. */
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
        (void)signal(deadly[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Keep only these two, as 3 and 4; standard streams lead nowhere. */
static void
keep_fds(int a, int b)
{
    int null = open("/dev/null", O_RDWR), high_a = fcntl(a, F_DUPFD, 100), high_b = fcntl(b, F_DUPFD, 100);

    for (int i = 0; i < 3; i++)
        (void)dup2(null, i);
    (void)dup2(high_a, 3);
    (void)dup2(high_b, 4);
    (void)syscall(SYS_close_range, 5U, ~0U, 0U);
}

static void
run_worker(const struct sandbox *box, unsigned slot)
{
    struct why why;

    (void)close(4);
    if (sandbox_lock(box, slot, &why) != RC_OK)
        worker_refuse(pipes_posix(), 3, &why);
    else
        worker_run(3);
    _exit(0);
}

/* The warden: pid 1 of its namespaces where there are some. */
static void
run_warden(const struct helper *h, unsigned slot, int sock, int status_pipe)
{
    const struct sandbox box = h->box;
    struct why why;
    struct worker_end end = { .status = 0 };
    struct rusage used;
    pid_t worker;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    keep_fds(sock, status_pipe);
    reset_signals();
    if (sandbox_enter(&box, &why) != RC_OK) {
        worker_refuse(pipes_posix(), 3, &why);
        _exit(1);
    }
    if ((worker = fork()) == 0)
        run_worker(&box, slot);
    (void)close(3);
    if (worker < 0)
        _exit(1);
    memset(&used, 0, sizeof used);
    while (wait4(worker, &end.status, 0, &used) < 0 && errno == EINTR)
        continue;
    end.peak_kb = (uint32_t)used.ru_maxrss;
    while (write(4, &end, sizeof end) < 0 && errno == EINTR)
        continue;
    _exit(0);
}

/* ---- in the launcher ---- */

static void
let_go(struct launched *w)
{
    int *fds[] = { &w->sock, &w->warden, &w->status };

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);       /* read to its end, or not wanted */
        *fds[i] = -1;
    }
}

static enum rc
start_one(struct helper *h, struct warm *ret, struct why *why)
{
    int socks[2] = { -1, -1 }, pipes[2] = { -1, -1 };
    unsigned slot = 0;
    pid_t pid;
    enum rc rc;

    while (slot < SLOTS && h->slots[slot] != 0)
        slot++;
    if (slot == SLOTS)
        return why_set(why, RC_BUSY, "%d workers run already", SLOTS);
    if ((rc = pipes_pair(pipes_posix(), PIPES_PACKETS, socks, why)) != RC_OK)
        return rc;
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        rc = why_errno(why, errno, "pipe");
        goto out;
    }
    if ((pid = sandbox_fork(&h->box)) < 0) {
        rc = why_errno(why, errno, "cannot start a worker");
        goto out;
    }
    if (pid == 0) {
        run_warden(h, slot, socks[1], pipes[1]);
        _exit(1);
    }
    h->slots[slot] = pid;
    ret->warden = pid;
    ret->w = (struct launched){ socks[0], (int)syscall(SYS_pidfd_open, pid, 0), pipes[0] };
    (void)close(socks[1]);
    (void)close(pipes[1]);
    if (ret->w.warden < 0) {
        rc = why_errno(why, errno, "pidfd_open");
        (void)kill(pid, SIGKILL);       /* reaped with the others */
        let_go(&ret->w);
        return rc;
    }
    return RC_OK;
out:
    for (int i = 0; i < 2; i++) {
        if (socks[i] >= 0)
            (void)close(socks[i]);
        if (pipes[i] >= 0)
            (void)close(pipes[i]);
    }
    return rc;
}

static uint64_t
mono_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/*
 * How long to wait before the next refill; -1: none is missing.  A new worker's namespaces take more time than a short
 * attempt, which has just begun: so they are made when it is over, or runs for longer.
 */
static int
refill_wait(const struct helper *h)
{
    uint64_t now = mono_ms();

    if (h->warm_count >= h->warm_max)
        return -1;
    return now >= h->refill_ms ? 0 : (int)(h->refill_ms - now);
}

static void
refill(struct helper *h)
{
    struct why why;

    while (refill_wait(h) == 0)
        if (start_one(h, &h->warm[h->warm_count], &why) == RC_OK)
            h->warm_count++;
        else
            h->refill_ms = mono_ms() + REFILL_AGAIN_MS;     /* who asks for one is told why */
}

static void
reap(struct helper *h)
{
    struct signalfd_siginfo info;
    pid_t pid;

    while (read(h->signals, &info, sizeof info) == (ssize_t)sizeof info)
        continue;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        h->refill_ms = 0;
        for (unsigned i = 0; i < SLOTS; i++)
            if (h->slots[i] == pid)
                h->slots[i] = 0;
        for (unsigned i = 0; i < h->warm_count; i++)
            if (h->warm[i].warden == pid) {
                let_go(&h->warm[i].w);
                h->warm[i] = h->warm[--h->warm_count];
                break;
            }
    }
}

static enum rc
reply(struct helper *h, enum rc rc, const char *text, const struct launched *w, struct why *why)
{
    LaunchReply m = LAUNCH_REPLY__INIT;
    int fds[3] = { -1, -1, -1 };

    m.rc = (uint32_t)rc;
    m.text = (char *)text;
    m.has_plain = true;
    m.plain = h->box.tier == TIER_PLAIN;
    if (w != NULL) {
        fds[0] = w->sock;
        fds[1] = w->warden;
        fds[2] = w->status;
    }
    return chan_send(pipes_posix(), h->sock, &m.base, fds, w != NULL ? 3 : 0, why);
}

/* The tracker asks for a worker; false when it is gone. */
static bool
serve(struct helper *h)
{
    ProtobufCMessage *m;
    int fds[CHAN_FDS];
    size_t n;
    struct warm one;
    struct why why;
    enum rc rc = RC_OK;

    if (chan_receive(pipes_posix(), h->sock, &launch_request__descriptor, &m, fds, &n, &why) != RC_OK)
        return false;
    chan_free(m);
    if (h->warm_count > 0)
        one = h->warm[--h->warm_count];
    else
        rc = start_one(h, &one, &why);
    h->refill_ms = h->warm_count > 0 ? mono_ms() + REFILL_MS : 0;
    if (rc != RC_OK)
        return reply(h, rc, why.text, NULL, &why) == RC_OK;
    rc = reply(h, RC_OK, "", &one.w, &why);
    let_go(&one.w);             /* the tracker has them now */
    return rc == RC_OK;
}

static void
run_launcher(int sock, unsigned warm)
{
    struct helper *h = mem_zalloc(sizeof *h);
    struct pollfd fds[2];
    sigset_t children;
    struct why why;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Nothing else of the tracker's: somebody may wait for the other end of a pipe. */
    if (sock > 3)
        (void)syscall(SYS_close_range, 3U, (unsigned)sock - 1, 0U);
    (void)syscall(SYS_close_range, (unsigned)sock + 1, ~0U, 0U);
    (void)signal(SIGINT, SIG_IGN);      /* the tracker decides when to end */
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    if (h == NULL)
        _exit(1);
    h->sock = sock;
    h->warm_max = warm < WARM_MAX ? warm : WARM_MAX;
    sandbox_probe(&h->box);
    sandbox_share(&h->box);
    (void)sigemptyset(&children);
    (void)sigaddset(&children, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &children, NULL);
    if ((h->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK)) < 0 ||
        reply(h, RC_OK, h->box.text, NULL, &why) != RC_OK)
        _exit(1);
    refill(h);
    fds[0] = (struct pollfd){ .fd = sock, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = h->signals, .events = POLLIN };
    for (;;) {
        if (poll(fds, 2, refill_wait(h)) < 0 && errno != EINTR)
            _exit(1);
        if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && !serve(h))
            _exit(0);                   /* wardens and workers follow by their death signal */
        if (fds[1].revents & POLLIN)
            reap(h);
        refill(h);
    }
}

/* ---- in the tracker ---- */

static enum rc
take_reply(struct launcher *l, struct launched *ret, LaunchReply **ret_reply, struct why *why)
{
    ProtobufCMessage *m;
    int fds[CHAN_FDS];
    size_t n = 0;
    enum rc rc;

    if ((rc = chan_receive(l->crew.pipes, l->sock, &launch_reply__descriptor, &m, fds, &n, why)) != RC_OK)
        return why_prefix(why, "the launcher of workers is gone");
    *ret_reply = (LaunchReply *)(void *)m;
    if (ret == NULL)
        return RC_OK;
    if (n == 3) {
        *ret = (struct launched){ fds[0], fds[1], fds[2] };
        return RC_OK;
    }
    for (size_t i = 0; i < n; i++)
        (void)close(fds[i]);            /* not what was asked for */
    rc = (*ret_reply)->rc != RC_OK ? (enum rc)(*ret_reply)->rc : RC_BUG;
    (void)why_set(why, rc, "no worker: %s", (*ret_reply)->text);
    chan_free(m);
    return rc;
}

static struct launcher *of_crew(struct crew *c) { return CONTAINER_OF(c, struct launcher, crew); }

static void
px_stop(struct crew *c)
{
    struct launcher *l = of_crew(c);

    (void)close(l->sock);               /* its sign to end */
    while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static enum rc
px_take(struct crew *c, struct launched *ret, struct why *why)
{
    struct launcher *l = of_crew(c);
    LaunchRequest m = LAUNCH_REQUEST__INIT;
    LaunchReply *answer = NULL;
    struct timeval patience = { .tv_sec = SEND_SECONDS };
    enum rc rc;

    if ((rc = chan_send(c->pipes, l->sock, &m.base, NULL, 0, why)) != RC_OK ||
        (rc = take_reply(l, ret, &answer, why)) != RC_OK)
        return rc;
    chan_free(&answer->base);
    /* A worker that asks and does not listen is not to hold us. */
    if (setsockopt(ret->sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0)
        return RC_OK;
    rc = why_errno(why, errno, "SO_SNDTIMEO");
    let_go(ret);
    return rc;
}

static void
px_kill(struct crew *c UNUSED, const struct launched *w)
{
    (void)syscall(SYS_pidfd_send_signal, w->warden, SIGKILL, NULL, 0U);     /* ESRCH: it has ended */
}

static bool
px_wait(struct crew *c UNUSED, const struct launched *w, int timeout_ms, int *ret_status)
{
    struct pollfd fd = { .fd = w->status, .events = POLLIN };
    int r;

    while ((r = poll(&fd, 1, timeout_ms)) < 0 && errno == EINTR)
        continue;
    return r == 1 && read(w->status, ret_status, sizeof *ret_status) == (ssize_t)sizeof *ret_status;
}

static uint64_t
px_peak(struct crew *c UNUSED, const struct launched *w)
{
    uint32_t kb;

    return read(w->status, &kb, sizeof kb) == (ssize_t)sizeof kb ? (uint64_t)kb * KB : 0;
}

static void px_close(struct crew *c UNUSED, struct launched *w) { let_go(w); }

static const struct crew_ops px_ops = { .take = px_take, .kill = px_kill, .wait = px_wait, .close = px_close, .stop = px_stop,
                                        .peak = px_peak };

enum rc
launcher_start(unsigned warm, struct launcher *ret, struct why *why)
{
    LaunchReply *first = NULL;
    int socks[2];
    enum rc rc;

    if ((rc = pipes_pair(pipes_posix(), PIPES_PACKETS, socks, why)) != RC_OK)
        return rc;
    memset(ret, 0, sizeof *ret);
    ret->crew = (struct crew){ .ops = &px_ops, .pipes = pipes_posix(), .text = ret->text };
    if ((ret->pid = fork()) < 0) {
        rc = why_errno(why, errno, "fork");
        (void)close(socks[0]);
        (void)close(socks[1]);
        return rc;
    }
    if (ret->pid == 0) {
        (void)close(socks[0]);
        run_launcher(socks[1], warm);
        _exit(0);
    }
    (void)close(socks[1]);
    ret->sock = socks[0];
    if ((rc = take_reply(ret, NULL, &first, why)) != RC_OK) {
        (void)close(ret->sock);
        return rc;
    }
    (void)snprintf(ret->text, sizeof ret->text, "%s", first->text);
    ret->crew.plain = first->plain;
    chan_free(&first->base);
    return RC_OK;
}
