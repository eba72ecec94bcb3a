#include "core/base/rng.h"

#include <string.h>

#include "core/base/attr.h"
#include "tests/unit/suites.h"

suite_fn suite_rng;

START_TEST(seed_gives_the_published_sequence)
{
    struct rng_seeded r;

    /* xoshiro256** from the state 1, 2, 3, 4: first outputs of the authors' code. */
    rng_seed(&r, 0);
    memcpy(r.s, (uint64_t[]){ 1, 2, 3, 4 }, sizeof r.s);
    ck_assert_uint_eq(rng_u64(&r.rng), 11520);
    ck_assert_uint_eq(rng_u64(&r.rng), 0);
    ck_assert_uint_eq(rng_u64(&r.rng), 1509978240);
    ck_assert_uint_eq(rng_u64(&r.rng), UINT64_C(1215971899390074240));
}
END_TEST

START_TEST(seed_is_spread_by_splitmix64)
{
    struct rng_seeded r;

    rng_seed(&r, 0);        /* splitmix64 from 0 */
    ck_assert_uint_eq(r.s[0], UINT64_C(0xe220a8397b1dcdaf));
    ck_assert_uint_eq(r.s[1], UINT64_C(0x6e789e6aa1b965f4));
}
END_TEST

START_TEST(below_n_meets_every_value_and_no_other)
{
    struct rng_seeded r;
    int hits[7] = { 0 };

    rng_seed(&r, 1);
    for (int i = 0; i < 7000; i++) {
        uint64_t x = rng_below(&r.rng, 7);

        ck_assert_uint_lt(x, 7);
        hits[x]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(hits); i++) {
        ck_assert_int_gt(hits[i], 850);
        ck_assert_int_lt(hits[i], 1150);
    }
    ck_assert_uint_eq(rng_below(&r.rng, 0), 0);
    ck_assert_uint_eq(rng_below(&r.rng, 1), 0);
}
END_TEST

START_TEST(uuid_has_version_4_and_its_variant)
{
    struct rng_seeded r;
    char text[37];

    rng_seed(&r, 2);
    for (int i = 0; i < 100; i++) {
        rng_uuid(&r.rng, text);
        ck_assert_uint_eq(strlen(text), 36);
        ck_assert_uint_eq(strspn(text, "0123456789abcdef-"), 36);
        ck_assert_int_eq(text[14], '4');
        ck_assert_ptr_nonnull(strchr("89ab", text[19]));
        ck_assert_int_eq(text[23], '-');
    }
}
END_TEST

START_TEST(bytes_fill_exactly_what_was_asked)
{
    struct rng_seeded r;
    unsigned char p[20] = { 0 };

    rng_seed(&r, 3);
    rng_bytes(&r.rng, p, 13);
    for (int i = 13; i < 20; i++)
        ck_assert_uint_eq(p[i], 0);
}
END_TEST

Suite *
suite_rng(void)
{
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("rng");

    tcase_add_test(t, seed_gives_the_published_sequence);
    tcase_add_test(t, seed_is_spread_by_splitmix64);
    tcase_add_test(t, below_n_meets_every_value_and_no_other);
    tcase_add_test(t, uuid_has_version_4_and_its_variant);
    tcase_add_test(t, bytes_fill_exactly_what_was_asked);
    suite_add_tcase(s, t);
    return s;
}
