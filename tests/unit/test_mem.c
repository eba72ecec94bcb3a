#include "core/base/mem.h"

#include <string.h>

#include "core/base/log.h"
#include "core/base/table.h"
#include "tests/unit/suites.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1      /* gcc's way to say it */
#endif
#endif

suite_fn suite_mem;

START_TEST(blocks_are_aligned_counted_and_freed)
{
    void *p[100];

    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = mem_alloc(i);
        ck_assert_uint_eq((uintptr_t)p[i] % 16, 0);
        memset(p[i], 0x5a, i);
    }
    ck_assert_uint_eq(mem_live(), ARRAY_LEN(p));
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        mem_free(p[i]);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(realloc_keeps_the_bytes_and_the_count)
{
    char *p = mem_strdup("hello");

    p = mem_realloc(p, 1000000);
    ck_assert_str_eq(p, "hello");
    ck_assert_uint_eq(mem_live(), 1);
    p = mem_realloc(p, 6);
    ck_assert_str_eq(p, "hello");
    mem_free(p);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(only_the_nth_allocation_fails)
{
    void *p, *q;

    mem_fail_nth(2);
    p = mem_alloc(1);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(mem_alloc(1));
    q = mem_alloc(1);
    ck_assert_ptr_nonnull(q);
    mem_fail_nth(1);
    ck_assert_ptr_null(mem_realloc(q, 100));        /* q is still there */
    mem_free(p);
    mem_free(q);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(sizes_that_wrap_are_refused)
{
    ck_assert_ptr_null(mem_calloc(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(mem_alloc(SIZE_MAX));
    ck_assert_ptr_null(mem_strndup("", SIZE_MAX));
}
END_TEST

START_TEST(dropped_heap_takes_its_blocks_along)
{
    struct mem_heap *heap = mem_heap_new();
    char *outside = mem_strdup("outside"), *inside, *more[50];

    ck_assert_ptr_null(mem_heap_use(heap));
    inside = mem_strdup("inside");
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        more[i] = mem_zalloc(i);
    ck_assert_ptr_eq(mem_heap_use(NULL), heap);
    mem_free(more[0]);                          /* goes back to the heap it came from */
    mem_free(more[49]);
    inside = mem_realloc(inside, 100000);
    ck_assert_str_eq(inside, "inside");
    ck_assert_uint_eq(mem_live(), 50);
    mem_heap_drop(heap);
    ck_assert_uint_eq(mem_live(), 1);
    ck_assert_str_eq(outside, "outside");
    mem_free(outside);
}
END_TEST

START_TEST(second_free_is_caught)
{
    char *p = mem_alloc(1), *q = p;

    log_set_level(LOG_ERROR);
    mem_free(p);
    mem_free(q);
}
END_TEST

START_TEST(table_lives_on_our_heap)
{
    struct row { int id; UT_hash_handle hh; } rows[100], *table = NULL, *found;
    int id = 42;

    for (int i = 0; i < 100; i++) {
        rows[i].id = i;
        HASH_ADD_INT(table, id, &rows[i]);
    }
    ck_assert_uint_gt(mem_live(), 0);
    HASH_FIND_INT(table, &id, found);
    ck_assert_ptr_eq(found, &rows[42]);
    HASH_CLEAR(hh, table);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

Suite *
suite_mem(void)
{
    Suite *s = suite_create("mem");
    TCase *t = tcase_create("mem");

    tcase_add_test(t, blocks_are_aligned_counted_and_freed);
    tcase_add_test(t, realloc_keeps_the_bytes_and_the_count);
    tcase_add_test(t, only_the_nth_allocation_fails);
    tcase_add_test(t, sizes_that_wrap_are_refused);
    tcase_add_test(t, dropped_heap_takes_its_blocks_along);
#if !defined(__SANITIZE_ADDRESS__)      /* which sees it first and ends the process in its own way */
    tcase_add_test_raise_signal(t, second_free_is_caught, 6);
#else
    (void)second_free_is_caught;
#endif
    tcase_add_test(t, table_lives_on_our_heap);
    suite_add_tcase(s, t);
    return s;
}
