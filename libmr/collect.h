/*
 * collect -- a map's pairs in memory, until they are sorted and written.
 *
 * With a declared fold there is one entry a key, found by an open-addressing
 * table, and its value folds in place; without one every pair is kept, as it was
 * emitted, where it was emitted (collect_window).  In both forms the pairs lie in
 * one growing run of bytes, in the order of their first emission, but for short keys
 * with a number each, which lie in a table (short_table.h).  collect_sort orders
 * references to them by partition and key, equal keys as they were emitted.
 */
#ifndef LIBMR_COLLECT_H
#define LIBMR_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"
#include "libmr/fold.h"
#include "libmr/mr.h"
#include "libmr/short_table.h"

/* A collected pair: where it lies, its partition and the start of its key. */
struct collect_ref {
    uint64_t prefix;
    uint32_t at;                /* without a fold in bytes; else in units of 8, or with COLLECT_SHORT a slot of the short table */
    uint32_t part;
};

#define COLLECT_SHORT (UINT32_C(1) << 31)

/* Large memory of a collector without a fold, left for the next one: new pages cost as much as the copy into them. */
struct collect_memory {
    char *pairs;
    size_t cap;
    struct collect_ref *refs, *spare;
    size_t ref_cap;
};

void collect_memory_fini(struct collect_memory *m);     /* empty again */

struct collector {
    struct folding fold;
    bool short_keys;            /* the fold is of numbers, and keys are equal when their bytes are */
    size_t limit;               /* bytes of pairs and table before it is full */
    char *pairs;                /* as emitted; with a fold struct mr_pair, value, key, each padded to 8 bytes */
    size_t used, cap;
    uint64_t *slots;            /* hash and place of each key; 0 is empty (fold only) */
    size_t slot_count, count;   /* count: of pairs, short ones too */
    struct short_table small;
    struct collect_ref *refs, *spare;   /* after collect_sort: count references */
    size_t ref_cap;
};

enum collect_result { COLLECT_OK, COLLECT_FULL, COLLECT_BAD_VALUE, COLLECT_NOMEM };

/* by_bytes: keys have no other order than that of their bytes.  Takes what is in m, which may be NULL. */
void collect_init(struct collector *c, const struct folding *fold, bool by_bytes, size_t limit, struct collect_memory *m);
void collect_fini(struct collector *c, struct collect_memory *m);       /* m: keeps it; NULL: frees */
void collect_clear(struct collector *c);        /* empty; keeps its memory */

/* Next pair of a flat run of pairs: advances *p, returns its parts. */
static inline void
pair_get(const char **p, struct mr_bytes *key, struct mr_bytes *value)
{
    struct mr_pair head;

    memcpy(&head, *p, sizeof head);
    key->p = *p + sizeof head;
    key->n = head.key_len;
    value->p = key->p + key->n;
    value->n = head.value_len;
    *p = value->p + value->n;
}

/*
 * Without a fold: room for n bytes of pairs behind those that are collected, NULL when memory is short.  A run that
 * begins there is added without being copied.  Good until pairs are added from elsewhere or more room is asked for.
 */
char *collect_window(struct collector *c, size_t n);

/*
 * Add or fold the pairs of a flat run [*p, end), in order; *p moves behind those that were added, *ret_added says how
 * many.  COLLECT_FULL: the pair at *p has no room; sort, write and clear, then go on.  A single pair always fits an
 * empty collector.
 */
enum collect_result collect_add(struct collector *c, const char **p, const char *end, size_t *ret_added);

/* The pair that a reference means; fetch it ahead of that: its memory is anywhere. */
void collect_fetch(const struct collector *c, const struct collect_ref *ref);
void collect_get(const struct collector *c, const struct collect_ref *ref, struct mr_bytes *ret_key, struct mr_bytes *ret_value);

/*
 * Fill c->refs in order of (partition, key, emission).  part_of gives a key's partition; compare
 * NULL means by bytes.  RC_NOMEM.
 */
enum rc collect_sort(struct collector *c, uint32_t (*part_of)(void *arg, struct mr_bytes key), void *arg,
                     mr_compare_fn *compare);

/* The partition that a key with this mr_hash has by default. */
uint32_t collect_hash_part(uint64_t hash, uint32_t parts);

#endif
