/*
 * bench_plot -- a bench as SVG: for each number of nodes a bar made of the parts of its time, and beside them the
 * speed-up over the number of nodes, with the ideal one.
 */
#ifndef LIBMR_BENCH_PLOT_H
#define LIBMR_BENCH_PLOT_H

#include <stdio.h>

#include "libmr/bench_parts.h"

struct bench_row {
    uint32_t nodes;
    const struct bench_run *run;    /* borrowed */
    double speed_up;
};

/* title is plain text.  Errors of out are out's. */
void bench_plot_write(FILE *out, const char *title, const struct bench_row *rows, size_t n);

#endif
