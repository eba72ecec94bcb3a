#include "libmr/sample.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "libmr/collect.h"
#include "libmr/seg.h"

#define SPLITS_MAX 32
#define PIECE_BYTES (256 * KB)      /* of a split */

/* The host of the attempt that reads one piece. */
struct sampler {
    struct mr_host host;            /* first */
    const struct mr_sample *s;
    const struct mr_split *split;
    struct buf pairs;
};

static enum rc
host_read(struct mr_host *h, size_t split UNUSED, void *p, size_t cap, uint64_t at, size_t *ret_n, struct why *why)
{
    struct sampler *k = (struct sampler *)(void *)h;

    return k->s->read(k->s->arg, k->split, p, cap < PIECE_BYTES ? cap : PIECE_BYTES, at, ret_n, why);
}

static enum rc
host_write(struct mr_host *h, const char *output UNUSED, const void *p, size_t n, struct why *why)
{
    struct sampler *k = (struct sampler *)(void *)h;

    buf_put(&k->pairs, p, n);
    return buf_ok(&k->pairs) ? RC_OK : why_rc(why, RC_NOMEM);
}

static void host_progress(struct mr_host *h UNUSED, const struct mr_progress *p UNUSED) {}

static const struct mr_host_ops host_ops = { .read = host_read, .write = host_write, .progress = host_progress };

static void
map_keys(struct mr_task *t, const struct mr_rec *rec, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mr_emit(t, rec[i].key, rec[i].key_len, NULL, 0);
}

static enum rc
read_piece(struct sampler *k, struct arena *arena, struct why *why)
{
    const struct mr_sample *s = k->s;
    const struct mr_job job = { .abi = MR_ABI, .size = sizeof job, .map = map_keys, .map_only = 1, .reader = s->reader,
                                .record_bytes = s->record_bytes, .key_bytes = s->key_bytes };
    struct mr_split piece = *k->split;
    struct mr_spec spec = { .is_map = true, .map_count = 1, .splits = &piece, .split_count = 1, .options = s->options,
                            .option_count = s->option_count, .results = true };
    struct mr_progress p;

    if (piece.bytes > PIECE_BYTES) {
        piece.start += (piece.bytes - PIECE_BYTES) / 2;
        piece.bytes = PIECE_BYTES;
    }
    return mr_attempt_run(&spec, &job, &k->host, s->w->io, s->w->clock, arena, &p, NULL, why);
}

static int
order_keys(const void *a, const void *b)
{
    return seg_compare(*(const struct mr_bytes *)a, *(const struct mr_bytes *)b);
}

/* The keys of all pieces, sorted, which lie in k->pairs. */
static enum rc
sort_keys(const struct sampler *k, struct mr_bytes **ret, size_t *ret_n, struct why *why)
{
    const char *p = (const char *)k->pairs.p, *end = p + k->pairs.n;
    struct mr_bytes *keys = NULL, value;
    size_t n = 0, cap = 0;

    while (p < end) {
        if (!mem_room(&keys, n, &cap, sizeof *keys)) {
            mem_free(keys);
            return why_rc(why, RC_NOMEM);
        }
        pair_get(&p, &keys[n++], &value);
    }
    if (n > 0)
        qsort(keys, n, sizeof *keys, order_keys);
    *ret = keys;
    *ret_n = n;
    return RC_OK;
}

static bool
has_keys(const struct mr_sample *s)
{
    const char *key_bytes = "0";

    for (size_t i = 0; i < s->option_count; i++)
        if (strcmp(s->options[i].key, "mr.record.key.bytes") == 0)
            key_bytes = s->options[i].value;
    return s->reader == MR_READ_KEY_VALUE || (s->reader == MR_READ_FIXED && (s->key_bytes > 0 || strcmp(key_bytes, "0") != 0));
}

enum rc
mr_sample_bounds(const struct mr_sample *s, struct arena *arena, struct mr_bytes **ret, size_t *ret_n, struct why *why)
{
    struct sampler k = { .host = { &host_ops }, .s = s };
    size_t pieces = s->split_count < SPLITS_MAX ? s->split_count : SPLITS_MAX, n = 0;
    struct mr_bytes *keys = NULL;
    enum rc rc = RC_OK;

    if (!has_keys(s))
        return why_set(why, RC_BAD_JOB, "MR_PART_RANGE needs a reader with keys: MR_READ_KEY_VALUE, or MR_READ_FIXED with "
                       "-D mr.record.key.bytes=N");
    buf_init(&k.pairs, 1 * GB);
    for (size_t i = 0; i < pieces && rc == RC_OK; i++) {
        k.split = &s->splits[i * s->split_count / pieces];
        rc = read_piece(&k, arena, why);
    }
    if (rc != RC_OK || (rc = sort_keys(&k, &keys, &n, why)) != RC_OK)
        goto out;
    *ret_n = 0;
    if ((*ret = arena_calloc(arena, s->reduces, sizeof **ret)) == NULL) {
        rc = why_rc(why, RC_NOMEM);
        goto out;
    }
    for (uint32_t i = 1; i < s->reduces; i++) {
        struct mr_bytes b = n ? keys[(uint64_t)i * n / s->reduces] : (struct mr_bytes){ "", 0 };

        (*ret)[*ret_n] = (struct mr_bytes){ arena_strndup(arena, b.p, b.n), b.n };
        if ((*ret)[(*ret_n)++].p == NULL) {
            rc = why_rc(why, RC_NOMEM);
            goto out;
        }
    }
out:
    mem_free(keys);
    buf_fini(&k.pairs);
    return rc;
}
