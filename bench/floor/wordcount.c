/*
 * floor/wordcount THREADS IN OUT: how often each word of the text occurs, "word<tab>count" a line, in no order.
 *
 * A word of up to 7 bytes, or 8, is a number that lies in its slot with the count: one cache line a look-up.  Longer
 * ones point into the text.
 */
#include <emmintrin.h>

#include "floor.h"

struct entry {
    uint64_t word;              /* of a short one: its bytes; of a longer one: where it begins; 0: empty */
    uint32_t len;
    uint32_t count;
};

struct table {
    struct entry *slots;
    size_t mask, used;
};

struct work {
    const char *text;
    size_t n;
    int threads;
    struct table tables[THREADS_MAX];
};

struct word {
    uint64_t word, hash;
    uint32_t len;
};

static int
is_same(const struct work *w, const struct entry *e, const struct word *x)
{
    return e->len == x->len && (e->word == x->word || (x->len > 8 && memcmp(w->text + e->word, w->text + x->word, x->len) == 0));
}

static struct entry *
find(const struct work *w, const struct table *t, const struct word *x)
{
    struct entry *e = &t->slots[x->hash & t->mask];

    while (e->count && !is_same(w, e, x))
        e = e == t->slots + t->mask ? t->slots : e + 1;
    return e;
}

static uint64_t
mix(uint64_t x)
{
    unsigned __int128 m = (unsigned __int128)(x ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xe7037ed1a0b428db);

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t
hash_of(const struct work *w, uint64_t word, uint32_t len)
{
    uint64_t h = len;

    if (len <= 8)
        return mix(word ^ (uint64_t)len << 60);
    for (uint32_t i = 0; i < len; i++)
        h = mix(h ^ (unsigned char)w->text[word + i]);
    return h;
}

static void
grow(const struct work *w, struct table *t)
{
    struct table bigger = { floor_memory((t->mask + 1) * 2 * sizeof *t->slots), t->mask * 2 + 1, t->used };

    for (size_t i = 0; i <= t->mask; i++) {
        const struct entry *e = &t->slots[i];
        struct word x = { e->word, hash_of(w, e->word, e->len), e->len };

        if (e->count)
            *find(w, &bigger, &x) = *e;
    }
    (void)munmap(t->slots, (t->mask + 1) * sizeof *t->slots);
    *t = bigger;
}

static void
add(const struct work *w, struct table *t, const struct word *x, uint32_t count)
{
    struct entry *e = find(w, t, x);

    if (e->count == 0) {
        *e = (struct entry){ x->word, x->len, 0 };
        t->used++;
    }
    e->count += count;
    if (t->used * 2 > t->mask)
        grow(w, t);
}

/* The end of the word that begins at p. */
static const char *
word_end(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p), control = _mm_sub_epi8(x, _mm_set1_epi8('\t'));
        unsigned blank = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(' ')),
                             _mm_cmpeq_epi8(_mm_min_epu8(control, _mm_set1_epi8('\r' - '\t')), control)));

        if (blank)
            return p + __builtin_ctz(blank);
    }
    while (p < end && *p != ' ' && (*p < '\t' || *p > '\r'))
        p++;
    return p;
}

/* Look-ups wait for memory: a word is added only when AHEAD more have asked for their slots. */
#define AHEAD 32

static void
count_part(void *arg, int i)
{
    struct work *w = arg;
    struct table *t = &w->tables[i];
    const char *p = w->text + floor_cut(w->text, w->n, i, w->threads);
    const char *end = w->text + floor_cut(w->text, w->n, i + 1, w->threads);
    struct word waiting[AHEAD];
    size_t seen = 0;

    t->mask = (1 << 16) - 1;
    t->slots = floor_memory((t->mask + 1) * sizeof *t->slots);
    while (p < end) {
        const char *word;
        struct word x;

        while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
            p++;
        word = p;
        p = word_end(p, end);
        if (p == word)
            continue;
        x.len = (uint32_t)(p - word);
        x.word = (uint64_t)(word - w->text);
        if (x.len <= 8 && end - word >= 8) {
            memcpy(&x.word, word, 8);
            x.word &= x.len == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * x.len) - 1;
        } else if (x.len <= 8) {
            x.word = 0;
            memcpy(&x.word, word, x.len);
        }
        x.hash = hash_of(w, x.word, x.len);
        if (seen >= AHEAD)
            add(w, t, &waiting[seen % AHEAD], 1);
        waiting[seen++ % AHEAD] = x;
        __builtin_prefetch(&t->slots[x.hash & t->mask], 1);
    }
    for (size_t k = seen > AHEAD ? seen - AHEAD : 0; k < seen; k++)
        add(w, t, &waiting[k % AHEAD], 1);
}

int
main(int argc, char **argv)
{
    static struct work w;
    FILE *out;

    if (argc != 4 || (w.threads = (int)strtol(argv[1], NULL, 10)) < 1 || w.threads > THREADS_MAX)
        return 2;
    w.text = floor_map(argv[2], &w.n);
    floor_run(count_part, &w, w.threads);
    for (int i = 1; i < w.threads; i++)
        for (size_t k = 0; k <= w.tables[i].mask; k++) {
            const struct entry *e = &w.tables[i].slots[k];
            struct word x = { e->word, hash_of(&w, e->word, e->len), e->len };

            if (e->count)
                add(&w, &w.tables[0], &x, e->count);
        }
    if ((out = fopen(argv[3], "w")) == NULL)
        floor_fail(argv[3]);
    for (size_t k = 0; k <= w.tables[0].mask; k++) {
        const struct entry *e = &w.tables[0].slots[k];
        const char *text = e->len <= 8 ? (const char *)&e->word : w.text + e->word;

        if (e->count)
            fprintf(out, "%.*s\t%u\n", (int)e->len, text, e->count);
    }
    if (fclose(out) != 0)
        floor_fail(argv[3]);
    return 0;
}
