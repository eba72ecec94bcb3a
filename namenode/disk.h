/*
 * disk -- what to do when the disk of the database is full.
 *
 * A reserve file stands beside the database.  When the disk is (nearly) full it
 * is removed and only deletes are admitted; when there is room again it is made
 * anew and everything is.
 */
#ifndef NAMENODE_DISK_H
#define NAMENODE_DISK_H

#include <stdbool.h>

#include "core/base/rc.h"

struct nn_core;
struct nn;

/* At start: make the reserve; *ret_full when there is no room for it. */
enum rc nn_disk_reserve(struct nn *nn, bool *ret_full, struct why *why) MUST_CHECK;

/* The disk is full: give the reserve back. */
void nn_disk_release(struct nn_core *core);

#endif
