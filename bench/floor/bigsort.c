/*
 * floor/bigsort THREADS IN OUT MEGABYTES: records of 100 bytes by their first 10, in that much memory.
 *
 * A sample says where to cut the keys so that a thread's bucket fits its memory.  Each thread deals its part of the
 * input into files, one a bucket, beside OUT; then buckets are sorted one by one and written where they belong.
 */
#include "floor.h"

#define RECORD 100
#define RANGES 65536
#define PIECE (10000 * RECORD)          /* read at a time */
#define SAMPLES 65536
#define BUCKETS_MAX 1024

struct ref {
    uint64_t prefix;
    uint32_t row;
};

struct pile {                           /* of one thread and bucket */
    int fd;
    size_t bytes, waiting;
    char *buffer;
};

struct work {
    const char *out_path;
    int in, out, threads, buckets, next;
    size_t rows, memory, buffer_bytes;
    uint16_t bucket_of[RANGES];
    struct pile piles[THREADS_MAX][BUCKETS_MAX];
    size_t begin[BUCKETS_MAX + 1];      /* in OUT, bytes */
    pthread_mutex_t lock;
};

static uint32_t
range_of(const char *r)
{
    return (uint32_t)(unsigned char)r[0] << 8 | (unsigned char)r[1];
}

static void
read_all(int fd, void *p, size_t n, size_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pread(fd, (char *)p + done, n - done, (off_t)(at + done));

        if (k <= 0)
            floor_fail("read");
        done += (size_t)k;
    }
}

static void
write_all(int fd, const char *p, size_t n, size_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, p + done, n - done, (off_t)(at + done));

        if (k <= 0)
            floor_fail("write");
        done += (size_t)k;
    }
}

/* Ranges to buckets of about the same number of records. */
static void
cut(struct work *w)
{
    static uint32_t counts[RANGES];
    size_t step = w->rows > SAMPLES ? w->rows / SAMPLES : 1, seen = 0, all = 0;
    char head[2];

    for (size_t r = 0; r < w->rows; r += step, all++) {
        read_all(w->in, head, sizeof head, r * RECORD);
        counts[range_of(head)]++;
    }
    for (int k = 0; k < RANGES; k++) {
        w->bucket_of[k] = (uint16_t)(seen * (size_t)w->buckets / (all ? all : 1));
        if (w->bucket_of[k] >= w->buckets)
            w->bucket_of[k] = (uint16_t)(w->buckets - 1);
        seen += counts[k];
    }
}

static void
flush_pile(struct pile *p)
{
    write_all(p->fd, p->buffer, p->waiting, p->bytes);
    p->bytes += p->waiting;
    p->waiting = 0;
}

