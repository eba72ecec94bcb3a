/* A job from its submission to its end, and what may come in between. */
#include <string.h>

#include "tests/unit/jt_world.h"
#include "tests/unit/suites.h"

Suite *suite_jt_core(void);

#define OK TT_ENDED_REQUEST__HOW__SUCCEEDED
#define FAILED TT_ENDED_REQUEST__HOW__FAILED
#define KILLED TT_ENDED_REQUEST__HOW__KILLED

static struct jt_work *
only_work(struct jt_world *w, enum jt_work_kind kind)
{
    struct jt_work *work = jt_core_take_work(&w->core);

    ck_assert_ptr_nonnull(work);
    ck_assert_ptr_null(work->next);
    ck_assert_int_eq(work->kind, kind);
    return work;
}

START_TEST(job_runs_maps_then_reduce_then_commits_its_winners)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_work *work;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_RUN), 2);
    ck_assert(world_end(&w, world_attempt(j, true, 0), OK));
    ck_assert(world_end(&w, world_attempt(j, true, 1), OK));
    world_step(&w);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_RUN), 3);
    ck_assert(world_end(&w, world_attempt(j, false, 0), OK));
    ck_assert_uint_eq(j->state, JOB_COMMITTING);
    work = only_work(&w, WORK_COMMIT);
    ck_assert_uint_eq(work->part_count, 1);
    ck_assert_str_eq(work->output, "/out/of");
    ck_assert_str_eq(work->work, "/out/.of.job_202311142213_0001");
    ck_assert_str_eq(work->parts[0], "attempt_202311142213_0001_r_000000_0");
    jt_work_free(work);
    jt_core_committed(&w.core, &w.now, j->number, RC_OK, NULL);
    ck_assert_uint_eq(j->state, JOB_SUCCEEDED);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_FORGET_JOB), 1);
    jt_work_free(only_work(&w, WORK_CLEAN));
    jt_core_cleaned(&w.core, &w.now, j->number, RC_OK);
    ck_assert(j->cleaned);
    world_fini(&w);
}
END_TEST

START_TEST(job_without_input_commits_at_once)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    j = world_submit(&w, 0, 0, "");
    ck_assert_uint_eq(j->state, JOB_COMMITTING);
    jt_work_free(only_work(&w, WORK_COMMIT));
    world_fini(&w);
}
END_TEST

START_TEST(tasks_run_while_the_output_is_marked_and_the_commit_waits_for_it)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_work *work;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    w.is_unprepared = true;
    j = world_submit(&w, 1, 0, "0");
    world_step(&w);                     /* the task goes out before there is a directory */
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_RUN), 1);
    jt_core_prepared(&w.core, &w.now, 1, RC_OK, NULL);
    work = only_work(&w, WORK_MARK);
    ck_assert(work->is_first);
    jt_work_free(work);
    ck_assert(world_end(&w, world_attempt(j, true, 0), OK));
    ck_assert_uint_eq(j->state, JOB_COMMITTING);
    ck_assert_ptr_null(jt_core_take_work(&w.core));
    jt_core_marked(&w.core, &w.now, 1, RC_IO_EXCEPTION);
    work = only_work(&w, WORK_COMMIT);
    ck_assert(!work->is_first);         /* it has to look whether _SUCCESS is there */
    jt_work_free(work);
    world_fini(&w);
}
END_TEST

START_TEST(tasks_that_went_out_come_back_uncounted_when_their_place_cannot_be_made)
{
    struct jt_world w;
    struct jt_attempt *a;
    struct jt_work *work;
    struct jt_job *j;
    struct why why;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    w.is_unprepared = true;
    j = world_submit(&w, 1, 0, "0");
    world_step(&w);
    a = world_attempt(j, true, 0);
    jt_core_prepared(&w.core, &w.now, 1, why_set(&why, RC_SAFE_MODE, "safe"), &why);
    ck_assert_uint_eq(a->state, ATTEMPT_KILLING);
    world_end(&w, a, FAILED);
    world_step(&w);
    ck_assert_uint_eq(a->state, ATTEMPT_KILLED);
    ck_assert_uint_eq(j->maps[0].failures, 0);
    ck_assert_uint_eq(j->live_count, 0);            /* nothing goes out before there is a place */
    w.now.mono_ms += 1000;
    world_step(&w);
    work = only_work(&w, WORK_PREPARE);
    ck_assert(!work->is_first);
    jt_work_free(work);
    jt_core_prepared(&w.core, &w.now, 1, RC_OK, NULL);
    jt_work_free(only_work(&w, WORK_MARK));
    world_step(&w);
    ck_assert(world_end(&w, world_attempt(j, true, 0), OK));
    world_fini(&w);
}
END_TEST

