#include "datanode/choose.h"
#include "datanode/layout.h"

#include <string.h>

#include "tests/unit/suites.h"

suite_fn suite_dn_layout;

START_TEST(meta_header_equals_the_recorded_one)
{
    static const uint8_t recorded[] = { 0x00, 0x01, 0x02, 0x00, 0x00, 0x02, 0x00 };
    struct dn_meta m = { CRC_CRC32C, 512 }, got;
    uint8_t head[DN_META_HEAD];
    struct why why;

    dn_meta_put(&m, head);
    ck_assert_mem_eq(head, recorded, sizeof recorded);
    ck_assert_int_eq(dn_meta_parse(head, sizeof head, &got, &why), RC_OK);
    ck_assert_int_eq(got.type, CRC_CRC32C);
    ck_assert_uint_eq(got.chunk, 512);
}
END_TEST

START_TEST(short_or_unknown_meta_header_is_corrupt)
{
    static const uint8_t bad[][DN_META_HEAD] = {
        { 0, 2, 2, 0, 0, 2, 0 },            /* version */
        { 0, 1, 0, 0, 0, 2, 0 },            /* no checksums */
        { 0, 1, 3, 0, 0, 2, 0 },            /* unknown checksums */
        { 0, 1, 2, 0, 0, 0, 0 },            /* chunk of 0 bytes */
        { 0, 1, 2, 0xff, 0xff, 0xff, 0xff },
    };
    struct dn_meta m;
    struct why why;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(dn_meta_parse(bad[i], DN_META_HEAD, &m, &why), RC_CORRUPT);
    ck_assert_int_eq(dn_meta_parse((const uint8_t *)"\0\1\2\0\0\2", 6, &m, &why), RC_CORRUPT);
    ck_assert_int_eq(dn_meta_parse(NULL, 0, &m, &why), RC_CORRUPT);
}
END_TEST

START_TEST(meta_file_has_four_bytes_a_chunk)
{
    ck_assert_uint_eq(dn_meta_bytes(512, 0), 7);
    ck_assert_uint_eq(dn_meta_bytes(512, 1), 11);
    ck_assert_uint_eq(dn_meta_bytes(512, 512), 11);
    ck_assert_uint_eq(dn_meta_bytes(512, 1024 * 1024), 8199);
    ck_assert_uint_eq(dn_meta_at(512, 0), 7);
    ck_assert_uint_eq(dn_meta_at(512, 1024), 15);
}
END_TEST

START_TEST(paths_are_those_of_hdfs)
{
    struct block_id id = { 1073741825 + 0x12345 };
    struct dn_path p;

    dn_path_data("/d/current/BP-1", DN_IN_FINALIZED, id, &p);
    ck_assert_str_eq(p.p, "/d/current/BP-1/current/finalized/subdir1/subdir3/blk_1073816390");
    dn_path_meta("/d/current/BP-1", DN_IN_RBW, id, (struct stamp){ 1001 }, &p);
    ck_assert_str_eq(p.p, "/d/current/BP-1/current/rbw/blk_1073816390_1001.meta");
    dn_path_data("/d/current/BP-1", DN_IN_TMP, id, &p);
    ck_assert_str_eq(p.p, "/d/current/BP-1/tmp/blk_1073816390");
}
END_TEST

START_TEST(names_that_are_not_ours_are_not_taken)
{
    static const char *const foreign[] = { "blk_", "blk_x", "blk_1x", "blk_01", "blk_-0", "blk_-01", "blk_ 1", "blk_+1", "lk_1", "blk_1.tmp",
                                           "blk_99999999999999999999", "" };
    struct block_id id;
    struct stamp stamp;

    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        ck_assert_msg(!dn_name_is_data(foreign[i], &id), "%s", foreign[i]);
        ck_assert(!dn_name_is_meta(foreign[i], &id, &stamp));
    }
    ck_assert(dn_name_is_data("blk_-5", &id));
    ck_assert_int_eq((int64_t)id.v, -5);
    ck_assert(!dn_name_is_data("blk_7_1001.meta", &id));
    ck_assert(dn_name_is_meta("blk_7_1001.meta", &id, &stamp));
    ck_assert_uint_eq(id.v, 7);
    ck_assert_uint_eq(stamp.v, 1001);
    ck_assert(!dn_name_is_meta("blk_7_1001.metb", &id, &stamp));
}
END_TEST

START_TEST(properties_are_found_by_whole_key)
{
    static const char text[] = "#Sun Nov 22\nclusterID=CID-1\r\nxclusterID=no\nlayoutVersion=-57";
    char value[8];

    ck_assert(dn_property(text, "clusterID", value, sizeof value));
    ck_assert_str_eq(value, "CID-1");
    ck_assert(dn_property(text, "layoutVersion", value, sizeof value));
    ck_assert_str_eq(value, "-57");
    ck_assert(!dn_property(text, "cluster", value, sizeof value));
    ck_assert(!dn_property(text, "clusterID", value, 5));
}
END_TEST

START_TEST(volumes_are_taken_in_proportion_to_their_room)
{
    struct dn_choice v[3] = { { UINT64_C(1) << 40, 0 }, { UINT64_C(3) << 40, 0 }, { 0, 0 } };
    unsigned taken[3] = { 0 };

    for (int i = 0; i < 4000; i++) {
        int k = dn_choose(v, 3, 1 << 20);

        ck_assert_int_ge(k, 0);
        taken[k]++;
    }
    ck_assert_uint_eq(taken[2], 0);
    ck_assert_uint_ge(taken[0], 990);
    ck_assert_uint_le(taken[0], 1010);
}
END_TEST

START_TEST(no_volume_is_chosen_without_room)
{
    struct dn_choice v[2] = { { 1000, 0 }, { 5000, 0 } };

    ck_assert_int_eq(dn_choose(v, 2, 5000), -1);
    ck_assert_int_eq(dn_choose(v, 2, 4999), 1);
    ck_assert_int_eq(dn_choose(v, 0, 0), -1);
}
END_TEST

Suite *
suite_dn_layout(void)
{
    Suite *s = suite_create("dn_layout");
    TCase *t = tcase_create("layout");

    tcase_add_test(t, meta_header_equals_the_recorded_one);
    tcase_add_test(t, short_or_unknown_meta_header_is_corrupt);
    tcase_add_test(t, meta_file_has_four_bytes_a_chunk);
    tcase_add_test(t, paths_are_those_of_hdfs);
    tcase_add_test(t, names_that_are_not_ours_are_not_taken);
    tcase_add_test(t, properties_are_found_by_whole_key);
    tcase_add_test(t, volumes_are_taken_in_proportion_to_their_room);
    tcase_add_test(t, no_volume_is_chosen_without_room);
    suite_add_tcase(s, t);
    return s;
}
