/* What a report makes of the attempts of a job. */
#include "libmr/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/mem.h"
#include "tests/unit/suites.h"

Suite *suite_mr_report(void);

#define SUBMITTED 1000000
#define NEAR(x, y) ck_assert_msg(fabs((x) - (y)) < 1e-6, "%s is %g, not %g", #x, (double)(x), (double)(y))

static struct arena arena;
static JtAttemptStatus *attempts[8];
static size_t count;
static JtJobStatus job;
static JtTaskSums maps, reduces;
static char nothing[] = "";

static void
setup(void)
{
    arena_init(&arena, 16 * MB);
    count = 0;
    jt_task_sums__init(&maps);
    jt_task_sums__init(&reduces);
    jt_job_status__init(&job);
    job.id = arena_strdup(&arena, "job_1");
    job.name = arena_strdup(&arena, "<b>&\"evil\"</b>");
    job.user = arena_strdup(&arena, "alice");
    job.state = arena_strdup(&arena, "SUCCEEDED");
    job.reason = job.output = nothing;
    job.submitted_ms = SUBMITTED;
    job.finished_ms = SUBMITTED + 10000;
    job.maps = &maps;
    job.reduces = &reduces;
}

static void
teardown(void)
{
    arena_fini(&arena);
}

/* Times after the submission, ms. */
static JtAttemptStatus *
attempt(const char *id, const char *state, const char *node, uint64_t from, uint64_t to, uint64_t run)
{
    JtAttemptStatus *s = arena_zalloc(&arena, sizeof *s);

    jt_attempt_status__init(s);
    s->id = arena_strdup(&arena, id);
    s->state = arena_strdup(&arena, state);
    s->node = arena_strdup(&arena, node);
    s->locality = arena_strdup(&arena, "node");
    s->phase = s->reason = s->log_path = nothing;
    s->started_ms = SUBMITTED + from;
    s->ended_ms = to == 0 ? 0 : SUBMITTED + to;
    s->run_ms = run;
    s->counters = arena_calloc(&arena, 8, sizeof *s->counters);
    attempts[count++] = s;
    return s;
}

static void
counted(JtAttemptStatus *s, const char *name, int64_t value)
{
    JtCounter *c = arena_zalloc(&arena, sizeof *c);

    jt_counter__init(c);
    c->name = arena_strdup(&arena, name);
    c->value = value;
    s->counters[s->n_counters++] = c;
}

static void
a_map(const char *id, const char *node, uint64_t from, uint64_t to, int64_t read_ms, int64_t map_ms, int64_t bytes)
{
    JtAttemptStatus *s = attempt(id, "SUCCEEDED", node, from, to, to - from - 50);

    counted(s, "READ_MICROSECONDS", read_ms * 1000);
    counted(s, "MAP_MICROSECONDS", map_ms * 1000);
    counted(s, "MAP_INPUT_BYTES", bytes);
    counted(s, "MAP_INPUT_RECORDS", bytes / 10);
}

static double
sum_of_parts(const struct report_attempt *a)
{
    double s = 0;

    for (int i = 0; i < REPORT_PARTS; i++)
        s += a->part_s[i];
    return s;
}

static struct report
report(uint64_t now_ms)
{
    struct report r;
    struct why why;

    ck_assert_int_eq(report_init(&r, &job, attempts, count, now_ms, &why), RC_OK);
    return r;
}

START_TEST(parts_of_each_attempt_sum_to_its_time)
{
    struct report r;

    a_map("attempt_1_m_000001_0", "b", 100, 1100, 200, 600, 1000);
    a_map("attempt_1_m_000000_0", "a", 0, 1000, 300, 600, 1000);
    attempt("attempt_1_m_000002_0", "FAILED", "a", 100, 400, 0);
    r = report(0);
    ck_assert_uint_eq(r.count, 3);
    for (size_t i = 0; i < r.count; i++)
        NEAR(sum_of_parts(&r.attempts[i]), (double)(r.attempts[i].to_ms - r.attempts[i].from_ms) / 1000);
    ck_assert_str_eq(r.attempts[0].s->id, "attempt_1_m_000000_0");      /* in order of their start */
    NEAR(r.part_s[1][REPORT_READ], 0.5);
    NEAR(r.part_s[1][REPORT_START], 0.1);
    NEAR(r.part_s[1][REPORT_OTHER], 0.05 + 0.15 + 0.3);                 /* the failed one's whole time */
    ck_assert_uint_eq(r.part_bytes[REPORT_READ], 2000);
    NEAR(r.run.total_ms, 10000);
    report_fini(&r);
}
END_TEST

