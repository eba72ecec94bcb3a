/* The DataNode table, orders, late changes; work in hand. */
#include "namenode/node.h"

#include <string.h>

#include "namenode/work.h"
#include "tests/unit/suites.h"

Suite *suite_nn_node(void);

static struct nn_nodes t;
static struct nn_node *a, *b;
static struct nn_storage *sa, *sb;
static struct why why;

static void setup(void)
{
    nn_nodes_init(&t);
    ck_assert_int_eq(nn_node_add(&t, "a", 0, &a, &why), RC_OK);
    ck_assert_int_eq(nn_node_add(&t, "b", 0, &b, &why), RC_OK);
    ck_assert_int_eq(nn_node_set_address(&t, a, "10.0.0.1", "one", 1, 2, 3, &why), RC_OK);
    ck_assert_int_eq(nn_storage_add(&t, a, "DS-a", 0, &sa, &why), RC_OK);
    ck_assert_int_eq(nn_storage_add(&t, b, "DS-b", 0, &sb, &why), RC_OK);
    nn_node_begin(&t, a, 1, 0, 0);
    nn_node_begin(&t, b, 2, 0, 0);
}

static void teardown(void)
{
    nn_nodes_fini(&t);
    ck_assert_uint_eq(mem_live(), 0);
}

START_TEST(acknowledged_orders_are_forgotten_in_order)
{
    struct nn_order o = { .kind = NN_DELETE, .block = { 5 } };

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(nn_order_add(a, &o, &why), RC_OK);
    nn_orders_acked(a, 2);
    ck_assert_uint_eq(a->order_count, 1);
    ck_assert_uint_eq(a->orders->seq, 3);
    nn_node_begin(&t, a, 3, 0, 0);
    ck_assert_ptr_null(a->orders);
}
END_TEST

START_TEST(change_that_comes_late_or_twice_is_no_news)
{
    bool news;

    ck_assert_int_eq(nn_seen_note(sa, (struct block_id){ 7 }, 5, &news, &why), RC_OK);
    ck_assert(news);
    ck_assert_int_eq(nn_seen_note(sa, (struct block_id){ 7 }, 5, &news, &why), RC_OK);
    ck_assert(!news);
    ck_assert_int_eq(nn_seen_note(sa, (struct block_id){ 7 }, 4, &news, &why), RC_OK);
    ck_assert(!news);
    ck_assert_int_eq(nn_seen_note(sa, (struct block_id){ 8 }, 4, &news, &why), RC_OK);
    ck_assert(news);
    ck_assert(nn_seen_after(sa, (struct block_id){ 7 }, 4));
    ck_assert(!nn_seen_after(sa, (struct block_id){ 7 }, 5));
    ck_assert(!nn_seen_forgot(sa, 0));
}
END_TEST

START_TEST(report_older_than_what_is_remembered_is_noticed)
{
    bool news;

    for (uint64_t i = 1; i <= NN_SEEN_MAX + 3; i++)
        ck_assert_int_eq(nn_seen_note(sa, (struct block_id){ i }, i, &news, &why), RC_OK);
    ck_assert(nn_seen_forgot(sa, 2));
    ck_assert(!nn_seen_forgot(sa, 3));
}
END_TEST

START_TEST(storage_may_move_to_another_node_and_keeps_its_number)
{
    struct nn_storage *s;

    ck_assert_int_eq(nn_storage_add(&t, b, "DS-a", 0, &s, &why), RC_OK);
    ck_assert_ptr_eq(s, sa);
    ck_assert_ptr_eq(s->node, b);
    ck_assert_uint_eq(a->storage_count, 0);
    ck_assert_uint_eq(b->storage_count, 2);
    ck_assert_ptr_eq(nn_storage_at(&t, 1), sa);
    ck_assert_ptr_null(nn_storage_at(&t, 3));
}
END_TEST

START_TEST(racks_and_host_lists_are_read_line_by_line)
{
    const char table[] = "# comment\n10.0.0.1 /r1\none\t/r2\nother r3\n";
    char rack[32];

    nn_rack_of(table, strlen(table), "10.0.0.1", "x", rack, sizeof rack);
    ck_assert_str_eq(rack, "/r1");
    nn_rack_of(table, strlen(table), "10.0.0.9", "one", rack, sizeof rack);
    ck_assert_str_eq(rack, "/r2");
    nn_rack_of(table, strlen(table), "other", "x", rack, sizeof rack);
    ck_assert_str_eq(rack, "/r3");
    nn_rack_of(table, strlen(table), "10.0.0.2", "two", rack, sizeof rack);
    ck_assert_str_eq(rack, NN_DEFAULT_RACK);
    ck_assert(nn_hosts_has("x\n10.0.0.1:1\n", 13, a));
    ck_assert(nn_hosts_has("one", 3, a));
    ck_assert(!nn_hosts_has("# one\n10.0.0.10\n", 16, a));
}
END_TEST

