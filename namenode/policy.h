/*
 * policy -- storage policies that clients know by name.
 *
 * Files keep the policy that they were given; placement does not look at it.
 */
#ifndef NAMENODE_POLICY_H
#define NAMENODE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"

/* RC_ILLEGAL_ARGUMENT "Cannot find a block policy with the name ...". */
enum rc nn_policy_find(struct span name, uint32_t *ret_id, struct why *why) MUST_CHECK;

/* The erasure coding policy that stands for plain replicas. */
bool nn_policy_is_replication(struct span name);

#endif
