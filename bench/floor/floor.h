/*
 * floor -- what the plain programs share: a mapped input cut into a part a thread, and a clock.
 *
 * These programs do a row's work with no framework around it, on as many threads as the cluster may use, from the
 * page cache to a file: what a cluster could at best reach.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64

static inline void
floor_fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline double
floor_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The whole file, mapped.  Ends the program if that fails. */
static inline const char *
floor_map(const char *path, size_t *ret_n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *p;

    if (fd < 0 || fstat(fd, &st) != 0)
        floor_fail(path);
    *ret_n = (size_t)st.st_size;
    if ((p = mmap(NULL, *ret_n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0)) == MAP_FAILED)
        floor_fail(path);
    (void)close(fd);
    return p;
}

/* Zeroed memory on huge pages where the system has them. */
static inline void *
floor_memory(size_t n)
{
    char *p = mmap(NULL, n ? n : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        floor_fail("mmap");
    (void)madvise(p, n, MADV_HUGEPAGE);     /* only faster */
    return p;
}

/* Where part i of `parts` of the lines in [p, p + n) begins; i == parts: the end. */
static inline size_t
floor_cut(const char *p, size_t n, int i, int parts)
{
    size_t at = n / (size_t)parts * (size_t)i;
    const char *nl;

    if (i == 0 || i == parts)
        return i == 0 ? 0 : n;
    nl = memchr(p + at - 1, '\n', n - at + 1);
    return nl ? (size_t)(nl - p) + 1 : n;
}

/* A decimal such as -12.50 at *p; *p moves behind it. */
static inline double
floor_number(const char **p)
{
    static const double tenth[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12 };
    const char *s = *p;
    int negative = *s == '-', digits = 0;
    int64_t v = 0;

    for (s += negative; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, digits++)
            v = v * 10 + (*s - '0');
    *p = s;
    return (negative ? -1.0 : 1.0) * (double)v / tenth[digits];
}

/* Run part(arg, i) for each i on a thread of its own. */
struct floor_thread {
    pthread_t id;
    void (*part)(void *arg, int i);
    void *arg;
    int i;
};

static inline void *
floor_start(void *arg)
{
    struct floor_thread *t = arg;

    t->part(t->arg, t->i);
    return NULL;
}

static inline void
floor_run(void (*part)(void *arg, int i), void *arg, int threads)
{
    struct floor_thread t[THREADS_MAX];

    for (int i = 0; i < threads; i++) {
        t[i] = (struct floor_thread){ .part = part, .arg = arg, .i = i };
        if (pthread_create(&t[i].id, NULL, floor_start, &t[i]) != 0)
            floor_fail("pthread_create");
    }
    for (int i = 0; i < threads; i++)
        (void)pthread_join(t[i].id, NULL);      /* fails only for a bad id */
}

#endif
