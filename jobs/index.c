/*
 * index -- inverted index: for each word the files that hold it, with how often, most often first.
 *
 *     mr run index -input DIR -output INDEX          word<tab>file:count file:count ...
 *
 *     -D index.lower=1      words in lower case (ASCII letters)
 *     -D index.top=N        at most N files a word (default: all)
 *
 * A word is a run of letters, digits and bytes above 127.
 */
#include <ctype.h>
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

#define WORD_MAX 1024

static void
map_line(struct mr_task *t, const struct mr_rec *rec)
{
    const unsigned char *p = (const unsigned char *)rec->value, *end = p + rec->value_len;
    int lower = strcmp(mr_option(t, "index.lower", "0"), "1") == 0;
    size_t path_len = strlen(mr_path(t));
    char key[WORD_MAX + 1 + 4096];

    while (p < end) {
        size_t n = 0;

        while (p < end && !isalnum(*p) && *p < 128)
            p++;
        for (; p < end && (isalnum(*p) || *p >= 128); p++)
            if (n < WORD_MAX)
                key[n++] = (char)(lower ? tolower(*p) : *p);
        if (n == 0 || path_len > 4096)
            continue;
        key[n++] = '\0';        /* word, NUL, file: sorted, files of a word are neighbours */
        memcpy(key + n, mr_path(t), path_len);
        mr_emit_i64(t, key, n + path_len, 1);
    }
}

MR_MAP_EACH(map, map_line)

static size_t
word_of(struct mr_bytes key)
{
    return strnlen(key.p, key.n);
}

/* A word goes to one reduce with all its files. */
static uint32_t
partition(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    (void)t;
    return (uint32_t)(mr_hash(key.p, word_of(key)) % parts);
}

/* The word that is being put together. */
struct entry {
    char word[WORD_MAX];
    size_t word_len, n, cap, top;
    struct posting {
        int64_t count;
        size_t at, len;         /* of its file's path in names */
    } *files;
    char *names;
    size_t names_n, names_cap;
};

static int
more_often(const void *a, const void *b)
{
    const struct posting *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);       /* as they came: by name */
}

static void
give(struct mr_task *t)
{
    struct entry *e = t->state;
    size_t cap = e->names_n + e->n * 24 + 1, n = 0, files = e->top && e->top < e->n ? e->top : e->n;
    char *line = malloc(cap);

    if (e->n == 0 || line == NULL) {
        free(line);
        if (e->n > 0)
            mr_fail(t, "no memory for a word's files");
        return;
    }
    qsort(e->files, e->n, sizeof *e->files, more_often);
    for (size_t i = 0; i < files; i++)
        n += (size_t)snprintf(line + n, cap - n, "%s%.*s:%lld", i ? " " : "", (int)e->files[i].len, e->names + e->files[i].at,
                              (long long)e->files[i].count);
    mr_emit(t, e->word, e->word_len, line, n);
    free(line);
    e->n = e->names_n = 0;
}

/* Room for n more elements of `size` bytes. */
static void *
more(struct mr_task *t, void *p, size_t used, size_t n, size_t *cap, size_t size)
{
    if (used + n > *cap) {
        *cap = 2 * (used + n) + 16;
        if ((p = realloc(p, *cap * size)) == NULL)
            mr_fail(t, "no memory for a word's files");
    }
    return p;
}

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct entry *e = t->state;
    size_t len = word_of(key), name_len;
    int64_t count;

    if (len != e->word_len || memcmp(e->word, key.p, len) != 0) {
        give(t);
        memcpy(e->word, key.p, len);
        e->word_len = len;
    }
    if (!mr_next_i64(t, values, &count))
        return;
    name_len = key.n - len - 1;
    e->names = more(t, e->names, e->names_n, name_len, &e->names_cap, 1);
    e->files = more(t, e->files, e->n, 1, &e->cap, sizeof *e->files);
    memcpy(e->names + e->names_n, key.p + len + 1, name_len);
    e->files[e->n++] = (struct posting){ count, e->names_n, name_len };
    e->names_n += name_len;
}

static void
setup(struct mr_task *t)
{
    struct entry *e = t->state = mr_alloc(t, sizeof *e);

    e->top = strtoul(mr_option(t, "index.top", "0"), NULL, 10);
}

/* In a map there is no word; in a reduce the last one is still to be given. */
static void
cleanup(struct mr_task *t)
{
    struct entry *e = t->state;

    give(t);
    free(e->names);
    free(e->files);
}

MR_JOB(.map = map, .reduce = reduce, .partition = partition, .setup = setup, .cleanup = cleanup, .fold = MR_FOLD_SUM_I64)
