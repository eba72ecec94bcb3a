#include "libmr/fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
fold_into(enum mr_fold fold, void *acc, const void *value, size_t n)
{
    int64_t ia, iv;
    double da, dv;

    switch (fold) {
    case MR_FOLD_NONE:
        return;
    case MR_FOLD_SUM_I64:
    case MR_FOLD_MIN_I64:
    case MR_FOLD_MAX_I64:
        memcpy(&ia, acc, sizeof ia);
        memcpy(&iv, value, sizeof iv);
        if (fold == MR_FOLD_SUM_I64)
            ia = (int64_t)((uint64_t)ia + (uint64_t)iv);    /* wraps, as Java's long does */
        else if (fold == MR_FOLD_MIN_I64 ? iv < ia : iv > ia)
            ia = iv;
        memcpy(acc, &ia, sizeof ia);
        return;
    case MR_FOLD_SUM_F64:
    case MR_FOLD_MIN_F64:
    case MR_FOLD_MAX_F64:
    case MR_FOLD_SUM_VEC_F64:
        for (size_t i = 0; i + sizeof da <= n; i += sizeof da) {
            memcpy(&da, (char *)acc + i, sizeof da);
            memcpy(&dv, (const char *)value + i, sizeof dv);
            if (fold == MR_FOLD_SUM_F64 || fold == MR_FOLD_SUM_VEC_F64)
                da += dv;
            else if (fold == MR_FOLD_MIN_F64 ? dv < da : dv > da)
                da = dv;
            memcpy((char *)acc + i, &da, sizeof da);
        }
        return;
    }
}

bool
fold_fits(enum mr_fold fold, size_t n)
{
    return fold == MR_FOLD_SUM_VEC_F64 ? n % sizeof(double) == 0 : n == sizeof(int64_t);
}

enum mr_value
fold_value(enum mr_fold fold)
{
    switch (fold) {
    case MR_FOLD_NONE:
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
    }
    return MR_VALUE_BYTES;
}

/* The shortest of 15, 16 and 17 digits that reads back the same (17 always does). */
static void
double_text(struct buf *out, double v)
{
    char text[40];

    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_put_str(out, text);
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
    if ((type == MR_VALUE_F64 && value.n == sizeof d) || (type == MR_VALUE_VEC_F64 && value.n % sizeof d == 0)) {
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
