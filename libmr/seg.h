/*
 * seg -- map output on disk: runs of pairs sorted by key (docs/formats/segment.md).
 *
 * A segment is a row of blocks, each with the length and checksum of what is
 * stored, lz4 where that is asked for and helps, and a last block with the
 * number of pairs.  A pair never crosses a block.  Where all pairs of a block are
 * of the same lengths, these stand in it once.  Spill files and map output
 * files hold one segment a partition, one after the other.
 */
#ifndef LIBMR_SEG_H
#define LIBMR_SEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rc.h"
#include "core/io/io.h"
#include "libmr/mr.h"

struct seg_writer {
    struct io *io;
    int fd;
    uint64_t at;                /* where the next block goes in the file */
    bool compress;
    uint64_t pairs;             /* in the segment that is open */
    uint32_t crc;               /* CRC32C of its bytes so far; of all of them behind seg_end */
    bool ended;                 /* the next block begins a segment */
    bool even;                  /* pairs of the block that is open all have the two lengths that follow */
    size_t key_n, value_n;
    struct buf raw, stored;
};

void seg_writer_init(struct seg_writer *w, struct io *io, int fd, bool compress);
void seg_writer_fini(struct seg_writer *w);
enum rc seg_put(struct seg_writer *w, struct mr_bytes key, struct mr_bytes value, struct why *why) MUST_CHECK;
/* End the segment; w->at is the first byte behind it, where the next one begins. */
enum rc seg_end(struct seg_writer *w, struct why *why) MUST_CHECK;

struct seg_reader {
    struct io *io;
    int fd;
    uint64_t at, end;           /* bytes of the file still to be read */
    uint32_t source;            /* number of the map or spill: order of equal keys */
    uint64_t prefix;            /* first 8 bytes of key, big-endian, zero behind its end */
    struct mr_bytes key, value; /* of the current pair; good until the next seg_next */
    uint64_t pairs;
    bool done;
    bool even;                  /* pairs of the block in hand all have the two lengths that follow */
    size_t key_n, value_n;
    struct buf raw, stored;
    size_t pos;                 /* in raw */
};

void seg_reader_init(struct seg_reader *r, struct io *io, int fd, uint64_t at, uint64_t bytes, uint32_t source);
void seg_reader_fini(struct seg_reader *r);     /* does not close fd */
/* Step to the next pair; r->done after the last.  RC_CORRUPT for anything that is not a whole segment. */
enum rc seg_next(struct seg_reader *r, struct why *why) MUST_CHECK;

/* The first 8 bytes of a key as a number that sorts as they do. */
uint64_t seg_prefix(struct mr_bytes key);
/* Order of keys by bytes, shorter first. */
int seg_compare(struct mr_bytes a, struct mr_bytes b);

/* Merge: the pairs of several segments in order of key, then of source. */
struct seg_merge {
    struct seg_reader **heap;   /* heap[0] has the smallest pair */
    size_t n;
    mr_compare_fn *compare;     /* NULL: by bytes */
};

/* Takes the array (mem_free), borrows the readers, which must stand before their first pair. */
enum rc seg_merge_init(struct seg_merge *m, struct seg_reader **readers, size_t n, mr_compare_fn *compare,
                       struct why *why) MUST_CHECK;
void seg_merge_fini(struct seg_merge *m);
/* The reader that holds the smallest pair, NULL at the end. */
static inline struct seg_reader *seg_merge_top(const struct seg_merge *m) { return m->n ? m->heap[0] : NULL; }
/* Step behind the smallest pair. */
enum rc seg_merge_next(struct seg_merge *m, struct why *why) MUST_CHECK;

#endif
