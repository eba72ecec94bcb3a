#include "core/io/crc.h"

#include <isa-l/crc.h>

#include "core/base/attr.h"
#include "core/base/buf.h"

#define CRC32_POLY  UINT32_C(0xedb88320)    /* both bit-reversed */
#define CRC32C_POLY UINT32_C(0x82f63b78)

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
    unsigned char *at = (unsigned char *)p;     /* ISA-L takes it without const; it only reads */

    crc = ~crc;
    while (n > 0) {
        int step = n > GB ? (int)GB : (int)n;
        crc = crc32_iscsi(at, step, crc);
        at += step;
        n -= (size_t)step;
    }
    return ~crc;
}

uint32_t
crc32_zlib(uint32_t crc, const void *p, size_t n)
{
    return crc32_gzip_refl(crc, p, n);
}

uint32_t
crc_of(enum crc_type type, uint32_t crc, const void *p, size_t n)
{
    switch (type) {
    case CRC_NULL:
        return 0;
    case CRC_CRC32:
        return crc32_zlib(crc, p, n);
    case CRC_CRC32C:
        return crc32c(crc, p, n);
    }
    return 0;
}

/* a(x) * b(x) mod p(x) over GF(2); bit 31 is the coefficient of x^0. */
static uint32_t
poly_multiply(uint32_t a, uint32_t b, uint32_t poly)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = (b & 1) ? (b >> 1) ^ poly : b >> 1;
    }
    return product;
}

uint32_t
crc_combine(enum crc_type type, uint32_t a, uint32_t b, uint64_t b_bytes)
{
    uint32_t poly = type == CRC_CRC32 ? CRC32_POLY : CRC32C_POLY;
    uint32_t shift = UINT32_C(1) << 31;     /* x^(8 * b_bytes), built by squaring */
    uint32_t square = UINT32_C(1) << 23;    /* x^8 */

    if (type == CRC_NULL)
        return 0;
    for (uint64_t n = b_bytes; n != 0; n >>= 1) {
        if (n & 1)
            shift = poly_multiply(shift, square, poly);
        square = poly_multiply(square, square, poly);
    }
    return poly_multiply(a, shift, poly) ^ b;
}

void
crc_chunks(enum crc_type type, const void *p, size_t n, size_t chunk, uint8_t *out)
{
    const uint8_t *from = p;

    for (size_t at = 0; at < n; at += chunk, out += 4)
        put_be32(out, crc_of(type, 0, from + at, n - at < chunk ? n - at : chunk));
}

bool
crc_chunks_verify(enum crc_type type, const void *p, size_t n, size_t chunk, const uint8_t *sums, size_t *ret_at)
{
    const uint8_t *from = p;

    if (type == CRC_NULL)
        return true;
    for (size_t at = 0; at < n; at += chunk, sums += 4) {
        if (crc_of(type, 0, from + at, n - at < chunk ? n - at : chunk) == get_be32(sums))
            continue;
        *ret_at = at;
        return false;
    }
    return true;
}
