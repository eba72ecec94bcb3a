#include "tasktracker/feed.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/thread.h"

#define CHUNK (256 * KB)

struct feed {
    const struct world *w;
    struct fs *fs;
    char *path;
    uint64_t at;
    int sock;
    struct thread *thread;
    enum rc rc;                     /* read after the join */
    struct why why;
};

struct sink {
    const struct world *w;
    struct fs_writer *writer;
    int sock;
    uint64_t bytes;
    struct thread *thread;
    enum rc rc;
    struct why why;
};

static enum rc
stream_pair(int ret[2], struct why *why)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) != 0)
        return why_errno(why, errno, "socketpair");
    return RC_OK;
}

/* False when the worker has enough. */
static bool
send_all(int sock, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(sock, p, n, MSG_NOSIGNAL);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static void
feed_loop(void *arg)
{
    struct feed *f = arg;
    struct fs_reader *r = NULL;
    uint8_t *chunk = mem_alloc(CHUNK);
    size_t n = 0;

    if (chunk == NULL)
        f->rc = why_rc(&f->why, RC_NOMEM);
    else
        f->rc = fs_open_read(f->fs, f->path, &r, &f->why);
    while (f->rc == RC_OK) {
        if ((f->rc = fs_pread(r, chunk, CHUNK, f->at, &n, &f->why)) != RC_OK || n == 0 || !send_all(f->sock, chunk, n))
            break;
        f->at += n;
    }
    if (r != NULL)
        fs_close_read(r);
    mem_free(chunk);
    (void)shutdown(f->sock, SHUT_RDWR);         /* the worker sees the end */
}

enum rc
feed_start(const struct world *w, struct fs *fs, const char *path, uint64_t at, struct feed **ret, int *ret_fd,
           struct why *why)
{
    struct feed *f = mem_zalloc(sizeof *f);
    int socks[2];
    enum rc rc;

    if (f == NULL || (f->path = mem_strdup(path)) == NULL) {
        mem_free(f);
        return why_rc(why, RC_NOMEM);
    }
    if ((rc = stream_pair(socks, why)) != RC_OK)
        goto out;
    f->w = w;
    f->fs = fs;
    f->at = at;
    f->sock = socks[0];
    if ((rc = thread_spawn(w->threads, "tt-feed", feed_loop, f, &f->thread, why)) != RC_OK) {
        (void)close(socks[0]);
        (void)close(socks[1]);
        goto out;
    }
    *ret = f;
    *ret_fd = socks[1];
    return RC_OK;
out:
    mem_free(f->path);
    mem_free(f);
    return rc;
}

enum rc
feed_stop(struct feed *f, struct why *why)
{
    enum rc rc;

    (void)shutdown(f->sock, SHUT_RDWR);         /* it wakes if it waits for the worker */
    thread_join(f->w->threads, f->thread);
    if ((rc = f->rc) != RC_OK)
        (void)why_set(why, rc, "input %s: %s", f->path, f->why.text);
    (void)close(f->sock);
    mem_free(f->path);
    mem_free(f);
    return rc;
}

static void
sink_loop(void *arg)
{
    struct sink *s = arg;
    uint8_t *chunk = mem_alloc(CHUNK);
    ssize_t n = 0;

    if (chunk == NULL)
        s->rc = why_rc(&s->why, RC_NOMEM);
    while (s->rc == RC_OK) {
        if ((n = recv(s->sock, chunk, CHUNK, 0)) < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if ((s->rc = fs_write(s->writer, chunk, (size_t)n, &s->why)) == RC_OK)
            s->bytes += (uint64_t)n;
    }
    mem_free(chunk);
    (void)shutdown(s->sock, SHUT_RDWR);         /* after a failure the worker's next send fails too */
}

enum rc
sink_start(const struct world *w, struct fs *fs, const char *path, const struct fs_create_options *o, struct sink **ret,
           int *ret_fd, struct why *why)
{
    struct sink *s = mem_zalloc(sizeof *s);
    int socks[2] = { -1, -1 };
    enum rc rc;

    if (s == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = stream_pair(socks, why)) != RC_OK)
        goto out;
    s->w = w;
    s->sock = socks[0];
    if ((rc = fs_create(fs, path, o, &s->writer, why)) != RC_OK)
        goto out;
    if ((rc = thread_spawn(w->threads, "tt-sink", sink_loop, s, &s->thread, why)) != RC_OK) {
        fs_abandon_write(s->writer);
        goto out;
    }
    *ret = s;
    *ret_fd = socks[1];
    return RC_OK;
out:
    for (int i = 0; i < 2; i++)
        if (socks[i] >= 0)
            (void)close(socks[i]);
    mem_free(s);
    return rc;
}

static enum rc
sink_join(struct sink *s, struct why *why)
{
    thread_join(s->w->threads, s->thread);
    (void)close(s->sock);
    if (s->rc != RC_OK)
        return why_set(why, s->rc, "output: %s", s->why.text);
    return RC_OK;
}

enum rc
sink_finish(struct sink *s, uint64_t bytes, struct why *why)
{
    enum rc rc = sink_join(s, why);

    if (rc == RC_OK && s->bytes != bytes)
        rc = why_set(why, RC_IO, "the worker wrote %llu bytes of output, %llu came", (unsigned long long)bytes,
                     (unsigned long long)s->bytes);
    if (rc != RC_OK)
        fs_abandon_write(s->writer);
    else
        rc = fs_close_write(s->writer, why);
    mem_free(s);
    return rc;
}

enum rc
sink_abandon(struct sink *s, struct why *why)
{
    enum rc rc;

    (void)shutdown(s->sock, SHUT_RDWR);
    rc = sink_join(s, why);
    fs_abandon_write(s->writer);
    mem_free(s);
    return rc;
}
