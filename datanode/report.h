/*
 * report -- how the replicas of a storage are cut into ranges for a full report.
 *
 * Plain functions.  Ranges cover 0 .. UINT64_MAX; each has a hash over its
 * replicas, so that only the ranges in which the NameNode sees something else need
 * be sent.
 */
#ifndef DATANODE_REPORT_H
#define DATANODE_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "datanode/replica.h"

struct dn_range {
    uint64_t first, last;       /* ids, inclusive */
    size_t from, count;         /* replicas[from .. from + count) */
    uint64_t hash;
};

/* FNV-1a 64 over id, stamp, bytes and state (0 finalized, 1 being written), 8 little-endian bytes each. */
#define DN_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t dn_replica_hash(uint64_t hash, const struct dn_view *v);

/* How many ranges n replicas make, at most `each` of them in one; at least 1. */
size_t dn_range_count(size_t n, size_t each);
/* Cut replicas, sorted by id, into dn_range_count ranges. */
void dn_ranges(const struct dn_view *replicas, size_t n, size_t each, struct dn_range *ret);

/* The numbers that describe one replica on the wire; before: the id of the one before it, 0 for the first. */
void dn_replica_numbers(const struct dn_view *v, uint64_t before, uint64_t ret[3]);

#endif
