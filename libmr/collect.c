#include "libmr/collect.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "libmr/seg.h"

#define UNIT 8
#define FIRST_SLOTS 4096
#define FOLD_AHEAD 32           /* pairs whose memory is fetched ahead */
#define AT_MAX ((size_t)UINT32_MAX * UNIT)

/* mr_hash of a key of 1 to 8 bytes, already loaded into a word with zeros above them. */
static uint64_t
hash_word(size_t n, uint64_t w)
{
    uint64_t h = mr_mix((n * UINT64_C(0x9e3779b97f4a7c15)) ^ w, UINT64_C(0xe7037ed1a0b428db));

    return mr_mix(h, UINT64_C(0x8ebc6af09c88c6e3));
}

/* The first n <= 8 bytes at p as a word; p has at least 8 that can be read. */
static uint64_t
short_word(const char *p, size_t n)
{
    uint64_t w;

    memcpy(&w, p, UNIT);
    return n == UNIT ? w : w & ((UINT64_C(1) << 8 * n) - 1);
}

uint32_t
collect_hash_part(uint64_t hash, uint32_t parts)
{
    return (uint32_t)((hash >> 32) * parts >> 32);
}

void
collect_init(struct collector *c, const struct folding *fold, size_t limit)
{
    memset(c, 0, sizeof *c);
    c->fold = *fold;
    c->limit = limit < AT_MAX ? limit : AT_MAX;
}

void
collect_fini(struct collector *c)
{
    mem_free(c->pairs);
    mem_free(c->slots);
    mem_free(c->refs);
    mem_free(c->spare);
    memset(c, 0, sizeof *c);
}

void
collect_clear(struct collector *c)
{
    c->used = 0;
    c->count = 0;
    if (c->slots)
        memset(c->slots, 0, c->slot_count * sizeof *c->slots);
}

static size_t
padded(size_t n)
{
    return (n + UNIT - 1) / UNIT * UNIT;
}

static size_t
pair_bytes(size_t key_len, size_t value_len)
{
    return sizeof(struct mr_pair) + padded(value_len) + padded(key_len);
}

static void
pair_at(const struct collector *c, uint32_t at, struct mr_bytes *key, struct mr_bytes *value)
{
    const char *p = c->pairs + (size_t)at * UNIT;
    struct mr_pair head;

    memcpy(&head, p, sizeof head);
    value->p = p + sizeof head;
    value->n = head.value_len;
    key->p = value->p + padded(head.value_len);
    key->n = head.key_len;
}

void
collect_get(const struct collector *c, const struct collect_ref *ref, struct mr_bytes *ret_key, struct mr_bytes *ret_value)
{
    pair_at(c, ref->at, ret_key, ret_value);
}

/* Room for n more bytes of pairs. */
static bool
grow_pairs(struct collector *c, size_t n)
{
    size_t cap = c->cap ? c->cap : 256 * KB;
    char *p;

    if (n <= c->cap - c->used)
        return true;
    while (cap - c->used < n)
        cap *= 2;
    if ((p = mem_realloc(c->pairs, cap)) == NULL)
        return false;
    c->pairs = p;
    c->cap = cap;
    return true;
}

static bool
append(struct collector *c, struct mr_bytes key, struct mr_bytes value, uint32_t *ret_at)
{
    size_t n = pair_bytes(key.n, value.n);
    struct mr_pair head = { (uint32_t)key.n, (uint32_t)value.n };
    char *p;

    if (!grow_pairs(c, n))
        return false;
    p = c->pairs + c->used;
    *ret_at = (uint32_t)(c->used / UNIT);
    memcpy(p, &head, sizeof head);
    memcpy(p + sizeof head, value.p, value.n);
    p += sizeof head + padded(value.n);
    if (padded(key.n) > key.n)
        memset(p + padded(key.n) - UNIT, 0, UNIT);      /* same_key compares words */
    memcpy(p, key.p, key.n);
    c->used += n;
    c->count++;
    return true;
}

/* Twice as many slots.  A slot holds the hash's upper half and place + 1; the lower half is found by hashing again. */
static bool
grow_slots(struct collector *c)
{
    size_t n = c->slot_count ? 2 * c->slot_count : FIRST_SLOTS;
    uint64_t *slots = mem_calloc(n, sizeof *slots);
    struct mr_bytes key, value;

    if (slots == NULL)
        return false;
    for (size_t i = 0; i < c->slot_count; i++) {
        uint64_t h;
        size_t to;

        if (c->slots[i] == 0)
            continue;
        pair_at(c, (uint32_t)c->slots[i] - 1, &key, &value);
        h = mr_hash(key.p, key.n);
        for (to = h & (n - 1); slots[to]; to = (to + 1) & (n - 1))
            ;
        slots[to] = c->slots[i];
    }
    mem_free(c->slots);
    c->slots = slots;
    c->slot_count = n;
    return true;
}

