/* What a JobTracker that was killed finds in its database. */
#include <string.h>

#include "tests/unit/jt_world.h"
#include "tests/unit/suites.h"

START_TEST(work_directory_of_a_job_from_before_a_restart_is_deleted_twice)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_work *work;
    uint64_t number;

    world_init(&w);
    number = world_submit(&w, 1, 1, "")->number;
    world_restart(&w);
    jt_work_free(jt_core_take_work(&w.core));           /* to be prepared again */
    ck_assert_ptr_nonnull(j = jt_core_find_job(&w.core, number));
    world_prepared(&w, number);
    ck_assert(jt_core_kill(&w.core, &w.now, j, "test"));
    ck_assert_ptr_nonnull(work = jt_core_take_work(&w.core));
    ck_assert_int_eq(work->kind, WORK_CLEAN);
    jt_work_free(work);
    jt_core_cleaned(&w.core, &w.now, number, RC_OK);
    ck_assert(!j->cleaned);                             /* a call of the run before may be on its way */
    jt_core_tick(&w.core, &w.now);
    ck_assert_ptr_null(jt_core_take_work(&w.core));
    w.now.mono_ms += 60000;
    jt_core_tick(&w.core, &w.now);
    ck_assert_ptr_nonnull(work = jt_core_take_work(&w.core));
    ck_assert_int_eq(work->kind, WORK_CLEAN);
    jt_work_free(work);
    jt_core_cleaned(&w.core, &w.now, number, RC_OK);
    ck_assert(j->cleaned);
    world_fini(&w);
}
END_TEST

Suite *suite_jt_restart(void);

#define OK TT_ENDED_REQUEST__HOW__SUCCEEDED

START_TEST(running_attempts_go_on_and_finished_maps_are_kept_when_their_tracker_comes_back)
{
    struct jt_world w;
    struct jt_job *j;
    const struct jt_attempt *done, *running;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), OK);
    world_restart(&w);
    ck_assert_ptr_nonnull(j = jt_core_find_job(&w.core, 1));
    ck_assert_str_eq(j->user, "ann");
    ck_assert_uint_eq(j->maps_done, 1);
    ck_assert_uint_eq(j->live_count, 1);
    done = world_attempt(j, true, 0);
    running = world_attempt(j, true, 1);
    world_register(&w, 0, &running, 1, &done, 1);
    ck_assert_uint_eq(done->state, ATTEMPT_SUCCEEDED);
    ck_assert_uint_eq(running->state, ATTEMPT_RUNNING);
    ck_assert(world_end(&w, world_attempt(j, true, 1), OK));
    ck_assert_uint_eq(j->maps_done, 2);
    world_fini(&w);
}
END_TEST

START_TEST(tracker_that_came_back_empty_loses_its_attempts_and_outputs)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), OK);
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    world_register(&w, 0, NULL, 0, NULL, 0);
    ck_assert_uint_eq(j->maps_done, 0);
    ck_assert_uint_eq(j->live_count, 0);
    world_step(&w);
    ck_assert_uint_eq(world_attempt(j, true, 0)->number, 1);
    ck_assert_uint_eq(world_attempt(j, true, 1)->number, 1);
    world_fini(&w);
}
END_TEST

START_TEST(tracker_that_does_not_come_back_is_lost_after_the_interval)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_step(&w);
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    world_register(&w, 1, NULL, 0, NULL, 0);
    world_step(&w);
    ck_assert_uint_eq(j->live_count, 1);
    ck_assert_uint_eq(world_attempt(j, true, 0)->number, 0);
    w.now.mono_ms += DEAD_MS;
    w.t[1]->seen_ms = w.now.mono_ms;
    world_step(&w);
    ck_assert_uint_eq(world_attempt(j, true, 0)->number, 1);
    ck_assert_ptr_eq(world_attempt(j, true, 0)->tracker, w.t[1]);
    world_fini(&w);
}
END_TEST

START_TEST(reduce_that_goes_on_hears_of_every_map_again)
{
    struct jt_world w;
    struct jt_job *j;
    const struct jt_attempt *map, *reduce;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), OK);
    world_step(&w);
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    map = world_attempt(j, true, 0);
    reduce = world_attempt(j, false, 0);
    world_register(&w, 0, &reduce, 1, &map, 1);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_MAP_DONE), 1);
    world_fini(&w);
}
END_TEST

