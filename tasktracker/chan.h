/*
 * chan -- packets with descriptors between tracker, launcher and workers.
 *
 * A SOCK_SEQPACKET socketpair.  A packet is one byte (1: the message is in the
 * first descriptor, a memory file) and a protobuf message; up to CHAN_FDS
 * descriptors of the message's own beside it.  docs/formats/task.md
 */
#ifndef TASKTRACKER_CHAN_H
#define TASKTRACKER_CHAN_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

#define CHAN_FDS 4

enum rc chan_pair(int ret_socks[2], struct why *why) MUST_CHECK;

/* Send a message; fds stay the caller's.  Waits until the peer takes it.  RC_CLOSED when the peer is gone. */
enum rc chan_send(int sock, const ProtobufCMessage *m, const int *fds, size_t fd_count, struct why *why) MUST_CHECK;

/* Wait for a message: decoded on the heap (chan_free); the caller owns the descriptors.  RC_CLOSED when the peer is gone. */
enum rc chan_receive(int sock, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret, int ret_fds[CHAN_FDS],
                     size_t *ret_fd_count, struct why *why) MUST_CHECK;
void chan_free(ProtobufCMessage *m);
/* Decode p[0..n) on the heap, for chan_free; NULL when it cannot be. */
ProtobufCMessage *chan_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n) MUST_CHECK;

/* A memory file that holds p[0..n), open for reading; the caller closes it. */
enum rc chan_memory_file(const char *name, const void *p, size_t n, int *ret_fd, struct why *why) MUST_CHECK;
/* The whole of one, on the heap; at most limit bytes. */
enum rc chan_read_file(int fd, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why) MUST_CHECK;

#endif
