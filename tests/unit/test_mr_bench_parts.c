/* Where a run's time went. */
#include "libmr/bench_parts.h"

#include <math.h>

#include "core/base/arena.h"
#include "core/base/mem.h"
#include "tests/unit/suites.h"

Suite *suite_mr_bench_parts(void);

#define NEAR(x, y) ck_assert_msg(fabs((x) - (y)) < 1e-6, "%s is %g, not %g", #x, (double)(x), (double)(y))

static double
sum(const struct bench_run *r)
{
    double s = 0;

    for (int i = 0; i < BENCH_PARTS; i++) {
        ck_assert_msg(r->part_ms[i] > -1e-6, "%s is %g", bench_part_names[i], r->part_ms[i]);
        s += r->part_ms[i];
    }
    return s;
}

static struct bench_attempt
map(const char *id, uint64_t from, uint64_t to)
{
    return (struct bench_attempt){ true, true, id, "a", from, to, to - from, 0 };
}

static struct bench_attempt
reduce(const char *id, uint64_t from, uint64_t to, uint64_t shuffle)
{
    return (struct bench_attempt){ false, true, id, "b", from, to, to - from, shuffle };
}

START_TEST(four_even_maps_on_two_slots_leave_start_up_and_work_only)
{
    struct bench_attempt a[] = { map("m0", 1100, 1300), map("m1", 1100, 1300), map("m2", 1340, 1500), map("m3", 1300, 1500) };
    struct bench_job j = { 1000, 1520, a, 4, { 2, 2 } };
    struct bench_run r = { 0 };

    ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
    bench_end(&r, 600);
    NEAR(r.part_ms[BENCH_START], 100 + 40 / 2.);
    NEAR(r.part_ms[BENCH_MAP], 380);
    NEAR(r.part_ms[BENCH_COMMIT], 20);
    NEAR(r.part_ms[BENCH_CLIENT], 80);
    NEAR(r.part_ms[BENCH_STRAGGLER] + r.part_ms[BENCH_BARRIER] + r.part_ms[BENCH_REDONE], 0);
    NEAR(sum(&r), 600);
    ck_assert_str_eq(r.straggler.id, "");
}
END_TEST

START_TEST(slow_map_is_named_with_the_median_of_its_kind)
{
    struct bench_attempt a[] = { map("m0", 0, 100), map("m1", 0, 110), map("m2", 0, 120), map("slow", 0, 520) };
    struct bench_job j = { 0, 520, a, 4, { 1, 4 } };
    struct bench_run r = { 0 };

    ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
    bench_end(&r, 520);
    ck_assert_str_eq(r.straggler.id, "slow");
    ck_assert_str_eq(r.straggler.node, "a");
    NEAR(r.straggler.ms, 520);
    NEAR(r.straggler.median_ms, 110);
    NEAR(r.part_ms[BENCH_BARRIER], 10 / 4.);
    NEAR(r.part_ms[BENCH_STRAGGLER], (2 * 410 + 400) / 4.);
    NEAR(r.part_ms[BENCH_MAP], 850 / 4.);
    NEAR(sum(&r), 520);
}
END_TEST

START_TEST(shuffle_that_the_maps_hid_costs_nothing)
{
    struct bench_attempt a[] = { map("m0", 0, 1000), reduce("r0", 200, 1400, 1100), reduce("r1", 1050, 1400, 50) };
    struct bench_job j = { 0, 1400, a, 3, { 2, 1 } };
    struct bench_run r = { 0 };

    ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
    bench_end(&r, 1400);
    NEAR(r.part_ms[BENCH_MAP], 1000);
    NEAR(r.part_ms[BENCH_SHUFFLE], (300 + 50) / 2.);
    NEAR(r.part_ms[BENCH_REDUCE], (100 + 300) / 2.);
    NEAR(r.part_ms[BENCH_START], 50 / 2.);
    NEAR(sum(&r), 1400);
}
END_TEST

START_TEST(time_until_an_attempt_runs_is_start_up)
{
    struct bench_attempt a[] = { map("m0", 10, 110), reduce("r0", 110, 210, 30) };
    struct bench_job j = { 0, 210, a, 2, { 1, 1 } };
    struct bench_run r = { 0 };

    a[0].run_ms = 80;
    a[1].run_ms = 90;
    ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
    bench_end(&r, 210);
    NEAR(r.part_ms[BENCH_START], 10 + 20 + 10);
    NEAR(r.part_ms[BENCH_MAP], 80);
    NEAR(r.part_ms[BENCH_SHUFFLE], 30);
    NEAR(r.part_ms[BENCH_REDUCE], 60);
    NEAR(sum(&r), 210);
}
END_TEST

START_TEST(slots_without_a_task_wait_at_the_barrier_all_the_time)
{
    struct bench_attempt a[] = { map("m0", 0, 400) };
    struct bench_job j = { 0, 400, a, 1, { 4, 4 } };
    struct bench_run r = { 0 };

    ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
    bench_end(&r, 400);
    NEAR(r.part_ms[BENCH_MAP], 100);
    NEAR(r.part_ms[BENCH_BARRIER], 300);
    NEAR(sum(&r), 400);
}
END_TEST

