/*
 * split -- cutting files into splits.
 */
#include "libmr/task.h"

/* A rest of up to a tenth of a split is joined to the split before it. */
static uint64_t
slack(uint64_t split)
{
    return split + split / 10;
}

static uint64_t
split_bytes(const struct mr_file *f, uint64_t split_min, uint64_t split_max)
{
    uint64_t n = f->block_bytes ? f->block_bytes : 1;

    if (n > split_max)
        n = split_max;
    if (n < split_min)
        n = split_min;
    return n ? n : 1;
}

bool
mr_reader_takes_files(enum mr_reader r)
{
    return r == MR_READ_PREFIXED || r == MR_READ_FILE;
}

static size_t
count_splits(const struct mr_file *f, uint64_t size)
{
    uint64_t left = f->bytes;
    size_t n = 0;

    if (f->whole)
        return 1;
    for (; left > slack(size); left -= size)
        n++;
    return n + (left != 0);
}

enum rc
mr_split_plan(const struct mr_file *files, size_t file_count, uint64_t split_min, uint64_t split_max, struct arena *a,
              struct mr_split **ret, size_t *ret_n, struct why *why)
{
    struct mr_split *v;
    size_t total = 0, n = 0;

    for (size_t i = 0; i < file_count; i++)
        total += count_splits(&files[i], split_bytes(&files[i], split_min, split_max));
    if ((v = arena_calloc(a, total ? total : 1, sizeof *v)) == NULL)
        return why_set(why, RC_NOMEM, "no memory for %zu splits", total);
    for (size_t i = 0; i < file_count; i++) {
        const struct mr_file *f = &files[i];
        uint64_t size = split_bytes(f, split_min, split_max), at = 0;

        if (f->whole)
            v[n++] = (struct mr_split){ f->path, 0, f->bytes, f->bytes, (uint32_t)i };
        while (!f->whole && at < f->bytes) {
            uint64_t left = f->bytes - at, take = left > slack(size) ? size : left;

            v[n++] = (struct mr_split){ f->path, at, take, f->bytes, (uint32_t)i };
            at += take;
        }
    }
    *ret = v;
    *ret_n = n;
    return RC_OK;
}
