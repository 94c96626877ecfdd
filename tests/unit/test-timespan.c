/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "policy/macro.h"
#include "policy/timespan.h"
#include "tests/unit/check-main.h"

#define SEC UINT64_C(1000000)

static const struct {
        const char *text;
        uint64_t usec;
} good[] = {
        { "0", 0 },
        { "5", 5 * SEC },
        { "90s", 90 * SEC },
        { "1h 30min", 5400 * SEC },
        { "1h30min", 5400 * SEC },
        { " 1 h  30 min ", 5400 * SEC },
        { "1.5h", 5400 * SEC },
        { "0.5", SEC / 2 },
        { "500ms", SEC / 2 },
        { "1us", 1 },
        { "7\302\265s", 7 },
        { "7\316\274s", 7 },
        { "2d", 172800 * SEC },
        { "1w", 604800 * SEC },
        { "3m", 180 * SEC },
        { "1M", 2629800 * SEC },
        { "1y", 31557600 * SEC },
        { "2 hours 1 second", 7201 * SEC },
        { "infinity", TIMESPAN_INFINITY },
        { "18446744073709551614us", UINT64_MAX - 1 },
};

START_TEST(spans)
{
        uint64_t usec;

        ck_assert_int_eq(timespan_parse(good[_i].text, &usec), 0);
        ck_assert_uint_eq(usec, good[_i].usec);
}
END_TEST

static const struct {
        const char *text;
        int error;
} bad[] = {
        { "", -EINVAL },
        { "  ", -EINVAL },
        { "s", -EINVAL },
        { "-1s", -EINVAL },
        { "+1s", -EINVAL },
        { "1x", -EINVAL },
        { "1S", -EINVAL },
        { "1.s", -EINVAL },
        { ".5s", -EINVAL },
        { "1h 30", -EINVAL },
        { "5 10", -EINVAL },
        { "1h,", -EINVAL },
        { "infinity 1s", -EINVAL },
        { "Infinity", -EINVAL },
        { "never", -EINVAL },
        { "99999999999999999999999s 1x", -EINVAL },
        { "18446744073709551615us", -ERANGE },
        { "18446744073709551616us", -ERANGE },
        { "600000y", -ERANGE },
        { "300000y 300000y", -ERANGE },
        { "99999999999999999999999999999999999999999999s", -ERANGE },
        { "18446744073709551615y", -ERANGE },
};

START_TEST(not_spans)
{
        uint64_t usec = 7;

        ck_assert_int_eq(timespan_parse(bad[_i].text, &usec), bad[_i].error);
        ck_assert_uint_eq(usec, 7);
}
END_TEST

static const struct {
        uint64_t usec;
        const char *text;
} formats[] = {
        { 0, "0s" },
        { 1, "1us" },
        { 5400 * SEC, "1h 30min" },
        { SEC / 2, "500ms" },
        { 90061 * SEC, "1d 1h 1min" },
        { 40 * 86400 * SEC, "40d" },
        { SEC + 2003, "1s 2ms 3us" },
        { TIMESPAN_INFINITY, "infinity" },
        { UINT64_MAX - 1, "213503982d 8h 1min" },
};

START_TEST(format)
{
        char buf[TIMESPAN_STR_MAX];

        ck_assert_str_eq(timespan_format(formats[_i].usec, buf), formats[_i].text);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("timespan");
        TCase *c = tcase_create("timespan");

        tcase_add_loop_test(c, spans, 0, ARRAY_SIZE(good));
        tcase_add_loop_test(c, not_spans, 0, ARRAY_SIZE(bad));
        tcase_add_loop_test(c, format, 0, ARRAY_SIZE(formats));
        suite_add_tcase(s, c);
        return check_main(s);
}