/* A pair on its way into the table. */
struct incoming {
    struct mr_bytes key, value;
    uint64_t hash;
    uint64_t word;          /* of a key of up to 8 bytes */
};

static bool
same_key(const struct incoming *in, struct mr_bytes k)
{
    uint64_t w;

    if (k.n != in->key.n)
        return false;
    if (k.n > UNIT)
        return memcmp(k.p, in->key.p, k.n) == 0;
    if (k.n == 0)
        return true;
    memcpy(&w, k.p, UNIT);
    return w == in->word;
}

static enum collect_result
fold_add(struct collector *c, const struct incoming *in)
{
    uint64_t tag = in->hash & ~(uint64_t)UINT32_MAX;
    struct mr_bytes k, v;
    uint32_t at;
    size_t i;

    if (!fold_fits(c->fold.kind, in->value.n))
        return COLLECT_BAD_VALUE;
    if (c->count * 2 >= c->slot_count && !grow_slots(c))
        return COLLECT_NOMEM;
    for (i = in->hash & (c->slot_count - 1); c->slots[i]; i = (i + 1) & (c->slot_count - 1)) {
        if ((c->slots[i] & ~(uint64_t)UINT32_MAX) != tag)
            continue;
        pair_at(c, (uint32_t)c->slots[i] - 1, &k, &v);
        if (same_key(in, k)) {
            if (v.n != in->value.n)
                return COLLECT_BAD_VALUE;
            return fold_into(&c->fold, c->pairs + (v.p - c->pairs), in->value.p, v.n) ? COLLECT_OK : COLLECT_NOMEM;
        }
    }
    if (c->count && c->used + pair_bytes(in->key.n, in->value.n) + c->slot_count * sizeof *c->slots > c->limit)
        return COLLECT_FULL;
    if (!append(c, in->key, in->value, &at))
        return COLLECT_NOMEM;
    c->slots[i] = tag | (at + 1);
    return COLLECT_OK;
}

/* The pair at *p, with its hash.  readable: bytes from *p on that may be read. */
static void
take(const char **p, size_t readable, struct incoming *in)
{
    struct mr_pair head;

    memcpy(&head, *p, sizeof head);
    in->key = (struct mr_bytes){ *p + sizeof head, head.key_len };
    in->value = (struct mr_bytes){ in->key.p + head.key_len, head.value_len };
    *p = in->value.p + head.value_len;
    in->word = 0;
    if (head.key_len > UNIT || head.key_len == 0 || readable < sizeof head + UNIT) {
        in->hash = mr_hash(in->key.p, in->key.n);
        if (head.key_len <= UNIT)
            memcpy(&in->word, in->key.p, in->key.n);
    } else {
        in->word = short_word(in->key.p, in->key.n);
        in->hash = hash_word(in->key.n, in->word);
    }
}

/* Look-ups in a table larger than the caches wait for memory: some pairs at a time are hashed, then all their slots
 * fetched, then all their entries, and only then folded, in order. */
static enum collect_result
fold_run(struct collector *c, const char **p, const char *end, size_t *added)
{
    struct incoming in[FOLD_AHEAD];
    enum collect_result r = COLLECT_OK;
    const char *at = *p;
    size_t n = 0, done = 0;

    while (n < FOLD_AHEAD && at < end) {
        take(&at, (size_t)(end - at), &in[n]);
        if (c->slot_count)
            __builtin_prefetch(&c->slots[in[n].hash & (c->slot_count - 1)]);
        n++;
    }
    for (size_t i = 0; c->slot_count && i < n; i++) {
        uint64_t slot = c->slots[in[i].hash & (c->slot_count - 1)];

        if (slot)
            __builtin_prefetch(c->pairs + (size_t)((uint32_t)slot - 1) * UNIT);
    }
    while (done < n && (r = fold_add(c, &in[done])) == COLLECT_OK)
        done++;
    *added += done;
    *p = done < n ? in[done].key.p - sizeof(struct mr_pair) : at;
    return r;
}

