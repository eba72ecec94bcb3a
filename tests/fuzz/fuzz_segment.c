/*
 * fuzz_segment -- spill files and map outputs.
 *
 * The input is a file with one or two segments (the first byte says where the
 * second begins).  In an odd run the checksums of its blocks are put right first,
 * so that what is behind them is reached.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/buf.h"
#include "core/io/crc.h"
#include "libmr/seg.h"

#define HEAD 12
#define PACKED UINT32_C(0x80000000)

/* The checksums that the blocks in p[0..n) should have. */
static void
put_right(uint8_t *p, size_t n)
{
    while (n >= HEAD) {
        size_t stored = get_le32(p + 4) & ~PACKED;

        if (stored > n - HEAD)
            stored = n - HEAD;
        put_le32(p + 8, crc32c(crc32c(0, p, 8), p + HEAD, stored));
        p += HEAD + stored;
        n -= HEAD + stored;
    }
}

static void
merge(struct fuzz_io *f, size_t cut)
{
    struct seg_reader one, two, **readers = mem_calloc(2, sizeof *readers);
    struct seg_merge m;
    struct why why;
    uint64_t pairs = 0;
    enum rc rc;

    CHECK(readers != NULL);
    seg_reader_init(&one, &f->io, 1, 0, cut, 0);
    seg_reader_init(&two, &f->io, 1, cut, f->n - cut, 1);
    readers[0] = &one;
    readers[1] = &two;
    rc = seg_merge_init(&m, readers, 2, NULL, &why);
    while (rc == RC_OK && seg_merge_top(&m) != NULL) {
        const struct seg_reader *top = seg_merge_top(&m);
        unsigned sum = 0;

        for (size_t i = 0; i < top->key.n; i++)
            sum += (unsigned char)top->key.p[i];
        for (size_t i = 0; i < top->value.n; i++)
            sum += (unsigned char)top->value.p[i];
        pairs += sum != 1;
        CHECK(top->raw.n <= 256 * f->n + 256);
        rc = seg_merge_next(&m, &why);
    }
    CHECK(rc == RC_OK || rc == RC_CORRUPT);
    CHECK(pairs <= 256 * f->n);
    seg_merge_fini(&m);
    seg_reader_fini(&one);
    seg_reader_fini(&two);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_io f;
    uint8_t *copy;
    size_t cut;

    if (n < 2)
        return 0;
    cut = (size_t)data[0] * 4 < n - 2 ? (size_t)data[0] * 4 : n - 2;
    CHECK((copy = mem_alloc(n)) != NULL);
    memcpy(copy, data + 2, n - 2);
    if (data[1] % 2) {
        put_right(copy, cut);
        put_right(copy + cut, n - 2 - cut);
    }
    fuzz_io_init(&f, copy, n - 2);
    merge(&f, cut);
    mem_free(copy);
    CHECK(mem_live() == 0);
    return 0;
}
