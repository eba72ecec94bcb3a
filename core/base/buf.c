#include "core/base/buf.h"

#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

void
buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){ .limit = limit };
}

void
buf_fini(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){ .limit = b->limit };
}

void
buf_clear(struct buf *b)
{
    b->n = 0;
    b->bad = false;
}

bool
buf_reserve(struct buf *b, size_t n)
{
    size_t cap;
    uint8_t *p;

    if (b->bad)
        return false;
    if (b->p != NULL && n <= b->cap - b->n)
        return true;
    if (b->n > b->limit || n > b->limit - b->n)
        goto bad;
    cap = b->cap < 32 ? 64 : b->cap > b->limit / 2 ? b->limit : b->cap * 2;
    if (cap < b->n + n)
        cap = b->n + n;
    if (cap > b->limit)
        cap = b->limit;
    if ((p = mem_realloc(b->p, cap)) == NULL)
        goto bad;
    b->p = p;
    b->cap = cap;
    return true;
bad:
    b->bad = true;
    return false;
}

uint8_t *
buf_grow(struct buf *b, size_t n)
{
    uint8_t *p;

    if (!buf_reserve(b, n))
        return NULL;
    p = b->p + b->n;
    b->n += n;
    return p;
}

void
buf_drop_front(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    if (n > 0) {
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
    }
}

uint8_t *
buf_take(struct buf *b, size_t *ret_n)
{
    uint8_t *p = b->p;

    *ret_n = b->n;
    *b = (struct buf){ .limit = b->limit };
    return p;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
    uint8_t *to = n > 0 ? buf_grow(b, n) : NULL;

    if (to != NULL)
        memcpy(to, p, n);
}

void
buf_put_str(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (b->bad)
        return;
    va_start(ap, fmt);
    n = vsnprintf(b->p == NULL ? NULL : (char *)b->p + b->n, b->cap - b->n, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->bad = true;
        return;
    }
    if ((size_t)n >= b->cap - b->n) {       /* vsnprintf wants room for a NUL, which is not counted */
        char *text;

        if ((size_t)n > b->limit - b->n) {
            b->bad = true;
            return;
        }
        if ((text = mem_alloc((size_t)n + 1)) == NULL) {
            b->bad = true;
            return;
        }
        va_start(ap, fmt);
        (void)vsnprintf(text, (size_t)n + 1, fmt, ap);      /* was measured above */
        va_end(ap);
        buf_put(b, text, (size_t)n);
        mem_free(text);
        return;
    }
    b->n += (size_t)n;
}

void
buf_u8(struct buf *b, uint8_t v)
{
    uint8_t *p = buf_grow(b, 1);

    if (p != NULL)
        *p = v;
}

void
buf_be16(struct buf *b, uint16_t v)
{
    uint8_t *p = buf_grow(b, 2);

    if (p != NULL)
        put_be16(p, v);
}

void
buf_be32(struct buf *b, uint32_t v)
{
    uint8_t *p = buf_grow(b, 4);

    if (p != NULL)
        put_be32(p, v);
}

void
buf_be64(struct buf *b, uint64_t v)
{
    uint8_t *p = buf_grow(b, 8);

    if (p != NULL)
        put_be64(p, v);
}

void
buf_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    while (v >= 0x80) {
        bytes[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (uint8_t)v;
    buf_put(b, bytes, n);
}

void
rd_init(struct rd *r, const void *p, size_t n)
{
    *r = (struct rd){ .p = p, .left = n };
}

const uint8_t *
rd_bytes(struct rd *r, size_t n)
{
    const uint8_t *p = r->p;

    if (r->bad || n > r->left) {    /* compare first, do arithmetic after */
        r->bad = true;
        return NULL;
    }
    if (n == 0)
        return p != NULL ? p : (const uint8_t *)"";
    r->p += n;
    r->left -= n;
    return p;
}

uint8_t
rd_u8(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 1);

    return p == NULL ? 0 : *p;
}

uint16_t
rd_be16(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 2);

    return p == NULL ? 0 : get_be16(p);
}

uint32_t
rd_be32(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 4);

    return p == NULL ? 0 : get_be32(p);
}

uint64_t
rd_be64(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 8);

    return p == NULL ? 0 : (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

uint64_t
rd_varint(struct rd *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = rd_u8(r);

        if (r->bad)
            return 0;
        if (shift == 63 && byte > 1)    /* beyond 64 bits */
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

struct span
rd_delimited(struct rd *r)
{
    uint64_t n = rd_varint(r);
    struct span s = { .p = NULL, .n = 0 };

    if (r->bad || n > r->left) {
        r->bad = true;
        return s;
    }
    s.p = rd_bytes(r, (size_t)n);
    s.n = (size_t)n;
    return s;
}

enum rc
rd_finish(const struct rd *r, const char *what, struct why *why)
{
    if (r->bad)
        return why_set(why, RC_BAD_MESSAGE, "%s: too short or malformed", what);
    if (r->left > 0)
        return why_set(why, RC_BAD_MESSAGE, "%s: %zu bytes left over", what, r->left);
    return RC_OK;
}
