#include "libmr/collect.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "libmr/seg.h"

#define UNIT 8
#define FIRST_SLOTS 4096
#define CACHE_LINE 64
#define DIGITS 4                /* of 8 bits, sorted at a time */
#define CACHED ((size_t)32768)  /* so many references or more are dealt out before they are sorted */
#define RUN_SHORT 16            /* references that are ordered by insertion */
#define RUN_LONG 4096           /* by radix again */
#define FOLD_AHEAD 64           /* pairs whose memory is fetched ahead */
#define AT_MAX ((size_t)COLLECT_SHORT * UNIT)
#define FLAT_MAX ((size_t)UINT32_MAX)
#define GROW_MAX (4 * MB)       /* pairs that grow beyond this get all that they may need */
#define FLAT_SLACK (1 * MB)     /* emitted, but not yet collected */

/* The first n <= 8 bytes at p as a word; p has at least 8 that can be read. */
static uint64_t
short_word(const char *p, size_t n)
{
    uint64_t w;

    memcpy(&w, p, UNIT);
    return n >= UNIT ? w : w & ((UINT64_C(1) << 8 * n) - 1);
}

uint32_t
collect_hash_part(uint64_t hash, uint32_t parts)
{
    return (uint32_t)((hash >> 32) * parts >> 32);
}

/* Every pair is kept as it was emitted. */
static bool
is_flat(const struct collector *c)
{
    return c->fold.kind == MR_FOLD_NONE;
}

void
collect_memory_fini(struct collect_memory *m)
{
    mem_free(m->pairs);
    mem_free(m->refs);
    mem_free(m->spare);
    *m = (struct collect_memory){ .cap = 0 };
}

void
collect_init(struct collector *c, const struct folding *fold, bool by_bytes, size_t limit, struct collect_memory *m)
{
    size_t most = fold->kind == MR_FOLD_NONE ? FLAT_MAX : AT_MAX;

    memset(c, 0, sizeof *c);
    c->fold = *fold;
    c->short_keys = by_bytes && fold->kind >= MR_FOLD_SUM_I64 && fold->kind <= MR_FOLD_MAX_F64;
    c->limit = limit < most ? limit : most;
    if (m != NULL && is_flat(c)) {
        c->pairs = m->pairs;
        c->cap = m->cap;
        c->refs = m->refs;
        c->spare = m->spare;
        c->ref_cap = m->ref_cap;
        *m = (struct collect_memory){ .cap = 0 };
    }
}

void
collect_fini(struct collector *c, struct collect_memory *m)
{
    struct collect_memory left = { c->pairs, c->cap, c->refs, c->spare, c->ref_cap };

    if (m != NULL && is_flat(c) && c->cap <= c->limit + FLAT_SLACK)
        *m = left;
    else
        collect_memory_fini(&left);
    mem_free(c->slots);
    short_fini(&c->small);
    memset(c, 0, sizeof *c);
}

void
collect_clear(struct collector *c)
{
    c->used = 0;
    c->count = 0;
    if (c->slot_count * sizeof *c->slots + c->small.slot_count * sizeof *c->small.slots > c->limit / 2) {
        /* What comes now may need the other table: begin small, or there is room for a pair or two only. */
        mem_free(c->slots);
        c->slots = NULL;
        c->slot_count = 0;
        short_fini(&c->small);
        return;
    }
    if (c->slots)
        memset(c->slots, 0, c->slot_count * sizeof *c->slots);
    short_clear(&c->small);
}

static size_t
padded(size_t n)
{
    return (n + UNIT - 1) / UNIT * UNIT;
}

/* Of a pair in a collector that folds. */
static size_t
pair_bytes(size_t key_len, size_t value_len)
{
    return sizeof(struct mr_pair) + padded(value_len) + padded(key_len);
}

