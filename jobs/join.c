/*
 * join -- two tables by a common field (an inner, left, right or full join).
 *
 *     mr run join -input LEFT -input RIGHT -output OUT -D join.left=PREFIX
 *
 *     -D join.left=PREFIX       files whose path begins so are the left table, the others the right one
 *     -D join.left.key=N        field of the key in the left table, from 1 (default 1)
 *     -D join.right.key=N       the same of the right (default 1)
 *     -D join.kind=inner|left|right|full     (default inner)
 *     -D join.sep=C             what ends a field: one byte (default ,)
 *
 * A line of output is the key, then the left line's other fields, then the right line's.  The lines of a key's left
 * side are kept in memory while its right side passes by: put the table with fewer lines a key on the left.
 */
#include <mr.h>
#include <stdlib.h>

/* Emitted keys: the field, NUL, side (0 left, 1 right): the left lines of a key come first. */
struct join {
    const char *left;
    unsigned left_key, right_key;
    char sep;
    int keep_left, keep_right;      /* without a partner */
    char *lines;                    /* the left side of the key at hand: length, bytes, ... */
    size_t n, cap;
    int of_reduce;
};

static void
setup(struct mr_task *t)
{
    struct join *j = t->state = mr_alloc(t, sizeof *j);
    const char *kind = mr_option(t, "join.kind", "inner");

    j->left = mr_option(t, "join.left", NULL);
    j->left_key = (unsigned)strtoul(mr_option(t, "join.left.key", "1"), NULL, 10);
    j->right_key = (unsigned)strtoul(mr_option(t, "join.right.key", "1"), NULL, 10);
    j->sep = mr_option(t, "join.sep", ",")[0];
    j->keep_left = strcmp(kind, "left") == 0 || strcmp(kind, "full") == 0;
    j->keep_right = strcmp(kind, "right") == 0 || strcmp(kind, "full") == 0;
    if (j->left == NULL || j->left_key == 0 || j->right_key == 0)
        mr_fail(t, "give -D join.left=PREFIX; join.left.key and join.right.key count from 1");
    if (!j->keep_left && !j->keep_right && strcmp(kind, "inner") != 0)
        mr_fail(t, "join.kind is inner, left, right or full");
}

/* The line without its key field. */
static size_t
rest_of(const struct mr_rec *rec, struct mr_bytes key, char *out)
{
    size_t before = (size_t)(key.p - rec->value), after = rec->value_len - before - key.n;

    if (key.n == 0 && before == rec->value_len) {       /* no such field */
        memcpy(out, rec->value, rec->value_len);
        return rec->value_len;
    }
    if (after > 0) {            /* leave out the separator behind the key ... */
        memcpy(out, rec->value, before);
        memcpy(out + before, key.p + key.n + 1, after - 1);
        return before + after - 1;
    }
    before -= before > 0;       /* ... or the one before it */
    memcpy(out, rec->value, before);
    return before;
}

static void
map_line(struct mr_task *t, const struct mr_rec *rec)
{
    struct join *j = t->state;
    int right = strncmp(mr_path(t), j->left, strlen(j->left)) != 0;
    struct mr_bytes f = mr_field(rec->value, rec->value_len, j->sep, (right ? j->right_key : j->left_key) - 1);
    char key[4096];

    if (f.n + 2 > sizeof key)
        mr_fail(t, "a key has more than 4094 bytes");
    if (rec->value_len >= j->cap) {
        j->cap = 2 * rec->value_len + 256;
        j->lines = mr_alloc(t, j->cap);
    }
    memcpy(key, f.p, f.n);
    key[f.n] = '\0';
    key[f.n + 1] = (char)right;
    j->lines[0] = (char)right;      /* reduce sees one key a group: the value says its side too */
    mr_emit(t, key, f.n + 2, j->lines, 1 + rest_of(rec, f, j->lines + 1));
}

MR_MAP_EACH(map, map_line)

static uint32_t
partition(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    (void)t;
    return (uint32_t)(mr_hash(key.p, key.n - 2) % parts);
}

/* Both sides of a key are one group. */
static int
group(struct mr_bytes a, struct mr_bytes b)
{
    size_t n = (a.n < b.n ? a.n : b.n) - 2;
    int c = memcmp(a.p, b.p, n);

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static void
give(struct mr_task *t, struct mr_bytes key, const char *left, size_t left_n, struct mr_bytes right)
{
    struct join *j = t->state;
    size_t n = 0, cap = key.n + left_n + right.n + 2;
    char *line = malloc(cap);

    if (line == NULL)
        mr_fail(t, "no memory for a line");
    memcpy(line, key.p, n = key.n - 2);
    if (left_n > 0) {
        line[n++] = j->sep;
        memcpy(line + n, left, left_n);
        n += left_n;
    }
    if (right.n > 0) {
        line[n++] = j->sep;
        memcpy(line + n, right.p, right.n);
        n += right.n;
    }
    mr_emit(t, NULL, 0, line, n);
    free(line);
}

/* Each kept left line with this right one. */
static void
pair_up(struct mr_task *t, struct mr_bytes key, struct mr_bytes right)
{
    struct join *j = t->state;
    uint32_t len;

    for (size_t at = 0; at < j->n; at += sizeof len + len) {
        memcpy(&len, j->lines + at, sizeof len);
        give(t, key, j->lines + at + sizeof len, len, right);
    }
}

static void
keep(struct mr_task *t, struct mr_bytes line)
{
    struct join *j = t->state;
    uint32_t len = (uint32_t)line.n;

    if (j->n + sizeof len + line.n > j->cap) {
        char *lines = realloc(j->lines, 2 * (j->n + sizeof len + line.n));

        if (lines == NULL)
            mr_fail(t, "no memory for the left lines of a key");
        j->lines = lines;
        j->cap = 2 * (j->n + sizeof len + line.n);
    }
    memcpy(j->lines + j->n, &len, sizeof len);
    memcpy(j->lines + j->n + sizeof len, line.p, line.n);
    j->n += sizeof len + line.n;
}

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes none = { "", 0 }, v, line;
    struct join *j = t->state;
    int met = 0;

    j->of_reduce = 1;
    for (j->n = 0; mr_next(t, values, &v);) {
        line = (struct mr_bytes){ v.p + 1, v.n - 1 };
        if (v.p[0] == 0) {
            keep(t, line);
            continue;
        }
        met = 1;
        if (j->n > 0)
            pair_up(t, key, line);
        else if (j->keep_right)
            give(t, key, "", 0, line);
    }
    if (!met && j->keep_left)
        pair_up(t, key, none);
}

/* The kept lines of a reduce are its own; a map's go with the attempt. */
static void
cleanup(struct mr_task *t)
{
    struct join *j = t->state;

    if (j->of_reduce)
        free(j->lines);
}

MR_JOB(.map = map, .reduce = reduce, .partition = partition, .group = group, .setup = setup, .cleanup = cleanup)
