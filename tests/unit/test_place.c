/* Placement: who is chosen, who is refused and why. */
#include "namenode/place.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/suites.h"

Suite *suite_nn_place(void);

#define NODES 6

struct cluster {
    struct nn_nodes t;
    struct nn_node *n[NODES];
    struct rng_seeded rng;
};

static void cluster_init(struct cluster *c, size_t nodes, size_t racks)
{
    struct why why;
    struct nn_storage *s;
    char uuid[20], host[20], rack[20];

    nn_nodes_init(&c->t);
    rng_seed(&c->rng, 7);
    for (size_t i = 0; i < nodes; i++) {
        snprintf(uuid, sizeof uuid, "node-%zu", i);
        snprintf(host, sizeof host, "10.0.0.%zu", i + 1);
        snprintf(rack, sizeof rack, "/r%zu", i % racks);
        ck_assert_int_eq(nn_node_add(&c->t, uuid, 1000, &c->n[i], &why), RC_OK);
        ck_assert_int_eq(nn_node_set_address(&c->t, c->n[i], host, host, 9866, 9867, 9864, &why), RC_OK);
        ck_assert_int_eq(nn_node_set_rack(&c->t, c->n[i], rack, &why), RC_OK);
        nn_node_begin(&c->t, c->n[i], 1, 1000, 1000);
        snprintf(uuid, sizeof uuid, "DS-%zu", i);
        ck_assert_int_eq(nn_storage_add(&c->t, c->n[i], uuid, 0, &s, &why), RC_OK);
        s->capacity = s->remaining = 10 * GB;
    }
}

static struct nn_place_ask ask_of(size_t count)
{
    return (struct nn_place_ask){ .count = count, .bytes = 128 * MB, .now_ms = 2000, .stale_ms = 30000 };
}