static void
deal_part(void *arg, int i)
{
    struct work *w = arg;
    size_t at = w->rows * (size_t)i / (size_t)w->threads * RECORD;
    size_t end = w->rows * (size_t)(i + 1) / (size_t)w->threads * RECORD;
    char *piece = floor_memory(PIECE), *buffers = floor_memory((size_t)w->buckets * w->buffer_bytes);

    for (int b = 0; b < w->buckets; b++) {
        struct pile *p = &w->piles[i][b];
        char path[4096];

        (void)snprintf(path, sizeof path, "%s.%d.%d", w->out_path, i, b);
        if ((p->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0 || unlink(path) != 0)
            floor_fail(path);
        p->buffer = buffers + (size_t)b * w->buffer_bytes;
    }
    for (size_t n; at < end; at += n) {
        n = end - at < PIECE ? end - at : PIECE;
        read_all(w->in, piece, n, at);
        for (const char *r = piece; r < piece + n; r += RECORD) {
            struct pile *p = &w->piles[i][w->bucket_of[range_of(r)]];

            if (p->waiting + RECORD > w->buffer_bytes)
                flush_pile(p);
            memcpy(p->buffer + p->waiting, r, RECORD);
            p->waiting += RECORD;
        }
    }
    for (int b = 0; b < w->buckets; b++)
        flush_pile(&w->piles[i][b]);
    (void)munmap(buffers, (size_t)w->buckets * w->buffer_bytes);
    (void)munmap(piece, PIECE);
}

static int
by_prefix(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;

    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Read a bucket, sort it as floor/sort does, write it where it belongs. */
static void
sort_bucket(struct work *w, int b, char *records, struct ref *refs, uint32_t *counts, char *out, size_t out_cap)
{
    size_t n = 0, used = 0, at = w->begin[b];
    uint32_t sum = 0;

    for (int i = 0; i < w->threads; n += w->piles[i][b].bytes, i++)
        read_all(w->piles[i][b].fd, records + n, w->piles[i][b].bytes, 0);
    memset(counts, 0, (RANGES + 1) * sizeof *counts);
    for (size_t r = 0; r < n; r += RECORD)
        counts[range_of(records + r)]++;
    for (int k = 0; k <= RANGES; k++) {
        uint32_t here = k < RANGES ? counts[k] : 0;

        counts[k] = sum;
        sum += here;
    }
    for (size_t r = 0; r < n; r += RECORD) {
        struct ref *to = &refs[counts[range_of(records + r)]++];

        memcpy(&to->prefix, records + r + 2, sizeof to->prefix);
        *to = (struct ref){ __builtin_bswap64(to->prefix), (uint32_t)(r / RECORD) };
    }
    for (int k = 0; k < RANGES; k++) {
        uint32_t from = k ? counts[k - 1] : 0;          /* counts[k] is where range k ends now */

        if (counts[k] - from > 1)
            qsort(refs + from, counts[k] - from, sizeof *refs, by_prefix);
    }
    for (size_t r = 0; r < n / RECORD; r++) {
        if (used + RECORD > out_cap) {
            write_all(w->out, out, used, at);
            at += used;
            used = 0;
        }
        memcpy(out + used, records + (size_t)refs[r].row * RECORD, RECORD);
        used += RECORD;
    }
    write_all(w->out, out, used, at);
}

static void
sort_part(void *arg, int i)
{
    struct work *w = arg;
    size_t out_cap = 4 << 20, largest = 0;
    char *records, *out = floor_memory(out_cap);
    uint32_t *counts = floor_memory((RANGES + 1) * sizeof *counts);
    struct ref *refs;

    (void)i;
    for (int b = 0; b < w->buckets; b++)
        if (w->begin[b + 1] - w->begin[b] > largest)
            largest = w->begin[b + 1] - w->begin[b];
    records = floor_memory(largest);
    refs = floor_memory(largest / RECORD * sizeof *refs);
    for (;;) {
        int b;

        (void)pthread_mutex_lock(&w->lock);             /* fails only for a bad one */
        b = w->next++;
        (void)pthread_mutex_unlock(&w->lock);
        if (b >= w->buckets)
            return;
        sort_bucket(w, b, records, refs, counts, out, out_cap);
    }
}

int
main(int argc, char **argv)
{
    static struct work w = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct stat st;
    size_t each;

    if (argc != 5 || (w.threads = (int)strtol(argv[1], NULL, 10)) < 1 || w.threads > THREADS_MAX ||
        (w.memory = (size_t)strtol(argv[4], NULL, 10) << 20) == 0)
        return 2;
    if ((w.in = open(argv[2], O_RDONLY | O_CLOEXEC)) < 0 || fstat(w.in, &st) != 0)
        floor_fail(argv[2]);
    w.out_path = argv[3];
    if ((w.out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        floor_fail(argv[3]);
    w.rows = (size_t)st.st_size / RECORD;
    each = w.memory / (size_t)w.threads / 3 * 2;        /* a third for references and buffers */
    w.buckets = (int)(w.rows * RECORD / each + 1);
    w.buckets = (w.buckets + w.threads - 1) / w.threads * w.threads;
    if (w.buckets > BUCKETS_MAX)
        return 2;
    w.buffer_bytes = w.memory / 4 / (size_t)(w.threads * w.buckets);
    if (w.buffer_bytes > 1 << 20)
        w.buffer_bytes = 1 << 20;
    if (w.buffer_bytes < RECORD)
        return 2;
    cut(&w);
    floor_run(deal_part, &w, w.threads);
    for (int b = 0; b < w.buckets; b++) {
        w.begin[b + 1] = w.begin[b];
        for (int i = 0; i < w.threads; i++)
            w.begin[b + 1] += w.piles[i][b].bytes;
    }
    floor_run(sort_part, &w, w.threads);
    return close(w.out) != 0;
}
