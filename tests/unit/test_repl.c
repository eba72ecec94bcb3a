/* What is copied and dropped; a good replica always survives. */
#include "namenode/repl.h"

#include <stdio.h>

#include "core/base/rng.h"
#include "tests/unit/suites.h"

Suite *suite_nn_repl(void);

#define NODES 8

static struct nn_node nodes[NODES];
static struct nn_storage storages[NODES], *of_node[NODES];
static struct nn_replica replicas[NODES];
static struct nn_repl_copy copies[NODES];
static struct nn_repl_plan plan;
static const struct nn_repl_block block = { .stamp = 1005, .bytes = 100, .wanted = 3, .complete = true };

/* Every replica good and confirmed, on live nodes of one rack. */
static void setup(void)
{
    static char rack[] = "/r";

    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct nn_node){ .registered = true, .rack = rack, .storage_count = 1, .storages = &of_node[i] };
        storages[i] = (struct nn_storage){ .no = (uint32_t)i + 1, .node = &nodes[i], .confirmed = true,
                                           .remaining = (uint64_t)(i + 1) * 1000 };
        of_node[i] = &storages[i];
        replicas[i] = (struct nn_replica){ .storage = (uint32_t)i + 1, .state = NN_FINALIZED, .stamp = 1005, .bytes = 100 };
        copies[i] = (struct nn_repl_copy){ .r = &replicas[i], .s = &storages[i] };
    }
}

START_TEST(three_good_of_three_need_nothing)
{
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.count.good, 3);
    ck_assert_uint_eq(plan.copies, 0);
    ck_assert_uint_eq(plan.drop_count, 0);
}
END_TEST

START_TEST(dead_node_makes_a_copy_needed)
{
    nodes[1].dead = true;
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.copies, 1);
    nn_repl_plan(&block, copies, 3, 1, false, &plan);
    ck_assert_uint_eq(plan.copies, 0);
}
END_TEST

START_TEST(provisional_replica_is_neither_copied_nor_a_reason_to_drop)
{
    storages[1].confirmed = storages[2].confirmed = false;
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.copies, 0);
    nn_repl_plan(&block, copies, 5, 0, false, &plan);
    ck_assert_uint_eq(plan.count.good, 3);
    ck_assert_uint_eq(plan.drop_count, 0);
}
END_TEST

START_TEST(surplus_goes_from_the_fullest_node)
{
    nn_repl_plan(&block, copies, 5, 0, false, &plan);
    ck_assert_uint_eq(plan.drop_count, 2);
    ck_assert_ptr_eq(plan.drop[0]->s, &storages[0]);
    ck_assert_ptr_eq(plan.drop[1]->s, &storages[1]);
}
END_TEST

START_TEST(surplus_keeps_the_only_replica_of_a_rack)
{
    static char far[] = "/far";

    nodes[0].rack = far;
    nn_repl_plan(&block, copies, 4, 0, false, &plan);
    ck_assert_uint_eq(plan.drop_count, 1);
    ck_assert_ptr_eq(plan.drop[0]->s, &storages[1]);
}
END_TEST

START_TEST(corrupt_one_stays_while_only_one_is_good)
{
    replicas[1].state = replicas[2].state = NN_CORRUPT;
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.drop_count, 0);
    ck_assert_uint_eq(plan.copies, 2);
    nn_repl_plan(&block, copies, 3, 0, true, &plan);
    ck_assert_uint_eq(plan.drop_count, 2);
}
END_TEST

START_TEST(suspect_one_does_not_count_and_stays_until_enough_are_good)
{
    replicas[0].state = replicas[1].state = NN_SUSPECT;
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.count.suspect, 2);
    ck_assert_uint_eq(plan.count.corrupt, 0);
    ck_assert_uint_eq(plan.copies, 2);
    ck_assert_uint_eq(plan.drop_count, 0);
    replicas[1].state = NN_FINALIZED;
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.drop_count, 1);
    ck_assert_ptr_eq(plan.drop[0]->s, &storages[0]);
    replicas[0].state = replicas[1].state = replicas[2].state = NN_SUSPECT;
    nn_repl_plan(&block, copies, 3, 0, true, &plan);
    ck_assert_uint_eq(plan.drop_count, 0);
}
END_TEST

START_TEST(outdated_one_goes_when_two_are_good)
{
    replicas[0].stamp = 1001;
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.drop_count, 1);
    ck_assert_ptr_eq(plan.drop[0]->s, &storages[0]);
    ck_assert_uint_eq(plan.copies, 1);
}
END_TEST

