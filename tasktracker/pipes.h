/*
 * pipes -- what joins a tracker with its workers.
 *
 * struct pipes is the table through which they reach each other, as those of
 * struct world are for everything else: pipes_posix is the kernel's, the
 * simulator has another.  Descriptors are ints of that table; a packet may carry
 * them, and those of struct io.
 */
#ifndef TASKTRACKER_PIPES_H
#define TASKTRACKER_PIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

#define PIPES_FDS 5                 /* with one packet */

enum pipes_kind {
    PIPES_PACKETS,                  /* both ways: whole packets, with descriptors */
    PIPES_STREAM,                   /* both ways: bytes */
    PIPES_LOG,                      /* from [1] to [0]; reading does not wait */
    PIPES_BELL,                     /* from [1] to [0]; reading and writing do not wait */
};

struct pipes_watch {
    int fd;                         /* -1: none */
    bool is_ready;                  /* there is something to read, or the other end is gone */
};

struct pipes;

struct pipes_ops {
    enum rc (*pair)(struct pipes *p, enum pipes_kind kind, int ret[2], struct why *why);
    void (*close)(struct pipes *p, int fd);         /* also a file's */
    void (*shutdown)(struct pipes *p, int fd);      /* of a stream, both ways: whoever waits on it wakes */
    /* At least one byte; RC_CLOSED at the end, RC_TIMEOUT when there is none now and reading does not wait. */
    enum rc (*read)(struct pipes *p, int fd, void *to, size_t cap, size_t *ret_n, struct why *why);
    /* All of them; RC_CLOSED when the other end is gone.  A full bell swallows them. */
    enum rc (*write)(struct pipes *p, int fd, const void *from, size_t n, struct why *why);
    /* One packet; the descriptors stay the sender's, the receiver owns what it gets.  RC_CLOSED when the peer is gone,
     * RC_TIMEOUT when it does not take what is sent, RC_BAD_MESSAGE for a packet longer than cap. */
    enum rc (*send)(struct pipes *p, int fd, const void *from, size_t n, const int *fds, size_t fd_count, struct why *why);
    enum rc (*receive)(struct pipes *p, int fd, void *to, size_t cap, size_t *ret_n, int ret_fds[PIPES_FDS],
                       size_t *ret_fd_count, struct why *why);
    /* A file without a name that holds from[0..n): a descriptor of struct io. */
    enum rc (*memory_file)(struct pipes *p, const char *name, const void *from, size_t n, int *ret_fd, struct why *why);
    /* The whole of one, on the heap; at most limit bytes, else RC_BAD_MESSAGE.  The peer may have made it. */
    enum rc (*memory_read)(struct pipes *p, int fd, size_t limit, uint8_t **ret, size_t *ret_n, struct why *why);
    /*
     * A memory file that grows, for another process to write through a descriptor of its own (memory_again) until
     * memory_seal: from then on nobody can change it.  NULL: there is no such thing.
     */
    enum rc (*memory_open)(struct pipes *p, const char *name, int *ret_fd, struct why *why);
    enum rc (*memory_again)(struct pipes *p, int fd, int *ret_fd, struct why *why);
    enum rc (*memory_seal)(struct pipes *p, int fd, uint64_t *ret_bytes, struct why *why);
    /* Until one of them is ready, or for timeout_ms (UINT64_MAX: without end). */
    enum rc (*watch)(struct pipes *p, struct pipes_watch *watches, size_t n, uint64_t timeout_ms, struct why *why);
};

struct pipes {
    const struct pipes_ops *ops;
};

struct pipes *pipes_posix(void);

static inline enum rc pipes_pair(struct pipes *p, enum pipes_kind kind, int ret[2], struct why *why)
{
    return p->ops->pair(p, kind, ret, why);
}
static inline void pipes_close(struct pipes *p, int fd) { p->ops->close(p, fd); }
static inline void pipes_shutdown(struct pipes *p, int fd) { p->ops->shutdown(p, fd); }
static inline enum rc pipes_read(struct pipes *p, int fd, void *to, size_t cap, size_t *ret_n, struct why *why)
{
    return p->ops->read(p, fd, to, cap, ret_n, why);
}
static inline enum rc pipes_write(struct pipes *p, int fd, const void *from, size_t n, struct why *why)
{
    return p->ops->write(p, fd, from, n, why);
}
static inline enum rc pipes_memory_file(struct pipes *p, const char *name, const void *from, size_t n, int *ret_fd,
                                        struct why *why)
{
    return p->ops->memory_file(p, name, from, n, ret_fd, why);
}
static inline enum rc pipes_memory_read(struct pipes *p, int fd, size_t limit, uint8_t **ret, size_t *ret_n,
                                        struct why *why)
{
    return p->ops->memory_read(p, fd, limit, ret, ret_n, why);
}

#endif
