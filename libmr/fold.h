/*
 * fold -- the declared folds, and the text of their values.
 */
#ifndef LIBMR_FOLD_H
#define LIBMR_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/attr.h"
#include "core/base/buf.h"
#include "libmr/mr.h"

/* How a job's values become one. */
struct folding {
    enum mr_fold kind;
    mr_fold_fn *own;            /* MR_FOLD_OWN */
};

/* Fold value into acc, both n bytes; acc is aligned to 8, value need not be.  n was checked with fold_fits.  False without
 * memory. */
bool fold_into(const struct folding *f, void *acc, const void *value, size_t n) MUST_CHECK;

/* True when a value of n bytes can be folded: 8 bytes, or a whole number of doubles or struct mr_stats. */
bool fold_fits(enum mr_fold fold, size_t n);

/* What a folded value is, for the text writer. */
enum mr_value fold_value(enum mr_fold fold);

/* The value as text; bytes of a wrong length for their type are written as they are. */
void value_text(struct buf *out, enum mr_value type, struct mr_bytes value);

#endif
