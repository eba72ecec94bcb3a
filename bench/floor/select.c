/* floor/select THREADS IN OUT: the lines of "key,value" whose value is above 990, in order. */
#include "floor.h"

struct work {
    const char *text;
    size_t n;
    int threads;
    char *out[THREADS_MAX];
    size_t used[THREADS_MAX];
};

static void
select_part(void *arg, int i)
{
    struct work *w = arg;
    size_t from = floor_cut(w->text, w->n, i, w->threads), to = floor_cut(w->text, w->n, i + 1, w->threads);
    const char *p = w->text + from, *end = w->text + to;

    w->out[i] = floor_memory(to - from);
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl + 1 : end;
        const char *value = memchr(p, ',', (size_t)(stop - p));

        if (value && (value++, floor_number(&value) > 990)) {
            memcpy(w->out[i] + w->used[i], p, (size_t)(stop - p));
            w->used[i] += (size_t)(stop - p);
        }
        p = stop;
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
    floor_run(select_part, &w, w.threads);
    if ((out = fopen(argv[3], "w")) == NULL)
        floor_fail(argv[3]);
    for (int i = 0; i < w.threads; i++)
        if (fwrite(w.out[i], 1, w.used[i], out) != w.used[i])
            floor_fail(argv[3]);
    if (fclose(out) != 0)
        floor_fail(argv[3]);
    return 0;
}
