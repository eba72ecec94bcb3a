#include "jobtracker/tracker.h"

#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"

struct jt_place *
jt_place_get(struct jt_place **places, const char *name, const char *rack)
{
    struct jt_place *p;

    HASH_FIND_STR(*places, name, p);
    if (p == NULL) {
        if ((p = mem_zalloc(sizeof *p)) == NULL)
            return NULL;
        if ((p->name = mem_strdup(name)) == NULL || (p->rack = mem_strdup("")) == NULL) {
            mem_free(p->name);
            mem_free(p);
            return NULL;
        }
        HASH_ADD_KEYPTR(hh, *places, p->name, strlen(p->name), p);
    }
    if (rack[0] != '\0' && strcmp(rack, p->rack) != 0) {
        char *fresh = mem_strdup(rack);

        if (fresh != NULL) {
            mem_free(p->rack);
            p->rack = fresh;
        }
    }
    return p;
}

void
jt_places_free(struct jt_place **places)
{
    struct jt_place *p, *after;

    HASH_ITER(hh, *places, p, after) {
        HASH_DEL(*places, p);
        mem_free(p->name);
        mem_free(p->rack);
        mem_free(p);
    }
}

struct jt_tracker *
jt_tracker_find(struct jt_tracker *trackers, const char *uuid)
{
    struct jt_tracker *t;

    HASH_FIND_STR(trackers, uuid, t);
    return t;
}

struct jt_tracker *
jt_tracker_add(struct jt_tracker **trackers, const char *uuid)
{
    struct jt_tracker *t = mem_zalloc(sizeof *t);

    if (t == NULL)
        return NULL;
    (void)snprintf(t->uuid, sizeof t->uuid, "%s", uuid);
    t->lost = true;
    t->next_seq = 1;
    HASH_ADD_STR(*trackers, uuid, t);
    return t;
}

void
jt_trackers_free(struct jt_tracker **trackers)
{
    struct jt_tracker *t, *after;

    HASH_ITER(hh, *trackers, t, after) {
        HASH_DEL(*trackers, t);
        jt_orders_clear(t);
        mem_free(t->host);
        mem_free(t->version);
        mem_free(t->tier);
        mem_free(t);
    }
}

void
jt_tracker_set_alive(struct jt_tracker *t, uint64_t epoch, struct jt_place *place)
{
    if (jt_tracker_is_alive(t))
        t->place->live_count--;
    t->epoch = epoch;
    t->lost = false;
    t->place = place;
    place->live_count++;
}

void
jt_tracker_set_lost(struct jt_tracker *t)
{
    if (jt_tracker_is_alive(t))
        t->place->live_count--;
    t->lost = true;
    t->epoch = 0;
    jt_orders_clear(t);
}

void
jt_order_add(struct jt_tracker *t, enum jt_order_kind kind, uint64_t job, bool is_map, uint32_t index, uint32_t attempt)
{
    struct jt_order *o;

    if (!jt_tracker_is_alive(t))
        return;
    if ((o = mem_zalloc(sizeof *o)) == NULL) {
        log_error("order_dropped", "tracker=%s reason=memory", t->uuid);
        t->epoch = 0;               /* it has to register, and then hears of everything again */
        t->place->live_count--;
        return;
    }
    o->seq = t->next_seq++;
    o->kind = kind;
    o->job = job;
    o->is_map = is_map;
    o->index = index;
    o->attempt = attempt;
    DL_APPEND(t->orders, o);
}

void
jt_orders_ack(struct jt_tracker *t, uint64_t last_seq)
{
    while (t->orders != NULL && t->orders->seq <= last_seq) {
        struct jt_order *o = t->orders;

        DL_DELETE(t->orders, o);
        mem_free(o);
    }
}

void
jt_orders_clear(struct jt_tracker *t)
{
    jt_orders_ack(t, UINT64_MAX);
}
