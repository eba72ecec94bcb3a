/*
 * scan -- a thread that reads every finalized replica once in a period and compares
 * it with its checksums, at a bounded rate.  What it finds is reported by the reading
 * code itself (send.h).  Replicas that could not be read, or that a reader or the NameNode
 * doubts, it verifies at once; the NameNode is told of those that are good.
 */
#ifndef DATANODE_SCAN_H
#define DATANODE_SCAN_H

#include "core/base/rc.h"
#include "core/proto/ids.h"
#include "datanode/dn.h"

enum rc dn_scan_start(struct dn *dn, struct dn_scan **ret, struct why *why) MUST_CHECK;
void dn_scan_stop(struct dn_scan *s);       /* waits, frees */
/* A reader or the NameNode has complained: verify this one next.  Forgotten when too many wait. */
void dn_scan_soon(struct dn_scan *s, struct block_id id);

/* Bytes a second that verify `bytes` within the period; never less than a slow disk does without being noticed. */
uint64_t dn_scan_rate(uint64_t bytes, uint64_t period_ms);

#endif
