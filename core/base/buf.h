/*
 * buf -- a growable run of bytes, born with a limit; and bounded writers and
 * readers over runs of bytes.
 *
 * Writers poison the buffer when it would pass its limit or memory is short;
 * readers poison themselves when they would pass the end.  Check once, at the
 * end: buf_ok, rd_finish.
 */
#ifndef CORE_BASE_BUF_H
#define CORE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rc.h"

/* Bytes that somebody else owns. */
struct span {
    const uint8_t *p;
    size_t n;
};

struct buf {
    uint8_t *p;
    size_t n;           /* bytes filled */
    size_t cap;
    size_t limit;
    bool bad;           /* past the limit or out of memory; contents are not to be used */
};

void buf_init(struct buf *b, size_t limit);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b);                  /* empty and not bad; keeps its memory */
bool buf_reserve(struct buf *b, size_t n);      /* room for n more bytes */
uint8_t *buf_grow(struct buf *b, size_t n);     /* n more bytes, uninitialised; NULL when bad */
void buf_drop_front(struct buf *b, size_t n);   /* forget the first n bytes (moves the rest) */
uint8_t *buf_take(struct buf *b, size_t *ret_n);/* caller owns the bytes (mem_free); b is empty */

void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_u8(struct buf *b, uint8_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v);     /* protobuf's base 128 */
static inline bool buf_ok(const struct buf *b) { return !b->bad; }

/* Reads p[0..n).  After a read past the end every read yields zero or NULL. */
struct rd {
    const uint8_t *p;
    size_t left;
    bool bad;
};

void rd_init(struct rd *r, const void *p, size_t n);
const uint8_t *rd_bytes(struct rd *r, size_t n);
uint8_t rd_u8(struct rd *r);
uint16_t rd_be16(struct rd *r);
uint32_t rd_be32(struct rd *r);
uint64_t rd_be64(struct rd *r);
uint64_t rd_varint(struct rd *r);               /* at most 10 bytes, else bad */
struct span rd_delimited(struct rd *r);         /* varint length, then that many bytes */

/* RC_BAD_MESSAGE when poisoned or when bytes are left over; what names the thing read. */
enum rc rd_finish(const struct rd *r, const char *what, struct why *why) MUST_CHECK;

/* Plain loads and stores. */
static inline uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint16_t get_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline void put_be16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24); p[1] = (uint8_t)(v >> 16); p[2] = (uint8_t)(v >> 8); p[3] = (uint8_t)v;
}
static inline void put_be64(uint8_t *p, uint64_t v) { put_be32(p, (uint32_t)(v >> 32)); put_be32(p + 4, (uint32_t)v); }
static inline uint32_t get_le32(const uint8_t *p) { return __builtin_bswap32(get_be32(p)); }
static inline void put_le32(uint8_t *p, uint32_t v) { put_be32(p, __builtin_bswap32(v)); }

#endif
