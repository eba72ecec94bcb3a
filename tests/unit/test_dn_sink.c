#include "datanode/sink.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "core/base/attr.h"
#include "core/base/mem.h"
#include "tests/unit/dn_dir.h"
#include "tests/unit/suites.h"

suite_fn suite_dn_sink;

static const char *dir;
static char data_path[256], meta_path[256];
static struct dn_sink sink;
static const struct dn_sums usual = { CRC_CRC32C, 512 };

static void
setup(void)
{
    struct why why;

    dir = dn_dir_make();
    (void)snprintf(data_path, sizeof data_path, "%s/blk_7", dir);
    (void)snprintf(meta_path, sizeof meta_path, "%s/blk_7_1001.meta", dir);
    ck_assert_int_eq(dn_sink_create(&sink, io_posix(), data_path, meta_path, 512, &why), RC_OK);
}

static void
teardown(void)
{
    dn_sink_fini(&sink);
    dn_dir_remove(dir);
    ck_assert_uint_eq(mem_live(), 0);
}

/* A packet of content, with a wrong checksum for chunk number `bad`. */
static enum rc
send_bad(const struct dn_sums *sums, uint64_t at, uint32_t n, int bad)
{
    static uint8_t body[3 * MB];
    struct dtp_packet p = { .offset = at, .data_n = n };
    struct why why;

    p.sums_n = sums->type == CRC_NULL ? 0 : (uint32_t)(4 * dtp_chunk_count(at, n, sums->chunk));
    dn_content(body + p.sums_n, n, at);
    if (p.sums_n > 0)
        crc_chunks(sums->type, body + p.sums_n, n, sums->chunk, body);
    if (bad >= 0)
        body[4 * bad] ^= 1;
    return dn_sink_write(&sink, sums, &p, body, &why);
}

static enum rc
send(const struct dn_sums *sums, uint64_t at, uint32_t n)
{
    return send_bad(sums, at, n, -1);
}

/* What is on disk is n bytes of content with the right checksums. */
static void
assert_content(uint64_t n)
{
    uint8_t *data, *meta, *want = mem_alloc(n + 1);
    size_t data_n, meta_n, bad;

    ck_assert_uint_eq(sink.bytes, n);
    ck_assert_int_eq(io_read_file(io_posix(), data_path, 64 * MB, &data, &data_n, NULL), RC_OK);
    ck_assert_int_eq(io_read_file(io_posix(), meta_path, 64 * MB, &meta, &meta_n, NULL), RC_OK);
    ck_assert_uint_eq(data_n, n);
    ck_assert_uint_eq(meta_n, dn_meta_bytes(512, n));
    dn_content(want, n, 0);
    ck_assert_mem_eq(data, want, n);
    ck_assert(crc_chunks_verify(CRC_CRC32C, data, data_n, 512, meta + DN_META_HEAD, &bad));
    mem_free(data);
    mem_free(meta);
    mem_free(want);
}

