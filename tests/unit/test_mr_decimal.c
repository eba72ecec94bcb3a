#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/rng.h"
#include "libmr/decimal.h"
#include "tests/unit/suites.h"

static void
assert_as_strtod(const char *text)
{
    double want = strtod(text, NULL), got = 0;

    ck_assert_msg(decimal_read(text, strlen(text), &got), "\"%s\" is not read", text);
    ck_assert_msg(memcmp(&want, &got, sizeof want) == 0 || (isnan(want) && isnan(got)), "\"%s\": %a, not %a", text, got, want);
}

static double
any_double(struct rng_seeded *r)
{
    uint64_t bits;
    double v;

    do {
        rng_bytes(&r->rng, &bits, sizeof bits);
        memcpy(&v, &bits, sizeof v);
    } while (!isfinite(v));
    return v;
}

START_TEST(nasty_numbers_are_read_as_strtod_reads_them)
{
    static const char *const texts[] = {
        "0", "-0", "0.0", "+1", ".5", "5.", "1e5", "1E+5", "1e-5", "-.5e-3", "9007199254740993", "9007199254740992.5",
        "9007199254740993.0000000000000000000000000000000000000001", "1e22", "1e23", "8.5e22", "1e308", "1.7976931348623157e308",
        "1.7976931348623159e308", "1e309", "-1e400", "4.9e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400",
        "2.2250738585072011e-308", "2.2250738585072014e-308", "18446744073709551615", "18446744073709551616",
        "9999999999999999999", "99999999999999999999", "0.000000000000000000000000000000000000001234",
        "6.631236846766476e-316", "123456789012345678e-27", "123456789012345678e27", "0.1", "0.30000000000000004",
        "7.2057594037927933e16", "9214843084008499", "30078505129381147446200", "1777820000000000000001",
        "1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999", "nan", "-inf", "Infinity",
        "12345678.12345678", "1234567.1234567890123", "0000000000000000000000000000000000000001.5",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_as_strtod(texts[i]);
}
END_TEST

START_TEST(random_numbers_in_every_notation_are_read_as_strtod_reads_them)
{
    static const int digits[] = { 17, 15, 6, 18, 3, 10, 19, 40 };
    struct rng_seeded r;
    char text[1024];

    rng_seed(&r, 7);
    for (int i = 0; i < 200000; i++) {
        int n = digits[i % 8];
        double v = i % 3 ? ((double)rng_below(&r.rng, UINT64_C(1) << 53) - 0x1p52) * pow(10, (double)rng_below(&r.rng, 40) - 35)
                         : any_double(&r);

        if (i % 5 == 0)
            (void)snprintf(text, sizeof text, "%.*f", n, v);
        else if (i % 2)
            (void)snprintf(text, sizeof text, "%.*e", n, v);
        else
            (void)snprintf(text, sizeof text, "%.*g", n, v);
        assert_as_strtod(text);
    }
}
END_TEST

START_TEST(numbers_half_way_between_two_doubles_go_to_the_even_one_unless_a_digit_is_left)
{
    struct rng_seeded r;
    char text[1300];

    rng_seed(&r, 8);
    for (int i = 0; i < 20000; i++) {
        uint64_t even = (UINT64_C(1) << 53) + 2 * rng_below(&r.rng, UINT64_C(1) << 52);

        (void)snprintf(text, sizeof text, "%" PRIu64, even + 1);
        assert_as_strtod(text);
        (void)snprintf(text, sizeof text, "%" PRIu64 ".%0*d1", even + 1, (int)rng_below(&r.rng, 1200), 0);
        assert_as_strtod(text);
        (void)snprintf(text, sizeof text, "%" PRIu64 "%018d1e-19", even + 1, 0);
        assert_as_strtod(text);
        (void)snprintf(text, sizeof text, "%.3fe%d", (double)(even + 1) / 8, (int)rng_below(&r.rng, 50) - 25);
        assert_as_strtod(text);
    }
}
END_TEST

START_TEST(very_long_numbers_are_read_as_strtod_reads_them)
{
    struct rng_seeded r;
    char text[5000];

    rng_seed(&r, 9);
    for (int i = 0; i < 2000; i++) {
        size_t n = 20 + rng_below(&r.rng, 4000), point = rng_below(&r.rng, n), zeros = rng_below(&r.rng, n);

        for (size_t k = 0; k < n; k++)
            text[k] = (char)('0' + (k < zeros ? 0 : rng_below(&r.rng, 10)));
        text[point] = '.';
        (void)snprintf(text + n, sizeof text - n, "e%d", (int)rng_below(&r.rng, 2 * n) - (int)n);
        assert_as_strtod(text);
    }
}
END_TEST

START_TEST(what_is_no_decimal_is_refused)
{
    static const char *const texts[] = { "", " ", "-", "+", ".", "-.", "e5", ".e5", "1x", "1 2", "0x10", "--1", "1..2", "1.2.3", "na",
                                         "in", "infx", "1,5", "\t" };
    double v;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        ck_assert_msg(!decimal_read(texts[i], strlen(texts[i]), &v), "\"%s\"", texts[i]);
    ck_assert(decimal_read(" \t1.5 \t", 7, &v));
    ck_assert(v == 1.5);
}
END_TEST

START_TEST(written_doubles_read_back_and_are_short)
{
    struct rng_seeded r;
    char text[DECIMAL_TEXT];
    double back;

    rng_seed(&r, 10);
    for (int i = 0; i < 50000; i++) {
        double v = i % 2 ? any_double(&r) : (double)rng_below(&r.rng, 1000000) / 1000;
        size_t n = decimal_write(v, text);

        ck_assert_uint_lt(n, DECIMAL_TEXT);
        ck_assert_uint_eq(n, strlen(text));
        ck_assert(decimal_read(text, n, &back));
        ck_assert(memcmp(&v, &back, sizeof v) == 0);
    }
    ck_assert_uint_eq(decimal_write(0.1, text), 3);
    ck_assert_str_eq(text, "0.1");
    (void)decimal_write(-0.0, text);
    ck_assert_str_eq(text, "-0");
    (void)decimal_write(123456, text);
    ck_assert_str_eq(text, "123456");
    (void)decimal_write(1e15, text);
    ck_assert_str_eq(text, "1e+15");
}
END_TEST

Suite *suite_mr_decimal(void);

Suite *
suite_mr_decimal(void)
{
    Suite *s = suite_create("mr_decimal");
    TCase *t = tcase_create("all");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, nasty_numbers_are_read_as_strtod_reads_them);
    tcase_add_test(t, random_numbers_in_every_notation_are_read_as_strtod_reads_them);
    tcase_add_test(t, numbers_half_way_between_two_doubles_go_to_the_even_one_unless_a_digit_is_left);
    tcase_add_test(t, very_long_numbers_are_read_as_strtod_reads_them);
    tcase_add_test(t, what_is_no_decimal_is_refused);
    tcase_add_test(t, written_doubles_read_back_and_are_short);
    suite_add_tcase(s, t);
    return s;
}
