/*
 * mem -- the heap, and ways to watch and fail it.
 *
 * Everything of ours allocates here.  In production this is malloc.  Tests may
 * make the n-th allocation fail and ask what is still live; the simulator gives
 * each simulated node a heap of its own, so that a node that crashes can be
 * dropped whole, without running any of its code.
 */
#ifndef CORE_BASE_MEM_H
#define CORE_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/attr.h"

/* All return NULL when memory is short.  mem_free(NULL) is fine. */
void *mem_alloc(size_t n) MUST_CHECK;
void *mem_zalloc(size_t n) MUST_CHECK;
void *mem_calloc(size_t count, size_t size) MUST_CHECK;  /* NULL also when count * size overflows */
void *mem_realloc(void *p, size_t n) MUST_CHECK;
char *mem_strdup(const char *s) MUST_CHECK;
char *mem_strndup(const void *s, size_t n) MUST_CHECK;  /* n bytes and a NUL */
char *mem_printf(const char *fmt, ...) PRINTF(1, 2) MUST_CHECK;
void mem_free(void *p);

/* A hint: p[0..n), of one allocation, not yet written to, will be used in no order.  Large pages then save much. */
void mem_huge(void *p, size_t n);

/*
 * Room for one more element behind the first `count` in an array that grows by doubling: array is the address of
 * the pointer to it, *cap how many elements it has room for.  False when memory is short: nothing has changed.
 */
bool mem_room(void *array, size_t count, size_t *cap, size_t element_bytes) MUST_CHECK;

/* Tests: the n-th allocation from now fails (1 is the next); 0 turns it off. */
void mem_fail_nth(uint64_t n);

/* Tests: allocations not yet freed, on all heaps. */
uint64_t mem_live(void);

/*
 * A heap whose blocks can be dropped together.  mem_heap_use makes it the one
 * that this process allocates from (NULL: the ordinary one) and returns the one
 * before; only the simulator calls it, when it switches fibers.  A block is
 * returned to the heap it came from.
 */
struct mem_heap;
struct mem_heap *mem_heap_new(void);
struct mem_heap *mem_heap_use(struct mem_heap *heap);
void mem_heap_drop(struct mem_heap *heap);  /* frees the heap and every block in it */

#endif