START_TEST(attempts_beside_each_other_are_in_lanes_of_their_own)
{
    struct report r;

    a_map("attempt_1_m_000000_0", "b", 0, 1000, 0, 0, 1);
    a_map("attempt_1_m_000001_0", "b", 500, 1500, 0, 0, 1);
    a_map("attempt_1_m_000002_0", "b", 1000, 2000, 0, 0, 1);
    a_map("attempt_1_m_000003_0", "a", 1000, 2000, 0, 0, 1);
    attempt("attempt_1_r_000000_0", "SUCCEEDED", "b", 1600, 2000, 300);
    r = report(0);
    ck_assert_uint_eq(r.lane_count, 4);
    ck_assert_str_eq(r.lanes[0].node, "a");
    ck_assert(!r.lanes[3].is_map);
    ck_assert_uint_eq(r.attempts[0].lane, 1);
    ck_assert_uint_eq(r.attempts[1].lane, 2);
    for (size_t i = 0; i < r.count; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert(r.attempts[i].lane != r.attempts[k].lane || r.attempts[k].to_ms <= r.attempts[i].from_ms);
    report_fini(&r);
}
END_TEST

START_TEST(slow_attempt_is_explained_by_its_data_or_its_node)
{
    struct report r;

    a_map("attempt_1_m_000000_0", "a", 0, 1000, 100, 800, 1000);
    a_map("attempt_1_m_000001_0", "a", 0, 1000, 100, 800, 1000);
    a_map("attempt_1_m_000002_0", "a", 0, 1000, 100, 800, 1000);
    a_map("attempt_1_m_000003_0", "a", 0, 3000, 100, 2800, 4000);
    r = report(0);
    ck_assert_uint_eq(r.slow_count, 1);
    ck_assert_ptr_nonnull(strstr(r.slow[0].why, "more data: 4.0 times"));
    ck_assert_ptr_nonnull(strstr(r.slow[0].why, "map took 2.00 s longer"));
    ck_assert_uint_eq(r.bytes[1].most, 4000);
    ck_assert_uint_eq(r.bytes[1].median, 1000);
    report_fini(&r);
    a_map("attempt_1_m_000004_0", "slow", 0, 2500, 1800, 500, 1000);
    a_map("attempt_1_m_000005_0", "slow", 0, 2600, 1900, 500, 1000);
    a_map("attempt_1_m_000006_0", "slow", 0, 2700, 2000, 500, 1000);
    attempts[3] = attempts[--count];
    r = report(0);
    ck_assert_uint_eq(r.slow_count, 3);
    ck_assert_str_eq(r.slow[0].a->s->id, "attempt_1_m_000006_0");
    ck_assert_ptr_nonnull(strstr(r.slow[0].why, "a slow node: its 2 other maps took 2.50 s"));
    ck_assert_ptr_nonnull(strstr(r.slow[0].why, "read took 1.9"));
    report_fini(&r);
}
END_TEST

START_TEST(path_says_when_each_phase_ended_and_for_whom_it_waited)
{
    struct report r;
    struct buf b;

    a_map("attempt_1_m_000000_0", "a", 20, 1000, 0, 0, 1);
    a_map("attempt_1_m_000001_0", "b", 20, 1700, 0, 0, 1);
    attempt("attempt_1_r_000000_0", "SUCCEEDED", "b", 1600, 2000, 300);
    r = report(0);
    buf_init(&b, MB);
    report_path(&r, &b);
    buf_u8(&b, '\0');
    ck_assert_str_eq((char *)b.p,
                     "The first attempt started 0.020 s after the job was submitted.\n"
                     "2 maps ran from 0.020 s to 1.700 s; the last, attempt_1_m_000001_0 on b, took 1.680 s, the final 0.700 s "
                     "of them alone.\n"
                     "1 reduce ran from 1.600 s to 2.000 s.\n"
                     "The job was committed 8.000 s later, 10.000 s after it was submitted.\n");
    buf_fini(&b);
    report_fini(&r);
}
END_TEST

START_TEST(page_of_a_job_that_runs_needs_nothing_else_and_escapes_what_users_named)
{
    struct report r;
    struct buf b;

    job.state = arena_strdup(&arena, "RUNNING");
    job.finished_ms = 0;
    a_map("attempt_1_m_000000_0", "a", 20, 1000, 0, 0, 1);
    attempt("attempt_1_m_000001_0", "RUNNING", "a", 1000, 0, 0);
    attempt("attempt_1_m_000002_0", "FAILED", "a", 100, 300, 0)->reason = arena_strdup(&arena, "<script>");
    r = report(SUBMITTED + 3000);
    ck_assert_uint_eq(r.end_ms, 3000);
    buf_init(&b, MB);
    report_page(&r, &b);
    buf_u8(&b, '\0');
    ck_assert(buf_ok(&b));
    ck_assert_ptr_null(strstr((char *)b.p, "<script"));
    ck_assert_ptr_null(strstr((char *)b.p, "src="));
    ck_assert_ptr_null(strstr((char *)b.p, "href="));
    ck_assert_ptr_null(strstr((char *)b.p, "<b>&"));
    ck_assert_ptr_nonnull(strstr((char *)b.p, "&lt;b&gt;&amp;"));
    ck_assert_ptr_nonnull(strstr((char *)b.p, "1.000 s to 3.000 s"));
    buf_fini(&b);
    report_fini(&r);
}
END_TEST

START_TEST(job_without_attempts_has_a_page)
{
    struct report r = report(0);
    struct buf b;

    buf_init(&b, MB);
    report_page(&r, &b);
    ck_assert(buf_ok(&b));
    buf_fini(&b);
    report_fini(&r);
}
END_TEST

Suite *
suite_mr_report(void)
{
    Suite *s = suite_create("mr_report");
    TCase *t = tcase_create("all");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, parts_of_each_attempt_sum_to_its_time);
    tcase_add_test(t, attempts_beside_each_other_are_in_lanes_of_their_own);
    tcase_add_test(t, slow_attempt_is_explained_by_its_data_or_its_node);
    tcase_add_test(t, path_says_when_each_phase_ended_and_for_whom_it_waited);
    tcase_add_test(t, page_of_a_job_that_runs_needs_nothing_else_and_escapes_what_users_named);
    tcase_add_test(t, job_without_attempts_has_a_page);
    suite_add_tcase(s, t);
    return s;
}
