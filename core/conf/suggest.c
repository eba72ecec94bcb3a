#include "core/conf/conf_priv.h"

#include <string.h>

#define KEY_BYTES_MAX 127

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

unsigned
conf_distance(const char *a, const char *b, unsigned cap)
{
    /* Rows of the table of distances between beginnings of a and b: the last, the one before it, the new one. */
    unsigned rows[3][KEY_BYTES_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2], *spare;
    size_t na = strlen(a), nb = strlen(b);

    if (na > KEY_BYTES_MAX || nb > KEY_BYTES_MAX)
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

const char *
conf_suggest(const char *key)
{
    unsigned best = 2 + (unsigned)strlen(key) / 8;      /* further than this is another key */
    const char *found = NULL;

    for (size_t i = 0; i < CONF_ROW_COUNT; i++) {
        unsigned d = conf_distance(key, conf_rows[i].key, best);

        if (d < best) {
            best = d;
            found = conf_rows[i].key;
        }
    }
    for (const struct conf_alias *a = conf_aliases; a->key != NULL; a++) {
        unsigned d = conf_distance(key, a->key, best);

        if (d < best) {
            best = d;
            found = a->now;
        }
    }
    return found;
}