START_TEST(megabyte_in_packets_gives_the_recorded_checksums)
{
    static const char recorded[] = "15078835f6c79d6062a8e2e9f0379be7";
    uint8_t *meta, md[16];
    char hex[33];
    size_t n;

    for (uint64_t at = 0; at < MB; at += 64512)
        ck_assert_int_eq(send(&usual, at, MB - at < 64512 ? (uint32_t)(MB - at) : 64512), RC_OK);
    assert_content(MB);
    ck_assert_int_eq(io_read_file(io_posix(), meta_path, MB, &meta, &n, NULL), RC_OK);
    ck_assert_uint_eq(n, 8199);
    ck_assert_int_eq(EVP_Digest(meta + DN_META_HEAD, n - DN_META_HEAD, md, NULL, EVP_md5(), NULL), 1);
    for (size_t i = 0; i < sizeof md; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", md[i]);
    ck_assert_str_eq(hex, recorded);
    mem_free(meta);
}
END_TEST

START_TEST(wrong_checksum_is_corrupt_and_writes_nothing)
{
    ck_assert_int_eq(send(&usual, 0, 1024), RC_OK);
    ck_assert_int_eq(send_bad(&usual, 1024, 2048, 2), RC_CORRUPT);
    assert_content(1024);
}
END_TEST

START_TEST(other_checksums_are_verified_and_made_anew)
{
    struct dn_sums crc32 = { CRC_CRC32, 512 }, wide = { CRC_CRC32C, 4096 }, none = { CRC_NULL, 512 };

    ck_assert_int_eq(send(&crc32, 0, 5000), RC_OK);
    assert_content(5000);
    ck_assert_int_eq(send_bad(&crc32, 4608, 4000, 1), RC_CORRUPT);
    ck_assert_int_eq(send(&wide, 4096, 10000), RC_OK);
    assert_content(14096);
    ck_assert_int_eq(send(&none, 13824, 5000), RC_OK);
    assert_content(18824);
}
END_TEST

START_TEST(chunk_sent_again_from_its_start_is_extended)
{
    ck_assert_int_eq(send(&usual, 0, 700), RC_OK);
    ck_assert_int_eq(send(&usual, 512, 300), RC_OK);
    assert_content(812);
    ck_assert_int_eq(send(&usual, 512, 5000), RC_OK);
    assert_content(5512);
}
END_TEST

START_TEST(missing_bytes_of_a_chunk_complete_it)
{
    ck_assert_int_eq(send(&usual, 0, 700), RC_OK);
    ck_assert_int_eq(send(&usual, 700, 24), RC_OK);
    assert_content(724);
    ck_assert_int_eq(send(&usual, 724, 300), RC_OK);
    assert_content(1024);
    ck_assert_int_eq(send(&usual, 1024, 512), RC_OK);
    assert_content(1536);
}
END_TEST

START_TEST(packet_past_the_chunk_that_it_begins_inside_is_refused)
{
    ck_assert_int_eq(send(&usual, 0, 700), RC_OK);
    ck_assert_int_eq(send(&usual, 700, 400), RC_BAD_MESSAGE);
    assert_content(700);
}
END_TEST

START_TEST(bytes_that_are_there_are_not_written_again)
{
    ck_assert_int_eq(send(&usual, 0, 4096), RC_OK);
    ck_assert_int_eq(send(&usual, 1024, 1024), RC_OK);
    ck_assert_int_eq(send(&usual, 0, 4096), RC_OK);
    assert_content(4096);
}
END_TEST

START_TEST(gap_is_refused)
{
    ck_assert_int_eq(send(&usual, 0, 512), RC_OK);
    ck_assert_int_eq(send(&usual, 1024, 512), RC_BAD_MESSAGE);
    assert_content(512);
}
END_TEST

START_TEST(reopening_cuts_and_goes_on)
{
    static const uint64_t keeps[] = { 5000, 4700, 4608, 1, 0 };
    struct why why;

    ck_assert_int_eq(send(&usual, 0, 5000), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(keeps); i++) {
        dn_sink_fini(&sink);
        ck_assert_int_eq(dn_sink_open(&sink, io_posix(), data_path, meta_path, keeps[i], &why), RC_OK);
        assert_content(keeps[i]);
    }
    ck_assert_int_eq(send(&usual, 0, 5000), RC_OK);
    assert_content(5000);
}
END_TEST

START_TEST(reopening_after_a_cut_inside_a_chunk_extends_its_checksum)
{
    struct why why;

    ck_assert_int_eq(send(&usual, 0, 5000), RC_OK);
    dn_sink_fini(&sink);
    ck_assert_int_eq(dn_sink_open(&sink, io_posix(), data_path, meta_path, 4700, &why), RC_OK);
    ck_assert_int_eq(send(&usual, 4608, 2000), RC_OK);
    assert_content(6608);
}
END_TEST

START_TEST(reopening_a_damaged_last_chunk_is_corrupt)
{
    struct why why;
    int fd;

    ck_assert_int_eq(send(&usual, 0, 5000), RC_OK);
    dn_sink_fini(&sink);
    ck_assert_int_eq(io_open(io_posix(), data_path, IO_WRITE, &fd, &why), RC_OK);
    ck_assert_int_eq(io_pwrite(io_posix(), fd, "x", 1, 4700, &why), RC_OK);
    io_close(io_posix(), fd);
    ck_assert_int_eq(dn_sink_open(&sink, io_posix(), data_path, meta_path, 4900, &why), RC_CORRUPT);
}
END_TEST

/* Length of what verification takes of the files, after change(data fd, meta fd). */
static uint64_t
verified(void (*change)(int data_fd, int meta_fd))
{
    struct dn_meta meta;
    struct why why;
    uint64_t n = UINT64_MAX;
    int d, m;

    ck_assert_int_eq(io_open(io_posix(), data_path, IO_READ | IO_WRITE, &d, &why), RC_OK);
    ck_assert_int_eq(io_open(io_posix(), meta_path, IO_READ | IO_WRITE, &m, &why), RC_OK);
    if (change != NULL)
        change(d, m);
    ck_assert_int_eq(dn_verify_prefix(io_posix(), d, m, &n, &meta, &why), RC_OK);
    io_close(io_posix(), d);
    io_close(io_posix(), m);
    return n;
}

static void
flip_data(int d, int m)
{
    (void)m;
    ck_assert_int_eq(io_pwrite(io_posix(), d, "\xff", 1, 600000, NULL), RC_OK);
}

static void
lose_checksums(int d, int m)
{
    (void)d;
    ck_assert_int_eq(io_truncate(io_posix(), m, dn_meta_bytes(512, 512000), NULL), RC_OK);
}

static void
lose_data(int d, int m)
{
    (void)m;
    ck_assert_int_eq(io_truncate(io_posix(), d, 300000, NULL), RC_OK);
}

/* The checksum of 100 bytes of the last chunk is on disk, and 200 bytes. */
static void
tear_last_chunk(int d, int m)
{
    uint8_t sum[4], data[100];

    dn_content(data, 100, 700416);
    put_be32(sum, crc32c(0, data, 100));
    ck_assert_int_eq(io_truncate(io_posix(), d, 700616, NULL), RC_OK);
    ck_assert_int_eq(io_truncate(io_posix(), m, dn_meta_bytes(512, 700616), NULL), RC_OK);
    ck_assert_int_eq(io_pwrite(io_posix(), m, sum, 4, dn_meta_at(512, 700616), NULL), RC_OK);
}

START_TEST(verification_keeps_the_longest_good_run)
{
    ck_assert_int_eq(send(&usual, 0, 700416 + 300), RC_OK);
    ck_assert_uint_eq(verified(NULL), 700716);
    ck_assert_uint_eq(verified(tear_last_chunk), 700516);
    ck_assert_uint_eq(verified(flip_data), 599552);
    ck_assert_uint_eq(verified(lose_checksums), 512000);
    ck_assert_uint_eq(verified(lose_data), 299520);
}
END_TEST

START_TEST(verification_of_an_empty_replica_is_zero)
{
    ck_assert_uint_eq(verified(NULL), 0);
}
END_TEST

/* The kernel's operations, noted: d and m for writes of data and checksums, D and M for syncs, t and T for cutting them. */
static char noted[64];
static int data_fd;

static void
note(int fd, char of_data, char of_meta)
{
    size_t n = strlen(noted);

    if (n + 1 < sizeof noted)
        noted[n] = fd == data_fd ? of_data : of_meta;
}

static enum rc
noting_pwrite(struct io *io, int fd, const void *p, size_t n, uint64_t at, struct why *why)
{
    (void)io;
    note(fd, 'd', 'm');
    return io_pwrite(io_posix(), fd, p, n, at, why);
}

static enum rc
noting_sync(struct io *io, int fd, struct why *why)
{
    (void)io;
    note(fd, 'D', 'M');
    return io_sync(io_posix(), fd, why);
}

static enum rc
noting_truncate(struct io *io, int fd, uint64_t size, struct why *why)
{
    (void)io;
    note(fd, 't', 'T');
    return io_truncate(io_posix(), fd, size, why);
}

START_TEST(checksum_of_synced_bytes_is_replaced_only_after_a_sync_of_what_it_covers)
{
    struct io_ops ops = *io_posix()->ops;
    struct io io = *io_posix();
    struct why why;

    ops.pwrite = noting_pwrite;
    ops.sync = noting_sync;
    ops.truncate = noting_truncate;
    io.ops = &ops;
    ck_assert_int_eq(send(&usual, 0, 100), RC_OK);
    ck_assert_int_eq(dn_sink_sync(&sink, &why), RC_OK);
    sink.io = &io;
    data_fd = sink.data_fd;
    memset(noted, 0, sizeof noted);
    ck_assert_int_eq(send(&usual, 0, 200), RC_OK);
    ck_assert_int_eq(send(&usual, 0, 300), RC_OK);
    ck_assert_int_eq(send(&usual, 0, 900), RC_OK);
    ck_assert_str_eq(noted, "dDmdDmdDm");
    ck_assert_int_eq(send(&usual, 512, 1000), RC_OK);       /* nothing of this chunk is durable */
    ck_assert_str_eq(noted, "dDmdDmdDmdm");
    sink.io = io_posix();
}
END_TEST

/* What the checksum of a cut chunk covers stays until it is durable. */
START_TEST(cut_inside_a_chunk_makes_the_checksum_durable_before_the_data_go)
{
    struct io_ops ops = *io_posix()->ops;
    struct io io = *io_posix();
    struct why why;

    ops.pwrite = noting_pwrite;
    ops.sync = noting_sync;
    ops.truncate = noting_truncate;
    io.ops = &ops;
    ck_assert_int_eq(send(&usual, 0, 5000), RC_OK);
    ck_assert_int_eq(dn_sink_sync(&sink, &why), RC_OK);
    data_fd = sink.data_fd;                                 /* the lowest free numbers come again */
    dn_sink_fini(&sink);
    memset(noted, 0, sizeof noted);
    ck_assert_int_eq(dn_sink_open(&sink, &io, data_path, meta_path, 4700, &why), RC_OK);
    ck_assert_int_eq(sink.data_fd, data_fd);
    ck_assert_str_eq(noted, "DmMtT");
    sink.io = io_posix();
}
END_TEST

Suite *
suite_dn_sink(void)
{
    Suite *s = suite_create("dn_sink");
    TCase *t = tcase_create("sink");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, megabyte_in_packets_gives_the_recorded_checksums);
    tcase_add_test(t, wrong_checksum_is_corrupt_and_writes_nothing);
    tcase_add_test(t, other_checksums_are_verified_and_made_anew);
    tcase_add_test(t, chunk_sent_again_from_its_start_is_extended);
    tcase_add_test(t, missing_bytes_of_a_chunk_complete_it);
    tcase_add_test(t, packet_past_the_chunk_that_it_begins_inside_is_refused);
    tcase_add_test(t, bytes_that_are_there_are_not_written_again);
    tcase_add_test(t, gap_is_refused);
    tcase_add_test(t, reopening_cuts_and_goes_on);
    tcase_add_test(t, reopening_after_a_cut_inside_a_chunk_extends_its_checksum);
    tcase_add_test(t, reopening_a_damaged_last_chunk_is_corrupt);
    tcase_add_test(t, checksum_of_synced_bytes_is_replaced_only_after_a_sync_of_what_it_covers);
    tcase_add_test(t, cut_inside_a_chunk_makes_the_checksum_durable_before_the_data_go);
    tcase_add_test(t, verification_keeps_the_longest_good_run);
    tcase_add_test(t, verification_of_an_empty_replica_is_zero);
    suite_add_tcase(s, t);
    return s;
}