START_TEST(nothing_good_means_nothing_is_done)
{
    replicas[0].state = NN_CORRUPT;
    replicas[1].stamp = 1001;
    replicas[2].bytes = 50;
    nn_repl_plan(&block, copies, 3, 0, true, &plan);
    ck_assert_uint_eq(plan.drop_count, 0);
    ck_assert_uint_eq(plan.copies, 0);
    ck_assert_uint_eq(plan.count.corrupt, 2);
}
END_TEST

START_TEST(replica_on_leaving_node_is_a_source_but_does_not_count)
{
    nodes[0].admin = NN_DECOMMISSIONING;
    nn_repl_plan(&block, copies, 1, 0, false, &plan);
    ck_assert_uint_eq(plan.copies, 3);
    ck_assert_uint_eq(plan.drop_count, 0);
}
END_TEST

START_TEST(second_disk_of_one_node_does_not_count)
{
    storages[1].node = &nodes[0];
    nn_repl_plan(&block, copies, 3, 0, false, &plan);
    ck_assert_uint_eq(plan.count.good, 2);
    ck_assert_uint_eq(plan.copies, 1);
    ck_assert_uint_eq(plan.drop_count, 1);
    ck_assert_ptr_eq(plan.drop[0]->s, &storages[1]);
}
END_TEST

START_TEST(open_block_is_left_alone)
{
    struct nn_repl_block open = block;

    open.complete = false;
    nn_repl_plan(&open, copies, 5, 0, true, &plan);
    ck_assert_uint_eq(plan.drop_count, 0);
    ck_assert_uint_eq(plan.copies, 0);
}
END_TEST

/* Any mix of states: what is dropped never takes the last good, confirmed, live replica, nor one too many. */
START_TEST(any_mix_keeps_enough_good_replicas)
{
    struct rng_seeded r;

    rng_seed(&r, 12);
    for (int round = 0; round < 200000; round++) {
        unsigned good = 0, dropped_good = 0;

        setup();
        for (int i = 0; i < NODES; i++) {
            nodes[i].dead = rng_below(&r.rng, 4) == 0;
            nodes[i].admin = (enum nn_admin)(rng_below(&r.rng, 6) == 0);
            storages[i].confirmed = rng_below(&r.rng, 3) != 0;
            storages[i].node = &nodes[rng_below(&r.rng, NODES)];
            replicas[i].state = (enum nn_replica_state)(rng_below(&r.rng, 5) == 0 ? rng_below(&r.rng, 4) : 0);
            replicas[i].stamp = rng_below(&r.rng, 4) == 0 ? 1001 : 1005;
            copies[i].going = rng_below(&r.rng, 5) == 0;
        }
        nn_repl_plan(&block, copies, NODES, 0, rng_below(&r.rng, 2) == 0, &plan);
        for (int i = 0; i < NODES; i++)
            good += storages[i].confirmed && !storages[i].node->dead && !copies[i].going &&
                    nn_replica_is_good(&block, &replicas[i]);
        for (size_t k = 0; k < plan.drop_count; k++) {
            ck_assert(plan.drop[k]->s->confirmed && !plan.drop[k]->going);
            dropped_good += nn_replica_is_good(&block, plan.drop[k]->r);
        }
        if (plan.drop_count > 0)
            ck_assert_uint_ge(good - dropped_good, 1);
        if (dropped_good > 0)
            ck_assert_uint_ge(good - dropped_good, plan.count.good < block.wanted ? plan.count.good : block.wanted);
    }
}
END_TEST

Suite *suite_nn_repl(void)
{
    Suite *s = suite_create("nn_repl");
    TCase *tc = tcase_create("repl");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, three_good_of_three_need_nothing);
    tcase_add_test(tc, dead_node_makes_a_copy_needed);
    tcase_add_test(tc, provisional_replica_is_neither_copied_nor_a_reason_to_drop);
    tcase_add_test(tc, surplus_goes_from_the_fullest_node);
    tcase_add_test(tc, surplus_keeps_the_only_replica_of_a_rack);
    tcase_add_test(tc, corrupt_one_stays_while_only_one_is_good);
    tcase_add_test(tc, suspect_one_does_not_count_and_stays_until_enough_are_good);
    tcase_add_test(tc, outdated_one_goes_when_two_are_good);
    tcase_add_test(tc, nothing_good_means_nothing_is_done);
    tcase_add_test(tc, replica_on_leaving_node_is_a_source_but_does_not_count);
    tcase_add_test(tc, second_disk_of_one_node_does_not_count);
    tcase_add_test(tc, open_block_is_left_alone);
    tcase_add_test(tc, any_mix_keeps_enough_good_replicas);
    suite_add_tcase(s, tc);
    return s;
}
