/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/overrun.h"
#include "tests/unit/check-main.h"

#define MIB (UINT64_C(1) << 20)

START_TEST(states_have_names)
{
        for (int v = 0; v < _OVERRUN_STATE_MAX; v++)
                ck_assert_ptr_nonnull(overrun_state_to_string((OverrunState)v));
        ck_assert_ptr_null(overrun_state_to_string(_OVERRUN_STATE_MAX));
}
END_TEST

START_TEST(an_episode_has_a_beginning_a_worst_and_an_end)
{
        OverrunEpisode e = { 0 };

        ck_assert_int_eq(overrun_look(&e, 10 * MIB, 64 * MIB, MIB, 100), OVERRUN_UNCHANGED);
        ck_assert_int_eq(overrun_look(&e, 65 * MIB, 64 * MIB, MIB, 200), OVERRUN_UNCHANGED);
        ck_assert_int_eq(overrun_look(&e, 70 * MIB, 64 * MIB, MIB, 300), OVERRUN_BEGAN);
        ck_assert_int_eq(e.state, OVERRUN_OVER);
        ck_assert_int_eq(overrun_look(&e, 90 * MIB, 64 * MIB, MIB, 400), OVERRUN_GOES_ON);
        ck_assert_int_eq(overrun_look(&e, 80 * MIB, 64 * MIB, MIB, 500), OVERRUN_GOES_ON);
        ck_assert_int_eq(overrun_look(&e, 64 * MIB, 64 * MIB, MIB, 900), OVERRUN_ENDED);
        ck_assert_uint_eq(e.worst_bytes, 26 * MIB);
        ck_assert_uint_eq(e.duration_usec, 600);
        ck_assert_int_eq(e.state, OVERRUN_NONE);
        ck_assert_int_eq(overrun_look(&e, 64 * MIB, 64 * MIB, MIB, 950), OVERRUN_UNCHANGED);
        /* the next one starts from nothing */
        ck_assert_int_eq(overrun_look(&e, 67 * MIB, 64 * MIB, MIB, 1000), OVERRUN_BEGAN);
        ck_assert_uint_eq(e.worst_bytes, 3 * MIB);
        ck_assert_uint_eq(e.duration_usec, 0);
}
END_TEST

START_TEST(nobody_is_looked_at_before_he_can_have_filled_what_is_left)
{
        /* 10 GB at 100 GB/s take 100 ms, and another 100 ms until the headroom is gone */
        ck_assert_uint_eq(overrun_pause_usec(10000000000, 10000000000, 100000, true, 0), 200000);
        /* twice the bandwidth, half the time */
        ck_assert_uint_eq(overrun_pause_usec(10000000000, 10000000000, 200000, true, 0), 100000);
        /* bounds */
        ck_assert_uint_eq(overrun_pause_usec(0, 0, 100000, true, 0), OVERRUN_PAUSE_MIN_USEC);
        ck_assert_uint_eq(overrun_pause_usec(UINT64_MAX, UINT64_MAX, 1, true, 0), OVERRUN_PAUSE_MAX_USEC);
        ck_assert_uint_ge(overrun_pause_usec(MIB, MIB, 0, true, 0), OVERRUN_PAUSE_MIN_USEC);
}
END_TEST

START_TEST(tenants_at_rest_are_looked_at_less_and_less)
{
        uint64_t pause = 0, n = 0;

        for (uint64_t last = 1; pause != last; n++) {
                last = pause;
                pause = overrun_pause_usec(MIB, 64 * MIB, 100000, false, pause);
                ck_assert_uint_ge(pause, last);
        }
        ck_assert_uint_eq(pause, OVERRUN_PAUSE_MAX_USEC);
        ck_assert_uint_lt(n, 10);
        /* and at once again when something moves */
        ck_assert_uint_eq(overrun_pause_usec(MIB, 64 * MIB, 100000, true, pause), OVERRUN_PAUSE_MIN_USEC);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("overrun");
        TCase *c = tcase_create("overrun");

        tcase_add_test(c, states_have_names);
        tcase_add_test(c, an_episode_has_a_beginning_a_worst_and_an_end);
        tcase_add_test(c, nobody_is_looked_at_before_he_can_have_filled_what_is_left);
        tcase_add_test(c, tenants_at_rest_are_looked_at_less_and_less);
        suite_add_tcase(s, c);
        return check_main(s);
}
