#include "core/base/near.h"

#include <stddef.h>
#include <string.h>

#define WORD_BYTES_MAX 127

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

unsigned
near_distance(const char *a, const char *b, unsigned cap)
{
    /* Rows of the table of distances between beginnings of a and b: the last, the one before it, the new one. */
    unsigned rows[3][WORD_BYTES_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2], *spare;
    size_t na = strlen(a), nb = strlen(b);

    if (na > WORD_BYTES_MAX || nb > WORD_BYTES_MAX)
        return cap;
    for (size_t k = 0; k <= nb; k++)
        last[k] = (unsigned)k;
    for (size_t i = 1; i <= na; i++) {
        now[0] = (unsigned)i;
        for (size_t k = 1; k <= nb; k++) {
            now[k] = least(last[k] + 1, now[k - 1] + 1, last[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1 < now[k])
                now[k] = before[k - 2] + 1;
        }
        spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[nb] < cap ? last[nb] : cap;
}
