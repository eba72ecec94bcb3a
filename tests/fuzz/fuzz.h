/*
 * fuzz -- what every fuzzer has: its entry, and a file that is the input.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A struct io whose only file, whatever its name and descriptor, is p[0..n). */
struct fuzz_io {
    struct io io;               /* first */
    struct io_ops ops;
    const uint8_t *p;
    size_t n;
};

static inline enum rc
fuzz_io_open(struct io *io, const char *path, unsigned flags, int *ret_fd, struct why *why)
{
    (void)io;
    (void)path;
    (void)flags;
    (void)why;
    *ret_fd = 1;
    return RC_OK;
}

static inline void
fuzz_io_close(struct io *io, int fd)
{
    (void)io;
    (void)fd;
}

static inline enum rc
fuzz_io_pread(struct io *io, int fd, void *p, size_t n, uint64_t at, size_t *ret_n, struct why *why)
{
    const struct fuzz_io *f = (const struct fuzz_io *)(const void *)io;

    (void)fd;
    (void)why;
    if (at > f->n)
        at = f->n;
    if (n > f->n - at)
        n = f->n - at;
    if (n > 0)
        memcpy(p, f->p + at, n);
    *ret_n = n;
    return RC_OK;
}

static inline enum rc
fuzz_io_fstat(struct io *io, int fd, struct io_stat *ret, struct why *why)
{
    (void)fd;
    (void)why;
    *ret = (struct io_stat){ .size = ((const struct fuzz_io *)(const void *)io)->n, .is_file = true };
    return RC_OK;
}

static inline void
fuzz_io_init(struct fuzz_io *f, const uint8_t *p, size_t n)
{
    memset(f, 0, sizeof *f);
    f->ops = (struct io_ops){ .open = fuzz_io_open, .close = fuzz_io_close, .pread = fuzz_io_pread, .fstat = fuzz_io_fstat };
    f->io.ops = &f->ops;
    f->p = p;
    f->n = n;
}

#endif