START_TEST(job_in_committing_is_committed_again)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_work *work;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 0, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), OK);
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    ck_assert_uint_eq(j->state, JOB_COMMITTING);
    ck_assert_ptr_nonnull(work = jt_core_take_work(&w.core));
    ck_assert_int_eq(work->kind, WORK_COMMIT);
    ck_assert_uint_eq(work->part_count, 1);
    ck_assert_ptr_nonnull(strstr(work->parts[0], "_m_000000_0"));
    jt_work_free(work);
    world_fini(&w);
}
END_TEST

START_TEST(killed_job_stays_killed_and_its_attempts_are_ended)
{
    struct jt_world w;
    struct jt_job *j;
    const struct jt_attempt *a;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_step(&w);
    jt_core_kill(&w.core, &w.now, j, "by ann");
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    ck_assert_uint_eq(j->state, JOB_KILLED);
    ck_assert_str_eq(j->reason, "by ann");
    ck_assert_ptr_null(jt_core_take_work(&w.core));
    a = world_attempt(j, true, 0);
    world_register(&w, 0, &a, 1, NULL, 0);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_KILL), 1);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_FORGET_JOB), 1);        /* it was told when nobody listened */
    world_fini(&w);
}
END_TEST

START_TEST(reduce_waits_for_the_work_directory_of_this_run)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_work *work;
    struct why why;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_restart(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = jt_core_find_job(&w.core, 1);
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), OK);
    world_step(&w);
    ck_assert_ptr_null(j->reduces[0].attempts);
    ck_assert_ptr_nonnull(work = jt_core_take_work(&w.core));
    ck_assert_int_eq(work->kind, WORK_PREPARE);
    jt_work_free(work);
    (void)why_set(&why, RC_IO_EXCEPTION, "no node takes a block");
    jt_core_prepared(&w.core, &w.now, j->number, why.rc, &why);
    world_step(&w);
    ck_assert_ptr_null(j->reduces[0].attempts);
    w.now.mono_ms += 5000;
    jt_core_tick(&w.core, &w.now);
    ck_assert_ptr_nonnull(work = jt_core_take_work(&w.core));
    ck_assert_int_eq(work->kind, WORK_PREPARE);
    jt_work_free(work);
    world_prepared(&w, j->number);
    world_step(&w);
    ck_assert_ptr_nonnull(j->reduces[0].attempts);
    world_fini(&w);
}
END_TEST

START_TEST(log_counters_and_reason_of_an_attempt_are_kept)
{
    struct jt_world w;
    struct jt_job *j;
    uint8_t *log;
    size_t n;
    struct why why;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), TT_ENDED_REQUEST__HOW__FAILED);
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    ck_assert_ptr_nonnull(j->first_failure);
    ck_assert_str_eq(j->first_failure->text, "killed by SIGSEGV");
    ck_assert_uint_eq(j->maps[0].failures, 1);
    ck_assert_int_eq(jt_store_log(w.core.store, j->first_failure, &log, &n, &why), RC_OK);
    ck_assert_str_eq((char *)log, "hello\n");
    mem_free(log);
    world_fini(&w);
}
END_TEST

Suite *
suite_jt_restart(void)
{
    Suite *s = suite_create("jt_restart");
    TCase *t = tcase_create("restart");

    tcase_add_test(t, running_attempts_go_on_and_finished_maps_are_kept_when_their_tracker_comes_back);
    tcase_add_test(t, tracker_that_came_back_empty_loses_its_attempts_and_outputs);
    tcase_add_test(t, tracker_that_does_not_come_back_is_lost_after_the_interval);
    tcase_add_test(t, reduce_that_goes_on_hears_of_every_map_again);
    tcase_add_test(t, job_in_committing_is_committed_again);
    tcase_add_test(t, killed_job_stays_killed_and_its_attempts_are_ended);
    tcase_add_test(t, reduce_waits_for_the_work_directory_of_this_run);
    tcase_add_test(t, log_counters_and_reason_of_an_attempt_are_kept);
    tcase_add_test(t, work_directory_of_a_job_from_before_a_restart_is_deleted_twice);
    suite_add_tcase(s, t);
    return s;
}
