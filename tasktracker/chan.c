#include "tasktracker/chan.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"

#define INLINE_MAX (32 * KB)            /* a longer message travels in a memory file */
#define MESSAGE_MAX (64 * MB)

static void *
heap_alloc(void *arg UNUSED, size_t n)
{
    return mem_alloc(n);
}

static void
heap_free(void *arg UNUSED, void *p)
{
    mem_free(p);
}

void
chan_free(ProtobufCMessage *m)
{
    ProtobufCAllocator heap = { heap_alloc, heap_free, NULL };

    if (m != NULL)
        protobuf_c_message_free_unpacked(m, &heap);
}

ProtobufCMessage *
chan_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n)
{
    ProtobufCAllocator heap = { heap_alloc, heap_free, NULL };

    return protobuf_c_message_unpack(d, &heap, n, p);
}

enum rc
chan_pair(int ret_socks[2], struct why *why)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_socks) != 0)
        return why_errno(why, errno, "socketpair");
    return RC_OK;
}

enum rc
chan_memory_file(const char *name, const void *p, size_t n, int *ret_fd, struct why *why)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return why_errno(why, errno, "memfd_create");
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, (const char *)p + done, n - done, (off_t)done);

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

enum rc
chan_read_file(int fd, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why)
{
    struct stat st;
    uint8_t *p;
    size_t done = 0;

    if (fstat(fd, &st) != 0)
        return why_errno(why, errno, "fstat");
    if (st.st_size < 0 || (uint64_t)st.st_size > limit)
        return why_set(why, RC_BAD_MESSAGE, "a message of %lld bytes", (long long)st.st_size);
    if ((p = mem_alloc((size_t)st.st_size + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    while (done < (size_t)st.st_size) {
        ssize_t k = pread(fd, p + done, (size_t)st.st_size - done, (off_t)done);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            mem_free(p);
            return why_set(why, RC_BAD_MESSAGE, "a memory file ends early");
        }
        done += (size_t)k;
    }
    *ret = p;
    *ret_n = done;
    return RC_OK;
}

static enum rc
send_packet(int sock, const uint8_t *p, size_t n, const int *fds, size_t fd_count, struct why *why)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE((CHAN_FDS + 1) * sizeof(int))];
    } control;
    struct iovec iov = { (void *)p, n };
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

enum rc
chan_send(int sock, const ProtobufCMessage *m, const int *fds, size_t fd_count, struct why *why)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    int all[CHAN_FDS + 1] = { -1 };
    uint8_t *p;
    enum rc rc;

    if (fd_count > CHAN_FDS)
        return why_set(why, RC_BUG, "%zu descriptors", fd_count);
    if ((p = mem_alloc(n + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    (void)protobuf_c_message_pack(m, p + 1);
    p[0] = n > INLINE_MAX;
    if (fd_count != 0)
        memcpy(all + p[0], fds, fd_count * sizeof *fds);
    if (p[0] == 0) {
        rc = send_packet(sock, p, n + 1, all, fd_count, why);
    } else if ((rc = chan_memory_file("message", p + 1, n, &all[0], why)) == RC_OK) {
        rc = send_packet(sock, p, 1, all, fd_count + 1, why);
        (void)close(all[0]);        /* the peer has it */
    }
    mem_free(p);
    return rc;
}

static void
close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)close(fds[i]);        /* of a message that cannot be used */
}

static enum rc
receive_packet(int sock, uint8_t *p, size_t cap, size_t *ret_n, int fds[CHAN_FDS + 1], size_t *ret_fd_count,
               struct why *why)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE((CHAN_FDS + 1) * sizeof(int))];
    } control;
    struct iovec iov = { p, cap };
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
    if (n == 0)
        return why_rc(why, RC_CLOSED);
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        close_all(fds, *ret_fd_count);
        return why_set(why, RC_BAD_MESSAGE, "a packet that is too long");
    }
    *ret_n = (size_t)n;
    return RC_OK;
}

enum rc
chan_receive(int sock, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret, int ret_fds[CHAN_FDS],
             size_t *ret_fd_count, struct why *why)
{
    uint8_t *packet = mem_alloc(INLINE_MAX + 1), *whole = NULL;
    int fds[CHAN_FDS + 1];
    size_t n = 0, fd_count = 0, first = 0;
    enum rc rc = RC_NOMEM;

    if (packet == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = receive_packet(sock, packet, INLINE_MAX + 1, &n, fds, &fd_count, why)) != RC_OK)
        goto out;
    if (packet[0] == 1) {
        if (fd_count == 0) {
            rc = why_set(why, RC_BAD_MESSAGE, "a message without its memory file");
            goto out;
        }
        rc = chan_read_file(fds[0], MESSAGE_MAX, &whole, &n, why);
        (void)close(fds[0]);            /* read */
        first = 1;
        if (rc != RC_OK)
            goto out;
        *ret = chan_unpack(d, whole, n);
    } else {
        *ret = chan_unpack(d, packet + 1, n - 1);
    }
    if (*ret == NULL || fd_count - first > CHAN_FDS) {
        chan_free(*ret);
        rc = why_set(why, RC_BAD_MESSAGE, "a message that cannot be decoded");
        goto out;
    }
    *ret_fd_count = fd_count - first;
    memcpy(ret_fds, fds + first, *ret_fd_count * sizeof(int));
out:
    if (rc != RC_OK && rc != RC_CLOSED && fd_count > first)
        close_all(fds + first, fd_count - first);
    mem_free(packet);
    mem_free(whole);
    return rc;
}
