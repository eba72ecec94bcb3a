/*
 * report -- comparing what a storage holds with what the roster says it holds.
 *
 * A full report comes as ranges of block ids with a hash each; only ranges that
 * differ are sent.  Plain functions: the roster's side is collected by the
 * caller.
 */
#ifndef NAMENODE_REPORT_H
#define NAMENODE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "core/proto/ids.h"

/* One replica of a storage, as it would report it. */
struct nn_held {
    struct block_id block;
    uint64_t stamp, bytes;
    bool writing;
    bool corrupt;           /* in the roster only: known to be bad, which no report says */
};

/* FNV-1a 64 over id, stamp, bytes, state (0 finalized, 1 being written), each as 8 little-endian bytes. */
#define NN_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t nn_held_hash(uint64_t hash, const struct nn_held *h);

/* A range as it is hashed by the roster's side, filled while its blocks pass by in ascending order. */
struct nn_range {
    uint64_t first, last;   /* inclusive */
    uint64_t count, hash;
};

/* RC_BAD_MESSAGE unless ranges[0..n) are in order and together cover 0 .. UINT64_MAX. */
enum rc nn_ranges_check(const struct nn_range *ranges, size_t n, struct why *why) MUST_CHECK;

/* Count h into the range that has it; *at is a cursor that starts at 0. */
void nn_ranges_add(struct nn_range *ranges, size_t n, size_t *at, const struct nn_held *h);

/*
 * What a report changes.  Both lists in ascending order of block.  on_gone: in
 * the roster, not in the report.  on_new: in the report, and not in the roster
 * or there with another stamp, length or state.  Replicas that are equal are
 * not mentioned.
 */
struct nn_report_events {
    void *arg;
    enum rc (*on_gone)(void *arg, const struct nn_held *was, struct why *why);
    enum rc (*on_new)(void *arg, const struct nn_held *is, struct why *why);
};
enum rc nn_report_diff(const struct nn_held *roster, size_t roster_count, const struct nn_held *report,
                       size_t report_count, const struct nn_report_events *events, struct why *why) MUST_CHECK;

/*
 * Decode the numbers of a report: three a replica (difference of id to the one
 * before, stamp, bytes * 2 + being written), into out[0..n/3).  RC_BAD_MESSAGE
 * when they are not in ascending order within first .. last.
 */
enum rc nn_report_decode(const uint64_t *numbers, size_t n, uint64_t first, uint64_t last, struct nn_held *out,
                         struct why *why) MUST_CHECK;

#endif
