/* A job that does what -D how= says, and does it in earnest: its code is written against the tracker and its machine. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mr.h"

#ifdef IN_CONSTRUCTOR
__attribute__((constructor)) static void leave(void)
{
    fprintf(stderr, "about to leave before anything begins\n");
    _exit(7);
}
#endif

#define FOREVER for (;;)

static void said(const char *what, int ok)
{
    fprintf(stderr, "%s %s\n", what, ok ? "ALLOWED" : "refused");
}

/* From now on it has no right to go on: the test measures from here. */
static void over(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(stderr, "over at %lld.%03ld\n", (long long)now.tv_sec, now.tv_nsec / 1000000);
}

static void *loop(void *arg)
{
    FOREVER
        pause();
    return arg;
}

static void leak(void)
{
    FOREVER {
        char *p = malloc(1 << 20);

        if (!p) {
            over();
            abort();
        }
        memset(p, 1, 1 << 20);
    }
}

/* Threads until there are no more, then processes. */
static void bomb(void)
{
    pthread_attr_t small;
    pthread_t id;
    int n = 0, forks = 0;

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    while (n < 100000 && pthread_create(&id, &small, loop, NULL) == 0)
        n++;
    for (int i = 0; i < 1000; i++)
        forks += fork() >= 0;
    fprintf(stderr, "%d threads, %d processes\n", n, forks);
    said("bomb", n >= 5000 || forks > 0);
    FOREVER
        pause();
}

static void overrun(void)
{
    char *p = malloc(64);

    for (size_t i = 0; i < (1 << 24); i++)
        ((volatile char *)p)[i] = 'x';
    free(p);
    abort();
}

static void close_everything(void)
{
    for (int fd = 0; fd < 70000; fd++)
        close(fd);
    FOREVER
        pause();
}

/* Its warden, the tracker, everybody. */
static void kill_others(void)
{
    struct f_owner_ex owner = { F_OWNER_PID, getppid() };
    int pids[] = { getppid(), 1, -1, 0 };

    for (int i = 0; i < 4; i++) {
        said("kill", kill(pids[i], SIGKILL) == 0);
        said("tgkill", syscall(SYS_tgkill, pids[i], pids[i], SIGKILL) == 0);
        said("tkill", syscall(SYS_tkill, pids[i], SIGKILL) == 0);
    }
    for (int pid = 2; pid < 100000; pid++)
        if (pid != getpid() && syscall(SYS_tgkill, pid, pid, SIGKILL) == 0)
            said("tgkill of another", 1);
    said("set-owner", fcntl(3, F_SETOWN, getppid()) == 0 || fcntl(3, F_SETOWN_EX, &owner) == 0);
    said("set-signal", fcntl(3, F_SETSIG, SIGKILL) == 0);
    FOREVER
        pause();
}

/* Ask for a file as the worker does (docs/formats/task.md): its descriptor, -1 when there is none. */
static int ask_for_a_file(void)
{
    char question[] = { 0, 0x08, 0x02 }, answer[4096], room[256];
    struct iovec iov = { answer, sizeof answer };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
    struct cmsghdr *c;
    int fd = -1;

    if (send(3, question, sizeof question, 0) < 0 || recvmsg(3, &msg, 0) <= 0)
        abort();
    if ((c = CMSG_FIRSTHDR(&msg)) != NULL)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static char piece[1 << 16];
static size_t disk_bytes;               /* that it may write */

static void write_a_piece(int fd, size_t *written)
{
    if (fd < 0 || write(fd, piece, sizeof piece) < 0) {
        fprintf(stderr, "write: %s\n", strerror(errno));
        abort();
    }
    *written += sizeof piece;
    if (*written > disk_bytes && *written - sizeof piece <= disk_bytes)
        over();
}

static void fill_disk(void)
{
    size_t written = 0;
    int fd = ask_for_a_file();

    FOREVER
        write_a_piece(fd, &written);
}

/* The same with many files, each within the limit of one. */
static void fill_disk_slowly(void)
{
    size_t written = 0;

    FOREVER
        write_a_piece(ask_for_a_file(), &written);
}

static void sockets(void)
{
    said("inet", socket(AF_INET, SOCK_STREAM, 0) >= 0);
    said("inet6", socket(AF_INET6, SOCK_DGRAM, 0) >= 0);
    said("unix", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    said("netlink", socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
    abort();
}

/* Files, empty ones, without end. */
static void open_files(void)
{
    for (int n = 0;; n++) {
        if (n == 1000)
            over();
        close(ask_for_a_file());
    }
}

/* Questions without listening to the answers. */
static void deaf(void)
{
    char question[] = { 0, 0x08, 0x02 };

    FOREVER
        if (send(3, question, sizeof question, 0) < 0)
            abort();
}

/* What is no message at all. */
static void babble(void)
{
    char noise[4096];

    memset(noise, 0xff, sizeof noise);
    noise[0] = 0;
    (void)!send(3, noise, sizeof noise, 0);
    FOREVER
        pause();
}

static void crash(void) { volatile int *volatile nowhere = NULL; *nowhere = 1; }
static void spin(void) { FOREVER __asm__ volatile(""); }
static void stop(void) { raise(SIGSTOP); FOREVER pause(); }

static const struct { const char *name; void (*fn)(void); } deeds[] = {
    { "crash", crash }, { "spin", spin }, { "stop", stop }, { "leak", leak }, { "bomb", bomb }, { "overrun", overrun },
    { "close", close_everything }, { "kill", kill_others }, { "disk", fill_disk }, { "files", fill_disk_slowly },
    { "open", open_files },
    { "sockets", sockets }, { "deaf", deaf }, { "babble", babble },
};

static void map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    const char *how = mr_option(t, "how", "");

    fprintf(stderr, "about to %s\n", how);
    over();
    disk_bytes = (size_t)strtoull(mr_option(t, "disk.bytes", "0"), NULL, 10);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        if (strcmp(deeds[i].name, how) == 0)
            deeds[i].fn();
    for (size_t i = 0; i < n; i++)
        mr_emit_i64(t, rec[i].value, rec[i].value_len, 1);
}

MR_JOB(.map = map, .fold = MR_FOLD_SUM_I64)
