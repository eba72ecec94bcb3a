#include "core/base/sm.h"

#include "core/base/log.h"
#include "tests/unit/suites.h"

suite_fn suite_sm;

enum { ASLEEP, AWAKE, GONE };

static const struct sm_state states[] = {
    [ASLEEP] = { "ASLEEP", SM_BIT(AWAKE) },
    [AWAKE]  = { "AWAKE",  SM_BIT(ASLEEP) | SM_BIT(GONE) },
    [GONE]   = { "GONE",   0 },
};

START_TEST(legal_move_changes_the_state)
{
    unsigned state = ASLEEP;

    ck_assert(sm_may(states, ASLEEP, AWAKE));
    sm_move(states, &state, AWAKE, "cat", 1);
    ck_assert_uint_eq(state, AWAKE);
    sm_move(states, &state, GONE, "cat", 1);
    ck_assert_uint_eq(state, GONE);
}
END_TEST

START_TEST(illegal_move_aborts)
{
    unsigned state = ASLEEP;

    log_set_level(LOG_ERROR);
    ck_assert(!sm_may(states, ASLEEP, GONE));
    sm_move(states, &state, GONE, "cat", 1);
}
END_TEST

Suite *
suite_sm(void)
{
    Suite *s = suite_create("sm");
    TCase *t = tcase_create("sm");

    tcase_add_test(t, legal_move_changes_the_state);
    tcase_add_test_raise_signal(t, illegal_move_aborts, 6);
    suite_add_tcase(s, t);
    return s;
}
