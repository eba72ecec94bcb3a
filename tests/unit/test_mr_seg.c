#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/crc.h"
#include "libmr/seg.h"
#include "tests/unit/suites.h"

static int
write_segment(bool compress, uint64_t *ret_bytes)
{
    struct seg_writer w;
    struct why why;
    char key[32];
    static char value[5000];
    FILE *f = tmpfile();
    int fd = dup(fileno(f));

    (void)fclose(f);
    seg_writer_init(&w, io_posix(), fd, compress);
    for (int i = 0; i < 2000; i++) {
        int n = snprintf(key, sizeof key, "key%05d", i);

        memset(value, i, sizeof value);
        ck_assert_int_eq(seg_put(&w, (struct mr_bytes){ key, (size_t)n },
                                 (struct mr_bytes){ value, (size_t)(i % 300) * 16 }, &why), RC_OK);
    }
    ck_assert_int_eq(seg_end(&w, &why), RC_OK);
    *ret_bytes = w.at;
    seg_writer_fini(&w);
    return fd;
}

static enum rc
read_segment(int fd, uint64_t bytes, unsigned *ret_pairs, struct why *why)
{
    struct seg_reader r;
    enum rc rc;

    *ret_pairs = 0;
    seg_reader_init(&r, io_posix(), fd, 0, bytes, 7);
    while ((rc = seg_next(&r, why)) == RC_OK && !r.done)
        ++*ret_pairs;
    seg_reader_fini(&r);
    return rc;
}

START_TEST(what_is_written_is_read_plain_and_compressed)
{
    struct why why;
    uint64_t plain, packed;
    unsigned pairs;
    int fd = write_segment(false, &plain);

    ck_assert_int_eq(read_segment(fd, plain, &pairs, &why), RC_OK);
    ck_assert_uint_eq(pairs, 2000);
    (void)close(fd);
    fd = write_segment(true, &packed);
    ck_assert_int_eq(read_segment(fd, packed, &pairs, &why), RC_OK);
    ck_assert_uint_eq(pairs, 2000);
    ck_assert_uint_lt(packed, plain / 4);
    (void)close(fd);
}
END_TEST

/* Lengths of pair i: how a row of pairs can change its mind. */
static void
lengths(int shape, unsigned i, size_t *ret_key, size_t *ret_value)
{
    *ret_key = 10;
    *ret_value = 90;
    switch (shape) {
    case 1: *ret_value = i == 1 ? 91 : 90; break;               /* at once */
    case 2: *ret_value = i == 3000 ? 200 : 90; break;           /* in a later block */
    case 3: *ret_key = i % 5; *ret_value = i % 7 == 0 ? 0 : i % 3; break;       /* all the time, empty ones too */
    case 4: *ret_key = *ret_value = 0; break;
    case 5: *ret_key = 0; *ret_value = 1; break;
    case 6: *ret_key = i % 2500 == 2499 ? 300000 : 3; *ret_value = 300; break;  /* larger than a block */
    }
}

static void
fill(char *p, size_t n, unsigned i)
{
    for (size_t at = 0; at < n; at++)
        p[at] = (char)(i * 31 + at * 7);
}

static uint64_t
check_shape(int shape, unsigned count, bool compress)
{
    static char key[300000], value[1000];
    struct seg_writer w;
    struct seg_reader r;
    struct why why;
    size_t key_n, value_n;
    FILE *f = tmpfile();
    uint64_t bytes;

    seg_writer_init(&w, io_posix(), fileno(f), compress);
    for (unsigned i = 0; i < count; i++) {
        lengths(shape, i, &key_n, &value_n);
        fill(key, key_n, i);
        fill(value, value_n, i + 1);
        ck_assert_int_eq(seg_put(&w, (struct mr_bytes){ key, key_n }, (struct mr_bytes){ value, value_n }, &why), RC_OK);
    }
    ck_assert_int_eq(seg_end(&w, &why), RC_OK);
    bytes = w.at;
    seg_writer_fini(&w);
    seg_reader_init(&r, io_posix(), fileno(f), 0, bytes, 0);
    for (unsigned i = 0; i < count; i++) {
        lengths(shape, i, &key_n, &value_n);
        fill(key, key_n, i);
        fill(value, value_n, i + 1);
        ck_assert_int_eq(seg_next(&r, &why), RC_OK);
        ck_assert(!r.done && r.key.n == key_n && r.value.n == value_n);
        ck_assert(memcmp(r.key.p, key, key_n) == 0 && memcmp(r.value.p, value, value_n) == 0);
    }
    ck_assert_int_eq(seg_next(&r, &why), RC_OK);
    ck_assert(r.done);
    seg_reader_fini(&r);
    (void)fclose(f);
    return bytes;
}

