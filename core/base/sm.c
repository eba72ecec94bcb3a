#include "core/base/sm.h"

#include <inttypes.h>

#include "core/base/check.h"
#include "core/base/log.h"

bool
sm_may(const struct sm_state *table, unsigned from, unsigned to)
{
    return from < 32 && to < 32 && (table[from].to & SM_BIT(to)) != 0;
}

void
sm_move(const struct sm_state *table, unsigned *state, unsigned to, const char *kind, uint64_t id)
{
    unsigned from = *state;

    if (!sm_may(table, from, to))
        log_error("illegal_move", "kind=%s id=%" PRIu64 " from=%s to=%s", kind, id, table[from].name, table[to].name);
    CHECK(sm_may(table, from, to));
    log_debug("moved", "kind=%s id=%" PRIu64 " from=%s to=%s", kind, id, table[from].name, table[to].name);
    *state = to;
}
