#include "libmr/short_table.h"

#include <string.h>

#include "core/base/mem.h"

#define FIRST_SLOTS 1024

void
short_fini(struct short_table *t)
{
    mem_free(t->slots);
    memset(t, 0, sizeof *t);
}

void
short_clear(struct short_table *t)
{
    t->count = 0;
    if (t->slots != NULL)
        memset(t->slots, 0, t->slot_count * sizeof *t->slots);
}

static size_t
slots_next(const struct short_table *t)
{
    return t->slot_count == 0 ? FIRST_SLOTS : t->count >= t->slot_count / 8 * 5 ? 2 * t->slot_count : t->slot_count;
}

size_t
short_bytes_next(const struct short_table *t)
{
    return slots_next(t) * sizeof *t->slots;
}

bool
short_room(struct short_table *t)
{
    struct short_table more = { .slot_count = slots_next(t), .count = t->count };

    if (more.slot_count == t->slot_count)
        return true;
    if ((more.slots = mem_calloc(more.slot_count, sizeof *more.slots)) == NULL)
        return false;
    mem_huge(more.slots, more.slot_count * sizeof *more.slots);
    for (size_t i = 0; i < t->slot_count; i++)
        if (t->slots[i].word != 0)
            *short_find(&more, t->slots[i].word, short_hash(t->slots[i].word)) = t->slots[i];
    mem_free(t->slots);
    *t = more;
    return true;
}
