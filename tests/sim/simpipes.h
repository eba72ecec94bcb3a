/*
 * simpipes -- struct pipes of a simulated node.
 *
 * Its descriptors have numbers of the machine, as files do, so that one process
 * can send them to another.  What a dead process had open is closed, and its
 * peers see that.
 */
#ifndef TESTS_SIM_SIMPIPES_H
#define TESTS_SIM_SIMPIPES_H

#include "tasktracker/pipes.h"
#include "tests/sim/simworld.h"

struct pipes *sim_node_pipes(struct sim_node *n);
/* n's from now on: a descriptor that it was born with. */
void sim_pipes_take(struct sim_node *n, int fd);

#endif