START_TEST(pairs_of_any_lengths_are_read_as_they_were_written)
{
    for (int shape = 0; shape <= 6; shape++)
        for (int compress = 0; compress < 2; compress++)
            (void)check_shape(shape, 10000, compress);
}
END_TEST

START_TEST(lengths_that_are_all_the_same_are_written_once_a_block)
{
    ck_assert_uint_lt(check_shape(0, 10000, false), 10000 * 100 + 100);
    ck_assert_uint_lt(check_shape(2, 10000, false), 10000 * 100 + 110 + 100 + 2 * 2700);     /* one block has its own */
}
END_TEST

START_TEST(an_even_block_whose_lengths_do_not_fit_is_corrupt)
{
    static const uint8_t raws[][6] = { { 3, 4, 1, 1, 1, 1 }, { 0, 0, 1, 1, 1, 1 }, { 2, 4, 1, 1, 1, 1 }, { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 } };

    for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
        uint8_t block[12 + 6] = { 6, 0, 0, 0x80, 6 };
        struct why why;
        unsigned pairs;
        FILE *f = tmpfile();

        memcpy(block + 12, raws[i], 6);
        put_le32(block + 8, crc32c(crc32c(0, block, 8), block + 12, 6));
        ck_assert_uint_eq(fwrite(block, 1, sizeof block, f), sizeof block);
        ck_assert_int_eq(fflush(f), 0);
        ck_assert_int_eq(read_segment(fileno(f), sizeof block, &pairs, &why), RC_CORRUPT);
        ck_assert_ptr_nonnull(strstr(why.text, "lengths of a block's pairs"));
        (void)fclose(f);
    }
}
END_TEST

START_TEST(any_flipped_bit_is_found)
{
    uint64_t bytes;
    unsigned pairs;
    int fd = write_segment(true, &bytes);

    for (uint64_t at = 0; at < bytes; at += 1 + at / 40) {
        struct why why;
        uint8_t b;

        ck_assert_int_eq(pread(fd, &b, 1, (off_t)at), 1);
        b ^= (uint8_t)(1u << at % 8);
        ck_assert_int_eq(pwrite(fd, &b, 1, (off_t)at), 1);
        ck_assert_int_eq(read_segment(fd, bytes, &pairs, &why), RC_CORRUPT);
        b ^= (uint8_t)(1u << at % 8);
        ck_assert_int_eq(pwrite(fd, &b, 1, (off_t)at), 1);
    }
    (void)close(fd);
}
END_TEST

START_TEST(a_segment_cut_short_is_corrupt)
{
    uint64_t bytes;
    unsigned pairs;
    int fd = write_segment(false, &bytes);

    for (uint64_t cut = 0; cut < bytes; cut += 1 + bytes / 50) {
        struct why why;

        ck_assert_int_eq(read_segment(fd, cut, &pairs, &why), RC_CORRUPT);
        ck_assert_ptr_nonnull(strstr(why.text, "map 7"));
    }
    (void)close(fd);
}
END_TEST

START_TEST(a_block_that_lz4_could_not_have_made_takes_no_memory)
{
    uint8_t block[12 + 5] = { 0, 0, 0, 0x40, 5, 0, 0, 0x80 };      /* a gigabyte in five bytes */
    struct why why;
    unsigned pairs;
    FILE *f = tmpfile();

    put_le32(block + 8, crc32c(crc32c(0, block, 8), block + 12, 5));
    ck_assert_uint_eq(fwrite(block, 1, sizeof block, f), sizeof block);
    ck_assert_int_eq(fflush(f), 0);
    ck_assert_int_eq(read_segment(fileno(f), sizeof block, &pairs, &why), RC_CORRUPT);
    ck_assert_ptr_nonnull(strstr(why.text, "a block's length"));
    (void)fclose(f);
}
END_TEST

Suite *suite_mr_seg(void);

Suite *
suite_mr_seg(void)
{
    Suite *s = suite_create("mr_seg");
    TCase *t = tcase_create("all");

    tcase_add_test(t, what_is_written_is_read_plain_and_compressed);
    tcase_add_test(t, pairs_of_any_lengths_are_read_as_they_were_written);
    tcase_add_test(t, lengths_that_are_all_the_same_are_written_once_a_block);
    tcase_add_test(t, an_even_block_whose_lengths_do_not_fit_is_corrupt);
    tcase_add_test(t, any_flipped_bit_is_found);
    tcase_add_test(t, a_segment_cut_short_is_corrupt);
    tcase_add_test(t, a_block_that_lz4_could_not_have_made_takes_no_memory);
    suite_add_tcase(s, t);
    return s;
}
