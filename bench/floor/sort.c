/*
 * floor/sort THREADS IN OUT: records of 100 bytes by their first 10, in memory.
 *
 * The first two bytes cut the records into ranges; a thread sorts whole ranges by (8 bytes of key, place) and writes
 * them where they belong.
 */
#include "floor.h"

#define RECORD 100
#define KEY 10
#define RANGES 65536

struct ref {
    uint64_t prefix;
    uint32_t row;
};

struct work {
    const char *in;
    size_t rows;
    int threads, fd;
    uint32_t *begin;            /* RANGES + 1: first ref of each range */
    uint32_t *counts;           /* threads x RANGES */
    struct ref *refs;
};

static uint32_t
range_of(const struct work *w, size_t row)
{
    const unsigned char *r = (const unsigned char *)w->in + row * RECORD;

    return (uint32_t)r[0] << 8 | r[1];
}

static size_t
row_cut(const struct work *w, int i)
{
    return w->rows * (size_t)i / (size_t)w->threads;
}

static void
count_part(void *arg, int i)
{
    struct work *w = arg;

    for (size_t r = row_cut(w, i); r < row_cut(w, i + 1); r++)
        w->counts[(size_t)i * RANGES + range_of(w, r)]++;
}

/* counts now hold where each thread's refs of a range begin. */
static void
place_part(void *arg, int i)
{
    struct work *w = arg;

    for (size_t r = row_cut(w, i); r < row_cut(w, i + 1); r++) {
        uint64_t prefix;

        memcpy(&prefix, w->in + r * RECORD + 2, sizeof prefix);
        w->refs[w->counts[(size_t)i * RANGES + range_of(w, r)]++] = (struct ref){ __builtin_bswap64(prefix), (uint32_t)r };
    }
}

static int
by_prefix(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;

    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void
sort_part(void *arg, int i)
{
    struct work *w = arg;
    uint32_t first = (uint32_t)(RANGES * (size_t)i / (size_t)w->threads);
    uint32_t last = (uint32_t)(RANGES * (size_t)(i + 1) / (size_t)w->threads);
    size_t cap = 8 << 20, used = 0, at = (size_t)w->begin[first] * RECORD;
    char *out = floor_memory(cap);

    for (uint32_t k = first; k < last; k++) {
        qsort(w->refs + w->begin[k], w->begin[k + 1] - w->begin[k], sizeof(struct ref), by_prefix);
        for (uint32_t r = w->begin[k]; r < w->begin[k + 1]; r++) {
            if (used + RECORD > cap) {
                if (pwrite(w->fd, out, used, (off_t)at) != (ssize_t)used)
                    floor_fail("write");
                at += used;
                used = 0;
            }
            memcpy(out + used, w->in + (size_t)w->refs[r].row * RECORD, RECORD);
            used += RECORD;
        }
    }
    if (used && pwrite(w->fd, out, used, (off_t)at) != (ssize_t)used)
        floor_fail("write");
}

int
main(int argc, char **argv)
{
    static struct work w;
    uint32_t at = 0;
    size_t n;

    if (argc != 4 || (w.threads = (int)strtol(argv[1], NULL, 10)) < 1 || w.threads > THREADS_MAX)
        return 2;
    w.in = floor_map(argv[2], &n);
    w.rows = n / RECORD;
    w.refs = floor_memory(w.rows * sizeof *w.refs);
    w.counts = floor_memory((size_t)w.threads * RANGES * sizeof *w.counts);
    w.begin = floor_memory((RANGES + 1) * sizeof *w.begin);
    if ((w.fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        floor_fail(argv[3]);
    floor_run(count_part, &w, w.threads);
    for (uint32_t k = 0; k < RANGES; k++) {
        w.begin[k] = at;
        for (int i = 0; i < w.threads; i++) {
            uint32_t c = w.counts[(size_t)i * RANGES + k];

            w.counts[(size_t)i * RANGES + k] = at;
            at += c;
        }
    }
    w.begin[RANGES] = at;
    floor_run(place_part, &w, w.threads);
    floor_run(sort_part, &w, w.threads);
    if (close(w.fd) != 0)
        floor_fail(argv[3]);
    return 0;
}
