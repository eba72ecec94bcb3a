#include "namenode/periodic.h"

#include "core/conf/conf.h"
#include "namenode/core.h"

#define PERIODIC(NAME, name, period)                    \
    static uint64_t                                     \
    period_of_##name(const struct conf *conf)           \
    {                                                   \
        (void)conf;                                     \
        return (period);                                \
    }
#include "namenode/periodic.def"
#undef PERIODIC

const struct nn_periodic nn_periodic_rows[NN_PERIODIC_COUNT] = {
#define PERIODIC(NAME, name, period) [NN_PERIODIC_##NAME] = { #name, period_of_##name, nn_periodic_##name },
#include "namenode/periodic.def"
#undef PERIODIC
};

void
nn_periodic_hurry(struct nn_core *core, enum nn_periodic_id id)
{
    core->due_us[id] = 0;
}
