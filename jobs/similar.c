/*
 * similar -- item-item collaborative filtering: cosine similarity of all pairs of items, and recommendations.
 *
 *     mr run similar -input RATINGS -output DIR
 *
 * RATINGS are lines "user,item,rating".  DIR/users has each user's ratings, DIR/similarities each item's nearest items
 * "item<tab>other:cosine ...", DIR/recommendations the best items that a user has not rated: "user<tab>item:score ...".
 *
 *     -D similar.neighbours=K    of an item (default 50)
 *     -D similar.top=N           recommendations a user (default 10)
 *     -D similar.ratings=M       at most, of a user: the first ones by item (default 1000); pairs grow with its square
 *
 * Four jobs: ratings to users; squares of items' ratings; products of pairs, from users on all machines, added up and
 * divided by the lengths; recommendations, map-only, with the similarities beside.
 */
#include <math.h>
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"

#define NAME_MAX_BYTES 1000

/* ---- items with numbers, as the values of a line and of a task ---- */

struct scored {
    struct mr_bytes item;
    double v, weight;
    size_t order;               /* in which it came */
};

struct list {
    struct scored *at;
    size_t n, cap;
};

static void
push_weighted(struct mr_task *t, struct list *l, struct mr_bytes item, double v, double weight)
{
    if (l->n == l->cap) {
        struct scored *more = realloc(l->at, (2 * l->cap + 64) * sizeof *more);

        if (more == NULL)
            mr_fail(t, "no memory for a list of items");
        l->at = more;
        l->cap = 2 * l->cap + 64;
    }
    l->at[l->n] = (struct scored){ item, v, weight, l->n };
    l->n++;
}

static void
push(struct mr_task *t, struct list *l, struct mr_bytes item, double v)
{
    push_weighted(t, l, item, v, 0);
}

/* "item:v item:v ..." */
static void
parse(struct mr_task *t, const char *p, const char *end, struct list *l)
{
    struct mr_bytes word;
    double v;

    for (l->n = 0; mr_word(&p, end, &word);) {
        const char *colon = memrchr(word.p, ':', word.n);

        if (colon == NULL || !mr_parse_f64(t, colon + 1, (size_t)(word.p + word.n - colon - 1), &v))
            mr_fail(t, "a list is item:number item:number ...");
        push(t, l, (struct mr_bytes){ word.p, (size_t)(colon - word.p) }, v);
    }
}

static int
by_item(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    int c = memcmp(x->item.p, y->item.p, x->item.n < y->item.n ? x->item.n : y->item.n);

    return c ? c : (x->item.n > y->item.n) - (x->item.n < y->item.n);
}

static int
by_item_and_order(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    int c = by_item(a, b);

    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int
by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    return x->v != y->v ? (x->v > y->v ? -1 : 1) : by_item(a, b);
}

/* Emit the list's first `most` as text under key. */
static void
give(struct mr_task *t, const char *key, size_t key_len, const struct list *l, size_t most)
{
    size_t cap = 1, n = 0, count = l->n < most ? l->n : most;
    char *text;

    for (size_t i = 0; i < count; i++)
        cap += l->at[i].item.n + 34;
    if ((text = malloc(cap)) == NULL)
        mr_fail(t, "no memory for a list of items");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text[n++] = ' ';
        memcpy(text + n, l->at[i].item.p, l->at[i].item.n);
        n += l->at[i].item.n;
        text[n++] = ':';
        n += mr_f64_text(t, l->at[i].v, text + n);
    }
    mr_emit(t, key, key_len, text, n);
    free(text);
}

static size_t
count_option(struct mr_task *t, const char *key, const char *dflt)
{
    return strtoul(mr_option(t, key, dflt), NULL, 10);
}

/* ---- 1: ratings to users ---- */

