/*
 * crc -- the two checksums of HDFS.
 *
 * CRC32C (Castagnoli, RFC 3720) by ISA-L and CRC32 (IEEE 802.3, zlib's).  Both
 * start from 0 and take the last value to go on.  On the wire and in meta files
 * a checksum is 4 bytes, big-endian.
 */
#ifndef CORE_IO_CRC_H
#define CORE_IO_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum crc_type { CRC_NULL = 0, CRC_CRC32 = 1, CRC_CRC32C = 2 };     /* ChecksumTypeProto's numbers */

uint32_t crc32c(uint32_t crc, const void *p, size_t n);
uint32_t crc32_zlib(uint32_t crc, const void *p, size_t n);
uint32_t crc_of(enum crc_type type, uint32_t crc, const void *p, size_t n);

/* The checksum of two runs joined, from their checksums and the length of the second. */
uint32_t crc_combine(enum crc_type type, uint32_t a, uint32_t b, uint64_t b_bytes);

/* One big-endian checksum for each chunk bytes of p, the last may be shorter. out: 4 bytes each. */
void crc_chunks(enum crc_type type, const void *p, size_t n, size_t chunk, uint8_t *out);

/* True when all match; else *ret_at is the offset of the first bad chunk. */
bool crc_chunks_verify(enum crc_type type, const void *p, size_t n, size_t chunk, const uint8_t *sums, size_t *ret_at);

#endif
