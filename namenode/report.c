#include "namenode/report.h"

#include <inttypes.h>

static uint64_t hash_u64(uint64_t hash, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        hash ^= v & 0xff;
        hash *= UINT64_C(0x100000001b3);
        v >>= 8;
    }
    return hash;
}

uint64_t nn_held_hash(uint64_t hash, const struct nn_held *h)
{
    hash = hash_u64(hash, h->block.v);
    hash = hash_u64(hash, h->stamp);
    hash = hash_u64(hash, h->bytes);
    return hash_u64(hash, h->writing ? 1 : 0);
}

enum rc nn_ranges_check(const struct nn_range *ranges, size_t n, struct why *why)
{
    uint64_t next = 0;

    for (size_t i = 0; i < n; i++) {
        if (ranges[i].first != next || ranges[i].last < ranges[i].first ||
            (ranges[i].last == UINT64_MAX) != (i == n - 1))
            return why_set(why, RC_BAD_MESSAGE, "range %zu of the report, %" PRIu64 " to %" PRIu64 ", does not follow the one before",
                           i, ranges[i].first, ranges[i].last);
        next = ranges[i].last + 1;
    }
    return n == 0 ? why_set(why, RC_BAD_MESSAGE, "a report without ranges") : RC_OK;
}

void nn_ranges_add(struct nn_range *ranges, size_t n, size_t *at, const struct nn_held *h)
{
    while (*at < n && ranges[*at].last < h->block.v)
        (*at)++;
    if (*at == n || ranges[*at].first > h->block.v)
        return;
    ranges[*at].count++;
    ranges[*at].hash = nn_held_hash(ranges[*at].hash, h);
}

static bool same(const struct nn_held *a, const struct nn_held *b)
{
    return a->stamp == b->stamp && a->bytes == b->bytes && a->writing == b->writing;
}

enum rc nn_report_diff(const struct nn_held *roster, size_t roster_count, const struct nn_held *report,
                       size_t report_count, const struct nn_report_events *events, struct why *why)
{
    size_t i = 0, k = 0;
    enum rc rc = RC_OK;

    while (rc == RC_OK && (i < roster_count || k < report_count)) {
        if (k == report_count || (i < roster_count && roster[i].block.v < report[k].block.v)) {
            rc = events->on_gone(events->arg, &roster[i++], why);
        } else if (i == roster_count || report[k].block.v < roster[i].block.v) {
            rc = events->on_new(events->arg, &report[k++], why);
        } else {
            if (!same(&roster[i], &report[k]))
                rc = events->on_new(events->arg, &report[k], why);
            i++;
            k++;
        }
    }
    return rc;
}

enum rc nn_report_decode(const uint64_t *numbers, size_t n, uint64_t first, uint64_t last, struct nn_held *out,
                         struct why *why)
{
    uint64_t id = 0;

    if (n % 3 != 0)
        return why_set(why, RC_BAD_MESSAGE, "a report of %zu numbers, not three a replica", n);
    for (size_t i = 0; i < n; i += 3) {
        if ((i > 0 && numbers[i] == 0) || numbers[i] > UINT64_MAX - id)
            return why_set(why, RC_BAD_MESSAGE, "replicas of a report are not in order");
        id += numbers[i];
        if (id < first || id > last)
            return why_set(why, RC_BAD_MESSAGE, "block %" PRIu64 " is outside its range", id);
        out[i / 3] = (struct nn_held){ .block = { id }, .stamp = numbers[i + 1], .bytes = numbers[i + 2] >> 1,
                                       .writing = (numbers[i + 2] & 1) != 0 };
    }
    return RC_OK;
}
