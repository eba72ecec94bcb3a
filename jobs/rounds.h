/*
 * rounds.h -- what a driver leaves of its rounds: a table and a plot of the value that each of them reached.
 */
#ifndef JOBS_ROUNDS_H
#define JOBS_ROUNDS_H

#include "files.h"
#include "plot.h"

struct rounds {
    const char *round, *value;      /* "epoch", "loss": heads of the table, names of the axes */
    const char *meaning;            /* of the value, at its axis */
    const char *series;             /* the line's name */
    const double *values, *seconds;
    size_t n;
};

static inline void rounds_table(const void *arg, FILE *f)
{
    const struct rounds *r = arg;

    fprintf(f, "%s\t%s\tseconds\n", r->round, r->value);
    for (size_t i = 0; i < r->n; i++)
        fprintf(f, "%zu\t%.17g\t%.4f\n", i + 1, r->values[i], r->seconds[i]);
}

static inline void rounds_plot(const void *arg, FILE *f)
{
    const struct rounds *r = arg;
    double *x = calloc(r->n + 1, sizeof *x);
    struct plot p = { .x_name = r->round, .y_name = r->meaning, .count = 1 };
    char title[100];

    (void)snprintf(title, sizeof title, "%s by %s", r->value, r->round);
    title[0] = (char)(title[0] >= 'a' && title[0] <= 'z' ? title[0] - 'a' + 'A' : title[0]);
    p.title = title;
    for (size_t i = 0; x && i < r->n; i++)
        x[i] = (double)i + 1;
    p.series[0] = (struct plot_series){ r->series, x, r->values, x ? r->n : 0 };
    plot_write(&p, f);
    free(x);
}

/* DIRECTORY/VALUE.tsv and DIRECTORY/VALUE.svg; -1 after saying why. */
static inline int rounds_save(struct mr_driver *d, const char *directory, const struct rounds *r)
{
    char table[64], plot[64];

    (void)snprintf(table, sizeof table, "%s.tsv", r->value);
    (void)snprintf(plot, sizeof plot, "%s.svg", r->value);
    return files_save(d, directory, table, rounds_table, r) != 0 || files_save(d, directory, plot, rounds_plot, r) != 0 ? -1 : 0;
}

#endif
