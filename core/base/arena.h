/*
 * arena -- memory that is freed in one go, with a cap.
 *
 * One RPC call, one shell command, one plan.  Pointers into it are good until
 * arena_reset or arena_fini.  Not thread-safe: one owner at a time.
 */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/attr.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    size_t used;        /* bytes handed out */
    size_t limit;       /* arena_alloc returns NULL beyond it */
};

void arena_init(struct arena *a, size_t limit);
void arena_reset(struct arena *a);  /* empty again; keeps the first chunk */
void arena_fini(struct arena *a);

/* Aligned for any type; NULL past the limit or when memory is short. */
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
void *arena_zalloc(struct arena *a, size_t n) MUST_CHECK;
void *arena_calloc(struct arena *a, size_t count, size_t size) MUST_CHECK;
char *arena_strdup(struct arena *a, const char *s) MUST_CHECK;
char *arena_strndup(struct arena *a, const void *s, size_t n) MUST_CHECK;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF(2, 0) MUST_CHECK;

#endif
