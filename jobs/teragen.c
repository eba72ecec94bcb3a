/*
 * teragen -- records of the sort benchmark, gensort's binary ones.
 *
 *     mr run teragen -output RECORDS -D teragen.rows=N [-D teragen.maps=M]
 *
 * The driver writes a line "first row, rows" for each map; a map makes its rows.
 */
#include <mr.h>
#include <stdio.h>
#include <stdlib.h>

#include "tera.h"

#define LINE 48                 /* each the same length: a split holds one */

static void
make(struct mr_task *t, const struct mr_rec *rec)
{
    uint64_t row = strtoull(rec->value, NULL, 10), n = strtoull(rec->value + 20, NULL, 10);
    tera_u128 random = tera_skip(row + 1);
    char r[TERA_RECORD];

    for (uint64_t end = row + n; row < end; row++, random = tera_next(random)) {
        tera_record(random, row, r);
        mr_emit(t, NULL, 0, r, sizeof r);
    }
}

MR_MAP_EACH(map, make)

MR_STAGE(make, .map = map, .reader = MR_READ_FIXED, .record_bytes = LINE, .map_only = 1, .writer = MR_WRITE_RAW)

static int
generate(struct mr_driver *d)
{
    unsigned long long rows = strtoull(mr_driver_option(d, "teragen.rows", "0"), NULL, 10), row = 0;
    unsigned long maps = strtoul(mr_driver_option(d, "teragen.maps", "2"), NULL, 10);
    const struct mr_pairopt options[] = { { "mapreduce.input.fileinputformat.split.maxsize", "48" } };
    char ranges[4096], *text;
    const char *const inputs[] = { ranges, NULL };
    struct mr_run r = { .stage = "make", .inputs = inputs, .output = mr_driver_output(d), .options = options,
                        .option_count = 1 };
    int rc = -1;

    if (rows == 0 || maps == 0 || maps > 100000) {
        fprintf(stderr, "teragen: give -D teragen.rows=N, and teragen.maps=1 .. 100000\n");
        return 2;
    }
    if ((text = malloc(maps * LINE + 1)) == NULL)
        return 1;
    for (unsigned long i = 0; i < maps; i++) {
        unsigned long long n = rows / maps + (i < rows % maps);

        (void)snprintf(text + i * LINE, LINE + 1, "%19llu %27llu", row, n);
        text[i * LINE + LINE - 1] = '\n';
        row += n;
    }
    (void)snprintf(ranges, sizeof ranges, "%s.ranges", mr_driver_output(d));
    if (mr_write_file(d, ranges, text, maps * LINE) == 0) {
        rc = mr_run(d, &r);
        if (mr_remove(d, ranges) != 0)
            rc = -1;
    }
    free(text);
    return rc == 0 ? 0 : 1;
}

MR_DRIVER(generate)
