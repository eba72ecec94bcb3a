/*
 * verify -- what must always be true of the tables.
 *
 * Queries over the whole database: for tests, for the simulation, and for a
 * person who wants to know.  Not for a NameNode that serves.
 */
#ifndef NAMENODE_VERIFY_H
#define NAMENODE_VERIFY_H

#include "core/base/rc.h"
#include "namenode/db.h"

/* RC_CORRUPT with the first thing that is not as it must be, and where. */
enum rc nn_verify(struct nn_db *db, struct why *why) MUST_CHECK;

#endif
