/*
 * sm -- state machines as const tables.
 *
 * A table has one row a state: its name and the set of states that may follow.
 * sm_move is the only code that changes a state: it CHECKs the move and logs it
 * at debug.
 */
#ifndef CORE_BASE_SM_H
#define CORE_BASE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define SM_BIT(state) (UINT32_C(1) << (state))

struct sm_state {
    const char *name;
    uint32_t to;        /* SM_BIT of each state that may follow */
};

bool sm_may(const struct sm_state *table, unsigned from, unsigned to);

/* Move *state to the state `to`; kind and id only name the thing in the log. */
void sm_move(const struct sm_state *table, unsigned *state, unsigned to, const char *kind, uint64_t id);

#endif
