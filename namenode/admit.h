/*
 * admit -- what is refused before a handler runs: calls of non-superusers that
 * need one, changes in safe mode or on a full disk.
 */
#ifndef NAMENODE_ADMIT_H
#define NAMENODE_ADMIT_H

#include "core/base/rc.h"

struct nn_core;
struct nn_reader;
struct rpc_call;

enum rc nn_admit_core(struct nn_core *core, const struct rpc_call *call, struct why *why) MUST_CHECK;
enum rc nn_admit_reader(struct nn_reader *r, const struct rpc_call *call, struct why *why) MUST_CHECK;

#endif
