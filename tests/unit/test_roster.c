/* Lists of replicas, their overlay, and what readers are told of them. */
#include "namenode/roster.h"

#include <string.h>

#include "core/base/mem.h"
#include "namenode/blockmap.h"
#include "namenode/located.h"
#include "tests/unit/nn_fake.h"
#include "tests/unit/suites.h"

Suite *suite_nn_roster(void);

static struct fake_nn f;
static struct nn_roster *ro;
static struct why why;
static struct nn_replicas list, got;

static void setup(void)
{
    fake_nn_init(&f);
    ck_assert_int_eq(nn_roster_new(&f.nn->core->db, &ro, &why), RC_OK);
}

static void teardown(void)
{
    nn_roster_free(ro);
    fake_nn_fini(&f);
}

/* Put a list of n replicas, the i-th on storage i + 1 with stamp i + 1000. */
static void put(uint64_t block, size_t n)
{
    list.n = n;
    for (size_t i = 0; i < n; i++)
        list.r[i] = (struct nn_replica){ .storage = (uint32_t)i + 1, .state = (enum nn_replica_state)(i % 3), .stamp = i + 1000,
                                         .bytes = UINT64_MAX - i };
    ck_assert_int_eq(nn_roster_put(ro, (struct block_id){ block }, &list, &why), RC_OK);
}

static size_t in_table(uint64_t block)
{
    ck_assert_int_eq(nn_roster_read(&f.nn->core->db, (struct block_id){ block }, &got, &why), RC_OK);
    return got.n;
}

static size_t known(uint64_t block)
{
    ck_assert_int_eq(nn_roster_get(ro, (struct block_id){ block }, &got, &why), RC_OK);
    return got.n;
}

START_TEST(packed_list_comes_back_as_it_was)
{
    struct buf b;

    list.n = NN_REPLICAS_MAX;
    for (size_t i = 0; i < list.n; i++)
        list.r[i] = (struct nn_replica){ .storage = UINT32_MAX - (uint32_t)i, .state = (enum nn_replica_state)(i % 3),
                                         .stamp = UINT64_MAX - i, .bytes = UINT64_MAX / 2 + i };
    buf_init(&b, NN_REPLICAS_PACKED_MAX);
    nn_replicas_pack(&list, &b);
    ck_assert(buf_ok(&b));
    ck_assert_int_eq(nn_replicas_unpack(b.p, b.n, &got, &why), RC_OK);
    ck_assert_uint_eq(got.n, list.n);
    for (size_t i = 0; i < list.n; i++)
        ck_assert(got.r[i].storage == list.r[i].storage && got.r[i].state == list.r[i].state &&
                  got.r[i].stamp == list.r[i].stamp && got.r[i].bytes == list.r[i].bytes);
    ck_assert_int_eq(nn_replicas_unpack(b.p, b.n - 1, &got, &why), RC_CORRUPT);
    buf_put(&b, "\x04\x01\x01", 3);
    ck_assert_int_eq(nn_replicas_unpack(b.p, b.n, &got, &why), RC_CORRUPT);     /* one too many */
    buf_fini(&b);
}
END_TEST

START_TEST(put_replaces_the_replica_of_the_same_storage)
{
    list.n = 0;
    ck_assert(nn_replicas_put(&list, &(struct nn_replica){ 1, NN_WRITING, 5, 0 }));
    ck_assert(nn_replicas_put(&list, &(struct nn_replica){ 2, NN_WRITING, 5, 0 }));
    ck_assert(nn_replicas_put(&list, &(struct nn_replica){ 1, NN_FINALIZED, 5, 10 }));
    ck_assert(!nn_replicas_put(&list, &(struct nn_replica){ 1, NN_FINALIZED, 5, 10 }));
    ck_assert_uint_eq(list.n, 2);
    ck_assert(nn_replicas_remove(&list, 1));
    ck_assert(!nn_replicas_remove(&list, 1));
    ck_assert_uint_eq(list.r[0].storage, 2);
}
END_TEST

