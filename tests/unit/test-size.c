/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "policy/macro.h"
#include "policy/size.h"
#include "tests/unit/check-main.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static const struct {
        const char *text;
        uint64_t value;
        bool percent;
} good[] = {
        { "0", 0, false },
        { "0B", 0, false },
        { "1", 1, false },
        { "4096", 4096, false },
        { "4096B", 4096, false },
        { "1K", KIB, false },
        { "512M", 512 * MIB, false },
        { "512MB", 512 * MIB, false },
        { "512MiB", 512 * MIB, false },
        { "16G", 16 * GIB, false },
        { "1T", 1024 * GIB, false },
        { "1P", 1024 * 1024 * GIB, false },
        { "7E", 7 * GIB *GIB, false },
        { "1.5G", GIB + 512 * MIB, false },
        { "0.3K", 307, false },
        { "1.000000000000000001G", GIB, false },
        { "9223372036854775807", INT64_MAX, false },
        { "7.999999999999999999E", INT64_MAX - 1, false },
        { "0%", 0, true },
        { "50%", 50, true },
        { "100%", 100, true },
};

START_TEST(sizes)
{
        Size size;

        ck_assert_int_eq(size_parse(good[_i].text, &size), 0);
        ck_assert_uint_eq(size.value, good[_i].value);
        ck_assert(size.percent == good[_i].percent);
}
END_TEST

static const struct {
        const char *text;
        int error;
} bad[] = {
        { "", -EINVAL },
        { " ", -EINVAL },
        { "-1", -EINVAL },
        { "-1G", -EINVAL },
        { "+1G", -EINVAL },
        { " 1G", -EINVAL },
        { "1 G", -EINVAL },
        { "1G ", -EINVAL },
        { "G", -EINVAL },
        { "1g", -EINVAL },
        { "1GG", -EINVAL },
        { "1Gi", -EINVAL },
        { "1iB", -EINVAL },
        { "1BB", -EINVAL },
        { "1.5", -EINVAL },
        { "1.5B", -EINVAL },
        { "1.G", -EINVAL },
        { ".5G", -EINVAL },
        { "1.5.5G", -EINVAL },
        { "1.0000000000000000001G", -EINVAL },
        { "0x10", -EINVAL },
        { "1e3", -EINVAL },
        { "12.5%", -EINVAL },
        { "%", -EINVAL },
        { "50%%", -EINVAL },
        { "infinity", -EINVAL },
        { "99999999999999999999x", -EINVAL },
        { "101%", -ERANGE },
        { "99999999999999999999%", -ERANGE },
        { "9223372036854775808", -ERANGE },
        { "8E", -ERANGE },
        { "16E", -ERANGE },
        { "9007199254740992K", -ERANGE },
        { "18446744073709551615G", -ERANGE },
        { "18446744073709551616", -ERANGE },
        { "99999999999999999999", -ERANGE },
};

START_TEST(not_sizes)
{
        Size size = { .value = 7 };

        ck_assert_int_eq(size_parse(bad[_i].text, &size), bad[_i].error);
        ck_assert_uint_eq(size.value, 7);
}
END_TEST

START_TEST(resolve)
{
        Size half = { .value = 50, .percent = true }, all = { .value = 100, .percent = true };
        Size fixed = { .value = 5 * GIB };

        ck_assert_uint_eq(size_resolve(&half, 3), 1);
        ck_assert_uint_eq(size_resolve(&half, UINT64_MAX), UINT64_MAX / 2);
        ck_assert_uint_eq(size_resolve(&all, UINT64_MAX), UINT64_MAX);
        ck_assert_uint_eq(size_resolve(&fixed, 1), 5 * GIB);
}
END_TEST

START_TEST(round_up)
{
        ck_assert_uint_eq(size_round_up(0, 4096), 0);
        ck_assert_uint_eq(size_round_up(1, 4096), 4096);
        ck_assert_uint_eq(size_round_up(4096, 4096), 4096);
        ck_assert_uint_eq(size_round_up(4097, 65536), 65536);
        ck_assert_uint_eq(size_round_up(UINT64_MAX - 4095, 4096), UINT64_MAX - 4095);
        ck_assert_uint_eq(size_round_up(UINT64_MAX - 4094, 4096), UINT64_MAX);
}
END_TEST

static const struct {
        uint64_t bytes;
        const char *text;
} formats[] = {
        { 0, "0B" },           { 1023, "1023B" },       { 1024, "1K" },
        { 1536, "1.5K" },      { 1025, "1K" },          { MIB - 1, "1023.9K" },
        { 512 * MIB, "512M" }, { GIB - 1, "1023.9M" },  { 16 * GIB + 512 * MIB, "16.5G" },
        { INT64_MAX, "7.9E" }, { UINT64_MAX, "15.9E" },
};

START_TEST(format)
{
        char buf[SIZE_STR_MAX];

        ck_assert_str_eq(size_format(formats[_i].bytes, buf), formats[_i].text);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("size");
        TCase *c = tcase_create("size");

        tcase_add_loop_test(c, sizes, 0, ARRAY_SIZE(good));
        tcase_add_loop_test(c, not_sizes, 0, ARRAY_SIZE(bad));
        tcase_add_test(c, resolve);
        tcase_add_test(c, round_up);
        tcase_add_loop_test(c, format, 0, ARRAY_SIZE(formats));
        suite_add_tcase(s, c);
        return check_main(s);
}