START_TEST(place_that_nobody_may_make_ends_the_job_and_counts_no_attempt)
{
    struct jt_world w;
    struct jt_attempt *a;
    struct jt_job *j;
    struct why why;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    w.is_unprepared = true;
    j = world_submit(&w, 1, 0, "0");
    world_step(&w);
    a = world_attempt(j, true, 0);
    jt_core_prepared(&w.core, &w.now, 1, why_set(&why, RC_DENIED, "may not"), &why);
    ck_assert_uint_eq(j->state, JOB_FAILED);
    ck_assert_str_eq(j->reason, "the output could not be prepared: may not");
    world_end(&w, a, FAILED);
    ck_assert_uint_eq(a->state, ATTEMPT_KILLED);
    ck_assert_uint_eq(j->failed[1], 0);
    world_fini(&w);
}
END_TEST

START_TEST(map_done_is_told_once_to_each_tracker_with_a_reduce)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    world_end(&w, world_attempt(j, true, 0), OK);
    world_step(&w);                                 /* the reduce starts: half of the maps are done */
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_MAP_DONE), 0);
    world_end(&w, world_attempt(j, true, 1), OK);
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_MAP_DONE), 1);
    world_fini(&w);
}
END_TEST

START_TEST(fourth_failure_of_a_task_fails_the_job_and_names_the_reason)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(j->state, JOB_RUNNING);
        world_step(&w);
        ck_assert_uint_eq(world_attempt(j, true, 0)->number, (unsigned)i);
        ck_assert(!world_end(&w, world_attempt(j, true, 0), FAILED));
    }
    ck_assert_uint_eq(j->state, JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(j->reason, "SIGSEGV"));
    ck_assert_uint_eq(j->first_failure->number, 0);
    jt_work_free(only_work(&w, WORK_CLEAN));
    world_fini(&w);
}
END_TEST

START_TEST(job_that_failed_is_cleaned_after_its_last_attempt_ended)
{
    struct jt_world w;
    struct jt_job *j;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    ck_assert(jt_core_kill(&w.core, &w.now, j, "by ann"));
    ck_assert_uint_eq(world_orders(&w, 0, ORDER_KILL), 2);
    ck_assert_ptr_null(jt_core_take_work(&w.core));
    world_end(&w, world_attempt(j, true, 0), KILLED);
    ck_assert_ptr_null(jt_core_take_work(&w.core));
    ck_assert(!world_end(&w, world_attempt(j, true, 1), OK));       /* came too late */
    jt_work_free(only_work(&w, WORK_CLEAN));
    ck_assert(!jt_core_kill(&w.core, &w.now, j, "again"));
    world_fini(&w);
}
END_TEST

START_TEST(end_that_is_reported_twice_counts_once_and_is_accepted_twice)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_attempt *a;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    a = world_attempt(j, true, 0);
    ck_assert(world_end(&w, a, OK));
    ck_assert(world_end(&w, a, OK));
    ck_assert_uint_eq(j->maps_done, 1);
    world_fini(&w);
}
END_TEST

START_TEST(time_in_which_the_jobtracker_did_not_run_makes_no_tracker_lost)
{
    struct jt_world w;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    w.now.mono_ms += 60000;
    jt_core_woke(&w.core, 60000);
    jt_core_tick(&w.core, &w.now);
    ck_assert(!w.t[0]->lost);
    w.now.mono_ms += DEAD_MS;                           /* it ran, and heard nothing */
    jt_core_tick(&w.core, &w.now);
    ck_assert(w.t[0]->lost);
    world_fini(&w);
}
END_TEST