static void
pair_at(const struct collector *c, uint32_t at, struct mr_bytes *key, struct mr_bytes *value)
{
    const char *p;
    struct mr_pair head;

    if (is_flat(c)) {
        p = c->pairs + at;
        pair_get(&p, key, value);
        return;
    }
    p = c->pairs + (size_t)at * UNIT;
    memcpy(&head, p, sizeof head);
    value->p = p + sizeof head;
    value->n = head.value_len;
    key->p = value->p + padded(head.value_len);
    key->n = head.key_len;
}

static void
ref_at(const struct collector *c, uint32_t at, struct mr_bytes *key, struct mr_bytes *value)
{
    const struct short_slot *s;

    if (is_flat(c) || !(at & COLLECT_SHORT)) {
        pair_at(c, at, key, value);
        return;
    }
    s = &c->small.slots[at & ~COLLECT_SHORT];
    *key = short_key(s);
    *value = (struct mr_bytes){ (const char *)&s->value, sizeof s->value };
}

void
collect_get(const struct collector *c, const struct collect_ref *ref, struct mr_bytes *ret_key, struct mr_bytes *ret_value)
{
    ref_at(c, ref->at, ret_key, ret_value);
}

void
collect_fetch(const struct collector *c, const struct collect_ref *ref)
{
    if (is_flat(c)) {
        __builtin_prefetch(c->pairs + ref->at);
        __builtin_prefetch(c->pairs + ref->at + CACHE_LINE);
        __builtin_prefetch(c->pairs + ref->at + 2 * CACHE_LINE);
    } else if (ref->at & COLLECT_SHORT) {
        __builtin_prefetch(&c->small.slots[ref->at & ~COLLECT_SHORT]);
    } else {
        const char *p = c->pairs + (size_t)ref->at * UNIT;

        __builtin_prefetch(p);
        __builtin_prefetch(p + CACHE_LINE);
    }
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
    if (is_flat(c) && cap > GROW_MAX && cap < c->limit + FLAT_SLACK)
        cap = c->limit + FLAT_SLACK;    /* once is enough: pages that are not touched cost nothing */
    if ((p = mem_alloc(cap)) == NULL)
        return false;
    mem_huge(p, cap);
    if (c->used)
        memcpy(p, c->pairs, c->used);
    mem_free(c->pairs);
    c->pairs = p;
    c->cap = cap;
    return true;
}

