/*
 * fuzz_report -- block reports as the NameNode reads them: numbers of replicas,
 * ranges with hashes, and the difference to what the roster says.
 *
 * Input: three varints a replica, "first" and "last" in front.  The roster's
 * side is every other replica of the report, some of them changed.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/buf.h"
#include "namenode/report.h"

#define NUMBERS_MAX 3000

struct seen {
    uint64_t last;
    size_t gone, fresh;
};

static enum rc
on_gone(void *arg, const struct nn_held *was, struct why *why)
{
    struct seen *s = arg;

    (void)was;
    (void)why;
    s->gone++;
    return RC_OK;
}

static enum rc
on_new(void *arg, const struct nn_held *is, struct why *why)
{
    struct seen *s = arg;

    (void)why;
    CHECK(s->fresh == 0 || is->block.v > s->last);
    s->last = is->block.v;
    s->fresh++;
    return RC_OK;
}

static void
compare(const struct nn_held *held, size_t n, struct nn_range range)
{
    struct nn_held *roster = mem_calloc(n + 1, sizeof *roster);
    struct seen seen = { 0 };
    const struct nn_report_events events = { &seen, on_gone, on_new };
    struct why why;
    size_t kept = 0, cursor = 0;

    CHECK(roster != NULL);
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0)
            roster[kept++] = held[i];
        if (i % 4 == 0)
            roster[kept - 1].stamp++;
        if (held[i].block.v >= range.first && held[i].block.v <= range.last)
            nn_ranges_add(&range, 1, &cursor, &held[i]);
    }
    CHECK(nn_report_diff(roster, kept, held, n, &events, &why) == RC_OK);
    CHECK(seen.gone == 0);
    CHECK(seen.fresh == n - kept + (n + 3) / 4);
    CHECK(nn_report_diff(held, n, held, n, &events, &why) == RC_OK);
    CHECK(seen.fresh == n - kept + (n + 3) / 4);
    mem_free(roster);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t *numbers = mem_calloc(NUMBERS_MAX, sizeof *numbers), first, last;
    struct nn_held *held = mem_calloc(NUMBERS_MAX / 3, sizeof *held);
    struct nn_range ranges[2];
    size_t count = 0;
    struct why why;
    struct rd r;

    CHECK(numbers != NULL);
    CHECK(held != NULL);
    rd_init(&r, data, n);
    first = rd_varint(&r);
    last = rd_varint(&r);
    while (r.left > 0 && !r.bad && count < NUMBERS_MAX)
        numbers[count++] = rd_varint(&r);
    ranges[0] = (struct nn_range){ .first = 0, .last = first };
    ranges[1] = (struct nn_range){ .first = last, .last = UINT64_MAX };
    if (nn_ranges_check(ranges, 2, &why) == RC_OK)
        CHECK(last == first + 1);
    if (nn_report_decode(numbers, count, first, last, held, &why) == RC_OK) {
        CHECK(count % 3 == 0);
        for (size_t i = 0; i < count / 3; i++) {
            CHECK(held[i].block.v >= first);
            CHECK(held[i].block.v <= last);
            CHECK(i == 0 || held[i].block.v > held[i - 1].block.v);
        }
        compare(held, count / 3, (struct nn_range){ .first = first, .last = last });
    }
    mem_free(numbers);
    mem_free(held);
    CHECK(mem_live() == 0);
    return 0;
}
