/* floor/wordcount THREADS IN OUT: how often each word of the text occurs, "word<tab>count" a line, in no order. */
#include "floor.h"

struct entry {
    const char *word;
    uint32_t len;
    uint32_t hash;
    uint64_t count;
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

static struct entry *
find(struct table *t, const char *word, uint32_t len, uint32_t hash)
{
    struct entry *e = &t->slots[hash & t->mask];

    while (e->word && (e->hash != hash || e->len != len || memcmp(e->word, word, len) != 0))
        e = e == t->slots + t->mask ? t->slots : e + 1;
    return e;
}

static void
grow(struct table *t)
{
    struct table bigger = { floor_memory((t->mask + 1) * 2 * sizeof *t->slots), t->mask * 2 + 1, t->used };

    for (size_t i = 0; i <= t->mask; i++)
        if (t->slots[i].word)
            *find(&bigger, t->slots[i].word, t->slots[i].len, t->slots[i].hash) = t->slots[i];
    (void)munmap(t->slots, (t->mask + 1) * sizeof *t->slots);
    *t = bigger;
}

static void
add(struct table *t, const char *word, uint32_t len, uint32_t hash, uint64_t count)
{
    struct entry *e = find(t, word, len, hash);

    if (e->word == NULL) {
        *e = (struct entry){ word, len, hash, 0 };
        t->used++;
    }
    e->count += count;
    if (t->used * 2 > t->mask)
        grow(t);
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
    struct entry waiting[AHEAD];
    size_t seen = 0;

    t->mask = (1 << 16) - 1;
    t->slots = floor_memory((t->mask + 1) * sizeof *t->slots);
    while (p < end) {
        const char *word;
        uint64_t h = 0;

        while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
            p++;
        for (word = p; p < end && *p != ' ' && (*p < '\t' || *p > '\r'); p++)
            h = (h ^ (unsigned char)*p) * UINT64_C(0x9e3779b97f4a7c15);
        if (p > word) {
            struct entry *e = &waiting[seen % AHEAD];

            if (seen++ >= AHEAD)
                add(t, e->word, e->len, e->hash, 1);
            *e = (struct entry){ word, (uint32_t)(p - word), (uint32_t)(h >> 32), 0 };
            __builtin_prefetch(&t->slots[e->hash & t->mask], 1);
        }
    }
    for (size_t k = seen > AHEAD ? seen - AHEAD : 0; k < seen; k++)
        add(t, waiting[k % AHEAD].word, waiting[k % AHEAD].len, waiting[k % AHEAD].hash, 1);
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

            if (e->word)
                add(&w.tables[0], e->word, e->len, e->hash, e->count);
        }
    if ((out = fopen(argv[3], "w")) == NULL)
        floor_fail(argv[3]);
    for (size_t k = 0; k <= w.tables[0].mask; k++) {
        const struct entry *e = &w.tables[0].slots[k];

        if (e->word)
            fprintf(out, "%.*s\t%llu\n", (int)e->len, e->word, (unsigned long long)e->count);
    }
    if (fclose(out) != 0)
        floor_fail(argv[3]);
    return 0;
}