char *
collect_window(struct collector *c, size_t n)
{
    return grow_pairs(c, n) ? c->pairs + c->used : NULL;
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
    mem_huge(slots, n * sizeof *slots);
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

/* A pair on its way into a table. */
struct incoming {
    struct mr_bytes key, value;
    uint64_t hash;
    uint64_t bytes;         /* of a key of up to 8, zeros behind them */
    uint64_t word;          /* for the short table; 0: not for it */
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
    return w == in->bytes;
}

/* Bytes of memory that do not depend on when they were asked for. */
static size_t
taken(const struct collector *c)
{
    return c->used + c->slot_count * sizeof *c->slots + c->small.slot_count * sizeof *c->small.slots;
}

static enum collect_result
long_add(struct collector *c, const struct incoming *in)
{
    uint64_t tag = in->hash & ~(uint64_t)UINT32_MAX;
    struct mr_bytes k, v;
    uint32_t at;
    size_t i;

    if (!fold_fits(c->fold.kind, in->value.n))
        return COLLECT_BAD_VALUE;
    if ((c->count - c->small.count) * 2 >= c->slot_count && !grow_slots(c))
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
    if (c->count && taken(c) + pair_bytes(in->key.n, in->value.n) > c->limit)
        return COLLECT_FULL;
    if (!append(c, in->key, in->value, &at))
        return COLLECT_NOMEM;
    c->slots[i] = tag | (at + 1);
    return COLLECT_OK;
}

static enum collect_result
short_add(struct collector *c, const struct incoming *in)
{
    struct short_slot *s = c->small.slot_count ? short_find(&c->small, in->word, in->hash) : NULL;
    uint64_t v;

    if (s != NULL && s->word != 0) {
        if (c->fold.kind == MR_FOLD_SUM_I64) {      /* what counts is made of */
            memcpy(&v, in->value.p, sizeof v);
            s->value += v;
            return COLLECT_OK;
        }
        return fold_into(&c->fold, &s->value, in->value.p, sizeof s->value) ? COLLECT_OK : COLLECT_NOMEM;
    }
    if (c->count && taken(c) - c->small.slot_count * sizeof *s + short_bytes_next(&c->small) > c->limit)
        return COLLECT_FULL;
    if (!short_room(&c->small))
        return COLLECT_NOMEM;
    s = short_find(&c->small, in->word, in->hash);
    s->word = in->word;
    memcpy(&s->value, in->value.p, sizeof s->value);
    c->small.count++;
    c->count++;
    return COLLECT_OK;
}

/* The pair at *p, with its hash.  readable: bytes from *p on that may be read. */
static void
take(const struct collector *c, const char **p, size_t readable, struct incoming *in)
{
    struct mr_pair head;

    memcpy(&head, *p, sizeof head);
    in->key = (struct mr_bytes){ *p + sizeof head, head.key_len };
    in->value = (struct mr_bytes){ in->key.p + head.key_len, head.value_len };
    *p = in->value.p + head.value_len;
    in->word = in->bytes = 0;
    if (head.key_len <= UNIT && head.key_len > 0) {
        if (readable >= sizeof head + UNIT)
            in->bytes = short_word(in->key.p, in->key.n);
        else
            memcpy(&in->bytes, in->key.p, in->key.n);
        if (c->short_keys && head.value_len == sizeof in->bytes)
            in->word = short_word_of(in->bytes, in->key.n);
    }
    in->hash = in->word ? short_hash(in->word) : mr_hash(in->key.p, in->key.n);
}

/* Look-ups in a table larger than the caches wait for memory: some pairs at a time are hashed, then all their slots
 * fetched, then all their entries, and only then folded, in order. */
static enum collect_result
fold_run(struct collector *c, const char **p, const char *end, size_t *added)
{
    struct incoming in[FOLD_AHEAD];
    enum collect_result r = COLLECT_OK;
    const char *at = *p;
    size_t n = 0, done = 0, longs = 0;

    for (; n < FOLD_AHEAD && at < end; n++) {
        take(c, &at, (size_t)(end - at), &in[n]);
        longs += in[n].word == 0;
        if (in[n].word && c->small.slot_count)
            __builtin_prefetch(&c->small.slots[in[n].hash & (c->small.slot_count - 1)]);
        else if (in[n].word == 0 && c->slot_count)
            __builtin_prefetch(&c->slots[in[n].hash & (c->slot_count - 1)]);
    }
    for (size_t i = 0; longs && c->slot_count && i < n; i++) {
        uint64_t slot = in[i].word ? 0 : c->slots[in[i].hash & (c->slot_count - 1)];

        if (slot)
            __builtin_prefetch(c->pairs + (size_t)((uint32_t)slot - 1) * UNIT);
    }
    while (done < n && (r = in[done].word ? short_add(c, &in[done]) : long_add(c, &in[done])) == COLLECT_OK)
        done++;
    *added += done;
    *p = done < n ? in[done].key.p - sizeof(struct mr_pair) : at;
    return r;
}

/* Keep as many of the pairs as there is room for, as they are. */
static enum collect_result
flat_add(struct collector *c, const char **p, const char *end, size_t *added)
{
    const char *stop = *p, *next = *p;
    size_t n = 0, used = c->used, count = c->count;
    struct mr_bytes key, value;

    for (; stop < end; stop = next, n++) {
        pair_get(&next, &key, &value);
        used += (size_t)(next - stop);
        if (count + n && used + (count + n) * sizeof *c->refs > c->limit)
            break;
    }
    if (*p != c->pairs + c->used) {
        if (!grow_pairs(c, (size_t)(stop - *p)))
            return COLLECT_NOMEM;
        if (stop != *p)
            memcpy(c->pairs + c->used, *p, (size_t)(stop - *p));
    }
    c->used += (size_t)(stop - *p);
    c->count += n;
    *added += n;
    *p = stop;
    return stop < end ? COLLECT_FULL : COLLECT_OK;
}

enum collect_result
collect_add(struct collector *c, const char **p, const char *end, size_t *ret_added)
{
    enum collect_result r = COLLECT_OK;

    *ret_added = 0;
    if (is_flat(c))
        return flat_add(c, p, end, ret_added);
    while (r == COLLECT_OK && *p < end)
        r = fold_run(c, p, end, ret_added);
    return r;
}

/* How references of one partition whose prefixes begin alike are ordered. */
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

    if (ra->prefix != rb->prefix)
        return ra->prefix < rb->prefix ? -1 : 1;
    ref_at(o->c, ra->at, &ka, &v);
    ref_at(o->c, rb->at, &kb, &v);
    c = o->compare ? o->compare(ka, kb) : seg_compare(ka, kb);
    return c ? c : (ra->at > rb->at) - (ra->at < rb->at);
}

