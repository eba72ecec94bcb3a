#include <pthread.h>
#include <stdatomic.h>

#include "core/base/mem.h"
#include "core/io/thread.h"
#include "tests/unit/suites.h"

suite_fn suite_threads;

struct task {
    atomic_int *runs;
    pthread_t by;
};

static void
run(void *arg)
{
    struct task *t = arg;

    t->by = pthread_self();
    atomic_fetch_add(t->runs, 1);
}

START_TEST(a_joined_thread_has_run)
{
    struct threads *pool = threads_pool_new(2);
    atomic_int runs = 0;
    struct task tasks[5];
    struct thread *th[5];
    struct why why;

    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 5; i++) {
            tasks[i].runs = &runs;
            ck_assert_int_eq(thread_spawn(pool, "run", run, &tasks[i], &th[i], &why), RC_OK);
        }
        for (int i = 0; i < 5; i++)
            thread_join(pool, th[i]);
        ck_assert_int_eq(atomic_load(&runs), 5 * (round + 1));
    }
    threads_pool_free(pool);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(the_next_function_runs_on_the_thread_that_waits)
{
    struct threads *pool = threads_pool_new(1);
    atomic_int runs = 0;
    struct task first = { &runs, 0 }, second = { &runs, 0 };
    struct thread *th;
    struct why why;

    ck_assert_int_eq(thread_spawn(pool, "first", run, &first, &th, &why), RC_OK);
    thread_join(pool, th);
    ck_assert_int_eq(thread_spawn(pool, "second", run, &second, &th, &why), RC_OK);
    thread_join(pool, th);
    ck_assert(pthread_equal(first.by, second.by));
    threads_pool_free(pool);
}
END_TEST

START_TEST(freeing_waits_for_detached_threads)
{
    struct threads *pool = threads_pool_new(3);
    atomic_int runs = 0;
    struct task tasks[20];
    struct thread *th;
    struct why why;

    for (int i = 0; i < 20; i++) {
        tasks[i].runs = &runs;
        ck_assert_int_eq(thread_spawn(pool, "run", run, &tasks[i], &th, &why), RC_OK);
        thread_detach(pool, th);
    }
    threads_pool_free(pool);
    ck_assert_int_eq(atomic_load(&runs), 20);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(a_spawn_without_memory_says_so_and_leaves_the_pool_usable)
{
    struct threads *pool = threads_pool_new(1);
    atomic_int runs = 0;
    struct task t = { &runs, 0 };
    struct thread *th;
    struct why why;

    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_nth(n);
        ck_assert_int_eq(thread_spawn(pool, "run", run, &t, &th, &why), RC_NOMEM);
        mem_fail_nth(0);
    }
    ck_assert_int_eq(thread_spawn(pool, "run", run, &t, &th, &why), RC_OK);
    thread_join(pool, th);
    ck_assert_int_eq(atomic_load(&runs), 1);
    threads_pool_free(pool);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

Suite *
suite_threads(void)
{
    Suite *s = suite_create("threads");
    TCase *t = tcase_create("pool");

    tcase_add_test(t, a_joined_thread_has_run);
    tcase_add_test(t, the_next_function_runs_on_the_thread_that_waits);
    tcase_add_test(t, freeing_waits_for_detached_threads);
    tcase_add_test(t, a_spawn_without_memory_says_so_and_leaves_the_pool_usable);
    suite_add_tcase(s, t);
    return s;
}