START_TEST(silent_tracker_is_lost_and_its_maps_run_again_elsewhere)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_attempt *done, *running, *reduce;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    done = world_attempt(j, true, 0);
    running = world_attempt(j, true, 1);
    world_end(&w, done, OK);
    w.now.mono_ms += DEAD_MS - 1;
    world_register(&w, 1, NULL, 0, NULL, 0);
    w.t[0]->reduce_slots = 0;
    world_step(&w);
    reduce = world_attempt(j, false, 0);
    ck_assert_ptr_eq(reduce->tracker, w.t[1]);
    ck_assert_uint_eq(jt_core_next_ms(&w.core), w.now.mono_ms + 1);
    w.now.mono_ms += 1;
    world_step(&w);
    ck_assert(w.t[0]->lost);
    ck_assert_uint_eq(done->state, ATTEMPT_LOST);
    ck_assert_uint_eq(running->state, ATTEMPT_LOST);
    ck_assert_uint_eq(reduce->state, ATTEMPT_RUNNING);
    ck_assert_uint_eq(world_orders(&w, 1, ORDER_MAP_LOST), 1);
    ck_assert_ptr_eq(world_attempt(j, true, 0)->tracker, w.t[1]);
    ck_assert_ptr_eq(world_attempt(j, true, 1)->tracker, w.t[1]);
    ck_assert_uint_eq(j->maps[0].failures, 0);      /* not its fault */
    world_fini(&w);
}
END_TEST

static void
report_lost(struct jt_world *w, struct jt_attempt *reduce, struct jt_attempt *map, bool gone)
{
    TtOutputLostRequest req = TT_OUTPUT_LOST_REQUEST__INIT;
    JtAttemptId id = JT_ATTEMPT_ID__INIT;

    id.job = reduce->task->job->number;
    id.index = reduce->task->index;
    id.attempt = reduce->number;
    req.uuid = reduce->tracker->uuid;
    req.reduce = &id;
    req.map = map->task->index;
    req.attempt = map->number;
    req.gone = gone;
    req.reason = "connection refused";
    jt_core_output_lost(&w->core, &w->now, &req);
}

START_TEST(output_that_its_tracker_does_not_have_is_made_again_at_once)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_attempt *map;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    map = world_attempt(j, true, 0);
    world_end(&w, map, OK);
    world_step(&w);
    report_lost(&w, world_attempt(j, false, 0), map, true);
    ck_assert_uint_eq(map->state, ATTEMPT_LOST);
    ck_assert_uint_eq(j->maps[0].state, TASK_PENDING);
    world_step(&w);
    ck_assert_uint_eq(world_attempt(j, true, 0)->number, 1);
    world_fini(&w);
}
END_TEST

START_TEST(counters_of_a_map_count_when_its_output_is_lost_after_the_reduce_has_it)
{
    JtCounter row = JT_COUNTER__INIT, *rows[] = { &row };
    struct jt_counters sum = { 0 };
    struct jt_world w;
    struct jt_job *j;
    struct jt_attempt *map;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 1, 1, "0");
    world_step(&w);
    map = world_attempt(j, true, 0);
    world_end(&w, map, OK);
    row.name = "MAP_INPUT_RECORDS";
    row.value = 7;
    jt_counters_set(&map->counters, rows, 1);
    world_step(&w);
    report_lost(&w, world_attempt(j, false, 0), map, true);
    world_end(&w, world_attempt(j, false, 0), OK);
    ck_assert_uint_eq(j->state, JOB_COMMITTING);
    ck_assert_ptr_null(j->maps[0].winner);
    jt_job_counters(j, &sum);
    ck_assert_int_eq(jt_counters_get(&sum, "MAP_INPUT_RECORDS"), 7);
    jt_counters_fini(&sum);
    world_fini(&w);
}
END_TEST