static unsigned
digit_of(const struct collect_ref *r, unsigned shift, bool of_part)
{
    return (unsigned)((of_part ? r->part : r->prefix) >> shift) & 255;
}

/*
 * Stable passes over 8 bits each, from bit `low` on, `digits` of prefix or of part; other is as large.  Returns whichever
 * of the two holds the result.
 */
static struct collect_ref *
radix_passes(struct collect_ref *refs, struct collect_ref *other, size_t n, unsigned low, unsigned digits, bool of_part)
{
    size_t counts[DIGITS][256] = { { 0 } };

    for (size_t i = 0; i < n; i++)
        for (unsigned d = 0; d < digits; d++)
            counts[d][digit_of(&refs[i], low + 8 * d, of_part)]++;
    for (unsigned d = 0; d < digits; d++) {
        struct collect_ref *swap = refs;
        size_t sum = 0;

        if (counts[d][digit_of(&refs[0], low + 8 * d, of_part)] == n)
            continue;       /* all the same */
        for (unsigned b = 0; b < 256; b++) {
            size_t k = counts[d][b];

            counts[d][b] = sum;
            sum += k;
        }
        for (size_t i = 0; i < n; i++)
            other[counts[d][digit_of(&refs[i], low + 8 * d, of_part)]++] = refs[i];
        refs = other;
        other = swap;
    }
    return refs;
}

/*
 * Stable, by the 32 bits of prefix from `low` on.  Many references are first dealt out by the highest eight of these:
 * each heap then fits the caches while it is sorted.  Returns whichever of the two holds the result.
 */
static struct collect_ref *
sort_window(struct collect_ref *refs, struct collect_ref *other, size_t n, unsigned low)
{
    unsigned high = low + 8 * (DIGITS - 1);
    size_t ends[256] = { 0 }, at = 0;

    if (n < CACHED)
        return radix_passes(refs, other, n, low, DIGITS, false);
    for (size_t i = 0; i < n; i++)
        ends[digit_of(&refs[i], high, false)]++;
    for (unsigned b = 0; b < 256; b++) {
        size_t k = ends[b];

        ends[b] = at;
        at += k;
    }
    for (size_t i = 0; i < n; i++)
        other[ends[digit_of(&refs[i], high, false)]++] = refs[i];
    for (unsigned b = 0; b < 256; b++) {
        size_t from = b ? ends[b - 1] : 0, k = ends[b] - from;

        if (k > 1 && radix_passes(other + from, refs + from, k, low, DIGITS - 1, false) != other + from)
            memcpy(other + from, refs + from, k * sizeof *refs);
    }
    return other;
}

