/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/loop/event-limit.h"
#include "tests/unit/check-main.h"

#define SEC UINT64_C(1000000)

static unsigned take(EventLimit *l, uid_t uid, uint64_t now, unsigned tries, uint64_t *ret_left_out)
{
        unsigned n = 0;

        for (unsigned i = 0; i < tries; i++)
                n += event_limit_take(l, uid, now, ret_left_out);
        return n;
}

START_TEST(a_burst_and_then_one_a_second)
{
        uint64_t left_out = 99;
        EventLimit *l;

        ck_assert_int_ge(event_limit_new(&l), 0);
        ck_assert_uint_eq(take(l, 1000, 5 * SEC, 100, &left_out), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(left_out, 0);
        ck_assert_uint_eq(take(l, 1000, 6 * SEC - 1, 3, &left_out), 0);
        ck_assert_uint_eq(take(l, 1000, 6 * SEC, 2, &left_out), 1);
        ck_assert_uint_eq(left_out, 100 - EVENT_LIMIT_BURST + 3);
        /* one was left out since */
        ck_assert_uint_eq(take(l, 1000, 7 * SEC, 1, &left_out), 1);
        ck_assert_uint_eq(left_out, 1);
        /* nothing is saved up beyond a burst, and a clock that stands still does no harm */
        ck_assert_uint_eq(take(l, 1000, 100000 * SEC, 100, &left_out), EVENT_LIMIT_BURST);
        ck_assert_uint_eq(take(l, 1000, 0, 1, &left_out), 0);
        event_limit_free(l);
}
END_TEST

START_TEST(users_do_not_share)
{
        uint64_t left_out;
        EventLimit *l;

        ck_assert_int_ge(event_limit_new(&l), 0);
        for (uid_t u = 1; u <= 1000; u++)
                ck_assert_uint_eq(take(l, u, SEC, 30, &left_out), EVENT_LIMIT_BURST);
        /* What was left out is not forgotten, however many users come. */
        ck_assert_uint_eq(take(l, 1, 1000 * SEC, 1, &left_out), 1);
        ck_assert_uint_eq(left_out, 30 - EVENT_LIMIT_BURST);
        event_limit_free(l);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("event-limit");
        TCase *t = tcase_create("event-limit");

        tcase_add_test(t, a_burst_and_then_one_a_second);
        tcase_add_test(t, users_do_not_share);
        suite_add_tcase(s, t);
        return check_main(s);
}