START_TEST(output_that_cannot_be_reached_is_made_again_after_three_reports)
{
    struct jt_world w;
    struct jt_job *j;
    struct jt_attempt *map;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    j = world_submit(&w, 2, 1, "0");
    world_step(&w);
    map = world_attempt(j, true, 0);
    world_end(&w, map, OK);
    world_step(&w);
    for (int i = 0; i < 2; i++)
        report_lost(&w, world_attempt(j, false, 0), map, false);
    ck_assert_uint_eq(map->state, ATTEMPT_SUCCEEDED);
    report_lost(&w, world_attempt(j, false, 0), map, false);
    ck_assert_uint_eq(map->state, ATTEMPT_LOST);
    world_fini(&w);
}
END_TEST

START_TEST(commit_that_failed_for_now_is_tried_again)
{
    struct jt_world w;
    struct jt_job *j;
    struct why why;

    world_init(&w);
    j = world_submit(&w, 0, 0, "");
    jt_work_free(only_work(&w, WORK_COMMIT));
    why_set(&why, RC_REFUSED, "no NameNode");
    jt_core_committed(&w.core, &w.now, j->number, RC_REFUSED, &why);
    ck_assert_uint_eq(j->state, JOB_COMMITTING);
    w.now.mono_ms = jt_core_next_ms(&w.core);
    world_step(&w);
    w.now.mono_ms += 5000;
    world_step(&w);
    jt_work_free(only_work(&w, WORK_COMMIT));
    why_set(&why, RC_EXISTS, "somebody made it");
    jt_core_committed(&w.core, &w.now, j->number, RC_EXISTS, &why);
    ck_assert_uint_eq(j->state, JOB_FAILED);
    world_fini(&w);
}
END_TEST

START_TEST(tracker_with_an_old_epoch_has_to_register)
{
    struct jt_world w;
    struct jt_tracker *t;
    struct why why;
    uint64_t epoch;

    world_init(&w);
    world_register(&w, 0, NULL, 0, NULL, 0);
    epoch = w.t[0]->epoch;
    ck_assert_int_eq(jt_core_tracker(&w.core, &w.now, w.uuid[0], epoch, &t, &why), RC_OK);
    world_register(&w, 0, NULL, 0, NULL, 0);
    ck_assert_int_eq(jt_core_tracker(&w.core, &w.now, w.uuid[0], epoch, &t, &why), RC_UNREGISTERED);
    ck_assert_int_eq(jt_core_tracker(&w.core, &w.now, w.uuid[1], epoch, &t, &why), RC_UNREGISTERED);
    world_fini(&w);
}
END_TEST

Suite *
suite_jt_core(void)
{
    Suite *s = suite_create("jt_core");
    TCase *t = tcase_create("events");

    tcase_add_test(t, job_runs_maps_then_reduce_then_commits_its_winners);
    tcase_add_test(t, job_without_input_commits_at_once);
    tcase_add_test(t, tasks_run_while_the_output_is_marked_and_the_commit_waits_for_it);
    tcase_add_test(t, tasks_that_went_out_come_back_uncounted_when_their_place_cannot_be_made);
    tcase_add_test(t, place_that_nobody_may_make_ends_the_job_and_counts_no_attempt);
    tcase_add_test(t, map_done_is_told_once_to_each_tracker_with_a_reduce);
    tcase_add_test(t, fourth_failure_of_a_task_fails_the_job_and_names_the_reason);
    tcase_add_test(t, job_that_failed_is_cleaned_after_its_last_attempt_ended);
    tcase_add_test(t, end_that_is_reported_twice_counts_once_and_is_accepted_twice);
    tcase_add_test(t, silent_tracker_is_lost_and_its_maps_run_again_elsewhere);
    tcase_add_test(t, time_in_which_the_jobtracker_did_not_run_makes_no_tracker_lost);
    tcase_add_test(t, output_that_its_tracker_does_not_have_is_made_again_at_once);
    tcase_add_test(t, counters_of_a_map_count_when_its_output_is_lost_after_the_reduce_has_it);
    tcase_add_test(t, output_that_cannot_be_reached_is_made_again_after_three_reports);
    tcase_add_test(t, commit_that_failed_for_now_is_tried_again);
    tcase_add_test(t, tracker_with_an_old_epoch_has_to_register);
    suite_add_tcase(s, t);
    return s;
}
