/*
 * points -- CSV of numbers, parsed once into columns: what the iterative floors work on.
 */
#ifndef BENCH_POINTS_H
#define BENCH_POINTS_H

#include "floor.h"

#define COLUMNS 21              /* the label, then 20 coordinates */
#define TILE 1024               /* rows that are worked on at a time: their columns fit the second cache */

struct points {
    const char *text;
    size_t n, rows;
    int threads;
    size_t first[THREADS_MAX + 1];      /* row of each part */
    double *column[COLUMNS];
};

static inline void
points_count(void *arg, int i)
{
    struct points *p = arg;
    const char *at = p->text + floor_cut(p->text, p->n, i, p->threads);
    const char *end = p->text + floor_cut(p->text, p->n, i + 1, p->threads);
    size_t rows = 0;

    for (; at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        rows++;
    p->first[i + 1] = rows;
}

static inline void
points_parse(void *arg, int i)
{
    struct points *p = arg;
    const char *at = p->text + floor_cut(p->text, p->n, i, p->threads);

    for (size_t r = p->first[i]; r < p->first[i + 1]; r++)
        for (int c = 0; c < COLUMNS; c++, at++)
            p->column[c][r] = floor_number(&at);
}

static inline void
points_read(struct points *p, const char *path, int threads)
{
    p->threads = threads;
    p->text = floor_map(path, &p->n);
    floor_run(points_count, p, threads);
    for (int i = 0; i < threads; i++)
        p->first[i + 1] += p->first[i];
    p->rows = p->first[threads];
    for (int c = 0; c < COLUMNS; c++)
        p->column[c] = floor_memory((p->rows + 8) * sizeof(double));
    floor_run(points_parse, p, threads);
}

#endif
