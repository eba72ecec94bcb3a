/*
 * input -- a window that moves over the split being read.
 */
#ifndef LIBMR_INPUT_H
#define LIBMR_INPUT_H

#include "libmr/attempt.h"

/* a->line holds bytes [at, at + line.n) of the file of a->split. */
struct window {
    struct attempt *a;
    size_t split;
    uint64_t at;
    size_t pos;             /* next byte to use, in the window */
    size_t seen;            /* bytes of the window that hold no line end from pos on */
    bool at_eof;
    size_t batched;         /* records in a->batch */
};

/* Find the line at w->pos.  Its length without its end, and in *ret_whole with it; false at the end of the file. */
bool window_line(struct window *w, size_t *ret_len, size_t *ret_whole);
/* Each line of the split, without its end; good until the function returns.  header: not the split's first one. */
void window_lines(struct window *w, bool header, void (*line)(struct window *w, const char *p, size_t len));
/* Tell how far the map is, now and then. */
void window_report(const struct window *w);

/* The split as runs of rows, into job->columns (columns.c). */
void columns_run(struct window *w);

#endif