static void
rating(struct mr_task *t, const struct mr_rec *rec)
{
    struct mr_bytes user = mr_field(rec->value, rec->value_len, ',', 0), item = mr_field(rec->value, rec->value_len, ',', 1);
    struct mr_bytes value = mr_field(rec->value, rec->value_len, ',', 2);
    char pair[NAME_MAX_BYTES + sizeof(double)];
    double v;

    if (item.n == 0 || item.n > NAME_MAX_BYTES || !mr_parse_f64(t, value.p, value.n, &v)) {
        mr_count(t, "LINES_WITHOUT_RATING", 1);
        return;
    }
    memcpy(pair, &v, sizeof v);
    memcpy(pair + sizeof v, item.p, item.n);
    mr_emit(t, user.p, user.n, pair, sizeof v + item.n);
}

MR_MAP_EACH(ratings, rating)

static void
user(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct list l = { NULL, 0, 0 };
    struct mr_bytes b;
    double v;

    while (mr_next(t, values, &b)) {
        char *name = malloc(b.n - sizeof v + 1);

        if (name == NULL)
            mr_fail(t, "no memory for a user's ratings");
        memcpy(&v, b.p, sizeof v);
        memcpy(name, b.p + sizeof v, b.n - sizeof v);
        push(t, &l, (struct mr_bytes){ name, b.n - sizeof v }, v);
    }
    qsort(l.at, l.n, sizeof *l.at, by_item);
    give(t, key.p, key.n, &l, count_option(t, "similar.ratings", "1000"));
    for (size_t i = 0; i < l.n; i++)
        free((char *)(uintptr_t)l.at[i].item.p);
    free(l.at);
}

MR_STAGE(users, .map = ratings, .reduce = user)

/* ---- a table of items in a side file: their lengths, or their neighbours ---- */

struct row {
    struct mr_bytes item;
    const char *text, *end;     /* behind the tab */
};

struct table {
    struct row *slots;
    size_t mask;
};

static struct row *
find(const struct table *x, struct mr_bytes item)
{
    size_t i = mr_hash(item.p, item.n) & x->mask;

    while (x->slots[i].item.p && !(x->slots[i].item.n == item.n && memcmp(x->slots[i].item.p, item.p, item.n) == 0))
        i = (i + 1) & x->mask;
    return &x->slots[i];
}

/* Lines "item<tab>..." of the side files NAME-0, NAME-1 ... */
static void
load(struct mr_task *t, const char *name, struct table *x)
{
    size_t lines = 1, slots = 64;
    struct mr_bytes b;
    char part[64];

    for (int i = 0; snprintf(part, sizeof part, "%s-%d", name, i) > 0 && mr_side(t, part, &b); i++)
        for (size_t k = 0; k < b.n; k++)
            lines += b.p[k] == '\n';
    while (slots < 2 * lines)
        slots *= 2;
    x->slots = mr_alloc(t, slots * sizeof *x->slots);
    x->mask = slots - 1;
    for (int i = 0; snprintf(part, sizeof part, "%s-%d", name, i) > 0 && mr_side(t, part, &b); i++)
        for (const char *p = b.p, *end = p + b.n, *stop; p < end; p = stop + 1) {
            const char *nl = memchr(p, '\n', (size_t)(end - p)), *tab;

            stop = nl ? nl : end;
            if ((tab = memchr(p, '\t', (size_t)(stop - p))) != NULL) {
                struct mr_bytes item = { p, (size_t)(tab - p) };

                *find(x, item) = (struct row){ item, tab + 1, stop };
            }
        }
}

/* ---- 2 and 3: products of pairs, divided by the lengths ---- */

struct task {
    struct list list, other;
    struct table table;
    char item[NAME_MAX_BYTES];      /* whose neighbours are being gathered */
    size_t item_len;
    char *names;                    /* of them */
    size_t names_n, names_cap;
};

static void
begin(struct mr_task *t)
{
    t->state = mr_alloc(t, sizeof(struct task));
}

static void
finish(struct mr_task *t)
{
    struct task *s = t->state;

    free(s->list.at);
    free(s->other.at);
    free(s->names);
}

static void
square(struct mr_task *t, const struct mr_rec *rec)
{
    struct task *s = t->state;

    parse(t, rec->value, rec->value + rec->value_len, &s->list);
    for (size_t i = 0; i < s->list.n; i++)
        mr_emit_f64(t, s->list.at[i].item.p, s->list.at[i].item.n, s->list.at[i].v * s->list.at[i].v);
}

