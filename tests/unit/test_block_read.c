/* Reading a replica on this machine, by descriptors. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/io/crc.h"
#include "core/net/net.h"
#include "dfsclient/block_read.h"
#include "tests/unit/client_suites.h"

#define BYTES 2900

static int
file_of(const void *p, size_t n)
{
    char path[] = "/tmp/millrace-block-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    return fd;
}

#define META (7 + 4 * ((BYTES + 511) / 512))

/* A replica of BYTES bytes with checksums of 512; bit `flip` of it differs when there is one. */
static void
open_replica(struct block_read *br, struct fs *fs, uint64_t offset, int flip, uint8_t data[BYTES])
{
    uint8_t meta[META] = { 0, 1, 2, 0, 0, 2, 0 };       /* version 1, CRC32C, 512 */
    struct why why;

    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)(i * 7);
    crc_chunks(CRC_CRC32C, data, BYTES, 512, meta + 7);
    if (flip >= 0)
        data[flip / 8] ^= (uint8_t)(1 << flip % 8);
    world_posix(&fs->w);
    block_read_init(br, fs);
    br->last_seen = true;       /* a stream before was read to its end */
    ck_assert_int_eq(block_read_open_local(br, file_of(data, BYTES), file_of(meta, sizeof meta), offset, BYTES - offset, &why),
                     RC_OK);
}

START_TEST(local_bytes_are_the_same_wherever_reads_begin_and_end)
{
    static const size_t steps[] = { 1, 100, 511, 512, 513, 700, 1024, BYTES };
    uint8_t data[BYTES], got[BYTES];
    struct fs fs = { .user = NULL };
    struct block_read br;
    struct why why;

    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        for (size_t from = 0; from < BYTES; from += 128) {
            size_t at = from, n = 0, want;

            open_replica(&br, &fs, from, -1, data);
            for (; at < BYTES; at += n) {
                want = steps[i] < BYTES - at ? steps[i] : BYTES - at;
                ck_assert_int_eq(block_read_next(&br, got + at, want, &n, &why), RC_OK);
                ck_assert(n > 0 && n <= want);
            }
            ck_assert_mem_eq(got + from, data + from, BYTES - from);
            ck_assert_int_eq(block_read_next(&br, got, 1, &n, &why), RC_OK);
            ck_assert_uint_eq(n, 0);
            block_read_fini(&br);
        }
}
END_TEST

START_TEST(flipped_bit_in_a_chunk_that_is_read_in_place_is_found)
{
    uint8_t data[BYTES], got[BYTES];
    struct fs fs = { .user = NULL };
    struct block_read br;
    struct why why;
    size_t n = 0;

    open_replica(&br, &fs, 0, 8 * 600, data);
    ck_assert_int_eq(block_read_next(&br, got, 512, &n, &why), RC_OK);
    ck_assert_uint_eq(n, 512);
    ck_assert_int_eq(block_read_next(&br, got, 512, &n, &why), RC_CORRUPT);
    block_read_fini(&br);
}
END_TEST

/* A block before was read to its end through a connection: that says nothing about this one. */
START_TEST(local_replica_is_read_after_a_remote_one_that_ended)
{
    uint8_t data[BYTES], got[BYTES];
    struct fs fs = { .user = NULL };
    struct block_read br;
    struct why why;
    size_t n = 0, at = 0;

    open_replica(&br, &fs, 0, -1, data);
    while (at < BYTES) {
        ck_assert_int_eq(block_read_next(&br, got + at, BYTES - at, &n, &why), RC_OK);
        ck_assert_uint_gt(n, 0);
        at += n;
    }
    ck_assert_mem_eq(got, data, BYTES);
    block_read_fini(&br);
}
END_TEST

Suite *
suite_block_read(void)
{
    Suite *s = suite_create("block_read");
    TCase *t = tcase_create("block_read");

    tcase_add_test(t, local_bytes_are_the_same_wherever_reads_begin_and_end);
    tcase_add_test(t, flipped_bit_in_a_chunk_that_is_read_in_place_is_found);
    tcase_add_test(t, local_replica_is_read_after_a_remote_one_that_ended);
    suite_add_tcase(s, t);
    return s;
}
