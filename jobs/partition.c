/*
 * partition -- one table cut into parts: round-robin, by hash of a field, or by range of a field.
 *
 *     mr run partition -input TABLE -output DIR -D partition.by=hash -D partition.parts=4
 *
 *     -D partition.by=round|hash|range   (default hash)
 *     -D partition.field=N               whose value decides, from 1 (default 1)
 *     -D partition.sep=C                 what ends a field: one byte (default ,)
 *     -D partition.parts=P               (default 4)
 *
 * DIR/table has the parts, a file each, lines as they were.  Printed: rows and bytes of each part, and the skew, the
 * largest part over the mean.  Ranges are of the field's text, cut by a sample of up to 10,000 lines.
 */
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"

#define SAMPLE 10000
#define PARTS_MAX 1000

struct cutting {
    int round, hash;                        /* else by range */
    char sep;
    unsigned field;
    struct mr_bytes bounds[PARTS_MAX];      /* by range: part i has values below bounds[i] */
    uint32_t bound_count;
    uint32_t row;                           /* round-robin: of this map; sample: taken of the run */
    uint64_t last;                          /* sample: number of the line before */
};

static void
setup(struct mr_task *t)
{
    struct cutting *c = t->state = mr_alloc(t, sizeof *c);
    struct mr_bytes b;

    c->round = strcmp(mr_option(t, "partition.by", "hash"), "round") == 0;
    c->hash = strcmp(mr_option(t, "partition.by", "hash"), "hash") == 0;
    c->sep = mr_option(t, "partition.sep", ",")[0];
    c->field = (unsigned)strtoul(mr_option(t, "partition.field", "1"), NULL, 10);
    if (c->field == 0)
        mr_fail(t, "partition.field counts from 1");
    if (!mr_side(t, "bounds", &b))
        return;
    for (const char *p = b.p, *end = p + b.n, *nl; p < end && c->bound_count < PARTS_MAX; p = nl + 1) {
        nl = memchr(p, '\n', (size_t)(end - p));
        c->bounds[c->bound_count++] = (struct mr_bytes){ p, (size_t)(nl - p) };
    }
}