START_TEST(change_is_known_at_once_and_in_the_table_after_the_flush)
{
    put(7, 3);
    ck_assert_uint_eq(known(7), 3);
    ck_assert_uint_eq(in_table(7), 0);
    ck_assert_int_eq(nn_roster_flush(ro, &why), RC_OK);
    ck_assert_uint_eq(in_table(7), 3);
    ck_assert_uint_eq(nn_roster_dirty(ro), 0);
    put(7, 0);
    ck_assert_uint_eq(known(7), 0);
    ck_assert_int_eq(nn_roster_flush(ro, &why), RC_OK);
    ck_assert_uint_eq(in_table(7), 0);
}
END_TEST

START_TEST(flush_that_was_rolled_back_is_done_again)
{
    sqlite3 *sql = f.nn->core->db.sql;

    put(7, 2);
    put(8, 1);
    ck_assert_int_eq(sqlite3_exec(sql, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(nn_roster_flush(ro, &why), RC_OK);
    ck_assert_int_eq(sqlite3_exec(sql, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    nn_roster_rolled_back(ro);
    ck_assert_uint_eq(in_table(7), 0);
    ck_assert_uint_eq(known(7), 2);
    ck_assert_uint_eq(nn_roster_dirty(ro), 2);
    ck_assert_int_eq(nn_roster_flush(ro, &why), RC_OK);
    for (int i = 0; i < 3; i++)
        nn_roster_next_round(ro);
    ck_assert_uint_eq(known(7), 2);             /* from the table now */
    ck_assert_uint_eq(in_table(8), 1);
}
END_TEST

static uint64_t passed[8];
static size_t passed_count;

static enum rc on_row(void *arg, struct block_id block, const struct nn_replicas *l, struct why *w)
{
    (void)arg, (void)l, (void)w;
    passed[passed_count++] = block.v;
    return RC_OK;
}

START_TEST(rows_pass_in_order_of_blocks_step_by_step)
{
    struct block_id next;

    for (uint64_t b = 5; b > 0; b--)
        put(b * 10, 1);
    passed_count = 0;
    ck_assert_int_eq(nn_roster_each(ro, (struct block_id){ 15 }, (struct block_id){ UINT64_MAX }, 2, on_row, NULL, &next, &why), RC_OK);
    ck_assert_uint_eq(passed_count, 2);
    ck_assert(passed[0] == 20 && passed[1] == 30 && next.v == 31);
    ck_assert_int_eq(nn_roster_each(ro, next, (struct block_id){ UINT64_MAX }, 5, on_row, NULL, &next, &why), RC_OK);
    ck_assert(passed_count == 4 && passed[3] == 50 && next.v == 0);
}
END_TEST

/* ---- what readers are told ---- */

static struct nn_view_node nodes[4];
static struct nn_view_storage storages[4];
static struct nn_nodes_view view;
static const struct nn_reading reader = { .host = "10.0.0.3", .now_ms = 100000, .stale_ms = 30000 };
static struct nn_location at[4];

/* Four live nodes on two racks, each with a good replica of the block. */
static struct nn_block located_setup(void)
{
    static const char *const hosts[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4" };

    list.n = 4;
    for (uint32_t i = 0; i < 4; i++) {
        nodes[i] = (struct nn_view_node){ .uuid = hosts[i], .host = hosts[i], .rack = i % 2 == 0 ? "/a" : "/b",
                                          .registered = true, .heard_ms = 99000 };
        storages[i] = (struct nn_view_storage){ .uuid = "DS", .node = &nodes[i] };
        list.r[i] = (struct nn_replica){ .storage = i + 1, .state = NN_FINALIZED, .stamp = 1001, .bytes = 10 };
    }
    view = (struct nn_nodes_view){ .node_count = 4, .nodes = nodes, .storage_count = 4, .storages = storages };
    return (struct nn_block){ .id = { 1 }, .stamp = 1001, .bytes = 10, .state = NN_BLOCK_COMPLETE };
}

static size_t pick(const struct nn_block *b, bool *corrupt)
{
    return nn_located_pick(&view, b, &list, &reader, at, 4, corrupt);
}

START_TEST(same_host_comes_first_then_the_rack)
{
    struct nn_block b = located_setup();
    bool corrupt;

    ck_assert_uint_eq(pick(&b, &corrupt), 4);
    ck_assert(!corrupt);
    ck_assert_ptr_eq(at[0].node, &nodes[2]);
    ck_assert_ptr_eq(at[1].node, &nodes[0]);
}
END_TEST

START_TEST(each_of_equal_nodes_comes_first_for_some_blocks)
{
    const struct nn_reading stranger = { .host = "10.9.9.9", .now_ms = 100000, .stale_ms = 30000 };
    struct nn_block b = located_setup();
    unsigned first[4] = { 0 };
    bool corrupt;

    for (b.id.v = 1000; b.id.v < 1400; b.id.v++) {
        ck_assert_uint_eq(nn_located_pick(&view, &b, &list, &stranger, at, 4, &corrupt), 4);
        first[at[0].node - nodes]++;
    }
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_gt(first[i], 60);
}
END_TEST

START_TEST(leaving_stale_and_unregistered_nodes_come_last_dead_ones_not_at_all)
{
    struct nn_block b = located_setup();
    bool corrupt;

    nodes[2].heard_ms = 1000;                   /* stale, though on the reader's host */
    nodes[0].registered = false;
    nodes[1].dead = true;
    ck_assert_uint_eq(pick(&b, &corrupt), 3);
    ck_assert_ptr_eq(at[0].node, &nodes[3]);
    ck_assert_ptr_eq(at[1].node, &nodes[2]);
    ck_assert_ptr_eq(at[2].node, &nodes[0]);
    nodes[3].dead = nodes[2].dead = nodes[0].dead = true;
    ck_assert_uint_eq(pick(&b, &corrupt), 4);   /* better than nothing */
}
END_TEST

START_TEST(corrupt_and_outdated_replicas_are_left_out_while_a_good_one_is_there)
{
    struct nn_block b = located_setup();
    bool corrupt;

    list.r[0].state = NN_CORRUPT;
    list.r[1].stamp = 1000;
    list.r[2].state = NN_WRITING;
    ck_assert_uint_eq(pick(&b, &corrupt), 1);
    ck_assert_ptr_eq(at[0].node, &nodes[3]);
    list.r[3].bytes = 9;
    list.r[2].state = NN_CORRUPT;
    ck_assert_uint_eq(pick(&b, &corrupt), 3);   /* all that are left are bad */
    ck_assert(corrupt);
}
END_TEST

START_TEST(open_block_is_where_it_is_being_written)
{
    struct nn_block b = located_setup();
    bool corrupt;

    b.state = NN_BLOCK_OPEN;
    list.r[0].state = list.r[1].state = NN_WRITING;
    list.r[3].stamp = 1000;
    ck_assert_uint_eq(pick(&b, &corrupt), 3);
}
END_TEST

Suite *suite_nn_roster(void)
{
    Suite *s = suite_create("nn_roster");
    TCase *tc = tcase_create("roster");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, packed_list_comes_back_as_it_was);
    tcase_add_test(tc, put_replaces_the_replica_of_the_same_storage);
    tcase_add_test(tc, change_is_known_at_once_and_in_the_table_after_the_flush);
    tcase_add_test(tc, flush_that_was_rolled_back_is_done_again);
    tcase_add_test(tc, rows_pass_in_order_of_blocks_step_by_step);
    suite_add_tcase(s, tc);
    tc = tcase_create("located");
    tcase_add_test(tc, same_host_comes_first_then_the_rack);
    tcase_add_test(tc, each_of_equal_nodes_comes_first_for_some_blocks);
    tcase_add_test(tc, leaving_stale_and_unregistered_nodes_come_last_dead_ones_not_at_all);
    tcase_add_test(tc, corrupt_and_outdated_replicas_are_left_out_while_a_good_one_is_there);
    tcase_add_test(tc, open_block_is_where_it_is_being_written);
    suite_add_tcase(s, tc);
    return s;
}
