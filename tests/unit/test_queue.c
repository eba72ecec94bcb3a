#include "core/base/attr.h"
#include "core/base/mem.h"
#include "core/io/queue.h"
#include "tests/unit/suites.h"

suite_fn suite_queue;

static struct queue *
make_queue(size_t limit)
{
    struct queue *q;

    ck_assert_int_eq(queue_new(threads_posix(), limit, &q), RC_OK);
    return q;
}

START_TEST(items_come_out_in_the_order_they_went_in)
{
    struct queue *q = make_queue(100);
    int numbers[100];
    void *item;

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(queue_put(q, &numbers[i]), RC_OK);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(queue_take(q, 0, &item), RC_OK);
        ck_assert_ptr_eq(item, &numbers[i]);
    }
    queue_free(q);
}
END_TEST

START_TEST(put_into_a_full_queue_is_busy)
{
    struct queue *q = make_queue(3);
    int x;

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(queue_put(q, &x), RC_OK);
    ck_assert_int_eq(queue_put(q, &x), RC_BUSY);
    ck_assert_int_eq(queue_put_wait(q, &x, 0), RC_TIMEOUT);
    ck_assert_uint_eq(queue_length(q), 3);
    queue_free(q);
}
END_TEST

START_TEST(take_from_an_empty_queue_times_out)
{
    struct queue *q = make_queue(3);
    void *item;

    ck_assert_int_eq(queue_take(q, 0, &item), RC_TIMEOUT);
    queue_free(q);
}
END_TEST

START_TEST(a_group_is_what_is_there_up_to_its_limit)
{
    struct queue *q = make_queue(40);
    int numbers[30];
    void *group[20];
    size_t n;

    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(queue_put(q, &numbers[i]), RC_OK);
    ck_assert_int_eq(queue_take_many(q, 0, group, ARRAY_LEN(group), &n), RC_OK);
    ck_assert_uint_eq(n, 20);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(queue_put(q, group[i]), RC_OK);    /* behind the other ten, round the end of the ring */
    ck_assert_int_eq(queue_take_many(q, 0, group, ARRAY_LEN(group), &n), RC_OK);
    ck_assert_ptr_eq(group[0], &numbers[20]);
    ck_assert_ptr_eq(group[10], &numbers[0]);
    queue_free(q);
}
END_TEST

START_TEST(a_stopped_queue_drains_and_then_says_so)
{
    struct queue *q = make_queue(3);
    void *item;
    int x;

    ck_assert_int_eq(queue_put(q, &x), RC_OK);
    queue_stop(q);
    ck_assert_int_eq(queue_put(q, &x), RC_STOPPED);
    ck_assert_int_eq(queue_take(q, FOREVER, &item), RC_OK);
    ck_assert_ptr_eq(item, &x);
    ck_assert_int_eq(queue_take(q, FOREVER, &item), RC_STOPPED);
    queue_free(q);
}
END_TEST

#define ROUNDS 20000

static void
produce(void *arg)
{
    static int x;

    for (int i = 0; i < ROUNDS; i++)
        if (queue_put_wait(arg, &x, FOREVER) != RC_OK)
            return;
}

START_TEST(producers_and_consumers_on_threads_lose_nothing)
{
    struct queue *q = make_queue(16);
    struct thread *threads[3];
    size_t taken = 0, n;
    void *group[7];
    struct why why;

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        ck_assert_int_eq(thread_spawn(threads_posix(), "produce", produce, q, &threads[i], &why), RC_OK);
    while (taken < ROUNDS * ARRAY_LEN(threads)) {
        ck_assert_int_eq(queue_take_many(q, FOREVER, group, ARRAY_LEN(group), &n), RC_OK);
        taken += n;
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        thread_join(threads_posix(), threads[i]);
    ck_assert_uint_eq(queue_length(q), 0);
    queue_free(q);
}
END_TEST

START_TEST(every_failed_allocation_leaves_the_queue_usable)
{
    struct queue *q = NULL;
    enum rc rc = RC_NOMEM;
    int x;

    for (uint64_t n = 1; rc != RC_OK; n++) {
        mem_fail_nth(n);
        rc = queue_new(threads_posix(), 4, &q);
        mem_fail_nth(0);
        ck_assert(rc == RC_OK || rc == RC_NOMEM);
    }
    mem_fail_nth(1);
    ck_assert_int_eq(queue_put(q, &x), RC_NOMEM);
    mem_fail_nth(0);
    ck_assert_int_eq(queue_put(q, &x), RC_OK);
    queue_free(q);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

Suite *
suite_queue(void)
{
    Suite *s = suite_create("queue");
    TCase *t = tcase_create("queue");

    tcase_add_test(t, items_come_out_in_the_order_they_went_in);
    tcase_add_test(t, put_into_a_full_queue_is_busy);
    tcase_add_test(t, take_from_an_empty_queue_times_out);
    tcase_add_test(t, a_group_is_what_is_there_up_to_its_limit);
    tcase_add_test(t, a_stopped_queue_drains_and_then_says_so);
    tcase_add_test(t, producers_and_consumers_on_threads_lose_nothing);
    tcase_add_test(t, every_failed_allocation_leaves_the_queue_usable);
    suite_add_tcase(s, t);
    return s;
}