MR_MAP_EACH(squares, square)
MR_STAGE(lengths, .reader = MR_READ_KEY_VALUE, .map = squares, .setup = begin, .cleanup = finish, .fold = MR_FOLD_SUM_F64)

static void
pair(struct mr_task *t, const struct mr_rec *rec)
{
    char key[2 * NAME_MAX_BYTES + 1];
    struct task *s = t->state;
    const struct list *l = &s->list;

    parse(t, rec->value, rec->value + rec->value_len, &s->list);
    for (size_t i = 0; i < l->n; i++)
        for (size_t j = 0; j < l->n; j++) {
            size_t n = l->at[i].item.n;

            if (i == j)
                continue;
            memcpy(key, l->at[i].item.p, n);
            key[n] = '\t';
            memcpy(key + n + 1, l->at[j].item.p, l->at[j].item.n);
            mr_emit_f64(t, key, n + 1 + l->at[j].item.n, l->at[i].v * l->at[j].v);
        }
}

MR_MAP_EACH(pairs, pair)

static size_t
first_item(struct mr_bytes key)
{
    return (size_t)((const char *)memchr(key.p, '\t', key.n) - key.p);
}

static uint32_t
by_first(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    (void)t;
    return (uint32_t)(mr_hash(key.p, first_item(key)) % parts);
}

static void
give_neighbours(struct mr_task *t)
{
    struct task *s = t->state;

    for (size_t i = 0, at = 0; i < s->list.n; at += s->list.at[i++].item.n)
        s->list.at[i].item.p = s->names + at;       /* names has moved while it grew */
    qsort(s->list.at, s->list.n, sizeof *s->list.at, by_score);
    if (s->list.n > 0)
        give(t, s->item, s->item_len, &s->list, count_option(t, "similar.neighbours", "50"));
    s->list.n = s->names_n = 0;
}

static double
length_of(struct mr_task *t, const struct table *x, struct mr_bytes item)
{
    const struct row *r = find(x, item);
    double v;

    if (r->item.p == NULL || !mr_parse_f64(t, r->text, (size_t)(r->end - r->text), &v))
        mr_fail(t, "an item has no length");
    return sqrt(v);
}

static void
cosine(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct task *s = t->state;
    size_t n = first_item(key);
    struct mr_bytes item = { key.p, n }, other = { key.p + n + 1, key.n - n - 1 };
    double product, lengths;

    if (s->table.slots == NULL)
        load(t, "lengths", &s->table);
    if (n != s->item_len || memcmp(s->item, key.p, n) != 0) {
        give_neighbours(t);
        memcpy(s->item, key.p, n);
        s->item_len = n;
    }
    if (!mr_next_f64(t, values, &product))      /* folded: there is one */
        return;
    if (s->names_n + other.n > s->names_cap) {
        char *more = realloc(s->names, 2 * (s->names_n + other.n) + 4096);

        if (more == NULL)
            mr_fail(t, "no memory for an item's neighbours");
        s->names = more;
        s->names_cap = 2 * (s->names_n + other.n) + 4096;
    }
    memcpy(s->names + s->names_n, other.p, other.n);
    s->names_n += other.n;
    lengths = length_of(t, &s->table, item) * length_of(t, &s->table, other);
    push(t, &s->list, other, lengths > 0 ? product / lengths : 0);
}

static void
last_neighbours(struct mr_task *t)
{
    struct task *s = t->state;

    if (s->names != NULL)       /* not in a map */
        give_neighbours(t);
    finish(t);
}

MR_STAGE(cosines, .reader = MR_READ_KEY_VALUE, .map = pairs, .reduce = cosine, .partition = by_first, .setup = begin,
         .cleanup = last_neighbours, .fold = MR_FOLD_SUM_F64)

/* ---- 4: recommendations ---- */

/* Entries of one item become one: the sum of v over that of the weights; items that the user has rated go. */
static void
settle(struct list *scores, const struct list *rated)
{
    size_t n = 0;

    qsort(scores->at, scores->n, sizeof *scores->at, by_item_and_order);
    for (size_t i = 0, end; i < scores->n; i = end) {
        struct scored sum = scores->at[i];

        for (end = i + 1; end < scores->n && by_item(&scores->at[i], &scores->at[end]) == 0; end++) {
            sum.v += scores->at[end].v;
            sum.weight += scores->at[end].weight;
        }
        if (bsearch(&sum, rated->at, rated->n, sizeof *rated->at, by_item) != NULL)
            continue;
        sum.v = sum.weight > 0 ? sum.v / sum.weight : 0;
        scores->at[n++] = sum;
    }
    scores->n = n;
}

