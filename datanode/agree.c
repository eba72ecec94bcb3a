#include "datanode/agree.h"

#include <inttypes.h>

#include "core/base/attr.h"
#include "core/base/faults.h"

/* Replicas count in this order; 0: not at all. */
static int
rank(enum replica_state state)
{
    switch (state) {
    case RS_FINALIZED:
        return 3;
    case RS_RBW:
        return 2;
    case RS_RWR:
        return 1;
    case RS_RUR:
    case RS_TEMPORARY:
        return 0;
    }
    return 0;
}

static bool
counts(const struct dn_agree_ask *ask, const struct dn_found *f, uint64_t min_bytes)
{
    return f->answered && f->found && rank(f->state) > 0 && f->stamp.v >= ask->stamp.v && f->bytes > 0 &&
           f->bytes >= min_bytes;
}

/* Is `a` rather the one that decides than `b`? */
static bool
decides(const struct dn_found *a, const struct dn_found *b)
{
    if (rank(a->state) != rank(b->state))
        return rank(a->state) > rank(b->state);
    if (a->state == RS_FINALIZED && a->stamp.v != b->stamp.v)
        return a->stamp.v > b->stamp.v;         /* the outcome of an earlier recovery */
    return old_bug(OLD_BUG_LONGEST_DECIDES) ? a->bytes > b->bytes : a->bytes < b->bytes;
}

static const struct dn_found *
choose(const struct dn_agree_ask *ask, const struct dn_found *found, size_t n, uint64_t min_bytes)
{
    const struct dn_found *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (counts(ask, &found[i], min_bytes) && (best == NULL || decides(&found[i], best)))
            best = &found[i];
    return best;
}

/* Nobody has what was promised: the longest is the best there is. */
static const struct dn_found *
longest(const struct dn_agree_ask *ask, const struct dn_found *found, size_t n)
{
    const struct dn_found *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (counts(ask, &found[i], 0) && (best == NULL || found[i].bytes > best->bytes))
            best = &found[i];
    return best;
}

enum rc
dn_agree(const struct dn_agree_ask *ask, const struct dn_found *found, size_t n, struct dn_agree *ret, struct why *why)
{
    uint64_t min_bytes = ask->truncates ? ask->truncate_bytes : old_bug(OLD_BUG_ACKED_BYTES_CUT) ? 0 : ask->bytes;
    const struct dn_found *best = choose(ask, found, n, min_bytes);
    size_t silent = 0;

    for (size_t i = 0; i < n; i++)
        silent += !found[i].answered;
    *ret = (struct dn_agree){ .nothing = false };
    if (best == NULL && ask->truncates)
        return why_set(why, RC_BUSY, "no node has the %" PRIu64 " bytes that are to stay; %zu of %zu gave no answer",
                       min_bytes, silent, n);
    if (best == NULL && silent > 0)
        return why_set(why, RC_BUSY, "no node has %" PRIu64 " bytes or more, and %zu of %zu gave no answer", min_bytes,
                       silent, n);
    if (best == NULL && (best = longest(ask, found, n)) == NULL) {
        ret->nothing = true;
        return RC_OK;
    }
    ret->bytes = ask->truncates ? ask->truncate_bytes : best->bytes;
    for (size_t i = 0; i < n && i < ARRAY_LEN(ret->takes_part); i++)
        ret->takes_part[i] = counts(ask, &found[i], ret->bytes);
    return RC_OK;
}