START_TEST(attempt_that_failed_is_redone_and_no_straggler)
{
    struct bench_attempt a[] = { map("m0", 0, 300), map("bad", 0, 200), map("m1", 210, 500) };
    struct bench_job j = { 0, 500, a, 3, { 1, 2 } };
    struct bench_run r = { 0 };

    a[1].counted = false;
    ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
    bench_end(&r, 500);
    NEAR(r.part_ms[BENCH_REDONE], 100);
    NEAR(r.part_ms[BENCH_MAP], 295);
    NEAR(r.part_ms[BENCH_START], 5);
    NEAR(r.part_ms[BENCH_STRAGGLER], 100);
    ck_assert_str_eq(r.straggler.id, "m1");
    NEAR(sum(&r), 500);
}
END_TEST

START_TEST(jobs_of_a_driver_add_up_and_one_without_input_is_no_trouble)
{
    struct bench_attempt a[] = { map("m0", 10, 100), reduce("r0", 100, 200, 20) };
    struct bench_job one = { 0, 220, a, 2, { 1, 1 } }, none = { 300, 350, NULL, 0, { 1, 1 } };
    struct bench_run r = { 0 };

    ck_assert_int_eq(bench_add_job(&r, &one), RC_OK);
    ck_assert_int_eq(bench_add_job(&r, &none), RC_OK);
    bench_end(&r, 400);
    ck_assert_uint_eq(r.jobs, 2);
    NEAR(r.part_ms[BENCH_COMMIT], 20 + 50);
    NEAR(r.part_ms[BENCH_CLIENT], 130);
    NEAR(sum(&r), 400);
}
END_TEST

/* Attempts at random, some more at one time than there are slots: every part is there and they sum to the whole. */
START_TEST(any_attempts_sum_to_the_completion_time)
{
    unsigned seed = 7;

    for (int round = 0; round < 500; round++) {
        struct bench_attempt a[40];
        struct bench_job j = { 1000, 0, a, 0, { 1 + (unsigned)rand_r(&seed) % 5, 1 + (unsigned)rand_r(&seed) % 5 } };
        struct bench_run r = { 0 };
        uint64_t maps_end = 1000, end = 1000;

        for (j.count = 0; j.count < 1 + (size_t)round % 40; j.count++) {
            uint64_t from = 1000 + (uint64_t)rand_r(&seed) % 300, to = from + (uint64_t)rand_r(&seed) % 300;

            a[j.count] = rand_r(&seed) % 3 ? map("m", from, to) : reduce("r", from, to + 600, (uint64_t)rand_r(&seed) % 700);
            a[j.count].run_ms = (uint64_t)rand_r(&seed) % 400;
            a[j.count].counted = rand_r(&seed) % 5 != 0;
            if (a[j.count].counted && a[j.count].is_map && to > maps_end)
                maps_end = to;
            end = a[j.count].ended_ms > end ? a[j.count].ended_ms : end;
        }
        j.finished_ms = end + 10;
        ck_assert_int_eq(bench_add_job(&r, &j), RC_OK);
        bench_end(&r, 2000);
        NEAR(sum(&r), 2000);
        NEAR(r.part_ms[BENCH_CLIENT], 2000. - (double)(j.finished_ms - 1000));
    }
}
END_TEST

START_TEST(median_of_runs_is_one_of_them)
{
    struct bench_run r[] = { { .total_ms = 5 }, { .total_ms = 1 }, { .total_ms = 3 }, { .total_ms = 9 } };

    NEAR(bench_median(r, 3)->total_ms, 3);
    NEAR(bench_median(r, 4)->total_ms, 3);
    NEAR(bench_median(r, 1)->total_ms, 1);
}
END_TEST

START_TEST(job_survives_every_allocation_failure)
{
    struct bench_attempt a[] = { map("m0", 10, 100), reduce("r0", 100, 200, 20) };
    struct bench_job j = { 0, 220, a, 2, { 1, 1 } };
    enum rc rc = RC_NOMEM;

    for (uint64_t n = 1; rc != RC_OK; n++) {
        struct bench_run r = { 0 };

        mem_fail_nth(n);
        rc = bench_add_job(&r, &j);
        mem_fail_nth(0);
        ck_assert(rc == RC_OK || rc == RC_NOMEM);
        ck_assert_uint_eq(mem_live(), 0);
    }
}
END_TEST

Suite *
suite_mr_bench_parts(void)
{
    Suite *s = suite_create("mr_bench_parts");
    TCase *t = tcase_create("all");

    tcase_add_test(t, four_even_maps_on_two_slots_leave_start_up_and_work_only);
    tcase_add_test(t, slow_map_is_named_with_the_median_of_its_kind);
    tcase_add_test(t, shuffle_that_the_maps_hid_costs_nothing);
    tcase_add_test(t, time_until_an_attempt_runs_is_start_up);
    tcase_add_test(t, slots_without_a_task_wait_at_the_barrier_all_the_time);
    tcase_add_test(t, attempt_that_failed_is_redone_and_no_straggler);
    tcase_add_test(t, jobs_of_a_driver_add_up_and_one_without_input_is_no_trouble);
    tcase_add_test(t, any_attempts_sum_to_the_completion_time);
    tcase_add_test(t, median_of_runs_is_one_of_them);
    tcase_add_test(t, job_survives_every_allocation_failure);
    suite_add_tcase(s, t);
    return s;
}
