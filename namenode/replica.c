#include "namenode/replica.h"

#include <string.h>

struct nn_replica *nn_replicas_find(struct nn_replicas *list, uint32_t storage)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->r[i].storage == storage)
            return &list->r[i];
    return NULL;
}

bool nn_replicas_put(struct nn_replicas *list, const struct nn_replica *r)
{
    struct nn_replica *old = nn_replicas_find(list, r->storage);

    if (old != NULL) {
        if (old->state == r->state && old->stamp == r->stamp && old->bytes == r->bytes)
            return false;
        *old = *r;
        return true;
    }
    if (list->n == NN_REPLICAS_MAX)
        return false;
    list->r[list->n++] = *r;
    return true;
}

bool nn_replicas_remove(struct nn_replicas *list, uint32_t storage)
{
    struct nn_replica *r = nn_replicas_find(list, storage);

    if (r == NULL)
        return false;
    memmove(r, r + 1, (size_t)(list->r + list->n - (r + 1)) * sizeof *r);
    list->n--;
    return true;
}

void nn_replicas_pack(const struct nn_replicas *list, struct buf *b)
{
    for (size_t i = 0; i < list->n; i++) {
        buf_varint(b, (uint64_t)list->r[i].storage << 2 | (uint64_t)list->r[i].state);
        buf_varint(b, list->r[i].stamp);
        buf_varint(b, list->r[i].bytes);
    }
}

enum rc nn_replicas_unpack(const void *p, size_t n, struct nn_replicas *ret, struct why *why)
{
    struct rd rd;

    rd_init(&rd, p, n);
    ret->n = 0;
    while (rd.left > 0 && !rd.bad) {
        uint64_t head = rd_varint(&rd), stamp = rd_varint(&rd), bytes = rd_varint(&rd);

        if (rd.bad || ret->n == NN_REPLICAS_MAX || head >> 2 > UINT32_MAX)
            return why_set(why, RC_CORRUPT, "roster: a list of replicas is damaged");
        ret->r[ret->n++] = (struct nn_replica){ .storage = (uint32_t)(head >> 2),
                                                .state = (enum nn_replica_state)(head & 3),
                                                .stamp = stamp, .bytes = bytes };
    }
    if (rd.bad)
        return why_set(why, RC_CORRUPT, "roster: a list of replicas is damaged");
    return RC_OK;
}
