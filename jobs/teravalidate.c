/*
 * teravalidate -- is a directory of records sorted, and what is its checksum?
 *
 *     mr run teravalidate -input SORTED -output REPORT
 *
 * REPORT says rows, duplicate keys, the checksum (sum of the records' CRC-32, as valsort's) and, for each place where
 * a record is smaller than the one before it, "unordered" with file and place. Two directories with equal rows and
 * checksum hold the same records. Files count in the order of their names.
 */
#include <mr.h>
#include <stdio.h>

#include "tera.h"

/* What a map knows of its split: key of the pair is (file, place), so a reduce meets them in order. */
struct part {
    char first[TERA_KEY], last[TERA_KEY];
    uint64_t rows, duplicates, unordered, first_bad;
    uint64_t sum;               /* of CRC-32: 2^32 records before it wraps */
};

struct check {
    struct part part, all;      /* all: of a reduce */
    unsigned char key[12];      /* file, place: big-endian */
    uint32_t crc[256];
};

static void
setup(struct mr_task *t)
{
    struct check *c = t->state = mr_alloc(t, sizeof *c);

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;

        for (int k = 0; k < 8; k++)
            v = v >> 1 ^ (v & 1 ? UINT32_C(0xEDB88320) : 0);
        c->crc[i] = v;
    }
}

static uint32_t
crc32_of(const struct check *c, const char *p, size_t n)
{
    uint32_t v = UINT32_MAX;

    for (size_t i = 0; i < n; i++)
        v = v >> 8 ^ c->crc[(v ^ (unsigned char)p[i]) & 255];
    return ~v;
}

/* A new split begins when the file changes or a record does not follow the one before; maps of several splits give
 * each its own pair. */
static void
give(struct mr_task *t)
{
    struct check *c = t->state;

    if (c->part.rows > 0)
        mr_emit(t, c->key, sizeof c->key, &c->part, sizeof c->part);
    memset(&c->part, 0, sizeof c->part);
}

static void
map(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    struct check *c = t->state;
    uint32_t file = mr_number(t, MR_FILE);
    unsigned char key[12];

    for (size_t i = 0; i < n; i++) {
        const char *r = rec[i].key;
        int order;

        for (int k = 0; k < 12; k++)
            key[k] = (unsigned char)(k < 4 ? file >> (24 - 8 * k) : rec[i].at >> (88 - 8 * k));
        if (c->part.rows > 0 && memcmp(key, c->key, 4) != 0)
            give(t);
        if (c->part.rows == 0) {
            memcpy(c->key, key, sizeof key);
            memcpy(c->part.first, r, TERA_KEY);
        } else if ((order = memcmp(r, c->part.last, TERA_KEY)) <= 0) {
            c->part.duplicates += order == 0;
            if (order < 0 && c->part.unordered++ == 0)
                c->part.first_bad = rec[i].at;
        }
        memcpy(c->part.last, r, TERA_KEY);
        c->part.rows++;
        c->part.sum += crc32_of(c, r, TERA_RECORD);
    }
}

static void
reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    struct check *c = t->state;
    char text[64];
    struct part p;
    int order;

    while (mr_next_copy(t, values, &p, sizeof p)) {
        uint32_t file = 0;
        uint64_t at = 0;

        for (int k = 0; k < 4; k++)
            file = file << 8 | (unsigned char)key.p[k];
        for (int k = 4; k < 12; k++)
            at = at << 8 | (unsigned char)key.p[k];
        order = c->all.rows ? memcmp(p.first, c->all.last, TERA_KEY) : 1;
        if (order < 0 || p.unordered > 0) {
            mr_emit(t, "unordered", 9, text, (size_t)snprintf(text, sizeof text, "file %u at %llu", file,
                    (unsigned long long)(order < 0 ? at : p.first_bad)));
        }
        c->all.duplicates += p.duplicates + (order == 0);
        c->all.unordered += p.unordered + (order < 0);
        c->all.rows += p.rows;
        c->all.sum += p.sum;
        memcpy(c->all.last, p.last, TERA_KEY);
    }
}

static void
line(struct mr_task *t, const char *name, unsigned long long v)
{
    char text[32];

    mr_emit(t, name, strlen(name), text, (size_t)snprintf(text, sizeof text, "%llu", v));
}

static void
cleanup(struct mr_task *t)
{
    struct check *c = t->state;
    char text[32];

    give(t);
    if (c->all.rows == 0)
        return;                 /* a map */
    line(t, "rows", c->all.rows);
    line(t, "duplicates", c->all.duplicates);
    line(t, "out of order", c->all.unordered);
    mr_emit(t, "checksum", 8, text, (size_t)snprintf(text, sizeof text, "%llx", (unsigned long long)c->all.sum));
}

static uint32_t
one(struct mr_task *t, struct mr_bytes key, uint32_t parts)
{
    (void)t;
    (void)key;
    (void)parts;
    return 0;                   /* the order of all files is one reduce's to see */
}

MR_JOB(.reader = MR_READ_FIXED, .record_bytes = TERA_RECORD, .key_bytes = TERA_KEY, .map = map, .setup = setup,
       .cleanup = cleanup, .reduce = reduce, .partition = one)