/* The score of an item: sum of cosine x rating over the user's items that have it as a neighbour, over the sum of
 * |cosine|. */
static void
recommend_to(struct mr_task *t, const struct mr_rec *rec)
{
    struct task *s = t->state;
    struct list scores = { NULL, 0, 0 };

    if (s->table.slots == NULL)
        load(t, "similarities", &s->table);
    parse(t, rec->value, rec->value + rec->value_len, &s->list);
    for (size_t i = 0; i < s->list.n; i++) {
        const struct row *r = find(&s->table, s->list.at[i].item);

        if (r->item.p == NULL)
            continue;
        parse(t, r->text, r->end, &s->other);
        for (size_t k = 0; k < s->other.n; k++)
            push_weighted(t, &scores, s->other.at[k].item, s->other.at[k].v * s->list.at[i].v, fabs(s->other.at[k].v));
    }
    settle(&scores, &s->list);
    qsort(scores.at, scores.n, sizeof *scores.at, by_score);
    if (scores.n > 0)
        give(t, rec->key, rec->key_len, &scores, count_option(t, "similar.top", "10"));
    free(scores.at);
}

MR_MAP_EACH(recommend, recommend_to)
MR_STAGE(recommend, .reader = MR_READ_KEY_VALUE, .map = recommend, .map_only = 1, .setup = begin, .cleanup = finish)

/* ---- the driver ---- */

#define PARTS_MAX 1000

/* Run a stage over the directory `input`, with the part files of the directory `beside` as its side files `name`-N. */
static int
run(struct mr_driver *d, const char *stage, const char *input, const char *output, const char *name, const char *beside,
    unsigned parts)
{
    const char *const inputs[] = { input, NULL };
    struct mr_side *sides = calloc(parts + 1, sizeof *sides);
    char *text = calloc(parts + 1, 4200);
    struct mr_run r = { .stage = stage, .inputs = input ? inputs : NULL, .output = output, .reduces = parts, .sides = sides,
                        .side_count = beside ? parts : 0 };
    int rc = -1;

    if (sides != NULL && text != NULL) {
        for (unsigned i = 0; i < r.side_count; i++) {
            char *of = text + i * 4200;

            (void)snprintf(of, 100, "%s-%u", name, i);
            (void)snprintf(of + 100, 4100, "%s/part-r-%05u", beside, i);
            sides[i] = (struct mr_side){ .name = of, .path = of + 100 };
        }
        rc = mr_run(d, &r);
    }
    if (rc == 0) {
        printf("%s seconds %.4f\n", stage, mr_seconds(d));
        fflush(stdout);
    }
    free(sides);
    free(text);
    return rc;
}

static int
filter(struct mr_driver *d)
{
    unsigned parts = (unsigned)files_number(d, "mapreduce.job.reduces", "1");
    char users[4096], lengths[4096], similarities[4096], recommendations[4096];
    const char *directory = files_directory(d);

    if (directory == NULL)
        return 1;
    parts = parts < 1 ? 1 : parts > PARTS_MAX ? PARTS_MAX : parts;
    (void)snprintf(users, sizeof users, "%s/users", directory);
    (void)snprintf(lengths, sizeof lengths, "%s/lengths", directory);
    (void)snprintf(similarities, sizeof similarities, "%s/similarities", directory);
    (void)snprintf(recommendations, sizeof recommendations, "%s/recommendations", directory);
    return run(d, "users", NULL, users, NULL, NULL, parts) != 0 ||
           run(d, "lengths", users, lengths, NULL, NULL, parts) != 0 ||
           run(d, "cosines", users, similarities, "lengths", lengths, parts) != 0 ||
           run(d, "recommend", users, recommendations, "similarities", similarities, parts) != 0;
}

MR_DRIVER(filter)
