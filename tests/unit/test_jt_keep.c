/* What the JobTracker keeps beside its jobs: results and shared objects. */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/unit/jt_world.h"
#include "tests/unit/suites.h"

Suite *suite_jt_keep(void);

#define OK TT_ENDED_REQUEST__HOW__SUCCEEDED
#define SESSION "0123456789abcdef"

static enum rc
put_result(void *arg, const void *p, size_t n)
{
    char *text = arg;
    size_t at = strlen(text);

    (void)snprintf(text + at, 200 - at, "%.*s;", (int)n, (const char *)p);
    return RC_OK;
}

static void
assert_results(struct jt_world *w, uint64_t job, const char *want)
{
    char text[200] = "";
    struct why why;

    ck_assert_int_eq(jt_store_results(w->core.store, job, put_result, text, &why), RC_OK);
    ck_assert_str_eq(text, want);
}

static void
end_with(struct jt_world *w, struct jt_attempt *a, const char *result, size_t n)
{
    w->result = result;
    w->result_bytes = n;
    ck_assert(world_end(w, a, OK));
}

/* One map, two reduces, ended with the results "r0" and "r1". */
static struct jt_job *
run_job(struct jt_world *w)
{
    struct jt_job *j = world_submit(w, 1, 2, "");

    world_step(w);
    end_with(w, world_attempt(j, true, 0), "", 0);
    world_step(w);
    end_with(w, world_attempt(j, false, 1), "r1", 2);
    ck_assert_uint_eq(j->state, JOB_RUNNING);
    end_with(w, world_attempt(j, false, 0), "r0", 2);
    return j;
}

static void
init(struct jt_world *w)
{
    world_init(w);
    w->session = SESSION;
    world_register(w, 0, NULL, 0, NULL, 0);
    world_register(w, 1, NULL, 0, NULL, 0);
}

START_TEST(job_with_results_ends_without_the_filesystem_and_keeps_them_over_a_restart)
{
    struct jt_world w;
    struct jt_job *j;

    init(&w);
    j = run_job(&w);
    ck_assert_uint_eq(j->state, JOB_SUCCEEDED);
    ck_assert(j->cleaned);
    ck_assert_ptr_null(jt_core_take_work(&w.core));
    assert_results(&w, 1, "r0;r1;");
    world_restart(&w);
    ck_assert_uint_eq(jt_core_find_job(&w.core, 1)->state, JOB_SUCCEEDED);
    assert_results(&w, 1, "r0;r1;");
    world_fini(&w);
}
END_TEST

START_TEST(results_given_before_a_restart_count_after_it)
{
    struct jt_world w;
    struct jt_job *j;
    const struct jt_attempt *running, *done;

    init(&w);
    j = world_submit(&w, 1, 2, "");
    world_step(&w);
    end_with(&w, world_attempt(j, true, 0), "", 0);
    world_step(&w);
    end_with(&w, world_attempt(j, false, 1), "r1", 2);
    world_restart(&w);
    j = jt_core_find_job(&w.core, 1);
    running = world_attempt(j, false, 0);
    done = world_attempt(j, true, 0);
    world_register(&w, running->tracker == jt_tracker_find(w.core.trackers, w.uuid[0]) ? 0 : 1, &running, 1, &done, 1);
    end_with(&w, world_attempt(j, false, 0), "r0", 2);
    ck_assert_uint_eq(j->state, JOB_SUCCEEDED);
    assert_results(&w, 1, "r0;r1;");
    world_fini(&w);
}
END_TEST

START_TEST(results_go_with_the_sessions_next_job_or_after_an_hour)
{
    struct jt_world w;

    init(&w);
    run_job(&w);
    w.session = "another session.";
    run_job(&w);
    assert_results(&w, 1, "r0;r1;");
    w.session = SESSION;
    run_job(&w);
    assert_results(&w, 1, "");
    assert_results(&w, 2, "r0;r1;");
    assert_results(&w, 3, "r0;r1;");
    w.now.wall_ms += 3600 * 1000;
    w.session = "a third session.";
    run_job(&w);
    assert_results(&w, 2, "");
    assert_results(&w, 3, "");
    world_fini(&w);
}
END_TEST

START_TEST(results_that_are_too_large_fail_the_job_and_say_so)
{
    char *large = mem_zalloc(9 * MB);
    struct jt_world w;
    struct jt_job *j;

    init(&w);
    j = world_submit(&w, 1, 2, "");
    world_step(&w);
    end_with(&w, world_attempt(j, true, 0), "", 0);
    world_step(&w);
    end_with(&w, world_attempt(j, false, 1), large, 9 * MB);
    ck_assert_uint_eq(j->state, JOB_RUNNING);
    end_with(&w, world_attempt(j, false, 0), large, 9 * MB);
    ck_assert_uint_eq(j->state, JOB_FAILED);
    ck_assert_str_eq(j->reason, "the job gives back more than 16 MB: give it an output");
    assert_results(&w, 1, "");
    world_fini(&w);
    mem_free(large);
}
END_TEST

START_TEST(shared_objects_are_kept_once_and_old_ones_that_no_job_runs_go)
{
    uint8_t first[JT_DIGEST_BYTES], used[JT_DIGEST_BYTES], old[JT_DIGEST_BYTES];
    struct jt_world w;
    struct jt_job *j;
    char code[20];

    init(&w);
    w.code = "the first";
    j = run_job(&w);
    memcpy(first, j->spec->code_digest.data, sizeof first);
    run_job(&w);
    ck_assert(!jt_store_code_old(w.core.store, 1, old));        /* one row */
    w.code = "one that runs on";
    j = world_submit(&w, 1, 2, "");
    memcpy(used, j->spec->code_digest.data, sizeof used);
    for (int i = 0; i < 70; i++) {
        snprintf(code, sizeof code, "number %d", i);
        w.code = code;
        jt_core_kill(&w.core, &w.now, world_submit(&w, 1, 2, ""), "");
    }
    ck_assert(!jt_store_code_has(w.core.store, first));
    ck_assert(jt_store_code_has(w.core.store, used));
    world_fini(&w);
}
END_TEST

Suite *
suite_jt_keep(void)
{
    Suite *s = suite_create("jt_keep");
    TCase *t = tcase_create("all");

    tcase_add_test(t, job_with_results_ends_without_the_filesystem_and_keeps_them_over_a_restart);
    tcase_add_test(t, results_given_before_a_restart_count_after_it);
    tcase_add_test(t, results_go_with_the_sessions_next_job_or_after_an_hour);
    tcase_add_test(t, results_that_are_too_large_fail_the_job_and_say_so);
    tcase_add_test(t, shared_objects_are_kept_once_and_old_ones_that_no_job_runs_go);
    suite_add_tcase(s, t);
    return s;
}
