/*
 * table.h -- rows of text with fields: what the jobs over tables share.
 */
#ifndef JOBS_TABLE_H
#define JOBS_TABLE_H

#include <math.h>
#include <mr.h>
#include <stdlib.h>

#define TABLE_FIELDS_MAX 256

/* The fields of one line, quotes taken off. */
struct table_row {
    struct mr_bytes field[TABLE_FIELDS_MAX];
    unsigned n;
};

static inline void table_split(const struct mr_rec *rec, char sep, struct table_row *row)
{
    const char *p = rec->value, *end = p + rec->value_len;

    for (row->n = 0; row->n < TABLE_FIELDS_MAX && mr_csv_field(&p, end, sep, &row->field[row->n]);)
        row->n++;
}

/* "1,3" of an option into out[], field numbers from 0; returns how many.  "" gives none. */
static inline unsigned table_list(struct mr_task *t, const char *text, unsigned *out)
{
    unsigned n = 0;
    char *end;

    for (const char *p = text; *p; p = *end ? end + 1 : end) {
        unsigned long v = strtoul(p, &end, 10);

        if (end == p || (*end && *end != ',') || v == 0 || v > TABLE_FIELDS_MAX || n == TABLE_FIELDS_MAX)
            mr_fail(t, "a list of fields is numbers from 1 with commas between, as in 1,3");
        out[n++] = (unsigned)v - 1;
    }
    return n;
}

/* The byte that ends a field: "tab", "space" or itself. */
static inline char table_separator(const char *text)
{
    return strcmp(text, "tab") == 0 ? '\t' : strcmp(text, "space") == 0 ? ' ' : text[0];
}

/* True when the record is the first line of its file and -D mr.csv.header=1 says that it holds names. */
static inline int table_is_header(struct mr_task *t, const struct mr_rec *rec)
{
    return rec->at == 0 && strcmp(mr_option(t, "mr.csv.header", "0"), "1") == 0;
}

/*
 * What is shown of statistics: a list of these words, in the order given.  "" or an unknown word: fails the attempt.
 */
enum table_word { TABLE_COUNT, TABLE_SUM, TABLE_AVG, TABLE_MIN, TABLE_MAX, TABLE_VAR, TABLE_STDDEV, TABLE_WORDS };

static inline unsigned table_words(struct mr_task *t, const char *text, enum table_word *out)
{
    static const char *const names[TABLE_WORDS] = { "count", "sum", "avg", "min", "max", "var", "stddev" };
    unsigned n = 0;

    for (const char *p = text; *p && n < 2 * TABLE_WORDS; p += *p == ',') {
        size_t len = strcspn(p, ",");
        int i = 0;

        while (i < TABLE_WORDS && !(strlen(names[i]) == len && memcmp(names[i], p, len) == 0))
            i++;
        if (i == TABLE_WORDS)
            mr_fail(t, "what can be shown is count, sum, avg, min, max, var, stddev");
        out[n++] = (enum table_word)i;
        p += len;
    }
    return n;
}

/* One number of s as text into buf; var and stddev are those of a sample (n - 1), "" of fewer than two. */
static inline size_t table_show(struct mr_task *t, const struct mr_stats *s, enum table_word what, char buf[32])
{
    double var = s->n > 1 ? s->m2 / (s->n - 1) : 0;
    double v[TABLE_WORDS] = { s->n, s->sum, s->mean, s->min, s->max, var, sqrt(var) };

    if ((what >= TABLE_VAR && s->n < 2) || (what > TABLE_COUNT && s->n == 0))
        return 0;
    return mr_f64_text(t, v[what], buf);
}

#endif
