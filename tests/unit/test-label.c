/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/label.h"
#include "tests/unit/check-main.h"

#define KEY_63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij123"

static const struct {
        const char *key, *value;
        bool good;
} cases[] = {
        { "slurm.job", "77", true },
        { "a", "b", true },
        { "example.com-x.9", "any thing: /=\"\\~", true },
        { KEY_63, "x", true },
        { KEY_63 "4", "x", false },
        { "", "x", false },
        { "Slurm.job", "x", false },
        { "slurm_job", "x", false },
        { "slurm job", "x", false },
        { "slurm=job", "x", false },
        { "slurm.job", "", false },
        { "slurm.job", "a\nb", false },
        { "slurm.job", "a\tb", false },
        { "slurm.job", "\x7f", false },
        { "slurm.job", "\xc3\xa4", false },
};

START_TEST(what_can_be_a_label)
{
        Labels l = { 0 };

        ck_assert_msg((label_check(cases[_i].key, cases[_i].value) == NULL) == cases[_i].good, "%s=%s",
                      cases[_i].key, cases[_i].value);
        ck_assert_int_eq(labels_add(&l, cases[_i].key, cases[_i].value), cases[_i].good ? 0 : -EINVAL);
        ck_assert_uint_eq(l.n, cases[_i].good);
        labels_clear(&l);
}
END_TEST

START_TEST(how_long_and_how_many)
{
        char value[LABEL_VALUE_MAX + 2], key[8];
        Labels l = { 0 };

        memset(value, 'v', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        ck_assert_int_eq(labels_add(&l, "long", value), -EINVAL);
        value[LABEL_VALUE_MAX] = '\0';
        ck_assert_int_eq(labels_add(&l, "long", value), 0);
        ck_assert_int_eq(labels_add(&l, "long", "x"), -EEXIST);
        for (unsigned i = 1; i < LABELS_MAX; i++) {
                snprintf(key, sizeof(key), "k%u", i);
                ck_assert_int_eq(labels_add(&l, key, "x"), 0);
        }
        ck_assert_int_eq(labels_add(&l, "more", "x"), -E2BIG);
        ck_assert_uint_eq(l.n, LABELS_MAX);
        labels_clear(&l);
        ck_assert_uint_eq(l.n, 0);
}
END_TEST

START_TEST(what_a_user_writes)
{
        static const struct {
                const char *text;
                int error;
                const char *why;
        } words[] = {
                { "a=1", 0, NULL },
                { "b=x=y", 0, NULL },
                { "a", -EINVAL, "is not KEY=VALUE" },
                { "=1", -EINVAL, "has a key that is not" },
                { "c=", -EINVAL, "has a value that is not" },
                { "a=2", -EEXIST, "given twice" },
        };
        Labels l = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                const char *why = NULL;

                ck_assert_int_eq(labels_parse(&l, words[i].text, &why), words[i].error);
                if (words[i].why)
                        ck_assert_ptr_nonnull(strstr(why, words[i].why));
        }
        ck_assert_uint_eq(l.n, 2);
        ck_assert_str_eq(labels_find(&l, "b", 1), "x=y");
        labels_clear(&l);
}
END_TEST

START_TEST(the_order_does_not_matter)
{
        Labels a = { 0 }, b = { 0 }, copy;

        ck_assert_int_eq(labels_add(&a, "a", "1"), 0);
        ck_assert_int_eq(labels_add(&b, "b", "2"), 0);
        ck_assert(!labels_equal(&a, &b));
        ck_assert_int_eq(labels_add(&a, "b", "2"), 0);
        ck_assert(!labels_equal(&a, &b));
        ck_assert_int_eq(labels_add(&b, "a", "1"), 0);
        ck_assert(labels_equal(&a, &b));
        ck_assert_int_eq(labels_copy(&a, &copy), 0);
        ck_assert(labels_equal(&copy, &b));
        labels_clear(&b);
        ck_assert_int_eq(labels_add(&b, "a", "1"), 0);
        ck_assert_int_eq(labels_add(&b, "b", "3"), 0);
        ck_assert(!labels_equal(&a, &b));
        ck_assert_str_eq(labels_find(&copy, "b=x", 1), "2");
        ck_assert_ptr_null(labels_find(&copy, "bb", 2));
        labels_clear(&a);
        labels_clear(&b);
        labels_clear(&copy);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("label");
        TCase *c = tcase_create("label");

        tcase_add_loop_test(c, what_can_be_a_label, 0, ARRAY_SIZE(cases));
        tcase_add_test(c, how_long_and_how_many);
        tcase_add_test(c, what_a_user_writes);
        tcase_add_test(c, the_order_does_not_matter);
        suite_add_tcase(s, c);
        return check_main(s);
}
