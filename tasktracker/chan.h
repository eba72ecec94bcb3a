/*
 * chan -- packets with descriptors between tracker, launcher and workers.
 *
 * A pair of PIPES_PACKETS.  A packet is one byte (1: the message is in the
 * first descriptor, a memory file) and a protobuf message; up to CHAN_FDS
 * descriptors of the message's own beside it.  docs/formats/task.md
 */
#ifndef TASKTRACKER_CHAN_H
#define TASKTRACKER_CHAN_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "tasktracker/pipes.h"

#define CHAN_FDS (PIPES_FDS - 1)

/* Send a message; fds stay the caller's.  Waits until the peer takes it.  RC_CLOSED when the peer is gone. */
enum rc chan_send(struct pipes *p, int sock, const ProtobufCMessage *m, const int *fds, size_t fd_count,
                  struct why *why) MUST_CHECK;

/* Wait for a message: decoded on the heap (chan_free); the caller owns the descriptors.  RC_CLOSED when the peer is gone. */
enum rc chan_receive(struct pipes *p, int sock, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
                     int ret_fds[CHAN_FDS], size_t *ret_fd_count, struct why *why) MUST_CHECK;
void chan_free(ProtobufCMessage *m);
/* Decode p[0..n) on the heap, for chan_free; NULL when it cannot be. */
ProtobufCMessage *chan_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n) MUST_CHECK;

#endif
