#include "tasktracker/feed.h"

#include "core/base/mem.h"
#include "core/io/thread.h"

#define CHUNK (256 * KB)

struct feed {
    const struct world *w;
    struct pipes *pipes;
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
    struct pipes *pipes;
    struct fs_writer *writer;
    int sock;
    uint64_t bytes;
    struct thread *thread;
    enum rc rc;
    struct why why;
};

static void
feed_loop(void *arg)
{
    struct feed *f = arg;
    struct fs_reader *r = NULL;
    uint8_t *chunk = mem_alloc(CHUNK);
    struct why closed;
    size_t n = 0;

    if (chunk == NULL)
        f->rc = why_rc(&f->why, RC_NOMEM);
    else
        f->rc = fs_open_read(f->fs, f->path, &r, &f->why);
    while (f->rc == RC_OK) {
        if ((f->rc = fs_pread(r, chunk, CHUNK, f->at, &n, &f->why)) != RC_OK || n == 0 ||
            pipes_write(f->pipes, f->sock, chunk, n, &closed) != RC_OK)
            break;                              /* the worker has enough */
        f->at += n;
    }
    if (r != NULL)
        fs_close_read(r);
    mem_free(chunk);
    pipes_shutdown(f->pipes, f->sock);          /* the worker sees the end */
}

enum rc
feed_start(const struct world *w, struct pipes *pipes, struct fs *fs, const char *path, uint64_t at, struct feed **ret, int *ret_fd,
           struct why *why)
{
    struct feed *f = mem_zalloc(sizeof *f);
    int socks[2];
    enum rc rc;

    if (f == NULL || (f->path = mem_strdup(path)) == NULL) {
        mem_free(f);
        return why_rc(why, RC_NOMEM);
    }
    if ((rc = pipes_pair(pipes, PIPES_STREAM, socks, why)) != RC_OK)
        goto out;
    f->w = w;
    f->pipes = pipes;
    f->fs = fs;
    f->at = at;
    f->sock = socks[0];
    if ((rc = thread_spawn(w->threads, "tt-feed", feed_loop, f, &f->thread, why)) != RC_OK) {
        pipes_close(pipes, socks[0]);
        pipes_close(pipes, socks[1]);
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

    pipes_shutdown(f->pipes, f->sock);          /* it wakes if it waits for the worker */
    thread_join(f->w->threads, f->thread);
    if ((rc = f->rc) != RC_OK)
        (void)why_set(why, rc, "input %s: %s", f->path, f->why.text);
    pipes_close(f->pipes, f->sock);
    mem_free(f->path);
    mem_free(f);
    return rc;
}

static void
sink_loop(void *arg)
{
    struct sink *s = arg;
    uint8_t *chunk = mem_alloc(CHUNK);
    struct why broken;
    size_t n = 0;

    if (chunk == NULL)
        s->rc = why_rc(&s->why, RC_NOMEM);
    while (s->rc == RC_OK) {
        if (pipes_read(s->pipes, s->sock, chunk, CHUNK, &n, &broken) != RC_OK)
            break;                              /* sink_finish counts what came */
        if ((s->rc = fs_write(s->writer, chunk, n, &s->why)) == RC_OK)
            s->bytes += n;
    }
    mem_free(chunk);
    pipes_shutdown(s->pipes, s->sock);          /* after a failure the worker's next send fails too */
}

enum rc
sink_start(const struct world *w, struct pipes *pipes, struct fs *fs, const char *path, const struct fs_create_options *o, struct sink **ret,
           int *ret_fd, struct why *why)
{
    struct sink *s = mem_zalloc(sizeof *s);
    int socks[2] = { -1, -1 };
    enum rc rc;

    if (s == NULL)
        return why_rc(why, RC_NOMEM);
    if ((rc = pipes_pair(pipes, PIPES_STREAM, socks, why)) != RC_OK)
        goto out;
    s->w = w;
    s->pipes = pipes;
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
            pipes_close(pipes, socks[i]);
    mem_free(s);
    return rc;
}

static enum rc
sink_join(struct sink *s, struct why *why)
{
    thread_join(s->w->threads, s->thread);
    pipes_close(s->pipes, s->sock);
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

    pipes_shutdown(s->pipes, s->sock);
    rc = sink_join(s, why);
    fs_abandon_write(s->writer);
    mem_free(s);
    return rc;
}
