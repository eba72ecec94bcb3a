/*
 * attempt_log -- what an attempt printed: a file here, and its beginning and end in memory.
 */
#ifndef TASKTRACKER_ATTEMPT_LOG_H
#define TASKTRACKER_ATTEMPT_LOG_H

#include "core/base/buf.h"
#include "core/io/io.h"

#define ATTEMPT_LOG_HEAD (16 * KB)
#define ATTEMPT_LOG_TAIL (16 * KB)

struct attempt_log {
    struct io *io;
    const char *path;               /* borrowed */
    int fd;                         /* -1: nothing was printed yet, or the file cannot be written */
    bool bad;
    uint64_t bytes;                 /* all that came */
    uint8_t head[ATTEMPT_LOG_HEAD], tail[ATTEMPT_LOG_TAIL];     /* tail: ring of what follows head */
};

void attempt_log_init(struct attempt_log *l, struct io *io, const char *path);
void attempt_log_add(struct attempt_log *l, const uint8_t *p, size_t n);
/* Beginning and end, saying how much is left out in between. */
void attempt_log_put(const struct attempt_log *l, struct buf *out);
void attempt_log_fini(struct attempt_log *l);

#endif
