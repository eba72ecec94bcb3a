/* Which task a slot takes. */
#include "jobtracker/sched.h"

#include "core/base/clock.h"
#include "tests/unit/jt_world.h"
#include "tests/unit/suites.h"

Suite *suite_jt_sched(void);

static bool
pick(struct jt_world *w, int tracker, bool is_map, struct jt_choice *ret, uint64_t *wake)
{
    *wake = FOREVER;
    return jt_sched_pick(w->core.jobs, w->core.trackers, w->t[tracker], is_map, w->now.mono_ms, ret, wake);
}

START_TEST(map_whose_block_is_here_comes_first)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    world_register(&w, 1, NULL, 0, NULL, 0);
    world_submit(&w, 4, 1, "0011");
    ck_assert(pick(&w, 1, true, &c, &wake));
    ck_assert_uint_eq(c.task->index, 2);
    ck_assert_int_eq(c.locality, LOCALITY_NODE);
    world_fini(&w);
}
END_TEST

START_TEST(map_waits_for_its_node_and_then_goes_anywhere)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    world_register(&w, 1, NULL, 0, NULL, 0);
    world_submit(&w, 1, 1, "0");
    ck_assert(!pick(&w, 1, true, &c, &wake));
    ck_assert_uint_eq(wake, w.now.mono_ms + 2000);
    w.now.mono_ms = wake;
    ck_assert(pick(&w, 1, true, &c, &wake));
    ck_assert_int_eq(c.locality, LOCALITY_ANY);
    world_fini(&w);
}
END_TEST

START_TEST(map_whose_columns_are_in_memory_goes_there_and_elsewhere_only_after_a_while)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    world_register(&w, 1, NULL, 0, NULL, 0);
    world_submit(&w, 2, 1, "00");
    w.core.jobs->maps[1].kept = w.t[1]->place;
    w.core.jobs->maps[1].kept_wait_ms = 60;
    ck_assert(pick(&w, 1, true, &c, &wake));
    ck_assert_uint_eq(c.task->index, 1);
    ck_assert_int_eq(c.locality, LOCALITY_NODE);
    w.core.jobs->maps[0].kept = w.t[1]->place;
    w.core.jobs->maps[0].kept_wait_ms = 60;
    ck_assert(!pick(&w, 0, true, &c, &wake));
    ck_assert_uint_eq(wake, w.now.mono_ms + 60);
    w.now.mono_ms = wake;
    ck_assert(pick(&w, 0, true, &c, &wake));
    world_fini(&w);
}
END_TEST

START_TEST(map_whose_node_is_not_there_goes_anywhere_at_once)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;

    world_init(&w);
    world_register(&w, 1, NULL, 0, NULL, 0);
    world_submit(&w, 1, 1, "0");
    ck_assert(pick(&w, 1, true, &c, &wake));
    ck_assert_int_eq(c.locality, LOCALITY_ANY);
    world_fini(&w);
}
END_TEST

START_TEST(rack_of_the_block_waits_half_as_long)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;

    world_init(&w);
    for (int i = 0; i < 3; i++)
        world_register(&w, i, NULL, 0, NULL, 0);
    jt_place_get(&w.core.places, "node0", "/r1");
    jt_place_get(&w.core.places, "node1", "/r1");
    jt_place_get(&w.core.places, "node2", "/r2");
    world_submit(&w, 1, 1, "0");
    w.now.mono_ms += 1000;
    ck_assert(!pick(&w, 2, true, &c, &wake));
    ck_assert(pick(&w, 1, true, &c, &wake));
    ck_assert_int_eq(c.locality, LOCALITY_RACK);
    world_fini(&w);
}
END_TEST

START_TEST(task_that_failed_here_goes_elsewhere_while_there_is_an_elsewhere)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), TT_ENDED_REQUEST__HOW__FAILED);
    ck_assert(pick(&w, 0, true, &c, &wake));        /* nobody else is there */
    world_register(&w, 1, NULL, 0, NULL, 0);
    ck_assert(!pick(&w, 0, true, &c, &wake));
    ck_assert(pick(&w, 1, true, &c, &wake));
    world_fini(&w);
}
END_TEST

START_TEST(tracker_on_which_a_job_keeps_failing_gets_no_more_of_it_while_most_are_good)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;
    struct jt_job *j;

    world_init(&w);
    for (int i = 0; i < 3; i++)
        world_register(&w, i, NULL, 0, NULL, 0);
    j = world_submit(&w, 8, 1, "");
    for (int i = 0; i < 2; i++)
        jt_job_blame(j, w.t[0]);
    ck_assert(pick(&w, 0, true, &c, &wake));
    jt_job_blame(j, w.t[0]);
    ck_assert(!pick(&w, 0, true, &c, &wake));
    ck_assert(pick(&w, 1, true, &c, &wake));
    for (int i = 0; i < 3; i++)
        jt_job_blame(j, w.t[1]);
    ck_assert(pick(&w, 0, true, &c, &wake));        /* now it rather looks like the job's own fault */
    world_fini(&w);
}
END_TEST

