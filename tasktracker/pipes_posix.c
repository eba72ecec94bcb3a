#include "tasktracker/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"

static enum rc
px_pair(struct pipes *p UNUSED, enum pipes_kind kind, int ret[2], struct why *why)
{
    int type = kind == PIPES_PACKETS ? SOCK_SEQPACKET : SOCK_STREAM;

    if (kind == PIPES_PACKETS || kind == PIPES_STREAM)
        return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret) == 0 ? RC_OK : why_errno(why, errno, "socketpair");
    if (pipe2(ret, kind == PIPES_BELL ? O_CLOEXEC | O_NONBLOCK : O_CLOEXEC) != 0)
        return why_errno(why, errno, "pipe");
    (void)fcntl(ret[0], F_SETFL, O_NONBLOCK);       /* a pipe of ours always can */
    return RC_OK;
}

static void px_close(struct pipes *p UNUSED, int fd) { (void)close(fd); /* nothing is buffered in it */ }
static void px_shutdown(struct pipes *p UNUSED, int fd) { (void)shutdown(fd, SHUT_RDWR); /* it may be down already */ }

static enum rc
px_read(struct pipes *p UNUSED, int fd, void *to, size_t cap, size_t *ret_n, struct why *why)
{
    ssize_t n;

    while ((n = read(fd, to, cap)) < 0)
        if (errno != EINTR)
            return errno == EAGAIN ? why_rc(why, RC_TIMEOUT) : why_errno(why, errno, "read from a worker's pipe");
    if (n == 0)
        return why_rc(why, RC_CLOSED);
    *ret_n = (size_t)n;
    return RC_OK;
}

/* A socket's end that is gone must not raise SIGPIPE; a pipe knows no such flag, and the process ignores the signal. */
static ssize_t
write_some(int fd, const void *from, size_t n)
{
    ssize_t done = send(fd, from, n, MSG_NOSIGNAL);

    return done < 0 && errno == ENOTSOCK ? write(fd, from, n) : done;
}

static enum rc
px_write(struct pipes *p UNUSED, int fd, const void *from, size_t n, struct why *why)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write_some(fd, (const char *)from + done, n - done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && errno == EAGAIN)
            return RC_OK;               /* a bell that rings already */
        if (k < 0)
            return errno == EPIPE || errno == ECONNRESET ? why_rc(why, RC_CLOSED) : why_errno(why, errno, "write to a pipe");
        done += (size_t)k;
    }
    return RC_OK;
}

static enum rc
px_send(struct pipes *p UNUSED, int sock, const void *from, size_t n, const int *fds, size_t fd_count, struct why *why)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(PIPES_FDS * sizeof(int))];
    } control;
    struct iovec iov = { (void *)(uintptr_t)from, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd_count != 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
    }
    while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EPIPE || errno == ECONNRESET)
            return why_rc(why, RC_CLOSED);
        if (errno == EAGAIN)
            return why_set(why, RC_TIMEOUT, "the worker does not take what is sent to it");
        return why_errno(why, errno, "send to a worker's socket");
    }
    return RC_OK;
}

static enum rc
px_receive(struct pipes *p UNUSED, int sock, void *to, size_t cap, size_t *ret_n, int fds[PIPES_FDS],
           size_t *ret_fd_count, struct why *why)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(PIPES_FDS * sizeof(int))];
    } control;
    struct iovec iov = { to, cap };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t n;

    memset(&control, 0, sizeof control);
    while ((n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return errno == ECONNRESET ? why_rc(why, RC_CLOSED) : why_errno(why, errno, "receive from a worker's socket");
    *ret_fd_count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            *ret_fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(c), *ret_fd_count * sizeof(int));
        }
    if (n == 0 || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < *ret_fd_count; i++)
            (void)close(fds[i]);        /* of a packet that cannot be used */
        return n == 0 ? why_rc(why, RC_CLOSED) : why_set(why, RC_BAD_MESSAGE, "a packet that is too long");
    }
    *ret_n = (size_t)n;
    return RC_OK;
}