START_TEST(blocks_with_fewest_good_replicas_have_their_turn_first)
{
    struct nn_work *w;
    struct block_id got[4];

    ck_assert_int_eq(nn_work_new(&w, &why), RC_OK);
    ck_assert_int_eq(nn_work_set(w, (struct block_id){ 1 }, NEED_COPY | NEED_LOW, 2, &why), RC_OK);
    ck_assert_int_eq(nn_work_set(w, (struct block_id){ 2 }, NEED_COPY | NEED_LOW, 1, &why), RC_OK);
    ck_assert_int_eq(nn_work_set(w, (struct block_id){ 3 }, NEED_COPY | NEED_LOW, 1, &why), RC_OK);
    ck_assert_int_eq(nn_work_set(w, (struct block_id){ 4 }, NEED_MISSING, 0, &why), RC_OK);
    ck_assert_uint_eq(nn_work_turns(w, got, 2), 2);
    ck_assert(got[0].v == 2 && got[1].v == 3);
    ck_assert_uint_eq(nn_work_turns(w, got, 4), 3);
    ck_assert_uint_eq(got[2].v, 1);
    ck_assert_uint_eq(nn_work_counts(w).low, 3);
    ck_assert_uint_eq(nn_work_counts(w).missing, 1);
    ck_assert_uint_eq(nn_work_counts(w).urgent, 2);
    ck_assert_int_eq(nn_work_set(w, (struct block_id){ 2 }, 0, 3, &why), RC_OK);
    ck_assert_uint_eq(nn_work_counts(w).low, 2);
    ck_assert_uint_eq(nn_work_counts(w).urgent, 1);
    nn_work_free(w);
}
END_TEST

START_TEST(copy_counts_on_its_source_until_done_or_expired)
{
    struct nn_work *w;
    struct nn_node *to[2];

    ck_assert_int_eq(nn_work_new(&w, &why), RC_OK);
    ck_assert_int_eq(nn_copy_add(w, (struct block_id){ 1 }, a, sb, 100, &why), RC_OK);
    ck_assert_int_eq(nn_copy_add(w, (struct block_id){ 2 }, a, sb, 200, &why), RC_OK);
    ck_assert_uint_eq(a->copying, 2);
    ck_assert_uint_eq(nn_copy_targets(w, (struct block_id){ 1 }, to, 2), 1);
    ck_assert_ptr_eq(to[0], b);
    ck_assert(nn_copy_done(w, (struct block_id){ 1 }, b));
    ck_assert(!nn_copy_done(w, (struct block_id){ 1 }, b));
    ck_assert_uint_eq(nn_copy_expire(w, 199).v, 0);
    ck_assert_uint_eq(nn_copy_expire(w, 200).v, 2);
    ck_assert_uint_eq(a->copying, 0);
    ck_assert_int_eq(nn_copy_add(w, (struct block_id){ 3 }, a, sb, 100, &why), RC_OK);
    ck_assert_uint_eq(nn_copy_drop_node(w, b).v, 3);
    ck_assert_uint_eq(nn_copy_drop_node(w, b).v, 0);
    nn_work_free(w);
}
END_TEST

START_TEST(late_deletion_is_ordered_again_and_known_until_done_or_registered)
{
    struct nn_work *w;
    struct nn_drop late;

    ck_assert_int_eq(nn_work_new(&w, &why), RC_OK);
    ck_assert_int_eq(nn_drop_add(w, &(struct nn_drop){ { 1 }, 7, 0, 4, 11 }, 100, &why), RC_OK);
    ck_assert_int_eq(nn_drop_add(w, &(struct nn_drop){ { 1 }, 7, 60, 5, 3 }, 150, &why), RC_OK);
    ck_assert_int_eq(nn_drop_add(w, &(struct nn_drop){ { 1 }, 7, 0, 4, 12 }, 200, &why), RC_OK);
    ck_assert(nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 7));
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 2 }, 4, 7));
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 8));        /* a newer one than the order means */
    ck_assert(nn_drop_late(w, 160, 260, &late));
    ck_assert(late.block.v == 1 && late.storage == 5 && late.stamp == 7 && late.keep_ms == 60);
    ck_assert(!nn_drop_late(w, 160, 260, &late));
    ck_assert(nn_drop_is_ordered(w, (struct block_id){ 1 }, 5, 7));    /* it may have been carried out */
    nn_drop_storage(w, 5);
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 1 }, 5, 7));
    ck_assert(nn_drop_done(w, (struct block_id){ 1 }, 4));
    ck_assert_uint_eq(nn_work_counts(w).deleting, 0);
    nn_work_free(w);
}
END_TEST

