#include "core/base/arena.h"

#include <string.h>

#include "core/base/mem.h"
#include "tests/unit/suites.h"

suite_fn suite_arena;

START_TEST(every_allocation_is_aligned_and_apart)
{
    struct arena a;
    unsigned char *p[300];

    arena_init(&a, MB);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        p[i] = arena_alloc(&a, i);
        ck_assert_ptr_nonnull(p[i]);
        ck_assert_uint_eq((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        for (size_t k = 0; k < i; k++)
            ck_assert_uint_eq(p[i][k], i & 0xff);
    arena_fini(&a);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(request_past_the_limit_is_null_and_the_arena_goes_on)
{
    struct arena a;

    arena_init(&a, 1000);
    ck_assert_ptr_null(arena_alloc(&a, 1001));
    ck_assert_ptr_nonnull(arena_alloc(&a, 900));
    ck_assert_ptr_null(arena_alloc(&a, 200));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_calloc(&a, SIZE_MAX / 2, 3));
    ck_assert_ptr_nonnull(arena_alloc(&a, 16));
    arena_fini(&a);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(limit_itself_can_be_handed_out)
{
    struct arena a;

    arena_init(&a, 1000);
    ck_assert_ptr_nonnull(arena_alloc(&a, 1000));
    ck_assert_ptr_null(arena_alloc(&a, 1));
    arena_fini(&a);
}
END_TEST

START_TEST(reset_keeps_one_chunk_and_gives_back_the_limit)
{
    struct arena a;

    arena_init(&a, 100 * KB);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 9; i++)
            ck_assert_ptr_nonnull(arena_alloc(&a, 10 * KB));
        arena_reset(&a);
        ck_assert_uint_eq(a.used, 0);
        ck_assert_uint_le(mem_live(), 1);
    }
    arena_fini(&a);
    ck_assert_uint_eq(mem_live(), 0);
}
END_TEST

START_TEST(texts_are_copied_and_printed)
{
    struct arena a;

    arena_init(&a, KB);
    ck_assert_str_eq(arena_strdup(&a, "abc"), "abc");
    ck_assert_str_eq(arena_strndup(&a, "abcdef", 2), "ab");
    ck_assert_str_eq(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    ck_assert_ptr_null(arena_printf(&a, "%2000d", 1));
    arena_fini(&a);
}
END_TEST

START_TEST(zeroed_memory_is_zero_after_reuse)
{
    struct arena a;
    unsigned char *p;

    arena_init(&a, KB);
    memset(arena_alloc(&a, 500), 0xff, 500);
    arena_reset(&a);
    p = arena_zalloc(&a, 500);
    for (int i = 0; i < 500; i++)
        ck_assert_uint_eq(p[i], 0);
    arena_fini(&a);
}
END_TEST

Suite *
suite_arena(void)
{
    Suite *s = suite_create("arena");
    TCase *t = tcase_create("arena");

    tcase_add_test(t, every_allocation_is_aligned_and_apart);
    tcase_add_test(t, request_past_the_limit_is_null_and_the_arena_goes_on);
    tcase_add_test(t, limit_itself_can_be_handed_out);
    tcase_add_test(t, reset_keeps_one_chunk_and_gives_back_the_limit);
    tcase_add_test(t, texts_are_copied_and_printed);
    tcase_add_test(t, zeroed_memory_is_zero_after_reuse);
    suite_add_tcase(s, t);
    return s;
}
