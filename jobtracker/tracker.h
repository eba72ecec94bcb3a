/*
 * tracker -- TaskTrackers as the JobTracker knows them, and the orders they are to get.
 *
 * Owns: machines by name (places), trackers by uuid, each tracker's list of
 * orders not yet acknowledged.  Core thread only.  A tracker is durable (uuid,
 * name, host, port); that it is alive is not: a restart waits for it as long as for
 * one that fell silent.
 * Invariant: a place's live_count is the number of trackers there that are ALIVE
 * and have registered with this run of the JobTracker.
 */
#ifndef JOBTRACKER_TRACKER_H
#define JOBTRACKER_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/base/table.h"

struct jt_attempt;

/* A machine. */
struct jt_place {
    char *name;
    char *rack;                     /* "" unknown */
    uint32_t live_count;
    UT_hash_handle hh;
};

enum jt_order_kind { ORDER_RUN, ORDER_KILL, ORDER_MAP_DONE, ORDER_MAP_LOST, ORDER_FORGET_JOB, ORDER_FORGET_OUTPUT };

struct jt_order {
    uint64_t seq;
    enum jt_order_kind kind;
    uint64_t job;
    bool is_map;
    uint32_t index, attempt;
    struct jt_order *prev, *next;
};

struct jt_tracker {
    char uuid[37];
    char *host;                     /* as others reach it */
    char *version, *tier;
    struct jt_place *place;
    uint16_t shuffle_port, http_port;
    uint32_t map_slots, reduce_slots, maps_live, reduces_live;
    uint64_t epoch;                 /* 0: has not registered with this run */
    uint64_t seen_ms;               /* mono */
    bool lost;
    bool passed;                    /* in one round of assignment: nothing there for it */
    uint64_t failures;              /* attempts that failed there */
    uint64_t next_seq;
    uint64_t told_job;              /* whose description went out with an order last */
    struct jt_order *orders;        /* oldest first */
    struct jt_attempt *attempts;    /* live ones */
    UT_hash_handle hh;
};

/* The place called name, made if it is new; rack replaces what is known if it is not "".  NULL without memory. */
struct jt_place *jt_place_get(struct jt_place **places, const char *name, const char *rack);
void jt_places_free(struct jt_place **places);

struct jt_tracker *jt_tracker_find(struct jt_tracker *trackers, const char *uuid);
/* A new tracker, LOST until it registers.  NULL without memory. */
struct jt_tracker *jt_tracker_add(struct jt_tracker **trackers, const char *uuid);
void jt_trackers_free(struct jt_tracker **trackers);

/* Registered and not lost. */
static inline bool jt_tracker_is_alive(const struct jt_tracker *t) { return t->epoch != 0 && !t->lost; }
static inline uint32_t jt_tracker_free_slots(const struct jt_tracker *t, bool is_map)
{
    uint32_t slots = is_map ? t->map_slots : t->reduce_slots, live = is_map ? t->maps_live : t->reduces_live;

    return jt_tracker_is_alive(t) && live < slots ? slots - live : 0;
}

/* Set epoch and lost together, so that the place's count follows. */
void jt_tracker_set_alive(struct jt_tracker *t, uint64_t epoch, struct jt_place *place);
void jt_tracker_set_lost(struct jt_tracker *t);

/* Append an order; dropped in silence when memory is short, as a tracker that misses orders is told again when it
 * registers. */
void jt_order_add(struct jt_tracker *t, enum jt_order_kind kind, uint64_t job, bool is_map, uint32_t index,
                  uint32_t attempt);
void jt_orders_ack(struct jt_tracker *t, uint64_t last_seq);    /* forget those up to last_seq */
void jt_orders_clear(struct jt_tracker *t);

#endif
