#include "core/conf/conf_priv.h"

#include <string.h>

#include "core/base/near.h"

const char *
conf_suggest(const char *key)
{
    unsigned best = 2 + (unsigned)strlen(key) / 8;      /* further than this is another key */
    const char *found = NULL;

    for (size_t i = 0; i < CONF_ROW_COUNT; i++) {
        unsigned d = near_distance(key, conf_rows[i].key, best);

        if (d < best) {
            best = d;
            found = conf_rows[i].key;
        }
    }
    for (const struct conf_alias *a = conf_aliases; a->key != NULL; a++) {
        unsigned d = near_distance(key, a->key, best);

        if (d < best) {
            best = d;
            found = a->now;
        }
    }
    return found;
}