START_TEST(reduces_start_when_the_asked_share_of_maps_is_done)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "");
    ck_assert(!pick(&w, 0, false, &c, &wake));
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), TT_ENDED_REQUEST__HOW__SUCCEEDED);
    ck_assert(pick(&w, 0, false, &c, &wake));
    ck_assert(!c.task->is_map);
    world_fini(&w);
}
END_TEST

START_TEST(older_job_goes_first_and_higher_priority_before_it)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;
    struct jt_job *first, *second;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    first = world_submit(&w, 1, 1, "");
    second = world_submit(&w, 1, 1, "");
    ck_assert(pick(&w, 0, true, &c, &wake));
    ck_assert_ptr_eq(c.task->job, first);
    second->spec->priority = 1;
    DL_SORT(w.core.jobs, jt_job_order);
    ck_assert(pick(&w, 0, true, &c, &wake));
    ck_assert_ptr_eq(c.task->job, second);
    world_fini(&w);
}
END_TEST

START_TEST(maps_spread_over_the_trackers_with_most_free_slots)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    for (int i = 0; i < 3; i++)
        world_register(&w, i, NULL, 0, NULL, 0);
    j = world_submit(&w, 3, 1, "");
    world_step(&w);
    ck_assert_uint_eq(j->live_count, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(w.t[i]->maps_live, 1);
    world_fini(&w);
}
END_TEST

START_TEST(job_for_two_trackers_gets_the_first_two_that_live)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;
    struct jt_job *j;

    world_init(&w);
    for (int i = 3; i >= 0; i--)
        world_register(&w, i, NULL, 0, NULL, 0);
    j = world_submit(&w, 4, 1, "");
    j->spec->trackers_max = 2;
    ck_assert(pick(&w, 0, true, &c, &wake));
    ck_assert(pick(&w, 1, true, &c, &wake));
    ck_assert(!pick(&w, 2, true, &c, &wake));
    ck_assert(!pick(&w, 3, true, &c, &wake));
    jt_tracker_set_lost(w.t[0]);
    ck_assert(pick(&w, 2, true, &c, &wake));
    ck_assert(!pick(&w, 3, true, &c, &wake));
    j->spec->trackers_max = 9;
    ck_assert(pick(&w, 3, true, &c, &wake));
    world_fini(&w);
}
END_TEST

START_TEST(job_for_one_tracker_waits_for_no_home_and_flees_from_no_failure)
{
    struct jt_world w;
    struct jt_choice c;
    uint64_t wake;
    struct jt_job *j;

    world_init(&w);
    for (int i = 0; i < 2; i++)
        world_register(&w, i, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "1");
    j->spec->trackers_max = 1;
    ck_assert(pick(&w, 0, true, &c, &wake));
    ck_assert_int_eq(c.locality, LOCALITY_ANY);
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), TT_ENDED_REQUEST__HOW__FAILED);
    for (int i = 0; i < 3; i++)
        jt_job_blame(j, w.t[0]);
    ck_assert(pick(&w, 0, true, &c, &wake));
    ck_assert(!pick(&w, 1, true, &c, &wake));
    world_fini(&w);
}
END_TEST

Suite *
suite_jt_sched(void)
{
    Suite *s = suite_create("jt_sched");
    TCase *t = tcase_create("pick");

    tcase_add_test(t, map_whose_block_is_here_comes_first);
    tcase_add_test(t, map_waits_for_its_node_and_then_goes_anywhere);
    tcase_add_test(t, map_whose_columns_are_in_memory_goes_there_and_elsewhere_only_after_a_while);
    tcase_add_test(t, map_whose_node_is_not_there_goes_anywhere_at_once);
    tcase_add_test(t, rack_of_the_block_waits_half_as_long);
    tcase_add_test(t, task_that_failed_here_goes_elsewhere_while_there_is_an_elsewhere);
    tcase_add_test(t, tracker_on_which_a_job_keeps_failing_gets_no_more_of_it_while_most_are_good);
    tcase_add_test(t, reduces_start_when_the_asked_share_of_maps_is_done);
    tcase_add_test(t, older_job_goes_first_and_higher_priority_before_it);
    tcase_add_test(t, job_for_two_trackers_gets_the_first_two_that_live);
    tcase_add_test(t, job_for_one_tracker_waits_for_no_home_and_flees_from_no_failure);
    tcase_add_test(t, maps_spread_over_the_trackers_with_most_free_slots);
    suite_add_tcase(s, t);
    return s;
}
