/* Reading a replica on this machine, by descriptors. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/io/crc.h"
#include "core/net/net.h"
#include "dfsclient/block_read.h"
#include "tests/unit/client_suites.h"

#define BYTES 1000

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

/* A block before was read to its end through a connection: that says nothing about this one. */
START_TEST(local_replica_is_read_after_a_remote_one_that_ended)
{
    uint8_t data[BYTES], meta[7 + 4 * 2] = { 0, 1, 2, 0, 0, 2, 0 }, got[BYTES];     /* version 1, CRC32C, 512 */
    struct fs fs = { .user = NULL };
    struct block_read br;
    struct why why;
    size_t n = 0, at = 0;

    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)(i * 7);
    crc_chunks(CRC_CRC32C, data, BYTES, 512, meta + 7);
    world_posix(&fs.w);
    block_read_init(&br, &fs);
    br.last_seen = true;
    ck_assert_int_eq(block_read_open_local(&br, file_of(data, BYTES), file_of(meta, sizeof meta), 0, BYTES, &why), RC_OK);
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

    tcase_add_test(t, local_replica_is_read_after_a_remote_one_that_ended);
    suite_add_tcase(s, t);
    return s;
}
