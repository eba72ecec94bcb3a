/*
 * attr -- compiler attributes, sizes and the length of an array.
 */
#ifndef CORE_BASE_ATTR_H
#define CORE_BASE_ATTR_H

#define MUST_CHECK      __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED          __attribute__((unused))
#define NORETURN        __attribute__((noreturn))

#define KB ((size_t)1024)
#define MB (1024 * KB)
#define GB (1024 * MB)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds member m at address p. */
#define CONTAINER_OF(p, type, m) ((type *)(void *)((char *)(p) - offsetof(type, m)))

#endif
