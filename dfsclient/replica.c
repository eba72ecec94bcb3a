#include "dfsclient/replica.h"

static uint64_t
hash(const char *s)
{
    uint64_t h = UINT64_C(14695981039346656037);    /* FNV-1a */

    for (; *s != '\0'; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(1099511628211);
    return h;
}

void
replica_set_clear(struct replica_set *s)
{
    s->n = 0;
}

bool
replica_set_has(const struct replica_set *s, const char *node_uuid)
{
    uint64_t h = hash(node_uuid);

    for (size_t i = 0; i < s->n; i++)
        if (s->hashes[i] == h)
            return true;
    return false;
}

void
replica_set_add(struct replica_set *s, const char *node_uuid)
{
    if (s->n < REPLICA_SET_MAX && !replica_set_has(s, node_uuid))
        s->hashes[s->n++] = hash(node_uuid);
}

size_t
replica_left(const struct fs_location *l, size_t n, const struct replica_set *failed)
{
    size_t left = 0;

    for (size_t i = 0; i < n; i++)
        left += !replica_set_has(failed, l[i].node_uuid);
    return left;
}

int
replica_choose(const struct fs_location *l, size_t n, const struct replica_set *failed,
               const struct replica_set *suspects)
{
    int last_resort = -1;

    if (failed->n == REPLICA_SET_MAX)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (replica_set_has(failed, l[i].node_uuid))
            continue;
        if (!replica_set_has(suspects, l[i].node_uuid))
            return (int)i;
        if (last_resort < 0)
            last_resort = (int)i;
    }
    return last_resort;
}
