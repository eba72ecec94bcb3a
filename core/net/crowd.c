#include "core/net/crowd.h"

#include "core/base/table.h"

uint8_t
crowd_peer(const void *address, size_t n)
{
    const uint8_t *p = address;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);       /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return (uint8_t)(hash ^ hash >> 32);
}

void
crowd_add(struct crowd *c, struct crowd_entry *e, uint64_t now_ms)
{
    e->busy = e->leaving = false;
    e->since_ms = now_ms;
    DL_APPEND(c->entries, e);
    c->count++;
    c->of_peer[e->peer]++;
}

void
crowd_remove(struct crowd *c, struct crowd_entry *e)
{
    DL_DELETE(c->entries, e);
    c->count -= !e->leaving;
    c->of_peer[e->peer] -= !e->leaving;
}

void
crowd_step(struct crowd_entry *e, uint64_t now_ms)
{
    e->busy = true;
    e->since_ms = now_ms;
}

void
crowd_rest(struct crowd_entry *e, uint64_t now_ms)
{
    e->busy = false;
    e->since_ms = now_ms;
}

/* The one that may go first: not busy before busy, then of the peer with the most, then the one that waits longest. */
static struct crowd_entry *
first_to_go(struct crowd *c, const struct crowd_entry *fresh, uint64_t now_ms)
{
    struct crowd_entry *e, *best = NULL;
    size_t best_n = 0;

    DL_FOREACH(c->entries, e) {
        size_t n;

        if (e->leaving || e == fresh || (e->busy && now_ms - e->since_ms < c->stall_ms))
            continue;
        n = c->of_peer[e->peer];
        if (best == NULL || (best->busy && !e->busy) ||
            (best->busy == e->busy && (n > best_n || (n == best_n && e->since_ms < best->since_ms)))) {
            best = e;
            best_n = n;
        }
    }
    return best;
}

static struct crowd_entry *
leave(struct crowd *c, struct crowd_entry *e)
{
    if (e != NULL) {
        e->leaving = true;
        c->count--;
        c->of_peer[e->peer]--;
    }
    return e;
}

struct crowd_entry *
crowd_victim(struct crowd *c, const struct crowd_entry *fresh, uint64_t now_ms)
{
    struct crowd_entry *e, *victim;

    DL_FOREACH(c->entries, e)
        if (!e->leaving && !e->busy && now_ms - e->since_ms > c->request_ms)
            return leave(c, e);
    if (c->count <= c->max)
        return NULL;
    victim = first_to_go(c, fresh, now_ms);
    if (victim == NULL)
        DL_FOREACH(c->entries, e)
            if (e == fresh && !e->leaving)
                victim = e;
    return leave(c, victim);
}

struct crowd_entry *
crowd_make_room(struct crowd *c, uint64_t now_ms)
{
    return leave(c, first_to_go(c, NULL, now_ms));
}
