#include "libmr/fold.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/mem.h"
#include "libmr/decimal.h"

static void
fold_i64(enum mr_fold fold, void *acc, const void *value)
{
    int64_t a, v;

    memcpy(&a, acc, sizeof a);
    memcpy(&v, value, sizeof v);
    if (fold == MR_FOLD_SUM_I64)
        a = (int64_t)((uint64_t)a + (uint64_t)v);       /* wraps, as Java's long does */
    else if (fold == MR_FOLD_MIN_I64 ? v < a : v > a)
        a = v;
    memcpy(acc, &a, sizeof a);
}

static void
fold_f64(enum mr_fold fold, char *acc, const char *value, size_t n)
{
    double a, v;

    for (size_t i = 0; i + sizeof a <= n; i += sizeof a) {
        memcpy(&a, acc + i, sizeof a);
        memcpy(&v, value + i, sizeof v);
        if (fold == MR_FOLD_SUM_F64 || fold == MR_FOLD_SUM_VEC_F64)
            a += v;
        else if (fold == MR_FOLD_MIN_F64 ? v < a : v > a)
            a = v;
        memcpy(acc + i, &a, sizeof a);
    }
}

static void
fold_stats(char *acc, const char *value, size_t n)
{
    struct mr_stats a, v;

    for (size_t i = 0; i + sizeof a <= n; i += sizeof a) {
        memcpy(&a, acc + i, sizeof a);
        memcpy(&v, value + i, sizeof v);
        mr_stats_merge(&a, &v);
        memcpy(acc + i, &a, sizeof a);
    }
}

static bool
fold_own(mr_fold_fn *own, void *acc, const void *value, size_t n)
{
    uint64_t small[64], *copy = small;

    if ((uintptr_t)value % sizeof *small == 0) {
        own(acc, value, n);
        return true;
    }
    if (n > sizeof small && (copy = mem_alloc(n)) == NULL)
        return false;
    memcpy(copy, value, n);
    own(acc, copy, n);
    if (copy != small)
        mem_free(copy);
    return true;
}

bool
fold_into(const struct folding *f, void *acc, const void *value, size_t n)
{
    switch (f->kind) {
    case MR_FOLD_NONE:
        break;
    case MR_FOLD_SUM_I64:
    case MR_FOLD_MIN_I64:
    case MR_FOLD_MAX_I64:
        fold_i64(f->kind, acc, value);
        break;
    case MR_FOLD_SUM_F64:
    case MR_FOLD_MIN_F64:
    case MR_FOLD_MAX_F64:
    case MR_FOLD_SUM_VEC_F64:
        fold_f64(f->kind, acc, value, n);
        break;
    case MR_FOLD_STATS:
        fold_stats(acc, value, n);
        break;
    case MR_FOLD_OWN:
        return fold_own(f->own, acc, value, n);
    }
    return true;
}

bool
fold_fits(enum mr_fold fold, size_t n)
{
    switch (fold) {
    case MR_FOLD_SUM_VEC_F64:
        return n % sizeof(double) == 0;
    case MR_FOLD_STATS:
        return n % sizeof(struct mr_stats) == 0;
    case MR_FOLD_NONE:
    case MR_FOLD_OWN:
        return true;
    case MR_FOLD_SUM_I64:
    case MR_FOLD_MIN_I64:
    case MR_FOLD_MAX_I64:
    case MR_FOLD_SUM_F64:
    case MR_FOLD_MIN_F64:
    case MR_FOLD_MAX_F64:
        break;
    }
    return n == sizeof(int64_t);
}

enum mr_value
fold_value(enum mr_fold fold)
{
    switch (fold) {
    case MR_FOLD_NONE:
    case MR_FOLD_OWN:
        return MR_VALUE_BYTES;
    case MR_FOLD_SUM_I64:
    case MR_FOLD_MIN_I64:
    case MR_FOLD_MAX_I64:
        return MR_VALUE_I64;
    case MR_FOLD_SUM_F64:
    case MR_FOLD_MIN_F64:
    case MR_FOLD_MAX_F64:
        return MR_VALUE_F64;
    case MR_FOLD_SUM_VEC_F64:
        return MR_VALUE_VEC_F64;
    case MR_FOLD_STATS:
        return MR_VALUE_STATS;
    }
    return MR_VALUE_BYTES;
}

static void
double_text(struct buf *out, double v)
{
    char text[DECIMAL_TEXT];

    buf_put(out, text, decimal_write(v, text));
}

void
value_text(struct buf *out, enum mr_value type, struct mr_bytes value)
{
    int64_t i;
    double d;

    if (type == MR_VALUE_I64 && value.n == sizeof i) {
        memcpy(&i, value.p, sizeof i);
        buf_printf(out, "%" PRId64, i);
        return;
    }
    if ((type == MR_VALUE_F64 && value.n == sizeof d) || (type == MR_VALUE_VEC_F64 && value.n % sizeof d == 0) ||
        (type == MR_VALUE_STATS && value.n % sizeof(struct mr_stats) == 0)) {
        for (size_t at = 0; at < value.n; at += sizeof d) {
            if (at)
                buf_u8(out, ' ');
            memcpy(&d, value.p + at, sizeof d);
            double_text(out, d);
        }
        return;
    }
    buf_put(out, value.p, value.n);
}
