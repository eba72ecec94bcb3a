/* Patterns of names. */
#include "dfsclient/shell/glob.h"
#include "tests/unit/client_suites.h"

START_TEST(star_and_question_mark_match_any_characters)
{
    ck_assert(glob_match("*.txt", "a.txt"));
    ck_assert(glob_match("*", ".Trash"));
    ck_assert(glob_match("a*b*c", "a1b2b3c"));
    ck_assert(!glob_match("a*b*c", "a1b2b3"));
    ck_assert(glob_match("?3", "k3"));
    ck_assert(!glob_match("?3", "3"));
    ck_assert(glob_match("", ""));
    ck_assert(!glob_match("", "a"));
    ck_assert(glob_match("**", ""));
}
END_TEST

START_TEST(question_mark_matches_a_character_of_several_bytes)
{
    ck_assert(glob_match("?n\303\257", "\303\274n\303\257"));
    ck_assert(glob_match("[\303\274x]", "\303\274"));
    ck_assert(!glob_match("[ax]", "\303\274"));
}
END_TEST

START_TEST(classes_match_ranges_and_their_negation)
{
    ck_assert(glob_match("[a-c]x", "bx"));
    ck_assert(!glob_match("[a-c]x", "dx"));
    ck_assert(glob_match("[!a-c]*", "d"));
    ck_assert(!glob_match("[!a-c]*", "a"));
    ck_assert(glob_match("[^a]", "b"));
    ck_assert(glob_match("[]]", "]"));
    ck_assert(!glob_match("[a", "a"));
    ck_assert(glob_match("[a-]", "-"));
}
END_TEST

START_TEST(backslash_makes_a_character_ordinary)
{
    char text[] = "st\\ar\\*";

    ck_assert(glob_match("\\*", "*"));
    ck_assert(!glob_match("\\*", "x"));
    ck_assert(glob_match("[\\]]", "]"));
    ck_assert(!glob_has_meta("a\\*b"));
    ck_assert(glob_has_meta("a*b"));
    ck_assert_str_eq(glob_unescape(text), "star*");
}
END_TEST

static size_t
expand(const char *pattern, char **out, struct arena *a)
{
    size_t n = 0;

    return glob_braces(pattern, a, out, 8, &n) ? n : 99;
}

START_TEST(braces_stand_for_their_alternatives)
{
    struct arena a;
    char *out[8];

    arena_init(&a, 64 * KB);
    ck_assert_uint_eq(expand("/x/{a,b.txt}", out, &a), 2);
    ck_assert_str_eq(out[0], "/x/a");
    ck_assert_str_eq(out[1], "/x/b.txt");
    ck_assert_uint_eq(expand("{a,b}{1,2}", out, &a), 4);
    ck_assert_str_eq(out[3], "b2");
    ck_assert_uint_eq(expand("{a,{b,c}}z", out, &a), 3);
    ck_assert_str_eq(out[2], "cz");
    ck_assert_uint_eq(expand("a\\{b", out, &a), 1);
    ck_assert_uint_eq(expand("{,x}y", out, &a), 2);
    ck_assert_str_eq(out[0], "y");
    arena_fini(&a);
}
END_TEST

START_TEST(open_braces_and_too_many_alternatives_are_refused)
{
    struct arena a;
    char *out[8];

    arena_init(&a, 64 * KB);
    ck_assert_uint_eq(expand("{a,b", out, &a), 99);
    ck_assert_uint_eq(expand("{a,b}{a,b}{a,b}{a,b}", out, &a), 99);
    arena_fini(&a);
}
END_TEST

Suite *
suite_glob(void)
{
    Suite *s = suite_create("glob");
    TCase *t = tcase_create("glob");

    tcase_add_test(t, star_and_question_mark_match_any_characters);
    tcase_add_test(t, question_mark_matches_a_character_of_several_bytes);
    tcase_add_test(t, classes_match_ranges_and_their_negation);
    tcase_add_test(t, backslash_makes_a_character_ordinary);
    tcase_add_test(t, braces_stand_for_their_alternatives);
    tcase_add_test(t, open_braces_and_too_many_alternatives_are_refused);
    suite_add_tcase(s, t);
    return s;
}