/* The lowest of the 32 bits of prefix that tell most: those from the first one on in which any two differ. */
static unsigned
window_low(const struct collect_ref *refs, size_t n)
{
    uint64_t differ = 0;
    unsigned top;

    for (size_t i = 1; i < n; i++)
        differ |= refs[i].prefix ^ refs[0].prefix;
    top = differ ? 63 - (unsigned)__builtin_clzll(differ) : 0;
    return top >= 8 * DIGITS ? top + 1 - 8 * DIGITS : 0;
}

static void
insertion_sort(struct collect_ref *refs, size_t n, struct run_order *order)
{
    for (size_t i = 1; i < n; i++) {
        struct collect_ref r = refs[i];
        size_t k = i;

        for (; k > 0 && order_refs(&r, &refs[k - 1], order) < 0; k--)
            refs[k] = refs[k - 1];
        refs[k] = r;
    }
}

/* refs[0..n) are of one partition and alike in prefix above bit `low`; spare is as large. */
static void
finish_run(struct collect_ref *refs, struct collect_ref *spare, size_t n, unsigned low, struct run_order *order)
{
    struct collect_ref *sorted;
    size_t start = 0;

    if (n <= RUN_SHORT) {
        insertion_sort(refs, n, order);
    } else if (low == 0 || n < RUN_LONG) {
        qsort_r(refs, n, sizeof *refs, order_refs, order);
    } else {
        unsigned deeper = window_low(refs, n);

        if ((sorted = sort_window(refs, spare, n, deeper)) != refs)
            memcpy(refs, sorted, n * sizeof *refs);
        for (size_t i = 1; i <= n; i++)
            if (i == n || refs[i].prefix >> deeper != refs[start].prefix >> deeper) {
                if (i - start > 1)
                    finish_run(refs + start, spare, i - start, deeper, order);
                start = i;
            }
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
        mem_huge(c->refs, c->count * sizeof *c->refs);
        mem_huge(c->spare, c->count * sizeof *c->spare);
    }
    while (at < c->used) {
        uint32_t place = (uint32_t)(is_flat(c) ? at : at / UNIT);
        struct mr_bytes key, value;

        pair_at(c, place, &key, &value);
        c->refs[n].at = place;
        c->refs[n].part = part_of(arg, key);
        c->refs[n].prefix = prefixes ? seg_prefix(key) : 0;
        n++;
        at += is_flat(c) ? sizeof(struct mr_pair) + key.n + value.n : pair_bytes(key.n, value.n);
    }
    for (size_t i = 0; n < c->count && i < c->small.slot_count; i++) {
        const struct short_slot *s = &c->small.slots[i];

        if (s->word == 0)
            continue;
        c->refs[n].at = COLLECT_SHORT | (uint32_t)i;
        c->refs[n].part = part_of(arg, short_key(s));
        c->refs[n++].prefix = short_prefix(s);
    }
    CHECK(n == c->count);
    return true;
}

enum rc
collect_sort(struct collector *c, uint32_t (*part_of)(void *arg, struct mr_bytes key), void *arg, mr_compare_fn *compare)
{
    struct run_order order = { c, compare };
    struct collect_ref *refs;
    size_t start = 0;
    unsigned low;

    if (c->count == 0)
        return RC_OK;
    if (!make_refs(c, part_of, arg, compare == NULL))
        return RC_NOMEM;
    low = window_low(c->refs, c->count);
    refs = sort_window(c->refs, c->spare, c->count, low);
    refs = radix_passes(refs, refs == c->refs ? c->spare : c->refs, c->count, 0, DIGITS, true);
    if (refs == c->spare) {
        c->spare = c->refs;
        c->refs = refs;
    }
    for (size_t i = 1; i <= c->count; i++) {
        if (i < c->count && refs[i].part == refs[start].part && refs[i].prefix >> low == refs[start].prefix >> low)
            continue;
        if (i - start > 1)
            finish_run(refs + start, c->spare, i - start, low, &order);
        start = i;
    }
    return RC_OK;
}
