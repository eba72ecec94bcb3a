/* floor/groupby THREADS IN OUT: for each key of "key,value" lines: key, sum, count, min, max, in no order. */
#include "floor.h"

struct entry {
    const char *key;
    uint32_t len, hash;
    double sum, min, max;
    uint64_t count;
};

#define SLOTS ((size_t)1 << 20)     /* the data has 100,000 keys */

struct work {
    const char *text;
    size_t n;
    int threads;
    struct entry *tables[THREADS_MAX];
};

static struct entry *
find(struct entry *t, const char *key, uint32_t len, uint32_t hash)
{
    size_t i = hash & (SLOTS - 1);

    while (t[i].key && (t[i].hash != hash || t[i].len != len || memcmp(t[i].key, key, len) != 0))
        i = (i + 1) & (SLOTS - 1);
    return &t[i];
}

static void
add(struct entry *t, const struct entry *v)
{
    struct entry *e = find(t, v->key, v->len, v->hash);

    if (e->key == NULL) {
        *e = *v;
        return;
    }
    e->sum += v->sum;
    e->count += v->count;
    e->min = v->min < e->min ? v->min : e->min;
    e->max = v->max > e->max ? v->max : e->max;
}

static void
group_part(void *arg, int i)
{
    struct work *w = arg;
    const char *p = w->text + floor_cut(w->text, w->n, i, w->threads);
    const char *end = w->text + floor_cut(w->text, w->n, i + 1, w->threads);

    w->tables[i] = floor_memory(SLOTS * sizeof(struct entry));
    while (p < end) {
        struct entry v = { .key = p, .count = 1 };
        uint64_t h = 0;

        for (; *p != ','; p++)
            h = (h ^ (unsigned char)*p) * UINT64_C(0x9e3779b97f4a7c15);
        v.len = (uint32_t)(p - v.key);
        v.hash = (uint32_t)(h >> 32);
        p++;
        v.sum = v.min = v.max = floor_number(&p);
        p++;
        add(w->tables[i], &v);
    }
}

int
main(int argc, char **argv)
{
    static struct work w;
    FILE *out;

    if (argc != 4 || (w.threads = (int)strtol(argv[1], NULL, 10)) < 1 || w.threads > THREADS_MAX)
        return 2;
    w.text = floor_map(argv[2], &w.n);
    floor_run(group_part, &w, w.threads);
    for (int i = 1; i < w.threads; i++)
        for (size_t k = 0; k < SLOTS; k++)
            if (w.tables[i][k].key)
                add(w.tables[0], &w.tables[i][k]);
    if ((out = fopen(argv[3], "w")) == NULL)
        floor_fail(argv[3]);
    for (size_t k = 0; k < SLOTS; k++) {
        const struct entry *e = &w.tables[0][k];

        if (e->key)
            fprintf(out, "%.*s,%.17g,%llu,%.17g,%.17g\n", (int)e->len, e->key, e->sum, (unsigned long long)e->count, e->min,
                    e->max);
    }
    if (fclose(out) != 0)
        floor_fail(argv[3]);
    return 0;
}
