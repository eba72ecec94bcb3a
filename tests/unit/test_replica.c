/* Which replica to read, and the head of a meta file. */
#include "dfsclient/block_read.h"
#include "dfsclient/replica.h"
#include "tests/unit/client_suites.h"

static const struct replica_set none = { .n = 0 };
static struct fs_location nodes[3] = { { .node_uuid = (char *)"a" }, { .node_uuid = (char *)"b" }, { .node_uuid = (char *)"c" } };

START_TEST(first_location_is_chosen_while_it_is_good)
{
    struct replica_set s = { .n = 0 };

    ck_assert_int_eq(replica_choose(nodes, 3, &s, &none), 0);
    replica_set_add(&s, "a");
    ck_assert_int_eq(replica_choose(nodes, 3, &s, &none), 1);
    replica_set_add(&s, "c");
    ck_assert_int_eq(replica_choose(nodes, 3, &s, &none), 1);
    ck_assert_uint_eq(replica_left(nodes, 3, &s), 1);
    replica_set_add(&s, "b");
    ck_assert_int_eq(replica_choose(nodes, 3, &s, &none), -1);
    replica_set_clear(&s);
    ck_assert_int_eq(replica_choose(nodes, 3, &s, &none), 0);
}
END_TEST

START_TEST(suspects_come_last)
{
    struct replica_set failed = { .n = 0 }, suspects = { .n = 0 };

    replica_set_add(&suspects, "a");
    ck_assert_int_eq(replica_choose(nodes, 3, &failed, &suspects), 1);
    replica_set_add(&failed, "b");
    replica_set_add(&failed, "c");
    ck_assert_int_eq(replica_choose(nodes, 3, &failed, &suspects), 0);
    replica_set_add(&failed, "a");
    ck_assert_int_eq(replica_choose(nodes, 3, &failed, &suspects), -1);
}
END_TEST

START_TEST(no_locations_give_no_replica)
{
    struct replica_set s = { .n = 0 };

    ck_assert_int_eq(replica_choose(nodes, 0, &s, &none), -1);
}
END_TEST

START_TEST(adding_twice_keeps_one)
{
    struct replica_set s = { .n = 0 };

    replica_set_add(&s, "a");
    replica_set_add(&s, "a");
    ck_assert_uint_eq(s.n, 1);
}
END_TEST

START_TEST(full_set_ends_the_search)
{
    struct replica_set s = { .n = 0 };
    char name[16];

    for (int i = 0; i < REPLICA_SET_MAX + 5; i++) {
        snprintf(name, sizeof name, "x%d", i);
        replica_set_add(&s, name);
    }
    ck_assert_int_eq(replica_choose(nodes, 3, &s, &none), -1);
}
END_TEST

START_TEST(meta_head_names_type_and_chunk)
{
    static const uint8_t good[7] = { 0, 1, 2, 0, 0, 2, 0 }, version[7] = { 0, 2, 2, 0, 0, 2, 0 },
                         type[7] = { 0, 1, 3, 0, 0, 2, 0 }, zero[7] = { 0, 1, 2, 0, 0, 0, 0 };
    enum crc_type t;
    uint32_t chunk;
    struct why why;

    ck_assert_int_eq(block_meta_head(good, &t, &chunk, &why), RC_OK);
    ck_assert_int_eq(t, CRC_CRC32C);
    ck_assert_uint_eq(chunk, 512);
    ck_assert_int_eq(block_meta_head(version, &t, &chunk, &why), RC_CORRUPT);
    ck_assert_int_eq(block_meta_head(type, &t, &chunk, &why), RC_CORRUPT);
    ck_assert_int_eq(block_meta_head(zero, &t, &chunk, &why), RC_CORRUPT);
}
END_TEST

Suite *
suite_replica(void)
{
    Suite *s = suite_create("replica");
    TCase *t = tcase_create("replica");

    tcase_add_test(t, first_location_is_chosen_while_it_is_good);
    tcase_add_test(t, suspects_come_last);
    tcase_add_test(t, no_locations_give_no_replica);
    tcase_add_test(t, adding_twice_keeps_one);
    tcase_add_test(t, full_set_ends_the_search);
    tcase_add_test(t, meta_head_names_type_and_chunk);
    suite_add_tcase(s, t);
    return s;
}
