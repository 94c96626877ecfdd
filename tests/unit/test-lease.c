/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/lease.h"
#include "policy/timespan.h"
#include "tests/unit/check-main.h"

#define S UINT64_C(1000000)

START_TEST(ends)
{
        ck_assert_uint_eq(lease_end(5 * S, 3 * S), 8 * S);
        ck_assert_uint_eq(lease_end(5 * S, TIMESPAN_INFINITY), TIMESPAN_INFINITY);
        ck_assert_uint_eq(lease_end(5 * S, TIMESPAN_INFINITY - S), TIMESPAN_INFINITY);
}
END_TEST

START_TEST(a_warning_comes_the_grace_period_before_the_end)
{
        ck_assert_uint_eq(lease_warning(3600 * S, 3500 * S, 10 * S), 3590 * S);
        ck_assert_uint_eq(lease_warning(3600 * S, 3500 * S, 0), 3600 * S);
        ck_assert_uint_eq(lease_warning(TIMESPAN_INFINITY, TIMESPAN_INFINITY, 10 * S), TIMESPAN_INFINITY);
}
END_TEST

START_TEST(a_short_lease_is_warned_half_way)
{
        ck_assert_uint_eq(lease_grace(4 * S, 10 * S), 2 * S);
        ck_assert_uint_eq(lease_warning(104 * S, 4 * S, 10 * S), 102 * S);
        ck_assert_uint_eq(lease_drain(104 * S, 4 * S, 10 * S, 102 * S), 104 * S);
}
END_TEST

START_TEST(warned_in_time_it_drains_at_its_end)
{
        ck_assert_uint_eq(lease_drain(3600 * S, 3500 * S, 10 * S, 3590 * S), 3600 * S);
        ck_assert_uint_eq(lease_drain(3600 * S, 3500 * S, 0, 3600 * S), 3600 * S);
}
END_TEST

/* The machine slept from 3000 s to 9000 s, or cdmd did not run meanwhile. */
START_TEST(warned_late_it_still_has_its_grace_period)
{
        ck_assert_uint_eq(lease_drain(3600 * S, 3500 * S, 10 * S, 9000 * S), 9010 * S);
        ck_assert_uint_eq(lease_drain(3600 * S, 3500 * S, 10 * S, 3595 * S), 3605 * S);
        ck_assert_uint_eq(lease_drain(104 * S, 4 * S, 10 * S, 9000 * S), 9002 * S);
}
END_TEST

/* Boot time counts the sleep; the wall clock may say anything: what is left is the same. */
START_TEST(the_wall_clock_is_derived)
{
        const uint64_t end = 3600 * S;

        ck_assert_uint_eq(lease_wall_clock(end, 600 * S, 1000000 * S), 1003000 * S);
        /* set forward by a day, then back to 1970 */
        ck_assert_uint_eq(lease_wall_clock(end, 600 * S, 1086400 * S), 1089400 * S);
        ck_assert_uint_eq(lease_wall_clock(end, 600 * S, 0), 3000 * S);
        /* slept for 2000 s: both clocks went on */
        ck_assert_uint_eq(lease_wall_clock(end, 2600 * S, 1002000 * S), 1003000 * S);
        /* over */
        ck_assert_uint_eq(lease_wall_clock(end, 3700 * S, 1003100 * S), 1003000 * S);
        ck_assert_uint_eq(lease_wall_clock(end, 3700 * S, 50 * S), 0);
        ck_assert_uint_eq(lease_wall_clock(TIMESPAN_INFINITY, S, S), TIMESPAN_INFINITY);
        ck_assert_uint_eq(lease_wall_clock(TIMESPAN_INFINITY - 1, S, 2 * S), TIMESPAN_INFINITY);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("lease");
        TCase *t = tcase_create("lease");

        tcase_add_test(t, ends);
        tcase_add_test(t, a_warning_comes_the_grace_period_before_the_end);
        tcase_add_test(t, a_short_lease_is_warned_half_way);
        tcase_add_test(t, warned_in_time_it_drains_at_its_end);
        tcase_add_test(t, warned_late_it_still_has_its_grace_period);
        tcase_add_test(t, the_wall_clock_is_derived);
        suite_add_tcase(s, t);
        return check_main(s);
}
