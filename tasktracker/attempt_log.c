#include "tasktracker/attempt_log.h"

#include <inttypes.h>

#include "core/base/log.h"

#define FILE_MAX (4 * MB)

void
attempt_log_init(struct attempt_log *l, struct io *io, const char *path)
{
    l->io = io;
    l->path = path;
    l->fd = -1;
    l->bad = false;
    l->bytes = 0;
}

static void
to_file(struct attempt_log *l, const uint8_t *p, size_t n)
{
    struct why why;

    if (l->bad || l->bytes >= FILE_MAX)
        return;
    if ((l->fd < 0 && io_open(l->io, l->path, IO_WRITE | IO_CREATE | IO_TRUNC | IO_PRIVATE, &l->fd, &why) != RC_OK) ||
        io_pwrite(l->io, l->fd, p, n < FILE_MAX - l->bytes ? n : (size_t)(FILE_MAX - l->bytes), l->bytes, &why) != RC_OK) {
        log_warn("attempt_log_unwritable", "why=%s", why.text);
        l->bad = true;
    }
}

void
attempt_log_add(struct attempt_log *l, const uint8_t *p, size_t n)
{
    to_file(l, p, n);
    for (size_t i = 0; i < n; i++, l->bytes++) {
        if (l->bytes < sizeof l->head)
            l->head[l->bytes] = p[i];
        else
            l->tail[(l->bytes - sizeof l->head) % sizeof l->tail] = p[i];
    }
}

void
attempt_log_put(const struct attempt_log *l, struct buf *out)
{
    uint64_t rest, at;

    buf_put(out, l->head, l->bytes < sizeof l->head ? (size_t)l->bytes : sizeof l->head);
    if (l->bytes <= sizeof l->head)
        return;
    rest = l->bytes - sizeof l->head;
    if (rest <= sizeof l->tail) {
        buf_put(out, l->tail, (size_t)rest);
        return;
    }
    buf_printf(out, "\n... %" PRIu64 " bytes left out ...\n", rest - sizeof l->tail);
    at = rest % sizeof l->tail;
    buf_put(out, l->tail + at, sizeof l->tail - (size_t)at);
    buf_put(out, l->tail, (size_t)at);
}

void
attempt_log_fini(struct attempt_log *l)
{
    if (l->fd >= 0)
        io_close(l->io, l->fd);
    l->fd = -1;
}
