#include "datanode/report.h"

static bool
is_written(const struct dn_view *v)
{
    return v->state != RS_FINALIZED;
}

static uint64_t
hash_u64(uint64_t hash, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++, v >>= 8)
        hash = (hash ^ (v & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t
dn_replica_hash(uint64_t hash, const struct dn_view *v)
{
    hash = hash_u64(hash, v->id.v);
    hash = hash_u64(hash, v->stamp.v);
    hash = hash_u64(hash, v->bytes);
    return hash_u64(hash, is_written(v));
}

size_t
dn_range_count(size_t n, size_t each)
{
    return n == 0 ? 1 : (n - 1) / each + 1;
}

void
dn_ranges(const struct dn_view *replicas, size_t n, size_t each, struct dn_range *ret)
{
    size_t count = dn_range_count(n, each);

    for (size_t i = 0; i < count; i++) {
        struct dn_range *r = &ret[i];

        r->from = i * each;
        r->count = n - r->from < each ? n - r->from : each;
        r->first = i == 0 ? 0 : ret[i - 1].last + 1;
        r->last = i == count - 1 ? UINT64_MAX : replicas[r->from + r->count - 1].id.v;
        r->hash = DN_HASH_START;
        for (size_t k = 0; k < r->count; k++)
            r->hash = dn_replica_hash(r->hash, &replicas[r->from + k]);
    }
}

void
dn_replica_numbers(const struct dn_view *v, uint64_t before, uint64_t ret[3])
{
    ret[0] = v->id.v - before;
    ret[1] = v->stamp.v;
    ret[2] = v->bytes * 2 + is_written(v);
}
