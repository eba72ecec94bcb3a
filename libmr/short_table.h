/*
 * short_table -- folded values of 8 bytes by keys of 1 to 8 bytes, with both in the slot: a look-up is one cache line.
 *
 * Open addressing, at most five of eight slots used.  A key is a word (see short_word_of); keys that are none go
 * elsewhere.
 */
#ifndef LIBMR_SHORT_TABLE_H
#define LIBMR_SHORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libmr/mr.h"

/* On a little-endian machine the key's bytes are the first of word, in memory too. */
struct short_slot {
    uint64_t word;              /* 0: empty */
    uint64_t value;
};

struct short_table {
    struct short_slot *slots;
    size_t slot_count, count;
};

#define SHORT_LAST 56           /* the last byte of a word: a length up to 7, or the last byte of a key of 8 */

/*
 * The word of a key of n bytes, given its bytes with zeros behind them; 0 when it is none.  Keys of 8 bytes whose last
 * byte could be a length are none.
 */
static inline uint64_t
short_word_of(uint64_t bytes, size_t n)
{
    if (n == sizeof bytes)
        return bytes >> SHORT_LAST >= sizeof bytes ? bytes : 0;
    return n == 0 || n > sizeof bytes ? 0 : bytes | (uint64_t)n << SHORT_LAST;
}

static inline size_t
short_key_bytes(const struct short_slot *s)
{
    size_t last = s->word >> SHORT_LAST;

    return last < sizeof s->word ? last : sizeof s->word;
}

static inline struct mr_bytes
short_key(const struct short_slot *s)
{
    return (struct mr_bytes){ (const char *)&s->word, short_key_bytes(s) };
}

/* The first bytes of the key as seg_prefix has them. */
static inline uint64_t
short_prefix(const struct short_slot *s)
{
    uint64_t last = s->word >> SHORT_LAST;

    return __builtin_bswap64(last < sizeof last ? s->word & ((UINT64_C(1) << SHORT_LAST) - 1) : s->word);
}

static inline uint64_t
short_hash(uint64_t word)
{
    return mr_mix(word ^ UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xe7037ed1a0b428db));
}

void short_fini(struct short_table *t);
void short_clear(struct short_table *t);
/* Bytes of the table once it has one key more. */
size_t short_bytes_next(const struct short_table *t);
/* Room for one more key; false when memory is short. */
bool short_room(struct short_table *t);

/* The slot of a word: its own, or the empty one where it belongs; there must be room for one more key. */
static inline struct short_slot *
short_find(const struct short_table *t, uint64_t word, uint64_t hash)
{
    size_t i = hash & (t->slot_count - 1);

    while (t->slots[i].word != word && t->slots[i].word != 0)
        i = (i + 1) & (t->slot_count - 1);
    return &t->slots[i];
}

#endif