START_TEST(three_replicas_are_on_writers_node_then_two_of_another_rack)
{
    struct cluster c;
    struct nn_storage *got[3];
    struct nn_place_ask ask = ask_of(3);

    cluster_init(&c, 6, 2);
    ask.writer = "10.0.0.3";
    for (int round = 0; round < 50; round++) {
        ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 3);
        ck_assert_ptr_eq(got[0]->node, c.n[2]);
        ck_assert_str_ne(got[1]->node->rack, got[0]->node->rack);
        ck_assert_str_eq(got[2]->node->rack, got[1]->node->rack);
        ck_assert_ptr_ne(got[2]->node, got[1]->node);
    }
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(one_rack_takes_all_replicas_on_distinct_nodes)
{
    struct cluster c;
    struct nn_storage *got[3];
    struct nn_place_ask ask = ask_of(3);

    cluster_init(&c, 3, 1);
    ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 3);
    ck_assert(got[0]->node != got[1]->node && got[1]->node != got[2]->node && got[0]->node != got[2]->node);
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(unfit_nodes_are_refused_with_their_reason)
{
    struct cluster c;
    struct nn_storage *got[6];
    struct nn_place_ask ask = ask_of(6);
    struct buf b;

    cluster_init(&c, 6, 1);
    ask.now_ms = 40000;
    for (int i = 0; i < 6; i++)
        c.n[i]->heard_ms = 39000;
    c.n[0]->dead = true;
    c.n[1]->heard_ms = 1000;
    c.n[2]->admin = NN_DECOMMISSIONING;
    c.n[3]->storages[0]->remaining = 5;
    ask.exclude = &c.n[4];
    ask.exclude_count = 1;
    ask.have = &c.n[5];
    ask.have_count = 1;
    buf_init(&b, 64 * KB);
    ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, &b), 0);
    buf_u8(&b, 0);
    ck_assert_str_eq((char *)b.p, " 10.0.0.1:9866: dead, silent for 1 s"
                     "; 10.0.0.2:9866: stale, silent for 39 s"
                     "; 10.0.0.3:9866: being decommissioned"
                     "; 10.0.0.4:9866: 5 bytes free, 134217728 needed"
                     "; 10.0.0.5:9866: excluded by the client"
                     "; 10.0.0.6:9866: has a replica already");
    buf_fini(&b);
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(second_copy_of_a_lone_replica_goes_to_another_rack)
{
    struct cluster c;
    struct nn_storage *got[1];
    struct nn_place_ask ask = ask_of(1);

    cluster_init(&c, 6, 3);
    ask.have = &c.n[0];
    ask.have_count = 1;
    for (int round = 0; round < 50; round++) {
        ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 1);
        ck_assert_str_ne(got[0]->node->rack, c.n[0]->rack);
    }
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(empty_idle_node_is_drawn_more_often_than_full_busy_one)
{
    struct cluster c;
    struct nn_storage *got[1];
    struct nn_place_ask ask = ask_of(1);
    int first = 0;

    cluster_init(&c, 2, 1);
    c.n[1]->storages[0]->remaining = 1 * GB;
    c.n[1]->transfers = 4;
    for (int round = 0; round < 1000; round++) {
        ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 1);
        first += got[0]->node == c.n[0];
    }
    ck_assert_int_gt(first, 950);
    ck_assert_int_lt(first, 1000);
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(two_nodes_of_one_machine_do_not_both_get_a_replica_while_another_is_there)
{
    struct cluster c;
    struct nn_storage *got[3];
    struct nn_place_ask ask = ask_of(2);
    struct why why;

    cluster_init(&c, 3, 1);
    ck_assert_int_eq(nn_node_set_address(&c.t, c.n[1], "10.0.0.2", "10.0.0.1", 9866, 9867, 9864, &why), RC_OK);
    for (int round = 0; round < 50; round++) {
        ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 2);
        ck_assert(got[0]->node == c.n[2] || got[1]->node == c.n[2]);
    }
    ask.count = 3;
    ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 3);
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(favored_host_is_chosen_first)
{
    struct cluster c;
    struct nn_storage *got[2];
    struct nn_place_ask ask = ask_of(2);
    const char *favor[] = { "10.0.0.5:9866" };

    cluster_init(&c, 6, 2);
    ask.writer = "10.0.0.1";
    ask.favor = favor;
    ask.favor_count = 1;
    ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 2);
    ck_assert_ptr_eq(got[0]->node, c.n[4]);
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(writers_node_is_left_out_on_request_unless_it_is_alone)
{
    struct cluster c;
    struct nn_storage *got[1];
    struct nn_place_ask ask = ask_of(1);

    cluster_init(&c, 2, 1);
    ask.writer = "10.0.0.1";
    ask.not_writer = true;
    for (int round = 0; round < 20; round++) {
        ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 1);
        ck_assert_ptr_eq(got[0]->node, c.n[1]);
    }
    c.n[1]->dead = true;
    ck_assert_uint_eq(nn_place_plan(&c.t, &ask, &c.rng.rng, got, NULL), 1);
    ck_assert_ptr_eq(got[0]->node, c.n[0]);
    nn_nodes_fini(&c.t);
}
END_TEST

START_TEST(distance_is_none_on_one_host_less_in_one_rack)
{
    ck_assert_uint_eq(nn_place_distance("10.0.0.1", "/a", "10.0.0.1", "/a"), 0);
    ck_assert_uint_eq(nn_place_distance("10.0.0.1", "/a", "10.0.0.2", "/a"), 2);
    ck_assert_uint_eq(nn_place_distance("10.0.0.1", "/a", "10.0.0.2", "/b"), 4);
    ck_assert_uint_eq(nn_place_distance(NULL, NULL, "10.0.0.2", "/b"), 4);
}
END_TEST

Suite *suite_nn_place(void)
{
    Suite *s = suite_create("nn_place");
    TCase *tc = tcase_create("place");

    tcase_add_test(tc, three_replicas_are_on_writers_node_then_two_of_another_rack);
    tcase_add_test(tc, one_rack_takes_all_replicas_on_distinct_nodes);
    tcase_add_test(tc, unfit_nodes_are_refused_with_their_reason);
    tcase_add_test(tc, second_copy_of_a_lone_replica_goes_to_another_rack);
    tcase_add_test(tc, empty_idle_node_is_drawn_more_often_than_full_busy_one);
    tcase_add_test(tc, two_nodes_of_one_machine_do_not_both_get_a_replica_while_another_is_there);
    tcase_add_test(tc, favored_host_is_chosen_first);
    tcase_add_test(tc, writers_node_is_left_out_on_request_unless_it_is_alone);
    tcase_add_test(tc, distance_is_none_on_one_host_less_in_one_rack);
    suite_add_tcase(s, tc);
    return s;
}
