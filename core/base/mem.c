#include "core/base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/check.h"

/*
 * Every block has a head before it.  A block of a struct mem_heap has the links
 * of that heap's list before the head.  Both parts are 16 bytes, as is malloc's
 * alignment, so blocks are aligned for any type.
 */
struct head {
    struct mem_heap *heap;      /* NULL: the ordinary one */
    uint64_t mark;              /* MARK while live: catches a second free */
};

struct links {
    struct links *next;
    struct links *prev;
};

struct mem_heap {
    struct links all;           /* a ring */
};

_Static_assert(sizeof(struct head) == 16 && sizeof(struct links) == 16, "blocks must stay aligned to 16 bytes");

#define MARK UINT64_C(0x6d696c6c72616365)
#define DEAD UINT64_C(0xdeaddeaddeaddead)

/* A block is counted in the shard of its address, so threads seldom meet on one cache line. */
#define SHARD_COUNT 32

struct shard {
    _Alignas(64) _Atomic int64_t live;
};

static struct shard shards[SHARD_COUNT];
static _Atomic uint64_t fail_in;        /* 0: off */
static struct mem_heap *current;        /* only the simulator, which has one thread, sets it */

static void
count(const void *p, int64_t by)
{
    uintptr_t a = (uintptr_t)p;

    (void)atomic_fetch_add_explicit(&shards[(a >> 4 ^ a >> 12) % SHARD_COUNT].live, by, memory_order_relaxed);
}

static bool
must_fail(void)
{
    if (__builtin_expect(atomic_load_explicit(&fail_in, memory_order_relaxed) == 0, 1))
        return false;
    return atomic_fetch_sub(&fail_in, 1) == 1;
}

static struct head *
head_of(void *p)
{
    struct head *h = (struct head *)p - 1;

    CHECK(h->mark == MARK);
    return h;
}

static struct links *
links_of(struct head *h)
{
    return (struct links *)(void *)h - 1;
}

static void
heap_link(struct mem_heap *heap, struct links *l)
{
    l->next = heap->all.next;
    l->prev = &heap->all;
    l->next->prev = l;
    heap->all.next = l;
}

static void *
block_new(size_t n, bool zero)
{
    size_t extra = sizeof(struct head) + (current != NULL ? sizeof(struct links) : 0);
    unsigned char *raw;
    struct head *h;

    if (must_fail() || n > PTRDIFF_MAX - extra)
        return NULL;
    n = n == 0 ? 1 : n;
    raw = zero ? calloc(1, n + extra) : malloc(n + extra);
    if (raw == NULL)
        return NULL;
    h = (struct head *)(void *)(raw + extra) - 1;
    h->heap = current;
    h->mark = MARK;
    if (current != NULL)
        heap_link(current, links_of(h));
    count(h + 1, 1);
    return h + 1;
}

void *
mem_alloc(size_t n)
{
    return block_new(n, false);
}

void *
mem_zalloc(size_t n)
{
    return block_new(n, true);
}

void *
mem_calloc(size_t items, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(items, size, &n))
        return NULL;
    return block_new(n, true);
}

void *
mem_realloc(void *p, size_t n)
{
    struct mem_heap *heap;
    struct head *h;
    struct links *l = NULL;
    size_t extra = sizeof *h;
    unsigned char *raw;

    if (p == NULL)
        return mem_alloc(n);
    h = head_of(p);
    heap = h->heap;
    if (heap != NULL) {
        l = links_of(h);
        extra += sizeof *l;
    }
    if (must_fail() || n > PTRDIFF_MAX - extra)
        return NULL;
    n = n == 0 ? 1 : n;
    count(p, -1);
    raw = realloc(l != NULL ? (void *)l : (void *)h, n + extra);
    if (raw == NULL) {
        count(p, 1);
        return NULL;
    }
    if (heap != NULL) {         /* the neighbours still point to the old place */
        l = (struct links *)(void *)raw;
        l->next->prev = l;
        l->prev->next = l;
    }
    count(raw + extra, 1);
    return raw + extra;
}

void
mem_free(void *p)
{
    struct head *h;

    if (p == NULL)
        return;
    h = head_of(p);
    h->mark = DEAD;
    count(p, -1);
    if (h->heap != NULL) {
        struct links *l = links_of(h);

        l->next->prev = l->prev;
        l->prev->next = l->next;
        free(l);
        return;
    }
    free(h);
}

bool
mem_room(void *array, size_t count, size_t *cap, size_t element_bytes)
{
    size_t want = *cap == 0 ? 16 : *cap * 2, n;
    void *p;

    if (count < *cap)
        return true;
    memcpy(&p, array, sizeof p);
    if (want < *cap || __builtin_mul_overflow(want, element_bytes, &n) || (p = mem_realloc(p, n)) == NULL)
        return false;
    memcpy(array, &p, sizeof p);
    *cap = want;
    return true;
}

char *
mem_strndup(const void *s, size_t n)
{
    char *p = n == SIZE_MAX ? NULL : mem_alloc(n + 1);

    if (p == NULL)
        return NULL;
    if (n > 0)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

#define HUGE_BYTES ((uintptr_t)2 << 20)

void
mem_huge(void *p, size_t n)
{
    uintptr_t from = ((uintptr_t)p + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1), end = ((uintptr_t)p + n) & ~(HUGE_BYTES - 1);

    if (end > from)
        (void)madvise((void *)from, end - from, MADV_HUGEPAGE);     /* only faster */
}

char *
mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *
mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *p = NULL;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || (p = mem_alloc((size_t)n + 1)) == NULL)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);     /* was measured above */
    va_end(ap);
    return p;
}

void
mem_fail_nth(uint64_t n)
{
    atomic_store(&fail_in, n);
}

uint64_t
mem_live(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < SHARD_COUNT; i++)
        sum += atomic_load_explicit(&shards[i].live, memory_order_relaxed);
    return sum < 0 ? 0 : (uint64_t)sum;
}

struct mem_heap *
mem_heap_new(void)
{
    struct mem_heap *heap = malloc(sizeof *heap);

    if (heap == NULL)
        return NULL;
    heap->all.next = heap->all.prev = &heap->all;
    return heap;
}

struct mem_heap *
mem_heap_use(struct mem_heap *heap)
{
    struct mem_heap *before = current;

    current = heap;
    return before;
}

void
mem_heap_drop(struct mem_heap *heap)
{
    struct links *l, *next;

    if (heap == NULL)
        return;
    CHECK(heap != current);
    for (l = heap->all.next; l != &heap->all; l = next) {
        struct head *h = (struct head *)(void *)(l + 1);

        next = l->next;
        h->mark = DEAD;
        count(h + 1, -1);
        free(l);
    }
    free(heap);
}
