#include "tasktracker/chan.h"

#include <string.h>

#include "core/base/mem.h"

#define INLINE_MAX (32 * KB)            /* a longer message travels in a memory file */
#define MESSAGE_MAX (64 * MB)
#define DECODED_BASE (1 * MB)
#define DECODED_RATIO 8                 /* of a message of ordinary fields; empty messages inside it take far more */

/* What a message may take decoded: a worker's few bytes are not to become gigabytes here. */
struct budget {
    size_t left;
};

static void *
budget_alloc(void *arg, size_t n)
{
    struct budget *b = arg;

    if (n > b->left)
        return NULL;
    b->left -= n;
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
    ProtobufCAllocator heap = { .free = heap_free };

    if (m != NULL)
        protobuf_c_message_free_unpacked(m, &heap);
}

ProtobufCMessage *
chan_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n)
{
    struct budget budget = { .left = DECODED_BASE + DECODED_RATIO * n };
    ProtobufCAllocator heap = { budget_alloc, heap_free, &budget };

    return protobuf_c_message_unpack(d, &heap, n, p);
}

enum rc
chan_send(struct pipes *p, int sock, const ProtobufCMessage *m, const int *fds, size_t fd_count, struct why *why)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    int all[CHAN_FDS + 1] = { -1 };
    uint8_t *out;
    enum rc rc;

    if (fd_count > CHAN_FDS)
        return why_set(why, RC_BUG, "%zu descriptors", fd_count);
    if ((out = mem_alloc(n + 1)) == NULL)
        return why_rc(why, RC_NOMEM);
    (void)protobuf_c_message_pack(m, out + 1);
    out[0] = n > INLINE_MAX;
    if (fd_count != 0)
        memcpy(all + out[0], fds, fd_count * sizeof *fds);
    if (out[0] == 0) {
        rc = p->ops->send(p, sock, out, n + 1, all, fd_count, why);
    } else if ((rc = pipes_memory_file(p, "message", out + 1, n, &all[0], why)) == RC_OK) {
        rc = p->ops->send(p, sock, out, 1, all, fd_count + 1, why);
        pipes_close(p, all[0]);     /* the peer has it */
    }
    mem_free(out);
    return rc;
}

static void
close_all(struct pipes *p, const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pipes_close(p, fds[i]);     /* of a message that cannot be used */
}

enum rc
chan_receive(struct pipes *p, int sock, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
             int ret_fds[CHAN_FDS], size_t *ret_fd_count, struct why *why)
{
    uint8_t *packet = mem_alloc(INLINE_MAX + 1), *whole = NULL;
    int fds[PIPES_FDS];
    size_t n = 0, fd_count = 0, first = 0;
    enum rc rc = RC_NOMEM;

    if (packet == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = p->ops->receive(p, sock, packet, INLINE_MAX + 1, &n, fds, &fd_count, why)) != RC_OK)
        goto out;
    if (packet[0] == 1) {
        if (fd_count == 0) {
            rc = why_set(why, RC_BAD_MESSAGE, "a message without its memory file");
            goto out;
        }
        rc = pipes_memory_read(p, fds[0], MESSAGE_MAX, &whole, &n, why);
        pipes_close(p, fds[0]);         /* read */
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
        close_all(p, fds + first, fd_count - first);
    mem_free(packet);
    mem_free(whole);
    return rc;
}
