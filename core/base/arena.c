#include "core/base/arena.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

struct arena_chunk {
    struct arena_chunk *next;   /* the one before; the last is the first ever taken */
    size_t cap;
    size_t used;
    _Alignas(16) unsigned char bytes[];
};

#define CHUNK_MIN (4 * KB)
#define CHUNK_MAX (256 * KB)
#define KEEP_MAX (64 * KB)

void
arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){ .limit = limit };
}

void
arena_reset(struct arena *a)
{
    struct arena_chunk *c = a->chunks;

    while (c != NULL && (c->next != NULL || c->cap > KEEP_MAX)) {
        struct arena_chunk *next = c->next;

        mem_free(c);
        c = next;
    }
    if (c != NULL)
        c->used = 0;
    a->chunks = c;
    a->used = 0;
}

void
arena_fini(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *next = a->chunks->next;

        mem_free(a->chunks);
        a->chunks = next;
    }
    a->used = 0;
}

/* A chunk with room for n bytes; what does not fit a common chunk gets one of its own behind the head. */
static struct arena_chunk *
chunk_for(struct arena *a, size_t n)
{
    struct arena_chunk *head = a->chunks, *c;
    size_t cap = head == NULL ? CHUNK_MIN : head->cap * 2;

    if (head != NULL && n <= head->cap - head->used)
        return head;
    if (cap > CHUNK_MAX)
        cap = CHUNK_MAX;
    if (n > cap / 4 && (head != NULL || n > cap))
        cap = n;
    if ((c = mem_alloc(sizeof *c + cap)) == NULL)
        return NULL;
    c->cap = cap;
    c->used = 0;
    if (cap == n && head != NULL) {
        c->next = head->next;
        head->next = c;
    } else {
        c->next = head;
        a->chunks = c;
    }
    return c;
}

void *
arena_alloc(struct arena *a, size_t n)
{
    struct arena_chunk *c;
    void *p;

    if (n > a->limit)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if (n == 0)
        n = 16;
    if (a->used > a->limit || n - 15 > a->limit - a->used || (c = chunk_for(a, n)) == NULL)
        return NULL;
    p = c->bytes + c->used;
    c->used += n;
    a->used += n;
    return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    if (p != NULL)
        memset(p, 0, n);
    return p;
}

void *
arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_zalloc(a, n);
}

char *
arena_strndup(struct arena *a, const void *s, size_t n)
{
    char *p = n == SIZE_MAX ? NULL : arena_alloc(a, n + 1);

    if (p == NULL)
        return NULL;
    if (n > 0)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *p = NULL;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && (p = arena_alloc(a, (size_t)n + 1)) != NULL)
        (void)vsnprintf(p, (size_t)n + 1, fmt, again);      /* was measured above */
    va_end(again);
    return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *p;

    va_start(ap, fmt);
    p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}
