#include "namenode/place.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

/* What a plan knows while it is being made. */
struct plan {
    const struct nn_nodes *t;
    const struct nn_place_ask *ask;
    struct rng *rng;
    bool *fits;                 /* for each node of t->all: may still be chosen */
    struct nn_storage **chosen;
    size_t chosen_count;
};

/* Which nodes a draw may take. */
struct filter {
    const char *rack;           /* NULL: any */
    bool other_rack;            /* not that rack, instead of that rack */
    bool other_machine;         /* not one that holds, or will hold, the block */
};

static bool among(const struct nn_node *n, struct nn_node *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == n)
            return true;
    return false;
}

static uint64_t storage_room(const struct nn_storage *s)
{
    return s->failed ? 0 : s->remaining;
}

/* The most that one storage of n takes. */
static uint64_t node_room(const struct nn_node *n)
{
    uint64_t most = 0;

    for (size_t i = 0; i < n->storage_count; i++)
        if (storage_room(n->storages[i]) > most)
            most = storage_room(n->storages[i]);
    return most;
}

/* "ADDRESS: what speaks against it", after a space or, behind another, "; ". */
PRINTF(3, 4) static bool
refuse(struct buf *refusals, const struct nn_node *n, const char *fmt, ...)
{
    char text[96];
    va_list ap;

    if (refusals == NULL)
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_printf(refusals, "%s %s: %s", refusals->n > 0 ? ";" : "", n->address, text);
    return false;
}

/* Does n fit at all?  Says why not. */
static bool node_fits(const struct nn_place_ask *ask, const struct nn_node *n, struct buf *refusals)
{
    uint64_t silent_s = ask->now_ms > n->heard_ms ? (ask->now_ms - n->heard_ms) / 1000 : 0;
    uint64_t room = node_room(n), need = ask->bytes > 0 ? ask->bytes : 1;

    if (!nn_node_is_live(n))
        return refuse(refusals, n, "%s, silent for %" PRIu64 " s",
                      n->registered ? "dead" : "not registered since the NameNode started", silent_s);
    if (among(n, ask->exclude, ask->exclude_count))
        return refuse(refusals, n, "excluded by the client");
    if (among(n, ask->have, ask->have_count))
        return refuse(refusals, n, "has a replica already");
    if (nn_node_is_stale(n, ask->now_ms, ask->stale_ms))
        return refuse(refusals, n, "stale, silent for %" PRIu64 " s", silent_s);
    if (n->admin != NN_NORMAL)
        return refuse(refusals, n, "%s", n->admin == NN_DECOMMISSIONED ? "decommissioned" : "being decommissioned");
    if (room < need)
        return refuse(refusals, n, "%" PRIu64 " bytes free, %" PRIu64 " needed", room, need);
    return true;
}

/* Free space over load; never 0 for a node that fits. */
static uint64_t node_weight(const struct nn_node *n)
{
    uint64_t mb = nn_node_space(n).remaining / MB;

    return (mb + 1) * 16 / (1 + n->transfers + n->planned) + 1;
}

/* The k-th node that holds or will hold the block. */
static const struct nn_node *holder(const struct plan *p, size_t k)
{
    return k < p->ask->have_count ? p->ask->have[k] : p->chosen[k - p->ask->have_count]->node;
}

static bool filter_takes(const struct plan *p, const struct filter *f, const struct nn_node *n)
{
    for (size_t k = 0; f->other_machine && k < p->ask->have_count + p->chosen_count; k++)
        if (strcmp(holder(p, k)->host_name, n->host_name) == 0)
            return false;
    return f->rack == NULL || (strcmp(f->rack, n->rack) == 0) != f->other_rack;
}

/* Draw a node that fits and passes the filter; NULL if there is none. */
static struct nn_node *draw(struct plan *p, const struct filter *f)
{
    uint64_t total = 0, at;

    for (size_t i = 0; i < p->t->count; i++)
        if (p->fits[i] && filter_takes(p, f, p->t->all[i]))
            total += node_weight(p->t->all[i]);
    at = rng_below(p->rng, total);
    for (size_t i = 0; i < p->t->count; i++) {
        if (!p->fits[i] || !filter_takes(p, f, p->t->all[i]))
            continue;
        if (at < node_weight(p->t->all[i]))
            return p->t->all[i];
        at -= node_weight(p->t->all[i]);
    }
    return NULL;
}

/* A storage of n that has room, drawn by free space. */
static struct nn_storage *draw_storage(struct plan *p, const struct nn_node *n)
{
    uint64_t total = 0, need = p->ask->bytes > 0 ? p->ask->bytes : 1, at;

