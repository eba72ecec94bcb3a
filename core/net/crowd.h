/*
 * crowd -- the connections of a server that has a thread for each, and which of
 * them has to go when there are too many.
 *
 * Plain decisions over a list: no sockets, clock or threads.  Entries belong to
 * the caller.  A crowd that holds connections open without a request, or that
 * does not read its answers, costs itself and not the others: the connection
 * that came last always gets in, and among those that may go the first is of
 * whoever has the most of them.
 */
#ifndef CORE_NET_CROWD_H
#define CORE_NET_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"

struct crowd_entry {
    int sock;                       /* for the caller */
    uint8_t peer;                   /* of its address: crowd_peer */
    bool busy;                      /* a request is here, its answer not yet gone */
    bool leaving;                   /* was told to go */
    uint64_t since_ms;              /* not busy: since when no whole request has come; busy: of its last step forward */
    struct crowd_entry *prev, *next;
};

struct crowd {
    struct crowd_entry *entries;
    size_t count;                   /* without those that leave */
    size_t of_peer[256];            /* the same for each peer */
    size_t max;
    uint64_t request_ms;            /* a request takes at most so long to come; FOREVER */
    uint64_t stall_ms;              /* busy and without a step forward for so long, it may go for another; FOREVER */
};

/* A number for an address; peers with the same one count as one. */
uint8_t crowd_peer(const void *address, size_t n);
void crowd_add(struct crowd *c, struct crowd_entry *e, uint64_t now_ms);
void crowd_remove(struct crowd *c, struct crowd_entry *e);
/* A request or its answer went a step forward. */
void crowd_step(struct crowd_entry *e, uint64_t now_ms);
/* The answer is gone. */
void crowd_rest(struct crowd_entry *e, uint64_t now_ms);

/*
 * Who has to go now, marked as leaving; NULL when nobody.  Asked again until it
 * says NULL.  `fresh`, the one that came last, goes only when nobody else may.
 */
struct crowd_entry *crowd_victim(struct crowd *c, const struct crowd_entry *fresh, uint64_t now_ms);

/* The same whatever max says: who may go for somebody who is not in the crowd yet. */
struct crowd_entry *crowd_make_room(struct crowd *c, uint64_t now_ms);

#endif
