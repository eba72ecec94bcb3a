#include "tests/sim/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char letters[PLAN_PARTS + 1] = "focj";

bool
plan_init(struct plan *p, uint64_t seed, const char *text)
{
    memset(p, 0, sizeof *p);
    p->seed = seed;
    while (text != NULL && *text != '\0') {
        const char *letter = strchr(letters, *text);
        unsigned long from, to;
        char *end;

        if (letter == NULL)
            return false;
        from = to = strtoul(text + 1, &end, 10);
        if (end == text + 1)
            return false;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        if (to >= PLAN_ITEMS_MAX || (*end != ',' && *end != '\0'))
            return false;
        for (; from <= to; from++)
            p->out[letter - letters][from] = true;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

void
plan_text(const struct plan *p, char out[PLAN_TEXT])
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t part = 0; part < PLAN_PARTS; part++)
        for (size_t i = 0; i < PLAN_ITEMS_MAX && n < PLAN_TEXT; i++) {
            size_t from = i;

            if (!p->out[part][i])
                continue;
            while (i + 1 < PLAN_ITEMS_MAX && p->out[part][i + 1])
                i++;
            n += (size_t)snprintf(out + n, PLAN_TEXT - n, from == i ? "%s%c%zu" : "%s%c%zu-%zu", n > 0 ? "," : "",
                                  letters[part], from, i);
        }
}

bool
plan_take(struct plan *p, enum plan_part part, size_t item, struct rng_seeded *ret_rng)
{
    rng_seed(ret_rng, (p->seed * PLAN_PARTS + part) * UINT64_C(0x9e3779b97f4a7c15) + item);
    if (item >= PLAN_ITEMS_MAX)
        return true;
    if (item >= p->used[part])
        p->used[part] = item + 1;
    return !p->out[part][item];
}
