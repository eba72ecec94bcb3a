/*
 * fuzz_task -- packets on a task's socket, as tracker, launcher and worker take
 * them: the first byte says which message is expected and how many descriptors
 * come along, the second begins the packet.
 */
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/base/attr.h"
#include "core/proto/task.pb-c.h"
#include "tasktracker/chan.h"

static void
send_raw(int sock, const uint8_t *p, size_t n, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE((CHAN_FDS + 1) * sizeof(int))];
    } control;
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
    }
    CHECK(sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const ProtobufCMessageDescriptor *const expected[] = {
        &tk_report__descriptor, &tk_order__descriptor, &launch_request__descriptor, &launch_reply__descriptor,
    };
    int socks[2], fds[CHAN_FDS + 1], got[CHAN_FDS], file = -1, next = dup(0);
    struct pipes *p = pipes_posix();
    ProtobufCMessage *m, *spec;
    struct why why;
    size_t count = 0, got_n = 0;

    CHECK(next >= 0);
    close(next);
    if (n < 1 || n > 32 * KB)
        return 0;
    CHECK(pipes_pair(p, PIPES_PACKETS, socks, &why) == RC_OK);
    CHECK(pipes_memory_file(p, "fuzz", data + (n > 1 ? 2 : 1), n - (n > 1 ? 2 : 1), &file, &why) == RC_OK);
    while (count < (data[0] >> 2) % (CHAN_FDS + 2))
        fds[count++] = file;
    send_raw(socks[0], data + 1, n - 1, fds, count);
    if (chan_receive(p, socks[1], expected[data[0] % ARRAY_LEN(expected)], &m, got, &got_n, &why) == RC_OK) {
        CHECK(protobuf_c_message_check(m));
        CHECK(n > 1);
        CHECK(got_n <= CHAN_FDS);
        for (size_t i = 0; i < got_n; i++)
            CHECK(close(got[i]) == 0);
        chan_free(m);
    }
    if ((spec = chan_unpack(&tk_spec__descriptor, data + 1, n - 1)) != NULL)
        chan_free(spec);
    close(file);
    close(socks[0]);
    close(socks[1]);
    CHECK(mem_live() == 0);
    CHECK((socks[0] = dup(0)) == next);     /* every descriptor is closed again */
    close(socks[0]);
    return 0;
}