    for (size_t i = 0; i < n->storage_count; i++)
        if (storage_room(n->storages[i]) >= need)
            total += storage_room(n->storages[i]) / MB + 1;
    at = rng_below(p->rng, total);
    for (size_t i = 0; i < n->storage_count; i++) {
        uint64_t weight = storage_room(n->storages[i]) / MB + 1;

        if (storage_room(n->storages[i]) < need)
            continue;
        if (at < weight)
            return n->storages[i];
        at -= weight;
    }
    return NULL;
}

static bool choose(struct plan *p, struct nn_node *n)
{
    struct nn_storage *s = n == NULL ? NULL : draw_storage(p, n);

    if (s == NULL)
        return false;
    p->chosen[p->chosen_count++] = s;
    for (size_t i = 0; i < p->t->count; i++)
        if (p->t->all[i] == n)
            p->fits[i] = false;
    return true;
}

static bool choose_next(struct plan *p)
{
    size_t holders = p->ask->have_count + p->chosen_count;
    struct filter f = { NULL, false, true };
    bool one_rack = true;

    for (size_t k = 1; k < holders; k++)
        one_rack = one_rack && strcmp(holder(p, k)->rack, holder(p, 0)->rack) == 0;
    if (holders == 1 || (holders > 1 && one_rack)) {
        f = (struct filter){ holder(p, 0)->rack, true, true };
    } else if (holders == 2) {          /* two racks: the third joins the second, not the writer's */
        f = (struct filter){ holder(p, 1)->rack, false, true };
    }
    if (choose(p, draw(p, &f)) || choose(p, draw(p, &(struct filter){ NULL, false, true })))
        return true;
    f.other_machine = false;            /* several DataNodes on one machine, and no other machine */
    return choose(p, draw(p, &f)) || choose(p, draw(p, &(struct filter){ NULL, false, false }));
}

/* Nodes that the client asked for by name. */
static void choose_favored(struct plan *p)
{
    for (size_t k = 0; k < p->ask->favor_count && p->chosen_count < p->ask->count; k++)
        for (size_t i = 0; i < p->t->count; i++) {
            const char *name = p->ask->favor[k];
            struct nn_node *n = p->t->all[i];

            if (p->fits[i] && (strcmp(name, n->host) == 0 || strcmp(name, n->host_name) == 0 ||
                               strcmp(name, n->address) == 0)) {
                (void)choose(p, n);     /* no room after all: the others do */
                break;
            }
        }
}

/* One of the nodes on the writer's machine, the least loaded. */
static void choose_writer(struct plan *p)
{
    struct nn_node *best = NULL;

    if (p->ask->writer == NULL || p->ask->have_count > 0 || p->chosen_count > 0)
        return;
    for (size_t i = 0; i < p->t->count; i++) {
        struct nn_node *n = p->t->all[i];

        if (!p->fits[i] || strcmp(n->host, p->ask->writer) != 0)
            continue;
        if (p->ask->not_writer) {
            p->fits[i] = false;
            continue;
        }
        /* Several nodes on one machine: take turns, so that a cluster on one machine is filled evenly. */
        if (best == NULL || node_weight(n) > node_weight(best) ||
            (node_weight(n) == node_weight(best) && rng_below(p->rng, 2) == 0))
            best = n;
    }
    if (best != NULL)
        (void)choose(p, best);          /* no room after all: the others do */
}

/* Put the writer's node back when nothing else was found. */
static void allow_writer(struct plan *p)
{
    for (size_t i = 0; i < p->t->count; i++) {
        bool taken = false;

        for (size_t k = 0; k < p->chosen_count; k++)
            taken = taken || p->chosen[k]->node == p->t->all[i];
        p->fits[i] = !taken && node_fits(p->ask, p->t->all[i], NULL);
    }
}

size_t nn_place_plan(const struct nn_nodes *t, const struct nn_place_ask *ask, struct rng *rng,
                     struct nn_storage **ret, struct buf *refusals)
{
    struct plan p = { .t = t, .ask = ask, .rng = rng, .chosen = ret };

    if (t->count == 0 || (p.fits = mem_calloc(t->count, sizeof *p.fits)) == NULL)
        return 0;
    for (size_t i = 0; i < t->count; i++)
        p.fits[i] = node_fits(ask, t->all[i], refusals);
    choose_favored(&p);
    if (p.chosen_count < ask->count)
        choose_writer(&p);
    while (p.chosen_count < ask->count && choose_next(&p))
        ;
    if (ask->not_writer && p.chosen_count == 0) {
        allow_writer(&p);
        while (p.chosen_count < ask->count && choose_next(&p))
            ;
    }
    mem_free(p.fits);
    return p.chosen_count;
}

unsigned nn_place_distance(const char *host, const char *rack, const char *node_host, const char *node_rack)
{
    if (host != NULL && strcmp(host, node_host) == 0)
        return 0;
    return rack != NULL && strcmp(rack, node_rack) == 0 ? 2 : 4;
}
