/*
 * fold -- the declared folds, and the text of their values.
 */
#ifndef LIBMR_FOLD_H
#define LIBMR_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "libmr/mr.h"

/* Fold value into acc, both n bytes, unaligned.  n was checked with fold_fits. */
void fold_into(enum mr_fold fold, void *acc, const void *value, size_t n);

/* True when a value of n bytes can be folded: 8 bytes, or a whole number of doubles. */
bool fold_fits(enum mr_fold fold, size_t n);

/* What a folded value is, for the text writer. */
enum mr_value fold_value(enum mr_fold fold);

/* The value as text; bytes of a wrong length for their type are written as they are. */
void value_text(struct buf *out, enum mr_value type, struct mr_bytes value);

#endif