static enum rc
px_memory_file(struct pipes *p UNUSED, const char *name, const void *from, size_t n, int *ret_fd, struct why *why)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return why_errno(why, errno, "memfd_create");
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, (const char *)from + done, n - done, (off_t)done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            enum rc rc = why_errno(why, k < 0 ? errno : ENOSPC, "write to a memory file");

            (void)close(fd);            /* nothing to lose */
            return rc;
        }
        done += (size_t)k;
    }
    *ret_fd = fd;
    return RC_OK;
}

static enum rc
px_memory_open(struct pipes *p UNUSED, const char *name, int *ret_fd, struct why *why)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return why_errno(why, errno, "memfd_create");
    *ret_fd = fd;
    return RC_OK;
}

static enum rc
px_memory_again(struct pipes *p UNUSED, int fd, int *ret_fd, struct why *why)
{
    int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (again < 0)
        return why_errno(why, errno, "a memory file");
    *ret_fd = again;
    return RC_OK;
}

static enum rc
px_memory_seal(struct pipes *p UNUSED, int fd, uint64_t *ret_bytes, struct why *why)
{
    struct stat st;

    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 || fstat(fd, &st) != 0)
        return why_errno(why, errno, "sealing a memory file");
    *ret_bytes = (uint64_t)st.st_size;
    return RC_OK;
}

static enum rc
px_memory_read(struct pipes *p UNUSED, int fd, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why)
{
    struct stat st;
    uint8_t *to;
    size_t done = 0;

    if (fstat(fd, &st) != 0)
        return why_errno(why, errno, "fstat");
    if (st.st_size < 0 || (uint64_t)st.st_size > limit)
        return why_set(why, RC_BAD_MESSAGE, "a message of %lld bytes", (long long)st.st_size);
    if ((to = mem_alloc((size_t)st.st_size + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    while (done < (size_t)st.st_size) {
        ssize_t k = pread(fd, to + done, (size_t)st.st_size - done, (off_t)done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            mem_free(to);
            return why_set(why, RC_BAD_MESSAGE, "a memory file ends early");
        }
        done += (size_t)k;
    }
    *ret = to;
    *ret_n = done;
    return RC_OK;
}

#define WATCHES_MAX 8
#define LONG_MS UINT64_C(1000000)       /* the caller looks at its clock again after this */

static enum rc
px_watch(struct pipes *p UNUSED, struct pipes_watch *watches, size_t n, uint64_t timeout_ms, struct why *why)
{
    struct pollfd fds[WATCHES_MAX];

    if (n > WATCHES_MAX)
        return why_set(why, RC_BUG, "%zu descriptors to watch", n);
    for (size_t i = 0; i < n; i++) {
        fds[i] = (struct pollfd){ .fd = watches[i].fd, .events = POLLIN };
        watches[i].is_ready = false;
    }
    if (poll(fds, n, timeout_ms == UINT64_MAX ? -1 : timeout_ms > LONG_MS ? (int)LONG_MS : (int)timeout_ms) < 0)
        return errno == EINTR ? RC_OK : why_errno(why, errno, "poll");
    for (size_t i = 0; i < n; i++)
        watches[i].is_ready = (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    return RC_OK;
}

static const struct pipes_ops px_ops = {
    .pair = px_pair,
    .close = px_close,
    .shutdown = px_shutdown,
    .read = px_read,
    .write = px_write,
    .send = px_send,
    .receive = px_receive,
    .memory_file = px_memory_file,
    .memory_read = px_memory_read,
    .memory_open = px_memory_open,
    .memory_again = px_memory_again,
    .memory_seal = px_memory_seal,
    .watch = px_watch,
};

static const struct pipes px = { &px_ops };

struct pipes *
pipes_posix(void)
{
    return (struct pipes *)(uintptr_t)&px;      /* never written to */
}
