#include <string.h>

#include "core/base/attr.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/io/crc.h"
#include "tests/unit/suites.h"

suite_fn suite_crc;

/* The block whose checksums a Hadoop 3.4 DataNode and client gave. */
static uint8_t *
make_block(void)
{
    uint8_t *p = mem_alloc(MB);

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < MB; i++)
        p[i] = (uint8_t)((i * 7 + i / 251) % 251);
    return p;
}

START_TEST(check_values_of_both_polynomials)
{
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32_zlib(0, "123456789", 9), 0xcbf43926);
    ck_assert_uint_eq(crc_of(CRC_NULL, 0, "123456789", 9), 0);
}
END_TEST

START_TEST(going_on_from_a_value_equals_one_run)
{
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    ck_assert_uint_eq(crc32_zlib(crc32_zlib(0, "1234", 4), "56789", 5), 0xcbf43926);
}
END_TEST

START_TEST(chunks_equal_those_of_a_datanode)
{
    static const uint8_t expected[16] = { 0x17, 0xac, 0x5a, 0x44, 0xf8, 0x52, 0x30, 0xbb,
                                          0xec, 0x00, 0xc2, 0x71, 0x1b, 0xdb, 0xd5, 0x1d };
    uint8_t *block = make_block(), sums[16];

    crc_chunks(CRC_CRC32C, block, 2048, 512, sums);
    ck_assert_mem_eq(sums, expected, sizeof sums);
    mem_free(block);
}
END_TEST

START_TEST(combined_chunks_equal_the_whole)
{
    const enum crc_type types[] = { CRC_CRC32, CRC_CRC32C };
    uint8_t *block = make_block();

    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        uint32_t all = 0;
        size_t step;
        for (size_t at = 0; at < MB; at += step) {
            step = MB - at < 700 ? MB - at : 700;
            all = crc_combine(types[t], all, crc_of(types[t], 0, block + at, step), step);
        }
        ck_assert_uint_eq(all, crc_of(types[t], 0, block, MB));
    }
    ck_assert_uint_eq(crc32c(0, block, MB), 0xf81779a8);    /* COMPOSITE-CRC32C of Hadoop's client */
    mem_free(block);
}
END_TEST

START_TEST(combining_with_nothing_changes_nothing)
{
    ck_assert_uint_eq(crc_combine(CRC_CRC32C, 0xe3069283, 0, 0), 0xe3069283);
    ck_assert_uint_eq(crc_combine(CRC_CRC32C, 0, 0xe3069283, 9), 0xe3069283);
}
END_TEST

START_TEST(a_flipped_bit_is_found_in_its_chunk)
{
    uint8_t *block = make_block(), sums[12];
    size_t at = 0;

    crc_chunks(CRC_CRC32C, block, 1300, 512, sums);
    ck_assert(crc_chunks_verify(CRC_CRC32C, block, 1300, 512, sums, &at));
    block[1299] ^= 4;
    ck_assert(!crc_chunks_verify(CRC_CRC32C, block, 1300, 512, sums, &at));
    ck_assert_uint_eq(at, 1024);
    block[0] ^= 1;
    ck_assert(!crc_chunks_verify(CRC_CRC32C, block, 1300, 512, sums, &at));
    ck_assert_uint_eq(at, 0);
    mem_free(block);
}
END_TEST

Suite *
suite_crc(void)
{
    Suite *s = suite_create("crc");
    TCase *t = tcase_create("crc");

    tcase_add_test(t, check_values_of_both_polynomials);
    tcase_add_test(t, going_on_from_a_value_equals_one_run);
    tcase_add_test(t, chunks_equal_those_of_a_datanode);
    tcase_add_test(t, combined_chunks_equal_the_whole);
    tcase_add_test(t, combining_with_nothing_changes_nothing);
    tcase_add_test(t, a_flipped_bit_is_found_in_its_chunk);
    suite_add_tcase(s, t);
    return s;
}