static int
compare(struct mr_bytes a, struct mr_bytes b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* A random number for each line: the smallest ones are an even sample of all. */
static void
sample_line(struct mr_task *t, const struct mr_rec *rec)
{
    struct cutting *c = t->state;
    uint64_t key = __builtin_bswap64(mr_random(1, mr_mix(mr_number(t, MR_FILE) + 1, rec->at)));
    struct mr_bytes f = mr_field(rec->value, rec->value_len, c->sep, c->field - 1);

    mr_emit(t, &key, sizeof key, f.p, f.n);
}

MR_MAP_EACH(sample, sample_line)

/* What a map sends of them: more than the smallest SAMPLE of each sorted run cannot be in the sample. */
static void
keep_smallest(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct cutting *c = t->state;
    struct mr_bytes v;
    uint64_t number;

    memcpy(&number, key.p, sizeof number);
    number = __builtin_bswap64(number);
    if (number < c->last)                   /* the next run begins */
        c->row = 0;
    c->last = number;
    while (mr_next(t, values, &v))
        if (c->row < SAMPLE) {
            c->row++;
            mr_emit(t, key.p, key.n, v.p, v.n);
        }
}

static void
take_first(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct cutting *c = t->state;
    struct mr_bytes v;

    (void)key;
    while (mr_next(t, values, &v))
        if (c->row < SAMPLE) {
            c->row++;
            mr_emit(t, v.p, v.n, NULL, 0);
        }
}

MR_STAGE(sample, .map = sample, .combine = keep_smallest, .reduce = take_first, .setup = setup)

/* Key: the part, then the line's place, so that a part's lines stay in the table's order. */
static void
cut_line(struct mr_task *t, const struct mr_rec *rec)
{
    struct cutting *c = t->state;
    uint32_t parts = mr_number(t, MR_REDUCE_COUNT), part = 0;
    struct mr_bytes f = mr_field(rec->value, rec->value_len, c->sep, c->field - 1);
    uint32_t file = __builtin_bswap32(mr_number(t, MR_FILE));
    uint64_t at = __builtin_bswap64(rec->at);
    char key[16];

    if (c->round)
        part = (mr_number(t, MR_TASK_INDEX) + c->row++) % parts;
    else if (c->hash)
        part = (uint32_t)(mr_hash(f.p, f.n) % parts);
    else
        while (part < c->bound_count && compare(f, c->bounds[part]) >= 0)
            part++;
    memcpy(key, &part, 4);
    memcpy(key + 4, &file, 4);
    memcpy(key + 8, &at, 8);
    mr_emit(t, key, sizeof key, rec->value, rec->value_len);
}

MR_MAP_EACH(cut, cut_line)

static uint32_t
part_of(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    uint32_t part;

    (void)t;
    (void)parts;
    memcpy(&part, key.p, sizeof part);
    return part;
}

static void
lines(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    char rows[32], bytes[32];
    struct mr_bytes v;

    (void)key;
    (void)snprintf(rows, sizeof rows, "ROWS_%u", mr_number(t, MR_TASK_INDEX));
    (void)snprintf(bytes, sizeof bytes, "BYTES_%u", mr_number(t, MR_TASK_INDEX));
    while (mr_next(t, values, &v)) {
        mr_count(t, rows, 1);
        mr_count(t, bytes, (int64_t)v.n + 1);
        mr_emit(t, NULL, 0, v.p, v.n);
    }
}

MR_STAGE(cut, .map = cut, .partition = part_of, .reduce = lines, .setup = setup)

/* ---- the driver ---- */

static int
by_text(const void *a, const void *b)
{
    return compare(*(const struct mr_bytes *)a, *(const struct mr_bytes *)b);
}

/* The bounds between `parts` ranges of the sample, a line each; heap; NULL after saying why. */
static char *
find_bounds(struct mr_driver *d, unsigned parts, size_t *ret_n)
{
    struct mr_run r = { .stage = "sample", .reduces = 1 };
    struct mr_bytes *values = calloc(SAMPLE, sizeof *values), none;
    size_t n = 0, size = 1, at = 0;
    char *text = NULL;

    if (values == NULL || mr_run(d, &r) != 0)
        goto out;
    while (n < SAMPLE && mr_result(d, &values[n], &none)) {
        char *copy = malloc(values[n].n + 1);

        if (copy == NULL)
            goto out;
        memcpy(copy, values[n].p, values[n].n);
        size += values[n].n + 1;
        values[n++].p = copy;
    }
    qsort(values, n, sizeof *values, by_text);
    if ((text = malloc(size)) == NULL)
        goto out;
    for (unsigned i = 1; i < parts && n > 0; i++) {
        const struct mr_bytes *b = &values[n * i / parts];

        memcpy(text + at, b->p, b->n);
        at += b->n;
        text[at++] = '\n';
    }
    *ret_n = at;
out:
    for (size_t i = 0; values && i < n; i++)
        free((char *)(uintptr_t)values[i].p);
    free(values);
    return text;
}

static int
cut_table(struct mr_driver *d)
{
    const char *by = mr_driver_option(d, "partition.by", "hash");
    unsigned parts = (unsigned)files_number(d, "partition.parts", "4");
    struct mr_side side = { .name = "bounds" };
    const char *directory = files_directory(d);
    char output[4096], name[32];
    struct mr_run r = { .stage = "cut", .output = output, .reduces = parts, .sides = &side };
    char *bounds = NULL;
    int64_t rows, all = 0, most = 0;
    int rc;

    if (directory == NULL)
        return 1;
    if ((strcmp(by, "round") != 0 && strcmp(by, "hash") != 0 && strcmp(by, "range") != 0) || parts < 1 || parts > PARTS_MAX / 2) {
        fprintf(stderr, "partition: partition.by is round, hash or range; partition.parts 1 .. %d\n", PARTS_MAX / 2);
        return 2;
    }
    (void)snprintf(output, sizeof output, "%s/table", directory);
    if (strcmp(by, "range") == 0) {
        if ((bounds = find_bounds(d, parts, &side.bytes)) == NULL)
            return 1;
        side.data = bounds;
        r.side_count = 1;
    }
    rc = mr_run(d, &r);
    free(bounds);
    if (rc != 0)
        return 1;
    printf("part\trows\tbytes\n");
    for (unsigned i = 0; i < parts; i++) {
        (void)snprintf(name, sizeof name, "ROWS_%u", i);
        rows = mr_counter(d, name);
        (void)snprintf(name, sizeof name, "BYTES_%u", i);
        printf("%u\t%lld\t%lld\n", i, (long long)rows, (long long)mr_counter(d, name));
        all += rows;
        most = rows > most ? rows : most;
    }
    printf("skew %.4f\n", all ? (double)most * parts / (double)all : 1.0);
    return 0;
}

MR_DRIVER(cut_table)
