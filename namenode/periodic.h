/*
 * periodic -- work that the core does now and then, one row each in periodic.c.
 *
 * A row's function runs on the core thread inside a group, like a call without
 * a caller: it may apply edits, which are undone together when it fails.  It is
 * bounded: what is left it does the next time.
 */
#ifndef NAMENODE_PERIODIC_H
#define NAMENODE_PERIODIC_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

struct nn_core;
struct conf;

enum nn_periodic_id {
#define PERIODIC(NAME, name, period) NN_PERIODIC_##NAME,
#include "namenode/periodic.def"
#undef PERIODIC
    NN_PERIODIC_COUNT,
};

struct nn_periodic {
    const char *name;
    uint64_t (*period_ms)(const struct conf *conf);
    enum rc (*fn)(struct nn_core *core, struct why *why);
};

extern const struct nn_periodic nn_periodic_rows[NN_PERIODIC_COUNT];

/* Run a row in the next group, which begins at once. */
void nn_periodic_hurry(struct nn_core *core, enum nn_periodic_id id);

#define PERIODIC(NAME, name, period) enum rc nn_periodic_##name(struct nn_core *core, struct why *why);
#include "namenode/periodic.def"
#undef PERIODIC

#endif