START_TEST(failure_of_another_order_about_the_block_leaves_its_deletion)
{
    struct nn_work *w;

    ck_assert_int_eq(nn_work_new(&w, &why), RC_OK);
    ck_assert_int_eq(nn_drop_add(w, &(struct nn_drop){ { 1 }, 7, 0, 4, 12 }, 100, &why), RC_OK);
    ck_assert(!nn_drop_failed(w, (struct block_id){ 1 }, 4, 11));          /* a copy, or an earlier attempt to delete */
    ck_assert(nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 7));
    ck_assert(!nn_drop_failed(w, (struct block_id){ 2 }, 4, 12));
    ck_assert(nn_drop_failed(w, (struct block_id){ 1 }, 4, 12));
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 7));
    nn_work_free(w);
}
END_TEST

START_TEST(deletion_of_an_earlier_group_outlives_a_group_that_was_undone)
{
    const struct nn_drop first = { { 1 }, 7, 0, 4, 1 }, second = { { 1 }, 8, 60, 4, 2 }, other = { { 2 }, 7, 0, 4, 3 };
    struct nn_work *w;
    struct nn_drop late;

    ck_assert_int_eq(nn_work_new(&w, &why), RC_OK);
    ck_assert_int_eq(nn_drop_add(w, &first, 100, &why), RC_OK);
    nn_work_committed(w);
    ck_assert_int_eq(nn_drop_add(w, &second, 200, &why), RC_OK);           /* never sent */
    ck_assert_int_eq(nn_drop_add(w, &other, 200, &why), RC_OK);
    nn_work_undone(w);
    ck_assert(nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 7));
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 8));
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 2 }, 4, 7));
    ck_assert(nn_drop_late(w, 1, 300, &late));
    ck_assert(late.block.v == 1 && late.stamp == 7 && late.keep_ms == 0);
    ck_assert(!nn_drop_late(w, 1, 300, &late));

    ck_assert(nn_drop_done(w, (struct block_id){ 1 }, 4));                 /* told by a call that was undone, too */
    ck_assert_int_eq(nn_drop_add(w, &second, 200, &why), RC_OK);
    nn_work_undone(w);
    ck_assert(nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 7));
    ck_assert(!nn_drop_is_ordered(w, (struct block_id){ 1 }, 4, 8));
    ck_assert_uint_eq(nn_work_counts(w).deleting, 1);
    ck_assert(nn_drop_done(w, (struct block_id){ 1 }, 4));
    nn_work_committed(w);
    nn_work_undone(w);
    ck_assert_uint_eq(nn_work_counts(w).deleting, 0);
    nn_work_free(w);
    ck_assert_int_eq(nn_work_new(&w, &why), RC_OK);
    ck_assert_int_eq(nn_drop_add(w, &first, 100, &why), RC_OK);
    nn_work_committed(w);
    ck_assert(nn_drop_done(w, (struct block_id){ 1 }, 4));
    nn_work_free(w);
}
END_TEST

Suite *suite_nn_node(void)
{
    Suite *s = suite_create("nn_node");
    TCase *tc = tcase_create("node");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, acknowledged_orders_are_forgotten_in_order);
    tcase_add_test(tc, change_that_comes_late_or_twice_is_no_news);
    tcase_add_test(tc, report_older_than_what_is_remembered_is_noticed);
    tcase_add_test(tc, storage_may_move_to_another_node_and_keeps_its_number);
    tcase_add_test(tc, racks_and_host_lists_are_read_line_by_line);
    tcase_add_test(tc, blocks_with_fewest_good_replicas_have_their_turn_first);
    tcase_add_test(tc, copy_counts_on_its_source_until_done_or_expired);
    tcase_add_test(tc, late_deletion_is_ordered_again_and_known_until_done_or_registered);
    tcase_add_test(tc, failure_of_another_order_about_the_block_leaves_its_deletion);
    tcase_add_test(tc, deletion_of_an_earlier_group_outlives_a_group_that_was_undone);
    suite_add_tcase(s, tc);
    return s;
}
