#include "tasktracker/cache.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/table.h"

struct entry {
    char *key;
    int fd;
    uint64_t bytes, id;
    bool ready;
    struct entry *prev, *next;      /* last used first */
    UT_hash_handle hh;
};

struct cache {
    struct threads *threads;
    struct pipes *pipes;
    struct mutex *m;
    uint64_t limit, bytes, last_id;
    struct entry *entries, *used;   /* by key; by use */
};

enum rc
cache_new(struct threads *threads, struct pipes *pipes, uint64_t limit, struct cache **ret, struct why *why)
{
    struct cache *c = mem_zalloc(sizeof *c);

    if (c == NULL || (c->m = mutex_new(threads)) == NULL) {
        mem_free(c);
        return why_rc(why, RC_NOMEM);
    }
    c->threads = threads;
    c->pipes = pipes;
    c->limit = pipes->ops->memory_open ? limit : 0;
    *ret = c;
    return RC_OK;
}

static void
drop(struct cache *c, struct entry *e)
{
    HASH_DEL(c->entries, e);
    DL_DELETE(c->used, e);
    c->bytes -= e->ready ? e->bytes : 0;
    pipes_close(c->pipes, e->fd);
    mem_free(e->key);
    mem_free(e);
}

void
cache_free(struct cache *c)
{
    if (c == NULL)
        return;
    while (c->used != NULL)
        drop(c, c->used);
    mutex_free(c->threads, c->m);
    mem_free(c);
}

static struct entry *
find(struct cache *c, const char *key)
{
    struct entry *e;

    HASH_FIND_STR(c->entries, key, e);
    return e;
}

/* A new entry, to be filled; NULL without memory. */
static struct entry *
add(struct cache *c, const char *key)
{
    struct entry *e = mem_zalloc(sizeof *e);
    struct why why;

    if (e == NULL || (e->key = mem_strdup(key)) == NULL ||
        c->pipes->ops->memory_open(c->pipes, "columns", &e->fd, &why) != RC_OK) {
        mem_free(e ? e->key : NULL);
        mem_free(e);
        return NULL;
    }
    e->id = ++c->last_id;
    HASH_ADD_KEYPTR(hh, c->entries, e->key, strlen(e->key), e);
    DL_PREPEND(c->used, e);
    return e;
}

enum cache_found
cache_look(struct cache *c, const char *key, int *ret_fd, uint64_t *ret_bytes, uint64_t *ret_id)
{
    enum cache_found found = CACHE_NONE;
    struct entry *e;

    if (c->limit == 0)
        return CACHE_NONE;
    mutex_lock(c->threads, c->m);
    e = find(c, key);
    if (e != NULL && e->ready) {
        DL_DELETE(c->used, e);
        DL_PREPEND(c->used, e);
        found = CACHE_READY;
    } else if (e == NULL && (e = add(c, key)) != NULL) {
        found = CACHE_FILL;
    }
    if (found != CACHE_NONE) {
        struct why why;

        *ret_bytes = e->bytes;
        *ret_id = e->id;
        if (c->pipes->ops->memory_again(c->pipes, e->fd, ret_fd, &why) != RC_OK) {
            if (found == CACHE_FILL)
                drop(c, e);
            found = CACHE_NONE;
        }
    }
    mutex_unlock(c->threads, c->m);
    return found;
}

void
cache_end(struct cache *c, const char *key, bool whole)
{
    struct entry *e;
    struct why why;

    mutex_lock(c->threads, c->m);
    e = find(c, key);
    if (e != NULL && !e->ready) {
        if (whole && c->pipes->ops->memory_seal(c->pipes, e->fd, &e->bytes, &why) == RC_OK && e->bytes <= c->limit) {
            e->ready = true;
            c->bytes += e->bytes;
            while (c->bytes > c->limit) {           /* the oldest, but never one that is being filled */
                struct entry *old = c->used->prev;

                while (!old->ready || old == e)
                    old = old->prev;
                drop(c, old);
            }
        } else {
            drop(c, e);
        }
    }
    mutex_unlock(c->threads, c->m);
}

uint64_t
cache_bytes(struct cache *c)
{
    uint64_t n;

    mutex_lock(c->threads, c->m);
    n = c->bytes;
    mutex_unlock(c->threads, c->m);
    return n;
}
