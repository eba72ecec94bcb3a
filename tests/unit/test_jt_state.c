/* The state tables: ends are ends, and nothing skips the commit. */
#include "jobtracker/state.h"

#include "tests/unit/suites.h"

Suite *suite_jt_state(void);

START_TEST(job_that_runs_cannot_succeed_without_committing)
{
    ck_assert(!sm_may(jt_job_states, JOB_RUNNING, JOB_SUCCEEDED));
    ck_assert(sm_may(jt_job_states, JOB_RUNNING, JOB_COMMITTING));
    ck_assert(sm_may(jt_job_states, JOB_COMMITTING, JOB_SUCCEEDED));
}
END_TEST

START_TEST(job_that_commits_cannot_be_killed)
{
    ck_assert(!sm_may(jt_job_states, JOB_COMMITTING, JOB_KILLED));
}
END_TEST

START_TEST(job_that_is_over_stays_as_it_is)
{
    for (unsigned from = JOB_SUCCEEDED; from <= JOB_KILLED; from++)
        for (unsigned to = JOB_RUNNING; to <= JOB_KILLED; to++)
            ck_assert(!sm_may(jt_job_states, from, to));
}
END_TEST

START_TEST(attempt_being_killed_cannot_win)
{
    ck_assert(!sm_may(jt_attempt_states, ATTEMPT_KILLING, ATTEMPT_SUCCEEDED));
    ck_assert(sm_may(jt_attempt_states, ATTEMPT_SUCCEEDED, ATTEMPT_LOST));
}
END_TEST

Suite *
suite_jt_state(void)
{
    Suite *s = suite_create("jt_state");
    TCase *t = tcase_create("tables");

    tcase_add_test(t, job_that_runs_cannot_succeed_without_committing);
    tcase_add_test(t, job_that_commits_cannot_be_killed);
    tcase_add_test(t, job_that_is_over_stays_as_it_is);
    tcase_add_test(t, attempt_being_killed_cannot_win);
    suite_add_tcase(s, t);
    return s;
}