enum collect_result
collect_add(struct collector *c, const char **p, const char *end, size_t *ret_added)
{
    enum collect_result r = COLLECT_OK;
    struct mr_bytes key, value;
    uint32_t at;

    *ret_added = 0;
    while (r == COLLECT_OK && *p < end) {
        const char *next = *p;

        if (c->fold.kind != MR_FOLD_NONE) {
            r = fold_run(c, p, end, ret_added);
            continue;
        }
        pair_get(&next, &key, &value);
        if (c->count && c->used + pair_bytes(key.n, value.n) + c->count * sizeof *c->refs > c->limit)
            return COLLECT_FULL;
        if (!append(c, key, value, &at))
            return COLLECT_NOMEM;
        *p = next;
        ++*ret_added;
    }
    return r;
}

/* Order within a run of one partition whose prefixes are equal (or, with compare, of any). */
struct run_order {
    const struct collector *c;
    mr_compare_fn *compare;
};

static int
order_refs(const void *a, const void *b, void *arg)
{
    const struct collect_ref *ra = a, *rb = b;
    const struct run_order *o = arg;
    struct mr_bytes ka, kb, v;
    int c;

    pair_at(o->c, ra->at, &ka, &v);
    pair_at(o->c, rb->at, &kb, &v);
    c = o->compare ? o->compare(ka, kb) : seg_compare(ka, kb);
    return c ? c : (ra->at > rb->at) - (ra->at < rb->at);
}

/* One stable pass of a radix sort over byte `shift / 8` of the prefix (or of part when of_part). */
static void
radix_pass(const struct collect_ref *from, struct collect_ref *to, size_t n, unsigned shift, bool of_part,
           size_t counts[256])
{
    size_t sum = 0;

    for (unsigned b = 0; b < 256; b++) {
        size_t k = counts[b];

        counts[b] = sum;
        sum += k;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned b = (unsigned)((of_part ? from[i].part : from[i].prefix) >> shift) & 255;

        to[counts[b]++] = from[i];
    }
}

static void
radix_sort(struct collector *c)
{
    for (unsigned digit = 0; digit < 12; digit++) {
        bool of_part = digit >= 8;
        unsigned shift = of_part ? (digit - 8) * 8 : digit * 8;
        size_t counts[256] = { 0 };
        struct collect_ref *swap;

        for (size_t i = 0; i < c->count; i++)
            counts[(unsigned)((of_part ? c->refs[i].part : c->refs[i].prefix) >> shift) & 255]++;
        if (counts[(unsigned)((of_part ? c->refs[0].part : c->refs[0].prefix) >> shift) & 255] == c->count)
            continue;       /* all the same */
        radix_pass(c->refs, c->spare, c->count, shift, of_part, counts);
        swap = c->refs;
        c->refs = c->spare;
        c->spare = swap;
    }
}

static bool
make_refs(struct collector *c, uint32_t (*part_of)(void *arg, struct mr_bytes key), void *arg, bool prefixes)
{
    size_t at = 0, n = 0;

    if (c->count > c->ref_cap) {
        mem_free(c->refs);
        mem_free(c->spare);
        c->ref_cap = c->count;
        c->refs = mem_calloc(c->count, sizeof *c->refs);
        c->spare = mem_calloc(c->count, sizeof *c->spare);
        if (c->refs == NULL || c->spare == NULL) {
            c->ref_cap = 0;
            return false;
        }
    }
    while (at < c->used) {
        struct mr_bytes key, value;

        pair_at(c, (uint32_t)(at / UNIT), &key, &value);
        c->refs[n].at = (uint32_t)(at / UNIT);
        c->refs[n].part = part_of(arg, key);
        c->refs[n].prefix = prefixes ? seg_prefix(key) : 0;
        n++;
        at += pair_bytes(key.n, value.n);
    }
    CHECK(n == c->count);
    return true;
}

enum rc
collect_sort(struct collector *c, uint32_t (*part_of)(void *arg, struct mr_bytes key), void *arg, mr_compare_fn *compare)
{
    struct run_order order = { c, compare };
    size_t start = 0;

    if (c->count == 0)
        return RC_OK;
    if (!make_refs(c, part_of, arg, compare == NULL))
        return RC_NOMEM;
    radix_sort(c);
    for (size_t i = 1; i <= c->count; i++) {
        if (i < c->count && c->refs[i].part == c->refs[start].part && c->refs[i].prefix == c->refs[start].prefix)
            continue;
        if (i - start > 1)
            qsort_r(c->refs + start, i - start, sizeof *c->refs, order_refs, &order);
        start = i;
    }
    return RC_OK;
}
